"""mcpauth token: what a person does with the tokens of a static-token provider, on the file itself."""

import concurrent.futures
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess

import pytest

from support.hub import RUN

SECRET = re.compile(r'^mcpa_[A-Za-z0-9_-]{43}_[0-9a-f]{6}\n$')


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'ci.tokens'


def token(*args, file=None, stdin='', status=0):
    """Runs `mcpauth token ARGS --file FILE`; (standard output, standard error)."""
    line = [RUN, 'mcpauth', 'token', *args, *(['--file', str(file)] if file else [])]
    r = subprocess.run(line, input=stdin, capture_output=True, text=True, timeout=30)
    assert r.returncode == status, (line, r.returncode, r.stdout, r.stderr)
    return r.stdout, r.stderr


def create(file, *args, id='deploy', subject='ci'):
    return token('create', '--subject', subject, *args, id, file=file)[0].strip()


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines() if line and line[0] != '#']


def test_create_prints_a_scannable_secret_once_and_stores_its_hash(file):
    """row 118"""
    out, err = token('create', '--subject', 'ci', '--scope', 'notes:read', '--scope', 'notes:write', 'deploy',
                     file=file)
    assert SECRET.match(out)
    secret = out.strip()
    assert secret not in err
    [t] = lines(file)
    assert t['id'] == 'deploy' and t['subject'] == 'ci' and t['scopes'] == ['notes:read', 'notes:write']
    assert t['sha256'] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret[5:48] not in file.read_text()


def test_the_check_digits_are_the_begin_of_the_sha256_of_the_rest(file):
    secret = create(file)
    assert secret[49:] == hashlib.sha256(secret[:48].encode()).hexdigest()[:6]


def test_a_new_file_can_be_read_by_its_group_and_nobody_else(file):
    """row 121"""
    create(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_claims_are_json_or_plain_words(file):
    create(file, '--claim', 'role=admin', '--claim', 'teams=["a",1]', '--claim', 'on=true')
    assert lines(file)[0]['claims'] == {'role': 'admin', 'teams': ['a', 1], 'on': True}


def test_an_id_is_made_up_when_none_is_given(file):
    token('create', '--subject', 'ci', file=file)
    token('create', '--subject', 'ci', file=file)
    a, b = lines(file)
    assert re.fullmatch(r't-[0-9a-f]{8}', a['id']) and a['id'] != b['id']


def test_verify_says_whose_a_secret_is(file):
    secret = create(file, '--scope', 'notes:read')
    out, _ = token('verify', file=file, stdin=secret + '\n')
    assert 'deploy' in out and 'ci' in out and 'notes:read' in out and secret not in out


@pytest.mark.parametrize('bend', [
    lambda s: '', lambda s: s[:-1], lambda s: s + 'a', lambda s: s[:-1] + ('0' if s[-1] != '0' else '1'),
    lambda s: s[:10] + ('A' if s[10] != 'A' else 'B') + s[11:], lambda s: s.upper(), lambda s: 'x' * 5000])
def test_verify_refuses_what_is_not_the_secret(file, bend):
    """row 20"""
    secret = create(file)
    _, err = token('verify', file=file, stdin=bend(secret), status=1)
    assert secret not in err


def test_a_secret_on_the_command_line_is_refused(file):
    """row 33"""
    secret = create(file)
    for action in ('show', 'revoke', 'rotate'):
        _, err = token(action, secret, file=file, status=2)
        assert 'command line' in err and secret not in err
    assert len(lines(file)) == 1


def test_rotate_replaces_the_secret_at_once(file):
    old = create(file)
    new = token('rotate', 'deploy', file=file)[0].strip()
    token('verify', file=file, stdin=old, status=1)
    token('verify', file=file, stdin=new)


def test_rotate_with_overlap_keeps_the_old_secret_until_then(file):
    old = create(file)
    new = token('rotate', 'deploy', '--overlap', '24h', file=file)[0].strip()
    assert 'before the rotation' in token('verify', file=file, stdin=old)[0]
    assert 'before the rotation' not in token('verify', file=file, stdin=new)[0]
    newest = token('rotate', 'deploy', '--overlap', '1h', file=file)[0].strip()
    token('verify', file=file, stdin=old, status=1)
    token('verify', file=file, stdin=new)
    token('verify', file=file, stdin=newest)


def test_disable_and_enable(file):
    secret = create(file)
    token('disable', 'deploy', file=file)
    assert 'disabled' in token('verify', file=file, stdin=secret, status=1)[1]
    token('enable', 'deploy', file=file)
    token('verify', file=file, stdin=secret)


def test_revoke_removes_the_token_and_nothing_else(file):
    secret = create(file)
    other = create(file, id='other')
    token('revoke', 'deploy', file=file)
    assert [t['id'] for t in lines(file)] == ['other']
    assert 'no such token' in token('verify', file=file, stdin=secret, status=1)[1]
    token('verify', file=file, stdin=other)


def test_an_expiry_in_the_past_is_refused(file):
    for when in ('2020-01-01T00:00:00Z', '0d', '-1d', 'tomorrow', ''):
        token('create', '--subject', 'ci', '--expires', when, file=file, status=1)
    create(file, '--expires', '90d')
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', lines(file)[0]['expires'])


def test_list_shows_what_there_is_and_no_hash(file):
    create(file, '--scope', 'notes:read')
    create(file, id='other', subject='bob')
    token('disable', 'other', file=file)
    out, _ = token('list', file=file)
    head, *rows = out.splitlines()
    assert head.split()[:2] == ['ID', 'SUBJECT']
    assert rows[0].split()[:3] == ['deploy', 'ci', 'good'] and rows[1].split()[:3] == ['other', 'bob', 'disabled']
    assert lines(file)[0]['sha256'] not in out


def test_comments_and_other_lines_stay_byte_for_byte(file):
    create(file)
    text = '# ours\n\n' + file.read_text().replace('"subject":"ci"', '"subject" :  "ci"')
    file.write_text(text)
    create(file, id='second')
    assert file.read_text().startswith(text)
    token('revoke', 'second', file=file)
    assert file.read_text() == text


def test_mode_and_link_stay(file, tmp_path):
    create(file)
    file.chmod(0o600)
    link = tmp_path / 'link'
    link.symlink_to(file)
    token('disable', 'deploy', file=link)
    assert link.is_symlink() and not file.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert lines(file)[0]['enabled'] is False
    assert sorted(p.name for p in tmp_path.iterdir()) == ['ci.tokens', 'link']


def test_a_file_with_a_mistake_is_not_touched(file):
    create(file)
    broken = file.read_text() + '{"id":"x"}\n'
    file.write_text(broken)
    _, err = token('create', '--subject', 's', 'new', file=file, status=1)
    assert 'line 2 column' in err
    assert file.read_text() == broken


def test_a_full_disk_leaves_the_old_file(file):
    """row 178"""
    secret = create(file)
    before = file.read_bytes()
    r = subprocess.run(['sh', '-c', f'ulimit -f 0; exec {RUN} mcpauth token create --subject s --file {file} new'],
                       capture_output=True, text=True, timeout=30, preexec_fn=ignore_sigxfsz)
    assert r.returncode == 1 and 'cannot' in r.stderr, r
    assert r.stdout == ''
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
    token('verify', file=file, stdin=secret)


def ignore_sigxfsz():
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_many_at_once_lose_nothing(file):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: create(file, id=f't{i}'), range(40)))
    assert sorted(t['id'] for t in lines(file)) == sorted(f't{i}' for i in range(40))


@pytest.mark.parametrize('args,says', [
    ([], 'which action'), (['creat'], "did you mean 'create'"), (['create'], '--subject'), (['show'], 'of which token'),
    (['list', 'deploy'], 'no id'), (['list', '--overlap', '1h'], 'does not take'), (['revoke', 'a', 'b'], 'one id')])
def test_wrong_words_are_usage_errors(args, says, file):
    _, err = token(*args, file=file if args else None, status=2)
    assert says in err


@pytest.mark.parametrize('args', [
    ['--scope', 'a b'], ['--scope', ''], ['--claim', 'x'], ['--claim', 'account=1'], ['--claim', 'a=1', '--claim', 'a=2'],
    ['--subject', ''], ['--subject', 'a\nb'], ['--subject', 'x' * 513]])
def test_values_that_a_token_cannot_have_are_refused(args, file):
    token('create', '--subject', 'ci', *args, 'deploy', file=file, status=1)
    assert not file.exists() or file.read_text() == ''


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give files away')
def test_the_owner_stays(file):
    create(file)
    os.chown(file, 12345, 23456)
    token('disable', 'deploy', file=file)
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give files away')
def test_a_file_that_root_makes_is_read_by_the_user_that_the_hub_becomes(tmp_path):
    """row 121"""
    conf = tmp_path / 'conf'
    conf.mkdir(mode=0o755)
    (conf / 'hub.conf').write_text('hub { public_url http://127.0.0.1:7070; listen 127.0.0.1:0; user games }\n')
    file = conf / 'ci.tokens'
    done = subprocess.run([RUN, 'mcpauth', '-c', conf, 'token', 'create', '--file', file, '--subject', 'ci', 'build'],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert (file.stat().st_uid, file.stat().st_gid) == (0, pwd.getpwnam('games').pw_gid)


# ---- with a configuration

CONF = '''
hub {{ public_url http://127.0.0.1:7070; listen 127.0.0.1:0; state_dir {state} }}
provider ci-tokens {{ module static-token; file {file} }}
{more}
service notes {{ path /notes; upstream http://127.0.0.1:3001/mcp; auth sufficient ci-tokens; {auth} }}
'''


@pytest.fixture
def confdir(file, tmp_path):
    path = tmp_path / 'conf'
    path.mkdir(mode=0o700)

    def write(more='', auth=''):
        (path / 'hub.conf').write_text(CONF.format(state=tmp_path / 'state', file=file, more=more, auth=auth))
        return path
    return write


def with_conf(confdir, *args, status=0):
    r = subprocess.run([RUN, 'mcpauth', '-c', str(confdir), 'token', *args], capture_output=True, text=True, timeout=30)
    assert r.returncode == status, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout, r.stderr


def test_the_file_of_a_provider_is_found_and_made(file, confdir):
    out, _ = with_conf(confdir(), 'create', '--provider', 'ci-tokens', '--subject', 'ci', 'deploy')
    assert SECRET.match(out) and [t['id'] for t in lines(file)] == ['deploy']


def test_a_scope_that_the_configuration_does_not_declare_is_noted(file, confdir):
    conf = confdir('scope notes:read { text "Read your notes" }')
    _, err = with_conf(conf, 'create', '--subject', 'ci', '--scope', 'notes:read', '--scope', 'notes:raed', 'deploy')
    assert "no scope 'notes:raed'" in err and "'notes:read'" not in err


def test_the_only_provider_needs_no_name(file, confdir):
    with_conf(confdir(), 'create', '--subject', 'ci', 'deploy')
    out, _ = with_conf(confdir(), 'list')
    assert out.splitlines()[1].split()[:5] == ['deploy', 'ci', 'good', 'never', '0']


def test_one_of_several_must_be_named(file, confdir):
    conf = confdir(f'provider more {{ module static-token; file {file}2 }}', 'auth sufficient more')
    assert 'several' in with_conf(conf, 'list', status=1)[1]
    with_conf(conf, 'create', '--provider', 'more', '--subject', 'x', 'y')
    assert not file.exists()


def test_a_provider_that_does_not_exist_is_named(confdir):
    assert "'nope'" in with_conf(confdir(), 'list', '--provider', 'nope', status=1)[1]


def test_a_configuration_that_does_not_load_is_said_to_be_the_reason(confdir):
    conf = confdir('prowider x { }')
    _, err = with_conf(conf, 'list', status=1)
    assert 'does not load here' in err and 'prowider' in err
