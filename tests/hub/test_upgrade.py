"""Another program takes the running one's place (`mcpauth reload --program`): same process, same
sockets, same streams; or it is refused, and the running one goes on."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from support.hub import BUILD, TOP, _session, _until
from support.load import Load


def conf(upstream, *names):
    return ''.join(f'service {n} {{ path /{n}; upstream {upstream.url}; anonymous * }}\n'
                   for n in names or ['notes'])


@pytest.fixture
def installed(hub, tmp_path):
    """Starts a hub whose program is a copy that the test may replace: h.program."""
    def make(text, **kw):
        build = tmp_path / 'build'
        build.mkdir(exist_ok=True)
        (build / 'mcpauth').symlink_to(BUILD / 'mcpauth')
        (build / 'plugins').symlink_to(BUILD / 'plugins')
        shutil.copy2(BUILD / 'mcpauthd', build / 'mcpauthd')
        h = hub(text, env={'MCPAUTH_BUILD': str(build), **kw.pop('env', {})}, **kw)
        h.program = build / 'mcpauthd'
        return h
    return make


def install(h, content):
    """As a package manager does: another file under the same name."""
    new = h.program.with_suffix('.new')
    if isinstance(content, bytes):
        new.write_bytes(content)
    else:
        new.write_text(content)
    new.chmod(0o755)
    new.rename(h.program)


def other_version(h):
    """The same program under another version's name."""
    version = state(h)['version'].encode()
    other = version[:-1] + (b'7' if version[-1:] != b'7' else b'8')
    install(h, h.program.read_bytes().replace(version, other))
    return other.decode()


def state(h):
    return json.loads(h.cli('status', '--json', check=True).stdout)


def generation(h, number):
    return next((g for g in state(h)['generations'] if g['generation'] == number), None)


def replace(h, check=True):
    return h.cli('reload', '--program', check=check)


def wait_until(probe, complaint, timeout=60):
    return _until(probe, timeout, lambda: complaint)


class Streams:
    """An upstream whose event streams say what the test tells them to, until it ends them."""

    def __init__(self, upstream):
        self.changed, self.said, self.ended = threading.Condition(), 0, False
        upstream.handler = self.handle

    def handle(self, x):
        if x.request.method == 'POST':
            x.result({'ok': True})
            return
        x.sse_start()
        told = 0
        x.event({'n': 0})
        while not self.ended:
            with self.changed:
                self.changed.wait_for(lambda: self.ended or self.said > told, 0.2)
            while told < self.said:
                told += 1
                x.event({'n': told})
            if x.server.stopping.is_set():
                return
        x.sse_end()
        x.close_after = True

    def say(self):
        with self.changed:
            self.said += 1
            self.changed.notify_all()
        return self.said

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()


@pytest.fixture
def streams(upstream):
    s = Streams(upstream)
    yield s
    s.end()


def open_stream(h):
    s = h.stream('GET', '/notes', timeout=60)
    assert s.status == 200 and s.message().json() == {'n': 0}
    return s


def read_to_end(s):
    """Whole or cut off: it ends."""
    try:
        assert s.message() is None
    except (OSError, http.client.HTTPException):
        pass


# ---- it works

def test_the_installed_program_takes_the_place_of_the_running_one_in_its_process(installed, upstream):
    h = installed(conf(upstream))
    pid, ports, version = h.process.pid, h.port_file.read_text(), other_version(h)
    done = replace(h)
    assert f'mcpauthd {version} has taken over: generation 2 serves' in done.stdout
    after = state(h)
    assert (after['pid'], after['version'], after['generation']) == (pid, version, 2)
    assert after['listeners'] and h.port_file.read_text() == ports
    assert h.call('/notes').status == 200
    assert os.readlink(f'/proc/{pid}/exe') == str(h.program)


def test_sigusr2_does_the_same(installed, upstream):
    h = installed(conf(upstream))
    version = other_version(h)
    h.process.send_signal(signal.SIGUSR2)
    h.wait_log(r'generation 2 serves')
    assert state(h)['version'] == version
    assert h.call('/notes').status == 200


def test_a_stream_stays_open_over_it_and_delivers_what_comes_afterwards(installed, upstream, streams):
    h = installed(conf(upstream))
    with open_stream(h) as s:
        version = state(h)['version']
        replace(h)
        for _ in range(3):
            n = streams.say()
            assert s.message().json() == {'n': n}
        old, new = generation(h, 1), generation(h, 2)
        assert (old['state'], old['inherited'], old['version']) == ('draining', True, version)
        assert (new['state'], new['inherited']) == ('serving', False)
        assert f'of the program before: mcpauthd {old["version"]}' in h.status()
        streams.end()
        assert s.message() is None
    wait_until(lambda: generation(h, 1) is None, 'the old generation did not end')


def test_what_drains_already_goes_on_over_the_next_one(installed, upstream, streams):
    h = installed(conf(upstream))
    with open_stream(h) as s:
        for _ in range(3):
            replace(h)
        assert generation(h, 1)['state'] == 'draining'
        n = streams.say()
        assert s.message().json() == {'n': n}


def test_a_generation_that_hangs_is_ended_at_its_limit_by_the_program_after_the_next(installed, upstream):
    h = installed(conf(upstream), hub='drain_timeout 2s')
    old = generation(h, 1)
    for pid in (old['leader'], old['workers'][0]['pid'], old['admin']['pid']):
        os.kill(pid, signal.SIGSTOP)
    for _ in range(2):
        replace(h)
    wait_until(lambda: generation(h, 1) is None, 'the old generation did not end')
    assert 'generation 1 did not end in time: killed' in h.log
    assert h.call('/notes').status == 200


def test_what_drains_over_it_keeps_its_limit(installed, upstream, streams):
    h = installed(conf(upstream), hub='drain_timeout 1s')
    with open_stream(h) as s:
        replace(h)
        read_to_end(s)  # ended by the hub, not by the upstream
    wait_until(lambda: generation(h, 1) is None, 'the old generation did not end')
    assert not streams.ended


def test_no_request_fails_over_several_of_them(installed, upstream):
    h = installed(conf(upstream), workers=2)
    with Load(h.port, h.host, '/notes', kept=4, fresh=2, streams=0) as load:
        for i in range(6):  # some requests before, between and after
            upstream.wait_requests(len(upstream.requests) + 12, 60)
            if i < 5:
                replace(h)
    assert load.result['failures'] == []
    assert state(h)['generation'] == 6


def test_a_configuration_that_was_changed_before_it_is_taken_up_with_it(installed, upstream):
    h = installed(conf(upstream))
    h.configure(conf(upstream, 'notes', 'more'))
    replace(h)
    assert h.call('/more').status == 200


def test_reload_and_status_go_on_after_it(installed, upstream):
    h = installed(conf(upstream))
    replace(h)
    assert 'unchanged' in h.reload().stdout
    h.configure(conf(upstream, 'notes', 'more'))
    assert re.search(r'generation \d+ serves', h.reload().stdout)
    assert h.call('/more').status == 200


def test_counters_do_not_fall_over_it(installed, upstream):
    h = installed(conf(upstream))
    for _ in range(5):
        h.call('/notes')
    before = h.metrics()['mcpauth_upstream_requests_total']
    assert before == 5
    replace(h)
    h.call('/notes')
    assert h.metrics()['mcpauth_upstream_requests_total'] == before + 1
    wait_until(lambda: h.metrics()['mcpauth_workers'] == 1, 'the old generation still counts')


# the chains of both programs' workers are one log that verifies
def test_the_audit_log_goes_on_over_it(installed, upstream):
    h = installed(conf(upstream))
    h.call('/notes')
    replace(h)
    h.call('/notes')
    h.wait_audit('reload')
    h.stop()
    assert h.cli('audit', 'verify', h.audit_file).returncode == 0
    assert len(h.audit('decision')) == 2


def test_the_next_program_has_the_secrets_of_the_environment_and_hides_them(installed, upstream):
    word = 'the-upstream-key-0123456789'
    h = installed(f'service notes {{ path /notes; upstream {upstream.url}; anonymous *; '
                  'upstream_auth header X-Upstream-Key env:KEY }', env={'KEY': word})
    for _ in range(2):
        replace(h)
    assert h.call('/notes').status == 200
    assert upstream.requests[-1].header('X-Upstream-Key') == word
    assert word.encode() not in pathlib.Path(f'/proc/{h.process.pid}/environ').read_bytes()


def test_requests_for_a_reload_that_come_meanwhile_are_answered(installed, upstream):
    h = installed(conf(upstream))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(replace, h, check=False)]
        asked += [pool.submit(h.reload, check=False) for _ in range(6)]
        answers = [a.result() for a in asked]
    assert [(a.returncode, a.stderr) for a in answers] == [(0, '')] * 7
    assert h.call('/notes').status == 200


# ---- it is refused, and that is seen: rows 146, 147

def refused(h, pattern, status=1):
    """The running program says so, and goes on."""
    before = state(h)
    done = replace(h, check=False)
    assert done.returncode == status
    assert re.search(pattern, done.stderr), done.stderr
    assert 'goes on' in done.stderr
    assert re.search(pattern, h.log)
    after = state(h)
    assert re.search(pattern, h.wait_audit('reload_failed')[0]['error'])
    assert after['reloads']['failed'] == before['reloads']['failed'] + 1
    assert re.search(pattern, after['reloads']['last_error'])
    assert [after[k] for k in ('pid', 'version', 'generation')] == \
        [before[k] for k in ('pid', 'version', 'generation')]
    assert h.call('/notes').status == 200
    return done


def test_a_program_that_cannot_be_run_is_refused(installed, upstream):
    h = installed(conf(upstream))
    h.program.chmod(0o644)
    refused(h, r'Permission denied')


def test_a_program_that_is_not_there_is_refused(installed, upstream):
    h = installed(conf(upstream))
    h.program.unlink()
    refused(h, r'No such file or directory')


def test_a_program_that_crashes_is_refused(installed, upstream):
    h = installed(conf(upstream))
    install(h, '#!/bin/sh\nkill -SEGV $$\n')
    refused(h, r'its check ended by signal 11')


def test_a_program_of_another_handover_is_refused(installed, upstream):
    h = installed(conf(upstream))
    install(h, '#!/bin/sh\necho mcpauthd 9.9 handover 0.0\n')
    refused(h, r'is mcpauthd 9\.9, which cannot take over what this one has: restart the daemon', 3)


# the check went well, and then the kernel does not run it: nothing was given up
def test_a_program_that_the_kernel_does_not_run_at_last_is_refused(installed, upstream, streams):
    h = installed(conf(upstream), env={f'MUCH{i}': 'x' * 100000 for i in range(3)})
    with open_stream(h) as s:
        real = h.program.with_name('real')
        shutil.copy2(BUILD / 'mcpauthd', real)
        # A stack of 256 KB leaves no room for that environment; the check has begun before.
        install(h, f"""#!{sys.executable}
import os, resource, sys
was, most = resource.getrlimit(resource.RLIMIT_STACK)
resource.prlimit(os.getppid(), resource.RLIMIT_STACK, (1 << 18, most))
os.execv({str(real)!r}, [{str(real)!r}, *sys.argv[1:]])
""")
        before = descriptors(h.process.pid)
        refused(h, r'Argument list too long')
        n = streams.say()
        assert s.message().json() == {'n': n}
        assert descriptors(h.process.pid) == before
        assert [fd for fd in own_descriptors(h.process.pid) if not closes_on_exec(h.process.pid, fd)] == []


def test_a_program_that_is_something_else_is_refused(installed, upstream):
    h = installed(conf(upstream))
    install(h, '#!/bin/sh\nexit 0\n')
    refused(h, r'is no mcpauthd that can take its place')


def test_a_bad_configuration_refuses_it_and_names_the_line(installed, upstream):
    h = installed(conf(upstream))
    other_version(h)
    h.configure({'hub.conf': conf(upstream) + 'serviec more { }\n'})
    done = refused(h, r'cannot serve this configuration')
    assert re.search(r'hub\.conf:\d+:\d+: error: .*serviec', done.stderr)


# found only by the new program's own load, when the old one is gone from the process
def test_an_address_in_use_leaves_the_old_generation_serving(installed, upstream, streams):
    h = installed(conf(upstream))
    with open_stream(h) as s:
        h.extra = f'listen 127.0.0.1:{upstream.port}'
        h.configure(conf(upstream))
        done = replace(h, check=False)
        assert done.returncode == 1
        assert 'the address is in use' in done.stderr and 'generation 1 goes on' in done.stderr
        assert h.call('/notes').status == 200
        n = streams.say()
        assert s.message().json() == {'n': n}
        h.extra = ''
        h.configure(conf(upstream))
        assert h.reload().returncode == 0
        assert generation(h, 1)['state'] == 'draining'


def test_without_a_daemon_the_status_says_that_it_takes_a_start(hub):
    done = replace(hub('', start=False), check=False)
    assert done.returncode == 3
    assert 'no mcpauthd answers at' in done.stderr


# ---- the package: what its script does with those answers

POSTINST = TOP / 'debian' / 'mcpauth.postinst'


@pytest.fixture
def upgrade(tmp_path):
    """Runs the script of an upgrade while the service is ACTIVE and `mcpauth` ends with STATUS; what it
    has called."""
    def make(status, active=True, old='0.0.9'):
        calls = tmp_path / 'calls'
        for name, end in (('mcpauth', status), ('systemctl', 0 if active else 3), ('deb-systemd-invoke', 0)):
            (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\nexit {end}\n')
            (tmp_path / name).chmod(0o755)
        subprocess.run(['/bin/sh', POSTINST, 'configure', *([old] if old else [])], check=True,
                       env={'PATH': f'{tmp_path}:/usr/bin:/bin'}, capture_output=True)
        return [c for c in (calls.read_text().splitlines() if calls.exists() else []) if 'is-active' not in c]
    return make


def test_an_upgrade_of_the_package_replaces_the_running_program(upgrade):
    assert upgrade(0) == ['mcpauth reload --program']


def test_an_upgrade_restarts_a_daemon_that_cannot_be_replaced(upgrade):
    assert upgrade(3) == ['mcpauth reload --program', 'systemctl --system daemon-reload',
                          'deb-systemd-invoke restart mcpauth.service']


def test_an_upgrade_leaves_a_daemon_alone_whose_configuration_is_refused(upgrade):
    assert upgrade(1) == ['mcpauth reload --program']


def test_an_upgrade_while_the_service_is_stopped_and_a_first_installation_replace_nothing(upgrade):
    assert upgrade(0, active=False) == []
    assert upgrade(0, old='') == []


# ---- processes

def test_a_draining_worker_that_is_killed_is_reaped_and_its_generation_ends(installed, upstream, streams):
    h = installed(conf(upstream))
    with open_stream(h) as s:
        replace(h)
        old = generation(h, 1)
        os.kill(old['workers'][0]['pid'], signal.SIGKILL)
        read_to_end(s)
    wait_until(lambda: generation(h, 1) is None, 'the old generation did not end')
    assert not pathlib.Path(f'/proc/{old["workers"][0]["pid"]}').exists()
    assert h.call('/notes').status == 200


def test_a_worker_of_the_old_program_that_is_killed_while_it_serves_is_replaced(installed, upstream):
    h = installed(conf(upstream))
    h.extra = f'listen 127.0.0.1:{upstream.port}'
    h.configure(conf(upstream))
    assert replace(h, check=False).returncode == 1
    before = generation(h, 1)['workers'][0]['pid']
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: [w for w in generation(h, 1)['workers'] if w['ready'] and w['pid'] != before],
               'the worker was not replaced')
    assert h.call('/notes').status == 200


def test_stop_after_it_ends_both_generations(installed, upstream, streams):
    h = installed(conf(upstream), hub='drain_timeout 1s')
    h.extra = ''
    with open_stream(h):
        replace(h)
        assert len(_session(h.process.pid)) > 3
        h.stop()  # asserts status 0 and that no process is left
    assert 'mcpauthd left' not in h.log


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def own_descriptors(pid):
    return [int(fd) for fd in os.listdir(f'/proc/{pid}/fd') if int(fd) > 2]


def closes_on_exec(pid, fd):
    text = pathlib.Path(f'/proc/{pid}/fdinfo/{fd}').read_text()
    return int(re.search(r'flags:\s+(\d+)', text).group(1), 8) & os.O_CLOEXEC != 0


def resident(pid):
    text = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'RssAnon:\s+(\d+) kB', text).group(1))


def test_nothing_accumulates_over_twenty_of_them(installed, upstream):
    h = installed(conf(upstream), hub='drain_timeout 1s')

    def alone():
        return len(state(h)['generations']) == 1
    seen = []
    for i in range(20):
        replace(h)
        if i in (1, 19):
            wait_until(alone, 'the old generations did not end')
            seen.append((descriptors(h.process.pid), resident(h.process.pid),
                         len(_session(h.process.pid))))
    assert seen[1][0] == seen[0][0]
    assert seen[1][1] < seen[0][1] + 2048
    assert seen[1][2] == seen[0][2] == 4
