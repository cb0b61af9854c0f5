"""Enterprise-managed authorization: an identity provider's assertion (ID-JAG, RFC 7523) becomes a token.
Rows 103, 104, 111, 117."""

import json
import time
import uuid

import pytest

from support import tokens
from support.oauth import SECRET, basic, claims_of, error, form, good

GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
CONF = '''
provider corp {{ module bearer-jwt; issuer {idp}; jwks_uri {idp}/jwks; audience https://nobody.example }}
scope notes:read  {{ text "Read" }}
scope notes:admin {{ text "Delete"; implies notes:read; for role admin }}
oauth {{ assertion_issuer {idp} corp {idp}/jwks }}
client desk  {{ secret env:SECRET; grant_type jwt-bearer }}
client other {{ secret env:SECRET; grant_type client_credentials }}
service notes {{ path /notes; upstream {url}; auth sufficient corp; auth sufficient clients; require scope notes:read }}
service more  {{ path /more; upstream {url}; auth sufficient clients }}
'''


@pytest.fixture
def enterprise(hub, idp, upstream):
    h = hub(CONF.format(idp=idp.issuer, url=upstream.url), env={'SECRET': SECRET})
    h.idp = idp
    return h


def assertion(hub, header=None, **over):
    now = int(time.time())
    claims = {'iss': hub.idp.issuer, 'sub': 'ann', 'aud': hub.public_url, 'client_id': 'desk', 'iat': now,
              'exp': now + 300, 'jti': uuid.uuid4().hex, 'resource': hub.public_url + '/notes', **over}
    return tokens.jwt(hub.idp.keys[0], {k: v for k, v in claims.items() if v is not None},
                      {'typ': 'oauth-id-jag+jwt', **(header or {})})


def exchange(hub, text, client='desk', **more):
    return form(hub, {'grant_type': GRANT, 'assertion': text, **more}, **basic(client))


def test_an_assertion_becomes_a_token_that_satisfies_the_line_that_was_named(enterprise, upstream):
    got = good(exchange(enterprise, assertion(enterprise)))
    assert 'refresh_token' not in got and got['scope'] == 'notes:read'
    assert claims_of(got['access_token'])['sub'] == 'corp:ann'
    assert enterprise.call('/notes', token=got['access_token']).status == 200


def test_it_works_once(enterprise):  # row 111
    text = assertion(enterprise)
    assert exchange(enterprise, text).status == 200
    assert error(exchange(enterprise, text)) == 'invalid_grant'


@pytest.mark.parametrize('over', [
    {'aud': 'https://other.example'}, {'client_id': 'other'}, {'client_id': None}, {'jti': None}, {'exp': 1},
    {'exp': None}, {'iat': None}, {'sub': None}, {'iss': 'https://evil.example'},
    {'resource': 'https://other.example/notes'}, {'resource': ['a', 'b']}])
def test_an_assertion_that_is_not_for_this_is_invalid_grant(enterprise, over):
    assert error(exchange(enterprise, assertion(enterprise, **over))) == 'invalid_grant'


@pytest.mark.parametrize('typ', ['JWT', 'at+jwt', None, 'id-jag+jwt'])
def test_a_token_of_another_type_is_no_assertion(enterprise, typ):
    assert error(exchange(enterprise, assertion(enterprise, {'typ': typ}))) == 'invalid_grant'


def test_a_forged_assertion_is_refused(enterprise):
    text = assertion(enterprise)
    assert error(exchange(enterprise, text[:-8] + ('AAAAAAAA' if text[-8:] != 'AAAAAAAA' else 'BBBBBBBB'))) == 'invalid_grant'


def test_the_request_cannot_ask_for_another_service_than_the_assertion(enterprise):  # row 104
    text = assertion(enterprise)
    assert error(exchange(enterprise, text, resource=enterprise.public_url + '/more')) == 'invalid_grant'


def test_a_service_without_the_line_is_not_opened(enterprise):
    assert error(exchange(enterprise, assertion(enterprise, resource=enterprise.public_url + '/more'))) == 'invalid_grant'


def test_scopes_are_those_that_assertion_and_person_allow(enterprise):  # row 117
    text = assertion(enterprise, scope='notes:read notes:admin')
    assert good(exchange(enterprise, text, scope='notes:admin notes:read'))['scope'] == 'notes:read'
    text = assertion(enterprise, role='admin')
    assert good(exchange(enterprise, text, scope='notes:admin'))['scope'] == 'notes:admin'


@pytest.mark.parametrize('scope', [['notes:read'], 1, {}])
def test_scopes_that_are_no_text_are_not_taken_for_no_bound(enterprise, scope):  # row 117
    assert error(exchange(enterprise, assertion(enterprise, role='admin', scope=scope),
                          scope='notes:admin')) == 'invalid_grant'


def test_another_client_or_grant_type_is_refused(enterprise):
    assert error(exchange(enterprise, assertion(enterprise), 'other')) == 'unauthorized_client'


def test_the_metadata_says_so(enterprise):
    got = json.loads(enterprise.request('GET', '/.well-known/oauth-authorization-server').body)
    assert GRANT in got['grant_types_supported']
    assert got['authorization_grant_profiles_supported'] == ['urn:ietf:params:oauth:grant-profile:id-jag']
