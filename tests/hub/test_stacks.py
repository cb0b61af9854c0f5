"""Stacks through real configuration files and a real provider: the status that the client gets and the
trace in the audit log are those of the oracle (tests/stack/oracle.py), and nothing reaches the upstream
that the oracle does not grant.  One hub serves every sequence of controls; the credential scripts what
each provider instance answers."""

import itertools
import pathlib
import random
import sys
import time

from support.client import rpc
from support.hub import SLOW

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'stack'))
import oracle  # noqa: E402

RESULTS = oracle.RESULTS + ('999', '-1')
# A stack that could never grant does not load: something must be able to name somebody.
SEQUENCES = [c for n in range(1, 5) for c in itertools.product(oracle.CONTROLS, repeat=n)
             if set(c) != {'optional'}]
ACCOUNTS = 2
SEED = 20261121
RECORDED = 100  # refusals of nobody in particular that are recorded in a second, however many there are


def providers(n, prefix):
    return ''.join(f'provider {prefix}{i} {{ module fault }}\n' for i in range(n))


def service(name, lines, upstream):
    return (f'service {name} {{\n  path /{name}\n  upstream {upstream.url}\n  '
            + '\n  '.join(lines) + '\n}\n')


def auth_lines(controls):
    return [f'auth {c} p{i}' for i, c in enumerate(controls)]


def token(results, accounts=()):
    """The credential that makes p0, p1, ... answer RESULTS and a0, a1, ... ACCOUNTS."""
    return 'fault' + ''.join(f'/p{i}.{r}' for i, r in enumerate(results)) + \
        ''.join(f'/a{i}.{r}' for i, r in enumerate(accounts))


class Run:
    """Requests to one hub, each with what must come of it."""

    def __init__(self, hub, upstream):
        self.hub, self.upstream, self.granted, self.expected = hub, upstream, 0, {}

    def ask(self, path, credential, status, trace):
        with self.hub.connect() as c:
            # the script is no secret: it may stand in the audit log
            reply = c.request('POST', path, body=rpc('ping'), headers={'Authorization': f'Bearer {credential}'})
        assert reply.status == status, f'{path} {credential}: {reply.status}, not {status}: {reply.text}'
        assert (reply.challenge is not None) == (status == 401)
        assert ('Retry-After' in reply.headers) == (status == 503)
        self.granted += status == 200
        self.expected[reply.headers['X-Request-Id']] = (trace, status)

    def traces(self):
        return [r for r in self.hub.audit() if r.get('id') in self.expected and 'trace' in r]

    def check(self):
        """Every record that there is has the trace; every grant has one, and so have as many refusals as a
        hub records that is asked all of it within a second."""
        assert len(self.upstream.requests) == self.granted
        least = self.granted + min(RECORDED, len(self.expected) - self.granted)
        end = time.monotonic() + 30 * SLOW  # a refusal may be answered before its record is written
        while len(records := self.traces()) < least and time.monotonic() < end:
            time.sleep(0.05)
        assert len(records) >= least, f'only {len(records)} of {len(self.expected)} requests have a trace'
        for record in records:
            trace, status = self.expected[record['id']]
            assert record['status'] == status
            assert [(t.get('control', 'account'), t['result']) for t in record['trace']] == trace, record
        assert sum(record['status'] == 200 for record in records) == self.granted


def sample():
    """(controls, results): all to depth 2, then a seeded choice of the deeper ones."""
    for controls in SEQUENCES:
        if len(controls) <= 2:
            for results in itertools.product(RESULTS, repeat=len(controls)):
                yield controls, results
    rng = random.Random(SEED)
    deep = [c for c in SEQUENCES if len(c) > 2]
    for _ in range(800):
        controls = rng.choice(deep)
        # mostly what lets the stack go on, so that the later lines are reached
        yield controls, tuple(rng.choice(RESULTS + ('OK', 'PASS', 'UNAVAIL', 'OK', 'PASS')) for _ in controls)


def trace_of(stack):
    return oracle.ran(stack)


def test_two_thousand_stacks_answer_as_the_oracle_says(hub, upstream):
    names = {c: f's{i}' for i, c in enumerate(SEQUENCES)}
    conf = providers(4, 'p') + ''.join(service(n, auth_lines(c), upstream) for c, n in names.items())
    run = Run(hub(conf), upstream)
    for controls, results in sample():
        stack = tuple(zip(controls, results))
        run.ask('/' + names[controls], token(results), oracle.status(stack), trace_of(stack))
    assert len(run.expected) >= 2000
    run.check()


def test_account_lines_follow_every_grant_and_nothing_else(hub, upstream):
    """Two phases: auth to depth 3, account to depth 2 (the second account line is the hub's)."""
    short = [c for c in SEQUENCES if len(c) <= 3]
    names = {(c, n): f's{i}-{n}' for i, c in enumerate(short) for n in (1, 2)}
    conf = providers(3, 'p') + providers(ACCOUNTS, 'a') + ''.join(
        service(name, auth_lines(c) + [f'account a{i}' for i in range(n)], upstream)
        for (c, n), name in names.items())
    run, rng = Run(hub(conf), upstream), random.Random(SEED)
    for _ in range(1000):
        (controls, n), name = rng.choice(list(names.items()))
        results = tuple(rng.choice(RESULTS + ('OK',) * 12) for _ in controls)
        accounts = tuple(rng.choice(RESULTS + ('PASS',) * 9) for _ in range(n))
        stack = tuple(zip(controls, results))
        trace, status = trace_of(stack), oracle.status(stack)
        if status == 200:
            status = oracle.account_status(accounts)
            for r in accounts:
                # a principal is not an account line's to name: OK is an ERROR already for the host
                trace = trace + [('account', 'ERROR' if r == 'OK' else oracle.meaning(r))]
                if oracle.meaning(r) != 'PASS':
                    break
        run.ask('/' + name, token(results, accounts), status, trace)
    run.check()


def test_an_included_stack_is_as_if_its_lines_stood_there(hub, upstream):
    rng = random.Random(SEED)
    conf, cases = providers(4, 'p'), []
    for i, controls in enumerate(rng.sample([c for c in SEQUENCES if len(c) >= 2], 60)):
        lines = auth_lines(controls)
        cut = rng.randrange(len(lines))
        end = rng.randrange(cut + 1, len(lines) + 1)
        conf += f'stack inner{i} {{ ' + '; '.join(lines[cut:end]) + ' }\n'
        conf += service(f's{i}', lines[:cut] + [f'auth include inner{i}'] + lines[end:], upstream)
        cases += [(f'/s{i}', controls)] * 6
    run = Run(hub(conf), upstream)
    for path, controls in cases:
        results = tuple(rng.choice(RESULTS + ('OK', 'PASS', 'OK', 'UNAVAIL')) for _ in controls)
        stack = tuple(zip(controls, results))
        run.ask(path, token(results), oracle.status(stack), trace_of(stack))
    run.check()


def test_the_hubs_account_lines_come_before_the_services(hub, upstream):
    h = hub(providers(1, 'p') + providers(2, 'a')
            + service('notes', ['auth required p0', 'account a1'], upstream), hub='account a0')
    run = Run(h, upstream)
    run.ask('/notes', token(['OK'], ['PASS', 'DENY']), 403,
            [('required', 'OK'), ('account', 'PASS'), ('account', 'DENY')])
    run.ask('/notes', token(['OK'], ['INVALID', 'PASS']), 401, [('required', 'OK'), ('account', 'INVALID')])
    run.check()


def test_a_service_without_a_stack_has_the_hubs(hub, upstream):
    h = hub(providers(1, 'p') + service('notes', [], upstream), hub='auth required p0')
    run = Run(h, upstream)
    run.ask('/notes', token(['OK']), 200, [('required', 'OK')])
    run.ask('/notes', token(['DENY']), 403, [('required', 'DENY')])
    run.check()
