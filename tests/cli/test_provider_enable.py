"""mcpauth provider enable and disable: the block that an administrator fills in, and the way back."""

import os
import re
import stat
import subprocess

import pytest

from support.hub import RUN

HUB = 'hub { public_url http://127.0.0.1:7070; listen 127.0.0.1:0 }\n'


@pytest.fixture
def conf(tmp_path):
    tmp_path.chmod(0o700)
    write(tmp_path / 'hub.conf', HUB)
    return tmp_path


def write(path, text):
    path.write_text(text)
    path.chmod(0o600)


def mcpauth(conf, *args):
    return subprocess.run([RUN, 'mcpauth', '-c', str(conf), '--state-dir', str(conf / 'state'), *args],
                          capture_output=True, text=True, timeout=60)


def test_enable_writes_every_option_explained_and_names_what_must_be_filled_in(conf):
    done = mcpauth(conf, 'provider', 'enable', 'introspect', 'as', 'corp')
    assert done.returncode == 0, done.stderr
    text = (conf / 'corp.conf').read_text()
    assert 'provider corp {\n    module  introspect\n' in text
    shown = mcpauth(conf, 'provider', 'show', 'introspect').stdout
    for option in re.findall(r'^  ([a-z_]+) ', shown.split('Options of its provider block')[1], re.M):
        assert re.search(rf'^    # {option}  ', text, re.M), option
    assert 'Fill in: url, issuer, client_id' in done.stdout
    assert text.index('# client_id') < text.index('# timeout'), 'what is required comes first'


def test_the_file_is_for_the_hub_only(conf):
    mcpauth(conf, 'provider', 'enable', 'address')
    st = (conf / 'address.conf').stat()
    assert stat.S_IMODE(st.st_mode) == 0o640 and st.st_uid == os.geteuid()


def test_what_it_writes_can_be_filled_in_and_is_then_good(conf):
    mcpauth(conf, 'provider', 'enable', 'address', 'as', 'office')
    path = conf / 'office.conf'
    write(path, path.read_text().replace('# allow  NETWORK ...', 'allow  10.0.0.0/8'))
    write(conf / 'notes.conf', 'provider f { module fault }\n'
          'service notes { path /notes; upstream http://127.0.0.1:9/mcp; auth required f; account office }\n')
    done = mcpauth(conf, 'check')
    assert done.returncode == 0, done.stdout + done.stderr


def test_enable_never_overwrites(conf):
    write(conf / 'address.conf', '# mine\n')
    done = mcpauth(conf, 'provider', 'enable', 'address')
    assert done.returncode == 1 and 'File exists' in done.stderr
    assert (conf / 'address.conf').read_text() == '# mine\n'


@pytest.mark.parametrize('name', ['../x', 'a/b', '', 'A', '.x', 'x y'])
def test_a_name_that_no_block_can_have_is_refused(conf, name):
    assert mcpauth(conf, 'provider', 'enable', 'address', 'as', name).returncode == 1
    assert sorted(p.name for p in conf.iterdir()) == ['hub.conf']


def test_an_unknown_provider_is_named_with_the_nearest(conf):
    done = mcpauth(conf, 'provider', 'enable', 'adress')
    assert done.returncode == 1 and "did you mean 'address'?" in done.stderr


def test_disable_takes_it_out_and_enable_brings_it_back_as_it_was(conf):
    mcpauth(conf, 'provider', 'enable', 'address')
    write(conf / 'address.conf', 'provider address { allow 10.0.0.0/8 }\n')
    assert mcpauth(conf, 'provider', 'disable', 'address').returncode == 0
    assert not (conf / 'address.conf').exists()
    assert mcpauth(conf, 'provider', 'enable', 'address').returncode == 0
    assert (conf / 'address.conf').read_text() == 'provider address { allow 10.0.0.0/8 }\n'


def test_disable_of_what_is_still_named_changes_nothing(conf):
    write(conf / 'office.conf', 'provider office { module address; allow 10.0.0.0/8 }\n')
    write(conf / 'notes.conf', 'provider f { module fault }\n'
          'service notes { path /notes; upstream http://127.0.0.1:9/mcp; auth required f; account office }\n')
    assert mcpauth(conf, 'check').returncode == 0
    done = mcpauth(conf, 'provider', 'disable', 'office')
    assert done.returncode == 1 and 'still needed' in done.stderr and 'office' in done.stderr
    assert (conf / 'office.conf').exists() and mcpauth(conf, 'check').returncode == 0


def test_disable_of_what_is_not_there_says_so(conf):
    done = mcpauth(conf, 'provider', 'disable', 'nothing')
    assert done.returncode == 1 and 'nothing.conf' in done.stderr
