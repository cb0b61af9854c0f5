"""Refresh tokens: rotation, replays within and after the grace, what the provider says, and what it does
not say. Rows 92, 102, 103, 113, 115, 126, 189, 190."""

import concurrent.futures
import contextlib
import sqlite3
import time
import urllib.parse

import pytest

from support.hub import SLOW
from support.oauth import claims_of, error, good, login, refresh, revoke, take, tokens_of
from support.people import Person

FRESH = 2.2  # the provider's last answer is older than the hub lets pass for fresh


@pytest.fixture
def make(login_hub, upstream):
    def make(oauth='', **kw):
        return login_hub(f'oauth {{ {oauth} }}', upstream=upstream.url, **kw)
    return make


@pytest.fixture
def hub_(make):
    return make()


def test_a_refresh_gives_a_new_pair_and_the_access_token_works(hub_, upstream):
    app, first = tokens_of(hub_)
    second = good(refresh(hub_, first['refresh_token']))
    assert second['refresh_token'] != first['refresh_token']
    assert second['access_token'] != first['access_token'] and second['scope'] == first['scope']
    assert hub_.call('/notes', token=second['access_token']).status == 200
    assert good(refresh(hub_, second['refresh_token']))['refresh_token'] != second['refresh_token']


def test_a_replay_within_the_grace_gets_the_same_successor(hub_):  # row 102
    app, first = tokens_of(hub_)
    one = good(refresh(hub_, first['refresh_token']))
    two = good(refresh(hub_, first['refresh_token']))
    assert two['refresh_token'] == one['refresh_token']
    three = good(refresh(hub_, one['refresh_token']))
    again = good(refresh(hub_, first['refresh_token']))  # also when the successor has been used
    assert again['refresh_token'] == one['refresh_token'] and three['refresh_token'] != one['refresh_token']


def test_a_replay_after_the_grace_ends_the_login_and_is_recorded(make, upstream):  # row 102
    hub = make('refresh_grace 1s')
    app, first = tokens_of(hub)
    second = good(refresh(hub, first['refresh_token']))
    assert hub.call('/notes', token=second['access_token']).status == 200
    time.sleep(2.1)
    assert error(refresh(hub, first['refresh_token'])) == 'invalid_grant'
    assert error(refresh(hub, second['refresh_token'])) == 'invalid_grant'
    assert hub.call('/notes', token=second['access_token']).status == 401
    assert hub.wait_audit('grant_replayed', client='app')


def test_without_a_grace_the_first_replay_ends_it(make):  # row 102
    hub = make('refresh_grace 0')
    app, first = tokens_of(hub)
    second = good(refresh(hub, first['refresh_token']))
    time.sleep(1.1)
    assert error(refresh(hub, first['refresh_token'])) == 'invalid_grant'
    assert error(refresh(hub, second['refresh_token'])) == 'invalid_grant'


@pytest.mark.parametrize('workers', [1, 2])
def test_sixty_four_at_once_get_one_lineage(make, workers, oidc):  # rows 102, 126 and 189
    hub = make(workers=workers)
    app, first = tokens_of(hub)
    time.sleep(FRESH)
    asked = oidc.count['/token']
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: refresh(hub, first['refresh_token']), range(64)))
    assert {a.status for a in answers} == {200}, [a.body for a in answers if a.status != 200][:3]
    assert len({a.json()['refresh_token'] for a in answers}) == 1
    assert oidc.count['/token'] - asked == 1


def test_another_client_cannot_use_it_and_does_not_use_it_up(hub_):  # row 103
    app, first = tokens_of(hub_)
    assert error(refresh(hub_, first['refresh_token'], 'local')) == 'invalid_grant'
    assert refresh(hub_, first['refresh_token']).status == 200


def test_scopes_can_only_become_fewer(hub_):  # row 103
    app, first = tokens_of(hub_, scope='notes:read')
    assert first['scope'] == 'notes:read'
    assert good(refresh(hub_, first['refresh_token'], scope='notes:read notes:write'))['scope'] == 'notes:read'


def test_fewer_scopes_are_for_one_token_and_unknown_ones_are_dropped(hub_):  # row 103
    app, first = tokens_of(hub_)
    fewer = good(refresh(hub_, first['refresh_token'], scope='notes:read email'))
    assert fewer['scope'] == 'notes:read' and claims_of(fewer['access_token'])['scope'] == 'notes:read'
    assert good(refresh(hub_, fewer['refresh_token']))['scope'] == first['scope']


def test_another_resource_is_refused(hub_):  # row 103
    app, first = tokens_of(hub_)
    assert error(refresh(hub_, first['refresh_token'], resource=hub_.public_url + '/other')) == 'invalid_target'
    assert refresh(hub_, first['refresh_token'], resource=hub_.public_url + '/notes').status == 200


@pytest.mark.parametrize('text', ['x', 'x' * 43, '', "';--"])
def test_what_is_no_refresh_token_is_invalid_grant(hub_, text):
    assert error(refresh(hub_, text)) == ('invalid_grant' if text else 'invalid_request')


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(hub_):
    app, first = tokens_of(hub_)
    assert error(refresh(hub_, first['access_token'])) == 'invalid_grant'
    assert hub_.call('/notes', token=first['refresh_token']).status == 401


def test_it_survives_a_restart(hub_):
    app, first = tokens_of(hub_)
    hub_.stop()
    hub_.start()
    assert refresh(hub_, first['refresh_token']).status == 200


# ---- the provider

def test_each_refresh_asks_the_provider(hub_, oidc):
    app, first = tokens_of(hub_)
    before = oidc.count['/token']
    time.sleep(FRESH)
    second = good(refresh(hub_, first['refresh_token']))
    assert oidc.count['/token'] == before + 1
    time.sleep(FRESH)
    good(refresh(hub_, second['refresh_token']))
    assert oidc.count['/token'] == before + 2  # with the refresh token that it had rotated


def test_a_person_who_was_removed_is_out_at_the_next_refresh(hub_, oidc, upstream):
    app, first = tokens_of(hub_)
    assert hub_.call('/notes', token=first['access_token']).status == 200
    oidc.revoke('ann')
    time.sleep(FRESH)
    assert error(refresh(hub_, first['refresh_token'])) == 'invalid_grant'
    assert hub_.call('/notes', token=first['access_token']).status == 401
    record = hub_.wait_audit('grant_ended', client='app')[-1]
    assert record['subject'] == 'u-1001' and record['provider'] == 'corp'


@pytest.mark.parametrize('fault', [{'status': 500}, {'status': 503}, {'drop': True}, {'status': 429},
                                   {'status': 200, 'body': b'not json'}])
def test_a_provider_that_does_not_answer_is_not_noticed_within_the_grace(hub_, oidc, fault):
    app, first = tokens_of(hub_)
    oidc.fault('/token', **fault)
    time.sleep(FRESH)
    second = good(refresh(hub_, first['refresh_token']))
    oidc.heal()
    assert good(refresh(hub_, second['refresh_token']))


def test_after_the_grace_it_is_503_and_never_invalid_grant(make, oidc):
    hub = make('upstream_grace 1s')
    app, first = tokens_of(hub)
    oidc.fault('/token', status=500)
    time.sleep(FRESH)
    for _ in range(3):
        answer = refresh(hub, first['refresh_token'])
        assert error(answer, 503) == 'temporarily_unavailable' and answer.headers['Retry-After']
    oidc.heal()
    end = time.monotonic() + 60 * SLOW
    while (answer := refresh(hub, first['refresh_token'])).status == 503 and time.monotonic() < end:
        time.sleep(0.3)
    assert answer.status == 200, answer.body  # nothing was lost, and it recovers by itself


def test_an_answer_about_somebody_else_is_no_answer_and_has_no_grace(hub_, oidc):  # row 115
    app, first = tokens_of(hub_)
    oidc.id_claims = {'sub': 'u-1002'}
    time.sleep(FRESH)
    assert error(refresh(hub_, first['refresh_token']), 503) == 'temporarily_unavailable'
    assert not hub_.audit('token', subject='u-1002')


def test_a_login_as_somebody_else_does_not_touch_the_first(hub_, oidc):  # row 115
    app, first = tokens_of(hub_)
    oidc.signed_in = 'bob'
    other, second = tokens_of(hub_, person=Person(hub_))
    assert claims_of(second['access_token'])['sub'] == 'corp:u-1002'
    assert claims_of(good(refresh(hub_, first['refresh_token']))['access_token'])['sub'] == 'corp:u-1001'


# ---- what the administrator changes

def test_a_client_that_was_taken_out_cannot_refresh(hub_):  # row 190
    app, first = tokens_of(hub_)
    text = (hub_.confdir / 'hub.conf').read_text()
    hub_.configure({'hub.conf': text.replace('client app ', 'client app2 '),
                    '00-hub.conf': (hub_.confdir / '00-hub.conf').read_text()})
    hub_.reload()
    assert error(refresh(hub_, first['refresh_token']), 401) == 'invalid_client'


def test_a_scope_that_was_taken_from_the_client_is_in_no_further_token(hub_):  # rows 103 and 190
    app, first = tokens_of(hub_)
    assert first['scope'] == 'notes:read notes:write'
    text = (hub_.confdir / 'hub.conf').read_text()
    hub_.write('hub.conf', text.replace('client app   {', 'client app { scope notes:read;'))
    hub_.reload()
    assert good(refresh(hub_, first['refresh_token']))['scope'] == 'notes:read'


def test_a_grant_that_the_operator_ended_is_over_at_once(hub_, upstream):  # row 187
    app, first = tokens_of(hub_)
    assert hub_.call('/notes', token=first['access_token']).status == 200
    grant = claims_of(first['access_token'])['grant']
    hub_.cli('grants', 'revoke', grant, check=True)
    assert hub_.call('/notes', token=first['access_token']).status == 401
    assert error(refresh(hub_, first['refresh_token'])) == 'invalid_grant'


# ---- RFC 7009, RFC 7662

def ended(hub):
    """How many grants and single tokens, in the store."""
    with contextlib.closing(sqlite3.connect(hub.statedir / 'store.db', timeout=20)) as db:
        return db.execute('SELECT (SELECT count(*) FROM grants WHERE revoked_at > 0)'
                          ' + (SELECT count(*) FROM mark)').fetchone()[0]


def test_a_client_ends_a_login_with_its_refresh_token(hub_, upstream):  # row 113
    app, first = tokens_of(hub_)
    assert hub_.call('/notes', token=first['access_token']).status == 200
    assert revoke(hub_, first['refresh_token']).status == 200
    assert hub_.call('/notes', token=first['access_token']).status == 401
    assert error(refresh(hub_, first['refresh_token'])) == 'invalid_grant'
    assert hub_.wait_audit('token_revoked', client='app', what='refresh_token')


def test_a_client_ends_one_access_token(hub_, upstream):  # rows 113 and 187
    app, first = tokens_of(hub_)
    assert hub_.call('/notes', token=first['access_token']).status == 200
    assert revoke(hub_, first['access_token']).status == 200
    assert hub_.call('/notes', token=first['access_token']).status == 401
    assert good(refresh(hub_, first['refresh_token']))  # the login goes on


def test_another_clients_tokens_are_left_alone(hub_, upstream):  # row 113
    app, first = tokens_of(hub_)
    for token in (first['access_token'], first['refresh_token'], 'nonsense'):
        assert revoke(hub_, token, 'local').status == 200
    assert hub_.call('/notes', token=first['access_token']).status == 200
    assert refresh(hub_, first['refresh_token']).status == 200


@pytest.mark.parametrize('what', ['refresh_token', 'access_token', 'code'])
def test_what_ends_a_login_is_recorded_and_known_although_the_client_has_left(hub_, upstream, what):  # rows 90 and 187
    """It leaves while the store is being written, which cannot be taken back."""
    spare = tokens_of(hub_)[1]['refresh_token']
    for n in range(1, 21):
        app, code = login(hub_)
        tokens = good(take(hub_, app, code))
        grant = claims_of(tokens['access_token'])['grant']
        assert hub_.call('/notes', token=tokens['access_token']).status == 200  # and that is remembered
        before = ended(hub_)
        with contextlib.closing(sqlite3.connect(hub_.statedir / 'store.db', timeout=20, isolation_level=None)) as db:
            db.execute('BEGIN IMMEDIATE')
            fields = {'client_id': 'app', 'token': tokens.get(what)} if what != 'code' else {
                'client_id': 'app', 'grant_type': 'authorization_code', 'code': code,
                'redirect_uri': app.redirect, 'code_verifier': app.verifier}
            with pytest.raises(TimeoutError):  # it has begun when it leaves; the hub waits 5 s for the store
                hub_.request('POST', '/token' if what == 'code' else '/revoke', timeout=min(0.3 * n, 2 / SLOW),
                             headers={'Content-Type': 'application/x-www-form-urlencoded'},
                             body=urllib.parse.urlencode(fields).encode())
            time.sleep(0.2)  # and it was noticed that nobody waits
            db.execute('ROLLBACK')
        spare = good(refresh(hub_, spare))['refresh_token']  # writes come one after the other
        if ended(hub_) > before:
            break  # else it had not begun: nothing has happened
    assert ended(hub_) > before
    assert hub_.call('/notes', token=tokens['access_token']).status == 401
    record = hub_.wait_audit('grant_replayed' if what == 'code' else 'token_revoked', grant=grant)[0]
    assert record['client'] == 'app' and record['address'] == '127.0.0.1'


def test_what_cannot_be_read_is_not_acknowledged_as_revoked(hub_):
    app, first = tokens_of(hub_)
    with contextlib.closing(sqlite3.connect(hub_.statedir / 'store.db', timeout=20)) as db, db:
        assert db.execute("UPDATE grants SET principal = x'00'").rowcount == 1
    assert error(revoke(hub_, first['refresh_token']), 503) == 'temporarily_unavailable'


def test_revoking_needs_a_client(hub_):
    assert error(revoke(hub_, 'x', None)) == 'invalid_request'
    assert error(revoke(hub_, 'x', 'nobody'), 401) == 'invalid_client'
    assert error(revoke(hub_, None)) == 'invalid_request'


def test_what_was_acknowledged_as_revoked_is_never_accepted_again(hub_, upstream):  # row 187
    app, first = tokens_of(hub_)
    refresh_token = first['refresh_token']
    for _ in range(25):
        got = good(refresh(hub_, refresh_token))
        refresh_token, access = got['refresh_token'], got['access_token']
        assert hub_.call('/notes', token=access).status == 200  # and is cached now
        assert revoke(hub_, access).status == 200
        assert hub_.call('/notes', token=access).status == 401
