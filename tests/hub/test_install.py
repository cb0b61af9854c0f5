"""A fresh installation: it starts, has nothing to serve, and says what to write first; nothing that the
administrator has written is ever overwritten."""

import os
import re
import subprocess

import pytest

from support.hub import TOP, Hub

BUILD = os.environ.get('MCPAUTH_BUILD', str(TOP / 'build'))


@pytest.fixture
def installed(tmp_path):
    """Factory: `make install` into a folder; the folder."""
    def install():
        done = subprocess.run(['make', '-s', '-C', BUILD, 'install', f'DESTDIR={tmp_path}'], text=True,
                              capture_output=True, timeout=300,
                              env={k: v for k, v in os.environ.items() if not k.startswith('MAKE')})
        assert done.returncode == 0, done.stdout + done.stderr
        return tmp_path
    return install


def find(folder, name):
    return next(path for path in folder.rglob(name) if path.is_file())


def test_what_a_hub_needs_is_installed_and_test_providers_are_not(installed):
    folder = installed()
    names = {path.name for path in folder.rglob('*') if path.is_file()}
    assert {'mcpauthd', 'mcpauth', 'static-token.so', 'bearer-jwt.so', 'provider.h', 'hub.conf', 'mcpauth.service',
            'mcpauthd.8', 'mcpauth.1'} <= names
    assert not [name for name in names if name.startswith('fault') or name.endswith('.la')]
    assert (folder / 'etc/mcpauth.d/hub.conf').is_file(), 'the configuration is in /etc whatever the prefix'


def test_pkg_config_tells_where_providers_go_and_which_abi_they_have(installed):
    folder = installed()
    pc = find(folder, 'mcpauth.pc')

    def ask(variable):
        done = subprocess.run(['pkg-config', f'--variable={variable}', 'mcpauth'], text=True, capture_output=True,
                              timeout=30, check=True, env={**os.environ, 'PKG_CONFIG_PATH': str(pc.parent)})
        return done.stdout.strip()

    assert folder / ask('plugindir').lstrip('/') == find(folder, 'static-token.so').parent
    assert (folder / ask('includedir').lstrip('/') / 'mcpauth/provider.h').is_file()
    header = (TOP / 'include/mcpauth/provider.h').read_text()
    assert re.search(rf'define MCPAUTH_ABI_MAJOR {ask("abi")}u', header)


def test_installing_again_keeps_the_administrators_file(installed):
    conf = installed() / 'etc/mcpauth.d/hub.conf'
    conf.write_text('# mine\n')
    installed()
    assert conf.read_text() == '# mine\n'


def test_a_fresh_installation_starts_without_a_service_and_says_what_to_do(installed, world):
    folder = installed()
    text = (folder / 'etc/mcpauth.d/hub.conf').read_text()
    text = re.sub(r'^(\s*listen\s+\S+):\d+', r'\1:0', text, flags=re.M)
    h = Hub({'hub.conf': text})
    world.hubs.append(h)
    h.start()
    assert h.request('GET', '/healthz').status == 200
    assert h.call('/notes').status == 404
    assert re.search(r'WARN.*no service', h.log) and str(h.confdir) in h.log
