"""Starts tests/support/http-echo: the server of src/http with a handler that echoes."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time

from support.rawhttp import exchange, request

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('MCPAUTH_BUILD', TOP / 'build'))
PROGRAM = BUILD / 'tests/support/http-echo'


class Echo:
    """echo = Echo(max_connections=10); echo.address; echo.stats(); echo.stop()."""

    def __init__(self, prefix=(), **options):
        self.folder = tempfile.TemporaryDirectory(prefix='http-echo-')
        self.log = pathlib.Path(self.folder.name, 'log')
        ports = pathlib.Path(self.folder.name, 'ports')
        args = ['--port-file', str(ports)]
        self.unix = None  # a path below 108 bytes, whatever a test is called
        if options.get('unix') is True:
            options['unix'] = self.unix = f'{self.folder.name}/s'
        for name, value in options.items():
            args += ['--' + name.replace('_', '-'), str(value)]
        with self.log.open('wb') as log:
            self.process = subprocess.Popen(
                [*prefix, str(TOP / 'run'), 'tests/support/http-echo', *args], stderr=log)
        end = time.monotonic() + 30
        while not ports.exists():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.005)
        plain, tls = map(int, ports.read_text().split())
        self.address, self.tls_address = ('127.0.0.1', plain), ('127.0.0.1', tls)

    def stats(self):
        return exchange(self.address, request('GET', '/stats', 'Connection: close')).json()

    def wait_seen(self, before, n):
        """Waits until N requests have come since the stats BEFORE; each look is one more."""
        looks = iter(range(1, 10000))
        return self.wait(lambda s: s['headers'] - before['headers'] - next(looks) >= n)

    def wait(self, condition, within=60):
        """Waits until CONDITION (stats) holds, and returns them."""
        end = time.monotonic() + within
        while True:
            stats = self.stats()
            if condition(stats):
                return stats
            assert time.monotonic() < end, stats
            time.sleep(0.02)

    def rss(self):
        """Resident bytes."""
        text = pathlib.Path(f'/proc/{self.process.pid}/status').read_text()
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith('VmRSS'))

    def cpu(self):
        """Seconds of CPU used."""
        fields = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def stop(self):
        """Ends it and says whether it ended as it should: 0, and nothing from a sanitizer."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        log = self.log.read_text(errors='replace')
        self.folder.cleanup()
        assert status == 0, f'exit {status}: {log[-3000:]}'
        assert 'Sanitizer' not in log and 'runtime error' not in log, log[-3000:]

