"""mcpauth provider list and show: what is printed comes from the providers' own tables."""

import os
import shutil
import subprocess

from support.hub import RUN, TOP

BUILD = os.environ.get('MCPAUTH_BUILD', str(TOP / 'build'))
PLUGINS = os.path.join(BUILD, 'plugins', '.libs')


def provider(*args):
    return subprocess.run([RUN, 'mcpauth', 'provider', *args], capture_output=True, text=True, timeout=60)


def test_list_prints_a_line_a_provider():
    done = provider('list')
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert {'bearer-jwt', 'static-token', 'fault'} <= set(lines)
    assert f'({PLUGINS}/fault.so)' in lines['fault']
    assert 'auth,account' in lines['fault']
    assert ' auth ' in lines['bearer-jwt']


def test_list_goes_on_after_a_provider_that_does_not_load(tmp_path):
    shutil.copy(f'{PLUGINS}/fault.so', tmp_path / 'fault.so')
    (tmp_path / 'broken.so').write_bytes(b'\x7fELF and nothing more')
    done = subprocess.run([f'{BUILD}/mcpauth', '--plugin-dir', str(tmp_path), 'provider', 'list'],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'broken' in done.stderr
    assert done.stdout.startswith('fault ')


def test_show_prints_every_option_with_its_default_and_help():
    done = provider('show', 'fault')
    assert done.returncode == 0, done.stderr
    assert 'abi       1.0' in done.stdout
    assert 'on_start none|refuse|crash|hang|exit   (default none)' in done.stdout
    assert 'what start does (since 0.1)' in done.stdout


def test_the_provider_that_is_part_of_the_hub_is_shown_and_listed():
    done = provider('show', 'clients')
    assert done.returncode == 0 and done.stdout.startswith('clients ')
    assert 'part of the hub' in done.stdout and 'none of its own' in done.stdout and '`client` blocks' in done.stdout
    assert 'serves    auth lines' in done.stdout
    assert any(line.startswith('clients ') for line in provider('list').stdout.splitlines())


def test_show_says_who_logs_people_in():
    assert 'it logs people in' in provider('show', 'google-oauth').stdout
    assert 'it logs people in' not in provider('show', 'clients').stdout


def test_show_takes_a_file(tmp_path):
    done = provider('show', f'{PLUGINS}/fault.so')
    assert done.returncode == 0 and done.stdout.startswith('fault ')


def test_show_says_what_kind_of_provider_it_is():
    assert 'job threads' in provider('show', 'fault-blocking').stdout
    assert 'off the box' in provider('show', 'fault-remote').stdout
    assert 'job threads' not in provider('show', 'fault').stdout


def test_show_of_an_unknown_name_suggests_the_nearest():
    done = provider('show', 'bearer-jw')
    assert done.returncode == 1
    assert "did you mean 'bearer-jwt'?" in done.stderr


def test_anything_else_is_a_usage_error():
    for args in ([], ['list', 'x'], ['show'], ['remove', 'fault']):
        done = provider(*args)
        assert done.returncode == 2
        assert 'usage: mcpauth provider' in done.stderr
