"""Lists show what may be called: in JSON, in event streams of every kind, page by page, byte for byte."""

import http.client
import json

import pytest
from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER = 'https://login.example.com'
RS = key('RS256')
AUDIENCE = 'http://127.0.0.1:7070/notes'
CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks }}
scope notes:admin {{ text "Administer"; for subject ada }}
service notes {{
    path /notes; upstream {url}
    auth required corp
    tool secret_* hide
    tool admin_*  require scope notes:admin
    tool *        allow
    resource note://public/* allow
    prompt hello  allow
    {more}
}}
''' % ISSUER
FILES = {'corp.jwks': json.dumps(jwks(RS))}
NOW = '2026-07-28'


def token(subject='ada', **over):
    return jwt(RS, iss=ISSUER, aud=AUDIENCE, sub=subject, **over)


@pytest.fixture
def notes(hub, upstream):
    def make(more='', **kw):
        return hub(CONF.format(url=upstream.url, conf='{conf}', more=more), files=FILES, **kw)
    return make


def tool(name):
    return '{ "inputSchema":{"$defs":{"a":1e2}},"name" : "%s", "x":"\\u00e9"}' % name


def reply(member, items, rest=''):
    return '{"jsonrpc":"2.0","id":1,"result":{"%s":[%s]%s}}\n' % (member, ', '.join(items), rest)


ALL = reply('tools', [tool('secret_a'), tool('say'), tool('admin_b'), tool('secret_c')], ',"nextCursor":""')
CUT = reply('tools', [tool('say')], ',"nextCursor":""').replace('[{', '[ {')  # the blank behind a comma
ADA = reply('tools', [tool('say'), tool('admin_b')], ',"nextCursor":""').replace('[{', '[ {')


def modern(method, params=None):
    meta = {'io.modelcontextprotocol/protocolVersion': NOW}
    headers = {'MCP-Protocol-Version': NOW, 'Mcp-Method': method}
    if params:
        headers['Mcp-Name'] = params.get('name') or params.get('uri')
    return rpc(method, {**(params or {}), '_meta': meta}), headers


def test_hidden_tools_are_cut_out_of_the_list_byte_for_byte(notes, upstream):
    """row 70"""
    upstream.reply(ALL)
    r = notes().call('/notes', 'tools/list', token=token('bob'))
    assert r.status == 200 and r.text == CUT


def test_who_may_hold_a_missing_scope_sees_what_needs_it(notes, upstream):
    """row 70"""
    upstream.reply(ALL)
    assert notes().call('/notes', 'tools/list', token=token('ada')).text == ADA


def test_a_list_of_what_is_granted_leaves_that_out(notes, upstream):
    """row 70"""
    upstream.reply(ALL)
    h = notes('list granted')
    assert h.call('/notes', 'tools/list', token=token('ada')).text == CUT
    assert h.call('/notes', 'tools/list', token=token('ada', scope='notes:admin')).text == ADA


@pytest.mark.parametrize('method, member, items, kept', [
    ('prompts/list', 'prompts', ['{"name":"hello"}', '{"name":"bye"}'], ['{"name":"hello"}']),
    ('resources/list', 'resources', ['{"uri":"note://x"}', '{"uri":"note://public/a"}', '{"name":"a"}'],
     ['{"uri":"note://public/a"}']),
    ('resources/templates/list', 'resourceTemplates',
     ['{"uriTemplate":"note://private/{a}"}', '{"uriTemplate":"note://public/{a}"}'],
     ['{"uriTemplate":"note://public/{a}"}']),
])
def test_every_kind_of_list_is_cut(notes, upstream, method, member, items, kept):
    """row 70"""
    upstream.reply(reply(member, items))
    text = notes().call('/notes', method, token=token('bob')).text
    assert text.replace('[ ', '[') == reply(member, kept)


def test_a_list_in_an_event_stream_is_cut_alike(notes, upstream):
    """row 70"""
    def handler(x):
        x.sse_start()
        for part in [': hi\n\nevent: message\nid: 1\nda', 'ta: ' + ALL[:40], ALL[40:-1] + '\r\n', '\r\n']:
            x.chunk(part)
        x.sse_end()
    upstream.handler = handler
    r = notes().call('/notes', 'tools/list', token=token('bob'))
    assert r.text == ': hi\n\nevent: message\nid: 1\ndata: ' + CUT[:-1] + '\r\n\r\n'


@pytest.mark.parametrize('headers', [{}, {'Last-Event-ID': '7'}], ids=['standing', 'resumed'])
def test_a_list_on_a_get_stream_is_cut_whatever_its_id(notes, upstream, headers):
    """row 70: an upstream sends the reply where the client resumes; the legacy transport always does"""
    upstream.reply_sse([{'jsonrpc': '2.0', 'method': 'notifications/message'}, json.loads(ALL) | {'id': 99}])
    h = notes()
    s = h.stream('GET', '/notes', token=token('bob'), headers={'Accept': 'text/event-stream', **headers})
    assert s.next().json()['method'] == 'notifications/message'
    message = s.next().json()
    assert message['id'] == 99 and [t['name'] for t in message['result']['tools']] == ['say']
    s.close()


def test_a_list_on_the_stream_of_another_call_is_cut(notes, upstream):
    """row 70"""
    upstream.reply_sse([json.loads(ALL), {'jsonrpc': '2.0', 'id': 1, 'result': {'content': []}}])
    r = notes().call('/notes', 'tools/call', {'name': 'say'}, token=token('bob'))
    assert 'secret' not in r.text and '"content"' in r.text


def test_a_list_that_is_longer_than_is_answered_whole_is_cut_while_it_streams(notes, upstream):
    """row 70"""
    names = ['%s_%d' % (('say', 'secret')[i % 2], i) for i in range(2000)]
    upstream.reply(reply('tools', [tool(n) for n in names]))
    r = notes().call('/notes', 'tools/list', token=token('bob'))
    assert r.text == reply('tools', [tool(n) for n in names if n.startswith('say')])


def test_pages_are_cut_one_by_one_and_an_empty_one_keeps_its_cursor(notes, upstream):
    upstream.reply(reply('tools', [tool('secret_a')], ',"nextCursor":"\\u0061b"'))
    r = notes().call('/notes', 'tools/list', {'cursor': 'x'}, token=token('bob'))
    assert r.text == reply('tools', [], ',"nextCursor":"\\u0061b"')
    assert upstream.last.json()['params'] == {'cursor': 'x'}


@pytest.mark.parametrize('method, params, result', [
    ('tools/list', None, {'tools': [{'name': 'say'}]}),
    ('server/discover', None, {'supportedVersions': [NOW], 'capabilities': {}}),
    ('resources/read', {'uri': 'note://public/a'}, {'contents': []}),
])
def test_what_only_this_caller_got_is_cached_for_nobody_else(notes, upstream, method, params, result):
    """row 71"""
    before = json.dumps({'jsonrpc': '2.0', 'id': 1, 'result': {**result, 'ttlMs': 5, 'cacheScope': 'public'}})
    upstream.reply(before)
    body, headers = modern(method, params)
    r = notes().request('POST', '/notes', body=body, headers=headers, token=token('bob'))
    assert r.status == 200, r
    assert r.text == before.replace('"public"', '"private"')
    assert r.headers['Cache-Control'] == 'no-store'


def test_an_error_of_the_upstream_passes_as_it_is(notes, upstream):
    text = '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no tools"}}'
    upstream.reply(text, status=404)
    r = notes().call('/notes', 'tools/list', token=token('bob'))
    assert r.status == 404 and r.text == text


def test_a_list_that_is_no_json_is_502_and_not_passed(notes, upstream):
    """row 70"""
    upstream.reply('{"result":{"tools":[{"name":"say"},{"name":"secret_a"}}')
    r = notes().call('/notes', 'tools/list', token=token('bob'))
    assert r.status == 502 and 'say' not in r.text


def test_a_long_list_that_turns_out_no_json_is_reset(notes, upstream):
    """row 70"""
    bad = reply('tools', [tool('say')] * 1000).replace('}}\n', '}') + ']'
    upstream.reply(bad)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        notes().call('/notes', 'tools/list', token=token('bob'))


def test_a_stream_whose_message_is_no_json_is_reset(notes, upstream):
    """row 70"""
    upstream.reply_sse(['{"result":{"tools":[{"name":"secret_a"}}'])
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        notes().call('/notes', 'tools/list', token=token('bob'))


def test_a_reply_that_is_no_list_passes_without_a_look(notes, upstream):
    text = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"secret_a"}]'  # not even whole
    upstream.reply(text)
    assert notes().call('/notes', 'tools/call', {'name': 'say'}, token=token('bob')).text == text


def test_a_service_without_rules_keeps_its_lists(hub, upstream):
    upstream.reply(ALL)
    conf = f'service notes {{ path /notes; upstream {upstream.url}; anonymous * }}'
    assert hub(conf).call('/notes', 'tools/list').text == ALL
