"""The end: what is in flight is finished, but nothing holds the daemon for ever."""

import concurrent.futures
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from support.hub import SLOW, _session, _until


def conf(upstream):
    return f'service notes {{ path /notes; upstream {upstream.url}; anonymous * }}'


def until_nobody_is_left(sid):
    """Waits until no process of the session runs: who was killed may take a moment to be gone."""
    _until(lambda: not _session(sid), 20, lambda: f'left: {_session(sid)}')


def until_refused(h):
    """Waits until new connections are refused."""
    end = time.monotonic() + 10 * SLOW
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < end:
            with contextlib.suppress(ConnectionResetError):  # in the queue when it was closed
                socket.create_connection(('127.0.0.1', h.port), 2).close()
            time.sleep(0.02)


# R3
def test_sigterm_finishes_requests_in_flight_refuses_new_ones_and_exits_0(hub, upstream):
    release = threading.Event()

    def slow(x):
        release.wait(60)
        x.result({'slow': True})
    upstream.handler = slow
    h = hub(conf(upstream), workers=2)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(h.call, '/notes')
        upstream.wait_requests(1)
        h.process.send_signal(signal.SIGTERM)
        try:
            until_refused(h)
        finally:
            release.set()
        assert call.result().json()['result'] == {'slow': True}
    assert h.process.wait(15 * SLOW) == 0


# R3: hard stop always
def test_the_drain_is_bounded_by_drain_timeout(hub, upstream):
    release = threading.Event()
    upstream.handler = lambda x: release.wait(60)
    h = hub(conf(upstream), hub='drain_timeout 1s')
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(h.call, '/notes')
        upstream.wait_requests(1)
        began = time.monotonic()
        h.process.send_signal(signal.SIGTERM)
        assert h.process.wait(15 * SLOW) == 0
        assert time.monotonic() - began > 0.9
        release.set()
        assert call.exception() is not None or call.result().status >= 500


# R3, row 133: a worker that does not even hear the message
def test_a_worker_that_hangs_does_not_hold_the_end(hub, upstream):
    h = hub(conf(upstream), hub='drain_timeout 1s; watchdog 10m', workers=1)
    worker = [p for p in h.processes() if p != h.process.pid]
    for pid in worker[1:]:
        os.kill(pid, signal.SIGSTOP)
    h.process.send_signal(signal.SIGTERM)
    assert h.process.wait(60 * SLOW) == 0  # and it was not the watchdog
    until_nobody_is_left(h.process.pid)


def test_a_leader_that_hangs_does_not_hold_the_end(hub, upstream):
    import json
    h = hub(conf(upstream), hub='drain_timeout 1s', workers=1)
    state = json.loads(h.cli('status', '--json', check=True).stdout)
    os.kill(state['generations'][0]['leader'], signal.SIGSTOP)
    h.process.send_signal(signal.SIGTERM)
    assert h.process.wait(15 * SLOW) == 0
    until_nobody_is_left(h.process.pid)


# nobody waits for a client that has nothing to ask; a request that has arrived is still answered
def test_idle_connections_do_not_hold_the_end(hub, upstream):
    h = hub(conf(upstream))
    with h.connect() as c:
        assert c.request('GET', '/health').status == 200
        h.process.send_signal(signal.SIGTERM)
        assert h.process.wait(15 * SLOW) == 0


def test_a_second_sigterm_ends_at_once(hub, upstream):
    release = threading.Event()
    upstream.handler = lambda x: release.wait(60)
    h = hub(conf(upstream))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(h.call, '/notes')
        upstream.wait_requests(1)
        h.process.send_signal(signal.SIGTERM)
        until_refused(h)
        assert h.process.poll() is None
        h.process.send_signal(signal.SIGINT)
        assert h.process.wait(15 * SLOW) == 0
        release.set()


def test_the_control_socket_and_unix_listeners_are_removed_at_the_end(hub, upstream):
    h = hub(conf(upstream), hub='listen unix:{dir}/in.sock')
    assert (h.dir / 'in.sock').exists() and h.control.exists()
    h.stop()
    assert not (h.dir / 'in.sock').exists() and not h.control.exists()


# nothing is left behind by a master that could not say goodbye, and the next start finds its way
def test_when_the_master_is_killed_everybody_ends_and_a_new_one_starts(hub, upstream):
    h = hub(conf(upstream), hub='drain_timeout 1s; listen unix:{dir}/in.sock')
    old = h.process
    old.kill()
    old.wait()
    until_nobody_is_left(old.pid)
    assert h.control.exists()
    h.start()
    assert h.call('/notes').status == 200
    assert h.request('GET', '/health', address=str(h.dir / 'in.sock')).status == 200
