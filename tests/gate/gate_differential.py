#!/usr/bin/python3
"""Compares the shipped gate with the oracle over generated documents.

    gate_differential.py GATE-EVAL [HOW-MANY [SEED]]

Documents are messages put together from good and bad members, half of them then damaged by a byte or
two. The same seed gives the same documents. Ends with 0 when all agree; prints the first disagreements
otherwise."""

import collections
import random
import struct
import subprocess
import sys

import gate_oracle

BATCH = 2000

SCALARS = [
    b'0', b'-1', b'1.5', b'1e5', b'-0.25E-3', b'true', b'false', b'null', b'""', b'"a"', b'"\\u0061b"',
    b'"\\ud83d\\ude00"', b'"\xc3\xa9\xe2\x82\xac"', b'"\xf0\x9f\x98\x80"', b'"\\n\\t\\"\\\\\\/"',
    b'"a longer text than eight bytes"', b'"0123456"', b'"01234567"', b'"012345678"', b'9223372036854775807',
    b'9223372036854775808', b'"\\u0000"', b'[]', b'{}', b'[1,[2,{"a":3}]]', b'{"a":{"a":1,"a":2}}', b'-0',
]
BROKEN = [
    b'01', b'1.', b'.5', b'+1', b'1e', b'tru', b'nul', b'NaN', b"'a'", b'"\\x"', b'"\\ud800"', b'"\\udc00x"',
    b'"\\ud800\\u0041"', b'"\\ud800\\ud800"', b'"\\u12"', b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"',
    b'"\xe0\x9f\xbf"', b'"\xf0\x8f\xbf\xbf"', b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xe2\x82"',
    b'"\n"', b'"\x1f"', b'"0123456\x00"', b'[1,]', b'[,1]', b'[1 2]', b'[1', b'{"a"}', b'{"a":}', b'{"a":1,}',
    b'{,}', b'{a:1}', b']', b'}', b'', b'"', b'\xef\xbb\xbf1', b'/**/1', b'1//', b'[1}', b'{"a":1]',
    b'[' * 61 + b']' * 61, b'[' * 62 + b']' * 62, b'[' * 63 + b']' * 63, b'[' * 64 + b']' * 64,
]
NAMES = {
    'message': [b'jsonrpc', b'method', b'id', b'params', b'result', b'error'],
    'params': [b'name', b'uri', b'taskId', b'protocolVersion', b'arguments', b'_meta', b'ref', b'notifications',
               b'task', b'requestState', b'inputResponses'],
    'ref': [b'type', b'name', b'uri'],
    'meta': [b'io.modelcontextprotocol/protocolVersion', b'io.modelcontextprotocol\\/protocolVersion'],
    'arguments': [b'path', b'name', b'Name'],
    'notifications': [b'resourceSubscriptions', b'taskIds'],
}
OTHERS = [b'x', b'progressToken', b'cursor', b'', b'na', b'names', b'\xc3\xafd', b'mcpauth/x', b'MCPauth\\/y',
          b'mcpauth', b'\\u006dcpauth/' + b'z' * 60, b'mcpauth/\xc3\xa9', b'a' * 48, b'a' * 49, b'\\u0061' * 60]
BLANKS = [b'', b'', b'', b'', b'', b' ', b'\n', b'\t\r', b'  ']
ROUND = [b'', b' ', b'\n\t'] * 40 + [b'x', b'\0', b'{}', b'\xef\xbb\xbf', b'\xff']


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pick = self.random.choice
        self.chance = self.random.random

    def name(self, where):
        """A name of the protocol, mostly as it is."""
        name = self.pick(NAMES[where])
        how = self.chance()
        if how < 0.975:
            return name
        if how < 0.98:
            return name.swapcase()
        if how < 0.986:
            return name.replace(b's', b'\xc5\xbf').replace(b'k', b'\xe2\x84\xaa').replace(b'a', b'A')
        if how < 0.996:
            i = self.random.randrange(len(name))
            return name[:i] + b'\\u%04x' % name[i] + name[i + 1:]
        return name + b'\x00'[:self.random.randrange(2)]

    def scalar(self):
        return self.pick(SCALARS) if self.chance() < 0.995 else self.pick(BROKEN)

    def text(self):
        return self.pick(TEXTS) if self.chance() < 0.96 else self.scalar()

    def object(self, members):
        how = self.chance()
        if how < 0.01:
            return self.scalar()
        separator = self.pick(BLANKS) + b',' + self.pick(BLANKS)
        return b'{' + self.pick(BLANKS) + separator.join(members) + self.pick(BLANKS) + b'}'

    def member(self, where, value):
        return b'"' + self.name(where) + b'":' + value

    def other(self):
        return b'"' + self.pick(OTHERS) + b'":' + self.scalar()

    def inner(self, where, value, most):
        members = [self.member(where, value()) for _ in range(self.random.randrange(most + 1))]
        if self.chance() < 0.4:
            members.append(self.other())
        return self.object(members)

    def texts(self):
        return b'[' + b','.join([self.text() for _ in range(self.random.randrange(3))]) + b']'

    def params_member(self):
        name = self.name('params')
        kind = name if name in VALUES else None
        return b'"' + name + b'":' + self.params_value(kind)

    def params_value(self, name):
        if name == b'arguments':
            return self.inner('arguments', self.scalar, 3)
        if name == b'_meta':
            return self.inner('meta', self.text, 1)
        if name == b'ref':
            return self.inner('ref', self.text, 3)
        if name == b'notifications':
            return self.inner('notifications', self.texts, 2)
        return self.text()

    def params(self):
        members = [self.params_member() for _ in range(self.random.randrange(4))]
        if self.chance() < 0.3:
            members.append(self.other())
        return self.object(members)

    def message(self, params):
        members = []
        if self.chance() < 0.98:
            members.append(self.pick(VERSIONS) if self.chance() < 0.1 else b'"jsonrpc":"2.0"')
        if self.chance() < 0.85:
            members.append(b'"method":' + self.text())
        else:
            members.append(self.pick([b'"result":{"name":1}', b'"error":{}', b'"result":{},"error":{}']))
        if self.chance() < 0.85:
            members.append(b'"id":' + self.pick(IDS))
        if self.chance() < 0.85:
            members.append(b'"params":' + self.pick(params))
        if self.chance() < 0.05:
            members.append(self.member('message', self.scalar()))
        if self.chance() < 0.1:
            members.append(self.other())
        if self.chance() < 0.3:
            self.random.shuffle(members)
        return self.pick(ROUND) + self.object(members) + self.pick(ROUND)

    def damage(self, document):
        """A byte or two deleted, added or changed."""
        for _ in range(self.random.randrange(1, 3)):
            i = self.random.randrange(len(document) + 1)
            how = self.random.randrange(3)
            extra = b'' if how == 0 else self.pick(BYTES)
            document = document[:i] + extra + document[i + (how != 1):]
        return document

    def documents(self, n):
        params = [self.params() for _ in range(n // 4 + 1)]
        made = [self.message(params) for _ in range(n)]
        return [self.damage(d) if self.chance() < 0.2 else d for d in made]


TEXTS = [s for s in SCALARS if s[:1] == b'"'] + [b'"tools/call"', b'"' + b'a' * 70 + b'"'] + [b'"x"'] * 40
LONG = [b'"' + b'a' * 4096 + b'"', b'"' + b'a' * 4097 + b'"', b'"' + b'\\u0061' * 4096 + b'"',
        b'"' + b'\\u0061' * 4097 + b'"', b'"\\n' + b'a' * 4095 + b'"', b'"\\n' + b'a' * 4096 + b'"']
VERSIONS = [b'"jsonrpc":"1.0"', b'"jsonrpc":2.0', b'"jsonrpc":"\\u0032.0"', b'"jsonrpc":"2.0 "', b'"jsonrpc":null']
IDS = [b'1', b'"a"'] * 40 + [ b'"' + b'a' * 254 + b'"', b'"' + b'a' * 255 + b'"', b'-9223372036854775808',
       b'-9223372036854775809'] + SCALARS
VALUES = {b'arguments', b'_meta', b'ref', b'notifications'}
BYTES = [bytes([b]) for b in range(256)] + [bytes([b]) for b in b'{}[]",:\\ \n0123eE.-+tfnu'] * 8


def fixed():
    """What no chance should have to find: every byte in every place, sizes at their limits."""
    around = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"%s":%s}}'
    for value in SCALARS + BROKEN:
        for name in (b'x', b'name', b'arguments', b'task', b'notifications'):
            yield around % (name, value)
            yield around % (name, b'{"a":[' + value + b']}')
        yield b'{"jsonrpc":"2.0","method":"m","id":' + value + b'}'
        yield b'{"jsonrpc":"2.0","id":1,"result":{"a":' + value + b'}}'
        yield value
    for byte in range(256):
        for before in range(10):
            yield around % (b'x', b'"' + b'a' * before + bytes([byte]) + b'bcdefghij"')
        for text in (b'{%b}', b'[1%b]', b'[1,%b2]', b'[1%b2]', b'"\\%b"', b'"\\u00e%b"', b'-%b', b'1.%b', b'1e%b', b'{"a"%b:1}'):
            yield around % (b'x', text % bytes([byte]))
    for text in LONG:
        yield around % (b'name', text)
        yield around % (b'other', text)
    for n in range(49990, 50002):
        yield around % (b'x', b'[' + b','.join([b'1'] * n) + b']')
        yield around % (b'x', b'{' + b','.join([b'"":1'] * n) + b'}')
    for n in range(55, 70):
        yield b'[' * n + b']' * n
        for inside in (b'x', b'arguments', b'_meta'):
            yield around % (inside, b'{"v":' * n + b'1' + b'}' * n)


def batches(how_many, seed):
    g = Generator(seed)
    yield list(fixed())
    for i in range(0, how_many, BATCH):
        yield g.documents(min(BATCH, how_many - i))


def ask(program, documents):
    given = b''.join([struct.pack('<I', len(d)) + d for d in documents])
    return subprocess.run([program], input=given, stdout=subprocess.PIPE, check=False).stdout


def compare(program, documents, expected=None):
    """Documents on which PROGRAM and the oracle differ: [(document, oracle, gate)]."""
    expected = expected or [gate_oracle.judge(d) for d in documents]
    got = ask(program, documents)
    if got == b''.join(expected):
        return []
    wrong, at = [], 0
    for document, want in zip(documents, expected):
        if got[at:at + len(want)] != want:
            wrong.append((document, want, got[at:at + len(want) + 40]))
            break  # where the next answer begins is not known
        at += len(want)
    return wrong or [(documents[-1], expected[-1], got[at:])]


def main(program, how_many=1000000, seed=1):
    seen, kinds, n = set(), collections.Counter(), 0
    for documents in batches(int(how_many), int(seed)):
        expected = [gate_oracle.judge(d) for d in documents]
        wrong = compare(program, documents, expected)
        for document, want, got in wrong:
            print(f'differ:\n  document {document[:400]}\n  oracle   {want[:400]}\n  gate     {got[:400]}')
        if wrong:
            return 1
        n += len(documents)
        seen.update(map(hash, documents))
        kinds.update([e[:6] if e[:1] == b'-' else e[:1] for e in expected])
    taken = sum(kinds[k] for k in (b'R', b'N', b'A'))
    codes = ', '.join(f'{kinds[c]} {c.decode()}' for c in (b'-32700', b'-32600', b'-32602'))
    print(f'{n} documents ({len(seen)} different), all as the oracle says: {taken} taken, {codes}')
    if min(taken, *(kinds[c] for c in (b'-32700', b'-32600', b'-32602'))) < n // 40:
        print('too few of one kind: the generator does not reach everything')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
