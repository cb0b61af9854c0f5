"""Sessions at upstreams are sealed to whom they were given: (service, issuer, subject, client)."""

import json

import pytest
from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER, OTHER = 'https://login.example.com', 'https://other.example.com'
RS, ES = key('RS256'), key('ES256')
AUDIENCES = ['http://127.0.0.1:7070/notes', 'http://127.0.0.1:7070/mails']

CONF = '''
provider corp  {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks }}
provider other {{ module bearer-jwt; issuer %s; key_file {conf}/other.jwks }}
stack staff {{ auth sufficient corp; auth sufficient other }}
service notes {{ path /notes; upstream {url}; auth include staff; {more} }}
service mails {{ path /mails; upstream {url}; auth include staff }}
''' % (ISSUER, OTHER)
FILES = {'corp.jwks': json.dumps(jwks(RS)), 'other.jwks': json.dumps(jwks(ES))}
ID = 'session-of-the-upstream'


def token(subject='ada', client='app', issuer=ISSUER, **over):
    return jwt(RS if issuer == ISSUER else ES, iss=issuer, aud=AUDIENCES, sub=subject, azp=client,
               client_id=client, **over)


ADA = {'subject': 'ada'}
OTHERS = [{'subject': 'eve'}, {'client': 'another app'}, {'issuer': OTHER}]


@pytest.fixture
def notes(hub, upstream):
    def make(more='', **kw):
        return hub(CONF.format(url=upstream.url, conf='{conf}', more=more), files=FILES, **kw)
    return make


def stateful(upstream):
    """Like a server with sessions: initialize gives an id, nothing else does."""
    def handler(x):
        if x.request.method == 'POST' and x.request.json()['method'] == 'initialize':
            x.result({}, headers=[('Mcp-Session-Id', ID)])
        elif x.request.method == 'POST':
            x.result({'session': x.request.header('Mcp-Session-Id'),
                      'resume': x.request.header('Last-Event-ID')})
        else:
            x.reply({'session': x.request.header('Mcp-Session-Id'),
                     'resume': x.request.header('Last-Event-ID')})
    upstream.handler = handler


def begin(h, path='/notes', **who):
    r = h.call(path, 'initialize', token=token(**who) if who else None)
    assert r.status == 200
    return r.headers['Mcp-Session-Id']


def go_on(h, session, method='POST', path='/notes', token=None, **headers):
    body = rpc('ping') if method == 'POST' else None
    return h.request(method, path, body=body, token=token,
                     headers={'Mcp-Session-Id': session, **{k.replace('_', '-'): v for k, v in headers.items()}})


def test_the_upstream_sees_its_own_id_and_the_client_never_does(notes, upstream):
    stateful(upstream)
    h = notes()
    session = begin(h, **ADA)
    assert ID not in session and session.isascii() and session.isprintable()
    assert go_on(h, session, token=token()).json()['result']['session'] == ID


@pytest.mark.parametrize('who', OTHERS, ids=['subject', 'client', 'issuer'])
@pytest.mark.parametrize('method', ['POST', 'GET', 'DELETE'])
def test_somebody_elses_session_is_404_with_every_method(notes, upstream, who, method):
    """row 79"""
    stateful(upstream)
    h = notes()
    session = begin(h, **ADA)
    seen = len(upstream.requests)
    r = go_on(h, session, method, token=token(**{**ADA, **who}))
    assert r.status == 404 and r.challenge is None
    assert len(upstream.requests) == seen
    assert go_on(h, session, method, token=token(**ADA)).status == 200


def test_a_session_of_another_service_is_404(notes, upstream):
    """row 79"""
    stateful(upstream)
    h = notes()
    assert go_on(h, begin(h, **ADA), path='/mails', token=token()).status == 404


def test_a_newer_token_of_the_same_caller_goes_on_with_the_session(notes, upstream):
    stateful(upstream)
    h = notes()
    session = begin(h, **ADA)
    for i in range(3):
        assert go_on(h, session, token=token(jti=str(i))).json()['result']['session'] == ID


def test_a_session_without_a_credential_is_401(notes, upstream):
    """row 79: possession is not authentication"""
    stateful(upstream)
    h = notes()
    session = begin(h, **ADA)
    for method in ('POST', 'GET', 'DELETE'):
        assert go_on(h, session, method).status == 401
    assert go_on(h, session, token=token(exp=1000000000)).status == 401


def test_ids_that_the_hub_never_gave_are_404(notes, upstream):
    """row 79"""
    stateful(upstream)
    h = notes()
    good = begin(h, **ADA)
    seen = len(upstream.requests)
    flipped = good[:-4] + ('AAAA' if good[-4:] != 'AAAA' else 'BBBB')
    for bad in (ID, '', 'x' * 5000, flipped, good + 'A', good[:-1], good[1:], good + '='):
        assert go_on(h, bad, token=token()).status == 404, bad
    assert len(upstream.requests) == seen


def test_a_refused_session_is_recorded(notes, upstream):
    stateful(upstream)
    h = notes()
    go_on(h, 'nonsense', token=token())
    [r] = h.wait_audit('decision', decision='deny')
    assert r['why'] == 'session' and r['status'] == 404 and r['subject'] == 'ada'


def test_an_anonymous_session_is_the_first_callers_who_logs_in(notes, upstream):
    """row 79: a client that begins without a credential keeps its session when it logs in"""
    stateful(upstream)
    h = notes('anonymous *')
    session = begin(h)
    assert go_on(h, session).json()['result']['session'] == ID
    assert go_on(h, session, token=token()).json()['result']['session'] == ID
    assert go_on(h, session, token=token(subject='eve')).status == 404
    assert go_on(h, session).status == 404
    assert go_on(h, session, token=token()).json()['result']['session'] == ID


def test_an_event_id_passes_with_a_session_of_the_callers_own_only(notes, upstream):
    """row 79"""
    stateful(upstream)
    h = notes()
    session = begin(h, **ADA)
    assert go_on(h, session, 'GET', token=token(), Last_Event_ID='7').json()['resume'] == '7'
    r = h.request('GET', '/notes', token=token(), headers={'Last-Event-ID': '7'})
    assert r.status == 200 and r.json() == {'session': None, 'resume': None}


def legacy(upstream):
    def handler(x):
        if x.request.method == 'GET':
            x.sse_start()
            x.event('/message?sessionId=theirs', event='endpoint')
            x.wait_gone(600)
            x.close_after = True
        else:
            x.reply('Accepted', 202, 'text/plain')
    upstream.handler = handler


@pytest.mark.parametrize('who', OTHERS, ids=['subject', 'client', 'issuer'])
def test_the_message_endpoint_of_somebody_elses_stream_is_404(notes, upstream, who):
    """row 79"""
    legacy(upstream)
    h = notes()
    endpoint = h.stream('GET', '/notes', token=token(**ADA)).message().data
    r = h.request('POST', endpoint, body=rpc('ping'), token=token(**{**ADA, **who}))
    assert r.status == 404
    assert h.request('POST', endpoint, body=rpc('ping')).status == 401
    assert [r.method for r in upstream.requests] == ['GET']
    assert h.request('POST', endpoint, body=rpc('ping'), token=token(**ADA)).status == 202
    assert upstream.last.target == '/message?sessionId=theirs'


def test_an_endpoint_is_no_session_header_and_the_reverse(notes, upstream):
    legacy(upstream)
    h = notes()
    endpoint = h.stream('GET', '/notes', token=token(**ADA)).message().data.split('=', 1)[1]
    assert go_on(h, endpoint, token=token(**ADA)).status == 404


def test_two_workers_and_two_generations_open_the_same_session(notes, upstream):
    stateful(upstream)
    h = notes(workers=2)
    session = begin(h, **ADA)
    for _ in range(20):
        assert go_on(h, session, token=token(**ADA)).status == 200
    h.configure(CONF.format(url=upstream.url, conf='{conf}', more='resource_name Notes'))
    h.reload()
    assert go_on(h, session, token=token(**ADA)).status == 200
