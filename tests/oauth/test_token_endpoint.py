"""/token for authorization codes: what a code is bound to, who may show it, what comes of it. Rows 89 to
91, 103, 104, 112, 116 to 118, 189."""

import base64
import concurrent.futures
import contextlib
import json
import sqlite3
import time
import uuid

import pytest

from support import tokens
from support.oauth import SECRET, basic, claims_of, error, form, good, login, take

CONFIDENTIAL = 'client desk { text "The desk"; secret env:DESK; redirect_uri https://desk.example/cb }'


@pytest.fixture
def served(login_hub, upstream):
    """The hub of conftest.py with a server behind it."""
    return login_hub(upstream=upstream.url)


def test_a_code_becomes_tokens_that_open_the_service(served, upstream):
    app, code = login(served)
    got = good(take(served, app, code))
    assert got['token_type'] == 'Bearer' and got['expires_in'] == 600
    assert got['scope'] == 'notes:read notes:write' and got['refresh_token']
    assert served.call('/notes', token=got['access_token']).status == 200


def test_the_token_says_who_for_what_and_through_which_provider(notes, oidc):
    app, code = login(notes)
    token = good(take(notes, app, code))['access_token']
    head = json.loads(base64.urlsafe_b64decode(token.split('.')[0] + '=='))
    assert head['typ'] == 'at+jwt' and head['alg'] == 'ES256' and head['kid']
    claims = claims_of(token)
    assert claims['iss'] == notes.public_url and claims['aud'] == notes.public_url + '/notes'
    assert claims['client_id'] == 'app' and claims['scope'] == 'notes:read notes:write'
    assert claims['sub'] == 'corp:u-1001' and claims['idp'] == {'provider': 'corp', 'issuer': oidc.issuer}
    assert claims['exp'] - claims['iat'] == 600 and claims['jti']
    assert 'email' not in json.dumps(claims)  # nobody asked for it to be shown


def set_back(hub, seconds):
    """As if the hub had run until SECONDS from now when its clock was set right."""
    hub.stop()
    with contextlib.closing(sqlite3.connect(hub.statedir / 'store.db', timeout=20)) as db, db:
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('clock', ?)", (int(time.time()) + seconds,))
    hub.start()


def test_a_clock_that_was_set_back_keeps_nobody_from_logging_in(served, upstream):  # row 184
    set_back(served, 300)
    app, code = login(served)
    tokens = good(take(served, app, code))
    assert served.call('/notes', token=tokens['access_token']).status == 200
    assert error(take(served, app, code)) == 'invalid_grant'


def test_answers_are_kept_by_nobody(notes):  # row 116
    app, code = login(notes)
    answer = take(notes, app, code)
    assert answer.status == 200 and answer.headers['Cache-Control'] == 'no-store'
    assert 'Set-Cookie' not in answer.headers and answer.headers['Access-Control-Allow-Origin'] == '*'


def test_any_web_page_may_call_it_and_no_cookie_matters(notes):
    app, code = login(notes)
    answer = take(notes, app, code, headers={'Origin': 'https://inspector.example', 'Cookie': 'a=b'})
    assert answer.status == 200 and answer.headers['Access-Control-Allow-Origin'] == '*'
    assert 'Access-Control-Allow-Credentials' not in answer.headers


def test_a_code_works_once_and_its_replay_ends_what_came_of_it(served, upstream):  # row 90
    app, code = login(served)
    got = good(take(served, app, code))
    assert served.call('/notes', token=got['access_token']).status == 200
    assert error(take(served, app, code)) == 'invalid_grant'
    assert served.call('/notes', token=got['access_token']).status == 401
    assert error(form(served, {'grant_type': 'refresh_token', 'refresh_token': got['refresh_token'],
                               'client_id': 'app'})) == 'invalid_grant'
    assert served.wait_audit('grant_replayed', what='code')


@pytest.mark.parametrize('over', [
    {'client_id': 'local'}, {'redirect_uri': 'https://app.example/CB'}, {'redirect_uri': 'https://app.example/cb/'},
    {'code_verifier': 'x' * 43}, {'resource': 'http://other.example/notes'}])
def test_a_code_is_bound_to_client_redirect_verifier_and_resource(notes, over):  # row 91
    app, code = login(notes)
    assert error(take(notes, app, code, **over)) == 'invalid_grant'
    assert error(take(notes, app, code)) == 'invalid_grant'  # and is used up


@pytest.mark.parametrize('over', [
    {'code_verifier': None}, {'code_verifier': 'x' * 42}, {'code_verifier': 'x' * 129}, {'code_verifier': 'x' * 42 + '/'},
    {'redirect_uri': None}])
def test_what_pkce_needs_must_be_there(notes, over):  # row 89
    app, code = login(notes)
    assert error(take(notes, app, code, **over)) == 'invalid_request'
    assert take(notes, app, code).status == 200  # nothing was looked up yet


@pytest.mark.parametrize('name', ['code', 'redirect_uri', 'code_verifier', 'client_id', 'grant_type'])
def test_a_parameter_that_stands_there_twice_is_refused(notes, name):  # row 112
    app, code = login(notes)
    fields = {'grant_type': 'authorization_code', 'code': code, 'redirect_uri': app.redirect,
              'code_verifier': app.verifier, 'client_id': 'app'}
    assert error(form(notes, {**fields, name: [fields[name], fields[name]]})) == 'invalid_request'


def test_two_resources_are_refused(notes):  # row 104
    app, code = login(notes)
    resource = notes.public_url + '/notes'
    assert error(take(notes, app, code, resource=[resource, resource])) == 'invalid_target'


@pytest.mark.parametrize('spelling', ['{u}/notes', '{U}/notes', '{u}/notes/'])
def test_the_resource_may_be_spelled_in_every_way_that_means_the_same(notes, spelling):  # row 104
    app, code = login(notes)
    u = notes.public_url
    resource = spelling.format(u=u, U=u.replace('http', 'HTTP').replace('localhost', 'LOCALHOST'))
    assert take(notes, app, code, resource=resource).status == 200


def test_unknown_clients_are_401_invalid_client(notes):
    app, code = login(notes)
    for client in ('nobody', 'mcp-' + 'x' * 22, 'https://app.example/client.json', '../etc', 'a b', ''):
        answer = take(notes, app, code, client_id=client)
        assert answer.status == (401 if client else 400), (client, answer.body)
        assert json.loads(answer.body)['error'] == ('invalid_client' if client else 'invalid_request')


def test_sixty_four_who_show_one_code_at_once_get_one_login(notes):  # row 189
    app, code = login(notes)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: take(notes, app, code).status, range(64)))
    assert answers.count(200) == 1 and set(answers) <= {200, 400, 503}, answers


def test_neither_code_nor_token_is_on_the_disk(notes):  # row 118
    app, code = login(notes)
    got = good(take(notes, app, code))
    words = [code, got['access_token'], got['refresh_token']]
    for path in [*notes.statedir.rglob('*'), notes.audit_file, notes.log_file]:
        if path.is_file():
            data = path.read_bytes()
            assert not [w for w in words if w.encode() in data], path


# ---- confidential clients

@pytest.fixture
def desk(login_hub):
    return login_hub(CONFIDENTIAL, env={'DESK': SECRET})


@pytest.mark.parametrize('how', ['basic', 'post'])
def test_a_client_with_a_secret_shows_it_in_one_of_two_ways(desk, how):
    app, code = login(desk, 'desk', 'https://desk.example/cb')
    if how == 'basic':
        answer = take(desk, app, code, headers=basic('desk'), client_id=None)
    else:
        answer = take(desk, app, code, client_secret=SECRET)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize('headers,over', [
    ({}, {}), ({}, {'client_secret': 'wrong'}), (basic('desk', 'wrong'), {}), (basic('desk', ''), {})])
def test_a_client_with_a_secret_that_shows_none_or_another_is_401(desk, headers, over):
    app, code = login(desk, 'desk', 'https://desk.example/cb')
    assert error(take(desk, app, code, headers=headers, **over), 401) == 'invalid_client'
    assert take(desk, app, code, headers=basic('desk')).status == 200  # the code was not touched


def test_a_401_of_a_client_that_used_basic_has_a_challenge(desk):
    answer = form(desk, {'grant_type': 'refresh_token', 'refresh_token': 'x'}, **basic('desk', 'wrong'))
    assert answer.status == 401 and answer.headers['WWW-Authenticate'].startswith('Basic')


@pytest.mark.parametrize('text', [b'desk\0' + b'x' * 2900 + b':s', b'desk:\0' + b'x' * 2900, b'desk%00:s', b'desk%zz:s', b':s'])
def test_basic_credentials_that_are_no_form_are_refused(desk, text):
    answer = form(desk, {'grant_type': 'refresh_token', 'refresh_token': 'x'},
                  Authorization='Basic ' + base64.b64encode(text).decode())
    assert error(answer) == 'invalid_request'


def test_two_proofs_at_once_are_refused(desk):
    app, code = login(desk, 'desk', 'https://desk.example/cb')
    assert error(take(desk, app, code, headers=basic('desk'), client_secret=SECRET)) == 'invalid_request'


def test_two_names_at_once_are_refused(desk):
    app, code = login(desk, 'desk', 'https://desk.example/cb')
    assert error(take(desk, app, code, headers=basic('desk'), client_id='app')) == 'invalid_request'


def test_a_public_client_that_shows_a_secret_is_another(notes):
    app, code = login(notes)
    assert error(take(notes, app, code, client_secret='x'), 401) == 'invalid_client'


# ---- private_key_jwt

@pytest.fixture
def keyed(login_hub):
    hub = login_hub('client box { key {conf}/box.jwks; redirect_uri https://box.example/cb }',
                    files={'box.jwks': json.dumps(tokens.jwks(tokens.key('ES256')))})
    return hub


def assertion(hub, **over):
    now = int(time.time())
    claims = {'iss': 'box', 'sub': 'box', 'aud': hub.public_url, 'exp': now + 60, 'iat': now,
              'jti': uuid.uuid4().hex, **over}
    return tokens.jwt(tokens.key('ES256'), {k: v for k, v in claims.items() if v is not None}, {'typ': 'JWT'})


def with_assertion(hub, text):
    return form(hub, {'grant_type': 'refresh_token', 'refresh_token': 'x',
                      'client_assertion_type': 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
                      'client_assertion': text})


def test_an_assertion_proves_a_client_that_has_keys(keyed):
    app, code = login(keyed, 'box', 'https://box.example/cb')
    answer = take(keyed, app, code, client_id=None, client_assertion=assertion(keyed),
                  client_assertion_type='urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    assert answer.status == 200, answer.body
    answer = with_assertion(keyed, assertion(keyed, aud=keyed.public_url + '/token'))
    assert error(answer) == 'invalid_grant'  # proved; only the refresh token is nothing


def test_an_assertion_works_once(keyed):  # row 111
    text = assertion(keyed)
    assert error(with_assertion(keyed, text)) == 'invalid_grant'
    assert error(with_assertion(keyed, text), 401) == 'invalid_client'


def test_a_clock_that_was_set_back_makes_no_assertion_a_used_one(keyed):  # rows 111 and 184
    set_back(keyed, 300)
    test_an_assertion_works_once(keyed)


def test_an_assertion_whose_time_has_a_fraction_works_once(keyed):  # row 111
    text = assertion(keyed, exp=time.time() + 60.25)
    assert error(with_assertion(keyed, text)) == 'invalid_grant'
    assert error(with_assertion(keyed, text), 401) == 'invalid_client'


@pytest.mark.parametrize('over', [
    {'aud': 'https://other.example'}, {'exp': 1}, {'jti': None}, {'iss': 'other'}, {'sub': 'other'},
    {'exp': 4102444800}, {'exp': None}])
def test_an_assertion_that_is_not_for_this_is_401(keyed, over):  # row 111
    assert error(with_assertion(keyed, assertion(keyed, **over)), 401) == 'invalid_client'
