"""Single operations without a credential: `anonymous METHOD ...`."""

import json

import pytest
from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER, NOTES = 'https://login.example.com', 'http://127.0.0.1:7070/notes'
METADATA = 'http://127.0.0.1:7070/.well-known/oauth-protected-resource/notes'
RS = key('RS256')
CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks }}
scope notes:read  {{ text "Read" }}
scope notes:admin {{ text "Delete" }}
service notes {{
    path /notes; upstream {url}; auth required corp; require scope notes:read
    anonymous initialize notifications/initialized ping tools/list
    {more}
}}
''' % ISSUER


@pytest.fixture
def notes(hub, upstream):
    def make(more='', **kw):
        return hub(CONF.format(url=upstream.url, conf='{conf}', more=more),
                   files={'corp.jwks': json.dumps(jwks(RS))}, **kw)
    return make


def token(**over):
    return jwt(RS, iss=ISSUER, aud=NOTES, sub='ada', scope='notes:read', **over)


@pytest.mark.parametrize('method', ['initialize', 'ping', 'tools/list'])
def test_a_listed_operation_needs_no_credential(notes, upstream, method):
    h = notes()
    assert h.call('/notes', method).status == 200
    assert upstream.last.json()['method'] == method and upstream.last.header('Authorization') is None
    [r] = h.wait_audit('decision')
    assert (r['decision'], r['method']) == ('anonymous', method) and 'subject' not in r


@pytest.mark.parametrize('method, params', [('tools/call', {'name': 'x'}), ('resources/list', None), ('vendor/x', None),
                                            ('tasks/list', None)])
def test_any_other_operation_is_401_after_the_body(notes, upstream, method, params):
    r = notes().call('/notes', method, params)
    assert r.status == 401
    assert r.challenge == f'Bearer scope="notes:read", resource_metadata="{METADATA}"'
    assert upstream.requests == []


@pytest.mark.parametrize('method', ['GET', 'DELETE'])
def test_streams_and_ends_of_sessions_are_not_opened(notes, upstream, method):
    assert notes().request(method, '/notes').status == 401
    assert upstream.requests == []


@pytest.mark.parametrize('bad', [{'exp': 1000000000}, {'aud': 'http://127.0.0.1:7070/other'}])
def test_a_bad_credential_is_401_and_never_anonymous(notes, upstream, bad):
    h = notes()
    t = jwt(RS, **{'iss': ISSUER, 'aud': NOTES, 'sub': 'ada', **bad})
    assert h.call('/notes', 'ping', token=t).status == 401
    assert h.call('/notes', 'ping', token='nonsense').status == 401
    assert h.call('/notes', 'ping', headers={'Authorization': 'Basic eDp5'}).status == 401
    assert upstream.requests == []


def test_the_body_of_an_anonymous_request_has_64_KiB(notes, upstream):
    """row 57"""
    h = notes()
    body = json.dumps(rpc('ping')).encode()

    def send(n, **kw):
        return h.request('POST', '/notes', body=body + b' ' * (n - len(body)), headers={'Content-Type': 'application/json'}, **kw)
    assert send(65536).status == 200
    assert send(65537).status == 413
    assert send(65537, token=token()).status == 200


def test_a_batch_opens_nothing(notes, upstream):
    """row 64"""
    r = notes().request('POST', '/notes', body=[rpc('ping'), rpc('tools/call', {'name': 'x'})])
    assert r.status == 400
    assert upstream.requests == []


def test_rules_hold_for_those_without_a_credential(notes, upstream):
    h = notes('anonymous tools/call\n    tool debug hide\n    tool admin require scope notes:admin\n    tool * allow')
    assert h.call('/notes', 'tools/call', {'name': 'x'}).status == 200
    assert h.call('/notes', 'tools/call', {'name': 'debug'}).json()['error']['code'] == -32602
    r = h.call('/notes', 'tools/call', {'name': 'admin'})
    assert r.status == 401 and 'notes:admin' in r.challenge and 'notes:read' in r.challenge
    assert len(upstream.requests) == 1


def test_an_anonymous_list_shows_what_somebody_without_rights_may_see(notes, upstream):
    """row 70"""
    def handler(x):
        x.result({'tools': [{'name': n} for n in ('free', 'debug', 'staff')]})
    upstream.handler = handler
    h = notes('tool debug hide\n    tool staff require claim /staff = yes\n    tool * allow')
    shown = [t['name'] for t in h.call('/notes', 'tools/list').json()['result']['tools']]
    assert 'free' in shown and 'debug' not in shown and 'staff' not in shown


def test_an_anonymous_service_still_has_its_rules(hub, upstream):
    h = hub(f'service notes {{ path /notes; upstream {upstream.url}; anonymous *; tool debug deny; tool * allow }}')
    assert h.call('/notes', 'tools/call', {'name': 'x'}).status == 200
    assert h.call('/notes', 'tools/call', {'name': 'debug'}).status == 403
    assert h.call('/notes', 'vendor/x').status == 403
    assert len(upstream.requests) == 1


def test_an_upload_without_a_credential_is_refused_before_its_body(hub, upstream):
    """row 57"""
    h = hub(CONF.format(url=upstream.url, conf='{conf}', more='').replace('anonymous initialize', '# '),
            files={'corp.jwks': json.dumps(jwks(RS))})
    with h.connect() as c:
        c.http.putrequest('POST', '/notes', skip_host=True)
        for name, value in {'Host': h.host, 'Content-Type': 'application/json', 'Content-Length': '1000000'}.items():
            c.http.putheader(name, value)
        c.http.endheaders()
        assert c.http.getresponse().status == 401
