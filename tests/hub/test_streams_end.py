"""When an open stream ends: revocation, a file of a provider, a reload, expiry; and when it does not."""

import json
import socket
import time

import pytest
from support import secretlog
from support.client import rpc
from support.hub import SLOW
from support.rawhttp import Raw, request
from support.tokens import b64, jwks, jwt, key

ISSUER, NOTES = 'https://login.example.com', 'http://127.0.0.1:7070/notes'
RS = key('RS256')
CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks; leeway 0s }}
provider ci   {{ module static-token; file {conf}/ci.tokens }}
scope notes:read {{ text "Read" }}
stack staff {{ auth sufficient ci; auth sufficient corp }}
service notes {{ path /notes; upstream {url}; auth include staff; {more} }}
service mails {{ path /mails; upstream {url}; auth include staff; {mails} }}
''' % ISSUER
SOON = 15 * SLOW  # the promise is 5 s, of a machine that has nothing else to do
LIFE = 5 * SLOW  # of a token that is to expire: long enough for what must be done with it before
CALL = rpc('tools/call', {'name': 'x'})


def conf(upstream, more='', mails=''):
    return CONF.format(url=upstream.url, conf='{conf}', more=more, mails=mails)


@pytest.fixture
def notes(hub, upstream):
    def make(more='', **kw):
        files = {'corp.jwks': json.dumps(jwks(RS)), 'ci.tokens': '', **kw.pop('files', {})}
        return hub(conf(upstream, more), files=files, **kw)
    return make


def token(life=600, **over):
    return jwt(RS, iss=ISSUER, aud=[NOTES, 'http://127.0.0.1:7070/mails'], sub='ada', scope='notes:read',
               exp=int(time.time() + life), **over)


def open_stream(upstream, session=None):
    """The upstream says one event on every GET and POST and keeps the stream open."""
    def handler(x):
        x.sse_start([('Mcp-Session-Id', session)] if session else [])
        x.event({'n': 1})
        x.wait_gone(600)
        x.close_after = True
    upstream.handler = handler


def begun(h, method='GET', path='/notes', **kw):
    s = h.stream(method, path, timeout=60, body=CALL if method == 'POST' else None, **kw)
    assert s.status == 200 and s.message().json() == {'n': 1}
    return s


def ended(s):
    """Seconds until the stream ended with a whole body; a reset raises."""
    start = time.monotonic()
    while s.message() is not None:
        pass
    return time.monotonic() - start


def why(h, n=1):
    """Why the hub ended streams, once it has said so of N."""
    end = time.monotonic() + 60 * SLOW
    while len(found := [r['ended'] for r in h.audit('done') if r.get('ended')]) < n:
        assert time.monotonic() < end, h.audit('done')
        time.sleep(0.05)
    return found


def until(expiry):
    """Waits until the credential has been over for longer than a look at streams takes."""
    time.sleep(max(0, expiry + 2.5 - time.time()))


def test_expiry_ends_a_standing_stream(notes, upstream):
    """row 80"""
    open_stream(upstream)
    h = notes()
    s = begun(h, token=token(life=LIFE))
    assert ended(s) < LIFE + SOON
    assert why(h) == ['expired']
    assert upstream.wait_gone()


def test_expiry_does_not_end_the_reply_to_a_call(notes, upstream):
    """row 80: a call that was admitted may finish"""
    def handler(x):
        x.sse_start()
        for n in (1, 2):
            x.event({'n': n})
            upstream.stopping.wait(LIFE + 2)
        x.sse_end()
    upstream.handler = handler
    s = begun(notes(), 'POST', token=token(life=LIFE))
    assert s.message().json() == {'n': 2}
    assert s.message() is None


def test_a_newer_token_on_the_session_keeps_its_stream_open(notes, upstream):
    """row 80"""
    def handler(x):
        if x.request.method == 'POST':
            x.result({}, headers=[('Mcp-Session-Id', 's')])
            return
        x.sse_start()
        x.event({'n': 1})
        x.wait_gone(600)
        x.close_after = True
    upstream.handler = handler
    h = notes()
    first = token(life=LIFE)
    session = h.call('/notes', 'initialize', token=first).headers['Mcp-Session-Id']
    with_session = {'Accept': 'text/event-stream', 'Mcp-Session-Id': session}
    s = begun(h, token=first, headers=with_session)
    h.call('/notes', 'ping', token=token(), headers={'Mcp-Session-Id': session})
    alone = begun(h, token=first)
    ended(alone)
    upstream.exchanges[1].event({'n': 2})
    assert s.message().json() == {'n': 2}
    s.close()


def test_somebody_elses_newer_token_does_not(notes, upstream):
    """row 80"""
    def handler(x):
        if x.request.method == 'POST':
            x.result({}, headers=[('Mcp-Session-Id', 's')])
            return
        x.sse_start()
        x.event({'n': 1})
        x.wait_gone(600)
        x.close_after = True
    upstream.handler = handler
    h = notes()
    first = token(life=LIFE)
    session = h.call('/notes', 'initialize', token=first).headers['Mcp-Session-Id']
    s = begun(h, token=first, headers={'Accept': 'text/event-stream', 'Mcp-Session-Id': session})
    eve = jwt(RS, iss=ISSUER, aud=NOTES, sub='eve', exp=int(time.time()) + 600)
    assert h.call('/notes', 'ping', token=eve, headers={'Mcp-Session-Id': session}).status == 404
    assert ended(s) < LIFE + SOON


def test_a_newer_token_on_the_legacy_endpoint_keeps_its_stream_open(notes, upstream):
    """row 80"""
    def handler(x):
        if x.request.method == 'POST':
            x.reply('Accepted', 202, 'text/plain')
            return
        x.sse_start()
        x.event('/message?sessionId=theirs', event='endpoint')
        x.wait_gone(600)
        x.close_after = True
    upstream.handler = handler
    h = notes()
    expiry = time.time() + LIFE
    s = h.stream('GET', '/notes', token=token(life=LIFE), timeout=60)
    endpoint = s.message().data
    assert h.request('POST', endpoint, body=rpc('ping'), token=token()).status == 202
    until(expiry)
    upstream.exchanges[0].event({'n': 2})
    assert s.message().json() == {'n': 2}
    s.close()


def test_a_legacy_stream_stays_for_the_reply_to_an_admitted_call(notes, upstream):
    """row 80: and no longer"""
    def handler(x):
        if x.request.method == 'POST':
            x.reply('Accepted', 202, 'text/plain')
            return
        x.sse_start()
        x.event('/message?sessionId=theirs', event='endpoint')
        x.wait_gone(600)
        x.close_after = True
    upstream.handler = handler
    h = notes()
    expiry = time.time() + LIFE
    t = token(life=LIFE)
    s = h.stream('GET', '/notes', token=t, timeout=60)
    endpoint = s.message().data
    assert h.request('POST', endpoint, body=CALL, token=t).status == 202
    assert h.request('POST', endpoint, body=rpc('notifications/initialized', id=None), token=t).status == 202
    until(expiry)
    reply = {'jsonrpc': '2.0', 'id': 1, 'result': {}}
    upstream.exchanges[0].event(reply)
    assert s.message().json() == reply
    assert ended(s) < SOON
    assert why(h) == ['expired']


@pytest.mark.parametrize('method', ['GET', 'POST'])
def test_a_token_that_leaves_its_file_ends_its_streams(notes, upstream, method):
    """row 80: a person who is blocked"""
    open_stream(upstream)
    h = notes()
    made = h.cli('token', 'create', '--provider', 'ci', '--subject', 'robot', 'robot', check=True)
    h.wait_log('read .*ci.tokens again')
    good = begun(h, method, token=token())
    s = begun(h, method, token=secretlog.remember(made.stdout.strip()))
    h.cli('token', 'revoke', '--provider', 'ci', 'robot', check=True)
    assert ended(s) < SOON
    assert why(h) == ['refused']
    upstream.exchanges[0].event({'n': 2})
    assert good.message().json() == {'n': 2}
    good.close()


def test_a_scope_that_a_token_loses_in_its_file_is_gone_from_the_lists_on_its_stream(notes, upstream):
    """row 80: the stream itself may stay"""
    open_stream(upstream)
    h = notes('tool * require scope notes:read; list granted')
    made = h.cli('token', 'create', '--provider', 'ci', '--subject', 'robot', '--scope', 'notes:read', 'robot',
                 check=True)
    h.wait_log('read .*ci.tokens again')
    s = begun(h, token=secretlog.remember(made.stdout.strip()))

    def shown():
        upstream.exchanges[0].event({'jsonrpc': '2.0', 'id': 1, 'result': {'tools': [{'name': 'x'}]}})
        return s.message().json()['result']['tools']
    assert shown()
    h.write('ci.tokens', (h.confdir / 'ci.tokens').read_text().replace('"notes:read"', ''))
    end = time.monotonic() + 10 * SLOW
    while shown():
        assert time.monotonic() < end
        time.sleep(0.1)
    s.close()


@pytest.mark.parametrize('method', ['GET', 'POST'])
def test_a_right_that_a_reload_takes_ends_the_streams_of_that_service(notes, upstream, method):
    """row 80"""
    open_stream(upstream)
    h = notes(hub='drain_timeout 60s')
    s, other = begun(h, method, token=token()), begun(h, method, '/mails', token=token())
    h.configure(conf(upstream, 'require scope notes:read'))
    h.reload()
    assert ended(s) < SOON
    assert why(h) == ['reloaded']
    upstream.exchanges[1].event({'n': 2})
    assert other.message().json() == {'n': 2}
    other.close()


def test_a_reload_about_traffic_ends_nothing(notes, upstream):
    open_stream(upstream)
    h = notes(hub='drain_timeout 60s')
    s = begun(h, token=token())
    h.configure(conf(upstream, 'max_body 1m'))
    h.reload()
    time.sleep(2.5)
    upstream.exchanges[0].event({'n': 2})
    assert s.message().json() == {'n': 2}
    s.close()


def test_a_stream_within_an_event_ends_after_it_or_soon(notes, upstream):
    """row 80: an upstream that never ends its event holds nothing open"""
    def handler(x):
        x.sse_start()
        x.event({'n': 1})
        x.chunk('data: half')
        x.wait_gone(600)
        x.close_after = True
    upstream.handler = handler
    s = begun(notes(), token=token(life=LIFE))
    assert ended(s) < LIFE + SOON
    assert s.raw.endswith(b'half')


def revoke(h, issuer, subject):
    """What `mcpauth grants revoke` tells the daemon."""
    words = ' '.join(b64(word) for word in (issuer, subject, 'a grant'))
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(h.control))
        s.sendall(f'revoke {words}\n'.encode())
        return s.recv(4096)


@pytest.mark.parametrize('method', ['GET', 'POST'])
def test_a_revocation_ends_every_stream_of_its_person_and_of_nobody_else(notes, upstream, method):
    """rows 80, 187"""
    open_stream(upstream)
    h = notes(workers=2)
    eve = jwt(RS, iss=ISSUER, aud=NOTES, sub='eve', exp=int(time.time()) + 600)
    mine = [begun(h, method, token=token(jti=str(i))) for i in range(4)]
    hers = begun(h, method, token=eve)
    revoke(h, ISSUER, 'ada')
    assert max(ended(s) for s in mine) < SOON
    assert why(h, 4) == ['revoked'] * 4
    upstream.exchanges[-1].event({'n': 2})
    assert hers.message().json() == {'n': 2}
    hers.close()


# ---- a call that has not been made yet

def half(h, token):
    """A call of which the hub has judged the head and waits for the body."""
    body = json.dumps(CALL).encode()
    c = Raw(('127.0.0.1', h.port))
    c.send(request('POST', '/notes', f'Authorization: Bearer {token}', 'Content-Type: application/json',
                   'Expect: 100-continue', f'Content-Length: {len(body)}', host=h.host))
    assert c.read_until(b'\r\n\r\n').startswith(b'HTTP/1.1 100 ')
    return c, body


def finished(c, body):
    with c:
        c.send(body)
        return c.answer().status


def test_a_call_whose_body_comes_after_the_revocation_is_looked_at_again(notes, upstream):
    """row 187: a slow body keeps no credential good"""
    h = notes()
    eve = jwt(RS, iss=ISSUER, aud=NOTES, sub='eve', exp=int(time.time()) + 600)
    hers = half(h, eve)
    revoke(h, ISSUER, 'ada')
    assert finished(*hers) == 200
    assert [r['decision'] for r in h.wait_audit('decision')] == ['grant']


def test_a_call_whose_body_comes_after_its_token_left_the_file_is_401(notes, upstream):
    """row 187"""
    h = notes()
    made = h.cli('token', 'create', '--provider', 'ci', '--subject', 'robot', 'robot', check=True)
    h.wait_log('read .*ci.tokens again')
    mine, good = half(h, secretlog.remember(made.stdout.strip())), half(h, token())
    h.cli('token', 'revoke', '--provider', 'ci', 'robot', check=True)
    h.wait_log('(?s)read .*ci.tokens again.*read .*ci.tokens again')
    assert finished(*mine) == 401
    assert upstream.requests == []
    assert finished(*good) == 200
