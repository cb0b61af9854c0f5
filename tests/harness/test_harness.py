"""The harness itself: a mock that does not do what it says would make other tests pass vacuously."""

import pytest

from support import secretlog, tokens
from support.client import Connection, Stream, rpc
from support.idp import DISCOVERY, JWKS
from support.tokens import ALGORITHMS


def talk(server):
    return Connection(('127.0.0.1', server.port), f'127.0.0.1:{server.port}')


def test_the_upstream_records_every_byte_of_a_request(upstream):
    with talk(upstream) as c:
        reply = c.request('POST', '/mcp?x=1', body=rpc('ping'), headers={'X-Mark': 'ünique'.encode()})
    assert reply.json()['result'] == {'method': 'ping', 'params': None}
    assert upstream.last.json() == rpc('ping')
    assert b'X-Mark: \xc3\xbcnique' in upstream.transcript
    assert upstream.last.target == '/mcp?x=1'


def test_the_upstream_reads_a_chunked_body(upstream):
    with talk(upstream) as c:
        c.http.request('POST', '/mcp', body=iter([b'{"id":', b'7,"method":"m"}']), encode_chunked=True,
                       headers={'Transfer-Encoding': 'chunked'})
        assert c.http.getresponse().read() == b'{"jsonrpc": "2.0", "id": 7, "result": {"method": "m", "params": null}}'
    assert upstream.last.body == b'{"id":7,"method":"m"}'


def test_the_upstream_streams_events_and_notices_that_the_client_left(upstream):
    upstream.reply_sse([{'n': 1}, b': comment\n\n', {'n': 2}], hold=True)
    c = talk(upstream)
    stream = Stream(c, c.send('GET', '/mcp'))
    assert stream.next().json() == {'n': 1}
    assert stream.next().comment == 'comment'
    assert stream.message().json() == {'n': 2}
    assert upstream.gone == 0
    stream.close()
    assert upstream.wait_gone(1)


def test_the_upstream_keeps_a_connection_for_several_requests(upstream):
    with talk(upstream) as c:
        c.request('POST', '/mcp', body=rpc('a'))
        c.request('POST', '/mcp', body=rpc('b'))
    assert [r.connection for r in upstream.requests] == [1, 1]


def test_the_idp_serves_discovery_and_keys_counts_and_fails_on_demand(idp):
    with talk(idp) as c:
        assert c.request('GET', DISCOVERY).json()['jwks_uri'] == idp.jwks_uri
        first = c.request('GET', JWKS).json()
        idp.rotate()
        assert c.request('GET', JWKS).json() != first
        idp.fault(JWKS, status=500, body='no')
        assert c.request('GET', JWKS).status == 500
    assert idp.count == {DISCOVERY: 1, JWKS: 3}


@pytest.mark.parametrize('alg', ALGORITHMS)
def test_tokens_verify_with_an_independent_library(alg):
    jwt = pytest.importorskip('jwt')
    k = tokens.key(alg)
    token = tokens.jwt(k, sub='bob', aud='x')
    public = k.secret if k.private is None else k.private.public_key()
    assert jwt.decode(token, public, algorithms=[alg], audience='x')['sub'] == 'bob'
    secretlog.forget_all()


def test_a_secret_in_a_transcript_is_found(upstream):
    with talk(upstream) as c:
        c.request('POST', '/mcp', body=rpc('ping'), token='mark-of-a-leak')
    assert secretlog.found_in(upstream.transcript, upstream=True) == ['mark-of-a-leak']
    secretlog.forget_all()


def test_a_secret_of_the_upstream_may_reach_it_and_nobody_else(upstream):
    secretlog.remember('belongs-to-upstream', upstream_ok=True)
    assert secretlog.found_in(b'belongs-to-upstream', upstream=True) == []
    assert secretlog.found_in(b'belongs-to-upstream') == ['belongs-to-upstream']
    secretlog.forget_all()
