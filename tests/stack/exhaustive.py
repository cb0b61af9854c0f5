#!/usr/bin/python3
"""Compares the shipped evaluator with the oracle over all stacks up to a depth, and checks what must be
true of the evaluator's own answers whatever the oracle says.

    exhaustive.py STACK-EVAL [DEPTH]        DEPTH 4: 1,727,605 stacks; 5: 62,193,781

Ends with 0 when all agree; prints the first disagreements otherwise."""

import itertools
import subprocess
import sys
import threading

import oracle

RESULTS = oracle.RESULTS + ('999', '0')  # two values that are no result
SYMBOLS = [(c, r) for c in oracle.CONTROLS for r in RESULTS]
WORDS = [f'{c}:{r}' for c, r in SYMBOLS]
CODE = {'GRANT': b'GRANT\n', 'DENY': b'DENY\n', 'UNAVAILABLE': b'UNAVAILABLE\n'}


def prefixes(depth):
    """Stacks of DEPTH-1 lines in order, each with the verdict that it has if it has ended already: what
    follows then cannot matter."""
    def grow(stack, text, ended):
        if len(stack) == depth - 1:
            yield stack, text, ended
            return
        for symbol, word in zip(SYMBOLS, WORDS):
            longer = stack + (symbol,)
            now = ended
            if now is None and len(oracle.ran(longer + (('required', 'OK'),))) == len(longer):
                now = CODE[oracle.verdict(longer)]
            yield from grow(longer, text + word + ' ', now)
    yield from grow((), '', None)


def chunks(depth):
    """(input, expected output) for all stacks of DEPTH lines, a piece for each prefix."""
    if depth == 0:
        yield b'\n', CODE[oracle.verdict(())]
        return
    for stack, text, ended in prefixes(depth):
        lines = ''.join([text + w + '\n' for w in WORDS]).encode()
        if ended is not None:
            yield lines, ended * len(WORDS)
        else:
            yield lines, b''.join([CODE[oracle.verdict(stack + (s,))] for s in SYMBOLS])


class Evaluator:
    """One stack-eval at work: chunks go in from a thread, answers come out in order."""

    def __init__(self, program, pieces):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        bufsize=1 << 20)
        self.expected = []
        self.lock = threading.Semaphore(0)
        self.pieces = pieces
        self.thread = threading.Thread(target=self._feed, daemon=True)
        self.thread.start()

    def _feed(self):
        for given, expected in self.pieces:
            self.expected.append((given, expected))
            self.lock.release()
            try:
                self.process.stdin.write(given)
            except BrokenPipeError:
                break
        self.expected.append(None)
        self.lock.release()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def answers(self):
        """(input, expected, got), a piece at a time."""
        rest = b''  # read too far, after an answer of another length than expected
        for i in itertools.count():
            self.lock.acquire()
            piece, self.expected[i] = self.expected[i], None
            if piece is None:
                return
            given, expected = piece
            got = rest + self.process.stdout.read(max(0, len(expected) - len(rest)))
            if got == expected:
                rest = b''
            else:
                lines = got.splitlines(keepends=True)
                while lines and (len(lines) < given.count(b'\n') or not lines[-1].endswith(b'\n')):
                    more = self.process.stdout.readline()
                    if not more:
                        break
                    lines = (b''.join(lines) + more).splitlines(keepends=True)
                n = given.count(b'\n')
                got, rest = b''.join(lines[:n]), b''.join(lines[n:])
            yield given, expected, got

    def end(self):
        self.process.kill()
        self.process.wait()


def compare(program, depth):
    """Every stack of exactly DEPTH lines; (how many, their verdicts as bytes G D U, complaints)."""
    e, verdicts, wrong = Evaluator(program, chunks(depth)), [], []
    for given, expected, got in e.answers():
        lines = got.splitlines()
        verdicts.append(bytes(line[0] if line else 63 for line in lines))
        if got != expected:
            for stack, want, have in itertools.zip_longest(given.splitlines(), expected.splitlines(),
                                                           lines):
                if want != have:
                    wrong.append(f'"{stack.decode()}": {have} where it must be {want}')
            if len(wrong) > 10:
                break
    e.end()
    return b''.join(verdicts), wrong


# ---- theorems, of the evaluator's own answers

INDEX = {s: i for i, s in enumerate(SYMBOLS)}
IS_BAD = {r: oracle.meaning(r) in ('DENY', 'ERROR') for r in RESULTS}


class Verdicts:
    """What the evaluator said of each stack, by depth."""

    def __init__(self, by_depth):
        self.by_depth = by_depth

    def of(self, stack):
        n = 0
        for symbol in stack:
            n = n * len(SYMBOLS) + symbol
        return self.by_depth[len(stack)][n:n + 1]

    def stacks(self, depth):
        for d in range(depth + 1):
            yield from itertools.product(range(len(SYMBOLS)), repeat=d)


def symbols(controls, results):
    return [INDEX[c, r] for c in controls for r in results]


def places_before_the_end(stack):
    """Where one more line would run: behind the last one too, unless that ended it."""
    lines = tuple(SYMBOLS[i] for i in stack) + (('required', 'OK'),)
    return range(len(oracle.ran(lines)))


def name(stack):
    return ' '.join(WORDS[i] for i in stack)


FAILURES = [r for r in RESULTS if r not in oracle.FINE]


def t1(v, stack):
    """No grant without an OK that is not optional."""
    if v.of(stack) == b'G' and not any(SYMBOLS[i][1] == 'OK' and SYMBOLS[i][0] != 'optional' for i in stack):
        return 'grants without an identity'


def t2(v, stack):
    """Turning an OK or PASS into any failure never makes a grant."""
    if v.of(stack) == b'G':
        return None
    for k, i in enumerate(stack):
        if SYMBOLS[i][1] in oracle.FINE:
            for r in FAILURES:
                worse = stack[:k] + (INDEX[SYMBOLS[i][0], r],) + stack[k + 1:]
                if v.of(worse) == b'G':
                    return f'becomes a grant as {name(worse)}'


T3 = symbols(['required', 'requisite'], FAILURES) + symbols(oracle.CONTROLS, ['DENY', 'ERROR', '999', '0'])


def t3(v, stack):
    """A failing required line, a DENY or an ERROR anywhere before the end yields no grant."""
    for k in places_before_the_end(stack):
        for bad in T3:
            longer = stack[:k] + (bad,) + stack[k:]
            if v.of(longer) == b'G':
                return f'grants as {name(longer)}'


def t4(v, stack):
    """The empty stack refuses."""
    if stack == () and v.of(stack) != b'D':
        return 'the empty stack does not refuse'


def t5(v, stack):
    """Cannot tell is never yes: an UNAVAIL in the place of a failure makes no grant."""
    if v.of(stack) == b'G':
        return None
    for k, i in enumerate(stack):
        for c in oracle.CONTROLS:
            if SYMBOLS[i][0] == c and SYMBOLS[i][1] != 'UNAVAIL' and SYMBOLS[i][1] in ('IGNORE', 'INVALID'):
                other = stack[:k] + (INDEX[c, 'UNAVAIL'],) + stack[k + 1:]
                if v.of(other) == b'G':
                    return f'becomes a grant as {name(other)}'


T6 = symbols(['optional'], [r for r in RESULTS if not IS_BAD[r]])


def t6(v, stack):
    """An optional line that says neither DENY nor ERROR never changes the decision."""
    for k in range(len(stack) + 1):
        for extra in T6:
            longer = stack[:k] + (extra,) + stack[k:]
            if v.of(longer) != v.of(stack):
                return f'another verdict as {name(longer)}'


THEOREMS = (t1, t2, t3, t4, t5, t6)


def prove(v, depth):
    wrong = []
    for stack in v.stacks(depth):
        for theorem in THEOREMS:
            complaint = theorem(v, stack)
            if complaint:
                wrong.append(f'{theorem.__name__.upper()} ({theorem.__doc__}): "{name(stack)}" {complaint}')
                if len(wrong) > 10:
                    return wrong
    return wrong


def main(program, depth=4, theorems=True):
    by_depth, wrong = [], []
    for d in range(int(depth) + 1):
        verdicts, complaints = compare(program, d)
        by_depth.append(verdicts if d <= 4 else b'')
        wrong += complaints
        if not wrong:
            print(f'depth {d}: {len(SYMBOLS) ** d} stacks, all as the oracle says', flush=True)
    if theorems and not wrong:
        # insertions make a stack of depth n one of depth n + 1
        wrong += prove(Verdicts(by_depth), min(int(depth), 4) - 1)
        print('T1 to T6 hold' if not wrong else 'theorems are broken', flush=True)
    for complaint in wrong[:10]:
        print(complaint)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
