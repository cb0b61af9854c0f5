"""docs/tutorial.md, done by the letter from an installed package in an empty folder: every command, every
line that is to be written, up to a request that passes.  The measure: at most 6 commands, 40 lines."""

import os
import subprocess

import pytest

from support import tutorial
from support.hub import SLOW, TOP, Hub
from support.upstream import MockUpstream

BUILD = os.environ.get('MCPAUTH_BUILD', str(TOP / 'build'))


class InstalledHub(Hub):
    """The daemon that was installed, with its providers, not the tree's."""
    prefix = None

    def command(self, program):
        line = super().command(program)
        where = next(self.prefix.rglob(program))
        plugins = next(self.prefix.rglob('static-token.so')).parent
        return [str(where), '--plugin-dir', str(plugins), *line[2:]]


@pytest.fixture
def installed(tmp_path):
    """`make install` into a folder, and what a shell needs to find it there instead of in /usr."""
    root = tmp_path / 'root'
    clean = {k: v for k, v in os.environ.items() if not k.startswith('MAKE')}
    subprocess.run(['make', '-s', '-C', BUILD, 'install', f'DESTDIR={root}'], check=True, capture_output=True,
                   timeout=300 * SLOW, env=clean)
    plugins = next(root.rglob('static-token.so')).parent
    bin_, conf = tmp_path / 'bin', root / 'etc/mcpauth.d'
    bin_.mkdir()
    (bin_ / 'mcpauth').write_text(f'#!/bin/sh\nexec {next(root.rglob("bin/mcpauth"))} --plugin-dir {plugins} "$@"\n')
    (bin_ / 'mcpauth').chmod(0o755)
    conf.chmod(0o700)
    env = {**clean, 'PATH': f'{bin_}:{os.environ["PATH"]}', 'MCPAUTH_CONFDIR': str(conf), 'DESTDIR': str(root),
           'PKG_CONFIG_PATH': str(next(root.rglob('mcpauth.pc')).parent), 'PKG_CONFIG_SYSROOT_DIR': str(root)}
    return root, conf, env


def test_it_takes_at_most_six_commands_and_forty_lines():
    assert len(tutorial.COMMANDS) <= 6, tutorial.COMMANDS
    assert len(tutorial.by_hand()) <= 40, len(tutorial.by_hand())


def test_the_example_is_what_the_tutorial_ends_with(tmp_path):
    where = tmp_path / 'hello-provider'
    subprocess.run([f'{BUILD}/mcpauth', 'provider', 'new', 'hello-provider', '--out-of-tree', where], check=True,
                   capture_output=True, timeout=60)
    tutorial.fill_in(where)
    for path in where.iterdir():
        assert (TOP / 'examples/hello-provider' / path.name).read_text() == path.read_text(), path.name


def test_the_tutorial_leads_to_a_provider_that_works(tmp_path, installed):
    root, conf, env = installed
    badges, upstream = MockUpstream(path='/badges'), MockUpstream()
    badges.handler = tutorial.badge_service
    here = tmp_path / 'empty'
    here.mkdir()

    def run(command, folder):
        done = subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True,
                              timeout=200 * SLOW)
        assert done.returncode == 0, f'{command}\n{done.stdout}{done.stderr}'
        return done.stdout

    tutorial.follow(run, here, conf, badges.url, upstream.url)
    try:
        InstalledHub.prefix = root
        files = {p.name: p.read_text() for p in conf.glob('*.conf') if p.name != 'hub.conf'}
        with InstalledHub(files) as hub:
            assert hub.call('/notes', token='hello-provider_good').status == 200
            assert hub.call('/notes', token='hello-provider_bad').status == 401
            assert hub.call('/notes', token='other_good').status == 401
            assert hub.wait_audit('decision', decision='grant')[0]['subject'] == 'e-1001'
    finally:
        badges.close()
        upstream.close()
