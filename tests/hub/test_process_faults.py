"""Providers that crash, hang or refuse while they are being loaded, and ones that stop a worker's loop:
what was serving goes on."""

import os
import re
import time

import pytest

from support.hub import SLOW, _until


def conf(upstream, options=''):
    return f'''
        provider trouble {{ module fault; answer OK; {options} }}
        service open {{ path /open; upstream {upstream.url}; anonymous * }}
        service notes {{ path /notes; upstream {upstream.url}; auth required trouble }}
    '''


def refused(h, upstream, options):
    """The error of a reload with these options; the old configuration must serve on."""
    h.configure(conf(upstream, options))
    done = h.reload(check=False)
    assert done.returncode == 1
    assert 'generation 1 goes on' in done.stderr
    assert h.call('/open').status == 200
    assert h.call('/notes', token='anything').status == 200
    return done.stderr


# row 132
@pytest.mark.parametrize('how', ['crash', 'exit'])
def test_a_provider_that_dies_in_its_check_is_a_refused_reload_that_names_it(hub, upstream, how):
    h = hub(conf(upstream))
    h.allowed_alarms = True  # a sanitizer reports the crash that is meant
    error = refused(h, upstream, f'on_check {how}')
    assert re.search(r"the new leader ended .* while it was running the check of the provider "
                     r"'trouble'", error)


def test_a_provider_that_refuses_in_its_check_is_a_refused_reload_with_its_words(hub, upstream):
    h = hub(conf(upstream))
    assert re.search(r'hub\.conf:\d+:\d+: error: ', refused(h, upstream, 'on_check refuse'))


# row 132
@pytest.mark.parametrize('how', ['crash', 'exit', 'refuse'])
def test_a_provider_that_does_not_start_is_a_refused_reload(hub, upstream, how):
    h = hub(conf(upstream))
    h.allowed_alarms = True
    assert re.search(r'worker 1 (could not start: |ended )', refused(h, upstream, f'on_start {how}'))


# row 133; half a minute, because that is how long a load may take
@pytest.mark.slow
@pytest.mark.parametrize('when', ['on_check', 'on_start'])
def test_a_provider_that_hangs_while_loading_is_a_refused_reload(hub, upstream, when):
    h = hub(conf(upstream), hub='watchdog 10s')
    h.configure(conf(upstream, f'{when} hang'))
    done = h.cli('reload', timeout=60)
    assert done.returncode == 1
    assert 'was not ready after 30 s' in done.stderr
    assert h.call('/open').status == 200
    # nothing of it is left: master, leader, worker, admin
    end = time.monotonic() + 20 * SLOW
    while len(h.processes()) > 4 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(h.processes()) == 4


# row 133: the watchdog, with a real provider that spins in the loop
def test_a_provider_that_spins_costs_one_worker_for_the_time_of_the_watchdog(hub, upstream):
    h = hub(conf(upstream), hub='watchdog 3s', workers=2)
    with pytest.raises(OSError):
        h.call('/notes', token='fault/trouble.spin', timeout=20)
    h.wait_log(r'worker \d ended by signal 9')
    assert re.search(r'worker \d: its loop has not turned', h.log)
    assert h.call('/open').status == 200
    assert h.metrics()['mcpauth_worker_crashes_total'] == 1


# row 132, R28: again and again; the other service never sees an error on a connection of its own
def test_a_provider_that_crashes_again_and_again_never_stops_the_other_service(hub, upstream):
    h = hub(conf(upstream), workers=2)
    h.allowed_alarms = True
    for _ in range(8):
        with pytest.raises(OSError):
            h.call('/notes', token='fault/trouble.crash')
        assert h.call('/open').status == 200
    crashes = _until(lambda: (n := h.metrics()['mcpauth_worker_crashes_total']) >= 8 and n, 20, lambda: h.log)
    assert crashes == 8
    assert os.path.exists(f'/proc/{h.process.pid}')
