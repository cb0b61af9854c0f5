"""What the authorization server says about itself, in every place where clients look. Rows 112, 114."""

import json
import re

import pytest

CONF = '''
scope notes:read {{ text "Read notes" }}
scope hidden     {{ text "Nobody asks for it" }}
provider corp {{ module oidc; issuer {idp}; client_id hub; client_secret env:SECRET }}
client robot {{ secret env:SECRET; introspection on; grant_type client_credentials }}
oauth {{ {oauth} }}
service notes {{ path /notes; upstream http://127.0.0.1:9/; auth sufficient corp; auth sufficient clients
                 require scope notes:read }}
service deep  {{ path /a/deep/mcp; upstream http://127.0.0.1:9/; auth sufficient corp }}
service keys  {{ path /keys; upstream http://127.0.0.1:9/; auth sufficient other }}
provider other {{ module static-token; file {{conf}}/tokens }}
'''
FORMS = ['/.well-known/oauth-authorization-server', '/.well-known/oauth-authorization-server/notes',
         '/.well-known/oauth-authorization-server/a/deep/mcp', '/notes/.well-known/oauth-authorization-server',
         '/.well-known/openid-configuration', '/.well-known/openid-configuration/notes',
         '/notes/.well-known/openid-configuration', '/a/deep/mcp/.well-known/openid-configuration']


@pytest.fixture
def make(hub, oidc):
    def make(oauth=''):
        return hub(CONF.format(idp=oidc.issuer, oauth=oauth), files={'tokens': ''},
                   env={'SECRET': 'correct horse battery staple'})
    return make


@pytest.fixture
def server(make):
    return make()


def document(hub, path=FORMS[0]):
    answer = hub.request('GET', path)
    assert answer.status == 200, (path, answer.body)
    assert answer.headers['Content-Type'] == 'application/json'
    return json.loads(answer.body)


@pytest.mark.parametrize('path', FORMS)
def test_every_form_that_clients_probe_names_the_same_issuer_and_endpoints(server, path):
    got = document(server, path)
    assert got['issuer'] == server.public_url
    assert got['authorization_endpoint'] == server.public_url + '/authorize'
    assert got['token_endpoint'] == server.public_url + '/token'


def test_the_service_names_the_hub_as_its_authorization_server_byte_for_byte(server):  # row 112
    prm = json.loads(server.request('GET', '/.well-known/oauth-protected-resource/notes').body)
    assert prm['authorization_servers'] == [document(server)['issuer']]
    assert prm['resource'] == server.public_url + '/notes'


def test_a_service_that_logs_nobody_in_names_no_authorization_server(server):
    assert server.request('GET', '/.well-known/oauth-protected-resource/keys').status == 404
    assert server.public_url + '/keys' not in document(server)['protected_resources']


@pytest.mark.parametrize('path', ['/.well-known/oauth-authorization-server/other',
                                  '/.well-known/openid-configuration/notes/',
                                  '/other/.well-known/openid-configuration', '/.well-known/other'])
def test_elsewhere_there_is_no_document_and_clients_look_on(server, path):
    assert server.request('GET', path).status == 404


def test_only_what_works_is_listed(server):  # row 114
    got = document(server)
    assert got['response_types_supported'] == ['code']
    assert got['code_challenge_methods_supported'] == ['S256']
    assert got['grant_types_supported'] == ['authorization_code', 'refresh_token', 'client_credentials']
    assert got['scopes_supported'] == ['notes:read']
    assert got['authorization_response_iss_parameter_supported'] is True
    assert got['client_id_metadata_document_supported'] is True
    assert got['registration_endpoint'] == server.public_url + '/register'
    assert got['introspection_endpoint'] == server.public_url + '/introspect'
    assert 'private_key_jwt' in got['token_endpoint_auth_methods_supported']
    assert not any('password' in word or 'implicit' in word or 'device' in word for word in json.dumps(got).split('"'))


@pytest.mark.parametrize('grant', ['password', 'implicit', 'urn:ietf:params:oauth:grant-type:device_code',
                                   'urn:ietf:params:oauth:grant-type:token-exchange', ''])
def test_a_grant_type_that_is_not_listed_does_not_work(server, grant):  # row 114
    answer = server.request('POST', '/token', headers={'Content-Type': 'application/x-www-form-urlencoded'},
                            body=f'grant_type={grant}&username=a&password=b'.encode())
    assert answer.status == 400
    assert json.loads(answer.body)['error'] in ('unsupported_grant_type', 'invalid_request')


def test_what_is_switched_off_is_not_listed_and_does_not_work(make):  # row 114
    server = make('registration off; client_documents off')
    got = document(server)
    assert 'registration_endpoint' not in got
    assert got['client_id_metadata_document_supported'] is False
    answer = server.request('POST', '/register', headers={'Content-Type': 'application/json'}, body=b'{}')
    assert answer.status == 404


def test_the_keys_are_public_and_there_is_no_private_part(server):
    answer = server.request('GET', '/.well-known/jwks.json')
    keys = json.loads(answer.body)['keys']
    assert keys and all(k['kty'] == 'EC' and k['crv'] == 'P-256' and k['kid'] and 'd' not in k for k in keys)
    assert int(re.search(r'max-age=(\d+)', answer.headers['Cache-Control'])[1]) > 0


@pytest.mark.parametrize('path', [FORMS[0], '/.well-known/jwks.json'])
def test_any_web_page_may_read_it_and_no_cookie_is_set(server, path):
    answer = server.request('GET', path, headers={'Origin': 'https://evil.example'})
    assert answer.headers['Access-Control-Allow-Origin'] == '*'
    assert 'Set-Cookie' not in answer.headers and 'Access-Control-Allow-Credentials' not in answer.headers


@pytest.mark.parametrize('path', ['/token', '/register', '/revoke', FORMS[0], '/.well-known/jwks.json'])
def test_preflights_are_answered_to_any_origin(server, path):
    answer = server.request('OPTIONS', path, headers={'Origin': 'https://inspector.example',
                                                      'Access-Control-Request-Method': 'POST'})
    assert answer.status in (200, 204)
    assert answer.headers['Access-Control-Allow-Origin'] == '*'


def test_a_host_that_is_not_ours_gets_no_document(server):
    assert server.request('GET', FORMS[0], headers={'Host': 'evil.example'}).status == 421
