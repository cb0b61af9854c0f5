"""The packages that tools/build-deb left in BUILD/deb, installed on bare machines (`make check-packages`)."""

import os
import pathlib
import re

import pytest

from support import bare
from support.hub import TOP

DEB = pathlib.Path(os.environ.get('MCPAUTH_BUILD', TOP / 'build')) / 'deb'
NAMES = ('mcpauth', 'mcpauth-cli', 'libmcpauth-dev')


def pytest_collection_modifyitems(items):
    why = bare.missing() or ('' if packages() else f'there are no packages in {DEB}: tools/build-deb')
    for item in items:
        if why and pathlib.Path(item.fspath).parent == pathlib.Path(__file__).parent:
            item.add_marker(pytest.mark.skip(reason=why))


def packages():
    found = [path for name in NAMES for path in DEB.glob(f'{name}_*.deb')]
    return found if len(found) == len(NAMES) else []


@pytest.fixture(scope='session')
def pristine(tmp_path_factory):
    """A bare machine with the three packages on it, just installed.  Copied, never used."""
    machine = bare.Bare(tmp_path_factory.mktemp('bare') / 'installed')
    machine.install(packages())
    yield machine
    machine.remove()


@pytest.fixture
def machine(pristine, tmp_path):
    m = bare.Bare(tmp_path / 'machine', like=pristine)
    yield m
    m.remove()


@pytest.fixture
def next_release(tmp_path):
    """Factory: next_release(NAME, hub_conf=...) is the file of package NAME as a release 99 would bring it."""
    def make(name, hub_conf=None):
        old, tree = next(DEB.glob(f'{name}_*.deb')), tmp_path / f'{name}.tree'
        bare.call('dpkg-deb', '-R', old, tree)
        control = tree / 'DEBIAN/control'
        text = control.read_text()
        control.write_text(text.replace(re.search(r'^Version: (.*)', text, re.M)[1], '99'))
        if hub_conf:
            (tree / 'etc/mcpauth.d/hub.conf').write_text(hub_conf)
            sums = tree / 'DEBIAN/md5sums'
            sums.write_text(''.join(line for line in sums.open() if 'hub.conf' not in line))
        new = tmp_path / f'{name}_99.deb'
        bare.call('dpkg-deb', '--root-owner-group', '-b', tree, new)
        return new
    return make
