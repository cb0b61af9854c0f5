"""Workers that crash or hang: what it costs, and how soon they are back."""

import json
import os
import re
import signal
import socket
import time

import pytest

from support.hub import SLOW


def conf(upstream):
    return f'service notes {{ path /notes; upstream {upstream.url}; anonymous * }}'


def processes(h, name='workers'):
    state = json.loads(h.cli('status', '--json', check=True).stdout)
    return next(g for g in state['generations'] if g['state'] == 'serving')[name]


def until(probe, timeout):
    end = time.monotonic() + timeout * SLOW
    while not probe():
        assert time.monotonic() < end, 'did not happen in time'
        time.sleep(0.02)


def pauses(h):
    """Milliseconds that the leader waited before it replaced a worker, in order."""
    return [int(ms) for ms in re.findall(r'is replaced in (\d+)', h.log)]


# row 132: back within a second, the others see nothing, no count falls
def test_a_worker_that_crashes_is_replaced_at_once(hub, upstream):
    h = hub(conf(upstream), workers=2)
    for _ in range(10):
        assert h.call('/notes').status == 200
    before, counted = processes(h), h.metrics()
    os.kill(before[0]['pid'], signal.SIGABRT)
    until(lambda: (now := processes(h)) and len([w for w in now if w['ready']]) == 2 and
          now[0]['pid'] != before[0]['pid'], 10)
    assert pauses(h) == [0]
    after = processes(h)
    assert after[1]['pid'] == before[1]['pid']
    now = h.metrics()
    assert now['mcpauth_worker_crashes_total'] == 1
    for name, value in counted.items():
        if name.endswith('_total') or '_total{' in name:
            assert now[name] >= value, name
    assert h.call('/notes').status == 200


# row 132: connections of the other worker live on
def test_a_crash_costs_the_connections_of_one_worker_only(hub, upstream):
    h = hub(conf(upstream), workers=2)
    one, two = [w['pid'] for w in processes(h)]
    lost, kept = h.taken_by(one, [two], 8), h.taken_by(two, [one], 8)
    os.kill(one, signal.SIGABRT)
    until(lambda: h.metrics()['mcpauth_worker_crashes_total'] == 1, 20)
    for c in kept:
        assert c.request('GET', '/health').status == 200
    for c in lost:
        with pytest.raises(OSError):
            c.request('GET', '/health')
    for c in lost + kept:
        c.close()


# R28: with a single worker, clients wait in the queue of the shared socket for the next one
def test_no_new_connection_is_refused_while_the_only_worker_is_replaced(hub, upstream):
    h = hub(conf(upstream), workers=1)
    os.kill(processes(h)[0]['pid'], signal.SIGKILL)
    assert h.request('GET', '/health').status == 200


# R28: the faster they crash the longer the pause, so that a crash loop does not eat the machine
def test_a_worker_that_keeps_crashing_is_replaced_at_growing_intervals(hub, upstream):
    h = hub(conf(upstream), workers=1)
    known, next_one = set(h.processes()), {processes(h)[0]['pid']}
    for _ in range(5):  # each as soon as it is there: who has lived for a second is replaced at once again
        known |= next_one
        os.kill(next_one.pop(), signal.SIGKILL)
        until(lambda: next_one.update(set(h.processes()) - known) or next_one, 30)
    assert pauses(h) == [0, 100, 200, 400, 800]
    assert h.request('GET', '/health').status == 200


# row 133: SIGSTOP looks from outside like a provider that spins in the loop
def test_a_worker_whose_loop_does_not_turn_is_killed_and_replaced(hub, upstream):
    h = hub(conf(upstream), workers=1, hub='watchdog 1s')
    stuck = processes(h)[0]['pid']
    os.kill(stuck, signal.SIGSTOP)
    h.wait_log(r'worker 1: its loop has not turned', timeout=20)
    until(lambda: (w := processes(h)) and w[0]['pid'] != stuck and w[0]['ready'], 20)
    assert h.request('GET', '/health').status == 200


def test_the_admin_process_is_replaced_too(hub, upstream):
    h = hub(conf(upstream))
    old = processes(h, 'admin')['pid']
    os.kill(old, signal.SIGKILL)
    until(lambda: (a := processes(h, 'admin')) and a['pid'] != old and a['ready'], 20)
    assert h.metrics()['mcpauth_worker_crashes_total'] == 1


# signals that a terminal or a service manager sends to everybody are the master's alone
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_workers_and_leaders_leave_signals_to_the_master(hub, upstream, number):
    h = hub(conf(upstream), workers=1)
    state = json.loads(h.cli('status', '--json', check=True).stdout)
    generation = state['generations'][0]
    for pid in [generation['leader'], generation['workers'][0]['pid'], generation['admin']['pid']]:
        os.kill(pid, number)
    time.sleep(0.3)
    assert h.call('/notes').status == 200
    assert processes(h)[0]['pid'] == generation['workers'][0]['pid']


def test_an_idle_connection_is_not_lost_when_another_worker_starts(hub, upstream):
    h = hub(conf(upstream), workers=2)
    with h.connect() as c:
        assert c.request('GET', '/health').status == 200
        with socket.create_connection(('127.0.0.1', h.port)):
            assert c.request('GET', '/health').status == 200
