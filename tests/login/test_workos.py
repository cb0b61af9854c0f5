"""workos at a stand-in that behaves as an AuthKit domain does on the wire."""

import urllib.parse

import pytest

from support import tokens
from support.loginrun import ConfigRefused

RESOURCE = 'http://127.0.0.1:7070/notes'
LOGIN = 'client_id client_01HUB; client_secret file:{dir}/secret; environment_client_id client_01ENVIRONMENT'


@pytest.fixture
def hub_at(login_run, workos):
    """Factory: hub_at(more options) with Ann signed in at AuthKit."""
    workos.signed_in = 'ann'

    def make(more='', login=LOGIN):
        return login_run(f'provider workos {{ authkit_domain {workos.issuer}; {login}; {more} }}',
                         files={'secret': workos.client_secret})
    return make


def query(begun):
    return dict(urllib.parse.parse_qsl(begun['redirect'].partition('?')[2]))


def test_a_login_brings_organisation_role_and_permissions(hub_at, workos):
    done = hub_at().login()
    assert done['result'] == 'OK', done
    assert done['who']['issuer'] == workos.issuer and done['who']['subject'] == 'user_01ANN'
    assert done['who']['claims'] == {
        'name': 'Ann Example', 'email': 'ann@example.com', 'email_verified': True, 'tenant': 'org_01EXAMPLE',
        'role': 'admin', 'permissions': ['notes:read', 'notes:admin']}


def test_an_address_counts_when_it_was_verified(hub_at, workos):  # row 24
    workos.signed_in = 'bob'
    assert 'email' not in hub_at().login()['who']['claims']


def test_an_access_token_for_somebody_else_says_nothing(hub_at, workos):
    workos.access_claims = {'aud': 'client_01OTHER'}
    claims = hub_at().login()['who']['claims']
    assert 'role' not in claims and claims['name'] == 'Ann Example'


def test_an_access_token_of_somebody_else_says_nothing(hub_at, workos):
    workos.access_claims = {'sub': 'user_01BOB'}
    assert 'role' not in hub_at().login()['who']['claims']


def test_hints_are_passed_on(hub_at):
    q = query(hub_at('organization org_01EXAMPLE; connection conn_1; parameters domain_hint example.com')
              .begin(login_hint='ann@example.com', again=True))
    assert q['organization_id'] == 'org_01EXAMPLE' and q['connection_id'] == 'conn_1'
    assert q['domain_hint'] == 'example.com' and q['login_hint'] == 'ann@example.com' and q['prompt'] == 'login'
    assert 'organization_id' not in query(hub_at('organization org_1 org_2').begin())


@pytest.mark.parametrize('person, organization, result', [
    ('ann', 'org_01EXAMPLE', 'OK'), ('ann', 'org_1 org_01EXAMPLE', 'OK'), ('ann', 'org_1', 'DENY'),
    ('bob', 'org_01EXAMPLE', 'DENY')])
def test_who_acts_for_another_organisation_is_refused(hub_at, workos, person, organization, result):
    workos.signed_in = person
    assert hub_at(f'organization {organization}').login()['result'] == result


def test_a_refresh_takes_roles_anew(hub_at, workos):
    p = hub_at()
    done = p.login()
    workos.people['ann']['role'] = 'member'
    again = p.refresh(done)
    assert again['result'] == 'OK' and again['who']['claims']['role'] == 'member'
    assert again['tokens']['refresh_token'] != done['tokens']['refresh_token']


def test_who_leaves_the_organisation_is_refused_at_the_next_refresh(hub_at, workos):
    p = hub_at('organization org_01EXAMPLE')
    done = p.login()
    workos.people['ann']['org_id'] = 'org_1'
    assert p.refresh(done)['result'] == 'DENY'


def test_a_refresh_without_an_id_token_asks_userinfo(hub_at, workos):
    workos.refresh_gives_id_token = False
    p = hub_at()
    done = p.login()
    workos.people['ann']['name'] = 'Ann Changed'
    again = p.refresh(done)
    assert again['result'] == 'OK' and again['who']['claims']['name'] == 'Ann Changed'
    assert again['who']['claims']['role'] == 'admin'


def test_a_refresh_token_works_once(hub_at):
    p = hub_at()
    done = p.login()
    assert p.refresh(done)['result'] == 'OK'
    assert p.refresh(done)['result'] == 'INVALID'


def test_without_offline_access_a_refresh_is_invalid(hub_at):
    p = hub_at('request_scope openid')
    assert p.refresh(p.login())['result'] == 'INVALID'


@pytest.mark.parametrize('path', ['/oauth2/token', '/oauth2/userinfo', '/oauth2/jwks'])
def test_authkit_in_trouble_is_unavailable(hub_at, workos, path):
    p = hub_at()
    done = p.login()
    workos.refresh_gives_id_token = False
    if path == '/oauth2/jwks':
        workos.rotate_keys()
    workos.fault(path, status=503)
    again = p.refresh(done)
    assert again['result'] == 'UNAVAIL'


def test_an_answer_of_another_provider_is_refused(hub_at, workos):  # row 92
    p = hub_at()
    p.begin()
    assert p.finish('code', ['iss', 'https://evil.example'])['result'] == 'INVALID'
    assert p.finish('code')['result'] == 'INVALID'
    assert workos.count['/oauth2/token'] == 0


@pytest.mark.parametrize('claims', [{'aud': 'other'}, {'nonce': 'other'}, {'iss': 'https://evil.example'}])
def test_an_id_token_that_is_not_of_this_login_names_nobody(hub_at, workos, claims):  # row 101
    workos.id_claims = claims
    assert hub_at().login()['result'] == 'INVALID'


# ---- AuthKit as the authorization server of the service

def test_a_token_for_the_service_is_accepted_of_any_client(hub_at, workos):
    p = hub_at('external on', login='map /sid /session')
    answer = p.verify(workos.access_jwt('ann', 'client_of_claude', ['notes:read'], aud=RESOURCE))
    assert answer['status'] == 200 and answer['who']['subject'] == 'user_01ANN'
    assert answer['who']['claims']['role'] == 'admin' and answer['who']['claims']['session'] == 'app_consent_01'
    assert answer['who']['client'] == 'client_of_claude'


@pytest.mark.parametrize('over', [{'aud': RESOURCE + 'x'}, {'aud': 'client_01ENVIRONMENT'}, {'aud': None},
                                  {'exp': 1000000000}, {'sub': None}, {'iss': 'https://evil.example'}])
def test_a_token_for_anything_else_is_refused(hub_at, workos, over):
    token = workos.access_jwt('ann', 'client_01HUB', [], **{'aud': RESOURCE, **over})
    assert hub_at('external on', login='leeway 1s').verify(token)['status'] == 401


def test_the_organisation_counts_for_tokens_too(hub_at, workos):
    p = hub_at('external on; organization org_1', login='leeway 1s')
    assert p.verify(workos.access_jwt('ann', 'c', [], aud=RESOURCE))['status'] == 403


def test_nobody_logs_in_through_an_external_server(hub_at):
    assert hub_at('external on', login='leeway 1s').begin()['result'] == 'ERROR'


# ---- own tokens

@pytest.mark.parametrize('client, aud, status', [
    ('client_01HUB', 'client_01ENVIRONMENT', 200), ('client_01HUB', 'client_01HUB', 200),
    ('client_01OTHER', 'client_01ENVIRONMENT', 401), ('client_01HUB', 'client_01OTHER', 401),
    (None, 'client_01ENVIRONMENT', 401)])
def test_own_tokens_are_those_of_client_id(hub_at, workos, client, aud, status):
    token = workos.access_jwt('ann', client, [], aud=aud)
    assert hub_at('own_tokens on').verify(token)['status'] == status
    assert hub_at().verify(token)['status'] == 401


def test_a_forged_token_is_refused(hub_at, workos):
    workos.keys, good = [tokens.Key('RS256', kid=workos.keys[0].kid)], workos.keys
    token = workos.access_jwt('ann', 'client_01HUB', [])
    workos.keys = good
    assert hub_at('own_tokens on').verify(token)['status'] == 401


@pytest.mark.parametrize('login, more, words', [
    ('leeway 1s', '', 'client_id and client_secret, or'), ('client_id x', '', 'go together'),
    ('external on', 'own_tokens on', 'needs a client_id'),
    (LOGIN, 'request_scope email', 'openid must be asked for'), (LOGIN, 'organization example', 'is no id of'),
    (LOGIN, 'parameters organization_id org_2', 'is the hub'),
    (LOGIN, 'map role /x', 'must begin with /')])
def test_options_that_do_not_fit_are_refused_with_the_reason(hub_at, login, more, words):
    with pytest.raises(ConfigRefused, match=words):
        hub_at(more, login=login).begin()
