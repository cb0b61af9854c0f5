"""What a client meets at a service: routes, Host, Origin, challenges, metadata, scopes, records."""

import json

import pytest
from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER = 'https://login.example.com'
NOTES = 'http://127.0.0.1:7070/notes'
METADATA = 'http://127.0.0.1:7070/.well-known/oauth-protected-resource/notes'
RS = key('RS256')

CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks }}
scope notes:read  {{ text "Read your notes" }}
scope notes:admin {{ text "Delete notes"; implies notes:read }}
scope other       {{ text "Something else" }}
stack staff {{ auth required corp }}
service notes {{ path /notes; upstream {url}; auth include staff; {more} }}
''' % ISSUER


def conf(upstream, more='require scope notes:read', extra=''):
    return CONF.format(url=upstream.url, more=more, conf='{conf}') + extra


@pytest.fixture
def notes(hub, upstream):
    def make(more='require scope notes:read', extra='', **kw):
        return hub(conf(upstream, more, extra), files={'corp.jwks': json.dumps(jwks(RS))}, **kw)
    return make


def token(audience=NOTES, scope='notes:read', **over):
    return jwt(RS, iss=ISSUER, aud=audience, scope=scope, **over)


def post(h, path='/notes', **kw):
    return h.request('POST', path, body=kw.pop('body', rpc('ping')), **kw)


def test_a_good_token_reaches_the_upstream_and_its_answer_comes_back(notes, upstream):
    r = post(notes(), token=token())
    assert r.status == 200 and r.json()['result']['method'] == 'ping'
    assert upstream.last.json() == rpc('ping')


def test_without_a_credential_the_challenge_has_no_error_and_says_where_to_log_in(notes, upstream):
    r = post(notes())
    assert r.status == 401
    assert r.challenge == f'Bearer scope="notes:read", resource_metadata="{METADATA}"'
    assert r.json()['request_id'] == r.headers['X-Request-Id']
    assert upstream.requests == []


@pytest.mark.parametrize('bad', ['expired', 'audience', 'issuer', 'signature', 'nonsense'])
def test_a_bad_token_is_401_with_invalid_token(notes, upstream, bad):
    """rows 9, 10"""
    made = {'expired': lambda: token(exp=1000000000), 'audience': lambda: token(audience='http://127.0.0.1:7070/other'),
            'issuer': lambda: jwt(RS, iss=ISSUER + '/', aud=NOTES, scope='notes:read'),
            'signature': lambda: jwt(key('RS512'), iss=ISSUER, aud=NOTES, scope='notes:read'),
            'nonsense': lambda: 'nonsense'}[bad]()
    r = post(notes(), token=made)
    assert r.status == 401
    assert r.challenge == f'Bearer error="invalid_token", scope="notes:read", resource_metadata="{METADATA}"'
    assert upstream.requests == []


def test_descriptions_say_expired_and_wrong_audience(notes):
    h = notes()
    assert 'expired' in post(h, token=token(exp=1000000000)).json()['error_description']
    assert 'not issued for this service' in post(h, token=token(audience='https://x')).json()['error_description']


def test_a_token_without_the_scope_is_403_naming_every_scope_it_needs_and_has(notes, upstream):
    r = post(notes('require scope notes:read'), token=token(scope='other unknown'))
    assert r.status == 403
    assert r.challenge == f'Bearer error="insufficient_scope", scope="notes:read other", resource_metadata="{METADATA}"'
    assert r.json()['error'] == 'insufficient_scope'
    assert upstream.requests == []


def test_a_broad_scope_satisfies_the_narrow_one_it_implies(notes):
    h = notes('require scope notes:read')
    assert post(h, token=token(scope='notes:admin')).status == 200


def test_the_narrow_scope_does_not_satisfy_the_broad_one(notes):
    assert post(notes('require scope notes:admin'), token=token(scope='notes:read')).status == 403


def test_the_callers_credential_never_reaches_the_upstream(notes, upstream):
    """row 32"""
    t = token()
    post(notes(), token=t, headers={'Cookie': 'a=b', 'X-Forwarded-User': 'root', 'X-Mcpauth-Subject': 'root',
                                    'Mcp-Protocol-Version': '2025-11-25'})
    got = upstream.last
    assert got.header('Mcp-Protocol-Version') == '2025-11-25'
    for name in ('Authorization', 'Cookie', 'X-Forwarded-User', 'X-Mcpauth-Subject'):
        assert not got.header(name)
    assert t.encode() not in upstream.transcript


def test_the_upstream_gets_the_hubs_credential_in_place_of_the_callers(hub, upstream):
    h = hub(conf(upstream, 'upstream_auth bearer file:{conf}/up.key'),
            files={'corp.jwks': json.dumps(jwks(RS)), 'up.key': 'upstream-secret-0123456789'})
    assert post(h, token=token(scope='')).status == 200
    assert upstream.last.header('Authorization') == 'Bearer upstream-secret-0123456789'


def test_two_credentials_are_400_and_neither_is_judged(notes, upstream):
    """rows 26, 29"""
    h = notes('accept bearer; accept header X-API-Key')
    r = post(h, token=token(), headers={'X-API-Key': token()})
    assert r.status == 400
    r = post(h, headers={'Authorization': ['Bearer ' + token(), 'Bearer ' + token()]})
    assert r.status == 400
    assert upstream.requests == []


def test_a_token_in_the_query_is_no_credential_and_goes_nowhere(notes, upstream):
    """row 28"""
    h = notes()
    t = token()
    assert post(h, '/notes?access_token=' + t).status == 401
    assert post(h, '/notes?access_token=' + t, token=token()).status == 200
    assert b'access_token' not in upstream.transcript
    assert t not in h.log and t not in h.audit_file.read_text()


def test_a_cookie_alone_is_no_credential(notes):
    """row 31"""
    assert post(notes(), headers={'Cookie': 'session=' + token()}).status == 401


@pytest.mark.parametrize('path', ['/', '/note', '/notes/', '/notes/x', '/NOTES', '/.well-known/x', '/.well-known/openid-configuration'])
def test_what_is_no_service_is_404(notes, path):
    """row 48"""
    assert post(notes(), path, token=token()).status == 404


@pytest.mark.parametrize('path', ['/notes%2f', '/notes/../notes', '//notes', '/notes;x', '/%6eotes', '/notes%00', '/notes\\x', '/./notes'])
def test_what_is_no_canonical_path_is_400(notes, upstream, path):
    """row 48"""
    assert post(notes(), path, token=token()).status == 400
    assert upstream.requests == []


@pytest.mark.parametrize('host,status', [('evil.example.com', 421), ('127.0.0.1:7070', 401), ('localhost:1', 401),
                                         ('127.0.0.1.evil.com', 421), ('mcp.example.com', 421)])
def test_a_foreign_host_is_421(notes, host, status):
    """row 50"""
    assert post(notes(), host=host).status == status


def test_a_public_hub_takes_its_own_host_only(hub, upstream):
    """row 50"""
    h = hub(conf(upstream), files={'corp.jwks': json.dumps(jwks(RS))}, public_url='https://mcp.example.com')
    assert post(h, host='mcp.example.com').status == 401
    assert post(h, host='MCP.example.com:443').status == 401
    assert post(h, host='mcp.example.com:80').status == 421
    assert post(h, host='localhost').status == 421


@pytest.mark.parametrize('origin,status', [('http://127.0.0.1:7070', 200), ('http://localhost:5173', 200),
                                           ('https://evil.example.com', 403), ('null', 403), ('http://127.0.0.1.evil.com', 403)])
def test_a_foreign_origin_is_403(notes, upstream, origin, status):
    """row 50"""
    r = post(notes(), token=token(), headers={'Origin': origin})
    assert r.status == status
    assert r.headers.get('Access-Control-Allow-Origin') == (origin if status == 200 else None)


def test_preflight_needs_no_credential_and_stays_at_the_hub(notes, upstream):
    """row 51"""
    h = notes('allow_origin https://app.example.com; accept bearer; accept header X-Key')
    r = h.request('OPTIONS', '/notes', headers={'Origin': 'https://app.example.com', 'Access-Control-Request-Method': 'POST'})
    assert r.status == 204
    assert r.headers['Access-Control-Allow-Origin'] == 'https://app.example.com'
    assert 'POST' in r.headers['Access-Control-Allow-Methods']
    assert 'X-Key' in r.headers['Access-Control-Allow-Headers']
    assert 'Access-Control-Allow-Credentials' not in r.headers
    r = h.request('OPTIONS', '/notes', headers={'Origin': 'https://evil.example.com', 'Access-Control-Request-Method': 'POST'})
    assert r.status == 403
    assert upstream.requests == []


def test_a_browser_may_read_the_challenge(notes):
    r = post(notes(), headers={'Origin': 'http://localhost:5173'})
    assert r.status == 401
    exposed = r.headers['Access-Control-Expose-Headers']
    assert 'WWW-Authenticate' in exposed and 'Mcp-Session-Id' in exposed


def test_metadata_names_the_resource_and_who_issues_tokens_for_it(notes):
    """rows 34, 112"""
    h = notes('require scope notes:read; resource_name "Notes"')
    r = h.request('GET', '/.well-known/oauth-protected-resource/notes', headers={'Origin': 'https://anywhere.example'})
    assert r.status == 200 and r.headers['Content-Type'] == 'application/json'
    assert r.headers['Access-Control-Allow-Origin'] == '*'
    assert r.json() == {'resource': NOTES, 'authorization_servers': [ISSUER], 'scopes_supported': ['notes:read'],
                        'bearer_methods_supported': ['header'], 'resource_name': 'Notes'}
    root = h.request('GET', '/.well-known/oauth-protected-resource')
    assert root.status == 200 and root.body == r.body


def test_with_two_documents_there_is_no_root_form(notes, upstream):
    h = notes(extra=f'service two {{ path /two; upstream {upstream.url}; auth include staff }}')
    assert h.request('GET', '/.well-known/oauth-protected-resource').status == 404
    assert h.request('GET', '/.well-known/oauth-protected-resource/two').json()['resource'].endswith('/two')


def test_a_service_without_an_authorization_server_has_no_document(hub, upstream):
    h = hub(f'provider t {{ module static-token; file {{conf}}/t.tokens }}\n'
            f'service notes {{ path /notes; upstream {upstream.url}; auth required t }}', files={'t.tokens': ''})
    assert h.request('GET', '/.well-known/oauth-protected-resource/notes').status == 404
    r = post(h)
    assert r.status == 401 and r.challenge == 'Bearer'


def test_an_authorization_server_line_overrides(notes):
    h = notes('authorization_server https://as.example.com/tenant')
    assert h.request('GET', '/.well-known/oauth-protected-resource/notes').json()['authorization_servers'] == \
        ['https://as.example.com/tenant']


def test_an_open_service_forwards_without_a_credential_but_never_with_a_bad_one(notes, upstream):
    h = notes('anonymous *')
    assert post(h).status == 200
    assert post(h, token='bad-token-1').status == 401
    assert len(upstream.requests) == 1


@pytest.mark.parametrize('headers,status', [({'Content-Type': 'text/plain'}, 415), ({'Content-Type': 'application/json; charset=utf-16'}, 415),
                                            ({'Content-Type': 'application/json; charset=UTF-8'}, 200),
                                            ({'Content-Type': 'application/json', 'Content-Encoding': 'gzip'}, 415)])
def test_only_json_in_utf8_is_taken(notes, upstream, headers, status):
    """row 54"""
    assert post(notes(), token=token(), headers=headers).status == status


@pytest.mark.parametrize('method', ['PUT', 'PATCH', 'TRACE', 'CONNECT', 'HEAD'])
def test_other_methods_are_refused(notes, upstream, method):
    """row 47"""
    assert notes().request(method, '/notes', token=token()).status in (400, 405, 501)
    assert upstream.requests == []


def test_a_body_over_the_limit_is_413_and_nothing_is_forwarded(notes, upstream):
    """rows 53, 160"""
    h = notes('max_body 4k')
    fits = rpc('ping', {'x': 'a' * 3900})
    assert post(h, token=token(), body=fits).status == 200
    assert post(h, token=token(), body=rpc('ping', {'x': 'a' * 5000})).status == 413
    assert len(upstream.requests) == 1


@pytest.mark.parametrize('path', ['/health', '/healthz', '/readyz'])
def test_health_is_answered_on_any_host_without_detail(notes, path):
    r = notes().request('GET', path, host='10.1.2.3')
    assert r.status == 200 and r.text == 'ok\n'


def test_each_decision_leaves_a_record_before_and_one_after(notes, upstream):
    """row 181"""
    h = notes()
    r = post(h, token=token(client_id='desktop'))
    decision, = h.wait_audit('decision')
    done, = h.wait_audit('done')
    assert decision['id'] == done['id'] == r.headers['X-Request-Id']
    assert (decision['decision'], decision['service'], decision['issuer'], decision['client']) == \
        ('grant', 'notes', ISSUER, 'desktop')
    assert decision['trace'][0]['provider'] == 'corp' and decision['trace'][0]['result'] == 'OK'
    assert done['status'] == 200 and done['upstream_status'] == 200 and done['end'] == 'complete'
    assert done['bytes'] == len(r.body)


def test_a_refusal_for_scopes_is_recorded_as_a_decision(notes):
    h = notes()
    post(h, token=token(scope='other'))
    decision, = h.wait_audit('decision')
    assert (decision['decision'], decision['status'], decision['why']) == ('deny', 403, 'scope')


def test_an_unauthenticated_refusal_is_recorded(notes):
    h = notes()
    r = post(h)
    refused, = h.wait_audit('refused')
    assert refused['id'] == r.headers['X-Request-Id'] and refused['status'] == 401


def test_a_token_for_one_service_is_refused_at_every_other(hub, upstream):
    """row 10"""
    names = ['a', 'b', 'c', 'd', 'e']
    services = ''.join(f'service {n} {{ path /{n}; upstream {upstream.url}; auth required corp }}\n' for n in names)
    h = hub(f'provider corp {{ module bearer-jwt; issuer {ISSUER}; key_file {{conf}}/corp.jwks }}\n' + services,
            files={'corp.jwks': json.dumps(jwks(RS))})
    for mine in names:
        t = token(audience=f'http://127.0.0.1:7070/{mine}')
        for _ in range(2):  # the second time it is cached
            assert [post(h, '/' + n, token=t).status == 200 for n in names] == [n == mine for n in names]


def test_requests_on_one_connection_inherit_nothing(notes, upstream):
    """row 55"""
    h = notes()
    with h.connect() as c:
        for _ in range(20):
            assert c.request('POST', '/notes', body=rpc('ping'), token=token()).status == 200
            with h.connect() as other:
                assert other.request('POST', '/notes', body=rpc('ping')).status == 401
    assert len(upstream.requests) == 20


def test_without_a_credential_only_health_and_documents_answer_with_success(notes, upstream):
    """row 49"""
    h = notes()
    open_to_all = {'/health', '/healthz', '/readyz', '/.well-known/oauth-protected-resource',
                   '/.well-known/oauth-protected-resource/notes'}
    others = ['/', '/notes', '/metrics', '/status', '/reload', '/admin', '/login', '/authorize', '/token', '/register',
              '/health/notes', '/notes/health', '/notes?health', '/favicon.ico', '/robots.txt', '/.well-known',
              '/.well-known/jwks.json', '/.well-known/oauth-authorization-server', '/.well-known/mcp']
    agents = [{}, {'User-Agent': 'kube-probe/1.30'}, {'X-Original-URL': '/health'}, {'X-HTTP-Method-Override': 'OPTIONS'}]
    for path in [*open_to_all, *others]:
        for method in ('GET', 'POST', 'DELETE'):
            for headers in agents:
                status = h.request(method, path, headers=headers, body=rpc('ping') if method == 'POST' else None).status
                assert (status < 300) == (path in open_to_all and method == 'GET'), (method, path, headers, status)
    assert upstream.requests == []
