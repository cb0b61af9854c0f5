"""What rules mean, written from mcpauth.d(5) and not from the C: who may do what at a service.

A policy is plain data: see rules_differential.py, which also writes it down as a configuration. The
three truth values of a condition are True, False and None (absent, or of another type), combined as
Kleene does; scopes stand outside of that, since only they can be asked for."""

import decimal
import ipaddress
import json
import re

KNOWN = set('''completion/complete initialize logging/setLevel notifications/cancelled notifications/initialized
notifications/progress notifications/roots/list_changed notifications/tasks/status ping prompts/get prompts/list
resources/list resources/read resources/subscribe resources/templates/list resources/unsubscribe server/discover
subscriptions/listen tasks/cancel tasks/get tasks/list tasks/result tasks/update tools/call tools/list'''.split())
USES = {'tool': 'tools/call', 'resource': 'resources/read', 'prompt': 'prompts/get'}
ANY_ARGUMENTS = object()
ORDER_OF_ANSWERS = ['allow', 'scopes', 'unmet', 'deny', 'hide']  # from good to bad


# --- patterns ---------------------------------------------------------------------------------------

NAME = re.compile(r'[A-Za-z0-9_./-]{1,128}')
ESCAPE = re.compile('%([0-9A-F]{2})')
UNRESERVED = set('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~')
URI = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://(?P<authority>[^/]*))?(?P<path>[^?]*)(?:\?.*)?", re.S)
DEFAULT_PORTS = {'http': '80', 'ws': '80', 'https': '443', 'wss': '443'}


def authority_is_canonical(scheme, text):
    if scheme == 'file':
        return text == ''
    match = re.fullmatch(r'(?P<host>\[[0-9a-f:.]*\]|[^@:%A-Z]*)(?::(?P<port>0|[1-9][0-9]{0,4}))?', text)
    if not match or match['host'].endswith('.'):
        return False
    port = match['port']
    return port is None or (int(port) <= 65535 and port != DEFAULT_PORTS.get(scheme))


def uri_is_canonical(uri):
    if not 0 < len(uri.encode()) <= 2048 or not re.fullmatch(r"[!$&'()*+,;=:@/?\[\]A-Za-z0-9._~%-]*", uri):
        return False
    if '%' in ESCAPE.sub('', uri):
        return False
    for code in ESCAPE.findall(uri):
        c = chr(int(code, 16))
        if c in UNRESERVED or c in '/\\%' or ord(c) < 32 or ord(c) == 127:
            return False
    match = URI.fullmatch(uri)
    if not match:
        return False
    path = match['path']
    if match['authority'] is not None:
        if not authority_is_canonical(match['scheme'], match['authority']) or path == '/':
            return authority_is_canonical(match['scheme'], match['authority'])
    elif not path:
        return False
    if path in ('', '/'):
        return True
    segments = (path[1:] if path.startswith('/') else path).split('/')
    return all(s.split(';')[0] not in ('', '.', '..') for s in segments)


def glob(pattern):
    return re.compile('.*'.join(re.escape(part) for part in pattern.split('*')), re.S)


def matches(kind, pattern, item):
    if '*' not in pattern:
        return pattern == item
    if kind != 'resource':
        return bool(NAME.fullmatch(item) and glob(pattern).fullmatch(item))
    if not uri_is_canonical(item):
        return False
    (p, mark, p_query), (u, u_mark, u_query) = pattern.partition('?'), item.partition('?')
    return mark == u_mark and bool(glob(p).fullmatch(u) and glob(p_query).fullmatch(u_query))


# --- values -------------------------------------------------------------------------------------------

NUMBER = re.compile(r'-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?0*([0-9]{1,9}))?')


class Number(str):
    """A JSON number as it was written."""

    def value(self):
        return decimal.Decimal(self) if NUMBER.fullmatch(self) else None


class Object(list):
    """(name, value) pairs as they stand."""


def read_json(text):
    return json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=Object)


def folded(name):
    return ''.join({'\u017f': 's', '\u212a': 'k'}.get(c, c.lower() if c.isascii() else c) for c in name)


ABSENT = object()


def at(document, pointer):
    for token in pointer.split('/')[1:]:
        token = token.replace('~1', '/').replace('~0', '~')
        if isinstance(document, Object):
            if sum(folded(name) == folded(token) for name, _ in document) != 1:
                return ABSENT
            document = dict(document).get(token, ABSENT)
        elif isinstance(document, dict):
            document = document.get(token, ABSENT)
        elif isinstance(document, list) and re.fullmatch('0|[1-9][0-9]*', token) and int(token) < len(document):
            document = document[int(token)]
        else:
            return ABSENT
    return document


def as_number(value):
    if isinstance(value, Number):
        return value.value()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return decimal.Decimal(repr(value))
    return None


def word_number(word):
    return Number(word).value()


def one_of(value, words):
    """Whether a single value is one of the words; None when they are of another type."""
    if isinstance(value, bool):
        said = [w == 'true' for w in words if w in ('true', 'false')]
        return value in said if said else None
    number = as_number(value)
    if number is not None:
        said = [word_number(w) for w in words if word_number(w) is not None]
        return number in said if said else None
    if isinstance(value, str) and not isinstance(value, Number):
        return value in words
    return None


def in_list(value, test):
    """A list: one that is, else all known not to be."""
    results = [None if isinstance(v, (list, dict)) else test(v) for v in value]
    return True if True in results else None if None in results else False


def text_matches(value, pattern, of_caller):
    if not isinstance(value, str) or isinstance(value, Number):
        return None
    if of_caller and (any(c < ' ' or c in '\x7f%' for c in value)
                      or {'.', '..'} & set(re.split(r'[/\\]', value))):
        return None
    return bool(glob(pattern).fullmatch(value))


ORDER = {'<': lambda a, b: a < b, '<=': lambda a, b: a <= b, '>': lambda a, b: a > b, '>=': lambda a, b: a >= b}


def compare(value, op, words, of_caller):
    is_list = isinstance(value, list) and not isinstance(value, Object)
    if op in ('=', 'in'):
        return in_list(value, lambda v: one_of(v, words)) if is_list else one_of(value, words)
    if op == 'matches':
        if is_list and not of_caller:
            return in_list(value, lambda v: text_matches(v, words[0], False))
        return text_matches(value, words[0], of_caller)
    number = as_number(value)
    return None if number is None else ORDER[op](number, word_number(words[0]))


# --- conditions -----------------------------------------------------------------------------------------

def email(caller, domains):
    claims = caller['claims']
    address, verified = claims.get('email'), claims.get('email_verified', True)
    if not isinstance(address, str) or verified is not True or not re.fullmatch('[^@]+@[^@]+', address):
        return None
    return address.split('@')[1].lower() in domains


def near(caller, networks):
    where = caller['address']
    if where == 'unix':
        return 'unix' in networks
    ip = ipaddress.ip_address(where)
    return any(n != 'unix' and ip in ipaddress.ip_network(n) for n in networks)


def leaf(condition, caller, arguments):
    kind, *rest = condition
    claims = caller['claims']
    if kind in ('issuer', 'subject', 'client', 'provider'):
        return None if caller.get(kind) is None else caller[kind] in rest[0]
    if kind in ('role', 'tenant'):
        return compare(claims.get(kind, ABSENT), 'in', rest[0], False)
    if kind == 'claim':
        return compare(at(claims, rest[0]), rest[1], rest[2], False)
    if kind == 'email_domain':
        return email(caller, rest[0])
    if kind == 'address':
        return near(caller, rest[0])
    assert kind == 'argument'
    return None if arguments is None else compare(at(arguments, rest[0]), rest[1], rest[2], True)


def opposite(truth):
    return None if truth is None else not truth


def truth_of(condition, caller, arguments):
    """Of conditions without scopes. With ANY_ARGUMENTS: the set of values that arguments can give it."""
    kind = condition[0]
    if kind == 'not':
        return opposite(truth_of(condition[1], caller, arguments))
    if kind in ('all', 'any'):
        results = [truth_of(c, caller, arguments) for c in condition[1]]
        decisive = kind == 'any'
        return decisive if decisive in results else None if None in results else not decisive
    return leaf(condition, caller, arguments)


def negation(condition):
    """`not` of a group as the group of nots."""
    if condition[0] == 'not':
        return condition[1]
    if condition[0] in ('all', 'any'):
        return ('any' if condition[0] == 'all' else 'all', [('not', c) for c in condition[1]])
    return None


class Policy:
    """The answers to one policy's questions."""

    def __init__(self, data):
        self.data = data
        self.implied = data['implied']  # scope -> set of scopes, itself included

    # scopes

    def holds(self, caller, scope):
        return any(scope in self.implied[s] for s in caller['scopes'])

    def may_hold(self, caller, scope):
        for broad, included in self.implied.items():
            if scope not in included:
                continue
            wanted = self.data['for'].get(broad)
            if wanted is None or (caller['subject'] and truth_of(wanted, caller, None) is True):
                return True
        return False

    def scopes_met(self, caller, scopes):
        """None: not met. Else (whether all are held, the scopes)."""
        held = all(self.holds(caller, s) for s in scopes)
        lacking = [s for s in scopes if not self.holds(caller, s)]
        return (held, set(scopes)) if all(self.may_hold(caller, s) for s in lacking) else None

    def met(self, condition, caller, arguments):
        kind = condition[0]
        if kind == 'scope':
            return self.scopes_met(caller, condition[1])
        if kind == 'all':
            parts = [self.met(c, caller, arguments) for c in condition[1]]
            if None in parts:
                return None
            return all(held for held, _ in parts), set().union(*(needs for _, needs in parts))
        if kind == 'any':
            parts = [p for p in (self.met(c, caller, arguments) for c in condition[1]) if p]
            return next((p for p in parts if p[0]), parts[0] if parts else None)
        if kind == 'not' and arguments is ANY_ARGUMENTS and negation(condition[1]):
            return self.met(negation(condition[1]), caller, arguments)
        if arguments is ANY_ARGUMENTS and 'argument' in (kind, condition[1][0] if kind == 'not' else None):
            return True, set()
        return (True, set()) if truth_of(condition, caller, arguments) is True else None

    # lines

    def of_lines(self, kind, item, caller, arguments):
        """(answer, needs, rule) of the hub's line and of the service's own, where they have one; the worst is last."""
        answers = []
        for lines in (self.data['hub_rules'], self.data['rules']):
            rule = next((r for r in lines if r['kind'] == kind and matches(kind, r['pattern'], item)), None)
            if rule:
                answers.append((*self.of_rule(rule, caller, arguments), rule))
        answers.sort(key=lambda a: ORDER_OF_ANSWERS.index(a[0]))  # of equals the service's own stays last
        return (answers[-1][0], set().union(*(a[1] for a in answers)), answers[-1][2]) if answers else None

    def of_rule(self, rule, caller, arguments):
        if rule['action'] != 'require':
            return rule['action'], set()
        result = self.met(rule['require'], caller, arguments)
        return ('unmet', set()) if result is None else ('allow' if result[0] else 'scopes', result[1])

    def of_service(self, caller):
        if caller['subject']:
            result = self.met(('all', [('scope', s) for s in self.data['require_scopes']] + self.data['require']),
                              caller, None)
        else:
            result = self.met(('all', [c for c in map(address_only, self.data['require']) if c]), caller, None)
        return ('unmet', set()) if result is None else ('allow' if result[0] else 'scopes', result[1])

    def of_kind(self, kind, item, caller, arguments):
        if not any(r['kind'] == kind for r in self.data['hub_rules'] + self.data['rules']):
            return 'allow', set(), None
        return self.of_lines(kind, item, caller, arguments) or ('deny', set(), None)

    def of_method(self, method, caller, arguments):
        if method.startswith('tasks/') and not self.data['tasks']:
            return 'deny', set(), None
        return (self.of_lines('method', method, caller, arguments)
                or ('allow' if method in KNOWN else 'deny', set(), None))

    def ask(self, kind, method, item, caller, arguments):
        answers = [(*self.of_service(caller), None), self.of_method(method, caller, arguments)]
        if kind != 'method':
            answers.append(self.of_kind(kind, item, caller, arguments))
        worst = max((a[0] for a in answers), key=ORDER_OF_ANSWERS.index)
        rules = [a[2] for a in answers if a[0] == worst and a[2]]
        return worst, set().union(*(a[1] for a in answers)), rules[-1]['line'] if rules else 0

    def opened(self, method):
        return self.data['anonymous'] == ['*'] or method in self.data['anonymous']

    def decide(self, kind, method, item, caller, arguments):
        """(verdict, line, needs or None where they are not told)"""
        if not caller['subject'] and not self.opened(method):
            return 'sign in', 0, set()
        worst, needs, line = self.ask(kind, method, item, caller, arguments)
        if not caller['subject'] and worst in ('scopes', 'unmet'):
            return 'sign in', line, None
        verdict = 'deny' if worst == 'unmet' else worst
        return verdict, line, needs if verdict == 'scopes' else set()

    def listed(self, kind, item, caller):
        worst, _, _ = self.ask(kind, USES[kind], item, caller, ANY_ARGUMENTS)
        if self.data['list_granted']:
            return worst == 'allow' and (bool(caller['subject']) or self.opened(USES[kind]))
        return worst in ('allow', 'scopes')


def address_only(condition):
    """What `require` asks of callers without a credential: what is about addresses; the rest is met."""
    kind = condition[0]
    if kind in ('all', 'any'):
        parts = [address_only(c) for c in condition[1]]
        if kind == 'any' and None in parts:
            return None
        parts = [p for p in parts if p]
        return (kind, parts) if parts else None
    if kind == 'not':
        inner = negation(condition[1])
        if inner:
            return address_only(inner)
        return condition if condition[1][0] == 'address' else None
    return condition if kind == 'address' else None
