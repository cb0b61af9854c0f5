"""The exchange with the upstream: what is sent on, what comes back, what happens when it does not."""

import concurrent.futures
import http.client
import json
import os
import socket
import time

import pytest
from support.client import rpc
from support.hub import SLOW

SERVICE = 'service notes {{ path /notes; upstream {url}; anonymous *; {more} }}\n'


def conf(upstream, more=''):
    return SERVICE.format(url=upstream.url, more=more)


@pytest.fixture
def notes(hub, upstream):
    """A hub with one open service in front of `upstream`; more statements for the service."""
    def make(more='', **kw):
        return hub(conf(upstream, more), **kw)
    return make


def post(h, path='/notes', **kw):
    return h.request('POST', path, body=kw.pop('body', rpc('ping')), **kw)


def rss(h):
    """Resident bytes of the largest process of the hub: the worker that carries the load."""
    found = []
    for pid in h.processes():
        with open(f'/proc/{pid}/statm') as f:
            found.append(int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE'))
    return max(found)


# ---- there and back

def test_the_body_arrives_byte_for_byte(notes, upstream):
    body = b'{ "jsonrpc":"2.0","method":"ping",  "id":1234567890123456789, "params":{"x":1.10,"\\u0061":"\xc3\xa4"} }'
    r = notes().request('POST', '/notes', body=body, headers={'Content-Type': 'application/json'})
    assert r.status == 200
    assert upstream.last.body == body and upstream.last.target == '/mcp'


def test_a_notification_gets_its_202_without_a_body(notes, upstream):
    r = post(notes(), body=rpc('notifications/initialized', id=None))
    assert r.status == 202 and r.body == b''
    assert 'Content-Type' not in r.headers


@pytest.mark.parametrize('method', ['GET', 'POST', 'DELETE'])
def test_the_session_of_the_client_is_that_of_the_upstream_with_every_method(notes, upstream, method):
    """G-5, G-6"""
    upstream.reply({}, headers=[('Mcp-Session-Id', 'of the upstream')])
    h = notes()
    given = post(h).headers['Mcp-Session-Id']
    assert given != 'of the upstream'
    body = rpc('ping') if method == 'POST' else None
    r = h.request(method, '/notes', body=body, headers={'Mcp-Session-Id': given})
    assert r.status == 200 and r.headers['Mcp-Session-Id'] == given
    assert upstream.last.method == method and upstream.last.header('Mcp-Session-Id') == 'of the upstream'


@pytest.mark.parametrize('status', [400, 404, 405, 409, 500, 503])
def test_status_and_json_body_of_errors_pass_unchanged(notes, upstream, status):
    """G-1: clients tell the era by the body of a 400 or 404"""
    body = '{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"HeaderMismatch"}}'
    upstream.reply(body, status)
    r = post(notes())
    assert r.status == status and r.text == body
    assert r.headers['Content-Type'] == 'application/json'


def test_a_large_reply_arrives_whole_with_its_length(notes, upstream):
    body = json.dumps({'data': 'x' * (8 << 20)}).encode()
    upstream.reply(body)
    r = post(notes())
    assert r.headers['Content-Length'] == str(len(body)) and r.body == body


def test_a_large_chunked_reply_arrives_whole(notes, upstream):
    body = json.dumps({'data': 'x' * (4 << 20)}).encode()

    def handler(x):
        x.head(200, [('Content-Type', 'application/json'), ('Transfer-Encoding', 'chunked')])
        for at in range(0, len(body), 77777):
            x.chunk(body[at:at + 77777])
        x.sse_end()
    upstream.handler = handler
    assert post(notes()).body == body


def test_an_upstream_on_a_unix_socket(hub, upstreams, tmp_path):
    u = upstreams(unix=str(tmp_path / 's'))
    h = hub(f'service notes {{ path /notes; upstream unix:{tmp_path}/s http://notes/mcp; anonymous * }}')
    assert post(h).status == 200
    assert u.last.target == '/mcp' and u.last.header('Host') == 'notes'


def test_the_connection_to_the_upstream_is_kept(notes, upstream):
    h = notes()
    for _ in range(5):
        assert post(h).status == 200
    assert upstream.connections == 1


def test_every_client_gets_its_own_reply(notes, upstream):
    """row 56: the same ids, on shared connections, at once"""
    h = notes()

    def client(n):
        with h.connect() as c:
            for i in range(30):
                r = c.request('POST', '/notes', body=rpc('ping', {'marker': f'{n}.{i}'}, id=1))
                assert r.json()['result']['params']['marker'] == f'{n}.{i}'
        return True
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        assert all(pool.map(client, range(24)))
    assert len(upstream.requests) == 24 * 30


# ---- request headers

PASS = {'Accept': 'application/json, text/event-stream', 'Content-Type': 'application/json; charset=utf-8',
        'MCP-Protocol-Version': '2025-11-25',
        'Mcp-Method': 'ping', 'Mcp-Name': 'x', 'Mcp-Param-Region': 'eu', 'User-Agent': 'test/1',
        'traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'tracestate': 'a=b'}

IDENTITY = ['X-Mcpauth-User', 'X-Mcpauth-Subject', 'X-Mcpauth-Scopes', 'X-Forwarded-For', 'X-Forwarded-Host',
            'X-Forwarded-Proto', 'X-Forwarded-User', 'X-Forwarded-Email', 'X-Forwarded-Groups',
            'X-Forwarded-Prefix', 'X-Forwarded-Uri', 'X-Forwarded-Method', 'X-Forwarded-Port',
            'X-Forwarded-Access-Token', 'Forwarded', 'X-Original-URL', 'X-Original-Method', 'X-Rewrite-URL',
            'X-Real-IP', 'X-Client-IP', 'True-Client-IP', 'CF-Connecting-IP', 'X-Auth-Request-User',
            'X-Auth-Request-Email', 'X-Auth-Request-Access-Token', 'X-Remote-User', 'Remote-User',
            'X-User', 'X-User-Id', 'X-Email', 'X-Groups', 'X-Roles', 'X-Tenant-Id', 'X-Admin',
            'X-Authenticated-Userid', 'X-Consumer-Username', 'X-Credential-Identifier', 'X-API-Key',
            'Proxy-Authorization', 'Cookie', 'DPoP', 'X-HTTP-Method-Override', 'X-HTTP-Method',
            'X-Method-Override', 'Origin', 'Referer', 'From', 'Via', 'Warning', 'Accept-Encoding',
            'Accept-Language', 'Cache-Control', 'Pragma', 'If-None-Match', 'Range', 'Sec-Fetch-Mode',
            'X-Request-Id', 'X-Correlation-Id', 'baggage', 'b3', 'X-B3-TraceId', 'X-Mcp', 'McpMethod']


def test_exactly_the_listed_headers_are_sent_on(notes, upstream):
    h = notes()
    post(h, headers=PASS)
    sent = {n.lower(): v for n, v in upstream.last.headers}
    assert sent == {**{n.lower(): v for n, v in PASS.items()},
                    'host': f'127.0.0.1:{upstream.port}', 'content-length': sent['content-length']}


@pytest.mark.parametrize('spell', [str, str.lower, str.upper, lambda n: n.replace('-', '_')],
                         ids=['as written', 'lower', 'upper', 'underscores'])
def test_no_other_header_is_sent_on(notes, upstream, spell):
    """rows 42, 52"""
    h = notes()
    with h.connect() as c:
        for name in IDENTITY:
            if name == 'Origin':
                continue
            c.request('POST', '/notes', body=rpc('ping'), headers={spell(name): 'spoofed'})
    assert b'spoofed' not in upstream.transcript


def test_connection_does_not_take_away_what_the_hub_adds(notes, upstream):
    """row 43"""
    h = notes('upstream_auth header X-Upstream-Key env:KEY;', env={'KEY': 'the-upstream-key-0123456789'})
    post(h, headers={'Connection': 'close, X-Upstream-Key, Mcp-Method', 'Mcp-Method': 'ping'})
    assert upstream.last.header('X-Upstream-Key') == 'the-upstream-key-0123456789'
    assert upstream.last.header('Mcp-Method') is None
    assert upstream.last.header('Connection') is None


def test_the_upstreams_credential_replaces_what_the_client_sent(notes, upstream):
    h = notes('upstream_auth bearer env:KEY; forward_header X-Trace;',
              env={'KEY': 'the-upstream-key-0123456789'})
    post(h, headers={'X-Trace': 't'})
    assert upstream.last.header('Authorization') == 'Bearer the-upstream-key-0123456789'
    assert upstream.last.header('X-Trace') == 't'


def test_the_query_is_sent_on_only_as_listed(notes, upstream):
    h = notes('forward_query tenant;')
    post(h, path='/notes?tenant=a&x=1&Tenant=b&tenant=c&token=hush')
    assert upstream.last.target in ('/mcp?tenant=a&tenant=c', '/mcp?tenant=a')
    post(h, path='/notes?x=1')
    assert upstream.last.target == '/mcp'


def test_what_a_browser_leaves_in_a_query_is_escaped_for_the_upstream(notes, upstream):
    h = notes('forward_query tenant;')
    assert post(h, path='/notes?tenant=a|b{"c"}<%7c%7>^`%').status == 200
    assert upstream.last.target == '/mcp?tenant=a%7Cb%7B%22c%22%7D%3C%7c%257%3E%5E%60%25'


@pytest.mark.parametrize('name', ['User-Agent', 'traceparent', 'Mcp-Param-City', 'X-City'])
def test_a_header_field_that_cannot_be_sent_on_is_400_and_not_the_upstreams_fault(notes, upstream, name):
    """row 44: nothing but ASCII goes out"""
    h = notes('forward_header X-City;')
    r = post(h, headers={name: 'Z\xfcrich'})
    assert r.status == 400 and 'not ASCII' in r.json()['error_description']
    assert upstream.requests == []
    assert post(h, headers={'X-Elsewhere': 'Z\xfcrich'}).status == 200


def test_mcpauths_own_environment_has_no_say(notes, upstream, canary):
    """row 58"""
    proxy = f'http://127.0.0.1:{canary.port}'
    h = notes(env={'http_proxy': proxy, 'https_proxy': proxy, 'ALL_PROXY': proxy, 'HTTP_PROXY': proxy})
    assert post(h).status == 200


# ---- replies

def test_replies_are_rebuilt_from_a_list(notes, upstream):
    """row 45"""
    upstream.reply({}, headers=[
        ('Set-Cookie', 'a=b'), ('Access-Control-Allow-Origin', '*'), ('Server', 'x'), ('X-Powered-By', 'x'),
        ('WWW-Authenticate', 'Bearer'), ('Location', '/'), ('Refresh', '0'), ('Link', '</x>'), ('Date', 'now'),
        ('Strict-Transport-Security', 'max-age=1'), ('X-Request-Id', 'theirs'), ('Retry-After', '3'),
        ('X-Kept', 'yes'), ('Mcp-Session-Id', 's')])
    r = post(notes('return_header X-Kept;'))
    assert r.status == 200
    names = {n.lower() for n in r.headers}
    assert names <= {'content-type', 'content-length', 'date', 'x-request-id', 'x-content-type-options',
                     'retry-after', 'x-kept', 'mcp-session-id', 'connection', 'vary', 'cache-control'}
    assert r.headers['X-Request-Id'] != 'theirs' and r.headers['X-Kept'] == 'yes'
    assert r.headers['Retry-After'] == '3' and r.headers['X-Content-Type-Options'] == 'nosniff'


@pytest.mark.parametrize('kind', ['text/html', 'text/plain', 'application/xhtml+xml', 'application/jsonp', None])
def test_a_reply_of_another_type_keeps_its_status_and_loses_its_body(notes, upstream, kind):
    """row 45"""
    upstream.reply('<script>alert(1)</script>', 404, kind)
    r = post(notes())
    assert r.status == 404 and r.body == b'' and 'Content-Type' not in r.headers


def test_an_endless_reply_of_another_type_is_cut_off(notes, upstream):
    def handler(x):
        x.head(200, [('Content-Type', 'text/html'), ('Transfer-Encoding', 'chunked')])
        while not upstream.stopping.is_set():
            x.chunk(b'x' * 60000)
    upstream.handler = handler
    r = post(notes())
    assert r.status == 200 and r.body == b''
    assert upstream.wait_gone()


@pytest.mark.parametrize('status', [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_502_and_not_followed(notes, upstream, canary, status):
    """row 46"""
    upstream.reply('', status, None, [('Location', f'http://127.0.0.1:{canary.port}/')])
    r = post(notes())
    assert r.status == 502 and 'Location' not in r.headers


@pytest.mark.parametrize('status', [401, 407])
def test_an_upstream_that_wants_another_credential_is_502_without_a_challenge(notes, upstream, status):
    upstream.reply('{}', status, headers=[('WWW-Authenticate', 'Bearer realm="x"')])
    r = post(notes())
    assert r.status == 502 and r.challenge is None


NONSENSE = [
    b'', b'hello\r\n\r\n', b'{"jsonrpc":"2.0","result":{}}', b'HTTP/1.1 200 OK\r\n', b'HTTP/1.1 999 X\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{}',
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}',
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\n{}',
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX: ' + b'y' * 40000 + b'\r\nContent-Length: 2\r\n\r\n{}',
    b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 200 + b'Content-Length: 2\r\n\r\n{}',
    b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhello',
]


@pytest.mark.parametrize('reply', NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_is_502_and_the_call_was_delivered_once(notes, upstream, reply):
    """rows 45, 170, 172"""
    upstream.reply_raw(reply)
    r = post(notes())
    assert r.status == 502 and r.json()['error']
    assert len(upstream.requests) == 1


JSON_HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
BROKEN_OFF = {
    'length': JSON_HEAD + b'Content-Length: 200000\r\n\r\n' + b'x' * 100000,
    'chunked': JSON_HEAD + b'Transfer-Encoding: chunked\r\n\r\n186a0\r\n' + b'x' * 100000 + b'\r\n',
    'bad chunk': JSON_HEAD + b'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n',
    'stream': JSON_HEAD.replace(b'application/json', b'text/event-stream') +
    b'Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n6\r\ndata: \r\n',
}


@pytest.mark.parametrize('reply', BROKEN_OFF.values(), ids=BROKEN_OFF.keys())
def test_a_reply_that_breaks_off_after_its_head_never_looks_whole(notes, upstream, reply):
    upstream.reply_raw(reply)
    h = notes()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        post(h)
    assert h.wait_audit('done')[0]['end'] != 'complete'


# ---- dead, slow, gone

def test_an_upstream_that_is_not_there_is_502(hub):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]  # nobody listens, and nobody else can meanwhile
        h = hub(f'service notes {{ path /notes; upstream http://127.0.0.1:{port}/mcp; anonymous * }}')
        r = post(h)
    assert r.status == 502 and r.challenge is None
    assert h.wait_audit('done')[0]['status'] == 502


def test_an_upstream_that_hangs_up_is_502_and_was_called_once(notes, upstream):
    """row 172"""
    upstream.hang_up()
    h = notes()
    assert post(h).status == 502
    assert len(upstream.requests) == 1


@pytest.mark.parametrize('method', ['POST', 'DELETE', 'GET'])
def test_a_call_that_dies_on_a_kept_connection_is_delivered_once(notes, upstream, method):
    """row 172"""
    h = notes()
    body = rpc('tools/call', {'name': 'pay'}) if method == 'POST' else None
    upstream.reply({})
    assert h.request(method, '/notes', body=body).status == 200
    upstream.hang_up()
    assert h.request(method, '/notes', body=body).status == 502
    time.sleep(0.2)
    assert len(upstream.requests) == 2 and upstream.connections == 1


def test_a_slow_upstream_is_504(notes, upstream):
    upstream.hang()
    h = notes('first_byte_timeout 300ms;')
    started = time.monotonic()
    r = post(h)
    assert r.status == 504 and time.monotonic() - started > 0.25
    assert upstream.wait_gone()
    assert h.wait_audit('done')[0]['status'] == 504


def test_a_client_that_leaves_while_it_waits_takes_the_upstream_call_with_it(notes, upstream):
    """G-4"""
    upstream.hang()
    h = notes()
    c = h.connect()
    body = json.dumps(rpc('ping')).encode()
    c.http.putrequest('POST', '/notes', skip_host=True)
    for name, value in {'Host': h.host, 'Content-Type': 'application/json', 'Content-Length': len(body)}.items():
        c.http.putheader(name, str(value))
    c.http.endheaders(body)
    upstream.wait_requests(1)
    c.close()
    assert upstream.wait_gone()


@pytest.mark.parametrize('method', ['GET', 'POST'])
def test_a_client_that_leaves_a_stream_ends_it_at_the_upstream(notes, upstream, method):
    """G-4"""
    upstream.reply_sse([{'n': 1}], hold=True)
    h = notes()
    s = h.stream(method, '/notes', body=rpc('tools/call', {'name': 'x'}) if method == 'POST' else None)
    assert s.message().json() == {'n': 1}
    s.close()
    assert upstream.wait_gone()


# ---- streams

PIECES = [b': hello\n\n', b'event: message\ndata: {"a":1}\n\n', b'id: 7\r\nretry: 3000\r\ndata:\r\n\r\n',
          b'data: caf\xc3', b'\xa9\rdata: two\r\r', b'id: x\nevent: y\ndata: z', b'\n', b'\n', b': bye\n\n']


def test_a_stream_passes_byte_for_byte_in_any_pieces(notes, upstream):
    """G-3, row 60"""
    def handler(x):
        x.sse_start()
        for piece in PIECES:
            x.chunk(piece)
            time.sleep(0.01)
        x.sse_end()
    upstream.handler = handler
    h = notes()
    for body in (rpc('tools/call', {'name': 'x'}), None):
        s = h.stream('POST' if body else 'GET', '/notes', body=body)
        assert s.status == 200 and s.headers['Content-Type'] == 'text/event-stream'
        assert s.headers['X-Accel-Buffering'] == 'no'
        assert s.read() == b''.join(PIECES)


def test_an_event_arrives_when_it_was_sent_and_not_later(notes, upstream):
    upstream.reply_sse([{'n': 0}], hold=True)
    s = notes().stream('POST', '/notes', body=rpc('tools/call', {'name': 'x'}))
    assert s.message().json() == {'n': 0}
    for n in range(1, 5):  # each is sent when the one before has arrived
        upstream.exchanges[0].event({'n': n})
        assert s.message().json() == {'n': n}
    s.close()


def test_an_endless_line_ends_the_stream(notes, upstream):
    """rows 60, 170"""
    def handler(x):
        x.sse_start()
        x.event({'n': 1})
        while not upstream.stopping.is_set():
            x.chunk(b'x' * 65536)
    upstream.handler = handler
    s = notes().stream('POST', '/notes', body=rpc('tools/call', {'name': 'x'}), timeout=20)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        s.read()
    assert upstream.wait_gone()


def test_an_idle_stream_gets_a_comment_at_an_event_boundary_only(notes, upstream):
    def handler(x):
        x.sse_start()
        x.chunk(b'data: 1\n\n' if x.request.target == '/mcp?whole=1' else b'data: 1\n')
        x.wait_gone(600)
        x.close_after = True
    upstream.handler = handler
    h = notes('forward_query whole;')
    started = time.monotonic()
    whole = h.stream('POST', '/notes?whole=1', body=rpc('tools/call', {'name': 'x'}), timeout=60)
    half = h.stream('POST', '/notes', body=rpc('tools/call', {'name': 'x'}), timeout=60)
    assert whole.message().data == '1'
    comment = whole.next()
    assert comment.comment is not None and comment.data is None
    assert 14 < time.monotonic() - started < 30
    half.connection.http.sock.settimeout(0.5)
    assert half.line() == 'data: 1'
    with pytest.raises(TimeoutError):
        half.line()


@pytest.mark.skipif(SLOW > 1, reason='a sanitizer keeps memory of its own')
def test_stalled_readers_cost_little_memory_and_lose_nothing(notes, upstream):
    """row 167: 64 KiB a stream and what the libraries keep, not what the upstream has to say"""
    streams, megabytes = 40, 20
    block = b'data: ' + b'x' * 65528 + b'\n\n'

    def handler(x):
        x.sse_start()
        for _ in range(megabytes * 16):
            x.chunk(block)
        x.sse_end()
    upstream.handler = handler
    h = notes()
    before = rss(h)
    readers = [h.stream('POST', '/notes', body=rpc('tools/call', {'name': 'x'}), timeout=30) for _ in range(streams)]
    upstream.wait_requests(streams)
    time.sleep(1.5)
    assert rss(h) - before < streams * 160 * 1024 + (4 << 20)
    rest = readers[0].read()
    assert len(rest) == megabytes * 16 * len(block) and rest.count(b'\n\n') == megabytes * 16


def test_a_reader_that_stays_stalled_is_ended(notes, upstream):
    """row 167"""
    def handler(x):
        x.sse_start()
        while not upstream.stopping.is_set():
            x.chunk(b'data: ' + b'x' * 60000 + b'\n\n')
    upstream.handler = handler
    h = notes(hub='stall_timeout 1s')
    s = h.stream('POST', '/notes', body=rpc('tools/call', {'name': 'x'}))
    assert upstream.wait_gone(1, 30)
    s.close()


# ---- the legacy transport: HTTP+SSE of revision 2024-11-05

def legacy(upstream, data='/message?sessionId=theirs', first=b''):
    def handler(x):
        if x.request.method == 'GET':
            x.sse_start()
            x.chunk(first + f'event: endpoint\ndata: {data}\n\n'.encode())
            x.chunk(b'event: message\ndata: {"n":1}\n\n')
            x.wait_gone(600)
            x.close_after = True
        else:
            x.reply('Accepted', 202, 'text/plain')
    upstream.handler = handler


@pytest.mark.parametrize('data', ['/message?sessionId=theirs', 'message?sessionId=theirs',
                                  'http://127.0.0.1:{port}/message?sessionId=theirs'])
@pytest.mark.parametrize('first', [b'', b': welcome\n\n', b'\xef\xbb\xbf'], ids=['plain', 'comment', 'BOM'])
def test_the_message_endpoint_is_rewritten_and_leads_back(notes, upstream, data, first):
    """G-7"""
    legacy(upstream, data.format(port=upstream.port), first)
    h = notes()
    s = h.stream('GET', '/notes')
    e = s.message()
    assert e.event == 'endpoint' and e.data.startswith('/notes?sessionId=')
    assert 'theirs' not in e.data and 'message' not in e.data.split('=', 1)[1]
    assert s.message().json() == {'n': 1}
    r = post(h, path=e.data, body=rpc('tools/list'))
    assert r.status == 202
    assert upstream.last.target == '/message?sessionId=theirs' and upstream.last.json() == rpc('tools/list')


@pytest.mark.parametrize('data', ['http://127.0.0.1:1/message', 'https://127.0.0.1:{port}/m', '//evil.example/m',
                                  'http://localhost:{port}/m', '/a/../m', '/a/%2e%2e/m', '/\\evil', 'javascript:x'])
def test_an_endpoint_elsewhere_ends_the_stream(notes, upstream, data):
    legacy(upstream, data.format(port=upstream.port))
    s = notes().stream('GET', '/notes')
    try:
        assert s.message() is None
    except (http.client.IncompleteRead, ConnectionError):
        pass
    assert b'endpoint' not in s.raw
    assert upstream.wait_gone()


def test_a_forged_or_foreign_endpoint_is_404(hub, upstreams):
    one, two = upstreams(), upstreams()
    legacy(one), legacy(two)
    h = hub(''.join(f'service {name} {{ path /{name}; upstream {u.url}; anonymous * }}\n'
                    for name, u in (('one', one), ('two', two))))
    sealed = h.stream('GET', '/one').message().data.split('=', 1)[1]
    flipped = sealed[:-1] + ('A' if sealed[-1] != 'A' else 'B')
    for target in (f'/two?sessionId={sealed}', f'/one?sessionId={flipped}', '/one?sessionId=theirs',
                   '/one?sessionId=', f'/one?sessionId={sealed}x', f'/one?sessionId={sealed}&x=1'):
        assert post(h, path=target).status == 404
    assert [r.method for r in one.requests + two.requests] == ['GET']
    assert post(h, path=f'/one?sessionId={sealed}').status == 202
