"""Dynamic client registration (RFC 7591). Rows 85, 88, 105, 106."""

import json

import pytest

from support.oauth import good, login, take

CONF = '''
scope notes:read {{ text "Read" }}
scope notes:write {{ text "Write" }}
provider corp {{ module oidc; issuer {idp}; client_id hub; client_secret env:SECRET }}
service notes {{ path /notes; upstream http://127.0.0.1:9/; auth sufficient corp
                require scope notes:read; login_scope notes:read notes:write }}
oauth {{ {oauth} }}
'''
URI = 'https://app.example/cb'


@pytest.fixture
def make(hub, oidc):
    def make(oauth='', **kw):
        return hub(CONF.format(idp=oidc.issuer, oauth=oauth),
                   env={'SECRET': oidc.client_secret}, **kw)
    return make


@pytest.fixture
def server(make):
    return make()


def register(hub, body=None, **members):
    if body is None:
        body = json.dumps({'redirect_uris': [URI], **members})
    return hub.request('POST', '/register', headers={'Content-Type': 'application/json'},
                       body=body if isinstance(body, bytes) else body.encode())


def registered(hub, **members):
    answer = register(hub, **members)
    assert answer.status == 201, answer.body
    return json.loads(answer.body)


def refused(hub, *body, **members):
    answer = register(hub, *body, **members)
    assert answer.status == 400, answer.body
    return json.loads(answer.body)['error']


def test_a_public_client_gets_an_id_and_no_secret(server, oidc):  # row 106
    got = registered(server, client_name='App', token_endpoint_auth_method='none')
    assert got['client_id'].startswith('mcp-') and len(got['client_id']) > 20
    assert got['client_name'] == 'App' and got['redirect_uris'] == [URI]
    assert got['grant_types'] == ['authorization_code', 'refresh_token'] and got['response_types'] == ['code']
    assert 'client_secret' not in got and oidc.client_secret not in json.dumps(got)


def test_an_id_that_the_client_chose_is_not_taken(server):  # row 106
    got = registered(server, client_id='robot', client_secret='mine')
    assert got['client_id'] != 'robot' and 'mine' not in json.dumps(got)


def test_a_confidential_client_gets_a_secret_of_its_own(server):  # row 106
    one = registered(server, token_endpoint_auth_method='client_secret_post')
    two = registered(server, token_endpoint_auth_method='client_secret_basic')
    assert one['client_secret'] != two['client_secret'] and len(one['client_secret']) >= 43
    assert one['client_secret_expires_at'] == 0
    assert one['token_endpoint_auth_method'] == 'client_secret_post'


def test_the_secret_is_kept_as_a_hash_and_sealed(server):  # row 118
    secret = registered(server, token_endpoint_auth_method='client_secret_post')['client_secret']
    for path in server.statedir.rglob('*'):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_of_several_redirect_uris_the_acceptable_ones_are_kept_and_listed(server):
    got = registered(server, redirect_uris=['cursor://anysphere.cursor-retrieval/oauth/cb', 'javascript:alert(1)',
                                            'https://app.example/cb', 'http://app.example/cb',
                                            'http://localhost:3334/callback'])
    assert got['redirect_uris'] == ['cursor://anysphere.cursor-retrieval/oauth/cb', 'https://app.example/cb',
                                    'http://localhost:3334/callback']


@pytest.mark.parametrize('uri', ['javascript:alert(1)', 'JavaScript:alert(1)', 'data:text/html,x', 'file:///etc/passwd',
                                 'vbscript:x', 'blob:https://app.example/1', 'about:blank', 'http://app.example/cb',
                                 'https://app.example/cb#x', '//app.example/cb', 'https://a@app.example/cb', '', ' '])
def test_a_redirect_uri_that_will_never_do_is_refused_when_none_is_left(server, uri):  # row 85
    assert refused(server, redirect_uris=[uri]) == 'invalid_redirect_uri'


def test_a_redirect_uri_at_the_hub_itself_is_refused(make):  # row 88
    server = make(public_url='https://mcp.example.com')
    headers = {'Content-Type': 'application/json', 'Host': 'mcp.example.com'}
    for uri in ('https://mcp.example.com/callback/corp', 'https://mcp.example.com/token', 'https://mcp.example.com:443/x'):
        answer = server.request('POST', '/register', headers=headers,
                                body=json.dumps({'redirect_uris': [uri]}).encode())
        assert answer.status == 400 and json.loads(answer.body)['error'] == 'invalid_redirect_uri', uri


def test_redirect_allow_keeps_others_out(make):
    server = make('redirect_allow https://chatgpt.com/connector/oauth/* http://localhost/callback')
    got = registered(server, redirect_uris=['https://evil.example/cb', 'https://chatgpt.com/connector/oauth/a1',
                                            'http://localhost:4711/callback'])
    assert got['redirect_uris'] == ['https://chatgpt.com/connector/oauth/a1', 'http://localhost:4711/callback']
    assert refused(server, redirect_uris=['https://chatgpt.com/connector/oauth/a/b']) == 'invalid_redirect_uri'


@pytest.mark.parametrize('members', [
    {'redirect_uris': 'https://app.example/cb'}, {'redirect_uris': []}, {'redirect_uris': [URI] * 33},
    {'redirect_uris': [7]}, {'redirect_uris': None}])
def test_redirect_uris_of_another_form_are_refused(server, members):
    assert refused(server, **members) == 'invalid_redirect_uri'


@pytest.mark.parametrize('members', [
    {'client_name': 7}, {'client_name': 'x' * 257}, {'client_name': 'a\nb'},
    {'token_endpoint_auth_method': 'tls_client_auth'}, {'token_endpoint_auth_method': 'private_key_jwt'},
    {'token_endpoint_auth_method': 'private_key_jwt', 'jwks_uri': 'http://app.example/keys'},
    {'grant_types': ['client_credentials']}, {'grant_types': ['implicit']}, {'response_types': ['token']},
    {'grant_types': 'authorization_code'}, {'scope': 7}])
def test_metadata_that_cannot_be_granted_is_refused(server, members):
    assert refused(server, **members) == 'invalid_client_metadata'


@pytest.mark.parametrize('body', [b'', b'[]', b'null', b'{', b'{"redirect_uris":["https://a.example/"],"redirect_uris":[]}',
                                  b'{"a":' * 20 + b'1' + b'}' * 20, b'{"redirect_uris":["https://a.example/\xff"]}'])
def test_what_is_not_one_strict_object_is_refused(server, body):
    assert refused(server, body) in ('invalid_client_metadata', 'invalid_redirect_uri')


def test_a_body_past_16_kib_is_413(server):  # row 105
    assert register(server, client_uri='x' * 17000).status == 413


def test_another_media_type_is_refused(server):
    answer = server.request('POST', '/register', headers={'Content-Type': 'text/plain'}, body=b'{}')
    assert answer.status == 415


def test_empty_and_unknown_members_do_no_harm(server):
    got = registered(server, scope='', application_type='native', client_uri='https://app.example',
                     software_id='x', contacts=[])
    assert 'scope' not in got


def test_what_a_client_registered_for_is_no_bound_to_what_it_asks_for_later(server, oidc):
    oidc.signed_in = 'ann'
    client = registered(server, scope='openid email profile')['client_id']
    app, code = login(server, client, URI, scope='notes:read notes:write')
    assert good(take(server, app, code))['scope'] == 'notes:read notes:write'


def test_one_address_gets_so_many_a_minute_and_is_told_to_wait(make):  # row 105
    server = make('registrations_per_address 3')
    answers = [register(server) for _ in range(5)]
    assert [a.status for a in answers] == [201, 201, 201, 429, 429]
    assert int(answers[-1].headers['Retry-After']) > 0


def test_past_the_hubs_limit_nobody_registers_and_those_who_did_stay(make):  # row 105
    server = make('max_registrations 2; registrations_per_address 100')
    first = registered(server)['client_id']
    registered(server)
    assert register(server).status == 503
    answer = server.request('POST', '/token', headers={'Content-Type': 'application/x-www-form-urlencoded'},
                            body=f'grant_type=refresh_token&refresh_token=x&client_id={first}'.encode())
    assert json.loads(answer.body)['error'] == 'invalid_grant'  # the client is known


def test_clients_that_are_used_leave_room_for_others(make, oidc):  # row 105
    oidc.signed_in = 'ann'
    server = make('max_registrations 2; registrations_per_address 100')
    for _ in range(3):
        client = registered(server)['client_id']
        app, code = login(server, client, URI)
        good(take(server, app, code))


def test_a_registration_survives_a_restart(server):
    client = registered(server)['client_id']
    server.stop()
    server.start()
    answer = server.request('POST', '/token', headers={'Content-Type': 'application/x-www-form-urlencoded'},
                            body=f'grant_type=refresh_token&refresh_token=x&client_id={client}'.encode())
    assert answer.status == 400 and json.loads(answer.body)['error'] == 'invalid_grant'


def test_it_is_recorded(server):
    client = registered(server, client_name='App')['client_id']
    record = server.wait_audit('client_registered', client=client)[-1]
    assert record['client_name'] == 'App' and record['redirect_uri'] == URI and record['address'] == '127.0.0.1'
