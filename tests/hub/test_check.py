"""mcpauth check: what it prints, its exit status, whom it becomes, and that what it prints loads again.
Rows 121, 138, 139, 141, 145."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('MCPAUTH_BUILD', TOP / 'build'))
NOBODY = 65534

GOOD = '''
hub {{ public_url http://127.0.0.1:8080; listen 127.0.0.1:0 }}
scope notes:read {{ text "Read notes" }}
provider tokens {{ module static-token; file {tokens} }}
service notes {{
    path           /notes
    upstream       http://127.0.0.1:9/mcp
    upstream_auth  bearer env:NOTES_KEY
    auth           required tokens
    require        scope notes:read
}}
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty configuration folder that everybody may look at."""
    for path in (tmp_path, *tmp_path.parents):
        if path != pathlib.Path(tempfile.gettempdir()) and path.is_relative_to(tempfile.gettempdir()):
            path.chmod(0o755)
    conf = tmp_path / 'conf'
    conf.mkdir()
    conf.chmod(0o755)
    (tmp_path / 'tokens').write_text('')
    (tmp_path / 'tokens').chmod(0o640)
    if os.geteuid() == 0:
        os.chown(tmp_path / 'tokens', 0, NOBODY)
    readable_build(tmp_path)
    monkeypatch.setenv('MCPAUTH_BUILD', str(tmp_path / 'build'))
    return conf


def readable_build(folder):
    """What is built, where everybody may read it, whatever the modes in and above the tree are."""
    plugins = folder / 'build/plugins/.libs'
    plugins.mkdir(parents=True)
    for path in (plugins, *plugins.parents[:2]):
        path.chmod(0o755)
    (folder / 'build/mcpauth').symlink_to(BUILD / 'mcpauth')
    shutil.copyfile(BUILD / 'plugins/.libs/static-token.so', plugins / 'static-token.so')
    (plugins / 'static-token.so').chmod(0o644)


def write(conf, text, name='hub.conf', mode=0o644):
    path = conf / name
    path.write_text(text)
    path.chmod(mode)
    return path


def good(conf):
    return write(conf, GOOD.format(tokens=conf.parent / 'tokens'))


def check(conf, *args, env=()):
    env = {**os.environ, 'NOTES_KEY': 'canary-7c41', **dict(env)}
    return subprocess.run([TOP / 'run', 'mcpauth', '-c', conf, 'check', *args], env=env, text=True,
                          capture_output=True, timeout=30)


def effective(conf):
    """What `check -v` prints, without the notes behind it."""
    text = check(conf, '-v').stdout
    return text[text.index('# The effective'):text.index('# In words')]


def test_a_good_configuration_ends_with_0_and_counts(folder):
    good(folder)
    done = check(folder)
    assert (done.returncode, done.stdout) == (0, '0 errors, 0 warnings\n')


def test_an_error_has_its_place_the_nearest_name_and_status_1(folder):
    path = good(folder)
    path.write_text(path.read_text().replace('public_url', 'publik_url'))
    done = check(folder)
    assert done.returncode == 1
    assert f"{path}:2:7: error: there is no 'publik_url' in a 'hub' block; did you mean 'public_url'?\n" in done.stdout
    assert done.stdout.endswith('2 errors, 0 warnings\n')


def test_a_warning_is_named_and_does_not_fail(folder):
    write(folder, 'hub { public_url http://127.0.0.1:1; audit off; }')
    done = check(folder)
    assert done.returncode == 0
    assert '[audit-off]\n' in done.stdout
    assert done.stdout.endswith('0 errors, 2 warnings\n')


@pytest.mark.parametrize('args', [['--nonsense'], ['word'], ['--as']])
def test_a_wrong_use_ends_with_2(folder, args):
    good(folder)
    assert check(folder, *args).returncode == 2


def test_a_missing_folder_is_an_error(folder):
    done = check(folder / 'none')
    assert done.returncode == 1
    assert 'No such file or directory' in done.stdout


def test_verbose_says_in_words_who_may_call_what(folder):
    good(folder)
    out = check(folder, '-v').stdout
    assert 'service notes: every tool, resource and prompt: any granted caller with scope notes:read\n' in out
    assert 'service notes: asks required tokens\n' in out


def test_verbose_shows_defaults_and_no_secret(folder):
    good(folder)
    out = check(folder, '-v').stdout
    assert '    header_timeout 10s\n' in out
    assert '    max_body 4m\n' in out
    assert 'canary' not in out
    assert '    upstream_auth bearer env:NOTES_KEY # fingerprint ' in out


def test_what_verbose_prints_is_a_configuration_that_prints_itself(folder):
    path = good(folder)
    first = effective(folder)
    path.write_text(first)
    assert effective(folder) == first


def test_a_module_that_does_not_exist_is_an_error_at_its_word(folder):
    path = good(folder)
    path.write_text(path.read_text().replace('static-token', 'static-tokens'))
    done = check(folder)
    assert done.returncode == 1
    assert f"{path}:4:26: error: the module 'static-tokens' cannot be used" in done.stdout
    assert done.stdout.count("did you mean 'static-token'?") == 1


def test_a_condition_on_a_provider_that_does_not_exist_is_one_error(folder):
    path = good(folder)
    path.write_text(path.read_text().replace('service notes {', 'service notes { tool x require provider tokns;'))
    done = check(folder)
    assert "there is no provider 'tokns'; did you mean 'tokens'?" in done.stdout
    assert 'never-matching-rule' not in done.stdout


def test_a_token_file_that_nobody_made_yet_is_an_error_with_its_path(folder):
    path = good(folder)
    tokens = folder.parent / 'tokens'
    tokens.unlink(missing_ok=True)
    done = check(folder)
    assert done.returncode == 1
    assert f'{path}:' in done.stdout and f'{tokens}: No such file or directory' in done.stdout


def test_a_systemd_credential_is_read(folder):
    path = good(folder)
    path.write_text(path.read_text().replace('env:NOTES_KEY', 'credential:notes'))
    (folder.parent / 'notes').write_text('a-secret-of-systemd\n')
    (folder.parent / 'notes').chmod(0o400)
    assert check(folder, env={'CREDENTIALS_DIRECTORY': str(folder.parent)}).returncode == 0


root = pytest.mark.skipif(os.geteuid() != 0, reason='only root becomes somebody else')


@root
def test_a_file_that_the_user_cannot_read_is_an_error(folder):
    good(folder)
    path = write(folder, '', 'other.conf', 0o600)
    done = check(folder, '--as', 'nobody')
    assert done.returncode == 1
    assert f'{path}: error: {path}: Permission denied\n' in done.stdout


@root
def test_root_checks_as_the_user_of_the_hub(folder):
    path = good(folder)
    path.write_text(path.read_text().replace('hub {', 'hub { user nobody;'))
    other = write(folder, '', 'other.conf', 0o600)
    done = check(folder)
    assert done.returncode == 1
    assert f'{other}: error' in done.stdout
    os.chown(other, NOBODY, NOBODY)
    assert check(folder).returncode == 0


@root
def test_a_secret_that_the_user_cannot_read_is_an_error(folder):
    path = good(folder)
    secret = folder.parent / 'notes.key'
    secret.write_text('only-for-root')
    secret.chmod(0o600)
    path.write_text(path.read_text().replace('env:NOTES_KEY', f'file:{secret}'))
    assert check(folder).returncode == 0
    done = check(folder, '--as', 'nobody')
    assert done.returncode == 1
    assert 'Permission denied' in done.stdout


@root
def test_a_user_that_does_not_exist_is_an_error(folder):
    path = good(folder)
    path.write_text(path.read_text().replace('hub {', 'hub { user no-such-user;'))
    done = check(folder)
    assert done.returncode == 1
    assert "there is no user 'no-such-user' on this machine" in done.stdout


@root
def test_a_file_of_another_user_is_refused(folder):
    path = good(folder)
    os.chown(path, NOBODY, NOBODY)
    done = check(folder)
    assert done.returncode == 1
    assert 'belongs to neither root nor' in done.stdout
