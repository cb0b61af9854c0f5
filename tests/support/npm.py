"""Programs from npm for tests of interoperability: exact versions, installed into .cache/ by
tools/npm-install, run with tools/node."""

import functools
import os
import pathlib
import socket
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
NODE = str(TOP / 'tools' / 'node')
SCOPE = '@modelcontextprotocol'


@functools.lru_cache(maxsize=None)
def install(name, *packages):
    """The folder that holds node_modules with these packages."""
    done = subprocess.run([str(TOP / 'tools' / 'npm-install'), name, *packages], text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, f'npm-install {packages}: {done.stderr}'
    return pathlib.Path(done.stdout.strip().splitlines()[-1])


def conformance():
    return install('conformance', f'{SCOPE}/conformance@0.2.0-alpha.12')


def fixture_packages():
    return install('fixture', f'{SCOPE}/server@2.4.0', f'{SCOPE}/node@2.1.2')


def clients():
    return install('clients', f'{SCOPE}/inspector@2.12.0', f'{SCOPE}/server-everything@2026.8.31',
                   'mcp-proxy@6.7.19')


def holders():
    """Clients that hold a session for a while."""
    return install('holders', f'{SCOPE}/sdk@1.32.2', f'{SCOPE}/client@2.4.0', 'mcp-remote@0.15.1')


def free_port():
    """A port that nobody listens on, below those of outgoing connections."""
    for port in range(20000 + os.getpid() % 5000, 32000, 7):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port
    raise AssertionError('no free port')


class Program:
    """A node program in the background, ended by its own process group's id."""

    def __init__(self, *args, env=None, cwd=None):
        self.process = subprocess.Popen(
            [NODE, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)

    def wait_port(self, port, timeout=120):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            assert self.process.poll() is None, f'{self.process.args} ended: {self.output()}'
            with socket.socket() as s:
                if s.connect_ex(('127.0.0.1', port)) == 0:
                    return self
            time.sleep(0.05)
        raise AssertionError(f'{self.process.args} does not listen on {port}: {self.output()}')

    def wait_file(self, path, timeout=120):
        end = time.monotonic() + timeout
        while not path.exists():
            assert self.process.poll() is None, f'{self.process.args} ended: {self.output()}'
            assert time.monotonic() < end, f'{self.process.args} did not write {path}'
            time.sleep(0.02)
        return path.read_text().strip()

    def output(self):
        return (self.process.stdout.read() or b'').decode(errors='replace')

    def stop(self):
        try:
            os.killpg(self.process.pid, 15)
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        except ProcessLookupError:
            self.process.wait()
        self.process.stdout.close()
