"""Help at every level fits a screen and shows an example; shells complete what the help lists."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from support.hub import RUN, SLOW


def mcpauth(*args):
    done = subprocess.run([RUN, 'mcpauth', *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMANDS = re.findall(r'^  ([a-z]+) ', mcpauth('--help'), re.M)


def actions(command):
    synopsis = mcpauth(command, '--help')
    return [word for word in complete('mcpauth', command, '') if not word.startswith('-') and word in synopsis]


def in_bash(words):
    line = ' '.join(f"'{w}'" for w in words)
    return (f'eval "$({RUN} mcpauth completion bash)"; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; '
            '_mcpauth; printf "%s\\n" "${COMPREPLY[@]}"')


def in_zsh(words):
    """What it would add: zsh itself then leaves out what does not begin like the last word."""
    line = ' '.join(f"'{w}'" for w in words)
    return (f"compadd () {{ shift; print -rl -- ${{(M)@:#{words[-1]}*}} }}; _files () {{ }}; "
            f'words=({line}); CURRENT={len(words)}; eval "$({RUN} mcpauth completion zsh)"')


def in_fish(words):
    return f'{RUN} mcpauth completion fish | source; complete -C "{" ".join(words)}"'


SHELLS = {'bash': (['bash', '-c'], in_bash), 'zsh': (['zsh', '-fc'], in_zsh),
          'fish': (['fish', '--no-config', '-c'], in_fish)}


def complete(*words, shell='bash'):
    """What a shell offers for the last of WORDS."""
    line, script = SHELLS[shell]
    if not shutil.which(shell):
        pytest.skip(f'no {shell}')
    done = subprocess.run([*line, script(words)], capture_output=True, text=True, timeout=60, cwd='/proc/self/fdinfo')
    assert done.returncode == 0 and not done.stderr, done.stderr
    return [line.split('\t')[0] for line in done.stdout.splitlines() if line]


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


@pytest.mark.parametrize('shell', SHELLS)
def test_shells_complete_every_command_that_the_help_lists(shell):
    assert set(COMMANDS) <= set(complete('mcpauth', '', shell=shell))
    assert complete('mcpauth', 'prov', shell=shell) == ['provider']
    assert complete('mcpauth', '-c', 'dir', 'prov', shell=shell) == ['provider']


def listed(*words):
    """The options in a help."""
    return set(re.findall(r'--[a-z][a-z-]*', mcpauth(*words, '--help').split('\nExample:')[0]))


@pytest.mark.parametrize('shell', SHELLS)
def test_shells_complete_the_options_before_a_command(shell):
    assert {'--config', '--state-dir', '--control', '--plugin-dir'} <= set(complete('mcpauth', '--', shell=shell))


@pytest.mark.parametrize('shell', SHELLS)
@pytest.mark.parametrize('command', COMMANDS)
def test_shells_complete_every_option_that_a_help_lists(command, shell):
    first = complete('mcpauth', command, '')
    action = first[0] if not first[0].startswith('-') else 'x'
    assert listed(command) <= set(complete('mcpauth', command, action, '--', shell=shell))


@pytest.mark.parametrize('shell', SHELLS)
def test_actions_are_offered_once(shell):
    assert {'list', 'show', 'enable', 'disable', 'new', 'test'} <= set(complete('mcpauth', 'provider', '', shell=shell))
    assert complete('mcpauth', 'provider', 'en', shell=shell) == ['enable']
    assert 'list' not in complete('mcpauth', 'provider', 'test', '--', shell=shell)


def test_the_installed_file_completes_at_the_prompt_of_zsh(tmp_path):
    if not shutil.which('zsh'):
        pytest.skip('no zsh')
    (tmp_path / '_mcpauth').write_text(mcpauth('completion', 'zsh'))
    (tmp_path / '.zshrc').write_text(f'fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D\nPS1="ready> "\n')
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve('/usr/bin/env', ['env', 'zsh', '-i'], {**os.environ, 'ZDOTDIR': str(tmp_path), 'TERM': 'dumb'})
    try:
        read_until(terminal, b'ready> ')
        os.write(terminal, b'mcpauth prov\t')
        read_until(terminal, b'mcpauth provider ')
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def read_until(terminal, wanted):
    said, end = b'', time.monotonic() + 30 * SLOW
    while wanted not in said:
        assert time.monotonic() < end, said
        if select.select([terminal], [], [], 0.5)[0]:
            said += os.read(terminal, 4096)


@pytest.mark.parametrize('shell, check', [('bash', ['-n']), ('zsh', ['-n']), ('fish', ['--no-execute'])])
def test_what_is_printed_is_sound_to_its_shell(tmp_path, shell, check):
    if not shutil.which(shell):
        pytest.skip(f'no {shell}')
    path = tmp_path / 'completion'
    path.write_text(mcpauth('completion', shell))
    assert subprocess.run([shell, *check, path], timeout=60).returncode == 0
