"""upstream_auth user_token: the upstream gets the person's own token of her identity provider, fresh, and
never what the caller sent. Row 126."""

import concurrent.futures
import contextlib
import secrets
import sqlite3
import urllib.parse

import pytest

from support import tokens
from support.client import rpc
from support.people import App, Person
from support.secretlog import remember

CONF = '''
provider corp {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/secret }}
provider ci {{ module static-token; file {{conf}}/ci.tokens }}
service notes {{ path /notes; upstream {upstream.url}; auth sufficient ci; auth sufficient corp
                 upstream_auth user_token corp }}
client app {{ text "App"; redirect_uri https://app.example/cb }}
'''


class Site:
    def __init__(self, oidc, hub, upstream):
        self.oidc, self.upstream = oidc, upstream
        oidc.signed_in = 'ann'
        oidc.new_access = lambda grant=None: remember('access-' + secrets.token_urlsafe(24), upstream_ok=True)
        self.ci = tokens.StaticToken('build')
        self.hub = hub(CONF.format(oidc=oidc, upstream=upstream),
                       files={'secret': oidc.client_secret, 'ci.tokens': tokens.static_file(self.ci)})

    def log_in(self):
        app = App(self.hub, 'app', 'https://app.example/cb', service='notes')
        code = app.code(Person(self.hub).log_in(app, 'corp'))
        body = urllib.parse.urlencode({'grant_type': 'authorization_code', 'code': code, 'client_id': 'app',
                                       'redirect_uri': app.redirect, 'code_verifier': app.verifier})
        reply = self.hub.request('POST', '/token', body=body.encode(),
                                 headers={'Content-Type': 'application/x-www-form-urlencoded'})
        assert reply.status == 200, reply.body
        return reply.json()['access_token']

    def call(self, token):
        return self.hub.request('POST', '/notes', body=rpc('ping'), headers={'Authorization': f'Bearer {token}'})

    def seen(self):
        """What the upstream got, call by call."""
        return [rq.header('Authorization') for rq in self.upstream.requests]

    def newest(self):
        """The newest access token of the provider."""
        return 'Bearer ' + list(self.oidc.grants[-1].access)[-1]

    def expire(self):
        """What the hub keeps has expired."""
        with contextlib.closing(sqlite3.connect(self.hub.statedir / 'store.db', timeout=20)) as db, db:
            assert db.execute('UPDATE upstream SET access_expires_at = 1000').rowcount


@pytest.fixture
def site(oidc, hub, upstream):
    return Site(oidc, hub, upstream)


def test_the_upstream_gets_her_own_token_and_not_the_callers(site):
    token = site.log_in()
    assert site.call(token).status == 200
    assert site.seen() == [site.newest()]


def test_a_token_that_will_soon_expire_is_refreshed_first(site):
    site.oidc.expires_in = 60
    token = site.log_in()
    site.oidc.expires_in = 3600
    old = site.newest()
    assert site.call(token).status == 200 and site.call(token).status == 200
    assert site.newest() != old and site.seen() == [site.newest()] * 2
    assert len(site.oidc.asked('/token')) == 2  # the login, and one refresh


def test_sixty_four_calls_at_once_refresh_once(site):  # row 126
    site.oidc.expires_in = 60
    token = site.log_in()
    site.oidc.expires_in = 3600
    site.expire()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: site.call(token).status, range(64)))
    assert answers == [200] * 64
    assert len(site.oidc.asked('/token')) == 2
    assert set(site.seen()) == {site.newest()}


def test_a_token_that_still_works_is_used_while_the_provider_is_down(site):
    site.oidc.expires_in = 60
    token = site.log_in()
    site.oidc.fault('/token', status=503)
    assert site.call(token).status == 200
    assert site.seen() == [site.newest()]


def test_one_that_does_not_work_any_more_is_503_until_the_provider_is_back(site):
    token = site.log_in()
    site.expire()
    site.oidc.fault('/token', status=503)
    reply = site.call(token)
    assert reply.status == 503 and 'Retry-After' in reply.headers
    assert site.seen() == []
    site.oidc.heal()
    assert site.call(token).status == 200


def test_who_was_revoked_at_the_provider_is_told_to_log_in_again(site):
    token = site.log_in()
    site.expire()
    site.oidc.revoke('ann')
    reply = site.call(token)
    assert reply.status == 403 and reply.json()['error'] == 'login_required'
    assert site.seen() == []


def test_without_a_refresh_token_it_ends_with_the_token(site):
    site.oidc.gives_refresh = False
    token = site.log_in()
    assert site.call(token).status == 200
    site.expire()
    assert site.call(token).status == 403


def test_who_came_in_another_way_has_no_such_token(site):
    assert site.call(str(site.ci)).status == 403
    assert site.seen() == []


def test_two_people_never_get_each_others_token(site):
    ann = site.log_in()
    hers = site.newest()
    site.oidc.signed_in = 'bob'
    bob = site.log_in()
    his = site.newest()
    assert site.call(ann).status == 200 and site.call(bob).status == 200
    assert site.seen() == [hers, his] and hers != his
