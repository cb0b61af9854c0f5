"""Clients that prove themselves with keys at their own URL (jwks_uri), in a document or registered. Rows 107-109, 111."""

import contextlib
import http.client
import json
import sqlite3
import threading
import time
import urllib.parse
import uuid

import pytest

from support import tokens
from support.oauth import error, form, good, login, take
from support.people import App, Person
from support.standin import Reply, StandIn

REDIRECT = 'http://localhost/cb'
BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
MINUTE, DAY = 60, 86400


class Site(StandIn):
    """A client's site: its document, and its keys, or whatever a test puts there."""

    def __init__(self):
        super().__init__()
        self.id, self.keys = self.url + '/client.json', [tokens.key('ES256')]
        self.members, self.reply = {}, None
        self.routes[('GET', '/client.json')] = lambda rq: Reply(200, {
            'client_id': self.id, 'client_name': 'Keyed', 'redirect_uris': ['https://app.example/cb', REDIRECT],
            'token_endpoint_auth_method': 'private_key_jwt', 'jwks_uri': self.url + '/keys.json', **self.members})
        self.routes[('GET', '/keys.json')] = lambda rq: self.reply or Reply(200, tokens.jwks(*self.keys))

    @property
    def fetched(self):
        return self.count['/keys.json']


@pytest.fixture
def site():
    s = Site()
    yield s
    s.close()


def assertion(hub, client, key=None, header=None, **over):
    now = int(time.time())
    claims = {'iss': client, 'sub': client, 'aud': hub.public_url, 'exp': now + 60, 'iat': now,
              'jti': uuid.uuid4().hex, **over}
    return tokens.jwt(key or tokens.key('ES256'), claims, {'typ': 'JWT', **(header or {})})


def proves(hub, client, *args, **kw):
    """The answer to a request whose only flaw is its refresh token."""
    return form(hub, {'grant_type': 'refresh_token', 'refresh_token': 'x', 'client_assertion_type': BEARER,
                      'client_assertion': assertion(hub, client, *args, **kw)})


@pytest.fixture
def known(notes, site):
    """The hub at which somebody has logged in to the client of SITE; its keys have not been needed yet."""
    login(notes, site.id, REDIRECT)
    return notes


def later(hub, seconds):
    """What the hub keeps of the site becomes so much older."""
    with contextlib.closing(sqlite3.connect(hub.statedir / 'store.db', timeout=20)) as db, db:
        db.execute('UPDATE document SET fetched_at = fetched_at - ?, expires_at = expires_at - ?', (seconds, seconds))
        for url, body in db.execute("SELECT url, body FROM document WHERE url LIKE 'keys %' AND body <> ''").fetchall():
            at, _, keys = body.partition('\n')
            db.execute('UPDATE document SET body = ? WHERE url = ?', (f'{int(at) - seconds}\n{keys}', url))


def test_a_documented_client_logs_in_with_a_key_at_its_jwks_uri(notes, site):
    app, code = login(notes, site.id, REDIRECT)
    assert site.fetched == 0  # nobody needs it before
    got = good(take(notes, app, code, client_id=None, client_assertion_type=BEARER,
                    client_assertion=assertion(notes, site.id)))
    assert got['access_token'] and site.fetched == 1


def test_a_registered_client_proves_itself_with_a_key_at_its_jwks_uri(notes, site):
    body = {'redirect_uris': [REDIRECT.replace('http://localhost', 'https://app.example')],
            'token_endpoint_auth_method': 'private_key_jwt', 'jwks_uri': site.url + '/keys.json'}
    reply = notes.request('POST', '/register', body=json.dumps(body), headers={'Content-Type': 'application/json'})
    assert reply.status == 201 and reply.json()['jwks_uri'] == body['jwks_uri'] and site.fetched == 0
    assert error(proves(notes, reply.json()['client_id'])) == 'invalid_grant'
    assert site.fetched == 1


def test_the_keys_are_kept_for_all_requests_and_over_a_restart(known, site):
    for _ in range(3):
        assert error(proves(known, site.id)) == 'invalid_grant'
    known.stop()
    known.start()
    assert error(proves(known, site.id)) == 'invalid_grant'
    assert site.fetched == 1


def test_the_keys_are_fetched_again_when_they_have_expired(known, site):
    proves(known, site.id)
    later(known, DAY // 2)
    assert error(proves(known, site.id)) == 'invalid_grant'
    assert site.fetched == 2


def test_a_key_that_is_unknown_is_looked_for_at_most_once_a_minute(known, site):  # row 109
    new = tokens.Key('ES256', kid='new')
    assert error(proves(known, site.id)) == 'invalid_grant'
    site.keys.append(new)
    for _ in range(3):
        assert error(proves(known, site.id, new), 401) == 'invalid_client'
    assert site.fetched == 1
    later(known, MINUTE + 1)
    assert error(proves(known, site.id, new)) == 'invalid_grant'
    assert site.fetched == 2


def test_a_key_that_was_taken_away_is_good_no_more(known, site):
    assert error(proves(known, site.id)) == 'invalid_grant'
    site.keys = [tokens.Key('ES256', kid='new')]
    later(known, DAY // 2)
    assert error(proves(known, site.id), 401) == 'invalid_client'


@pytest.mark.parametrize('over', [
    {'aud': 'https://other.example'}, {'iss': 'other'}, {'sub': 'other'}, {'exp': 1}, {'exp': 4102444800}])
def test_nothing_is_fetched_for_an_assertion_that_is_wrong_in_any_case(known, site, over):  # row 109
    answer = form(known, {'grant_type': 'refresh_token', 'refresh_token': 'x', 'client_id': site.id,
                          'client_assertion_type': BEARER, 'client_assertion': assertion(known, site.id, **over)})
    assert error(answer, 401) == 'invalid_client'
    assert site.fetched == 0


def test_a_forged_assertion_is_refused(known, site):
    stranger = tokens.Key('ES256', kid=tokens.key('ES256').kid)
    assert error(proves(known, site.id, stranger), 401) == 'invalid_client'


def test_an_assertion_works_once(known, site):  # row 111
    text = assertion(known, site.id)
    fields = {'grant_type': 'refresh_token', 'refresh_token': 'x', 'client_assertion_type': BEARER,
              'client_assertion': text}
    assert error(form(known, fields)) == 'invalid_grant'
    assert error(form(known, fields), 401) == 'invalid_client'


# ---- sites that do not answer

def test_a_site_that_is_down_is_503_and_not_asked_again_at_once(known, site):  # row 109
    site.fault('/keys.json', status=500)
    for _ in range(3):
        answer = proves(known, site.id)
        assert error(answer, 503) == 'temporarily_unavailable' and answer.headers['Retry-After']
    assert site.fetched == 1
    site.heal()
    later(known, MINUTE + 1)
    assert error(proves(known, site.id)) == 'invalid_grant'


def test_keys_that_were_good_serve_on_for_a_day_while_their_site_is_down(known, site):
    assert error(proves(known, site.id)) == 'invalid_grant'
    site.fault('/keys.json', status=503)
    later(known, DAY // 2)
    for _ in range(2):
        assert error(proves(known, site.id)) == 'invalid_grant'
    assert site.fetched == 2
    later(known, DAY // 2)
    assert error(proves(known, site.id), 503) == 'temporarily_unavailable'


def test_a_document_serves_on_at_token_while_its_site_is_down(notes, site):
    site.members = {'token_endpoint_auth_method': 'none', 'jwks_uri': None}
    app, code = login(notes, site.id, REDIRECT)
    site.fault('/client.json', status=500)
    later(notes, DAY)
    page = Person(notes).get(App(notes, site.id, REDIRECT, service='notes').url())
    assert page.status == 503  # somebody else, meanwhile: its document cannot be had
    assert good(take(notes, app, code))['access_token']


def test_a_client_that_leaves_while_its_keys_are_fetched_hurts_nobody(known, site):
    site.fault('/keys.json', status=None, delay=1, times=1)
    body = urllib.parse.urlencode({'grant_type': 'refresh_token', 'refresh_token': 'x', 'client_assertion_type': BEARER,
                                   'client_assertion': assertion(known, site.id)})
    gone = http.client.HTTPConnection('127.0.0.1', known.port, timeout=30)
    gone.request('POST', '/token', body, {'Host': known.host, 'Content-Type': 'application/x-www-form-urlencoded'})
    site.wait_count('/keys.json', 1)
    gone.close()
    assert error(proves(known, site.id)) == 'invalid_grant'


# ---- hostile ones

@pytest.mark.parametrize('reply', [
    Reply(404, {}), Reply(201, {'keys': []}), Reply(200, 'x', content_type='application/json'),
    Reply(200, {'keys': []}), Reply(200, '[]', content_type='application/json'),
    Reply(200, json.dumps(tokens.jwks(tokens.key('ES256'))), content_type='text/html'),
    Reply(200, {'keys': [{'kty': 'oct', 'k': 'AAAA', 'kid': 'test-es256'}]})])
def test_what_is_no_key_set_is_invalid_client(known, site, reply):  # row 109
    site.reply = reply
    for _ in range(2):
        assert error(proves(known, site.id), 401) == 'invalid_client'
    assert site.fetched == 1


def test_a_key_set_past_16_kib_is_not_read(known, site):  # row 107
    site.reply = Reply(200, {**tokens.jwks(tokens.key('ES256')), 'more': 'x' * 16384})
    assert error(proves(known, site.id), 503) == 'temporarily_unavailable'


def test_a_redirect_is_not_followed(known, site):  # row 107
    site.routes[('GET', '/real.json')] = lambda rq: Reply(200, tokens.jwks(*site.keys))
    site.reply = Reply(302, headers=[('Location', site.url + '/real.json')])
    assert error(proves(known, site.id), 401) == 'invalid_client'
    assert site.count['/real.json'] == 0


def test_a_secret_of_the_set_is_no_key(known, site):  # the client's public set is no shared secret
    text = json.dumps(tokens.jwks(tokens.key('ES256')))
    forged = tokens.Key('HS256', kid='test-es256')
    site.reply = Reply(200, text, content_type='application/json')
    assert error(proves(known, site.id, forged), 401) == 'invalid_client'


def test_a_document_is_not_taken_for_keys_nor_keys_for_a_document(notes, site):
    body = {'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'private_key_jwt',
            'jwks_uri': site.id}  # somebody else's document
    reply = notes.request('POST', '/register', body=json.dumps(body), headers={'Content-Type': 'application/json'})
    assert error(proves(notes, reply.json()['client_id']), 401) == 'invalid_client'
    login(notes, site.id, REDIRECT)


def test_a_slow_site_holds_up_nobody_else(known, site):  # row 109
    body = {'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'private_key_jwt',
            'jwks_uri': site.url + '/more.json'}
    reply = known.request('POST', '/register', body=json.dumps(body), headers={'Content-Type': 'application/json'})
    site.fault('/keys.json', hang=True)
    waiting = threading.Thread(target=lambda: proves(known, site.id), daemon=True)
    waiting.start()
    site.wait_count('/keys.json', 1)
    assert error(proves(known, reply.json()['client_id']), 503) == 'temporarily_unavailable'  # one a host
    assert site.count['/more.json'] == 0
    login(known, 'app', 'https://app.example/cb')


URLS = ['http://app.example/keys', 'https://app.example', 'https://app.example/', 'https://app.example/../keys',
        'https://a@app.example/keys', 'https://app.example:8443/keys', 'ftp://app.example/keys', 'keys.json', '', 7,
        'https://app.example/' + 'x' * 4096]


@pytest.mark.parametrize('url', URLS)
def test_a_jwks_uri_that_would_not_be_fetched_is_refused_at_once(login_hub, url):  # row 107
    hub = login_hub(public_url='https://mcp.example.com', hub='listen 0.0.0.0:0; accept_risk plain-http-listen')
    body = {'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'private_key_jwt',
            'jwks_uri': url}
    reply = hub.request('POST', '/register', body=json.dumps(body), headers={'Content-Type': 'application/json'})
    assert reply.status == 400 and reply.json()['error'] == 'invalid_client_metadata'


def test_jwks_and_jwks_uri_together_are_refused(notes, site):
    body = {'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'private_key_jwt',
            'jwks_uri': site.url + '/keys.json', 'jwks': tokens.jwks(tokens.key('ES256'))}
    reply = notes.request('POST', '/register', body=json.dumps(body), headers={'Content-Type': 'application/json'})
    assert reply.status == 400 and reply.json()['error'] == 'invalid_client_metadata'


@pytest.mark.parametrize('url', [
    'https://127.0.0.1/k', 'https://10.0.0.1/k', 'https://169.254.169.254/latest', 'https://[::1]/k',
    'https://[::ffff:127.0.0.1]/k', 'https://localhost/k', 'https://[64:ff9b::7f00:1]/k'])
def test_a_hub_that_is_public_connects_to_no_address_of_its_own_network(login_hub, canary, url):  # rows 107 and 108
    hub = login_hub(public_url='https://mcp.example.com', hub='listen 0.0.0.0:0; accept_risk plain-http-listen')
    body = {'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'private_key_jwt',
            'jwks_uri': url}
    reply = hub.request('POST', '/register', body=json.dumps(body), headers={'Content-Type': 'application/json'})
    if reply.status == 201:
        assert error(proves(hub, reply.json()['client_id']), 503) == 'temporarily_unavailable'
