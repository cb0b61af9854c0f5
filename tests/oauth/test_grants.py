"""mcpauth grants: what the operator sees of logins, and that ending one is at once. Rows 187, 192."""

import contextlib
import http.client
import json
import sqlite3
import threading

import pytest

from support.hub import SLOW
from support.oauth import claims_of, error, good, refresh, register, tokens_of


@pytest.fixture
def hub_(login_hub, upstream):
    return login_hub(upstream=upstream.url, workers=2)


def grants(h, *args):
    return json.loads(h.cli('grants', 'list', '--json', *args, check=True).stdout)


def test_a_login_is_listed_with_who_what_and_through_whom(hub_):
    assert grants(hub_) == []
    tokens_of(hub_)
    [grant] = grants(hub_)
    assert (grant['subject'], grant['provider'], grant['client'], grant['service']) == \
        ('u-1001', 'corp', 'app', 'notes')
    assert grant['scopes'].split() == ['notes:read', 'notes:write'] and grant['revoked'] is None
    shown = hub_.cli('grants', 'show', grant['id'], check=True).stdout
    assert 'u-1001' in shown and 'Notes App' in shown
    assert hub_.cli('grants', 'show', 'no-such-grant').returncode == 1


def test_a_revoked_grant_is_out_at_once(hub_):
    """row 187"""
    for _ in range(5):
        _, tokens = tokens_of(hub_)
        for _ in range(4):  # both workers know her
            assert hub_.call('/notes', token=tokens['access_token']).status == 200
        [grant] = grants(hub_)
        assert hub_.cli('grants', 'revoke', grant['id'], check=True).stdout == '1 revoked\n'
        for _ in range(4):
            assert hub_.call('/notes', token=tokens['access_token']).status == 401
        assert hub_.wait_audit('grant_revoked', grant=grant['id'])[0]['subject'] == 'u-1001'
        assert error(refresh(hub_, tokens['refresh_token'])) == 'invalid_grant'
    assert grants(hub_) == [] and len(grants(hub_, '--all')) == 5


def test_a_client_that_is_removed_takes_all_its_logins_with_it_however_many(login_hub):
    """row 187"""
    hub = login_hub()
    client = register(hub)
    tokens_of(hub, client)
    columns = ('id subject issuer provider client client_name service scopes principal key created_at used_at checked_at'
               ' expires_at revoked_at why idle_at').split()
    with contextlib.closing(sqlite3.connect(hub.statedir / 'store.db', timeout=20)) as db, db:
        db.execute('WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)'
                   f" INSERT INTO grants ({', '.join(columns)})"
                   f" SELECT id || i, subject || i, {', '.join(columns[2:])} FROM grants, n")
    assert hub.cli('clients', 'remove', client, check=True).stdout == 'removed, with 2000 grants\n'
    assert len({r['subject'] for r in hub.wait_audit('grant_revoked', n=2000)}) == 2000


def test_all_of_one_person_end_and_nobody_elses(hub_, oidc):
    _, first = tokens_of(hub_)
    _, second = tokens_of(hub_)
    oidc.signed_in = 'bob'
    _, bobs = tokens_of(hub_)
    assert hub_.cli('grants', 'revoke', '--subject', 'u-1001', check=True).stdout == '2 revoked\n'
    for tokens in (first, second):
        assert hub_.call('/notes', token=tokens['access_token']).status == 401
    assert hub_.call('/notes', token=bobs['access_token']).status == 200
    done = hub_.cli('grants', 'revoke', '--subject', 'nobody')
    assert done.returncode == 1 and 'nothing that is alive matches' in done.stderr


def test_grants_can_be_ended_while_no_hub_runs(hub_):
    _, tokens = tokens_of(hub_)
    hub_.stop()
    assert hub_.cli('grants', 'revoke', '--client', 'app', check=True).stdout == '1 revoked\n'
    hub_.start()
    assert hub_.call('/notes', token=tokens['access_token']).status == 401
    assert error(refresh(hub_, tokens['refresh_token'])) == 'invalid_grant'


def refresh_until_it_dies(h, tokens, acknowledged):
    try:
        while True:
            reply = refresh(h, tokens[-1])
            if reply.status != 200:
                return
            tokens.append(reply.json()['refresh_token'])
            acknowledged.set()
    except (OSError, http.client.HTTPException):
        return


def test_kills_lose_no_refresh_token_and_revive_no_grant(hub_, oidc):
    """rows 189, 192"""
    oidc.rotates = False  # what a provider gave to a process that was killed is lost: that is another matter
    alive = [[tokens_of(hub_)[1]['refresh_token']] for _ in range(3)]
    _, dead = tokens_of(hub_)
    known = {g['id'] for g in grants(hub_)}
    ended = good(refresh(hub_, dead['refresh_token']))
    dead_id = claims_of(ended['access_token'])['grant']
    hub_.cli('grants', 'revoke', dead_id, check=True)
    for _ in range(3):
        news = [threading.Event() for _ in alive]
        threads = [threading.Thread(target=refresh_until_it_dies, args=(hub_, tokens, event))
                   for tokens, event in zip(alive, news)]
        for t in threads:
            t.start()
        for event in news:
            assert event.wait(120 * SLOW)
        hub_.kill()
        for t in threads:
            t.join()
        hub_.start()
        for tokens in alive:
            tokens.append(good(refresh(hub_, tokens[-1]))['refresh_token'])
        assert error(refresh(hub_, ended['refresh_token'])) == 'invalid_grant'
        assert hub_.call('/notes', token=ended['access_token']).status == 401
    assert {g['id'] for g in grants(hub_)} == known - {dead_id}
    hub_.stop()
    verified = hub_.cli('audit', 'verify')
    assert verified.returncode == 0, verified.stdout + verified.stderr
