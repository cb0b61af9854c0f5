"""What the JSON gate must say of a document, written from the words of src/mcp/gate.h and RFC 8259 and not
from the gate: a document is cut into tokens by one regular expression, and the tokens are read by
recursive descent. Python's own json is not used, for its laxity is its own.

judge (document) is the line that tests/support/gate-eval prints."""

import re

DEPTH, VALUES, ITEM, ID = 64, 50000, 4096, 256
NOT_JSON, NOT_MESSAGE, BAD_PARAMS = -32700, -32600, -32602

# White space and a token; a byte that begins none leaves the group empty.
TOKEN = re.compile(
    rb'[ \t\n\r]*(?:('
    rb'[{}\[\],:]'
    rb'|"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    rb'|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})))*"'
    rb'|-?(?:0|[1-9][0-9]*)(?![0-9])(?:\.[0-9]+(?![0-9])|(?!\.))(?:[eE][+-]?[0-9]+(?![0-9])|(?![eE]))'
    rb'|true|false|null)|[^ \t\n\r])')
ESCAPE = re.compile(rb'\\(u[dD][89abAB]..\\u....|u....|.)', re.DOTALL)
SHORT = {b'"': b'"', b'\\': b'\\', b'/': b'/', b'b': b'\b', b'f': b'\f', b'n': b'\n', b'r': b'\r', b't': b'\t'}


OTHER_ESCAPE = re.compile(rb'\\[^/]')
QUOTE = (b'"',)
ID_BEGINS = (b'"', b'-', *[b'%d' % i for i in range(10)])


class Fault(Exception):
    pass


def fault(code):
    raise Fault(code)


def unescaped(match):
    what = match[1]
    if what in SHORT:
        return SHORT[what]
    units = bytes.fromhex(what[1:5].decode()) + (bytes.fromhex(what[7:].decode()) if len(what) > 5 else b'')
    return units.decode('utf-16-be').encode()


def decoded(token):
    text = token[1:-1]
    return ESCAPE.sub(unescaped, text) if b'\\' in text else text


def folded(name):
    """As a reader would see it that does not mind case, or None when no name of ours can be meant."""
    text = name.decode().replace('\u017f', 's').replace('\u212a', 'k')
    return text.lower() if text.isascii() else None


class Reader:
    def __init__(self, document):
        try:
            document.decode('utf-8')
        except UnicodeDecodeError as e:
            document = document[:e.start]  # what stands before it may be refused first
            self.whole = False
        else:
            self.whole = True
        self.document = document
        self.tokens = TOKEN.findall(document)
        self.tokens.append(b'')  # the end is no token either
        self.at = 0
        self.values = 0
        self.fields = {}

    def take(self):
        token = self.tokens[self.at]
        if not token:
            fault(NOT_JSON)
        self.at += 1
        return token

    def count(self):
        if self.values == VALUES:
            fault(NOT_MESSAGE)
        self.values += 1

    def opened(self, depth):
        if depth >= DEPTH:
            fault(NOT_MESSAGE)
        self.count()
        self.at += 1

    def name(self):
        token = self.tokens[self.at]
        if token[:1] != b'"' or self.tokens[self.at + 1] != b':':
            fault(NOT_JSON)
        self.at += 2
        return token

    def closed(self, close):
        """Behind an opening: whether the container is empty."""
        if self.tokens[self.at] == close:
            self.at += 1
            return True
        return False

    def goes_on(self, close):
        """Behind a value in a container: whether another follows."""
        token = self.tokens[self.at]
        if token != b',' and token != close:
            fault(NOT_JSON)
        self.at += 1
        return token == b','

    def value(self, depth):
        first = self.tokens[self.at]
        if first == b'{' or first == b'[':
            self.opened(depth)
            close = b'}' if first == b'{' else b']'
            more = not self.closed(close)
            while more:
                if first == b'{':
                    self.name()
                self.value(depth + 1)
                more = self.goes_on(close)
        else:
            self.count()  # a value is counted before it is read
            if not first or first in b'}],:':
                fault(NOT_JSON)
            self.at += 1

    def places(self):
        """Where the tokens begin and end in the document, the ends' included."""
        end = len(self.document)
        return [m.span(1) if m[1] else (m.end(), m.end()) for m in TOKEN.finditer(self.document)] + [(end, end)]

    # ---- members of the protocol

    def starts_with(self, begins, code):
        """The next value must begin so; what is no token may still begin so (an open quote)."""
        first = self.tokens[self.at][:1]
        if not first:
            start = self.places()[self.at - 1][1] if self.at else 0
            first = self.document[start:].lstrip(b' \t\n\r')[:1]
        if first not in begins:
            fault(code)

    def text(self, key, code, _):
        self.starts_with(QUOTE, code)
        self.count()
        token = self.take()
        text = decoded(token)
        if len(text) > ITEM or len(token) - 2 > 6 * ITEM or (b'\\' not in token and len(token) - 2 > ITEM):
            fault(code)
        if b'\0' in text:
            fault(code)
        self.fields[key] = text

    def version(self, key, code, _):
        self.starts_with(QUOTE, code)
        self.count()
        if self.take() != b'"2.0"':
            fault(code)

    def id(self, key, code, _):
        self.starts_with(ID_BEGINS, code)
        self.value(1)
        token = self.tokens[self.at - 1]
        if len(token) > ID:
            fault(code)
        if token[:1] != b'"' and not (re.fullmatch(rb'-?[0-9]+', token) and token != b'-0'
                                      and -2**63 <= int(token) < 2**63):
            fault(code)
        self.fields[key] = token

    def texts(self, key, code, depth):
        self.starts_with([b'['], code)
        first = self.at
        self.opened(depth)
        more = not self.closed(b']')
        while more:
            self.starts_with(QUOTE, code)
            self.value(depth + 1)
            more = self.goes_on(b']')
        self.fields[key] = (first, self.at - 1)

    def anything(self, key, code, depth):
        self.value(depth)

    def whole_object(self, key, code, depth):
        self.starts_with([b'{'], code)
        self.value(depth)

    def inner(self, table, key, begins, code, depth):
        self.starts_with(begins, code)
        first = self.at
        if self.tokens[self.at] == b'{':
            self.members(table, depth)
        else:
            self.value(depth)
        if key:
            self.fields[key] = (first, self.at - 1)

    def params(self, key, code, depth):
        self.inner(PARAMS, key, [b'{'], code, depth)

    def arguments(self, key, code, depth):
        self.inner(ARGUMENTS, key, [b'{', b'n'], code, depth)

    def meta(self, key, code, depth):
        self.inner(META, None, [b'{'], code, depth)

    def ref(self, key, code, depth):
        self.inner(REF, None, [b'{'], code, depth)

    def notifications(self, key, code, depth):
        self.inner(NOTIFICATIONS, None, [b'{'], code, depth)

    def members(self, table, depth):
        seen = set()
        self.opened(depth)
        more = not self.closed(b'}')
        while more:
            token = self.name()
            name = decoded(token)
            if name in table.members and not OTHER_ESCAPE.search(token):
                if name in seen:
                    fault(NOT_MESSAGE)
                seen.add(name)
                key, read = table.members[name]
                read(self, key, table.code, depth + 1)
            else:
                if folded(name) in table.folded:
                    fault(NOT_MESSAGE)
                if table.reserved and name[:8].lower() == b'mcpauth/':
                    fault(BAD_PARAMS)
                self.value(depth + 1)
            more = self.goes_on(b'}')
        return seen


class Table:
    def __init__(self, members, reserved=False, code=BAD_PARAMS):
        self.members = members
        self.folded = {name.decode().lower() for name in members}
        self.reserved = reserved
        self.code = code


REF = Table({b'type': ('y', Reader.text), b'name': ('r', Reader.text), b'uri': ('f', Reader.text)})
META = Table({b'io.modelcontextprotocol/protocolVersion': ('v', Reader.text)}, reserved=True)
ARGUMENTS = Table({}, reserved=True)
NOTIFICATIONS = Table({b'resourceSubscriptions': ('s', Reader.texts), b'taskIds': ('k', Reader.texts)})
PARAMS = Table({
    b'name': ('n', Reader.text), b'uri': ('u', Reader.text), b'taskId': ('t', Reader.text),
    b'protocolVersion': ('w', Reader.text), b'arguments': ('a', Reader.arguments), b'_meta': ('', Reader.meta),
    b'ref': ('', Reader.ref), b'notifications': ('', Reader.notifications), b'task': ('', Reader.anything),
    b'requestState': ('', Reader.anything), b'inputResponses': ('', Reader.anything)})
MESSAGE = Table({
    b'jsonrpc': ('', Reader.version), b'method': ('m', Reader.text), b'id': ('i', Reader.id),
    b'params': ('p', Reader.params), b'result': ('', Reader.whole_object), b'error': ('', Reader.whole_object)},
    code=NOT_MESSAGE)


def message(r):
    first = r.tokens[0]
    if r.document.lstrip(b' \t\n\r')[:1] == b'[':
        fault(NOT_MESSAGE)
    if first != b'{':
        r.value(0)
    seen = r.members(MESSAGE, 0) if first == b'{' else None
    if r.at < len(r.tokens) - 1 or not r.whole:
        fault(NOT_JSON)
    if seen is None or b'jsonrpc' not in seen:
        fault(NOT_MESSAGE)
    answers = len(seen & {b'result', b'error'})
    if b'method' in seen:
        if answers or not r.fields['m']:
            fault(NOT_MESSAGE)
        return 'R' if b'id' in seen else 'N'
    if answers != 1 or b'id' not in seen:
        fault(NOT_MESSAGE)
    return 'A'


ORDER = 'minutyrfvwpask'


def judge(document):
    r = Reader(document)
    try:
        kind = message(r)
    except Fault as f:
        return b'%d\n' % f.args[0]
    said = [kind.encode()]
    places = r.places() if 'p' in r.fields else None
    for key in ORDER:
        if key in r.fields:
            value = r.fields[key]
            if isinstance(value, tuple):  # a value as it stands, by its first and last token
                value = r.document[places[value[0]][0]:places[value[1]][1]]
            said.append(b'%c%d:%b' % (ord(key), len(value), value))
    return b''.join(said) + b'\n'
