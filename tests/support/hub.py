"""The hub under test: a configuration folder, a running `./run mcpauthd`, and what one asks of it.

    h = Hub('''service notes { path /notes; upstream http://127.0.0.1:1234/mcp; anonymous * }''')
    h.start()
    h.request('POST', '/notes', body=rpc('ping')).status

A configuration without a `hub` block gets the one of HUB below (public_url http://127.0.0.1:7070, one
worker, audit to a file, everything on ports of the kernel's choice).  Tests use the fixture `hub` of
conftest.py, which starts, stops and checks for leaks."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from support.client import Connection, Stream, rpc

TOP = pathlib.Path(__file__).resolve().parents[2]
RUN = str(TOP / 'run')
BUILD = pathlib.Path(os.environ.get('MCPAUTH_BUILD') or TOP / 'build').resolve()
PUBLIC = 'http://127.0.0.1:7070'
# Under a sanitizer or valgrind everything takes longer.
SLOW = float(os.environ.get('MCPAUTH_TEST_SLOW', '10' if os.environ.get('MCPAUTH_VALGRIND') else '1'))

HUB = '''hub {{
    public_url  {public_url}
    listen      127.0.0.1:0
    admin       {{ listen 127.0.0.1:0 }}
    workers     {workers}
    audit       file {audit}
    {extra}
}}
'''

_ALARMS = re.compile(rb'AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|'
                     rb'MHD panic|^==\d+== (?!$)', re.M)


class HubFailed(Exception):
    """It did not start; the text is its log."""


class Hub:
    def __init__(self, conf, *, files=None, hub='', workers=1, public_url=PUBLIC, env=None, args=()):
        """CONF: the text of hub.conf, or a dict of file name -> text.  FILES: more files of the
        configuration folder, mode 0600, str or bytes.  HUB: more statements for the default hub
        block.  `{dir}` in CONF becomes the folder of this hub, `{conf}` its configuration folder."""
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='mcpauth-'))
        self.confdir, self.statedir = self.dir / 'conf', self.dir / 'state'
        self.control, self.port_file = self.dir / 'control', self.dir / 'ports'
        self.audit_file, self.log_file = self.dir / 'audit.log', self.dir / 'log'
        self.public_url, self.workers, self.extra = public_url, workers, hub
        self.env, self.args = {**os.environ, **(env or {})}, list(args)
        self.process, self.ports = None, {}
        self.allowed_alarms = False
        self.confdir.mkdir(mode=0o700)
        for name, content in (files or {}).items():
            self.write(name, content)
        self.configure(conf)

    # configuration

    def write(self, name, content, mode=0o600):
        """A file of the configuration folder, replaced whole as an editor does; returns its path."""
        path = self.confdir / name
        new = path.with_name('.' + path.name + '.new')
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), 'wb') as f:
            f.write(content.encode('utf-8') if isinstance(content, str) else content)
        os.chmod(new, mode)
        new.rename(path)
        return path

    def configure(self, conf):
        """Replaces the *.conf files; takes effect at start or reload."""
        files = conf if isinstance(conf, dict) else {'hub.conf': conf}
        for old in self.confdir.glob('*.conf'):
            if old.name not in files:
                old.unlink()
        if not any(re.search(r'^\s*hub\s*\{', text, re.M) for text in files.values()):
            files = {**files, '00-hub.conf': HUB.format(
                public_url=self.public_url, workers=self.workers, audit=self.audit_file,
                extra=self.extra)}
        for name, text in files.items():
            self.write(name, text.replace('{dir}', str(self.dir)).replace('{conf}', str(self.confdir)))

    # life

    def command(self, program):
        line = [RUN, program, '-c', self.confdir, '--state-dir', self.statedir, '--control', self.control]
        return [str(word) for word in line]

    def start(self, timeout=60, wait=True):
        """Starts the daemon and waits until it serves."""
        self.port_file.unlink(missing_ok=True)
        with open(self.log_file, 'ab') as log:
            self.process = subprocess.Popen(
                [*self.command('mcpauthd'), '--port-file', str(self.port_file), *self.args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, start_new_session=True)
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=60):
        end = time.monotonic() + timeout * SLOW
        while not self.port_file.exists():
            if self.process.poll() is not None:
                status, self.process = self.process.returncode, None
                raise HubFailed(f'mcpauthd ended with {status}:\n{self.log}')
            if time.monotonic() > end:
                self.kill()
                raise HubFailed(f'mcpauthd was not ready in {timeout * SLOW:.0f} s:\n{self.log}')
            time.sleep(0.01)
        self._read_ports()

    def _read_ports(self):
        self.ports = {}
        for line in self.port_file.read_text().splitlines():
            name, _, port = line.rpartition(' ')
            self.ports[name] = int(port) if port.isdigit() else 0

    @property
    def port(self):
        """The port of the first public TCP listener."""
        return next(p for name, p in self.ports.items() if not name.startswith('admin ') and p)

    @property
    def admin_port(self):
        return next(p for name, p in self.ports.items() if name.startswith('admin ') and p)

    def stop(self, timeout=60):
        """SIGTERM; asserts that it ends by itself, with status 0, leaving no process behind."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self._end_session(process.pid)
            process.wait()
            raise AssertionError(f'mcpauthd did not end in {timeout * SLOW:.0f} s:\n{self.log}') from None
        left = self._end_session(process.pid, grace=20 * SLOW)
        assert status == 0, f'mcpauthd ended with {status}:\n{self.log}'
        assert not left, f'mcpauthd left processes behind: {left}\n{self.log}'

    def kill(self):
        """Ends every process of this hub at once, whatever state it is in."""
        if self.process is not None:
            self._end_session(self.process.pid)
            self.process.wait()
            self.process = None

    def processes(self):
        """Pids of this hub: master, leaders, workers, admin."""
        return _session(self.process.pid) if self.process else []

    @staticmethod
    def _end_session(sid, grace=2):
        """SIGKILL to what is still in the session; returns what there was after so many seconds."""
        end = time.monotonic() + grace
        while (left := _session(sid)) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return left

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *exc):
        try:
            self.stop() if kind is None else self.kill()
        finally:
            self.remove()

    # the command line

    def cli(self, *args, check=False, input=None, timeout=120):
        """Runs `./run mcpauth` for this hub; the completed process, output as text."""
        done = subprocess.run([*self.command('mcpauth'), *map(str, args)], input=input, text=True,
                              capture_output=True, env=self.env, timeout=timeout * SLOW)
        if check:
            assert done.returncode == 0, f'mcpauth {args}: {done.returncode}\n{done.stdout}{done.stderr}'
        return done

    def reload(self, check=True):
        """`mcpauth reload`: returns when the new generation serves, or with its error."""
        done = self.cli('reload', check=check)
        return done

    def status(self):
        """What `mcpauth status` prints."""
        return self.cli('status', check=True).stdout

    # requests

    @property
    def host(self):
        """What Host must say."""
        return self.public_url.split('://', 1)[1]

    def url(self, path=''):
        """Where PATH of the first listener really is (its Host differs from public_url)."""
        return f'http://127.0.0.1:{self.port}{path}'

    def connect(self, address=None, timeout=60):
        return Connection(address or ('127.0.0.1', self.port), self.host, timeout * SLOW)

    def request(self, method, target, *, timeout=60, address=None, **kw):
        """One request on a connection of its own: see client.Connection.send."""
        with self.connect(address, timeout) as c:
            return c.request(method, target, **kw)

    def taken_by(self, worker, others, n):
        """N connections that WORKER has accepted, because the OTHERS could not."""
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
            _until(lambda: _stopped(pid), 30, lambda: f'process {pid} does not stop')
        taken = [self.connect() for _ in range(n)]
        for c in taken:
            assert c.request('GET', '/health').status == 200
        for pid in others:
            os.kill(pid, signal.SIGCONT)
        return taken

    def call(self, path, method='tools/list', params=None, token=None, id=1, **kw):
        """POSTs one JSON-RPC message to a service."""
        return self.request('POST', path, body=rpc(method, params, id), token=token, **kw)

    def stream(self, method, target, *, timeout=60, address=None, **kw):
        """A request whose answer is read while it arrives; close() leaves."""
        c = self.connect(address, timeout)
        kw.setdefault('headers', {'Accept': 'text/event-stream'} if kw.get('body') is None else {})
        return Stream(c, c.send(method, target, **kw))

    def admin(self, target):
        return self.request('GET', target, address=('127.0.0.1', self.admin_port),
                            host=f'127.0.0.1:{self.admin_port}')

    def metrics(self):
        """The admin listener's metrics: {'name{label="x"}': value}."""
        found = {}
        for line in self.admin('/metrics').text.splitlines():
            if line and not line.startswith('#'):
                name, value = line.rsplit(' ', 1)
                found[name] = float(value)
        return found

    # what it wrote

    @property
    def log(self):
        return self.log_file.read_text(errors='replace') if self.log_file.exists() else ''

    def wait_log(self, pattern, timeout=60):
        """Waits until a line of the log matches; returns the match."""
        return _until(lambda: re.search(pattern, self.log), timeout,
                      lambda: f'nothing in the log matches {pattern!r}:\n{self.log}')

    def audit(self, event=None, **members):
        """Audit records, in order: those of EVENT, whose members have these values."""
        if not self.audit_file.exists():
            return []
        whole = self.audit_file.read_text().rpartition('\n')[0]
        return [r for r in audit_records(whole) if event in (None, r.get('event')) and
                all(r.get(k) == v for k, v in members.items())]

    def wait_audit(self, event, n=1, timeout=60, **members):
        """Waits until there are N such records; returns them."""
        return _until(lambda: len(found := self.audit(event, **members)) >= n and found, timeout,
                      lambda: f'{len(self.audit(event, **members))} {event} records, not {n}')

    def alarms(self):
        """Lines of the log in which a sanitizer, valgrind or libmicrohttpd reports a bug."""
        text = self.log_file.read_bytes() if self.log_file.exists() else b''
        return [line for line in text.split(b'\n') if _ALARMS.search(line)]


def audit_records(text):
    """The records of whole lines. A write that the disk cut short leaves spaces; a writer that was killed
    while it wrote leaves the begin of a record, with perhaps somebody else's whole one behind it."""
    for line in text.splitlines():
        while line.strip():
            try:
                yield json.loads(line)
                break
            except ValueError:
                at = line.find('{"t":', 1)
                line = line[at:] if at > 0 else ''


def _until(probe, timeout, complaint):
    end = time.monotonic() + timeout * SLOW
    while not (found := probe()):
        if time.monotonic() > end:
            raise AssertionError(complaint())
        time.sleep(0.01)
    return found


def _stopped(pid):
    """Before it has, it may still be woken for a connection."""
    with open(f'/proc/{pid}/stat') as f:
        return f.read().rpartition(')')[2].split()[0] == 'T'


def _session(sid):
    """Pids of session SID that are not zombies."""
    pids = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open(f'/proc/{entry}/stat') as f:
                    state, _, _, session = f.read().rpartition(')')[2].split()[:4]
            except OSError:
                continue
            if int(session) == sid and state != 'Z':
                pids.append(int(entry))
    return pids
