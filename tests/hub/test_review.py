"""What no record may lack, and streams that begin with something large."""

import http.client
import json
import time

import pytest

from support.client import rpc
from support.rawhttp import Raw

CONF = '''
provider p0   {{ module fault }}
provider gate {{ module fault }}
service notes {{ path /notes; upstream {url}; max_body 4k; auth required p0 }}
service gated {{ path /gated; upstream {url}; auth required p0; account gate }}
service open  {{ path /open; upstream {url}; max_body 4k; anonymous * }}
'''


@pytest.fixture
def notes(hub, upstream):
    return hub(CONF.format(url=upstream.url))


def head(h, path, *fields, token='fault/p0.OK'):
    lines = [f'POST {path} HTTP/1.1', f'Host: {h.host}', 'Content-Type: application/json', *fields]
    if token:
        lines.append(f'Authorization: Bearer {token}')
    return ('\r\n'.join(lines) + '\r\n\r\n').encode()


def bare_stream(upstream, first, then=b'event: message\ndata: {"n":1}\n\n'):
    """A GET is answered by a stream with these bytes; everything else by 202."""
    def handler(x):
        if x.request.method != 'GET':
            x.reply('Accepted', 202, 'text/plain')
            return
        x.sse_start()
        for piece in (first, then):
            if piece:
                x.chunk(piece)
        x.sse_end()
    upstream.handler = handler


# ---- records (rows 181, 182)

def test_a_caller_whose_chunked_body_is_too_large_leaves_both_records(notes, upstream):
    """row 181: the stack had granted, and the size was not known before"""
    with Raw(('127.0.0.1', notes.port)) as c:
        c.send(head(notes, '/notes', 'Transfer-Encoding: chunked'))
        c.try_send(b'2000\r\n' + b'x' * 0x2000 + b'\r\n0\r\n\r\n')
        assert b' 413 ' in c.read_until(b'\r\n')
    decision, = notes.wait_audit('decision')
    done, = notes.wait_audit('done')
    assert decision['id'] == done['id']
    assert decision['subject'] and decision['service'] == 'notes'
    assert done['status'] == 413
    assert upstream.requests == []


def test_a_caller_who_leaves_in_the_middle_of_the_body_leaves_both_records(notes, upstream):
    """row 181"""
    with Raw(('127.0.0.1', notes.port)) as c:
        c.send(head(notes, '/notes', 'Content-Length: 1000', 'Expect: 100-continue'))
        assert b' 100 ' in c.read_until(b'\r\n\r\n')  # it has decided, and wants the body
        time.sleep(0.3)
        c.send(b'{"jsonrpc":')
        time.sleep(0.3)
    decision, = notes.wait_audit('decision')
    done, = notes.wait_audit('done')
    assert decision['id'] == done['id'] and decision['subject']
    assert done['end'] == 'client_gone'
    assert upstream.requests == []


def test_a_malformed_chunk_at_an_open_service_is_recorded(notes, upstream):
    """row 181: nobody was authenticated, so it is a refusal"""
    with Raw(('127.0.0.1', notes.port)) as c:
        c.send(head(notes, '/open', 'Transfer-Encoding: chunked', token=None) + b'zz\r\n')
        c.read_rest()
    refused, = notes.wait_audit('refused')
    assert refused['service'] == 'open' and refused['status'] == 400
    assert notes.audit('decision') == [] and upstream.requests == []


def test_the_record_of_a_refusal_by_an_account_line_says_who_it_was(notes, upstream):
    """row 181"""
    r = notes.request('POST', '/gated', body=rpc('ping'), headers={'Authorization': 'Bearer fault/p0.OK/gate.DENY'})
    assert r.status == 403
    granted = notes.request('POST', '/gated', body=rpc('ping'),
                            headers={'Authorization': 'Bearer fault/p0.OK/gate.PASS'})
    assert granted.status == 200
    deny, grant = notes.wait_audit('decision', 2)
    assert (deny['decision'], grant['decision']) == ('deny', 'grant')
    assert (deny['issuer'], deny['subject']) == (grant['issuer'], grant['subject'])


# ---- streams

def test_a_stream_may_begin_with_a_large_event(notes, upstream):
    """A resumed stream begins with what was missed: a tool's result of any size."""
    large = b'id: 7\ndata: ' + json.dumps({'result': 'x' * 200000}).encode() + b'\n\n'
    bare_stream(upstream, large)
    s = notes.stream('GET', '/open')
    assert len(s.message().json()['result']) == 200000
    assert s.message().json() == {'n': 1}


@pytest.mark.parametrize('first', [b'event: endpoint\nx: %s\ndata: /message\n\n', b'x: %s\nevent: endpoint\ndata: /message\n\n'],
                         ids=['early', 'late'])
def test_an_endpoint_hidden_behind_something_large_never_arrives(notes, upstream, first):
    bare_stream(upstream, first % (b'x' * 200000))
    try:
        s = notes.stream('GET', '/open')
    except (http.client.HTTPException, ConnectionError):
        return  # reset before its head was read
    try:
        while s.message():
            pass
    except (http.client.HTTPException, ConnectionError):
        pass
    assert b'/message' not in s.raw


def test_an_endpoint_event_that_is_cut_off_does_not_show_the_upstreams_address(notes, upstream):
    bare_stream(upstream, b'event: endpoint\ndata: /message\n', b'')
    s = notes.stream('GET', '/open')
    assert s.message() is None
    assert b'/message' not in s.raw


def test_connection_does_not_take_away_the_type_of_the_body(notes, upstream):
    """rows 43, 54: what was judged to be JSON is read as JSON by the upstream too"""
    assert notes.request('POST', '/open', body=rpc('ping'), headers={'Connection': 'Content-Type'}).status == 200
    assert upstream.last.header('Content-Type') == 'application/json'
