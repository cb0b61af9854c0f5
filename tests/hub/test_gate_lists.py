"""Lists in replies, in every shape that a reply has: what is hidden is cut out, nothing else changes."""

import json

import pytest
from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER, NOTES = 'https://login.example.com', 'http://127.0.0.1:7070/notes'
RS = key('RS256')
CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks }}
scope notes:admin {{ text "Delete" }}
service notes {{ path /notes; upstream {url}; auth required corp
    tool debug_*  hide
    tool delete_* require scope notes:admin
    tool admin_*  deny
    tool * allow
    resource file:///secret/* hide
    resource file:///* allow
    prompt hidden hide
    prompt * allow
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
    return jwt(RS, iss=ISSUER, aud=NOTES, sub='ada', **over)


TOOLS = '{"name":"debug_x","a":1}', '{ "name" : "read", "inputSchema":{"$defs":{"x":1.0}} }', '{"name":"admin_x"}', '{"name":"delete_x"}'
REPLY = '{"jsonrpc":"2.0","id":1,"result":{"tools":[%s],"nextCursor":"c2","x-unknown":[1,2.50]}}'
# what was between the items stays with the item behind it
SHOWN = REPLY % f' {TOOLS[1]}, {TOOLS[3]}'


def as_json(upstream, text):
    upstream.reply(text)


def chunked(upstream, text, size=7):
    def handler(x):
        x.head(200, [('Content-Type', 'application/json'), ('Transfer-Encoding', 'chunked')])
        for i in range(0, len(text), size):
            x.chunk(text[i:i + size])
        x.sse_end()
    upstream.handler = handler


def events(upstream, text, hold=False):
    upstream.reply_sse([b': hello\n\n', {'jsonrpc': '2.0', 'method': 'notifications/message', 'params': {}}, text], hold=hold)


@pytest.mark.parametrize('shape', [as_json, chunked])
def test_hidden_items_are_cut_out_of_a_json_reply_byte_for_byte(notes, upstream, shape):
    """row 70"""
    shape(upstream, REPLY % ', '.join(TOOLS))
    r = notes().call('/notes', 'tools/list', token=token())
    assert r.status == 200 and r.text == SHOWN


def test_a_reply_without_hidden_items_does_not_change_at_all(notes, upstream):
    text = ' ' + REPLY.replace(':', ' : ') % TOOLS[1] + '\r\n'
    upstream.reply(text)
    assert notes().call('/notes', 'tools/list', token=token()).text == text


def test_hidden_items_are_cut_out_of_an_event_of_a_post(notes, upstream):
    """row 70"""
    events(upstream, REPLY % ', '.join(TOOLS))
    s = notes().stream('POST', '/notes', body=rpc('tools/list'), token=token())
    assert s.message().json()['method'] == 'notifications/message'
    assert s.message().data == SHOWN
    assert s.raw.startswith(b': hello\n\n')


def test_hidden_items_are_cut_out_of_an_event_whose_data_has_lines(notes, upstream):
    """row 70"""
    text = json.dumps(json.loads(REPLY % ', '.join(TOOLS)), indent=1)
    events(upstream, text)
    s = notes().stream('POST', '/notes', body=rpc('tools/list'), token=token())
    s.message()
    shown = json.loads(s.message().data)['result']['tools']
    assert [t['name'] for t in shown] == ['read', 'delete_x']


@pytest.mark.parametrize('header', [{}, {'Last-Event-ID': '1'}])
def test_hidden_items_are_cut_out_of_a_standing_stream(notes, upstream, header):
    """row 70: a reply that comes again on a stream that is resumed, and on the older transport"""
    events(upstream, REPLY % ', '.join(TOOLS), hold=True)
    s = notes().stream('GET', '/notes', token=token(), headers={'Accept': 'text/event-stream', **header})
    s.message()
    assert s.message().data == SHOWN
    s.close()


def test_every_page_is_filtered_and_keeps_its_cursor(notes, upstream):
    """row 70"""
    def handler(x):
        cursor = x.request.json()['params'].get('cursor', '')
        x.result({'tools': [{'name': f'debug_{cursor}'}], **({'nextCursor': ''} if cursor else {'nextCursor': 'c2'})})
    upstream.handler = handler
    h, t = notes(), token()
    assert h.call('/notes', 'tools/list', {}, token=t).json()['result'] == {'tools': [], 'nextCursor': 'c2'}
    assert h.call('/notes', 'tools/list', {'cursor': 'c2'}, token=t).json()['result'] == {'tools': [], 'nextCursor': ''}


@pytest.mark.parametrize('method, kind, items, shown', [
    ('resources/list', 'resources', [{'uri': 'file:///a'}, {'uri': 'file:///secret/b'}, {'uri': 'other://x'}], ['file:///a']),
    ('resources/templates/list', 'resourceTemplates', [{'uriTemplate': 'file:///{x}'}, {'uriTemplate': 'file:///secret/{x}'}],
     ['file:///{x}']),
    ('prompts/list', 'prompts', [{'name': 'hidden'}, {'name': 'plain'}], ['plain'])])
def test_the_other_lists_are_filtered_alike(notes, upstream, method, kind, items, shown):
    """row 70"""
    upstream.reply({'jsonrpc': '2.0', 'id': 1, 'result': {kind: items}})
    got = notes().call('/notes', method, token=token()).json()['result'][kind]
    assert [i.get('uri') or i.get('uriTemplate') or i.get('name') for i in got] == shown


def test_list_granted_leaves_out_what_only_a_scope_keeps_away(notes, upstream):
    upstream.reply(REPLY % ', '.join(TOOLS))
    h = notes('list granted')
    assert [t['name'] for t in h.call('/notes', 'tools/list', token=token()).json()['result']['tools']] == ['read']
    t = token(scope='notes:admin')
    assert [t['name'] for t in h.call('/notes', 'tools/list', token=t).json()['result']['tools']] == ['read', 'delete_x']


MODERN = {'MCP-Protocol-Version': '2026-07-28'}
META = {'_meta': {'io.modelcontextprotocol/protocolVersion': '2026-07-28'}}


@pytest.mark.parametrize('rules', [True, False])
@pytest.mark.parametrize('method', ['tools/list', 'resources/list', 'server/discover'])
def test_what_one_caller_read_is_cached_for_nobody_else(hub, upstream, rules, method):
    """row 71"""
    upstream.reply({'jsonrpc': '2.0', 'id': 1, 'result': {'tools': [], 'resources': [], 'cacheScope': 'public', 'ttlMs': 5}},
                   headers=[('Cache-Control', 'public, max-age=60')])
    conf = CONF.format(url=upstream.url, conf='{conf}', more='')
    if not rules:
        conf = '\n'.join(line for line in conf.splitlines() if not line.strip().startswith(('tool', 'res', 'prompt')))
    h = hub(conf, files={'corp.jwks': json.dumps(jwks(RS))})
    r = h.call('/notes', method, META, token=token(), headers={**MODERN, 'Mcp-Method': method})
    assert r.json()['result']['cacheScope'] == 'private' and r.json()['result']['ttlMs'] == 5
    assert 'public' not in (r.headers.get('Cache-Control') or '')


def test_a_list_that_is_no_json_is_502(notes, upstream):
    """row 70"""
    upstream.reply('{"jsonrpc":"2.0","result":{"tools":[{"name":"debug_x"}}')
    r = notes().call('/notes', 'tools/list', token=token())
    assert r.status == 502 and 'debug_x' not in r.text


def test_a_long_list_that_breaks_is_never_ended_as_if_whole(notes, upstream):
    """row 70"""
    import http.client
    chunked(upstream, '{"result":{"tools":[' + '{"name":"read","pad":"%s"},' % ('x' * 900) * 100 + '}', 50000)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        notes().call('/notes', 'tools/list', token=token())


def test_an_error_reply_passes(notes, upstream):
    upstream.reply({'jsonrpc': '2.0', 'id': 1, 'error': {'code': -32603, 'message': 'x'}}, status=400)
    r = notes().call('/notes', 'tools/list', token=token())
    assert r.status == 400 and r.json()['error']['code'] == -32603
