"""mcpauth provider new: what it writes builds without a warning and keeps every rule, at once."""

import os
import pathlib
import shutil
import subprocess

import pytest

from support.hub import SLOW, TOP

BUILD = os.environ.get('MCPAUTH_BUILD', str(TOP / 'build'))


def run(*line, **kw):
    return subprocess.run([str(w) for w in line], capture_output=True, text=True, timeout=200 * SLOW, **kw)


@pytest.fixture
def env(tmp_path):
    """As after an installation of libmcpauth-dev."""
    pc = tmp_path / 'pc'
    pc.mkdir()
    (pc / 'mcpauth.pc').write_text(f'plugindir={tmp_path}/plugins\nName: mcpauth\nDescription: x\nVersion: 0\n'
                                   f'Cflags: -I{TOP}/include\n')
    return {**os.environ, 'PKG_CONFIG_PATH': str(pc), 'PATH': f'{BUILD}:{os.environ["PATH"]}'}


@pytest.mark.parametrize('kind', [[], ['--blocking'], ['--login']])
def test_out_of_tree_it_builds_without_a_warning_keeps_the_rules_and_installs(tmp_path, env, kind):
    where = tmp_path / 'badge'
    done = run(f'{BUILD}/mcpauth', 'provider', 'new', 'badge-groups', *kind, '--out-of-tree', where)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in where.iterdir()) == ['Makefile', 'badge-groups.c', 'badge-groups.script',
                                                       'mcpauth-badge-groups.pod']
    assert 'hello' not in (where / 'badge-groups.c').read_text()
    done = run('make', 'check', 'CFLAGS=-O2 -Wall -Wextra -Wpedantic -Werror', cwd=where, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ' 0 broken' in done.stdout
    assert run('podchecker', where / 'mcpauth-badge-groups.pod').returncode == 0
    done = run('make', 'install', cwd=where, env=env)
    assert done.returncode == 0 and (tmp_path / 'plugins/badge-groups.so').is_file()


def test_in_the_tree_it_gets_a_folder_a_page_a_script_and_its_lines_in_the_make_files(tmp_path):
    for name in ('plugins', 'docs', 'tests/conform'):
        (tmp_path / name).mkdir(parents=True)
    for name in ('plugins/local.mk', 'docs/local.mk'):
        shutil.copy(TOP / name, tmp_path / name)
    done = run(f'{BUILD}/mcpauth', 'provider', 'new', 'badge-groups', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ('plugins/badge-groups/badge-groups.c', 'plugins/badge-groups/mcpauth-badge-groups.pod',
                 'tests/conform/badge-groups.script'):
        assert (tmp_path / name).is_file(), name
    assert 'plugins_badge_groups_la_SOURCES = plugins/badge-groups/badge-groups.c' in (tmp_path / 'plugins/local.mk').read_text()
    assert 'docs/mcpauth-badge-groups.5: plugins/' in (tmp_path / 'docs/local.mk').read_text()


@pytest.fixture
def tree(tmp_path):
    """A copy of the sources, configured as the build folder is."""
    top = tmp_path / 'tree'
    top.mkdir()
    left_out = ['.git', '.cache', 'build*', 'autom4te.cache', 'node_modules', '__pycache__']
    pack = run('tar', '-C', TOP, *[f'--exclude=./{name}' for name in left_out], '-cf', tmp_path / 'tree.tar', '.')
    assert pack.returncode == 0, pack.stderr
    shutil.unpack_archive(tmp_path / 'tree.tar', top)
    shutil.copytree(TOP / 'build-aux', top / 'build-aux', dirs_exist_ok=True)
    (top / 'build').mkdir()
    status = (pathlib.Path(BUILD) / 'config.status').read_text().replace(os.path.realpath(BUILD), str(top / 'build'))
    (top / 'build/config.status').write_text(status)
    return top


@pytest.mark.slow
def test_in_the_tree_every_kind_builds_with_the_rest_and_keeps_the_rules(tree):
    names = {'badge-groups': [], 'badge-blocking': ['--blocking'], 'badge-login': ['--login']}
    for name, kind in names.items():
        done = run(f'{BUILD}/mcpauth', 'provider', 'new', name, *kind, cwd=tree)
        assert done.returncode == 0, done.stderr
    targets = ' '.join(f'plugins/{name}.la docs/mcpauth-{name}.5' for name in names)
    done = run('sh', '-ec', f'automake; cd build; sh ./config.status -q; make -s {targets}', cwd=tree)
    assert done.returncode == 0 and 'warning' not in done.stderr, done.stdout + done.stderr
    for name in names:  # all rules are tried on what is built out of the tree
        done = run(f'{BUILD}/mcpauth', 'provider', 'test', '--only', 'valid', '--script', f'tests/conform/{name}.script',
                   f'build/plugins/.libs/{name}.so', cwd=tree)
        assert done.returncode == 0 and ' 0 broken' in done.stdout, done.stdout + done.stderr
    assert run(tree / 'tools/check-layers').returncode == 0


def test_it_overwrites_nothing(tmp_path):
    (tmp_path / 'x.c').write_text('mine')
    done = run(f'{BUILD}/mcpauth', 'provider', 'new', 'xx', '--out-of-tree', tmp_path)
    assert done.returncode == 0
    done = run(f'{BUILD}/mcpauth', 'provider', 'new', 'xx', '--out-of-tree', tmp_path)
    assert done.returncode == 1 and 'File exists' in done.stderr


@pytest.mark.parametrize('args', [[], ['Badge'], ['badge_groups'], ['-x'], ['x/y'], ['a', 'b'], ['ok', '--login', '--blocking']])
def test_what_it_cannot_mean_is_a_usage_error(tmp_path, args):
    assert run(f'{BUILD}/mcpauth', 'provider', 'new', *args, cwd=tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_outside_the_sources_it_asks_for_a_folder(tmp_path):
    done = run(f'{BUILD}/mcpauth', 'provider', 'new', 'badge', cwd=tmp_path)
    assert done.returncode == 1 and '--out-of-tree' in done.stderr
