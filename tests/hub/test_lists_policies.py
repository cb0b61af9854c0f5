"""Lists over random policies, for every kind of item and every shape of reply, against what the words of
mcpauth.d(5) make of the policy (row 70). Tools with JSON replies are in test_gate_rules.py too; here the
verdict itself is predicted, by a reading of the policy that shares nothing with the hub."""

import fnmatch
import json
import random

from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER = 'https://login.example.com'
RS = key('RS256')
POLICIES = 50
HEAD = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {{conf}}/corp.jwks; map /staff /staff; map /team /team }}
scope s:write {{ text "Write" }}
scope s:staff {{ text "Staff"; for claim /staff = yes }}
{services}
''' % ISSUER

# kind: (items, patterns, list method, member, name of an item, use method)
KINDS = {
    'tool': (['read_a', 'read_b', 'write_a', 'Read_a', 'odd name'], ['read_*', '*_a', '*', 'read_a', 'write_a', '"odd name"'],
             'tools/list', 'tools', 'name', 'tools/call'),
    'prompt': (['hello', 'bye', 'hello_2'], ['hello*', '*', 'bye', 'hello'], 'prompts/list', 'prompts', 'name',
               'prompts/get'),
    'resource': (['n://a/1', 'n://a/2', 'n://b/1', 'n://a/../b/1'], ['n://a/*', 'n://b/*', 'n://*', 'n://a/1'],
                 'resources/list', 'resources', 'uri', 'resources/read'),
}
ACTIONS = ['allow', 'deny', 'hide', 'require scope s:write', 'require scope s:staff', 'require claim /team = red']
CALLERS = [{'scope': 's:write'}, {'team': 'red'}, {'staff': 'yes'}]


def plain(kind, item):
    """Whether a pattern with a star may match the item at all."""
    return ' ' not in item and '/../' not in item


def expected(lines, kind, item, caller):
    """allow, scopes, deny or hide."""
    for of_kind, pattern, action in lines:
        pattern = pattern.strip('"')
        matches = pattern == item or ('*' in pattern and plain(kind, item) and fnmatch.fnmatchcase(item, pattern))
        if of_kind == kind and matches:
            break
    else:
        return 'deny' if any(line[0] == kind for line in lines) else 'allow'
    if action in ('allow', 'deny', 'hide'):
        return action
    if action == 'require claim /team = red':
        return 'allow' if caller.get('team') == 'red' else 'deny'
    if action.rsplit(' ', 1)[1] in caller.get('scope', '').split():
        return 'allow'
    return 'scopes' if action == 'require scope s:write' or caller.get('staff') else 'deny'


def policy(n):
    dice = random.Random(1000 + n)
    lines = []
    for kind, (_, patterns, *_) in KINDS.items():
        for _ in range(dice.randint(0, 4)):
            lines.append((kind, dice.choice(patterns), dice.choice(ACTIONS)))
    return lines


def serve(upstream, shape):
    """A server of all items, that answers lists in SHAPE['now']."""
    def handler(x):
        m = x.request.json()
        result = {}
        for items, _, lists, member, name, _ in KINDS.values():
            if m['method'] == lists:
                result = {member: [{'title': 't', name: item} for item in items], 'nextCursor': 'c'}
        message = {'jsonrpc': '2.0', 'id': m['id'], 'result': result}
        if shape['now'] == 'json':
            x.reply(message)
        else:
            x.sse_start()
            x.event(json.dumps(message, indent=1 if shape['now'] == 'lines' else None), id='1')
            x.sse_end()
    upstream.handler = handler


def shown(reply, member, name):
    text = reply.text
    if reply.headers['Content-Type'] != 'application/json':
        text = '\n'.join(line[6:] for line in text.split('\n') if line.startswith('data: '))
    result = json.loads(text)['result']
    assert result['nextCursor'] == 'c' and all(item['title'] == 't' for item in result[member])
    return [item[name] for item in result[member]]


def answer(r):
    if r.status == 403:
        return 'scopes' if 'insufficient_scope' in (r.challenge or '') else 'deny'
    assert r.status == 200, r
    return 'hide' if b'"error"' in r.body else 'allow'


def test_what_is_listed_is_what_may_be_used_over_50_policies_of_every_kind_in_every_shape(hub, upstream):
    """rows 68, 70, 72"""
    shape, seen = {'now': 'json'}, set()
    serve(upstream, shape)
    policies = [policy(n) for n in range(POLICIES)]
    services = ''.join(
        f'service s{n} {{\n path /s{n}; upstream {upstream.url}; auth required corp\n'
        + ''.join(f' {" ".join(line)}\n' for line in lines) + '}\n' for n, lines in enumerate(policies))
    h = hub(HEAD.format(services=services), files={'corp.jwks': json.dumps(jwks(RS))})
    audiences = [f'http://127.0.0.1:7070/s{n}' for n in range(POLICIES)]
    with h.connect() as c:
        for n, lines in enumerate(policies):
            caller = CALLERS[n % len(CALLERS)]
            shape['now'] = ('json', 'sse', 'lines')[n // 3 % 3]
            t = jwt(RS, iss=ISSUER, aud=audiences, sub='ada', **caller)
            for kind, (items, _, lists, member, name, use) in KINDS.items():
                want = {item: expected(lines, kind, item, caller) for item in items}
                got = {item: answer(c.request('POST', f'/s{n}', body=rpc(use, {name: item}), token=t)) for item in items}
                assert got == want, (lines, caller)
                listed = shown(c.request('POST', f'/s{n}', body=rpc(lists), token=t), member, name)
                assert listed == [i for i in items if want[i] in ('allow', 'scopes')], (lines, caller)
                seen |= {(kind, verdict) for verdict in want.values()}
    assert len(seen) == len(KINDS) * 4, seen
