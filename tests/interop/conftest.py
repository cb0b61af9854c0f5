"""Fixtures of the tests with programs that other people wrote."""

import subprocess
import time

import pytest

from support import npm
from support.hub import RUN


@pytest.fixture
def program():
    """Factory of node programs that end with the test."""
    started = []

    def start(*args, **kw):
        started.append(npm.Program(*args, **kw))
        return started[-1]
    yield start
    for p in started:
        p.stop()


@pytest.fixture(scope='module')
def fixture_url(tmp_path_factory):
    """The conformance fixture server's URL."""
    port_file = tmp_path_factory.mktemp('fixture') / 'port'
    server = npm.Program(npm.TOP / 'tests/interop/fixture.mjs', npm.fixture_packages(), port_file)
    yield f'http://127.0.0.1:{server.wait_file(port_file)}/mcp'
    server.stop()


@pytest.fixture
def demo_server(tmp_path):
    """The notes server that ./demo starts: its URL."""
    port_file = tmp_path / 'notes-port'
    server = subprocess.Popen([RUN, 'examples/notes-server/notes-server', '--port', '0', '--port-file',
                               str(port_file)], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not port_file.exists():
        assert server.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    yield f'http://127.0.0.1:{port_file.read_text().strip()}/mcp'
    server.terminate()
    server.wait()
