"""mcpauth keys and mcpauth clients, beside a running hub."""

import base64
import contextlib
import json
import os
import shutil
import sqlite3
import time

import pytest

from support.hub import HubFailed, SLOW

SECRET = 'correct horse battery staple'
CONF = '''
scope notes:read {{ text "Read notes" }}
client robot {{ secret env:ROBOT; scope notes:read }}
service notes {{ path /notes; upstream {url}; auth sufficient clients; require scope notes:read }}
'''


@pytest.fixture
def robots(hub, upstream):
    return hub(CONF.format(url=upstream.url), env={'ROBOT': SECRET}, workers=2)


def post(h, path, body, kind='application/x-www-form-urlencoded', **headers):
    return h.request('POST', path, headers={'Content-Type': kind, **headers}, body=body.encode())


def token(h):
    basic = base64.b64encode(b'robot:' + SECRET.replace(' ', '+').encode()).decode()
    answer = post(h, '/token', f'grant_type=client_credentials&resource={h.public_url}/notes',
                  Authorization=f'Basic {basic}')
    assert answer.status == 200, answer.body
    return json.loads(answer.body)['access_token']


def kid(text):
    head = text.split('.')[0]
    return json.loads(base64.urlsafe_b64decode(head + '=' * (-len(head) % 4)))['kid']


def keys(h, kind):
    listed = json.loads(h.cli('keys', 'list', '--json', check=True).stdout)
    return {k['id']: k['state'] for k in listed if k['kind'] == kind}


def until(probe, seconds=60):
    end = time.monotonic() + seconds * SLOW
    while not probe():
        assert time.monotonic() < end, 'it does not come about'
        time.sleep(0.1)


def test_a_new_hub_has_one_key_of_each_kind(robots):
    assert list(keys(robots, 'sealing').items()) == [('1', 'in use')]
    assert list(keys(robots, 'signing').values()) == ['in use']


def test_a_rotation_reaches_running_workers_and_refuses_no_token(robots):
    """row 191"""
    before = token(robots)
    robots.cli('keys', 'rotate', 'signing', '--now', check=True)
    seen = set()

    def new_key_signs():
        fresh = token(robots)
        seen.add(kid(fresh))
        for t in (before, fresh):
            assert robots.call('/notes', token=t).status == 200
        return kid(fresh) != kid(before)

    until(new_key_signs)
    assert seen == set(keys(robots, 'signing'))
    published = json.loads(robots.request('GET', '/.well-known/jwks.json').body)
    assert {k['kid'] for k in published['keys']} == seen


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give files away')
def test_what_root_writes_beside_the_ring_belongs_to_whom_the_state_belongs(robots):
    robots.stop()
    os.chown(robots.statedir, 12345, 23456)
    robots.cli('keys', 'rotate', 'signing', check=True)
    for name in ('keys.ring', 'keys.ring.lock'):
        made = (robots.statedir / name).stat()
        assert (made.st_uid, made.st_gid) == (12345, 23456), name


def test_a_dropped_key_is_worth_nothing(robots):
    before = token(robots)
    old = kid(before)
    assert robots.cli('keys', 'drop', old).returncode == 1, 'it is in use'
    robots.cli('keys', 'rotate', 'signing', '--now', check=True)
    until(lambda: kid(token(robots)) != old)
    robots.cli('keys', 'drop', old, check=True)
    assert old not in keys(robots, 'signing')
    until(lambda: robots.call('/notes', token=before).status == 401)


def test_a_rewrap_keeps_registrations_readable(robots):
    """row 120"""
    client = register(robots)
    robots.cli('keys', 'rotate', 'sealing', '--now', check=True)
    until(lambda: keys(robots, 'sealing')['2'] == 'in use')
    said = robots.cli('keys', 'rewrap', '--now', check=True).stdout
    assert said.startswith('1 sealed anew, 1 old keys dropped')
    assert list(keys(robots, 'sealing')) == ['2']
    robots.stop()
    robots.start()
    assert client in listed(robots)


def content(store):
    """All that is in the store; where in its files is SQLite's affair."""
    with contextlib.closing(sqlite3.connect(store, timeout=20)) as db:
        return list(db.iterdump())


def test_another_ring_refuses_to_start_and_changes_nothing(robots):
    """row 120"""
    register(robots)
    robots.stop()
    ring, store = robots.statedir / 'keys.ring', robots.statedir / 'store.db'
    shutil.move(ring, robots.dir / 'right')
    before = content(store)
    assert any('INSERT INTO "client"' in line for line in before)
    with pytest.raises(HubFailed, match='the key ring .* that sealed it is not'):
        robots.start()
    assert not ring.exists()
    text = (robots.dir / 'right').read_text()
    ring.write_text(text.replace(json.loads(text)['name'], '0' * 32))
    ring.chmod(0o600)
    with pytest.raises(HubFailed, match='another key ring sealed it'):
        robots.start()
    assert content(store) == before
    shutil.copy(robots.dir / 'right', ring)
    robots.start()
    assert listed(robots)


def test_a_second_daemon_at_a_state_directory_is_refused(robots, hub):
    other = hub(CONF.format(url='http://127.0.0.1:9/mcp'), env={'ROBOT': SECRET}, start=False)
    other.statedir = robots.statedir
    with pytest.raises(HubFailed, match='another daemon .* uses the state directory'):
        other.start()


def register(h, **more):
    body = {'client_name': 'Cursor', 'redirect_uris': ['http://127.0.0.1/callback'],
            'token_endpoint_auth_method': 'none', **more}
    answer = post(h, '/register', json.dumps(body), 'application/json')
    assert answer.status == 201, answer.body
    return json.loads(answer.body)['client_id']


def listed(h):
    return {c['id']: c for c in json.loads(h.cli('clients', 'list', '--json', check=True).stdout)}


def test_a_registered_client_is_listed_approved_and_removed(robots):
    client = register(robots)
    assert listed(robots)[client]['approved'] is False
    robots.cli('clients', 'approve', client, check=True)
    assert listed(robots)[client]['approved'] is True
    assert robots.cli('clients', 'remove', client).stdout == 'removed, with 0 grants\n'
    assert listed(robots) == {}
    assert robots.cli('clients', 'remove', client).returncode == 1


@pytest.mark.parametrize('line', [
    ['keys'], ['keys', 'rotate'], ['keys', 'rotate', 'all'], ['keys', 'list', 'x'], ['keys', 'rewrap', '--json'],
    ['keys', 'drop'], ['clients'], ['clients', 'approve'], ['clients', 'list', 'x'], ['grants'], ['grants', 'show'],
    ['grants', 'revoke'], ['grants', 'list', 'x'], ['grants', 'revoke', 'x', '--subject', 'y']])
def test_half_a_command_is_a_usage_error(robots, line):
    assert robots.cli(*line).returncode == 2


def test_nothing_is_listed_where_nothing_was_kept(hub, upstream):
    h = hub(f'service notes {{ path /notes; upstream {upstream.url}; anonymous * }}')
    assert json.loads(h.cli('grants', 'list', '--json', check=True).stdout) == []
    assert not (h.statedir / 'store.db').exists()
