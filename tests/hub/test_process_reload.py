"""Taking a new configuration up: whole or not at all, once for many who ask, and always answered."""

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import threading
import time

from support.hub import SLOW


def conf(upstream, *names):
    return ''.join(f'service {n} {{ path /{n}; upstream {upstream.url}; anonymous * }}\n' for n in names)


def serving(h):
    """The generation that serves, as `mcpauth status --json` tells it."""
    state = json.loads(h.cli('status', '--json', check=True).stdout)
    return next(g for g in state['generations'] if g['state'] == 'serving')


def test_a_reload_takes_up_a_new_service(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    assert h.call('/more').status == 404
    h.configure(conf(upstream, 'notes', 'more'))
    h.reload()
    assert h.call('/more').status == 200
    assert h.call('/notes').status == 200


# a script may go on right behind it
def test_when_reload_returns_every_new_connection_meets_the_new_configuration(hub, upstream):
    h = hub(conf(upstream, 'notes'), workers=2)
    for i in range(8):
        h.configure(conf(upstream, 'notes', f'v{i}'))
        h.reload()
        assert [h.call(f'/v{i}').status for _ in range(6)] == [200] * 6


# rows 146, 147: exit status, text, metric, log and audit record; what was serving goes on
def test_a_bad_configuration_changes_nothing_and_is_told_to_everybody(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    before = serving(h)
    h.configure({'hub.conf': conf(upstream, 'notes') + 'serviec more { }\n'})
    done = h.reload(check=False)
    assert done.returncode == 1
    assert re.search(r"hub\.conf:\d+:\d+: error: .*serviec", done.stderr)
    assert 'generation 1 goes on' in done.stderr
    assert h.call('/notes').status == 200
    assert serving(h)['workers'] == before['workers'] or serving(h)['leader'] == before['leader']
    assert h.metrics()['mcpauth_reloads_total{result="failed"}'] == 1
    assert h.metrics()['mcpauth_reloads_total{result="ok"}'] == 0
    assert 'serviec' in h.log
    assert 'serviec' in h.wait_audit('reload_failed')[0]['error']


def test_an_unchanged_configuration_is_left_alone_and_the_answer_says_so(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    before = serving(h)
    done = h.reload()
    assert 'unchanged' in done.stdout
    after = serving(h)
    assert [w['pid'] for w in after['workers']] == [w['pid'] for w in before['workers']]


def test_sighup_reloads(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    h.configure(conf(upstream, 'notes', 'more'))
    h.process.send_signal(signal.SIGHUP)
    h.wait_log(r'generation 2 serves')
    end = time.monotonic() + 60 * SLOW
    while h.call('/more').status != 200:  # nobody is told when the old one has stopped to accept
        assert time.monotonic() < end
        time.sleep(0.02)


# row 146: a storm of requests shares loads, and every one of them is answered by a load that began
# after it asked
def test_many_requests_at_once_share_a_reload(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    h.configure(conf(upstream, 'notes', 'more'))
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: h.reload(check=False), range(12)))
    assert [a.returncode for a in answers] == [0] * 12
    for _ in range(50):
        h.process.send_signal(signal.SIGHUP)
    assert h.reload().returncode == 0
    assert serving(h)['generation'] == 2  # all later ones found nothing new
    assert h.call('/more').status == 200


# row 146: whatever is on disk at the end is what is served; nothing piles up on the way
def test_a_storm_of_sighups_while_files_are_rewritten_ends_in_the_last_configuration(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    end, n = time.monotonic() + 3, 0
    while time.monotonic() < end:
        n += 1
        h.configure(conf(upstream, 'notes', f'v{n}') + ('nonsense\n' if n % 3 == 0 else ''))
        for _ in range(10):
            h.process.send_signal(signal.SIGHUP)
        assert h.call('/notes').status == 200
    h.configure(conf(upstream, 'notes', 'last'))
    h.reload()
    assert h.call('/last').status == 200
    assert h.call(f'/v{n}').status == 404
    assert len(h.processes()) <= 1 + 3 * (8 + 2)


def test_a_listener_keeps_its_port_across_reloads(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    ports = h.port_file.read_text()
    h.configure(conf(upstream, 'notes', 'more'))
    h.reload()
    assert h.port_file.read_text() == ports
    assert h.call('/more').status == 200


def test_a_listener_that_is_gone_from_the_configuration_is_closed(hub, upstream):
    h = hub(conf(upstream, 'notes'), hub='listen unix:{dir}/extra.sock')
    extra = str(h.dir / 'extra.sock')
    assert h.request('GET', '/health', address=extra).status == 200
    h.extra = ''
    h.configure(conf(upstream, 'notes'))
    h.reload()
    assert not (h.dir / 'extra.sock').exists()
    assert h.call('/notes').status == 200


def test_a_new_listener_is_opened_by_a_reload(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    h.extra = 'listen unix:{dir}/extra.sock'
    h.configure(conf(upstream, 'notes'))
    h.reload()
    assert h.request('GET', '/health', address=str(h.dir / 'extra.sock')).status == 200
    assert f'unix:{h.dir}/extra.sock 0' in h.port_file.read_text().splitlines()


def test_an_address_in_use_refuses_the_reload_and_names_the_line(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    h.extra = f'listen 127.0.0.1:{upstream.port}'
    h.configure(conf(upstream, 'notes'))
    done = h.reload(check=False)
    assert done.returncode == 1
    assert re.search(r'00-hub\.conf:\d+:\d+: error: listen 127.0.0.1:\d+: the address is in use',
                     done.stderr)
    assert h.call('/notes').status == 200


# the old generation hears of it only after the new one is ready, and its requests are finished
def test_a_request_in_flight_is_finished_by_the_generation_that_took_it(hub, upstream):
    h = hub(conf(upstream, 'notes'))

    release = threading.Event()

    def slow(x):
        release.wait(60)
        x.result({'slow': True})
    upstream.handler = slow
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(h.call, '/notes', timeout=60)
        upstream.wait_requests(1)
        try:
            h.configure(conf(upstream, 'notes', 'more'))
            h.reload()
            assert 'draining' in h.status()
        finally:
            release.set()
        assert call.result().json()['result'] == {'slow': True}


# row 137: a provider that is no longer configured is still asked to its end by whoever waits for it
def test_a_provider_is_not_taken_away_from_a_request_that_waits_for_it(hub, upstream, idp):
    idp.documents['/slow'] = {}
    idp.fault('/slow', delay=2)
    guarded = 'service notes {{ path /notes; upstream {}; auth sufficient {} }}\n'.format
    h = hub(f'provider p0 {{ module fault; deadline 20s; url {idp.issuer}/slow }}\n' + guarded(upstream.url, 'p0'))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(h.call, '/notes', token='fault/p0.OK.http', timeout=60)
        idp.wait_count('/slow', 1)
        h.configure('provider p1 { module static-token; file {conf}/none }\n' + guarded(upstream.url, 'p1'))
        h.write('none', '')
        h.reload()
        assert call.result().status == 200
    assert h.call('/notes', token='fault/p0.OK.http').status == 401


# row 132: the leader holds the configuration; without it a new one is made
def test_a_leader_that_dies_is_replaced_with_its_workers(hub, upstream):
    h = hub(conf(upstream, 'notes'), workers=2)
    before = serving(h)
    os.kill(before['leader'], signal.SIGKILL)
    h.wait_log(r'generation 2 serves')
    assert h.call('/notes').status == 200
    after = serving(h)
    assert {w['pid'] for w in after['workers']}.isdisjoint(w['pid'] for w in before['workers'])


def test_reload_without_a_daemon_says_that_none_answers(hub):
    h = hub('', start=False)
    done = h.reload(check=False)
    assert done.returncode == 1
    assert 'no mcpauthd answers at' in done.stderr


def mode_of(path):
    return oct(path.stat().st_mode & 0o777)


# row 146: whoever may connect to a unix socket is part of what a refused reload leaves alone
def test_the_mode_of_a_unix_socket_changes_with_the_generation_and_not_before(hub, upstream):
    h = hub(conf(upstream, 'notes'), hub='listen unix:{dir}/in.sock { mode 0600 }')
    assert mode_of(h.dir / 'in.sock') == '0o600'
    h.extra = 'listen unix:{dir}/in.sock { mode 0666 }'
    h.configure('provider p { module fault; answer OK; on_start refuse }\n' + conf(upstream, 'notes') +
                f'service more {{ path /more; upstream {upstream.url}; auth required p }}\n')
    assert 'could not start' in h.reload(check=False).stderr
    assert mode_of(h.dir / 'in.sock') == '0o600'
    h.configure(conf(upstream, 'notes'))
    h.reload()
    assert mode_of(h.dir / 'in.sock') == '0o666'


# the folder may be one in which others, too, may make files
def test_what_stands_in_the_place_of_a_unix_socket_keeps_its_mode(hub, upstream):
    h = hub(conf(upstream, 'notes'), hub='listen unix:{dir}/in.sock { mode 0600 }')
    victim, sock = h.dir / 'victim', h.dir / 'in.sock'
    victim.write_text('')
    victim.chmod(0o600)
    sock.unlink()
    sock.symlink_to(victim)
    h.extra = 'listen unix:{dir}/in.sock { mode 0666 }'
    h.configure(conf(upstream, 'notes'))
    done = h.reload(check=False)
    assert mode_of(victim) == '0o600'
    assert done.returncode == 1
    assert re.search(r'00-hub\.conf:\d+:\d+: error: listen unix:.*there is something else at that path', done.stderr)


def leader_of(h, state):
    return next((g['leader'] for g in json.loads(h.cli('status', '--json').stdout)['generations']
                 if g['state'] == state), None)


# row 146: of two that load at once the one that read the files first might be ready last, and stay
def test_a_generation_that_replaces_a_dead_one_and_a_reload_do_not_load_at_once(hub, upstream):
    h = hub(conf(upstream, 'notes'))
    stopped = serving(h)['workers'][0]['pid']
    os.kill(stopped, signal.SIGSTOP)  # the reload waits for it for a while
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        h.configure(conf(upstream, 'notes', 'more'))
        first = pool.submit(h.reload, check=False)
        h.wait_log('generation 2 serves')
        second = pool.submit(h.reload, check=False)
        h.configure('provider p { module fault; answer OK; on_check hang }\n' + conf(upstream, 'notes') +
                    f'service slow {{ path /slow; upstream {upstream.url}; auth required p }}\n')
        os.kill(serving(h)['leader'], signal.SIGKILL)
        h.wait_log('the leader of generation 2 ended by signal 9')
        answer = first.result()
        with contextlib.suppress(ProcessLookupError):  # the watchdog may have been there
            os.kill(stopped, signal.SIGCONT)
        states = {g['generation']: g['state'] for g in json.loads(h.cli('status', '--json').stdout)['generations']}
        assert states[3] == 'loading' and max(states) == 3
        assert answer.returncode == 1 and 'no generation serves' in answer.stderr
        h.configure(conf(upstream, 'notes', 'last'))
        os.kill(leader_of(h, 'loading'), signal.SIGKILL)
        assert second.result().returncode == 0
    assert h.call('/last').status == 200
