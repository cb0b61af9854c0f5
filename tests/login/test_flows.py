"""Complete logins of an MCP client through the hub at each of the four providers: register, consent, log
in, call, refresh, and what the provider decides afterwards. Rows 92, 94, 101, 115."""

import contextlib
import json
import sqlite3
import urllib.parse

import pytest

from support.client import rpc
from support.people import App, Person
from support.providers import PROVIDERS

CONF = '''
provider corp {{ {options}; client_secret file:{{conf}}/secret }}
scope notes:read {{ text "Read your notes" }}
service notes {{ path /notes; upstream {upstream}; auth sufficient corp; require scope notes:read }}
'''
TOKEN = {'oidc': '/token', 'google': '/token', 'github': '/login/oauth/access_token', 'workos': '/oauth2/token'}
REDIRECT = 'http://127.0.0.1/cb'


class Site:
    """A hub with one provider, and an MCP client that registered with it."""

    def __init__(self, kind, idp, hub, upstream, **kw):
        self.kind, self.idp, self.upstream = kind, idp, upstream
        idp.signed_in = 'ann'
        options = PROVIDERS[kind].format(idp=idp)
        self.hub = hub(CONF.format(options=options, upstream=upstream.url), files={'secret': idp.client_secret}, **kw)
        reply = self.hub.request('POST', '/register', headers={'Content-Type': 'application/json'}, body=json.dumps(
            {'client_name': 'Notes App', 'redirect_uris': [REDIRECT], 'token_endpoint_auth_method': 'none'}).encode())
        assert reply.status == 201, reply.body
        self.client_id = reply.json()['client_id']

    def app(self):
        return App(self.hub, self.client_id, 'http://127.0.0.1:4711/cb', service='notes')

    def token(self, **form):
        reply = self.hub.request('POST', '/token', headers={'Content-Type': 'application/x-www-form-urlencoded'},
                                 body=urllib.parse.urlencode({'client_id': self.client_id, **form}).encode())
        return reply.status, reply.json()

    def log_in(self):
        app, person = self.app(), Person(self.hub)
        code = app.code(person.log_in(app, 'corp'))
        status, reply = self.token(grant_type='authorization_code', code=code, redirect_uri=app.redirect,
                                   code_verifier=app.verifier)
        assert status == 200, reply
        return reply

    def refresh(self, reply):
        """Long enough after the provider was asked last for it to be asked again."""
        with contextlib.closing(sqlite3.connect(self.hub.statedir / 'store.db', timeout=20)) as db, db:
            assert db.execute('UPDATE grants SET checked_at = checked_at - 60').rowcount
        return self.token(grant_type='refresh_token', refresh_token=reply['refresh_token'])

    def call(self, token):
        return self.hub.request('POST', '/notes', body=rpc('ping'), headers={'Authorization': f'Bearer {token}'}).status


@pytest.fixture(params=list(PROVIDERS))
def site(request, hub, upstream):
    return Site(request.param, request.getfixturevalue(request.param), hub, upstream)


def test_a_person_logs_in_calls_and_stays_in(site):
    first = site.log_in()
    assert first['token_type'] == 'Bearer' and first['scope'] == 'notes:read'
    assert site.call(first['access_token']) == 200
    status, second = site.refresh(first)
    assert status == 200 and second['refresh_token'] != first['refresh_token']
    assert site.call(second['access_token']) == 200
    assert site.hub.audit('login')[0]['provider'] == 'corp'


def test_the_providers_own_tokens_open_nothing(site):
    site.log_in()
    access = [t for grant in site.idp.grants for t in grant.access]
    assert access and all(site.call(t) == 401 for t in access)


def test_who_is_revoked_at_the_provider_is_out_at_the_next_refresh(site):
    first = site.log_in()
    site.idp.revoke('ann')
    status, reply = site.refresh(first)
    assert status == 400 and reply['error'] == 'invalid_grant'


def test_a_provider_in_trouble_lets_nobody_out(site):
    first = site.log_in()
    for path in (TOKEN[site.kind], '/api/v3/user', f'/api/v3/applications/{getattr(site.idp, "client_id", "")}/token'):
        site.idp.fault(path, status=503)
    asked = len(site.idp.requests)
    status, second = site.refresh(first)
    assert status == 200 and len(site.idp.requests) > asked, second
    assert site.call(second['access_token']) == 200


def test_who_may_not_is_told_so_and_the_application_gets_no_code(site):
    if site.kind == 'oidc':
        pytest.skip('everybody may log in there')
    site.idp.signed_in = 'bob'
    app, person = site.app(), Person(site.hub)
    page = person.log_in(app, 'corp')
    target = page.location or page.next
    assert 'code=' not in (target or ''), target
    assert not site.hub.audit('login')


def test_who_says_no_at_the_provider_gets_back_to_the_application(site):
    site.idp.signed_in = 'deny'
    app, person = site.app(), Person(site.hub)
    page = person.log_in(app, 'corp')
    answer = app.answer(page)
    assert answer['error'] == 'access_denied' and 'code' not in answer


# ---- the provider is down (of one among many clients: tests/oauth/test_outage.py)

@pytest.mark.slow
@pytest.mark.parametrize('kind', PROVIDERS)
def test_a_day_without_the_provider_is_not_noticed_then_it_is_503_until_it_is_back(kind, request, hub, upstream, preload):
    idp = request.getfixturevalue(kind)
    idp.ahead = lambda: preload.ahead
    site = Site(kind, idp, hub, upstream, env=preload.env)
    last = site.log_in()

    def refresh():
        nonlocal last
        status, reply = site.token(grant_type='refresh_token', refresh_token=last['refresh_token'])
        last = reply if status == 200 else last
        return status, reply
    idp.go_down()
    for _ in range(23):
        preload.advance(3600)
        assert refresh()[0] == 200 and site.call(last['access_token']) == 200
    for _ in range(2):
        preload.advance(3600)
        status, reply = refresh()
        assert status == 503 and reply['error'] == 'temporarily_unavailable'
    idp.come_back()  # right after it was asked in vain
    for _ in range(16):  # seconds
        status, reply = refresh()
        if status == 200:
            break
        preload.advance(1)
    assert status == 200, reply
    assert site.call(last['access_token']) == 200
