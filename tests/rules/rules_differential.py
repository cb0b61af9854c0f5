#!/usr/bin/python3
"""Compares the shipped binder and policy with the oracle over random policies, callers and operations.

    rules_differential.py POLICY-EVAL [HOW-MANY [SEED]]

Each policy is written as a configuration, one rule a line, so that the answer names the line that decided.
The same seed asks the same questions. Ends with 0 when all agree; prints the first disagreements
otherwise."""

import json
import random
import subprocess
import sys

import rules_oracle

QUESTIONS = 500  # of one policy
SCOPES = ['a', 'b', 'c', 'd']
PATTERNS = {
    'tool': ['read', 'write', 'delete_note', 'delete_*', '*', 'x*y', '*_note', 'a.b/c', 'Read', 're*d', 'w*',
             'delete note', 'r\u00e9sum\u00e9', 'd*_*e', '*e'],
    'prompt': ['hello', 'h*', '*', 'admin_*', 'hello world'],
    'resource': ['note://a/b', 'note://a/*', 'file:///srv/*', '*', 'https://h/*', 'note://*', 'db://t/*?limit=*',
                 'file:///srv/../x', '*.txt', 'note:plain', 'x*:y', 'db://t/*'],
    'method': ['tools/call', 'tools/*', 'vendor/*', 'ping', 'tasks/*', 'resources/subscribe', 'prompts/get', '*/list',
               'vendor/thing', 'logging/setLevel', 'tasks/get'],
}
ITEMS = {
    'tool': ['read', 'write', 'delete_note', 'delete_x', 'xy', 'x_y', 'my_note', 'a.b/c', 'Read', 'reed', 'wr', 'other',
             'delete note', 'delete_note ', 'r\u00e9sum\u00e9', 'd\u0435lete_note', 'delete_n%6fte', 'w' * 128,
             'w' * 129, 'dx_e', 'e'],
    'prompt': ['hello', 'h', 'admin_x', 'hello world', 'hello\u200b', 'bye'],
    'resource': ['note://a/b', 'note://a/c', 'note://a/b/c', 'note://b', 'note://a/../b', 'note://a/./b', 'note://a//b',
                 'note://a/', 'note://A/b', 'NOTE://a/b', 'note://a/%62', 'note://a/%20', 'note://a/%2e', 'note://a/%2F',
                 'note://a/%25', 'note://a/b#f', 'note://a/b?q', 'note://u@a/b', 'file:///srv/x', 'file:///srv/../x',
                 'file://h/srv/x', 'file:///srv/a\\b', 'https://h/x', 'https://h:443/x', 'https://h:8443/x', 'https://h./x',
                 'https://h', 'https://h/', 'db://t/a?limit=5', 'db://t/a?x?limit=5', 'db://t/a', 'a.txt', 'x:a.txt',
                 'note:plain', 'note:', 'xz:y', 'note://a/..;x/b', 'https://h:080/x', 'note://a/\u00e9', 'note://a/b c',
                 'https://[::1]/x', 'note:/', 'note:/x', 'http://h:443/x', 'https://h:99999/x', 'note://a/b%'],
}
METHODS = {
    'tool': ['tools/call'], 'prompt': ['prompts/get', 'completion/complete'],
    'resource': ['resources/read', 'resources/subscribe', 'completion/complete'],
    'method': ['ping', 'tools/list', 'vendor/thing', 'vendor/x/y', 'other/thing', 'tasks/get', 'tasks/list', 'tasks/x',
               'logging/setLevel', 'initialize', 'resources/templates/list', 'prompts/list'],
}
WORDS = ['x', 'y', 'true', 'false', '5', '5.0', '1e1', '9007199254740993', 'eng-db']
CLAIM_VALUES = ['x', 'y', 'X', 5, 10, 9007199254740992, 9007199254740993, 5.5, 0.1, True, False, None, [], ['x'], ['y', 'z'],
                ['x', 5], [5], [None], [['x']], {'x': 1}, 'eng-db', 'eng-', ['eng-db', 'x'], '', -3]
ARGUMENT_VALUES = ['"x"', '"\\u0078"', '"y"', '5', '5.00', '50e-1', '1E1', '9007199254740993', '9007199254740992',
                   '-0', '0.0', '1e400', '1e-400', '1e9999999999', 'true', 'false', 'null', '[]', '["x"]', '["y",5]',
                   '["y",null]', '{"x":1}', '"eng-db"', '"eng-/../db"', '"eng-%2e"', '["eng-db","eng-db"]', '"5"',
                   '"eng-\\u0000"', '18446744073709551616', '["eng-db"]', '[5]', '4', '"eng-db"', '5']
ARGUMENT_NAMES = ['n', 's', 'n', 's', 'n', 's', 'N', '\\u006e', '\u017f', 'o']


def condition(rng, place, depth=0):
    """PLACE: 'rule' (scopes and arguments), 'other' (scopes), 'for' (neither)."""
    if depth < 3 and rng.random() < 0.3:
        kind = rng.choice(['all', 'any', 'any', 'not'])
        if kind == 'not':
            inner = condition(rng, 'notrule' if place in ('rule', 'notrule') else 'for', depth + 1)
            return ('not', inner)
        return (kind, [condition(rng, place, depth + 1) for _ in range(rng.randint(1, 3))])
    kinds = ['role', 'tenant'] + ['claim'] * 4 + ['issuer', 'client', 'subject', 'email_domain', 'address', 'provider']
    if place in ('rule', 'other'):
        kinds += ['scope'] * 6
    if place in ('rule', 'notrule'):
        kinds += ['argument'] * 8
    kind = rng.choice(kinds)
    if kind == 'scope':
        return (kind, rng.sample(SCOPES, rng.choice([1, 1, 2])))
    if kind in ('claim', 'argument'):
        op = rng.choice(['=', '=', 'in', 'matches', '<', '<=', '>', '>='])
        words = (rng.sample(WORDS, 2) if op == 'in' else [rng.choice(['eng-*', '*', 'x', 'e*b'])] if op == 'matches'
                 else [rng.choice(['5', '5', '10.0', '-1', '9007199254740992', '1e400'])] if op in '<=>=' and op != '='
                 else [rng.choice(WORDS)])
        pointers = ['/k', '/k', '/k', '/k/0', '/o/k', '/role'] if kind == 'claim' else ['/n', '/s', '/n', '/s', '/o/n', '/n/0']
        return (kind, rng.choice(pointers), op, words)
    values = {'role': ['x', 'y', 'admin'], 'tenant': ['x', 'y', 'acme'], 'issuer': ['https://i', 'https://j'],
              'client': ['app', 'web'], 'subject': ['ann', 'bob'], 'email_domain': ['example.com', 'b.example.com'],
              'address': ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', 'unix', '0.0.0.0/0'],
              'provider': ['tokens', 'corp']}[kind]
    return (kind, rng.sample(values, 1 if kind == 'role' else rng.choice([1, 2])))


def word(text):
    return f'"{text}"' if ' ' in text else text


def text_of(c):
    kind = c[0]
    if kind in ('all', 'any'):
        return f'{kind} {{ {"; ".join(text_of(x) for x in c[1])} }}'
    if kind == 'not':
        return f'not {text_of(c[1])}'
    if kind in ('claim', 'argument'):
        return f'{kind} {c[1]} {c[2]} {" ".join(c[3])}'
    return f'{kind} {" ".join(c[1])}'


def make_rule(rng, kind):
    rule = {'kind': kind, 'pattern': rng.choice(PATTERNS[kind]),
            'action': rng.choice(['allow', 'deny', 'hide', 'require', 'require', 'require'])}
    text = f'{kind} {word(rule["pattern"])} {rule["action"]}'
    if rule['action'] == 'require':
        c = condition(rng, 'rule' if kind in ('tool', 'prompt') else 'other')
        rule['require'] = c
        text += f' {text_of(c)}' if rng.random() < 0.7 or c[0] in ('any', 'all', 'not') else f' {{ {text_of(c)} }}'
    return rule, text


FOCUSED = [f'f{i}' for i in range(12)]


def focused_rules(rng):
    """A line for each of a dozen tools, so that most questions reach a condition."""
    made = []
    for name in FOCUSED:
        c = condition(rng, 'rule', rng.choice([0, 3, 3]))
        made.append(({'kind': 'tool', 'pattern': name, 'action': 'require', 'require': c},
                     f'tool {name} require {text_of(c)}'))
    return made


def make_rules(rng, most):
    made = []
    for kind, odds in (('tool', 0.9), ('resource', 0.7), ('prompt', 0.5), ('method', 0.5)):
        if rng.random() < odds:
            made += [make_rule(rng, kind) for _ in range(rng.randint(1, most))]
    rng.shuffle(made)
    return made


class Writer:
    def __init__(self):
        self.lines = []

    def add(self, text):
        self.lines.append(text)
        return len(self.lines)

    def rules(self, made):
        for rule, text in made:
            rule['line'] = self.add('  ' + text)
        return [rule for rule, _ in made]


def closure(implies):
    reached = {s: {s} for s in SCOPES}
    for s in reversed(SCOPES):  # a scope implies later ones only
        for t in implies[s]:
            reached[s] |= reached[t]
    return reached


def make_policy(rng):
    """(data for the oracle, text of the configuration)"""
    w = Writer()
    implies = {s: [t for t in SCOPES[i + 1:] if rng.random() < 0.25] for i, s in enumerate(SCOPES)}
    data = {'implied': closure(implies), 'for': {}, 'tasks': rng.random() < 0.3, 'list_granted': rng.random() < 0.3,
            'require': [], 'require_scopes': [], 'anonymous': [], 'focused': rng.random() < 0.5}
    w.add('provider tokens { file /x }')
    w.add('provider corp { module issuers; issuer https://i }')
    for s in SCOPES:
        text = f'scope {s} {{ text {s}'
        text += f'; implies {" ".join(implies[s])}' if implies[s] else ''
        if rng.random() < 0.5:
            data['for'][s] = condition(rng, 'for')
            text += f'; for {text_of(data["for"][s])}'
        w.add(text + ' }')
    w.add('policy shared {')
    shared = w.rules(make_rules(rng, 2))
    w.add('}')
    w.add('hub {')
    w.add('  public_url http://127.0.0.1:1')
    data['hub_rules'] = w.rules(make_rules(rng, 2)) if rng.random() < 0.5 else []
    demand(rng, w, data)
    w.add('}')
    w.add('service s { path /s; upstream http://127.0.0.1:9/; auth required tokens')
    own, place = focused_rules(rng) if data['focused'] else make_rules(rng, 5), rng.random() < 0.5
    at = rng.randint(0, len(own))
    rules = w.rules(own[:at])
    if place:
        w.add('  policy shared')
        rules += shared
    rules += w.rules(own[at:])
    demand(rng, w, data)
    finish_service(rng, w, data)
    data['rules'] = rules
    return data, '\n'.join(w.lines) + '\n'


def demand(rng, w, data):
    if rng.random() < 0.3:
        scopes = rng.sample(SCOPES, 1)
        data['require_scopes'] += scopes
        w.add(f'  require scope {" ".join(scopes)}')
    if rng.random() < 0.25:
        c = condition(rng, 'other') if rng.random() < 0.7 else ('address', ['10.0.0.0/8', 'unix'])
        data['require'].append(c) if c[0] != 'scope' else data['require_scopes'].extend(c[1])
        w.add(f'  require {text_of(c)}')


def finish_service(rng, w, data):
    if rng.random() < 0.5:
        data['anonymous'] = rng.choice([['*'], ['ping', 'tools/list'], ['tools/call', 'resources/read', 'tasks/get']])
        w.add(f'  anonymous {" ".join(data["anonymous"])}')
    w.add(f'  tasks {"on" if data["tasks"] else "off"}; list {"granted" if data["list_granted"] else "entitled"} }}')


def make_claims(rng):
    claims = {}
    for name in ('role', 'tenant', 'k'):
        if rng.random() < 0.7:
            claims[name] = rng.choice(CLAIM_VALUES + ['admin', 'acme', ['admin', 'x']])
    if rng.random() < 0.4:
        claims['o'] = {'k': rng.choice(CLAIM_VALUES)}
    if rng.random() < 0.5:
        claims['email'] = rng.choice(['a@example.com', 'a@Example.COM', 'a@b.example.com', 'a@evil.com', '@example.com',
                                      'a@b@example.com', 5, 'nobody'])
    if rng.random() < 0.3:
        claims['email_verified'] = rng.choice([True, False, 'true', None])
    return claims


def make_caller(rng):
    address = rng.choice(['10.1.2.3', '192.0.2.7', '2001:db8::1', 'unix', '198.51.100.1'])
    if rng.random() < 0.15:
        return {'subject': None, 'scopes': [], 'claims': {}, 'address': address}
    return {'issuer': rng.choice(['https://i', 'https://j']), 'subject': rng.choice(['ann', 'bob']),
            'client': rng.choice(['app', 'web', None]), 'provider': rng.choice(['tokens', 'corp']),
            'scopes': sorted(rng.sample(SCOPES, rng.choice([0, 0, 1, 2]))), 'claims': make_claims(rng),
            'address': address}


def make_arguments(rng):
    if rng.random() < 0.1:
        return None
    members = [f'"{rng.choice(ARGUMENT_NAMES)}":{rng.choice(ARGUMENT_VALUES)}' for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.3:
        members.append('"o":{%s}' % ','.join(f'"n":{rng.choice(ARGUMENT_VALUES)}' for _ in range(rng.choice([1, 1, 2]))))
    return '{' + ','.join(members) + '}'


def expected(policy, question):
    mode, kind, method, item, caller, arguments = question
    if mode == 'list':
        return 'yes' if policy.listed(kind, item, caller) else 'no'
    parsed = None if arguments is None else rules_oracle.read_json(arguments)
    verdict, line, needs = policy.decide(kind, method, item, caller, parsed)
    return f'{verdict} {line} ' + ('*' if needs is None else ','.join(sorted(needs)))


def agrees(want, got):
    return got.startswith(want[:-1]) if want.endswith('*') else got == want


def item_of(rng, kind, focused):
    if kind == 'method':
        return ''
    return rng.choice(FOCUSED) if focused and kind == 'tool' else rng.choice(ITEMS[kind])


def questions(rng, callers, n, focused):
    for _ in range(n):
        kind = rng.choice(['tool'] * (12 if focused else 3) + ['resource', 'resource', 'prompt', 'method'])
        mode = 'list' if kind != 'method' and rng.random() < 0.3 else 'decide'
        who = rng.randrange(len(callers))
        arguments = make_arguments(rng) if kind in ('tool', 'prompt') and mode == 'decide' else None
        yield who, (mode, kind, rng.choice(METHODS[kind]), item_of(rng, kind, focused), callers[who], arguments)


def round_of(rng, n):
    """(input for policy-eval, expected lines, what was asked)"""
    data, text = make_policy(rng)
    policy = rules_oracle.Policy(data)
    callers = [make_caller(rng) for _ in range(16)]
    raw = text.encode()
    out, want, asked = [f'config {len(raw)}\n{text}'], ['ok'], [text]
    for i, c in enumerate(callers):
        out.append(f'caller {i} {json.dumps(c)}\n')
        want.append('ok')
        asked.append(c)
    for who, q in questions(rng, callers, n, data['focused']):
        out.append('\t'.join(['ask', str(who), q[0], q[1], q[2], q[3], q[5] or '-']) + '\n')
        want.append(expected(policy, q))
        asked.append((text, q))
    return ''.join(out), want, asked


def rounds(how_many, seed):
    rng = random.Random(seed)
    for _ in range(0, how_many, QUESTIONS):
        yield round_of(rng, QUESTIONS)


def compare(program, batch):
    """What the program said otherwise: (asked, wanted, said)."""
    done = subprocess.run([program], input=''.join(b[0] for b in batch), capture_output=True, text=True, timeout=300)
    said = done.stdout.splitlines()
    want = [line for b in batch for line in b[1]]
    asked = [a for b in batch for a in b[2]]
    if done.returncode or len(said) != len(want):
        return [(asked[min(len(said), len(asked) - 1)], 'an answer to each line', done.stderr[-300:])]
    return [(a, w, s) for a, w, s in zip(asked, want, said) if not agrees(w, s)]


def main(program, how_many='100000', seed='1'):
    batch, total, seen, wrong = [], 0, {}, []
    for r in rounds(int(how_many), int(seed)):
        batch.append(r)
        total += len(r[1])
        for w in r[1]:
            seen[w.split(' ')[0]] = seen.get(w.split(' ')[0], 0) + 1
    wrong = compare(program, batch)
    for asked, want, said in wrong[:3]:
        print(f'{asked}\n  should be: {want!r}\n  is:        {said!r}\n')
    print(f'{total} questions, {len(wrong)} answered otherwise; ' + ', '.join(f'{k} {n}' for k, n in sorted(seen.items())))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
