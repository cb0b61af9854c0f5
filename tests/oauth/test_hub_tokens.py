"""Tokens that the hub issued itself: what they open, and what they do not. Rows 1, 103, 104, 113, 117, 190."""

import base64
import json
import time

import pytest

from support import tokens
from support.oauth import SECRET, basic, claims_of, error, form, good, login, take
from support.secretlog import remember

CONF = '''
scope notes:read  {{ text "Read notes" }}
scope notes:admin {{ text "Delete notes"; implies notes:read }}
scope other       {{ text "Another" }}
client robot {{ secret env:ROBOT; scope notes:read }}
client admin {{ secret env:ROBOT; service notes }}
service notes {{ path /notes; upstream {url}; auth sufficient clients; require scope notes:read }}
service more  {{ path /more;  upstream {url}; auth sufficient clients; require scope other }}
'''


@pytest.fixture
def robots(hub, upstream):
    return hub(CONF.format(url=upstream.url), env={'ROBOT': SECRET})


def own_token(hub, client='robot', service='/notes', **more):
    return form(hub, {'grant_type': 'client_credentials', 'resource': hub.public_url + service, **more},
                **basic(client))


def test_a_client_of_the_configuration_gets_in_with_a_token_of_its_own(robots, upstream):
    answer = own_token(robots)
    assert answer.status == 200, answer.body
    got = json.loads(answer.body)
    assert got['token_type'] == 'Bearer' and got['scope'] == 'notes:read' and got['expires_in'] == 600
    assert 'refresh_token' not in got
    assert robots.call('/notes', token=got['access_token']).status == 200


# ---- what a token of the hub opens, and what it does not

MIXED = '''
provider corp    {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/corp.secret }}
provider keys    {{ module static-token; file {{conf}}/tokens }}
provider near    {{ module address; allow {near} }}
scope notes:read {{ text "Read" }}
client app {{ redirect_uri https://app.example/cb }}
client robot {{ secret env:ROBOT; service notes }}
service notes {{ path /notes; upstream {upstream}; {notes}; require scope notes:read }}
service more  {{ path /more;  upstream {upstream}; auth sufficient corp }}
{more}
'''
STACK = 'auth sufficient keys; auth sufficient corp; auth sufficient clients'


@pytest.fixture
def mixed(hub, oidc, upstream):
    oidc.signed_in = 'ann'

    def make(notes=STACK, near='127.0.0.0/8', more=''):
        text = MIXED.format(oidc=oidc, upstream=upstream.url, notes=notes, near=near, more=more)
        return hub(text, files={'corp.secret': oidc.client_secret, 'tokens': ''}, env={'ROBOT': SECRET})
    make.text = lambda notes: MIXED.format(oidc=oidc, upstream=upstream.url, notes=notes, near='127.0.0.0/8', more='')
    return make


def user_token(hub):
    app, code = login(hub)
    return good(take(hub, app, code))['access_token']


def decision(hub):
    return hub.wait_audit('decision', decision='grant')[-1]


def test_the_line_that_the_token_names_grants_with_the_person_that_the_provider_knows(mixed, oidc):
    hub = mixed()
    assert hub.call('/notes', token=user_token(hub)).status == 200
    record = decision(hub)
    assert (record['issuer'], record['subject'], record['client']) == (oidc.issuer, 'u-1001', 'app')
    assert record['scopes'] == ['notes:read']


def test_the_provider_is_not_asked_about_its_token(mixed, oidc):
    hub = mixed()
    token = user_token(hub)
    before = sum(oidc.count.values())
    for _ in range(3):
        assert hub.call('/notes', token=token).status == 200
    assert sum(oidc.count.values()) == before


def test_it_never_reaches_the_upstream(mixed, upstream):
    hub = mixed()
    token = user_token(hub)
    assert hub.call('/notes', token=token).status == 200
    assert token.encode() not in upstream.transcript


def test_it_satisfies_no_other_line(mixed):
    hub = mixed('auth required corp; auth required clients')
    assert hub.call('/notes', token=user_token(hub)).status == 401
    assert hub.call('/notes', token=own_token(hub).json()['access_token']).status == 401


def test_guards_are_asked_all_the_same(mixed):
    hub = mixed('auth required near; auth sufficient corp')
    assert hub.call('/notes', token=user_token(hub)).status == 200
    hub = mixed('auth required near; auth sufficient corp', near='192.0.2.0/24')
    assert hub.call('/notes', token=user_token(hub)).status == 403


def test_another_service_does_not_take_it(mixed):  # row 104
    hub = mixed()
    answer = hub.call('/more', token=user_token(hub))
    assert answer.status == 401 and 'not issued for this service' in answer.text


def test_without_the_scope_it_is_403(mixed):
    hub = mixed(more='scope extra { text "More" }\nservice third { path /third; upstream http://127.0.0.1:9/; '
                     'auth sufficient corp; require scope extra; login_scope notes:read }')
    app, code = login(hub, service='third')
    answer = hub.call('/third', token=good(take(hub, app, code))['access_token'])
    assert answer.status == 403 and 'insufficient_scope' in answer.challenge


def test_a_token_whose_provider_has_left_the_stack_is_401(mixed):  # row 190
    hub = mixed()
    token = user_token(hub)
    assert hub.call('/notes', token=token).status == 200
    hub.configure(mixed.text('auth sufficient keys; auth sufficient clients'))
    hub.reload()
    answer = hub.call('/notes', token=token)
    assert answer.status == 401 and 'invalid_token' in answer.challenge


def test_a_client_that_was_taken_out_gets_in_no_more(mixed):  # row 190
    hub = mixed()
    token = own_token(hub).json()['access_token']
    assert hub.call('/notes', token=token).status == 200
    hub.configure(mixed.text(STACK).replace('client robot', 'client robot2'))
    hub.reload()
    assert hub.call('/notes', token=token).status == 401


@pytest.mark.parametrize('client', ['app', 'robot'])
def test_a_client_from_which_the_service_was_taken_gets_in_no_more(mixed, client):  # row 190
    hub = mixed()
    token = user_token(hub) if client == 'app' else own_token(hub).json()['access_token']
    assert hub.call('/notes', token=token).status == 200
    text = mixed.text(STACK).replace('secret env:ROBOT; service notes', 'secret env:ROBOT')
    hub.configure(text.replace(f'client {client} {{', f'client {client} {{ service more;'))
    hub.reload()
    answer = hub.call('/notes', token=token)
    assert answer.status == 401 and 'invalid_token' in answer.challenge


@pytest.mark.parametrize('bend', ['signature', 'claims', 'alg', 'typ', 'kid'])
def test_a_bent_token_is_401(mixed, bend):  # row 1
    hub = mixed()
    head, claims, signature = user_token(hub).split('.')

    def decode(part):
        return json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))
    if bend == 'signature':
        signature = signature[:-8] + ('AAAAAAAA' if signature[-8:] != 'AAAAAAAA' else 'BBBBBBBB')
    elif bend == 'claims':
        claims = tokens.b64(json.dumps({**decode(claims), 'scope': 'notes:read notes:admin'}).encode())
    else:
        change = {'alg': {'alg': 'none'}, 'typ': {'typ': 'mcpauth-assertion+jwt'}, 'kid': {'kid': 'x'}}[bend]
        head = tokens.b64(json.dumps({**decode(head), **change}).encode())
    assert hub.call('/notes', token=remember(f'{head}.{claims}.{signature}')).status == 401


def test_a_token_that_somebody_else_signed_in_our_name_is_401(mixed):  # row 1
    hub = mixed()
    now = int(time.time())
    forged = tokens.jwt(tokens.key('ES256'), {
        'iss': hub.public_url, 'sub': 'corp:u-1001', 'aud': hub.public_url + '/notes', 'client_id': 'app',
        'scope': 'notes:read', 'iat': now, 'exp': now + 600, 'jti': 'x', 'grant': 'y',
        'idp': {'provider': 'corp', 'issuer': 'x'}})
    assert hub.call('/notes', token=forged).status == 401


def test_an_expired_token_is_401_and_says_so(mixed):
    hub = mixed(more='oauth { access_token_lifetime 10s }')
    token = own_token(hub).json()['access_token']
    assert hub.call('/notes', token=token).status == 200
    time.sleep(11)
    answer = hub.call('/notes', token=token)
    assert answer.status == 401 and 'expired' in answer.text


def test_chosen_claims_are_shown_in_the_token(mixed):
    hub = mixed(more='oauth { token_claims email name }')
    assert claims_of(user_token(hub))['claims'] == {'email': 'ann@example.com', 'name': 'Ann Example'}


def test_explain_says_which_line_a_token_of_the_hub_satisfies(mixed):
    hub = mixed()
    token = user_token(hub)
    said = hub.cli('explain', 'notes', '--token-file', '-', input=token, check=True).stdout
    assert 'u-1001' in said and 'a token of the hub, for another line' in said, said
    form(hub, {'token': token, 'client_id': 'app'}, '/revoke')
    said = hub.cli('explain', 'notes', '--token-file', '-', input=token).stdout
    assert 'hub token: revoked' in said, said


# ---- clients of the configuration

def test_a_client_has_no_scope_that_is_for_others_unless_it_is_written_down(hub, upstream):  # row 117
    conf = CONF.replace('"Delete notes"; implies notes:read', '"Delete notes"; implies notes:read; for role admin')
    h = hub(conf.format(url=upstream.url), env={'ROBOT': SECRET})
    assert own_token(h, 'admin', scope='notes:admin').json()['scope'] == 'notes:read'


def test_a_service_that_is_not_the_clients_is_refused(robots):  # row 104
    assert own_token(robots, 'admin', service='/more').json()['error'] == 'invalid_target'
    assert own_token(robots, 'robot', service='/nothing').json()['error'] == 'invalid_target'


def test_without_a_resource_it_is_the_only_service_of_the_client(robots):  # row 104
    answer = form(robots, {'grant_type': 'client_credentials'}, **basic('admin'))
    assert claims_of(good(answer)['access_token'])['aud'] == robots.public_url + '/notes'
    assert error(form(robots, {'grant_type': 'client_credentials'}, **basic('robot'))) == 'invalid_target'


def test_a_client_ends_its_own_token(robots):  # rows 113 and 187
    token = own_token(robots).json()['access_token']
    assert robots.call('/notes', token=token).status == 200
    assert form(robots, {'token': token}, '/revoke', **basic('robot')).status == 200
    assert robots.call('/notes', token=token).status == 401


# ---- introspection

@pytest.fixture
def watched(mixed):
    return mixed(more='client watch { secret env:ROBOT; introspection on; service notes }\n'
                      'client blind { secret env:ROBOT; introspection on; service more }')


def introspect(hub, token, client='watch'):
    return form(hub, {'token': token}, '/introspect', **basic(client))


def test_a_client_that_may_ask_learns_what_a_token_is(watched):  # row 113
    token = user_token(watched)
    got = good(introspect(watched, token))
    assert got['active'] is True and got['scope'] == 'notes:read' and got['client_id'] == 'app'
    assert got['aud'] == watched.public_url + '/notes' and got['iss'] == watched.public_url and got['exp']


def test_others_learn_nothing(watched):  # row 113
    token = user_token(watched)
    assert good(introspect(watched, token, 'blind')) == {'active': False}
    assert good(introspect(watched, token, 'robot')) == {'active': False}
    assert error(form(watched, {'token': token, 'client_id': 'app'}, '/introspect'), 401) == 'invalid_client'
    assert error(form(watched, {'token': token}, '/introspect'), 400) == 'invalid_request'


def test_a_dead_token_is_not_active(watched):  # row 113
    token = user_token(watched)
    form(watched, {'token': token, 'client_id': 'app'}, '/revoke')
    for text in (token, 'nonsense', token + 'x'):
        assert good(introspect(watched, text)) == {'active': False}
