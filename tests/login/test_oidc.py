"""oidc: logins, refreshes and own tokens at a strict OpenID provider, through the real host functions."""

import base64
import json
import urllib.parse

import pytest

from support import tokens
from support.loginrun import CALLBACK, ConfigRefused
from support.standin import Reply
from support.standin_oidc import DISCOVERY

CONF = '''provider corp {{
    module oidc
    issuer {oidc.issuer}
    client_id hub
    client_secret file:{{dir}}/secret
    {more}
}}'''


@pytest.fixture
def corp(login_run, oidc):
    """Factory: corp(more options) with Ann signed in at the provider."""
    oidc.signed_in = 'ann'

    def make(more='', conf=CONF):
        return login_run(conf.format(oidc=oidc, more=more), files={'secret': oidc.client_secret + '\n'})
    return make


# ---- logging in

def test_a_login_names_the_person_by_issuer_and_subject(corp, oidc):
    done = corp().login()
    assert done['result'] == 'OK', done
    assert done['who']['issuer'] == oidc.issuer and done['who']['subject'] == 'u-1001'
    assert done['who']['claims'] == {'name': 'Ann Example', 'email': 'ann@example.com', 'email_verified': True}
    assert done['tokens']['access_token'] and done['tokens']['refresh_token']
    assert done['tokens']['access_expires_at'] > 0


def test_the_browser_is_sent_with_state_nonce_and_pkce(corp, oidc):  # row 101
    p = corp('parameters audience https://api.example.com')
    begun = p.begin(login_hint='ann@example.com', again=True)
    url, _, query = begun['redirect'].partition('?')
    q = dict(urllib.parse.parse_qsl(query, strict_parsing=True))
    assert url == oidc.url + '/authorize' and q['redirect_uri'] == CALLBACK
    assert q['state'] == p.state and q['nonce'] == p.nonce
    assert q['code_challenge_method'] == 'S256' and len(q['code_challenge']) == 43
    assert q['scope'] == 'openid profile email offline_access'
    assert q['login_hint'] == 'ann@example.com' and q['prompt'] == 'login'
    assert q['audience'] == 'https://api.example.com'


def test_a_prompt_of_ones_own_goes_along_with_ours(corp):
    p = corp('parameters prompt consent')
    ask = lambda **kw: dict(urllib.parse.parse_qsl(p.begin(**kw)['redirect'].partition('?')[2]))['prompt']
    assert ask() == 'consent' and ask(again=True) == 'login consent'


@pytest.mark.parametrize('more, scope', [
    ('offline off', 'openid profile email'),
    ('request_scope openid groups', 'openid groups offline_access'),
    ('request_scope openid offline_access', 'openid offline_access'),
])
def test_what_is_asked_for_can_be_chosen(corp, more, scope):
    q = dict(urllib.parse.parse_qsl(corp(more).begin()['redirect'].partition('?')[2]))
    assert q['scope'] == scope


def test_offline_access_is_not_asked_of_a_provider_that_does_not_list_it(corp, oidc):
    oidc.metadata['scopes_supported'] = ['openid']
    assert 'offline_access' not in corp().begin()['redirect']
    assert 'offline_access' in corp('offline on').begin()['redirect']


def test_the_secret_can_go_into_the_form(corp, oidc):
    assert corp('secret_in_form on').login()['result'] == 'OK'
    assert oidc.asked('/token')[-1].basic is None
    assert corp().login()['result'] == 'OK'
    assert oidc.asked('/token')[-1].basic == ('hub', oidc.client_secret)
    assert 'client_secret' not in oidc.asked('/token')[-1].params


def test_a_client_key_signs_an_assertion_instead_of_a_secret(login_run, oidc):
    key = tokens.Key('ES256')
    from cryptography.hazmat.primitives import serialization as s
    pem = key.private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()
    oidc.signed_in, oidc.client_of = 'ann', lambda rq: 'hub'
    done = login_run(f'provider corp {{ module oidc; issuer {oidc.issuer}; client_id hub;'
                     ' client_key file:{dir}/key; client_key_id k1 }', files={'key': pem}).login()
    assert done['result'] == 'OK', done
    sent = oidc.asked('/token')[-1].params
    head, body, _ = (json.loads(base64.urlsafe_b64decode(p + '==')) if i < 2 else p
                     for i, p in enumerate(sent['client_assertion'].split('.')))
    assert sent['client_assertion_type'] == 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    assert head['kid'] == 'k1' and body['iss'] == body['sub'] == 'hub' and body['aud'] == oidc.url + '/token'
    assert 0 < body['exp'] - body['iat'] <= 300 and 'client_secret' not in sent


def test_a_person_who_says_no_is_refused_by_the_provider(corp, oidc):
    oidc.signed_in = 'deny'
    assert corp().login()['error'] == 'access_denied'


# ---- whose login it is

@pytest.mark.parametrize('claims, why', [
    ({'aud': 'other'}, 'aud'),
    ({'aud': ['hub', 'other']}, 'azp'),
    ({'aud': ['hub', 'other'], 'azp': 'other'}, 'azp'),
    ({'azp': 'other'}, 'azp'),
    ({'nonce': 'of-another-login'}, 'nonce'),
    ({'nonce': None}, 'nonce'),
    ({'at_hash': 'AAAAAAAAAAAAAAAAAAAAAA'}, 'at_hash'),
    ({'at_hash': 17}, 'at_hash'),
    ({'iss': 'https://evil.example'}, 'iss'),
    ({'exp': 1000000000}, 'expired'),
    ({'exp': None}, 'exp'),
    ({'iat': None}, 'iat'),
    ({'sub': None}, 'sub'),
    ({'sub': ''}, 'sub'),
    ({'events': {}}, 'events'),
    ({'typ': 'Bearer'}, 'Bearer'),
])
def test_an_id_token_that_is_not_of_this_login_names_nobody(corp, oidc, claims, why):  # row 101
    oidc.id_claims = claims
    done = corp().login()
    assert done['result'] == 'INVALID' and done['who'] is None
    assert why in done['reason'], done['reason']


@pytest.mark.parametrize('claims', [{'aud': ['hub']}, {'aud': ['hub', 'other'], 'azp': 'hub'}, {'azp': 'hub'},
                                    {'at_hash': None}])
def test_other_forms_of_a_good_id_token_are_taken(corp, oidc, claims):
    oidc.id_claims = claims
    assert corp().login()['result'] == 'OK'


def test_a_forged_id_token_names_nobody(corp, oidc):
    oidc.signer = tokens.Key('RS256', kid=oidc.keys[0].kid)
    assert corp().login()['result'] == 'INVALID'


@pytest.mark.parametrize('alg', ['PS256', 'ES256', 'ES384', 'EdDSA'])
def test_id_tokens_of_every_algorithm_with_their_at_hash_are_taken(corp, oidc, alg):
    oidc.rotate_keys(alg)
    assert corp().login()['result'] == 'OK'


def test_an_unsigned_id_token_names_nobody(corp, oidc):
    oidc.id_header = {'alg': 'none'}
    assert corp().login()['result'] == 'INVALID'


def test_rotated_keys_are_fetched(corp, oidc):
    p = corp()
    assert p.login()['result'] == 'OK'
    oidc.rotate_keys()
    assert p.login()['result'] == 'OK'


@pytest.mark.parametrize('parameters', [[], ['iss', 'https://evil.example'], ['iss', '']])
def test_an_answer_of_another_provider_is_refused_before_the_code_is_sent(corp, oidc, parameters):  # row 92
    p = corp()
    assert p.begin()['result'] == 'OK'
    done = p.finish('code-of-somebody', parameters)
    assert done['result'] == 'INVALID' and 'another provider' in done['reason']
    assert oidc.count['/token'] == 0


def test_a_provider_that_never_says_iss_is_believed_without(corp, oidc):
    oidc.iss_in_response = False
    assert corp().login()['result'] == 'OK'


def test_a_code_that_is_no_good_is_invalid(corp, oidc):
    p = corp()
    p.begin()
    done = p.finish('made-up', ['iss', oidc.issuer])
    assert done['result'] == 'INVALID' and 'invalid_grant' in done['reason']


def test_a_wrong_client_secret_is_an_error_and_logged(corp, oidc):
    oidc.clients['hub'] = 'changed'
    p = corp()
    done = p.login()
    assert done['result'] == 'ERROR'
    assert 'invalid_client' in p.log


def test_no_id_token_is_an_error(corp, oidc):
    oidc.decorate = lambda reply: {k: v for k, v in reply.items() if k != 'id_token'}
    assert corp().login()['result'] == 'ERROR'


# ---- claims

@pytest.mark.parametrize('verified, more, email', [
    (True, '', True), (False, '', False), (None, '', False), ('true', '', False),
    (None, 'trust_email on', True), (False, 'trust_email on', False),
])
def test_an_address_counts_when_it_was_verified(corp, oidc, verified, more, email):  # row 24
    oidc.people['ann']['email_verified'] = verified
    if verified is None:
        del oidc.people['ann']['email_verified']
    done = corp(more).login()
    assert ('email' in done['who']['claims']) == email


@pytest.mark.parametrize('preset, given, expected', [
    ('keycloak', {'realm_access': {'roles': ['admin']}, 'groups': ['/g']}, {'role': ['admin'], 'groups': ['/g']}),
    ('entra', {'roles': ['admin'], 'tid': 't1', 'groups': ['g']}, {'role': ['admin'], 'tenant': 't1', 'groups': ['g']}),
    ('okta', {'groups': ['g']}, {'groups': ['g']}),
    ('auth0', {'org_id': 'org_1', 'permissions': ['read']}, {'tenant': 'org_1', 'permissions': ['read']}),
])
def test_presets_know_the_names_of_each_provider(corp, oidc, preset, given, expected):
    oidc.id_claims = given
    claims = corp(f'claims {preset}').login()['who']['claims']
    assert {k: claims.get(k) for k in expected} == expected


def test_an_id_token_that_names_all_the_groups_that_entra_names_is_read(corp, oidc):
    oidc.people['ann']['groups'] = [f'{i:08x}-0000-4000-8000-000000000000' for i in range(200)]
    p = corp('request_scope openid profile email groups')
    done = p.login()
    assert done['result'] == 'OK', done
    assert done['who']['claims']['groups'] == oidc.people['ann']['groups']
    assert p.refresh(done)['result'] == 'OK'


def test_an_id_token_past_every_reason_is_refused(corp, oidc):
    oidc.people['ann']['groups'] = [f'{i:08x}-0000-4000-8000-000000000000' for i in range(400)]
    done = corp('request_scope openid profile email groups').login()
    assert done['result'] == 'INVALID' and 'token of more than 16384 bytes' in done['reason']


def test_map_copies_what_it_says(corp, oidc):
    oidc.id_claims = {'https://example.com/dept': {'id': 7}}
    claims = corp('map /https:~1~1example.com~1dept/id /department').login()['who']['claims']
    assert claims['department'] == 7


def test_userinfo_is_asked_when_told_and_wins(corp, oidc):
    oidc.groups_in = ('userinfo',)
    p = corp('userinfo on; request_scope openid profile email groups')
    assert p.login()['who']['claims']['groups'] == ['staff', 'notes-admins']
    assert oidc.count['/userinfo'] == 1


def test_userinfo_about_somebody_else_is_an_error(corp, oidc):
    oidc.routes['GET', '/userinfo'] = lambda rq: Reply(200, {'sub': 'u-9999'})
    assert corp('userinfo on').login()['result'] == 'ERROR'


# ---- refreshing

def test_a_refresh_brings_new_tokens_and_claims(corp, oidc):
    p = corp('request_scope openid groups')
    done = p.login()
    oidc.people['ann']['groups'] = ['staff']
    again = p.refresh(done)
    assert again['result'] == 'OK' and again['who']['claims']['groups'] == ['staff']
    assert again['tokens']['refresh_token'] != done['tokens']['refresh_token']
    assert p.refresh(again)['result'] == 'OK'


def test_a_refresh_token_that_does_not_come_again_is_kept(corp, oidc):
    oidc.rotates = False
    p = corp()
    done = p.login()
    again = p.refresh(done)
    assert again['rotated'] and again['tokens']['refresh_token'] == done['tokens']['refresh_token']


def test_a_revoked_person_is_invalid(corp, oidc):
    p = corp()
    done = p.login()
    oidc.revoke('ann')
    assert p.refresh(done)['result'] == 'INVALID'


def test_a_refresh_without_an_id_token_asks_userinfo(corp, oidc):
    oidc.refresh_gives_id_token = False
    p = corp()
    done = p.login()
    oidc.people['ann']['name'] = 'Ann Changed'
    again = p.refresh(done)
    assert again['result'] == 'OK' and again['who']['claims']['name'] == 'Ann Changed'
    assert again['who']['claims']['email'] == 'ann@example.com'


def test_a_refresh_that_says_nothing_new_keeps_the_person(corp, oidc):
    oidc.refresh_gives_id_token = False
    oidc.metadata['userinfo_endpoint'] = None
    p = corp()
    done = p.login()
    again = p.refresh(done)
    assert again['result'] == 'OK' and again['who'] == {**done['who'], 'client': again['who'].get('client')}


def test_a_refresh_as_somebody_else_is_an_error(corp, oidc):  # row 115
    p = corp()
    done = p.login()
    oidc.people['ann']['sub'] = 'u-1002'
    assert p.refresh(done)['result'] == 'ERROR'


def test_without_a_refresh_token_the_access_token_is_shown_to_userinfo(corp, oidc):
    oidc.gives_refresh = False
    p = corp()
    done = p.login()
    assert done['tokens']['refresh_token'] is None
    assert p.refresh(done)['result'] == 'OK'
    oidc.revoke('ann')
    assert p.refresh(done)['result'] == 'INVALID'


def test_without_any_token_a_refresh_is_invalid(corp, oidc):
    p = corp()
    done = p.login()
    done['tokens'] = {'access_token': 'old', 'access_expires_at': 1000}
    assert p.refresh(done)['result'] == 'INVALID'


# ---- cannot tell

FAULTS = [{'status': 500}, {'status': 503, 'body': '<html>'}, {'status': 429}, {'drop': True},
          {'status': 500, 'body': {'error': 'invalid_grant'}}, {'status': 429, 'body': {'error': 'invalid_client'}},
          {'status': 200, 'body': '<html>'}, {'status': 200, 'body': '{"a":1,"a":2}'},
          {'status': 400, 'body': {'error': 'temporarily_unavailable'}}]


@pytest.mark.parametrize('fault', FAULTS)
def test_a_token_endpoint_in_trouble_is_unavailable_and_ends_no_grant(corp, oidc, fault):
    p = corp()
    done = p.login()
    oidc.fault('/token', **fault)
    assert p.refresh(done)['result'] == 'UNAVAIL'
    assert p.login()['result'] == 'UNAVAIL'
    oidc.heal()
    assert p.refresh(done)['result'] == 'OK'


def test_a_provider_that_hangs_is_unavailable_at_the_deadline(corp, oidc):  # row 133
    p = corp('deadline 300ms')
    oidc.fault(DISCOVERY, hang=True)
    assert p.begin()['result'] == 'UNAVAIL'


def test_rotated_tokens_come_out_although_userinfo_is_down(corp, oidc):
    oidc.refresh_gives_id_token = False
    p = corp()
    done = p.login()
    oidc.fault('/userinfo', status=500)
    again = p.refresh(done)
    assert again['result'] == 'UNAVAIL' and again['rotated']
    oidc.heal()
    assert p.refresh(again)['result'] == 'OK'


def test_keys_that_cannot_be_fetched_are_unavailable(corp, oidc):
    oidc.fault('/jwks', status=500)
    assert corp().login()['result'] == 'UNAVAIL'


@pytest.mark.parametrize('fault', [{'status': 500}, {'status': 404}, {'status': 200, 'body': '[]'},
                                   {'status': 200, 'body': {'issuer': 'https://evil.example'}}])
def test_without_metadata_a_login_is_unavailable(corp, oidc, fault):
    oidc.fault(DISCOVERY, **fault)
    assert corp().begin()['result'] == 'UNAVAIL'


def test_metadata_of_another_spelling_of_the_issuer_is_refused_and_tells_it(corp, oidc):  # row 9
    oidc.metadata = {'issuer': oidc.issuer + '/'}
    begun = corp().begin()
    assert begun['result'] == 'UNAVAIL' and f"of another issuer: '{oidc.issuer}/'" in begun['reason']


def test_metadata_is_kept_when_the_provider_goes_away(corp, oidc):
    p = corp()
    assert p.begin()['result'] == 'OK'
    oidc.fault(DISCOVERY, status=500)
    assert p.begin()['result'] == 'OK'
    assert oidc.count[DISCOVERY] == 2  # key set and login


def test_an_authorization_endpoint_that_is_no_address_is_an_error(corp, oidc):
    oidc.metadata['authorization_endpoint'] = 'javascript:alert(1)'
    begun = corp().begin()
    assert begun['result'] == 'ERROR' and begun.get('redirect') is None


# ---- many tenants (Entra)

@pytest.fixture
def entra(login_run, oidc):
    oidc.signed_in = 'ann'
    path = '/organizations/v2.0'
    named = oidc.url + '/{tenantid}/v2.0'
    oidc.iss_in_response = False
    oidc.metadata.update(issuer=named)
    oidc.routes['GET', path + DISCOVERY] = oidc.routes['GET', DISCOVERY]
    oidc.routes['GET', '/organizations/discovery/v2.0/keys'] = oidc.routes['GET', '/jwks']
    p = login_run(f'''provider corp {{ module oidc; issuer {oidc.url}{path}; tenants t-1 t-2; client_id hub;
        client_secret file:{{dir}}/secret; claims entra }}''', files={'secret': oidc.client_secret})
    return p


def test_people_of_the_named_tenants_log_in(entra, oidc):
    oidc.id_claims = {'iss': oidc.url + '/t-2/v2.0', 'tid': 't-2'}
    done = entra.login()
    assert done['result'] == 'OK' and done['who']['issuer'] == oidc.url + '/t-2/v2.0'
    assert done['who']['claims']['tenant'] == 't-2'


@pytest.mark.parametrize('tenant', ['t-3', 'organizations', '{tenantid}'])
def test_people_of_other_tenants_do_not(entra, oidc, tenant):
    oidc.id_claims = {'iss': f'{oidc.url}/{tenant}/v2.0', 'tid': tenant}
    assert entra.login()['result'] == 'INVALID'


# ---- own tokens

def own(oidc, **claims):
    claims = {'iss': oidc.issuer, 'aud': 'hub', 'azp': 'hub', 'sub': 'u-1001', **claims}
    return tokens.jwt(oidc.keys[0], **claims)


def test_own_tokens_are_refused_unless_told(corp, oidc):
    assert corp().verify(own(oidc))['status'] == 401


def test_own_tokens_are_accepted_when_told(corp, oidc):
    answer = corp('own_tokens on').verify(own(oidc))
    assert answer['status'] == 200 and answer['who']['subject'] == 'u-1001'


@pytest.mark.parametrize('claims', [{'azp': 'other'}, {'azp': None}, {'aud': 'other'}, {'aud': None},
                                    {'iss': 'https://evil.example'}, {'exp': 1000000000},
                                    {'azp': None, 'client_id': 'other'}, {'nonce': 'n'}, {'typ': 'ID'}])
def test_tokens_of_other_applications_and_id_tokens_are_never_accepted(corp, oidc, claims):
    assert corp('own_tokens on').verify(own(oidc, **claims))['status'] == 401


def test_own_tokens_are_told_to_be_a_risk(corp):
    p = corp('own_tokens on')
    p.begin()
    assert 'foreign-tokens' in p.log
    p = corp('own_tokens on; accept_risk foreign-tokens')
    p.begin()
    assert 'foreign-tokens' not in p.log


# ---- options

@pytest.mark.parametrize('more, words', [
    ('request_scope email', 'openid must be asked for'),
    ('client_key file:{dir}/secret', 'one of client_secret and client_key'),
    ('tenants t-1', 'of many tenants'),
    ('subject_claim sub', 'begins with /'),
    ('parameters state x', 'is the hub'),
    ('map a /b', 'must be a JSON pointer'),
    ('map /a /account', 'a / and a name'),
])
def test_options_that_do_not_fit_are_refused_with_the_reason(corp, more, words):
    with pytest.raises(ConfigRefused, match=words):
        corp(more.replace('{', '{{').replace('}', '}}').replace('{{dir}}', '{dir}')).begin()


def test_the_address_of_the_discovery_document_is_no_issuer(login_run):
    p = login_run('provider corp { module oidc; client_id hub; '
                  'issuer https://idp.example.com/.well-known/openid-configuration }')
    with pytest.raises(ConfigRefused, match='stands before /.well-known/'):
        p.begin()


def test_plain_http_to_a_provider_off_loopback_is_refused(login_run):
    p = login_run('provider corp { module oidc; issuer http://idp.example.com; client_id hub }')
    with pytest.raises(ConfigRefused, match='must be https'):
        p.begin()
