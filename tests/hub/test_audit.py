"""The audit log of a running hub: nothing is forwarded without its record, and `mcpauth audit verify`
finds the log good through rotations, crashes, full disks and floods."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import threading
import time

import pytest

from support.client import rpc
from support.hub import SLOW, HubFailed, _until

CONF = '''
service notes {{ path /notes; upstream {url}; anonymous * }}
'''


@pytest.fixture
def notes(hub, upstream):
    return hub(CONF.format(url=upstream.url))


def verify(hub):
    """What `mcpauth audit verify` says; asserts that there is no fault."""
    done = hub.cli('audit', 'verify')
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def workers(hub):
    """Pids of the processes that have the audit log open and are no leader: told by their names."""
    found = []
    for pid in hub.processes():
        with open(f'/proc/{pid}/comm') as f:
            name = f.read().strip()
        if name.startswith('worker') or 'worker' in name:
            found.append(pid)
    return found


def load(hub, enough, threads=4):
    """Calls from some threads until ENOUGH(); the statuses."""
    statuses, stop = [], threading.Event()

    def run():
        while not stop.is_set():
            try:
                statuses.append(hub.call('/notes').status)
            except (OSError, ValueError, AssertionError):
                statuses.append(None)

    started = [threading.Thread(target=run) for _ in range(threads)]
    for t in started:
        t.start()
    try:
        _until(enough, 60, lambda: f'{len(statuses)} calls were not enough')
    finally:
        stop.set()
        for t in started:
            t.join()
    return statuses


def test_each_call_has_a_decision_and_a_done_with_the_id_of_its_answer(notes):
    """row 181"""
    answer = notes.call('/notes')
    id = answer.headers['X-Request-Id']
    [decision] = notes.wait_audit('decision', id=id)
    [done] = notes.wait_audit('done', id=id)
    assert decision['n'] < done['n'] and decision['decision'] == 'anonymous' and decision['service'] == 'notes'
    assert done['status'] == 200 and done['end'] == 'complete' and done['upstream_status'] == 200
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', decision['t'])


def test_the_decision_is_written_before_the_upstream_sees_the_call(notes, upstream):
    """row 177"""
    seen, answer = [], upstream.handler

    def look(x):
        seen.append(len(notes.audit('decision')))
        answer(x)
    upstream.handler = look
    for _ in range(5):
        assert notes.call('/notes').status == 200
    assert seen == [1, 2, 3, 4, 5]


def test_the_log_verifies_while_the_hub_runs_and_after_it(notes):
    for _ in range(20):
        notes.call('/notes')
    assert 'no fault' in verify(notes)
    notes.stop()
    out = verify(notes)
    assert 'no fault' in out and 'have no end' not in out


def test_arguments_never_reach_the_log(notes):
    """row 180"""
    notes.call('/notes', 'tools/call', {'name': 'x', 'arguments': {'text': 'CANARY-argument'}})
    notes.request('POST', '/notes?x=CANARY-query', body=rpc('ping', {'x': 'CANARY-member'}),
                  headers={'Content-Type': 'application/json'})
    notes.wait_audit('done', 2)
    assert 'CANARY' not in notes.audit_file.read_text() + notes.log


def test_a_log_of_a_reloaded_hub_is_one_story(hub, upstream):
    """row 179"""
    h = hub(CONF.format(url=upstream.url), workers=2)
    for i in range(4):
        h.call('/notes')
        h.configure(CONF.format(url=upstream.url) + f'# {i}\nscope s:{i} {{ text "x" }}\n')
        h.reload()
    h.stop()
    assert 'no fault' in verify(h)


def test_rotation_under_load_loses_nothing(hub, upstream):
    """row 179"""
    h = hub(CONF.format(url=upstream.url), workers=2, hub='audit_rotate 64k 500')

    def files():
        return [f for f in h.dir.glob('audit.log*') if f.suffix != '.lock']
    statuses = load(h, lambda: len(files()) > 4)
    assert set(statuses) == {200}
    h.stop()
    text = ''.join(f.read_text() for f in files())
    assert text.count('"event":"decision"') == len(statuses) == text.count('"event":"done"')
    assert 'no fault' in verify(h)


def test_a_full_disk_is_503_and_nothing_is_forwarded_until_there_is_room_again(notes, upstream):
    """row 178"""
    assert notes.call('/notes').status == 200
    before, pids = len(upstream.requests), workers(notes)
    assert pids
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (notes.audit_file.stat().st_size + 10, resource.RLIM_INFINITY))
    for _ in range(3):
        answer = notes.call('/notes')
        assert answer.status == 503 and answer.headers['Retry-After']
    assert notes.request('GET', '/readyz').status == 503
    assert notes.admin('/readyz').status == 503
    assert notes.metrics()['mcpauth_audit_failing'] == 1
    assert notes.request('GET', '/health').status == 200
    assert len(upstream.requests) == before
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    _until(lambda: notes.call('/notes').status == 200, 60, lambda: notes.log)
    assert notes.request('GET', '/readyz').status == 200
    assert notes.admin('/readyz').status == 200
    assert notes.metrics()['mcpauth_audit_failing'] == 0
    [gap] = notes.wait_audit('audit_gap')
    assert gap['lost'] >= 3
    notes.stop()
    assert 'could not be written' in verify(notes)


def test_a_worker_that_is_killed_leaves_a_good_log(hub, upstream):
    """row 177"""
    h = hub(CONF.format(url=upstream.url), workers=2)
    for _ in range(5):
        stop = time.monotonic() + 0.3
        while time.monotonic() < stop:
            try:
                h.call('/notes', timeout=5)
            except (OSError, ValueError, AssertionError):
                pass
        os.kill(workers(h)[0], signal.SIGKILL)
        time.sleep(0.3)
    h.wait_audit('anchor')
    h.stop()
    assert 'no fault' in verify(h)


def test_kill_9_of_everything_loses_no_answered_call(hub, upstream):
    """rows 177 and 176"""
    h = hub(CONF.format(url=upstream.url), workers=2)
    for round in range(3):
        answered = []
        for _ in range(30):
            answer = h.call('/notes')
            assert answer.status == 200
            answered.append(answer.headers['X-Request-Id'])
        time.sleep(1.2 if round == 1 else 0)
        h.kill()
        recorded = {r['id'] for r in h.audit('decision')}
        assert recorded.issuperset(answered)
        h.start()
        assert 'no fault' in verify(h)
    h.stop()
    assert 'no fault' in verify(h)


def test_a_cut_log_is_found(notes):
    """row 176"""
    for _ in range(10):
        notes.call('/notes')
    notes.stop()
    lines = notes.audit_file.read_text().splitlines(True)
    notes.audit_file.write_text(''.join(lines[:-1]))
    done = notes.cli('audit', 'verify')
    assert done.returncode == 1 and 'FAULT' in done.stdout


def test_a_changed_record_is_found(notes):
    """row 175"""
    notes.call('/notes')
    notes.stop()
    text = notes.audit_file.read_text()
    assert '"decision":"anonymous"' in text
    notes.audit_file.write_text(text.replace('"decision":"anonymous"', '"decision":"anonymouz"', 1))
    done = notes.cli('audit', 'verify')
    assert done.returncode == 1 and 'has been changed' in done.stdout


def test_an_audit_log_in_a_folder_that_is_missing_is_refused_by_name(hub, upstream, tmp_path):
    h = hub(CONF.format(url=upstream.url), start=False)
    h.audit_file = tmp_path / 'none/audit.log'
    h.configure(CONF.format(url=upstream.url))
    with pytest.raises(HubFailed, match='the audit log: cannot open .*No such file'):
        h.start()


def test_a_second_daemon_on_the_same_log_is_refused(hub, upstream):
    """row 182"""
    first = hub(CONF.format(url=upstream.url))
    second = hub(CONF.format(url=upstream.url), start=False)
    second.audit_file = first.audit_file
    second.configure(CONF.format(url=upstream.url))
    with pytest.raises(HubFailed, match='another daemon'):
        second.start()
    assert first.call('/notes').status == 200


def test_a_flood_of_malformed_requests_is_counted_and_cannot_fill_the_log(hub, upstream):
    """row 168"""
    notes = hub(CONF.format(url=upstream.url), hub='max_connections_per_address 100000')
    bad = b'GET /notes HTTP/1.1\r\nHost: 127.0.0.1:7070\r\nX Y: z\r\n\r\n'
    total, at_once = 1500, 250  # so many in one second, on every machine
    for _ in range(total // at_once):
        with contextlib.ExitStack() as stack:
            flood = [stack.enter_context(socket.create_connection(('127.0.0.1', notes.port))) for _ in range(at_once)]
            for s in flood:
                s.sendall(bad)
            for s in flood:
                s.recv(4096)
    end = time.monotonic() + 60 * SLOW
    while True:  # what was only counted is told once a second
        records = notes.audit('refused')
        counted = sum(r['count'] for r in notes.audit('refused_summary'))
        if len(records) + counted >= total or time.monotonic() > end:
            break
        time.sleep(0.05)
    assert len(records) + counted == total
    assert counted > 0
    assert notes.call('/notes').status == 200
    notes.wait_audit('done')


def test_hostile_text_stays_one_record(notes):
    """row 174"""
    for agent in ('\x1b[2J', '\x85', '\u2028', '"}\\', '\xff'):
        notes.request('POST', '/notes', body=b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
                      headers={'User-Agent': agent.encode('utf-8').decode('latin-1')})
    notes.call('/notes')
    notes.wait_audit('done')
    for line in notes.audit_file.read_bytes().split(b'\n')[:-1]:
        json.loads(line)
        assert not any(c < 32 or c == 127 for c in line)


def test_audit_strict_answers_calls_too(hub, upstream):
    h = hub(CONF.format(url=upstream.url), hub='audit_sync strict')
    for _ in range(5):
        assert h.call('/notes').status == 200


def test_audit_to_standard_output_is_json_lines(hub, upstream):
    h = hub({'hub.conf': '''
hub {{ public_url http://127.0.0.1:7070; listen 127.0.0.1:0; workers 1; audit stdout }}
{}'''.format(CONF.format(url=upstream.url))})
    assert h.call('/notes').status == 200
    h.wait_log(r'"event":"done"')
    h.stop()
    records = [json.loads(line) for line in h.log.splitlines() if line.startswith('{"t":')]
    assert {'chain_start', 'decision', 'done', 'chain_end'} <= {r['event'] for r in records}
