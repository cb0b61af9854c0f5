"""The labelled corpus of aws/http-desync-guardian, request by request through http-echo, each followed by
a pipelined canary (rows 36-41).

Severe: none may reach the handler.  Ambiguous: at most what nginx 1.22 accepts (16 of 58).  Whatever
the verdict, what follows must not be served out of step.  The corpus lies beside the checkout, or where
MCPAUTH_VECTORS says; without it these tests are skipped."""

import collections
import os
import pathlib
import socket

import pytest
import yaml

from support.echo import Echo
from support.rawhttp import NoAnswer, Raw

TOP = pathlib.Path(__file__).resolve().parents[2]
PLACES = [os.environ.get('MCPAUTH_VECTORS'), *(p / 'shared/vectors' for p in TOP.parents)]
CORPUS = next((pathlib.Path(p, 'http-desync') for p in PLACES if p and pathlib.Path(p, 'http-desync').is_dir()), None)
NGINX_AMBIGUOUS = 16
CANARY = b'GET /canary HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n'

pytestmark = pytest.mark.skipif(CORPUS is None, reason='the http-desync corpus is not there (MCPAUTH_VECTORS)')


def cases():
    if CORPUS is None:
        return []
    return [(f'{f.stem}: {c["name"]}', c) for f in sorted(CORPUS.glob('*.yaml')) for c in yaml.safe_load(f.read_text())]


def to_bytes(value):
    return str(value).encode('latin-1', 'replace')


def head_of(case, put=None):
    """The head of a case, with a Host when it has none: its absence is another matter.  PUT, which is
    no method here, becomes the method PUT says."""
    method = put if put and case['method'] == 'PUT' else case['method']
    lines = [b' '.join([to_bytes(method), to_bytes(case['uri']), to_bytes(case['version'])])]
    headers = case.get('headers') or []
    if not any(str(h['name']).lower() == 'host' for h in headers):
        lines.append(b'Host: h')
    # Without a blank behind the colon: "Transfer-Encoding:chunked" is what the case says.
    lines += [to_bytes(h['name']) + b':' + to_bytes(h.get('value', '')) for h in headers]
    return b'\r\n'.join(lines) + b'\r\n\r\n'


def body_of(case):
    """A body that ends where the first plausible reading of the head says."""
    headers = [(str(h['name']).strip().lower(), str(h.get('value', '')).strip()) for h in case.get('headers') or []]
    if any(n == 'transfer-encoding' and 'chunked' in v.lower() for n, v in headers):
        return b'5\r\nhello\r\n0\r\n\r\n'
    for name, value in headers:
        if name == 'content-length' and value.isdigit() and int(value) < 100000:
            return b'x' * int(value)
    return b''


def verdict(server, data):
    """accepted: the handler saw it and it was answered 2xx; refused: an error and the end; and what
    followed on the connection."""
    with Raw(server.address, timeout=3) as c:
        c.send(data + CANARY)
        try:
            first = c.answer()
        except (NoAnswer, ConnectionResetError):
            return 'refused', None
        except socket.timeout:
            return 'hangs', None
        if first.status >= 300:
            return 'refused', c.read_rest() if first.header('Connection') != 'close' else None
        try:
            return 'accepted', c.answer()
        except (NoAnswer, ConnectionResetError, socket.timeout):
            return 'accepted', None


@pytest.fixture(scope='module')
def echo():
    e = Echo()
    yield e
    e.stop()


def run(server, put):
    """Tier -> list of (name, verdict)."""
    results = collections.defaultdict(list)
    for name, case in cases():
        got, canary = verdict(server, head_of(case, put) + body_of(case))
        results[case['expected']['tier']].append((name, got))
        assert got != 'hangs', name
        if canary is not None and got == 'accepted':
            assert canary.status == 200 and canary.json()['target'] == '/canary', f'out of step: {name}'
            assert ['Host', 'canary'] in canary.json()['headers'] and canary.json()['body'] == '', name
    return results


def accepted(results, tier):
    return [name for name, got in results[tier] if got == 'accepted']


@pytest.mark.parametrize('put', [None, 'POST'], ids=['as-it-is', 'PUT-as-POST'])
def test_no_severe_case_reaches_the_handler_and_few_ambiguous_ones(echo, put):
    results = run(echo, put)
    for tier, got in sorted(results.items()):
        print(f'{tier}: {len(accepted(results, tier))} of {len(got)} accepted')
    for name in accepted(results, 'Ambiguous'):
        print('   ambiguous, accepted:', name)
    for name, got in results['Compliant']:
        if got != 'accepted':
            print('   compliant, refused:', name)
    assert accepted(results, 'Severe') == []
    assert len(accepted(results, 'Ambiguous')) <= NGINX_AMBIGUOUS


def test_the_corpus_is_the_one_that_was_measured():
    tiers = collections.Counter(c['expected']['tier'] for _, c in cases())
    assert tiers['Severe'] >= 58 and tiers['Ambiguous'] >= 58
