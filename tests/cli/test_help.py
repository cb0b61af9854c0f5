"""Help at every level fits a screen and shows an example; shells complete what the help lists."""

import re
import shutil
import subprocess

import pytest

from support.hub import RUN


def mcpauth(*args):
    done = subprocess.run([RUN, 'mcpauth', *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMANDS = re.findall(r'^  ([a-z]+) ', mcpauth('--help'), re.M)


def actions(command):
    synopsis = mcpauth(command, '--help')
    return [word for word in complete('mcpauth', command, '') if not word.startswith('-') and word in synopsis]


def complete(*words):
    """What bash offers for the last of WORDS."""
    line = ' '.join(f"'{w}'" for w in words)
    script = (f'eval "$({RUN} mcpauth completion bash)"; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; '
              '_mcpauth; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(['bash', '-c', script], capture_output=True, text=True, timeout=60, cwd='/proc/self/fdinfo')
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def fits(text):
    assert len(text.splitlines()) <= 24, text
    assert 'Example: ' in text


def test_the_help_of_the_command_fits_a_screen_and_shows_an_example():
    fits(mcpauth('--help'))


@pytest.mark.parametrize('command', COMMANDS)
def test_the_help_of_every_subcommand_and_action_fits_a_screen_and_shows_an_example(command):
    fits(mcpauth(command, '--help'))
    for action in actions(command):
        fits(mcpauth(command, action, '--help'))


def test_bash_completes_every_command_that_the_help_lists():
    assert set(COMMANDS) <= set(complete('mcpauth', ''))
    assert complete('mcpauth', 'prov') == ['provider']
    assert complete('mcpauth', '-c', 'dir', 'prov') == ['provider']


@pytest.mark.parametrize('command', COMMANDS)
def test_bash_completes_every_option_that_a_help_lists(command):
    listed = set(re.findall(r'--[a-z][a-z-]*', mcpauth(command, '--help').split('\nExample:')[0]))
    first = complete('mcpauth', command, '')
    offered = set(complete('mcpauth', command, first[0] if not first[0].startswith('-') else 'x', '--'))
    assert listed <= offered


def test_actions_are_offered_once():
    assert {'list', 'show', 'enable', 'disable', 'new', 'test'} <= set(complete('mcpauth', 'provider', ''))
    assert 'list' not in complete('mcpauth', 'provider', 'test', '--')


@pytest.mark.parametrize('shell, check', [('bash', ['-n']), ('zsh', ['-n']), ('fish', ['--no-execute'])])
def test_what_is_printed_is_sound_to_its_shell(tmp_path, shell, check):
    if not shutil.which(shell):
        pytest.skip(f'no {shell}')
    path = tmp_path / 'completion'
    path.write_text(mcpauth('completion', shell))
    assert subprocess.run([shell, *check, path], timeout=60).returncode == 0


@pytest.mark.parametrize('shell', ['zsh', 'fish'])
def test_every_shell_knows_every_command(shell):
    text = mcpauth('completion', shell)
    assert all(re.search(rf'\b{command}\b', text) for command in COMMANDS)
