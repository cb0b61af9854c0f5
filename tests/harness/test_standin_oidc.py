"""The stand-in for OpenID providers refuses what real ones refuse: if it did not, tests of logins would
prove nothing."""

import base64
import json
import time
import urllib.parse

import pytest

from support.standin import challenge_of
from support.webform import Browser

BACK = 'http://127.0.0.1:9/callback/corp'
VERIFIER = 'v' * 43
STATE = 's' * 43


def start_url(oidc, **over):
    query = {'client_id': 'hub', 'redirect_uri': BACK, 'response_type': 'code', 'scope': 'openid email',
             'state': STATE, 'nonce': 'n-1', 'code_challenge': challenge_of(VERIFIER),
             'code_challenge_method': 'S256', **over}
    return oidc.url + '/authorize?' + urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})


def code(oidc, person='ann', **over):
    oidc.signed_in = person
    return Browser().get(start_url(oidc, **over)).query['code']


def post(oidc, **fields):
    form = {'client_id': 'hub', 'client_secret': oidc.client_secret, **fields}
    form = {k: v for k, v in form.items() if v is not None}
    page = Browser().request('POST', oidc.url + '/token', form)
    return page.status, json.loads(page.body)


def exchange(oidc, text, **over):
    return post(oidc, **{'grant_type': 'authorization_code', 'code': text, 'redirect_uri': BACK,
                         'code_verifier': VERIFIER, **over})


def refresh(oidc, token, **over):
    return post(oidc, **{'grant_type': 'refresh_token', 'refresh_token': token, **over})


def payload(token):
    part = token.split('.')[1]
    return json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))


def userinfo(oidc, token):
    return Browser({'Authorization': f'Bearer {token}'}).get(oidc.url + '/userinfo').status


def test_a_person_signs_in_on_a_page(oidc):
    browser = Browser()
    assert 'Ann Example' in browser.get(start_url(oidc)).text
    back = browser.submit('ann')
    assert back.location.startswith(BACK + '?') and back.query['state'] == STATE
    assert back.query['iss'] == oidc.issuer
    status, reply = exchange(oidc, back.query['code'])
    claims = payload(reply['id_token'])
    assert status == 200 and claims['sub'] == 'u-1001' and claims['nonce'] == 'n-1'
    assert claims['aud'] == 'hub' and claims['email'] == 'ann@example.com' and 'groups' not in claims
    assert userinfo(oidc, reply['access_token']) == 200


def test_a_person_can_say_no(oidc):
    browser = Browser()
    browser.get(start_url(oidc))
    assert browser.submit('deny').query['error'] == 'access_denied'


@pytest.mark.parametrize('over', [{'client_id': 'other'}, {'redirect_uri': BACK + 'x'}])
def test_a_strange_client_or_redirect_uri_is_a_page_and_no_redirect(oidc, over):
    Browser().get(start_url(oidc))
    page = Browser().get(start_url(oidc, **over))
    assert page.status == 400 and page.location is None


@pytest.mark.parametrize('over', [{'code_challenge': None}, {'code_challenge_method': 'plain'},
                                  {'code_challenge_method': None}, {'response_type': 'token'},
                                  {'scope': 'email'}, {'state': 'short'}])
def test_a_bad_request_is_an_error_at_the_callback(oidc, over):
    page = Browser().get(start_url(oidc, **over))
    assert 'error' in page.query and 'code' not in page.query


@pytest.mark.parametrize('over', [{'code_verifier': 'w' * 43}, {'code_verifier': None},
                                  {'redirect_uri': BACK + 'x'}, {'redirect_uri': None}, {'code': 'x'}])
def test_a_code_is_bound_to_verifier_and_redirect_uri(oidc, over):
    status, reply = exchange(oidc, code(oidc), **over)
    assert status == 400 and reply['error'] == 'invalid_grant'


def test_a_code_is_the_clients_that_began(oidc):
    oidc.clients['other'] = 'other-secret'
    text = code(oidc)
    assert exchange(oidc, text, client_id='other', client_secret='other-secret')[1]['error'] == 'invalid_grant'
    assert exchange(oidc, text)[0] == 200


def test_a_code_works_once_and_its_replay_ends_the_grant(oidc):
    text = code(oidc)
    token = exchange(oidc, text)[1]['refresh_token']
    assert exchange(oidc, text)[1]['error'] == 'invalid_grant'
    assert refresh(oidc, token)[1]['error'] == 'invalid_grant'


@pytest.mark.parametrize('over', [{'client_secret': 'wrong'}, {'client_secret': None}, {'client_id': 'other'}])
def test_a_client_without_its_secret_is_refused(oidc, over):
    assert exchange(oidc, code(oidc), **over) == (401, {'error': 'invalid_client'})


def test_a_refresh_token_works_once(oidc):
    first = exchange(oidc, code(oidc))[1]['refresh_token']
    second = refresh(oidc, first)[1]['refresh_token']
    assert first != second
    assert refresh(oidc, first)[1]['error'] == 'invalid_grant'
    assert refresh(oidc, second)[1]['error'] == 'invalid_grant'  # the replay ended the grant


def test_without_rotation_the_token_stays_and_does_not_come_again(oidc):
    oidc.rotates = False
    first = exchange(oidc, code(oidc))[1]['refresh_token']
    assert 'refresh_token' not in refresh(oidc, first)[1]
    assert refresh(oidc, first)[0] == 200


def test_a_revoked_person_is_out(oidc):
    reply = exchange(oidc, code(oidc))[1]
    oidc.revoke('ann')
    assert refresh(oidc, reply['refresh_token'])[1]['error'] == 'invalid_grant'
    assert userinfo(oidc, reply['access_token']) == 401


def test_an_access_token_expires(oidc):
    reply = exchange(oidc, code(oidc))[1]
    oidc.expire_access()
    assert userinfo(oidc, reply['access_token']) == 401
    assert userinfo(oidc, 'made-up-token') == 401


def test_claims_and_keys_can_be_wrong_on_purpose(oidc):
    oidc.id_claims = {'aud': 'other', 'nonce': None}
    claims = payload(exchange(oidc, code(oidc))[1]['id_token'])
    assert claims['aud'] == 'other' and 'nonce' not in claims
    old = oidc.keys[0]
    assert oidc.rotate_keys() in oidc.keys and old not in oidc.keys


def test_faults_come_as_often_as_told(oidc):
    oidc.fault('/token', status=500, times=1)
    assert exchange(oidc, 'x')[0] == 500
    assert exchange(oidc, 'x')[0] == 400
    oidc.rate_limit('/token')
    assert exchange(oidc, 'x')[0] == 429
    oidc.heal()
    oidc.fault('/token', status=None, delay=0.3)
    began = time.monotonic()
    assert exchange(oidc, 'x')[0] == 400 and time.monotonic() - began >= 0.3
