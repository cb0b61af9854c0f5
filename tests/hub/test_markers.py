"""Nobody gets what is somebody else's: 100 callers at 10 services, all with the same JSON-RPC id."""

import os
import subprocess
import sys
import time

import pytest
from support import markers
from support.hub import SLOW
from support.tokens import StaticToken, static_file

# `make check-long` asks for the million of the promise.
N = int(os.environ.get('MCPAUTH_MARKERS', '8000'))
SERVICES = [f's{i}' for i in range(10)]


@pytest.fixture
def echo(tmp_path):
    port_file = tmp_path / 'port'
    process = subprocess.Popen([sys.executable, markers.__file__, 'upstream', str(port_file)])
    end = time.monotonic() + 60 * SLOW
    while not port_file.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    yield f'http://127.0.0.1:{port_file.read_text()}'
    process.terminate()
    process.wait()


def test_no_answer_goes_to_the_wrong_caller(hub, echo):
    """rows 55, 56"""
    made = {f'user-{i}': StaticToken(f't{i}', f'user-{i}') for i in range(100)}
    services = ''.join(f'service {s} {{ path /{s}; upstream {echo}/{s}; auth required ci; identity headers }}\n'
                       for s in SERVICES)
    h = hub(f'provider ci {{ module static-token; file {{conf}}/ci.tokens }}\n{services}',
            files={'ci.tokens': static_file(*made.values())}, workers=2)
    counts, bad = markers.run(h.port, h.host, {who: t.secret for who, t in made.items()}, SERVICES, N)
    assert counts == {'right': N}, bad
