"""The official conformance suite, server mode, against a server and against the same server behind
the hub: what passes without the hub passes with it."""

import collections
import json
import os
import subprocess

import pytest

from support import npm
from support.tokens import StaticToken

REVISIONS = ['2025-11-25', '2026-07-28']
REBINDING = 'dns-rebinding-protection'
# What the fixture passes by itself, the scenarios of extensions aside: less would make the comparison
# hollow.
BASELINE = {'2025-11-25': 83, '2026-07-28': 163}


def run_suite(url, revision, folder, token=None):
    """{(scenario, check): [status, ...]} of all scenarios of REVISION."""
    env = dict(os.environ)
    if token:
        env.update(NODE_OPTIONS=f'--import {npm.TOP}/tests/interop/inject-preload.mjs',
                   MCP_INJECT_ORIGIN=url.rsplit('/', 1)[0], MCP_INJECT_BEARER=token)
    suite = npm.conformance() / 'node_modules/@modelcontextprotocol/conformance/dist/index.js'
    done = subprocess.run([npm.NODE, suite, 'server', '--url', url, '--requirements', revision,
                           '-o', str(folder)], env=env, text=True, capture_output=True, timeout=240)
    print(done.stdout[-3000:], done.stderr[-1000:])
    found = collections.defaultdict(list)
    for file in sorted(folder.glob('*/checks.json')):
        scenario = file.parent.name.split('-20')[0].removeprefix('server-')
        for check in json.loads(file.read_text()):
            if check['status'] != 'INFO':
                found[scenario, check['id']].append(check['status'])
    return found


def passed(found):
    return {key for key, statuses in found.items() if set(statuses) == {'SUCCESS'}}


@pytest.fixture(scope='module')
def direct(fixture_url, tmp_path_factory):
    """Results without the hub, of both revisions."""
    return {r: run_suite(fixture_url, r, tmp_path_factory.mktemp('direct')) for r in REVISIONS}


def behind_the_hub(hub, fixture_url, stack, **kw):
    port = npm.free_port()
    h = hub(f'''
        hub {{
            public_url http://127.0.0.1:{port}
            listen 127.0.0.1:{port}
            workers 1
            audit file {{dir}}/audit.log
        }}
        {stack(fixture_url)}
    ''', **kw)
    return h, f'http://127.0.0.1:{port}/mcp'


def anonymous(upstream):
    return f'service fixture {{ path /mcp; upstream {upstream}; anonymous * }}'


def guarded(upstream):
    return f'''provider tokens {{ module static-token; file {{conf}}/tokens }}
    service fixture {{ path /mcp; upstream {upstream}; auth required tokens }}'''


def compare(direct, through):
    lost = sorted(passed(direct) - passed(through))
    assert not lost, '\n'.join(f'{key}: {direct[key]} without the hub, {through[key]} with it' for key in lost)


@pytest.mark.parametrize('revision', REVISIONS)
def test_the_fixture_passes_what_the_comparison_rests_on(direct, revision):
    assert sum(s.count('SUCCESS') for s in direct[revision].values()) >= BASELINE[revision]


@pytest.mark.parametrize('revision', REVISIONS)
def test_an_anonymous_service_passes_every_check_that_its_server_passes(
        hub, fixture_url, direct, tmp_path, revision):
    _, url = behind_the_hub(hub, fixture_url, anonymous)
    compare(direct[revision], run_suite(url, revision, tmp_path))


@pytest.mark.parametrize('revision', REVISIONS)
def test_a_guarded_service_passes_every_check_that_its_server_passes(
        hub, fixture_url, direct, tmp_path, revision):
    token = StaticToken('suite')
    h, url = behind_the_hub(hub, fixture_url, guarded, files={'tokens': token.line})
    compare(direct[revision], run_suite(url, revision, tmp_path, token.secret))
    assert h.audit('decision'), 'the suite did not come through the hub'


def ruled(upstream):
    """Every list is filtered, and everything is allowed."""
    return f'''service fixture {{ path /mcp; upstream {upstream}; anonymous *
        tool * allow; resource * allow; prompt * allow }}'''


@pytest.mark.parametrize('revision', REVISIONS)
def test_filtered_lists_that_hide_nothing_pass_every_check_that_the_server_passes(
        hub, fixture_url, direct, tmp_path, revision):
    _, url = behind_the_hub(hub, fixture_url, ruled)
    compare(direct[revision], run_suite(url, revision, tmp_path))


def test_the_hub_holds_headers_against_bodies_where_the_server_does_not(hub, program, tmp_path):
    """row 61: http-header-validation"""
    folders = [tmp_path / name for name in ('direct', 'through', 'fixture')]
    for folder in folders:
        folder.mkdir()
    port_file = folders[2] / 'port'
    server = program(npm.TOP / 'tests/interop/fixture.mjs', npm.fixture_packages(), port_file, env={'LAX': '1'})
    lax = f'http://127.0.0.1:{server.wait_file(port_file)}/mcp'

    def validation(found):
        return {k: v for k, v in found.items() if k[0] == 'http-header-validation'}
    theirs = validation(run_suite(lax, REVISIONS[1], folders[0]))
    assert theirs and passed(theirs) != set(theirs), 'the fixture validates itself: this shows nothing'
    _, url = behind_the_hub(hub, lax, anonymous)
    mine = validation(run_suite(url, REVISIONS[1], folders[1]))
    assert len(mine) >= len(theirs) and passed(mine) == set(mine), mine


@pytest.mark.parametrize('revision', REVISIONS)
def test_the_hub_protects_from_dns_rebinding_where_the_server_does_not(  # row 50
        hub, fixture_url, direct, tmp_path, revision):
    _, url = behind_the_hub(hub, fixture_url, anonymous)
    mine = {k: v for k, v in run_suite(url, revision, tmp_path).items() if k[0] == REBINDING}
    theirs = {k: v for k, v in direct[revision].items() if k[0] == REBINDING}
    assert mine and passed(mine) == set(mine)
    assert passed(theirs) != set(theirs), 'the fixture protects itself: this shows nothing'
