"""Somebody who has only just heard of it: the tutorial with the packages alone, and the README's ./demo
with the sources alone, each on a bare machine."""

import re
import subprocess

import pytest

from support import bare, tutorial
from support.client import Connection, rpc
from support.hub import TOP
from support.upstream import MockUpstream

CONF = '/etc/mcpauth.d'


@pytest.fixture
def asked():
    """The badge service and the MCP server of the tutorial."""
    badges, upstream = MockUpstream(path='/badges'), MockUpstream()
    badges.handler = tutorial.badge_service
    yield badges, upstream
    badges.close()
    upstream.close()


def test_the_tutorial_works_from_the_packages_alone_in_an_empty_folder(machine, asked, tmp_path):
    badges, upstream = asked
    machine.run('mkdir /root/empty')

    def run(command, folder):
        inside = '/' + str(folder.relative_to(machine.root))
        return machine.run(command, folder=inside)

    tutorial.follow(run, machine.path('/root/empty'), machine.path(CONF), badges.url, upstream.url)
    hub_conf = machine.path(f'{CONF}/hub.conf')
    text = hub_conf.read_text()
    hub_conf.write_text(re.sub(r'^( .*listen +\S+):\d+', r'\1:0', text, flags=re.M))  # others here may have those
    daemon = subprocess.Popen(machine.line('exec mcpauthd --port-file /run/mcpauth/ports'), env=bare.ENVIRONMENT,
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ports = bare.wait_file(machine.path('/run/mcpauth/ports'), daemon)
        port = next(int(line.rpartition(' ')[2]) for line in ports.splitlines() if not line.startswith('admin'))

        def status(token):
            return Connection(('127.0.0.1', port), '127.0.0.1:8080').request('POST', '/notes', body=rpc('tools/list'),
                                                                             token=token).status
        assert status('hello-provider_good') == 200
        assert status('hello-provider_bad') == 401
    finally:
        daemon.kill()  # unshare, and with it all that runs there
        daemon.wait()


def test_the_demo_builds_and_proves_itself_where_nothing_is_installed(tmp_path):
    machine = bare.Bare(tmp_path / 'machine')
    try:
        tree = machine.path('/root/mcpauth')
        tree.mkdir()
        archive = subprocess.run(['git', '-C', TOP, 'archive', 'HEAD'], check=True, capture_output=True).stdout
        subprocess.run(['tar', '-C', tree, '-xf', '-'], check=True, input=archive)
        out = machine.run('./demo --once', folder='/root/mcpauth', timeout=1200)
        assert out.count('  \u2713 ') >= 7 and '\u2717' not in out
    finally:
        machine.remove()
