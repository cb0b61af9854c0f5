"""What a client is told: the fixed list of what needs no credential, challenges, the metadata document,
Host, Origin and CORS, scopes."""

import time

import pytest

from support import tokens
from support.client import rpc
from support.hub import SLOW
from support.tokens import StaticToken

PUBLIC = 'http://127.0.0.1:7070'
ISSUER = 'https://login.example.com'
METADATA = '/.well-known/oauth-protected-resource'


@pytest.fixture
def notes(hub, upstream):
    """A hub with one service that takes static tokens and JWTs: (hub, tokens by name)."""
    key = tokens.key('ES256')
    made = {name: StaticToken(name, scopes=scopes) for name, scopes in
            [('reader', ['notes:read']), ('writer', ['notes:write']), ('other', ['tasks:read'])]}
    h = hub(f'''
        provider fixed {{ module static-token; file {{conf}}/tokens }}
        provider corp  {{ module bearer-jwt; issuer {ISSUER}; key_file {{conf}}/keys.pem }}
        scope notes:read  {{ text "Read" }}
        scope notes:write {{ text "Write"; implies notes:read }}
        scope tasks:read  {{ text "Read tasks" }}
        service notes {{
            path /notes
            upstream {upstream.url}
            max_body 10k
            auth sufficient fixed
            auth required corp
            require scope notes:read
        }}''', files={'tokens': tokens.static_file(*made.values()), 'keys.pem': key.pem()})
    return h, made


def test_only_the_fixed_list_answers_without_a_credential(notes, upstream):  # row 49
    h, _ = notes
    paths = ['/', '/notes', '/notes/', '/notes/x', '/note', '/notes/../health', '//notes', '/mcp', '/sse', '/message',
             '/admin', '/metrics', '/status', '/token', '/authorize', '/register', '/revoke', '/consent', '/favicon.ico',
             '/health', '/healthz', '/readyz', '/health/x', '/.well-known/', '/.well-known/openid-configuration',
             '/.well-known/oauth-authorization-server', METADATA, f'{METADATA}/notes', f'{METADATA}/other']
    open_ = {(m, p) for p in paths for m in ('GET', 'HEAD', 'POST', 'DELETE', 'PUT')
             if 200 <= h.request(m, p, body=b'{}' if m in ('POST', 'PUT') else None,
                                 headers={'Content-Type': 'application/json'}).status < 300}
    public = {'/health', '/healthz', '/readyz', METADATA, f'{METADATA}/notes'}
    assert {p for _, p in open_} == public
    assert {m for m, _ in open_} <= {'GET', 'HEAD'}
    assert upstream.requests == []


@pytest.mark.parametrize('headers', [
    {'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https'},
    {'Forwarded': 'host=evil.example;proto=https'},
    {'X-Original-Host': 'evil.example', 'X-Forwarded-Prefix': '/evil'},
])
def test_public_urls_do_not_follow_what_a_client_says(notes, headers):  # row 34
    h, _ = notes
    assert h.request('GET', f'{METADATA}/notes', headers=headers).body == h.request('GET', f'{METADATA}/notes').body
    refused = h.call('/notes', headers=headers)
    assert refused.status == 401 and 'evil' not in refused.challenge
    assert f'resource_metadata="{PUBLIC}{METADATA}/notes"' in refused.challenge


@pytest.mark.parametrize('host', ['evil.example', 'evil.example:7070', '127.0.0.1:7070.evil.example', '"'])
def test_another_host_is_421_and_nothing_is_forwarded(notes, upstream, host):  # row 34, row 50
    h, made = notes
    reply = h.call('/notes', token=made['reader'].secret, host=host)
    assert reply.status in (400, 421) and upstream.requests == []


def test_the_metadata_document_names_the_service_its_issuers_and_scopes(notes):
    h, _ = notes
    reply = h.request('GET', f'{METADATA}/notes')
    document = reply.json()
    assert document['resource'] == f'{PUBLIC}/notes'
    assert document['authorization_servers'] == [ISSUER]
    assert document['scopes_supported'] == ['notes:read']
    assert document['bearer_methods_supported'] == ['header']
    assert reply.headers['Access-Control-Allow-Origin'] == '*'
    assert reply.headers['Access-Control-Allow-Credentials'] is None


def test_the_root_form_of_the_only_document_is_the_same_byte_for_byte(notes):
    h, _ = notes
    assert h.request('GET', METADATA).body == h.request('GET', f'{METADATA}/notes').body


def test_a_service_without_an_authorization_server_has_no_document(hub, upstream):
    h = hub(f'''provider fixed {{ module static-token; file {{conf}}/tokens }}
        service notes {{ path /notes; upstream {upstream.url}; auth required fixed }}''',
            files={'tokens': StaticToken('x').line})
    assert h.request('GET', f'{METADATA}/notes').status == 404
    assert 'resource_metadata' not in h.call('/notes').challenge


def test_without_a_credential_the_challenge_has_no_error(notes):
    h, _ = notes
    reply = h.call('/notes')
    assert reply.status == 401
    assert reply.challenge.startswith('Bearer ') and 'error=' not in reply.challenge
    assert 'scope="notes:read"' in reply.challenge
    assert set(reply.json()) == {'error', 'error_description', 'request_id'}
    assert reply.json()['request_id'] == reply.headers['X-Request-Id']


@pytest.mark.parametrize('token', ['x', 'mcpa_' + 'A' * 43 + '_000000', 'a.b.c', 'not-ours-at-all'])
def test_a_credential_that_is_no_good_is_401_invalid_token(notes, upstream, token):
    h, _ = notes
    reply = h.call('/notes', token=token)
    assert reply.status == 401 and 'error="invalid_token"' in reply.challenge
    assert upstream.requests == []


def test_a_missing_scope_is_403_naming_it_and_those_that_the_token_has(notes, upstream):
    h, made = notes
    reply = h.call('/notes', token=made['other'].secret)
    assert reply.status == 403 and 'error="insufficient_scope"' in reply.challenge
    assert 'scope="notes:read tasks:read"' in reply.challenge
    assert upstream.requests == []


def test_a_broad_scope_satisfies_the_narrow_one_that_it_implies(notes):
    h, made = notes
    assert h.call('/notes', token=made['writer'].secret).status == 200


def test_a_jwt_for_this_service_is_good_and_one_for_another_is_not(notes):  # row 10
    h, _ = notes
    good, bad = (tokens.jwt(tokens.key('ES256'), iss=ISSUER, aud=f'{PUBLIC}/{name}', scope='notes:read')
                 for name in ('notes', 'tasks'))
    assert h.call('/notes', token=good).status == 200
    assert h.call('/notes', token=bad).status == 401


@pytest.mark.parametrize('framing', ['length', 'chunked'])
def test_a_body_past_its_limit_is_413_and_no_part_of_it_is_forwarded(notes, upstream, framing):  # row 53, row 160
    h, made = notes
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","pad":"' + b'x' * 10240 + b'"}'
    with h.connect() as c:
        fields = {'Authorization': f'Bearer {made["reader"]}', 'Content-Type': 'application/json', 'Host': h.host}
        if framing == 'chunked':
            c.http.request('POST', '/notes', body=iter([body[:5000], body[5000:]]), encode_chunked=True,
                           headers={**fields, 'Transfer-Encoding': 'chunked'})
        else:
            c.http.request('POST', '/notes', body=body, headers=fields)
        assert c.http.getresponse().status == 413
    assert upstream.requests == []


def test_a_body_at_its_limit_is_forwarded_whole(notes, upstream):  # row 53
    h, made = notes
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","pad":"'
    body += b'x' * (10240 - len(body) - 2) + b'"}'
    reply = h.request('POST', '/notes', body=body, token=made['reader'].secret, headers={'Content-Type': 'application/json'})
    assert reply.status == 200 and upstream.last.body == body


@pytest.mark.parametrize('kind', ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-16', None])
def test_a_body_of_another_kind_is_415(notes, upstream, kind):  # row 54
    h, made = notes
    reply = h.request('POST', '/notes', body=b'{}', token=made['reader'].secret, headers={'Content-Type': kind} if kind else {})
    assert reply.status == 415 and upstream.requests == []


@pytest.mark.parametrize('origin, status', [
    (PUBLIC, 200), ('http://localhost:5173', 200), ('https://evil.example', 403), ('null', 403)])
def test_an_origin_is_our_own_or_loopback_or_refused(notes, origin, status):  # row 50
    h, made = notes
    reply = h.call('/notes', token=made['reader'].secret, headers={'Origin': origin})
    assert reply.status == status
    assert reply.headers['Access-Control-Allow-Origin'] == (origin if status == 200 else None)
    assert reply.headers['Access-Control-Allow-Credentials'] is None


def test_a_preflight_needs_no_credential_and_goes_no_further(notes, upstream):  # row 51
    h, _ = notes
    reply = h.request('OPTIONS', '/notes', headers={
        'Origin': PUBLIC, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization'})
    assert reply.status in (200, 204) and reply.headers['Access-Control-Allow-Origin'] == PUBLIC
    assert 'authorization' in reply.headers['Access-Control-Allow-Headers'].lower()
    assert upstream.requests == []


def test_a_preflight_allows_the_parameters_that_a_tool_wants_as_headers(notes):
    h, _ = notes
    reply = h.request('OPTIONS', '/notes', headers={
        'Origin': PUBLIC, 'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,mcp-param-region, mcp-param-a b,x-mcp-param-c,mcp-param-tenant'})
    allowed = [name.strip() for name in reply.headers['Access-Control-Allow-Headers'].split(',')]
    assert [name for name in allowed if 'param' in name] == ['mcp-param-region', 'mcp-param-tenant']


def test_a_browser_may_read_the_challenge_and_the_session(notes):
    h, _ = notes
    exposed = h.call('/notes', headers={'Origin': PUBLIC}).headers['Access-Control-Expose-Headers']
    assert {'WWW-Authenticate', 'Mcp-Session-Id'} <= {name.strip() for name in exposed.split(',')}


def test_the_callers_token_does_not_reach_the_upstream(notes, upstream):  # row 32
    h, made = notes
    assert h.request('POST', '/notes', body=rpc('ping'), token=made['reader'].secret,
                     headers={'Cookie': 'a=b'}).status == 200
    assert upstream.last.header('Authorization') is None and upstream.last.header('Cookie') is None


def test_every_answered_call_has_a_decision_and_a_done_record_with_its_id(notes):
    h, made = notes
    reply = h.call('/notes', token=made['reader'].secret)
    id_ = reply.headers['X-Request-Id']
    done, = h.wait_audit('done', id=id_)
    decision, = h.audit('decision', id=id_)
    assert decision['subject'] == 'reader' and decision['service'] == 'notes'
    assert done['status'] == 200


def test_streams_of_one_address_are_limited_and_others_are_not_in_the_way(hub, upstream):  # row 166
    upstream.reply_sse([b': hello\n\n'], hold=True)
    h = hub(f'service notes {{ path /notes; upstream {upstream.url}; anonymous * }}',
            hub='max_connections_per_address 4')
    streams = [h.stream('GET', '/notes') for _ in range(4)]
    assert [s.next().comment for s in streams] == ['hello'] * 4
    try:
        fifth = h.request('GET', '/healthz', timeout=3).status
    except OSError:
        fifth = None  # closed without a word
    assert fifth in (None, 429, 503)
    streams.pop().close()
    end = time.monotonic() + 30 * SLOW  # the stream is gone before its connection is
    while (now := h.request('GET', '/healthz').status) != 200:
        assert now in (429, 503) and time.monotonic() < end, now
        time.sleep(0.02)
