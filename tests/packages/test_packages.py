"""apt install of the packages on a Debian 12 that has nothing, and what an administrator then does."""

import re

CONF = '/etc/mcpauth.d'
# Says `served` when the fresh hub answers; no curl on a bare machine.
ASK = r'''ask () { exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n' "$1" >&3 && cat <&3; }
'''
# The daemon as the unit starts it, until it serves.
START = r'''
setpriv --reuid mcpauth --regid mcpauth --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
  mcpauthd --port-file /run/mcpauth/ports >>/root/log 2>&1 & daemon=$!
for i in $(seq 600); do [ -e /run/mcpauth/ports ] && break; sleep 0.05; done
'''


def modes(machine, *paths):
    out = machine.run(f'stat -c "%n %U:%G %a" {" ".join(paths)}')
    return dict(line.split(' ', 1) for line in out.splitlines())


def states(machine):
    out = machine.run("dpkg-query -W -f '${Package} ${db:Status-Status}\\n' | grep mcpauth || true")
    return dict(line.split() for line in out.splitlines())


def test_apt_leaves_nothing_half_installed(machine):
    assert states(machine) == {'mcpauth': 'installed', 'mcpauth-cli': 'installed', 'libmcpauth-dev': 'installed'}
    assert machine.run('dpkg --audit') == ''


def test_the_daemon_gets_a_user_that_nobody_can_log_in_as(machine):
    name, password, uid, _, _, home, shell = machine.run('getent passwd mcpauth').strip().split(':')
    assert (home, shell) == ('/var/lib/mcpauth', '/usr/sbin/nologin') and 0 < int(uid) < 1000
    assert machine.run('getent shadow mcpauth').split(':')[1] in ('!', '!*', '*')


def test_folders_belong_to_whom_they_should(machine):
    assert modes(machine, CONF, f'{CONF}/hub.conf', '/var/lib/mcpauth', '/run/mcpauth') == {
        CONF: 'root:root 755', f'{CONF}/hub.conf': 'root:root 644',
        '/var/lib/mcpauth': 'mcpauth:mcpauth 700', '/run/mcpauth': 'mcpauth:mcpauth 755'}


def test_no_file_of_the_packages_is_privileged_or_writable_by_others(machine):
    found = machine.run('find $(dpkg -L mcpauth mcpauth-cli libmcpauth-dev) -maxdepth 0 ! -type l '
                        '\\( ! -user root -o -perm /6022 \\)')
    assert found == ''


def test_the_configuration_is_a_conffile(machine):
    assert re.findall(r'(/\S+) ', machine.run("dpkg-query -W -f '${Conffiles}' mcpauth")) == [f'{CONF}/hub.conf']


def test_the_service_begins_at_boot_and_its_program_is_there(machine):
    unit = machine.run('cat /lib/systemd/system/mcpauth.service')
    for program in re.findall(r'^Exec\w+=(\S+)', unit, re.M):
        machine.run(f'test -x {program}')
    machine.run('test -L /etc/systemd/system/multi-user.target.wants/mcpauth.service')


def test_systemd_finds_the_service_well_hardened(machine):
    out = machine.run('systemd-analyze --no-pager --offline=true --threshold=15 security mcpauth.service')
    assert float(re.search(r'Overall exposure level for mcpauth\.service: ([0-9.]+)', out)[1]) <= 1.5


def test_check_passes_at_once_and_says_that_there_is_no_service(machine):
    assert 'no service is configured' in machine.run('mcpauth check')


def test_check_by_root_finds_what_the_daemon_could_not_read(machine):
    machine.path(f'{CONF}/x.conf').write_text(
        f'provider jwt {{ module google-oauth; client_id c; client_secret file:{CONF}/s }}\n'
        'service s { path /s; upstream http://127.0.0.1:9/mcp; auth required jwt }\n')
    secret = machine.path(f'{CONF}/s')
    secret.write_text('a-secret-for-this-test')
    secret.chmod(0o600)
    done = machine.try_('mcpauth check')
    assert done.returncode == 1 and 'Permission denied' in done.stdout
    machine.run(f'chgrp mcpauth {CONF}/s && chmod 640 {CONF}/s && mcpauth check')


def test_what_root_lets_the_command_write_the_daemon_can_read(machine):
    machine.run('mcpauth provider enable static-token as tokens')
    assert modes(machine, f'{CONF}/tokens.conf') == {f'{CONF}/tokens.conf': 'root:mcpauth 640'}
    path = machine.path(f'{CONF}/tokens.conf')
    path.write_text(re.sub(r'# file  .*', f'file {CONF}/ci.tokens', path.read_text()))
    machine.path(f'{CONF}/s.conf').write_text('service s { path /s; upstream http://127.0.0.1:9/mcp; auth required tokens }\n')
    machine.run(f'mcpauth token create --file {CONF}/ci.tokens --subject ci build && mcpauth check')


def test_a_fresh_daemon_started_by_root_becomes_its_user_serves_and_says_what_to_write(machine):
    out = machine.run(ASK + '''
mcpauthd --port-file /root/ports >/root/log 2>&1 & daemon=$!
for i in $(seq 600); do [ -e /root/ports ] && break; sleep 0.05; done
ask /healthz
for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" != /usr/sbin/mcpauthd ] || echo "user of $p: $(stat -c %U $p)"; done
mcpauth status && mcpauth reload
kill $daemon && wait $daemon && echo ended well
cat /root/log''', offline=True)
    assert 'HTTP/1.1 200' in out and 'ended well' in out
    assert f'write {CONF}/NAME.conf with a `service NAME' in out
    users = re.findall(r'user of /proc/\d+: (\S+)', out)
    assert len(users) >= 3 and set(users) == {'mcpauth'}
    assert 'WARN master: running as root' not in out


def test_the_daemon_starts_as_the_unit_starts_it(machine):
    out = machine.run(ASK + START + 'ask /healthz; kill $daemon && wait $daemon && echo ended well; cat /root/log', offline=True)
    assert 'HTTP/1.1 200' in out and 'ended well' in out
    assert not re.search(r'(?m)^\S+ (ERROR|WARN) (?!master: no service is configured)', out)


def test_what_root_does_with_the_state_leaves_it_to_the_daemon(machine):
    """Keys and the store are changed by root at the command line, before and while the daemon runs."""
    machine.path(f'{CONF}/oauth.conf').write_text('oauth { }\n')
    out = machine.run(START + '''
mcpauth keys list; mcpauth keys rotate signing && mcpauth grants list; mcpauth clients list; mcpauth status
kill $daemon && wait $daemon && echo ended well
mcpauth keys rotate sealing --now && mcpauth keys rewrap; mcpauth grants list; mcpauth token list; mcpauth audit tail >/dev/null
find /var/lib/mcpauth ! -user mcpauth -printf "not the daemon's: %p\\n"
rm -f /run/mcpauth/ports''' + START + '''
kill $daemon && wait $daemon && echo ended well; cat /root/log''', offline=True)
    assert out.count('ended well') == 2 and "not the daemon's" not in out, out
    assert ' ERROR ' not in out


def test_an_upgrade_keeps_what_the_administrator_changed(machine, next_release):
    machine.path(f'{CONF}/hub.conf').write_text('# mine\nhub { public_url http://127.0.0.1:1; listen 127.0.0.1:1 }\n')
    machine.path(f'{CONF}/notes.conf').write_text('# mine too\n')
    machine.run('install -o mcpauth -m 600 /dev/null /var/lib/mcpauth/keys.ring')
    machine.install([next_release('mcpauth', '# theirs\n'), next_release('mcpauth-cli'), next_release('libmcpauth-dev')],
                    '-o Dpkg::Options::=--force-confold')
    assert machine.run("dpkg-query -W -f '${Version}' mcpauth") == '99'
    assert machine.path(f'{CONF}/hub.conf').read_text().startswith('# mine')
    assert machine.path(f'{CONF}/hub.conf.dpkg-dist').read_text() == '# theirs\n'
    assert machine.path(f'{CONF}/notes.conf').exists() and machine.path('/var/lib/mcpauth/keys.ring').exists()


def test_an_upgrade_asks_nothing_when_only_the_administrator_changed_something(machine, next_release):
    with machine.path(f'{CONF}/hub.conf').open('a') as f:
        f.write('# mine\n')
    machine.install([next_release('mcpauth'), next_release('mcpauth-cli'), next_release('libmcpauth-dev')])
    assert machine.path(f'{CONF}/hub.conf').read_text().endswith('# mine\n')
    assert 'no service is configured' in machine.run('mcpauth check')


def test_an_upgrade_puts_the_new_program_in_the_place_of_the_running_one(machine, next_release):
    """There is no systemd on this machine: somebody says in its name that the daemon runs."""
    fake = machine.path('/usr/bin/systemctl')
    fake.unlink()
    fake.write_text('#!/bin/sh\ncase "$*" in *is-active*) exit 0 ;; esac\nexit 1\n')
    fake.chmod(0o755)
    new = [machine.put(next_release(name)) for name in ('mcpauth', 'mcpauth-cli', 'libmcpauth-dev')]
    out = machine.run(START + f'''
stat -Lc 'before: %i' /proc/$daemon/exe
apt-get -y install {' '.join(new)}
stat -Lc 'after: %i' /proc/$daemon/exe /usr/sbin/mcpauthd
mcpauth status; kill $daemon && wait $daemon && echo ended well; cat /root/log''', offline=True)
    before, [running, installed] = re.findall(r'before: (\d+)', out), re.findall(r'after: (\d+)', out)
    assert running == installed and before != [running], out
    assert re.search(r'(?m)^2 +serving', out) and 'ended well' in out, out


def test_dpkg_dist_and_its_like_are_no_configuration(machine):
    for name in ('hub.conf.dpkg-dist', 'hub.conf.dpkg-old', 'hub.conf~'):
        machine.path(f'{CONF}/{name}').write_text('nonsense {\n')
    machine.run('mcpauth check')


def used(machine):
    """The machine after the hub has been used: state, a file that the administrator wrote."""
    machine.run('install -o mcpauth -m 600 /dev/null /var/lib/mcpauth/keys.ring')
    machine.path(f'{CONF}/notes.conf').write_text('# mine\n')


def test_removal_keeps_configuration_and_state(machine):
    used(machine)
    machine.run('apt-get -y remove mcpauth')
    machine.run(f'test -e {CONF}/hub.conf && test -e {CONF}/notes.conf && test -e /var/lib/mcpauth/keys.ring')
    assert states(machine)['mcpauth'] == 'config-files'


def test_purging_takes_the_state_and_leaves_what_the_administrator_wrote(machine):
    used(machine)
    machine.run('apt-get -y purge mcpauth mcpauth-cli libmcpauth-dev')
    assert states(machine) == {}
    left = machine.run(f'find {CONF} /var/lib/mcpauth /run/mcpauth /etc/systemd /lib/systemd /usr -name "*mcpauth*" '
                       f'-o -path "{CONF}/*" 2>/dev/null || true').split()
    assert left == [CONF, f'{CONF}/notes.conf']
