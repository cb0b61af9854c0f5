"""mcpauth audit: what verify and tail say about a log.  The log is made here, by an independent
writer of the documented format."""

import hashlib
import hmac
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from support.hub import RUN

KEY = bytes(range(32))


class Log:
    """A writer of audit logs in Python: one chain."""

    def __init__(self, path, writer='77.1'):
        self.path, self.writer, self.n, self.mac = pathlib.Path(path), writer, 0, bytes(32)

    def record(self, event, id='', members=''):
        self.n += 1
        comma = ',' if members else ''
        body = (f'{{"t":"2026-11-21T04:08:{self.n % 60:02d}.123Z","w":"{self.writer}","event":"{event}","id":"{id}"'
                f'{comma}{members},"n":{self.n}').encode()
        self.mac = hmac.new(KEY, self.mac + body, hashlib.sha256).digest()
        with open(self.path, 'ab') as f:
            f.write(body + b',"mac":"' + self.mac.hex().encode() + b'"}\n')
        return self


@pytest.fixture
def state(tmp_path):
    path = tmp_path / 'state'
    path.mkdir(mode=0o700)
    key = path / 'audit.key'
    key.write_bytes(KEY)
    key.chmod(0o600)
    return path


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / 'audit.log').record('chain_start')


def audit(state, *args, status=0):
    line = [RUN, 'mcpauth', '--state-dir', str(state), 'audit', *map(str, args)]
    r = subprocess.run(line, capture_output=True, text=True, timeout=30)
    assert r.returncode == status, (line, r.returncode, r.stdout, r.stderr)
    return r.stdout + r.stderr


def fill(log, n=5):
    for i in range(n):
        log.record('decision', f'q{i}', '"service":"notes","decision":"grant","status":200')
    return log


def test_a_log_by_another_implementation_of_the_format_has_no_fault(state, log):
    fill(log).record('chain_end')
    out = audit(state, 'verify', '--log', log.path)
    assert '7 records in 1 chains: no fault' in out


def test_a_changed_record_is_named_with_its_place(state, log):
    """row 175"""
    fill(log)
    text = log.path.read_text().replace('"id":"q2","service":"notes"', '"id":"q2","service":"nodes"')
    log.path.write_text(text)
    out = audit(state, 'verify', '--log', log.path, status=1)
    assert f'{log.path}:4: FAULT: record 4 of writer 77.1 has been changed' in out
    assert 'NOT what was written' in out


def test_a_removed_record_is_named_by_the_one_behind_it(state, log):
    """row 175"""
    fill(log)
    lines = log.path.read_text().splitlines(True)
    log.path.write_text(''.join(lines[:2] + lines[3:]))
    assert ':3: FAULT: record 4 of writer 77.1 follows a gap' in audit(state, 'verify', '--log', log.path, status=1)


def test_rotated_files_are_read_oldest_first(state, log):
    """row 179"""
    fill(log)
    os.rename(log.path, f'{log.path}.2')
    log.record('continued', '', '"prev":"%s"' % log.mac.hex())
    fill(log)
    os.rename(log.path, f'{log.path}.1')
    log.record('continued', '', '"prev":"%s"' % log.mac.hex())
    fill(log)
    assert 'no fault' in audit(state, 'verify', '--log', log.path)
    os.rename(f'{log.path}.1', f'{log.path}.x')
    os.rename(f'{log.path}.2', f'{log.path}.1')
    assert 'FAULT' in audit(state, 'verify', '--log', log.path, status=1)


def test_files_by_name_say_what_was_not_looked_at(state, log):
    """row 176"""
    fill(log)
    out = audit(state, 'verify', log.path)
    assert 'no fault' in out and 'anchors in the state directory were not compared' in out
    assert 'not compared' not in audit(state, 'verify', '--anchors', log.path)


def test_an_open_chain_is_said_to_be_open(state, log):
    """row 176"""
    out = audit(state, 'verify', '--log', fill(log).path)
    assert '1 chains have no end' in out


def test_a_missing_key_is_an_error_and_none_is_made(state, log):
    (state / 'audit.key').unlink()
    assert 'cannot read the key' in audit(state, 'verify', '--log', log.path, status=1)
    assert not (state / 'audit.key').exists()


def test_a_key_that_others_can_read_is_refused(state, log):
    """row 121"""
    (state / 'audit.key').chmod(0o644)
    assert '0600' in audit(state, 'verify', '--log', log.path, status=1)


def test_a_missing_log_is_an_error(state, tmp_path):
    assert 'cannot open' in audit(state, 'verify', '--log', tmp_path / 'nope', status=1)


def test_verify_reads_two_hundred_thousand_records_a_second(state, tmp_path):
    log = Log(tmp_path / 'audit.log').record('chain_start')
    fill(log, 2000)
    block = log.path.read_bytes()
    with open(tmp_path / 'big', 'wb') as f:  # the same 2,001 records for 200 writers
        for w in range(200):
            chain, mac = str(1000 + w), bytes(32)
            for line in block.splitlines():
                body = line.rsplit(b',"mac":"', 1)[0].replace(b'"77.1"', f'"{chain}.1"'.encode(), 1)
                mac = hmac.new(KEY, mac + body, hashlib.sha256).digest()
                f.write(body + b',"mac":"' + mac.hex().encode() + b'"}\n')
    start = os.times()
    out = audit(state, 'verify', tmp_path / 'big')
    end = os.times()
    used = end.children_user + end.children_system - start.children_user - start.children_system
    assert '400200 records in 200 chains: no fault' in out
    slow = bool(os.environ.get('MCPAUTH_VALGRIND') or os.environ.get('MCPAUTH_TEST_SLOW'))
    assert slow or 400200 / used >= 200_000, f'{400200 / used:.0f} records/s'


# ---- tail

def test_tail_shows_the_last_ten_records_as_text(state, log):
    fill(log, 20)
    out = audit(state, 'tail', log.path).splitlines()
    assert len(out) == 10
    assert out[-1] == '2026-11-21T04:08:21.123Z decision q19 service=notes decision=grant status=200'


@pytest.mark.parametrize('n,lines', [(0, 0), (1, 1), (3, 3), (21, 21), (500, 21)])
def test_tail_n(state, log, n, lines):
    fill(log, 20)
    assert len(audit(state, 'tail', '-n', n, log.path).splitlines()) == lines


def test_tail_json_is_the_record_as_it_is(state, log):
    fill(log)
    out = audit(state, 'tail', '--json', '-n', '2', log.path)
    assert out == ''.join(log.path.read_text().splitlines(True)[-2:])


def test_tail_of_a_long_log_reads_backwards_over_blocks(state, log):
    fill(log, 3000)
    out = audit(state, 'tail', '--json', '-n', '1500', log.path).splitlines()
    assert [json.loads(line)['n'] for line in out] == list(range(1502, 3002))


def test_tail_shows_the_trace_in_short(state, log):
    log.record('decision', 'q', '"trace":[{"kind":"auth","provider":"ci","result":"IGNORE","us":1},'
                                '{"kind":"auth","provider":"corp","result":"OK"}]')
    assert audit(state, 'tail', '-n', '1', log.path).endswith('trace=ci:IGNORE,corp:OK\n')


def test_tail_shows_why_a_line_refused(state, log):
    log.record('refused', 'q', '"trace":[{"kind":"auth","provider":"ci","result":"IGNORE","reason":"not mine"},'
                               '{"kind":"auth","provider":"corp","result":"INVALID","reason":"token: expired"}]')
    assert audit(state, 'tail', '-n', '1', log.path).endswith('trace=ci:IGNORE,corp:INVALID("token: expired")\n')


def test_tail_lets_nothing_speak_to_the_terminal(state, log):
    """row 174"""
    hostile = '\x1b[2J\x07\r\n\x9b1m  \x7f'
    log.record('decision', 'q', '"agent":' + json.dumps(hostile) + ',"list":' + json.dumps([hostile]) + ',"' +
               '\\u001b[2J' + '":1')
    with open(log.path, 'ab') as f:
        f.write(b'\x1b[2J not a record\n')
    out = audit(state, 'tail', '-n', '2', log.path)
    assert out.count('\n') == 2
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or ord(c) in (0x2028, 0x2029) for c in out.replace('\n', ''))


def test_tail_f_follows_through_a_rotation(state, log, tmp_path):
    fill(log, 3)
    with subprocess.Popen([RUN, 'mcpauth', 'audit', 'tail', '-f', '--json', '-n', '1', str(log.path)],
                          stdout=subprocess.PIPE, text=True) as p:
        assert json.loads(p.stdout.readline())['n'] == 4
        log.record('done', 'a')
        assert json.loads(p.stdout.readline())['n'] == 5
        os.rename(log.path, tmp_path / 'audit.log.1')
        log.record('done', 'b')
        assert json.loads(p.stdout.readline())['n'] == 6
        time.sleep(0.3)
        log.record('done', 'c')
        assert json.loads(p.stdout.readline())['n'] == 7
        p.send_signal(signal.SIGTERM)
        p.wait(10)


@pytest.mark.parametrize('args', [[], ['verfy'], ['tail', '-n', 'x', 'f'], ['verify', '--nope'],
                                  ['verify', '--log', 'a', 'b'], ['tail', 'a', 'b']])
def test_wrong_words_are_usage_errors(state, args):
    assert 'usage: mcpauth audit' in audit(state, *args, status=2)


def test_a_fault_is_named_however_many_remarks_stand_before_it(state, log):
    """row 175"""
    for _ in range(150):
        log.record('audit_gap', '', '"lost":1')
    fill(log)
    text = log.path.read_text().replace('"id":"q2","service":"notes"', '"id":"q2","service":"nodes"')
    log.path.write_text(text)
    out = audit(state, 'verify', '--log', log.path, status=1)
    assert f'{log.path}:154: FAULT: record 154 of writer 77.1 has been changed' in out
    assert 'more remarks' in out


class Verifying:
    """mcpauth audit verify, held where it opens FIFO until `let_go`."""

    def __init__(self, state, fifo, *args):
        line = [RUN, 'mcpauth', '--state-dir', str(state), 'audit', 'verify', *map(str, args)]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.end = open(fifo, 'wb')  # waits for the other side

    def let_go(self, content=b''):
        self.end.write(content)
        self.end.close()
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, out


def test_a_log_that_is_rotated_while_it_is_verified_has_no_fault(state, log):
    """row 179"""
    def continued():
        log.record('continued', '', '"prev":"%s"' % log.mac.hex())
        fill(log)
    fill(log)
    oldest = log.path.read_bytes()
    log.path.unlink()
    os.mkfifo(f'{log.path}.2')
    continued()
    os.rename(log.path, f'{log.path}.1')
    continued()
    v = Verifying(state, f'{log.path}.2', '--log', log.path)
    os.rename(f'{log.path}.1', f'{log.path}.2')  # two are kept
    os.rename(log.path, f'{log.path}.1')
    continued()
    status, out = v.let_go(oldest)
    assert status == 0 and '18 records in 1 chains: no fault' in out, out


def test_an_anchor_of_what_is_written_while_it_is_verified_is_no_fault(state, log, tmp_path):
    """row 176"""
    fifo = tmp_path / 'more.log'
    os.mkfifo(fifo)
    fill(log)
    v = Verifying(state, fifo, '--anchors', log.path, fifo)
    fill(log)
    heads = '"heads":[{"w":"77.1","n":%d,"at":1,"head":"%s","as":"live"}]' % (log.n, log.mac.hex())
    Log(state / 'audit-anchor.77.1').record('anchor_file', '', heads)
    status, out = v.let_go()
    assert status == 0 and 'no fault' in out, out
    log.path.write_text(''.join(log.path.read_text().splitlines(keepends=True)[:-1]))
    assert 'FAULT: writer 77.1 had written record 11' in audit(state, 'verify', '--log', log.path, status=1)


def test_a_record_torn_in_its_mac_is_told_from_tampering(state, log):
    """row 175"""
    other = Log(f'{log.path}.other', '78.1').record('chain_start').path.read_bytes()
    whole = fill(log).path.read_bytes()
    for left in 2, 3, 40, 66, 67, 75:
        log.path.write_bytes(whole[:-left] + other)
        assert '6 records in 2 chains: no fault' in audit(state, 'verify', '--log', log.path), left
        log.path.write_bytes(whole[:-left] + b'\n' + other)  # no writer ends a line that it did not write
        assert 'FAULT: this line is not a record' in audit(state, 'verify', '--log', log.path, status=1), left


def test_a_log_that_nobody_has_written_to_since_it_was_rotated_is_verified(state, log):
    """row 179"""
    os.rename(fill(log).path, f'{log.path}.1')
    assert '6 records in 1 chains: no fault' in audit(state, 'verify', '--log', log.path)
