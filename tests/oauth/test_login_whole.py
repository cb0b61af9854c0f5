"""From the consent page to the service: what the code is good for, once."""

import concurrent.futures
import re
import urllib.parse

import pytest

from support.client import rpc
from support.people import App, Person
from support.secretlog import remember

CONF = '''
provider corp {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/corp.secret }}
scope notes:read  {{ text "Read your notes" }}
scope notes:write {{ text "Change your notes"; implies notes:read }}
service notes {{ path /notes; upstream {url}; auth sufficient corp; require scope notes:read
                 login_scope notes:read notes:write }}
service tasks {{ path /tasks; upstream {url}; auth sufficient corp }}
client app   {{ redirect_uri https://app.example/cb https://app.example/other }}
client thief {{ redirect_uri https://app.example/cb }}
'''


@pytest.fixture
def whole(hub, oidc, upstream):
    oidc.signed_in = 'ann'
    return hub(CONF.format(oidc=oidc, url=upstream.url), files={'corp.secret': oidc.client_secret + '\n'})


@pytest.fixture
def app(whole):
    return App(whole, 'app', 'https://app.example/cb', service='notes')


def code_of(app):
    person = Person(app.hub)
    person.log_in(app)
    return remember(app.code(person.page))


def exchange(app, code, **over):
    fields = {'grant_type': 'authorization_code', 'code': code, 'client_id': app.client_id,
              'redirect_uri': app.redirect, 'code_verifier': app.verifier, **over}
    body = urllib.parse.urlencode({k: v for k, v in fields.items() if v is not None})
    reply = app.hub.request('POST', '/token', body=body,
                            headers={'Content-Type': 'application/x-www-form-urlencoded'})
    for name in ('access_token', 'refresh_token'):
        if name in reply.json():
            remember(reply.json()[name])
    return reply


def test_a_login_opens_the_service_that_it_was_for(app, upstream):  # row 104
    tokens = exchange(app, code_of(app)).json()
    assert tokens['token_type'].lower() == 'bearer' and tokens['scope'] == 'notes:read notes:write'
    assert app.hub.call('/notes', token=tokens['access_token']).status == 200
    assert app.hub.call('/tasks', token=tokens['access_token']).status == 401
    record = app.hub.wait_audit('decision', decision='grant')[0]
    assert record['subject'] == 'u-1001' and record['client'] == 'app'


def test_two_tries_with_one_code_end_the_grant(app):  # row 90
    code = code_of(app)
    tokens = exchange(app, code).json()
    assert app.hub.call('/notes', token=tokens['access_token']).status == 200
    again = exchange(app, code)
    assert again.status == 400 and again.json()['error'] == 'invalid_grant'
    assert app.hub.call('/notes', token=tokens['access_token']).status == 401


@pytest.mark.parametrize('over', [
    {'client_id': 'thief'},
    {'redirect_uri': 'https://app.example/other'},
    {'redirect_uri': 'https://app.example/cb?x'},
    {'code_verifier': 'v' * 43},
    {'resource': 'http://127.0.0.1:7070/tasks'},
])
def test_a_code_is_bound_to_its_login(app, over):  # row 91
    code = code_of(app)
    reply = exchange(app, code, **over)
    assert reply.status == 400 and reply.json()['error'] in ('invalid_grant', 'invalid_target'), reply.body
    assert 'access_token' not in reply.json()


def test_thirty_two_at_once_get_one_token(app):  # row 189
    code = code_of(app)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = [r.status for r in pool.map(lambda _: exchange(app, code), range(32))]
    assert answers.count(200) == 1, answers


def test_a_login_at_a_public_https_name(hub, oidc, upstream):  # row 94
    oidc.signed_in = 'ann'
    secure = hub(CONF.format(oidc=oidc, url=upstream.url), files={'corp.secret': oidc.client_secret + '\n'},
                 public_url='https://mcp.example.com')
    app = App(secure, 'app', 'https://app.example/cb', service='notes')
    person = Person(secure)
    person.log_in(app)
    assert exchange(app, app.code(person.page)).status == 200
    secure.request('POST', '/notes', body=rpc('tools/list'))


def test_http_away_from_loopback_logs_nobody_in(hub, oidc):
    from support.hub import HubFailed
    with pytest.raises(HubFailed, match='plain-http-login'):
        hub(CONF.format(oidc=oidc, url='http://127.0.0.1:9/mcp').replace(
            'service notes {', 'hub {\n public_url http://mcp.example.com\n listen 127.0.0.1:0\n'
            ' accept_risk plain-http-public-url\n}\nservice notes {'),
            files={'corp.secret': oidc.client_secret + '\n'})


# ---- stepping up

STEPS = '''
provider corp {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/corp.secret
                 claims okta; request_scope openid groups }}
scope notes:read  {{ text "Read your notes" }}
scope notes:purge {{ text "Purge notes"; for claim /groups = notes-admins }}
service notes {{ path /notes; upstream {url}; auth sufficient corp; require scope notes:read
                 tool purge require scope notes:purge; tool * allow; accept_risk broad-allow }}
client app {{ redirect_uri https://app.example/cb }}
'''


def purge(hub, token):
    return hub.call('/notes', 'tools/call', {'name': 'purge', 'arguments': {}}, token=token)


@pytest.fixture
def steps(hub, oidc, upstream):
    return hub(STEPS.format(oidc=oidc, url=upstream.url), files={'corp.secret': oidc.client_secret + '\n'})


def test_somebody_who_may_steps_up(steps, oidc):
    oidc.signed_in = 'ann'
    app = App(steps, 'app', 'https://app.example/cb', service='notes')
    token = exchange(app, code_of(app)).json()['access_token']
    refused = purge(steps, token)
    assert refused.status == 403 and 'error="insufficient_scope"' in refused.headers['WWW-Authenticate']
    wanted = re.search(r'scope="([^"]*)"', refused.headers['WWW-Authenticate'])[1]
    assert wanted == 'notes:purge notes:read'
    again = App(steps, 'app', 'https://app.example/cb', service='notes', scope=wanted)
    tokens = exchange(again, code_of(again)).json()
    assert tokens['scope'] == wanted and purge(steps, tokens['access_token']).status == 200


def test_somebody_who_may_not_is_not_sent_round(steps, oidc):
    oidc.signed_in = 'bob'
    app = App(steps, 'app', 'https://app.example/cb', service='notes', scope='notes:read notes:purge')
    tokens = exchange(app, code_of(app)).json()
    assert tokens['scope'] == 'notes:read'
    refused = purge(steps, tokens['access_token'])
    assert refused.status == 403 and 'insufficient_scope' not in refused.headers.get('WWW-Authenticate', '')
