"""Rules in the request's way: what is refused how, and what a refusal tells the client."""

import hashlib
import itertools
import json
import random

import pytest
from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER, NOTES = 'https://login.example.com', 'http://127.0.0.1:7070/notes'
METADATA = 'http://127.0.0.1:7070/.well-known/oauth-protected-resource/notes'
RS = key('RS256')
CONF = '''
{hub}
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks; map /staff /staff; map /team /team }}
scope notes:read   {{ text "Read" }}
scope notes:write  {{ text "Write" }}
scope notes:admin  {{ text "Delete" }}
scope notes:staff  {{ text "Staff"; for claim /staff = yes }}
service notes {{ path /notes; upstream {url}; auth required corp
{rules}
}}
''' % ISSUER


@pytest.fixture
def notes(hub, upstream):
    def make(rules, text='', **kw):
        return hub(CONF.format(url=upstream.url, conf='{conf}', rules=rules, hub=text),
                   files={'corp.jwks': json.dumps(jwks(RS))}, **kw)
    return make


def token(scope='', **claims):
    return jwt(RS, iss=ISSUER, aud=NOTES, sub='ada', scope=scope, **claims)


def call(h, name='x', arguments=None, t=None, method='tools/call', params=None, **kw):
    params = params or {'name': name, 'arguments': arguments or {}}
    return h.call('/notes', method, params, token=t or token(), **kw)


def challenge(scopes):
    return f'Bearer error="insufficient_scope", scope="{scopes}", resource_metadata="{METADATA}"'


# ---- the four cases

def test_a_missing_scope_is_403_with_everything_that_is_needed_and_held(notes, upstream):
    h = notes('require scope notes:read\ntool del_* require scope notes:admin notes:write\ntool * allow')
    r = call(h, 'del_1', t=token('notes:write other'))
    assert r.status == 403
    assert r.challenge == challenge('notes:admin notes:read notes:write')
    assert r.json()['error'] == 'insufficient_scope'
    assert call(h, 'x', t=token('notes:write')).challenge == challenge('notes:read notes:write')
    assert upstream.requests == []
    assert call(h, 'del_1', t=token('notes:admin notes:read notes:write')).status == 200


def test_the_challenge_is_the_same_each_time(notes):
    h = notes('tool * require scope notes:admin notes:write')
    t = token('notes:read')
    assert len({call(h, f'n{i}', t=t).challenge for i in range(5)}) == 1


def test_a_denied_call_is_403_without_a_challenge(notes, upstream):
    h = notes('tool forbidden deny\ntool * allow')
    r = call(h, 'forbidden', t=token('notes:admin'))
    assert r.status == 403 and r.challenge is None and r.json()['error'] == 'access_denied'
    assert upstream.requests == []


@pytest.mark.parametrize('rule', ['require claim /team = red', 'require scope notes:staff', 'require address 10.0.0.0/8'])
def test_what_no_new_token_can_mend_is_403_without_a_challenge(notes, upstream, rule):
    r = call(notes(f'tool * {rule}'))
    assert r.status == 403 and r.challenge is None
    assert upstream.requests == []


HIDDEN = [('tools/call', {'name': 'x'}, -32602), ('prompts/get', {'name': 'x'}, -32602),
          ('resources/read', {'uri': 'file:///x'}, -32002)]


@pytest.mark.parametrize('method, params, code', HIDDEN)
def test_a_hidden_item_is_answered_as_an_unknown_one(notes, upstream, method, params, code):
    """row 72"""
    h = notes('tool * hide\nprompt * hide\nresource * hide')
    r = call(h, method=method, params=params)
    assert r.status == 200 and r.challenge is None and r.json()['id'] == 1
    assert r.json()['error']['code'] == code
    assert r.headers['Content-Type'] == 'application/json'
    assert upstream.requests == []


def test_a_hidden_item_whose_name_must_be_escaped_is_named_all_the_same(notes):
    """row 72: every byte of the name becomes six"""
    name = '\x01' * 4096
    r = notes('method tools/call hide;').call('/notes', 'tools/call', {'name': name}, token=token())
    assert r.json()['error'] == {'code': -32602, 'message': 'Unknown tool: ' + name}


def test_a_hidden_resource_is_invalid_params_in_the_modern_era(notes, upstream):
    version = '2026-07-28'
    params = {'uri': 'file:///x', '_meta': {'io.modelcontextprotocol/protocolVersion': version}}
    r = call(notes('resource * hide'), method='resources/read', params=params,
             headers={'MCP-Protocol-Version': version, 'Mcp-Method': 'resources/read', 'Mcp-Name': 'file:///x'})
    assert r.status == 200 and r.json()['error'] == {'code': -32602, 'message': 'Resource not found',
                                                     'data': {'uri': 'file:///x'}}
    assert upstream.requests == []


def test_a_notification_about_a_hidden_item_goes_nowhere_in_silence(notes, upstream):
    """row 65"""
    r = notes('tool * hide').request('POST', '/notes', body=rpc('tools/call', {'name': 'x'}, id=None), token=token())
    assert r.status == 202 and r.body == b''
    assert upstream.requests == []


def test_an_item_without_a_line_is_denied_where_its_kind_has_lines(notes, upstream):
    """row 68"""
    h = notes('tool echo allow')
    assert call(h, 'echo').status == 200
    assert call(h, 'other').status == 403
    assert call(h, method='prompts/get', params={'name': 'other'}).status == 200
    assert len(upstream.requests) == 2


def test_a_deny_of_the_hub_is_final(notes, upstream):
    h = notes('tool * allow', hub='tool rm_* deny')
    assert call(h, 'rm_all').status == 403
    assert call(h, 'other').status == 200


# ---- items

LOOKALIKES = ['Delete', 'delete ', ' delete', 'delete\u00a0', 'de\u0301lete', 'd\u00e9lete', '\u0501elete', 'de\u200dlete',
              'delete%20', '%64elete', 'delete\t', 'delete\n', 'DELETE', 'delet\uff45', 'delete\u0000x'.replace('\u0000', ''),
              'delete/', './delete', 'delete\u2028', '\ufeffdelete']


@pytest.mark.parametrize('name', LOOKALIKES)
def test_names_are_compared_byte_for_byte(notes, upstream, name):
    """row 69"""
    assert call(notes('tool delete allow'), name).status == 403
    assert upstream.requests == []


def test_odd_names_never_match_a_pattern(notes, upstream):
    """row 69"""
    h = notes('tool del* allow')
    for name in ('del ete', 'del\u00a0', 'del\u00e9', 'del\n', 'del' + 'x' * 200):
        assert call(h, name).status == 403, name
    assert call(h, 'del.e-t_e/1').status == 200


URIS = ['file:///notes/../etc/passwd', 'file:///notes/%2e%2e/etc', 'file:///notes/..', 'FILE:///notes/x', 'file:///Notes/x',
        'file:///notes//x', 'file://root@/notes/x', 'file:///notes/./x', 'file:///notes/a%2fb', 'file:///notes/\\x', 'file:/notes/x']


@pytest.mark.parametrize('uri', URIS)
def test_uris_that_say_two_things_match_no_pattern(notes, upstream, uri):
    """row 75"""
    assert call(notes('resource file:///notes/* allow'), method='resources/read', params={'uri': uri}).status == 403
    assert upstream.requests == []


def test_a_plain_uri_below_the_prefix_is_allowed(notes):
    """row 75"""
    h = notes('resource file:///notes/* allow')
    assert call(h, method='resources/read', params={'uri': 'file:///notes/a/b.txt'}).status == 200


WAYS = [('resources/subscribe', {'uri': 'file:///x'}), ('resources/unsubscribe', {'uri': 'file:///x'}),
        ('completion/complete', {'ref': {'type': 'ref/resource', 'uri': 'file:///x'}, 'argument': {'name': 'a', 'value': ''}}),
        ('completion/complete', {'ref': {'type': 'ref/prompt', 'name': 'p'}, 'argument': {'name': 'a', 'value': ''}})]


@pytest.mark.parametrize('method, params', WAYS)
def test_every_method_that_names_an_item_is_judged_by_its_line(notes, upstream, method, params):
    """rows 67, 70"""
    h = notes('resource * require scope notes:admin\nprompt * require scope notes:admin')
    assert call(h, method=method, params=params).status == 403
    assert call(h, method=method, params=params, t=token('notes:admin')).status == 200


def test_every_resource_of_a_subscription_must_be_allowed(notes, upstream):
    version = '2026-07-28'
    h = notes('resource file:///secret deny\nresource * allow')

    def listen(*uris):
        params = {'notifications': {'resourceSubscriptions': list(uris)},
                  '_meta': {'io.modelcontextprotocol/protocolVersion': version}}
        return call(h, method='subscriptions/listen', params=params,
                    headers={'MCP-Protocol-Version': version, 'Mcp-Method': 'subscriptions/listen'})
    assert listen('file:///a', 'file:///b').status == 200
    assert listen('file:///a', 'file:///secret').status == 403


@pytest.mark.parametrize('scope, status', [('', 403), ('notes:read', 200)])
def test_a_subscription_to_thousands_of_resources_is_answered(notes, upstream, scope, status):
    """row 161: what one of them costs is paid once"""
    version = '2026-07-28'
    h = notes('resource * require scope notes:read')
    uris = ','.join('"file:///\\u0061/%d"' % i for i in range(45000))
    body = ('{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"_meta":{'
            '"io.modelcontextprotocol/protocolVersion":"%s"},"notifications":{"resourceSubscriptions":[%s]}}}'
            % (version, uris))
    r = h.request('POST', '/notes', body=body, token=token(scope), timeout=60, headers={
        'Content-Type': 'application/json', 'MCP-Protocol-Version': version, 'Mcp-Method': 'subscriptions/listen'})
    assert r.status == status
    assert status == 200 or r.challenge == challenge('notes:read')


@pytest.mark.parametrize('arguments, status', [
    ({'path': '/home/ada'}, 200), ({'path': '/home/eve'}, 403), ({}, 403), ({'path': ['/home/ada', 'x']}, 200),
    ({'path': {'x': '/home/ada'}}, 403)])
def test_arguments_decide_where_a_line_says_so(notes, arguments, status):
    assert call(notes('tool * require argument /path = /home/ada'), 'x', arguments).status == status


def test_an_argument_that_stands_twice_is_refused(notes, upstream):
    """row 63"""
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"path":"/a","path":"/b"}}}'
    h = notes('tool * require argument /path = /a')
    r = h.request('POST', '/notes', body=body, token=token(), headers={'Content-Type': 'application/json'})
    assert r.status in (400, 403)
    assert upstream.requests == []


def test_no_text_of_a_caller_reaches_the_challenge(notes):
    """row 83"""
    h = notes('tool * require scope notes:admin')
    for name in ('", error="', 'x" scope="root', 'a\\"b', 'a,b Bearer x="y"'):
        assert call(h, name).challenge is None
    assert call(h, 'x', t=token('notes:read never:declared')).challenge == challenge('notes:admin notes:read')


def test_the_record_says_what_was_asked_and_which_line_decided(notes, upstream):
    h = notes('tool del_* deny\ntool * allow')
    call(h, 'del_1', {'secret': 'CANARY'})
    call(h, 'x', {'secret': 'CANARY'})
    denied, granted = h.wait_audit('decision', 2)
    assert (denied['decision'], denied['method'], denied['item'], denied['era']) == ('deny', 'tools/call', 'del_1', 'session')
    assert denied['rule'].endswith('hub.conf:9') and granted['rule'].endswith('hub.conf:10')
    sent = json.dumps({'secret': 'CANARY'}).encode()
    for r in (denied, granted):
        assert r['arguments_size'] == len(sent) and r['arguments_sha256'] == hashlib.sha256(sent).hexdigest()
        assert 'arguments' not in r
    assert 'CANARY' not in h.audit_file.read_text() + h.log


def test_the_record_names_a_requirement_of_every_request_that_is_not_met(notes):
    h = notes('require claim /team = red\ntool * allow')
    call(h, 'x', t=token(team='blue'))
    [r] = h.wait_audit('decision')
    assert (r['decision'], r['why']) == ('deny', 'what every request must meet is not met')
    assert r['rule'].endswith('hub.conf:9')


def test_arguments_are_recorded_when_that_is_asked_for(notes):
    h = notes('tool * allow', hub='audit arguments on')
    call(h, 'x', {'text': 'a\nb'})
    [r] = h.wait_audit('decision')
    assert json.loads(r['arguments']) == {'text': 'a\nb'}


# ---- lists and calls agree

NAMES = [f'{a}_{b}' for a, b in itertools.product(('read', 'write', 'drop', 'debug'), ('note', 'user', 'all'))]
ACTIONS = ['allow', 'deny', 'hide', 'require scope notes:write', 'require scope notes:staff', 'require claim /team = red',
           'require scope notes:write notes:admin', 'require any { scope notes:write; claim /team = blue }']


def policy(n):
    """Some lines over the names, the same for the same N."""
    dice = random.Random(n)
    lines = []
    for _ in range(dice.randint(1, 6)):
        pattern = dice.choice(NAMES + ['read_*', '*_all', 'd*', '*_n*', 'write_*', '*'])
        lines.append(f'    tool {pattern} {dice.choice(ACTIONS)}')
    return '\n'.join(lines)


def serve_tools(upstream):
    def handler(x):
        m = x.request.json()
        x.result({'tools': [{'name': n, 'inputSchema': {}} for n in NAMES]} if m['method'] == 'tools/list' else {})
    upstream.handler = handler


def test_lists_show_what_may_be_called_and_what_a_scope_may_open_over_50_policies(hub, upstream):
    """rows 68, 70"""
    serve_tools(upstream)
    services = ''.join(f'service s{n} {{ path /s{n}; upstream {upstream.url}; auth required corp\n{policy(n)}\n'
                       f'{"list granted" if n % 5 == 0 else ""}\n}}\n' for n in range(50))
    head = CONF[:CONF.index('service notes')].format(hub='', conf='{conf}')
    h = hub(head + services, files={'corp.jwks': json.dumps(jwks(RS))})
    audiences = [f'http://127.0.0.1:7070/s{n}' for n in range(50)]
    seen = set()
    who = [('notes:write', {}), ('', {'team': 'red'}), ('notes:read', {'staff': 'yes', 'team': 'blue'})]
    with h.connect() as c:
        for n in range(50):
            scope, claims = who[n % 3]
            t = jwt(RS, iss=ISSUER, aud=audiences, sub='ada', scope=scope, **claims)
            shown = {tool['name'] for tool in
                     c.request('POST', f'/s{n}', body=rpc('tools/list'), token=t).json()['result']['tools']}
            for name in NAMES:
                r = c.request('POST', f'/s{n}', body=rpc('tools/call', {'name': name}), token=t)
                a = ('scopes' if 'insufficient_scope' in (r.challenge or '') else 'deny') if r.status == 403 else \
                    'hide' if 'error' in r.json() else 'allow'
                seen.add(a)
                wanted = a == 'allow' or (a == 'scopes' and n % 5 != 0)
                assert (name in shown) == wanted, (n, name, a, policy(n))
    assert seen == {'allow', 'scopes', 'deny', 'hide'}
