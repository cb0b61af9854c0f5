"""What is not one clear message is refused before anything is recorded as a grant or forwarded, and
what is asked is what the body says, in every version of the protocol and by every transport."""

import base64
import json
import os
import pathlib
import re
import subprocess

import pytest
from support.client import rpc
from support.tokens import jwks, jwt, key

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('MCPAUTH_BUILD', TOP / 'build'))
ISSUER, NOTES = 'https://login.example.com', 'http://127.0.0.1:7070/notes'
RS = key('RS256')
CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks }}
scope notes:admin {{ text "Delete notes" }}
service notes {{
    path /notes; upstream {url}; auth required corp; {more}
    tool delete_* require scope notes:admin
    tool secret_* hide
    tool forbidden deny
    tool *        allow
}}
''' % ISSUER
MODERN = '2026-07-28'
VERSION = 'io.modelcontextprotocol/protocolVersion'


@pytest.fixture
def notes(hub, upstream):
    def make(more='', **kw):
        return hub(CONF.format(url=upstream.url, conf='{conf}', more=more),
                   files={'corp.jwks': json.dumps(jwks(RS))}, **kw)
    return make


def token(scope='notes:other'):
    return jwt(RS, iss=ISSUER, aud=NOTES, sub='ada', scope=scope)


def modern(method='tools/call', name='delete_all', **over):
    """(body, headers) of a request of 2026-07-28."""
    params = {'name': name, 'arguments': {}, '_meta': {VERSION: MODERN}}
    headers = {'MCP-Protocol-Version': MODERN, 'Mcp-Method': method, 'Mcp-Name': name}
    headers.update(over)
    return rpc(method, params), {k: v for k, v in headers.items() if v is not None}


def post(h, body, headers=None, token=None, path='/notes'):
    given = {'Content-Type': 'application/json', 'Accept': 'application/json, text/event-stream', **(headers or {})}
    return h.request('POST', path, body=json.dumps(body) if isinstance(body, (dict, list)) else body,
                     headers=given, token=token or globals()['token']())


CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":{}}}'
SAFE = json.loads(CALL % 'safe')

MALFORMED = {
    'nothing': b'', 'no JSON': b'{', 'two documents': (CALL % 'safe').encode() * 2, 'a BOM': b'\xef\xbb\xbf' + (CALL % 'safe').encode(),
    'NUL': (CALL % 'sa\\u0000fe').encode(), 'a raw NUL': (CALL % 'safe').encode() + b'\0', 'UTF-16': (CALL % 'safe').encode('utf-16'),
    'bad UTF-8': (CALL % 'safe').encode().replace(b'safe', b'sa\xff'), 'lone surrogate': (CALL % 'sa\\ud800').encode(),
    'a comment': (CALL % 'safe').encode() + b'// x', 'NaN': b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    'a name twice': (CALL % 'safe').replace('"name":"safe"', '"name":"safe","name":"delete_all"').encode(),
    'a name twice, escaped': (CALL % 'safe').replace('"name":"safe"', '"name":"safe","n\\u0061me":"delete_all"').encode(),
    'a method twice': (CALL % 'safe').replace('"method"', '"method":"ping","method"').encode(),
    'params twice': (CALL % 'safe')[:-1].encode() + b',"params":{"name":"delete_all"}}',
    'another case': (CALL % 'safe').replace('"name":"safe"', '"name":"safe","Name":"delete_all"').encode(),
    'a folding letter': (CALL % 'safe').replace('"params"', '"param\\u017f":{},"params"').encode(),
    'a kelvin sign': '{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"1","tas\u212aId":"2"}}'.encode(),
    'a batch': f'[{CALL % "safe"}]'.encode(), 'a mixed batch': f'[{CALL % "safe"},{CALL % "delete_all"}]'.encode(),
    'an empty batch': b'[]', 'a number': b'1', 'no version': b'{"id":1,"method":"ping"}',
    'id null': (CALL % 'safe').replace('"id":1', '"id":null').encode(),
    'id a fraction': (CALL % 'safe').replace('"id":1', '"id":1.5').encode(),
    'id an object': (CALL % 'safe').replace('"id":1', '"id":{}').encode(),
    'a number as name': (CALL % 'safe').replace('"safe"', '7').encode(),
    'too deep': b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":' + b'[' * 70 + b']' * 70 + b'}}',
    'too many': b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[' + b'1,' * 50001 + b'1]}}}',
    'names of the hub': (CALL % 'safe').replace('"arguments":{}', '"_meta":{"mcpauth/subject":"root"},"arguments":{}').encode(),
}


@pytest.mark.parametrize('body', MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_one_strict_message_is_400(notes, upstream, body):
    """rows 63, 64, 65, 73, 74, 77"""
    h = notes()
    r = post(h, body)
    assert r.status == 400 and r.json()['jsonrpc'] == '2.0'
    assert r.json()['error']['code'] in (-32700, -32600, -32602)
    assert upstream.requests == []
    assert h.wait_audit('decision', decision='deny')[0]['status'] == 400


def test_the_id_of_a_refusal_is_that_of_the_request_byte_for_byte(notes):
    """row 65"""
    h = notes()
    for given in ('"a\\u00e4"', '9223372036854775807', '"1"', '-3'):
        r = post(h, (CALL % 'secret_x').replace('"id":1', f'"id":{given}'))
        assert f'"id":{given},' in r.text


@pytest.mark.parametrize('method', ['GET', 'DELETE'])
def test_only_a_post_has_a_body(notes, upstream, method):
    """row 53"""
    r = notes().request(method, '/notes', body=(CALL % 'delete_all').encode(), token=token(),
                        headers={'Content-Type': 'application/json'})
    assert r.status == 400
    assert upstream.requests == []


def test_the_rule_sees_what_stands_behind_megabytes(notes, upstream):
    """row 53"""
    long = json.loads(CALL % 'x')
    long['params'] = {'arguments': {'pad': 'x' * 3000000}, 'name': 'delete_all'}
    h = notes()
    assert post(h, long).status == 403
    long['params']['name'] = 'safe'
    assert post(h, long).status == 200
    assert len(upstream.requests) == 1


@pytest.mark.parametrize('framing', ['Content-Length', 'chunked'])
def test_a_body_over_the_limit_is_413_and_never_judged_in_part(notes, upstream, framing):
    """row 53"""
    h = notes('max_body 64k')

    def sized(n):
        body = (CALL % 'safe').encode()
        return body + b' ' * (n - len(body))

    def send(body):
        if framing == 'Content-Length':
            return post(h, body)
        chunks = b''.join(b'%x\r\n%s\r\n' % (len(part), part) for part in
                          (body[i:i + 8000] for i in range(0, len(body), 8000))) + b'0\r\n\r\n'
        return h.request('POST', '/notes', body=chunks, token=token(),
                         headers={'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked'})
    assert send(sized(65536)).status == 200
    assert send(sized(65537)).status == 413
    assert len(upstream.requests) == 1


# ---- one call, every version, every way

VERSIONS = [None, '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', MODERN]


def privileged(version, name):
    """The call NAME as a client of VERSION makes it."""
    if version == MODERN:
        return modern(name=name)
    return json.loads(CALL % name), {'MCP-Protocol-Version': version} if version else {}


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('name, status', [('delete_all', 403), ('forbidden', 403), ('secret_x', 200), ('safe', 200)])
def test_the_same_call_gets_the_same_answer_in_every_version(notes, upstream, version, name, status):
    """row 62"""
    h = notes()
    body, headers = privileged(version, name)
    r = post(h, body, headers)
    assert r.status == status
    assert ('insufficient_scope' in (r.challenge or '')) == (name == 'delete_all')
    assert len(upstream.requests) == (name == 'safe')
    assert post(h, *privileged(version, 'delete_all'), token=token('notes:admin')).status == 200


@pytest.mark.parametrize('body', [
    CALL % 'delete_all', CALL % 'd\\u0065lete_all', ' \n' + (CALL % 'delete_all') + '\r\n\t',
    '{"params":{"arguments":{},"name":"delete_all"},"method":"tools/call","id":"x","jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_all"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":{"name":"delete_all"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_all","task":{"ttl":1}}}'],
    ids=['plain', 'escaped', 'spaced', 'turned round', 'notification', 'escaped slash', 'as a task'])
def test_no_spelling_of_a_call_dodges_its_rule(notes, upstream, body):
    """rows 62, 65"""
    assert post(notes(), body).status == 403
    assert upstream.requests == []


def test_the_legacy_transport_is_judged_alike(notes, upstream):
    """row 62"""
    def handler(x):
        if x.request.method == 'GET':
            x.sse_start()
            x.event('/message?sessionId=theirs', event='endpoint')
            x.wait_gone(600)
            x.close_after = True
        else:
            x.reply('Accepted', 202, 'text/plain')
    upstream.handler = handler
    h = notes()
    t = token()
    endpoint = h.stream('GET', '/notes', token=t).message().data
    assert post(h, CALL % 'delete_all', token=t, path=endpoint).status == 403
    assert post(h, CALL % 'secret_x', token=t, path=endpoint).json()['error']['code'] == -32602
    assert len(upstream.requests) == 1
    assert post(h, CALL % 'safe', token=t, path=endpoint).status == 202


# ---- headers of 2026-07-28 against the body

def sentinel(text):
    return f'=?base64?{base64.b64encode(text.encode()).decode()}?='


WRONG = {
    'another method': {'Mcp-Method': 'tools/list'}, 'no method': {'Mcp-Method': None}, 'no name': {'Mcp-Name': None},
    'another name': {'Mcp-Name': 'safe'}, 'another case': {'Mcp-Name': 'Delete_all'}, 'method in another case': {'Mcp-Method': 'Tools/call'},
    'another name, encoded': {'Mcp-Name': sentinel('safe')},
    'not base64': {'Mcp-Name': '=?base64?***?='}, 'encoded twice': {'Mcp-Name': sentinel(sentinel('delete_all'))},
    'loose base64': {'Mcp-Name': '=?base64?ZGVsZXRlX2FsbA?='}, 'an unknown version': {'MCP-Protocol-Version': '2027-01-01'},
    'an older header': {'MCP-Protocol-Version': '2025-11-25'}, 'no version': {'MCP-Protocol-Version': None},
}


@pytest.mark.parametrize('over', WRONG.values(), ids=WRONG)
@pytest.mark.parametrize('scope', ['notes:other', 'notes:admin'])
def test_headers_that_contradict_the_body_are_400(notes, upstream, over, scope):
    """row 61"""
    r = post(notes(), *modern(**over), token=token(scope))
    assert r.status == 400 and r.json()['error']['code'] == -32020 and r.json()['id'] == 1
    assert upstream.requests == []


@pytest.mark.parametrize('over', [
    {'Mcp-Name': ['delete_all', 'safe']}, {'Mcp-Method': ['tools/call', 'tools/call']},
    {'MCP-Protocol-Version': [MODERN, MODERN]}, {'mcp-name': 'delete_all'}], ids=['name', 'method', 'version', 'case'])
def test_a_routing_header_that_stands_twice_is_400(notes, upstream, over):
    """row 61"""
    assert post(notes(), *modern(**over), token=token('notes:admin')).status == 400
    assert upstream.requests == []


@pytest.mark.parametrize('over', [{}, {'Mcp-Name': sentinel('delete_all')}, {'Mcp-Name': '  delete_all'}],
                         ids=['plain', 'encoded', 'spaced'])
def test_headers_that_agree_pass_and_the_body_decides(notes, upstream, over):
    """row 61"""
    h = notes()
    assert post(h, *modern(**over)).status == 403
    assert post(h, *modern(**over), token=token('notes:admin')).status == 200
    assert len(upstream.requests) == 1


def test_an_older_body_is_judged_whatever_the_headers_say(notes, upstream):
    """rows 61, 78"""
    h = notes()
    lie = {'Mcp-Method': 'ping', 'Mcp-Name': 'safe', 'Mcp-Param-Name': 'safe'}
    assert post(h, CALL % 'delete_all', lie).status == 403
    assert upstream.requests == []


def test_a_parameter_header_with_control_bytes_is_400(notes, upstream):
    """row 78"""
    body, headers = modern(name='safe')
    headers['Mcp-Param-Region'] = 'eu\x01'
    h = notes()
    assert post(h, body, headers).status == 400
    assert upstream.requests == []


def test_responses_are_posted_in_older_versions_only(notes, upstream):
    """row 66"""
    h = notes()
    answer = {'jsonrpc': '2.0', 'id': 7, 'result': {}}
    assert post(h, answer, {'MCP-Protocol-Version': '2025-11-25'}).status in (200, 202)
    assert post(h, answer, {'MCP-Protocol-Version': MODERN, 'Mcp-Method': 'ping'}).status == 400
    assert len(upstream.requests) == 1


METHODS = ['vendor/thing', 'tools/delete', 'tools/Call', 'toolscall', 'notifications/vendor', 'sampling/createMessage',
           'roots/list', 'elicitation/create', 'tasks/get', 'tasks/list', 'tasks/cancel', 'server/discover']


@pytest.mark.parametrize('method', METHODS)
def test_a_method_that_is_not_mapped_is_refused(notes, upstream, method):
    """row 67"""
    r = post(notes(), rpc(method, {'taskId': '1'}))
    assert r.status == 403 and r.challenge is None
    assert upstream.requests == []


def test_a_modern_client_hears_of_an_unknown_method_as_from_a_server(notes, upstream):
    """row 67"""
    body, headers = modern('vendor/thing', 'x')
    r = post(notes(), body, headers)
    assert r.status == 404 and r.json()['error']['code'] == -32601 and r.json()['id'] == 1
    assert upstream.requests == []


def test_a_line_opens_a_method_of_a_vendor(notes, upstream):
    h = notes('method vendor/* allow')
    assert post(h, rpc('vendor/thing')).status == 200
    assert post(h, rpc('other/thing')).status == 403


def test_the_daemon_can_start_no_program_but_itself():
    """row 82: the master may put the installed mcpauthd in its place, in replace.c; nothing else in it refers to a
    function that would start a program"""
    def users(*nm):
        names = subprocess.run(['nm', *nm], check=True, capture_output=True, text=True).stdout
        assert ' U fork' in names  # the table is read
        return re.findall(r'^(.*?)[ 0-9]* U (exec[a-z]+|fexecve|system|popen|posix_spawnp?|wordexp)\b', names, re.M)
    assert [name for _, name in users('-D', BUILD / 'mcpauthd')] == ['execve']
    assert [(re.sub(r'.*libcore_a-', '', who).rstrip(': '), name) for who, name in users('-A', BUILD / 'libcore.a')] == \
        [('replace.o', 'execve')]
