"""The start: what is refused, what is said, what the processes can no longer do."""

import json
import os
import pathlib
import pwd
import queue
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

from support.hub import BUILD, Hub, HubFailed, SLOW, TOP

root = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
SANITIZED = any(word in str(BUILD) for word in ('address', 'thread'))


def conf(upstream):
    return f'service notes {{ path /notes; upstream {upstream.url}; anonymous * }}'


def pids(h):
    g = json.loads(h.cli('status', '--json', check=True).stdout)['generations'][0]
    return {'master': h.process.pid, 'leader': g['leader'], 'worker': g['workers'][0]['pid'],
            'admin': g['admin']['pid']}


def status_of(pid):
    text = pathlib.Path(f'/proc/{pid}/status').read_text()
    return dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)


def test_a_fresh_install_starts_without_a_service_and_says_what_to_do(hub):
    h = hub('')
    line = [x for x in h.log.splitlines() if 'no service is configured' in x]
    assert len(line) == 1
    assert str(h.confdir) in line[0] and 'mcpauth check' in line[0] and 'mcpauth reload' in line[0]
    assert h.request('GET', '/health').status == 200


def test_a_bad_configuration_does_not_start_and_names_the_place(hub):
    h = hub({'hub.conf': 'hub {\n  lisen 127.0.0.1:0\n}\n'}, start=False)
    with pytest.raises(HubFailed, match=r'(?s)ended with 1:.*hub\.conf:2:3: error: .*lisen'):
        h.start()


def test_the_port_file_has_a_line_a_listener(hub):
    h = hub('', hub='listen unix:{dir}/in.sock')
    lines = h.port_file.read_text().splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r'127\.0\.0\.1:0 [1-9]\d+', lines[0])
    assert lines[1] == f'unix:{h.dir}/in.sock 0'
    assert re.fullmatch(r'admin 127\.0\.0\.1:0 [1-9]\d+', lines[2])


def test_relative_paths_are_those_of_the_folder_it_was_started_in(hub):
    h = hub('', start=False)
    h.process = subprocess.Popen(
        [str(TOP / 'run'), 'mcpauthd', '-c', 'conf', '--state-dir', 'state', '--control', 'control',
         '--port-file', 'ports'], cwd=h.dir, stderr=open(h.log_file, 'ab'), start_new_session=True)
    h.wait_ready()
    assert (h.statedir / 'audit.key').exists()
    assert h.reload().returncode == 0


def test_the_state_directory_and_its_keys_are_for_nobody_else(hub):
    h = hub('')
    assert h.statedir.stat().st_mode & 0o777 == 0o700
    for key in ('audit.key', 'keys.ring'):
        assert (h.statedir / key).stat().st_mode & 0o777 == 0o600


def test_keys_stay_the_same_over_restarts(hub):
    h = hub('')
    before = (h.statedir / 'keys.ring').read_bytes()
    h.stop()
    h.start()
    assert (h.statedir / 'keys.ring').read_bytes() == before


def test_a_damaged_key_ring_refuses_to_start(hub):
    """row 120"""
    h = hub('')
    h.stop()
    ring = h.statedir / 'keys.ring'
    ring.write_text(ring.read_text().replace('"key":"', '"key":"A', 1))
    before = ring.read_bytes()
    with pytest.raises(HubFailed, match='keys.ring'):
        h.start()
    assert ring.read_bytes() == before


def test_a_second_daemon_at_the_same_control_socket_is_refused(hub):
    h = hub('')
    other = hub('', start=False)
    other.control = h.control
    with pytest.raises(HubFailed, match='another process answers there'):
        other.start()
    assert h.reload().returncode == 0


# row 193
def test_descriptors_of_a_careless_parent_are_closed(hub):
    h = hub('', start=False)
    leaked = os.open('/dev/null', os.O_RDONLY)
    os.set_inheritable(leaked, True)
    command = [*h.command('mcpauthd'), '--port-file', str(h.port_file)]
    h.process = subprocess.Popen(command, stderr=open(h.log_file, 'ab'), start_new_session=True,
                                 close_fds=False)
    os.close(leaked)
    h.wait_ready()
    for name, pid in pids(h).items():
        for fd in pathlib.Path(f'/proc/{pid}/fd').iterdir():
            assert int(fd.name) < 3 or os.readlink(fd) != '/dev/null', name


# row 193: nothing of the master's or the leader's is left in a worker
def test_a_worker_holds_only_its_own_descriptors(hub):
    h = hub('')
    held = {}
    for name, pid in pids(h).items():
        held[name] = [os.readlink(f) for f in pathlib.Path(f'/proc/{pid}/fd').iterdir()
                      if int(f.name) > 2]
    assert sum('signalfd' in x for x in held['master']) == 1
    for name in ('worker', 'admin'):
        assert not any('signalfd' in x for x in held[name]), name
        assert sum('eventpoll' in x for x in held[name]) <= 3, name
    control = [line.split() for line in pathlib.Path('/proc/net/unix').read_text().splitlines()
               if line.endswith(str(h.control))]
    inodes = {f'socket:[{fields[6]}]' for fields in control}
    assert inodes & set(held['master'])
    for name in ('leader', 'worker', 'admin'):
        assert not inodes & set(held[name]), name


# security c.2
def test_every_process_has_given_up_new_privileges_and_core_files(hub):
    h = hub('')
    for name, pid in pids(h).items():
        assert status_of(pid)['NoNewPrivs'] == '1', name
        limits = pathlib.Path(f'/proc/{pid}/limits').read_text()
        assert re.search(r'Max core file size\s+0\s+0', limits), name
        assert status_of(pid)['Umask'].strip() == '0077', name
        assert os.readlink(f'/proc/{pid}/cwd') == '/', name


def hidden(pid):
    """/proc belongs to root where a process may not be looked into. (Sanitizers look into processes.)"""
    return SANITIZED or pathlib.Path(f'/proc/{pid}/environ').stat().st_uid == 0


# row 125; files of cores: above
@root
def test_nobody_can_look_into_a_process_that_holds_secrets(hub, upstream):
    h = as_user(hub, upstream)
    for name, pid in pids(h).items():
        assert status_of(pid)['Uid'].split()[0] != '0' and hidden(pid), name


# security c.3: what a secret was passed in is not to be seen, what steers libraries is not obeyed
def test_the_environment_is_an_allow_list(hub):
    h = hub('', env={'NOTES_SECRET': 'hunter2-hunter2', 'https_proxy': 'http://127.0.0.1:1',
                     'SSLKEYLOGFILE': '/tmp/keys', 'LTDL_LIBRARY_PATH': '/tmp',
                     'OPENSSL_CONF': '/tmp/evil.cnf', 'CURL_CA_BUNDLE': '/tmp/ca'})
    for name, pid in pids(h).items():
        env = pathlib.Path(f'/proc/{pid}/environ').read_bytes()
        for word in (b'hunter2', b'https_proxy', b'SSLKEYLOGFILE', b'LTDL', b'OPENSSL_CONF', b'CURL_'):
            assert word not in env, name


def test_check_says_whether_it_could_serve_and_serves_nothing(hub, upstream):
    h = hub(conf(upstream), start=False)

    def check():
        return subprocess.run([*h.command('mcpauthd'), '--check'], capture_output=True, text=True, env=h.env,
                              timeout=30 * SLOW)
    done = check()
    assert done.returncode == 0 and done.stdout.endswith(f'{h.confdir}: ok\n')
    h.configure({'hub.conf': 'nonsense\n'})
    done = check()
    assert done.returncode == 1 and re.search(r'hub\.conf:1:1: error: ', done.stdout)
    assert not h.control.exists() and not h.statedir.exists()


# ---- the service manager

class Manager:
    """Reads what the daemon says as it comes: the kernel keeps but ten messages, and feeding a watchdog
    makes that many in two seconds."""

    def __init__(self, h):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.bind(str(h.dir / 'notify'))
        h.env = {**h.env, 'NOTIFY_SOCKET': str(h.dir / 'notify')}
        self.said = queue.Queue()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while True:
            text, ancillary, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(12))
            if text == b'over':
                return
            self.said.put((text.decode(), int.from_bytes(ancillary[0][2][:4], sys.byteorder)))

    def until(self, word):
        """The next message that has WORD, and the pid of who sent it."""
        while True:
            text, pid = self.said.get(timeout=30 * SLOW)
            if word in text:
                return text, pid

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b'over', self.sock.getsockname())
        self.thread.join()
        self.sock.close()


def test_the_service_manager_hears_of_readiness_reloads_and_the_end(hub, upstream):
    h = hub(conf(upstream), start=False)
    with Manager(h) as s:
        h.start()
        s.until('READY=1')
        h.configure(conf(upstream) + '\nservice more { path /more; upstream http://127.0.0.1:9/mcp; anonymous * }')
        h.reload()
        reloading, _ = s.until('RELOADING=1')
        assert re.search(r'^MONOTONIC_USEC=\d+$', reloading, re.M)
        s.until('READY=1')
        h.stop()
        s.until('STOPPING=1')


def test_a_refused_reload_ends_reloading_too(hub, upstream):
    h = hub(conf(upstream), start=False)
    with Manager(h) as s:
        h.start()
        s.until('READY=1')
        h.configure('nonsense')
        assert h.reload(check=False).returncode == 1
        s.until('RELOADING=1')
        s.until('READY=1')


def test_who_cannot_start_is_never_ready(hub):
    h = hub('nonsense', start=False)
    with Manager(h) as s:
        with pytest.raises(HubFailed):
            h.start()
        assert s.said.get(timeout=30 * SLOW)[0] == 'STOPPING=1'


def numbers_of(pid):
    return sorted(int(f) for f in os.listdir(f'/proc/{pid}/fd'))


def test_a_reload_for_which_no_process_can_be_made_ends_reloading_too(hub, upstream):
    h = hub(conf(upstream), start=False)
    with Manager(h) as s:
        h.start()
        s.until('READY=1')
        pid = h.process.pid
        free = (n for n in range(1024) if n not in numbers_of(pid))
        next(free)  # for its messages; the pair for a leader needs two
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (next(free), limits[1]))
        os.kill(pid, signal.SIGHUP)
        h.wait_log('cannot start a leader')
        s.until('RELOADING=1')
        s.until('READY=1')
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        h.reload()


def test_the_watchdog_of_the_service_manager_is_fed(hub):
    h = hub('', start=False)
    h.env = {**h.env, 'WATCHDOG_USEC': '400000'}
    with Manager(h) as s:
        h.start()
        s.until('WATCHDOG=1')
        s.until('WATCHDOG=1')


# the main process stays the same one, busy for a while
def test_the_service_manager_hears_of_another_program_as_of_a_reload(hub, upstream):
    h = hub(conf(upstream), start=False)
    h.env = {**h.env, 'WATCHDOG_USEC': '400000'}
    with Manager(h) as s:
        h.start()
        s.until('READY=1')
        h.cli('reload', '--program', check=True)
        s.until('RELOADING=1')
        s.until('READY=1')
        assert s.until('WATCHDOG=1')[1] == h.process.pid
        h.stop()
        s.until('STOPPING=1')


PASS_SOCKET = '''
import os, sys
fd = int(sys.argv[1])
os.dup2(fd, 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='web')
os.execv(sys.argv[2], sys.argv[2:])
'''


def start_with_socket(h, sock):
    h.process = subprocess.Popen(
        [sys.executable, '-c', PASS_SOCKET, str(sock.fileno()), *h.command('mcpauthd'), '--port-file',
         str(h.port_file)], stderr=open(h.log_file, 'ab'), start_new_session=True,
        pass_fds=[sock.fileno()])


def test_a_socket_of_systemd_is_served_and_survives_reloads(hub, upstream):
    h = hub(conf(upstream), hub='listen systemd:web', start=False)
    with socket.create_server(('127.0.0.1', 0)) as sock:
        start_with_socket(h, sock)
        h.wait_ready()
        port = sock.getsockname()[1]
        assert h.ports['systemd:web'] == port
        assert h.request('GET', '/health', address=('127.0.0.1', port)).status == 200
        h.configure(conf(upstream) + '\nservice more { path /more; upstream http://127.0.0.1:9/mcp; anonymous * }')
        h.reload()
        assert h.request('GET', '/health', address=('127.0.0.1', port)).status == 200


def test_a_socket_of_systemd_is_there_for_the_next_program(hub, upstream):
    h = hub(conf(upstream), hub='listen systemd:web', start=False)
    with socket.create_server(('127.0.0.1', 0)) as sock:
        start_with_socket(h, sock)
        h.wait_ready()
        for _ in range(2):
            h.cli('reload', '--program', check=True)
            assert h.request('GET', '/health', address=sock.getsockname()).status == 200


def test_a_socket_that_systemd_did_not_pass_is_named(hub):
    h = hub('', hub='listen systemd:web', start=False)
    with pytest.raises(HubFailed, match="no socket called 'web'"):
        h.start()


# ---- privileges

USER = 'nobody'


def open_to(h, uid):
    """The hub's folder may be used by that user, the configuration is root's."""
    os.chown(h.dir, uid, -1)
    h.confdir.chmod(0o755)
    for f in h.confdir.iterdir():
        f.chmod(0o644)


def as_user(hub, upstream, extra=''):
    h = hub(conf(upstream), hub=f'user {USER}; {extra}', start=False)
    open_to(h, pwd.getpwnam(USER).pw_uid)
    return h.start()


@root
def test_started_as_root_every_process_becomes_the_user(hub, upstream):
    uid = str(pwd.getpwnam(USER).pw_uid)
    h = as_user(hub, upstream)
    for name, pid in pids(h).items():
        status = status_of(pid)
        assert status['Uid'].split() == [uid] * 4, name
        assert set(status['Groups'].split()) <= {str(pwd.getpwnam(USER).pw_gid)}, name
        assert int(status['CapEff'], 16) == int(status['CapPrm'], 16) == 0, name
    assert h.call('/notes').status == 200
    assert h.statedir.stat().st_uid == int(uid)


@root
def test_a_port_below_1024_is_opened_before_root_is_given_up_and_kept(hub, upstream):
    h = hub(conf(upstream), hub=f'user {USER}; listen 127.0.0.97:97', start=False)
    open_to(h, pwd.getpwnam(USER).pw_uid)
    h.start()
    assert h.request('GET', '/health', address=('127.0.0.97', 97)).status == 200
    h.configure(conf(upstream) + '\nservice more { path /more; upstream http://127.0.0.1:9/mcp; anonymous * }')
    open_to(h, pwd.getpwnam(USER).pw_uid)
    h.reload()
    assert h.request('GET', '/health', address=('127.0.0.97', 97)).status == 200


# nobody gets anything back by it
@root
def test_another_program_in_the_masters_place_is_as_powerless(hub, upstream):
    uid = str(pwd.getpwnam(USER).pw_uid)
    h = hub(conf(upstream), hub=f'user {USER}; listen 127.0.0.96:96', start=False)
    build = h.dir / 'build'  # where that user may go
    build.mkdir()
    build.chmod(0o755)
    for name in ('mcpauth', 'mcpauthd'):
        shutil.copyfile(BUILD / name, build / name)
        (build / name).chmod(0o755)
    h.env = {**h.env, 'MCPAUTH_BUILD': str(build)}
    open_to(h, pwd.getpwnam(USER).pw_uid)
    h.start()
    h.cli('reload', '--program', check=True)
    for name, pid in pids(h).items():
        status = status_of(pid)
        assert status['Uid'].split() == [uid] * 4, name
        assert set(status['Groups'].split()) <= {str(pwd.getpwnam(USER).pw_gid)}, name
        assert int(status['CapEff'], 16) == int(status['CapPrm'], 16) == 0, name
        assert status['NoNewPrivs'] == '1' and hidden(pid), name  # execve forgets that
    assert h.request('GET', '/health', address=('127.0.0.96', 96)).status == 200
    h.extra = 'user daemon; listen 127.0.0.96:96'
    h.configure(conf(upstream))
    open_to(h, pwd.getpwnam(USER).pw_uid)
    assert 'the user changes at a restart only' in h.reload(check=False).stderr


@root
def test_a_new_port_below_1024_at_reload_is_refused_with_the_reason(hub, upstream):
    h = as_user(hub, upstream)
    h.extra = f'user {USER}; listen 127.0.0.98:98'
    h.configure(conf(upstream))
    open_to(h, pwd.getpwnam(USER).pw_uid)
    done = h.reload(check=False)
    assert done.returncode == 1
    assert 'a port below 1024 can only be opened as root' in done.stderr
    assert h.call('/notes').status == 200


# what loads at start loads at reload: the first start reads as the user already
@root
def test_a_file_that_only_root_can_read_is_refused_at_the_first_start(hub, upstream):
    h = hub(conf(upstream), hub=f'user {USER}', start=False)
    open_to(h, pwd.getpwnam(USER).pw_uid)
    (h.confdir / 'hub.conf').chmod(0o600)
    with pytest.raises(HubFailed, match='hub.conf'):
        h.start()


@root
def test_the_user_changes_at_a_restart_only(hub, upstream):
    h = as_user(hub, upstream)
    h.extra = 'user daemon'
    h.configure(conf(upstream))
    open_to(h, pwd.getpwnam(USER).pw_uid)
    done = h.reload(check=False)
    assert done.returncode == 1
    assert 'the user changes at a restart only' in done.stderr


@root
def test_a_user_that_a_daemon_of_root_reads_at_a_reload_is_for_the_restart(hub, upstream):
    h = hub(conf(upstream))
    h.extra = f'user {USER}'
    h.configure(conf(upstream))
    h.reload()
    h.wait_log(f"user '{USER}' is taken up at a restart only: this goes on as root")
    assert status_of(pids(h)['worker'])['Uid'].split() == ['0'] * 4


@root
def test_a_reload_for_which_there_is_no_process_keeps_no_descriptor(hub, upstream):
    h = as_user(hub, upstream)
    pid = h.process.pid

    def processes(soft):  # as the user: root may not be allowed to set it here
        limit = ('import resource, sys; pid, what = int(sys.argv[1]), resource.RLIMIT_NPROC; '
                 f'hard = resource.prlimit(pid, what)[1]; resource.prlimit(pid, what, ({soft}, hard))')
        subprocess.run([sys.executable, '-c', limit, str(pid)], user=USER, group=pwd.getpwnam(USER).pw_gid, check=True)
    before = numbers_of(pid)
    processes(0)
    for _ in range(3):
        assert 'cannot start a leader' in h.reload(check=False).stderr
    assert numbers_of(pid) == before
    processes('hard')  # a sanitizer needs one to look for leaks at the end


@root
def test_the_control_socket_answers_root_and_the_daemons_user_only(hub, upstream):
    h = as_user(hub, upstream)
    os.chmod(h.dir, 0o755)
    ask = [sys.executable, '-c', 'import socket,sys; s=socket.socket(socket.AF_UNIX); '
           's.connect(sys.argv[1]); s.sendall(b"status\\n"); print(s.recv(100)[:1])', str(h.control)]
    mine = subprocess.run(ask, user=USER, capture_output=True, text=True)
    other = subprocess.run(ask, user='daemon', capture_output=True, text=True)
    assert mine.stdout == "b'{'\n", mine.stderr
    assert other.returncode != 0
