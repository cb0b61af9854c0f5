"""Providers that crash, hang, block, spin or answer nonsense: never a 2xx, nothing forwarded, and no other
service notices (rows 19, 132, 133, 134)."""

import http.client
import json
import threading
import time

import pytest

from support.client import rpc
from support.hub import SLOW

CONF = '''
provider p0 {{ module fault; deadline 400ms }}
provider b0 {{ module fault-blocking; deadline 400ms }}
provider good {{ module fault; answer OK }}
service bad    {{ path /bad; upstream {url}; auth sufficient p0 }}
service block  {{ path /block; upstream {url}; auth sufficient b0 }}
service fine   {{ path /fine; upstream {url}; auth required good }}
'''

# What is lost when a worker dies in the middle of a request.
BROKEN = (http.client.HTTPException, ConnectionError)


def ask(h, path, script, **kw):
    return h.request('POST', path, body=rpc('ping'), headers={'Authorization': f'Bearer fault/{script}'}, **kw)


def fine(h):
    return ask(h, '/fine', 'x').status


@pytest.fixture
def faulty(hub, upstream):
    return hub(CONF.format(url=upstream.url))


# ---- nonsense (row 134)

NONSENSE = ['999', '0', '-1', '8', '2147483647', 'OK.nosubject', 'OK.badsubject', 'OK.ctlsubject',
            'OK.longsubject', 'OK.badclaim', 'OK.hugeclaim', 'INVALID.hugeclaim', 'OK.bare', 'OK.two',
            'OK.late', 'nothing']


@pytest.mark.parametrize('script', NONSENSE)
def test_nonsense_is_500_and_nothing_is_forwarded(faulty, upstream, script):
    assert ask(faulty, '/bad', f'p0.{script}').status == 500
    assert upstream.requests == []
    assert fine(faulty) == 200


@pytest.mark.parametrize('script', ['999', '0', 'OK.nosubject', 'OK.badsubject', 'OK.bare', 'OK.hugeclaim'])
def test_nonsense_from_a_job_thread_is_500(faulty, upstream, script):
    assert ask(faulty, '/block', f'b0.{script}').status == 500
    assert upstream.requests == []


def test_a_refusal_tells_the_client_nothing_of_the_provider(faulty):
    reply = ask(faulty, '/bad', 'p0.DENY')
    assert reply.status == 403
    assert 'told to' not in reply.text and 'p0' not in reply.text
    [record] = faulty.wait_audit('decision', status=403)
    assert record['trace'][0]['reason'] == 'told to'


# ---- crashes (row 132)

@pytest.mark.parametrize('way', ['crash', 'abort', 'exit'])
@pytest.mark.parametrize('path, name', [('/bad', 'p0'), ('/block', 'b0')])
def test_a_crash_costs_the_connections_of_one_worker_and_it_is_replaced(hub, upstream, way, path, name):
    h = hub(CONF.format(url=upstream.url))
    h.allowed_alarms = True  # a sanitizer reports the crash that was asked for
    assert fine(h) == 200
    try:
        status = ask(h, path, f'{name}.OK.{way}').status
    except BROKEN:
        status = None
    assert status is None or status >= 500
    end = time.monotonic() + 60 * SLOW  # 1 s, and the machine may be busy
    while True:
        try:
            assert fine(h) == 200
            break
        except BROKEN:
            assert time.monotonic() < end, 'no worker came back'
            time.sleep(0.02)
    assert len(upstream.requests) == 2


def test_a_crash_is_not_seen_on_another_worker(hub, upstream):
    h = hub(CONF.format(url=upstream.url), workers=2)
    h.allowed_alarms = True
    auth = {'Authorization': 'Bearer fault/x'}
    state = json.loads(h.cli('status', '--json', check=True).stdout)
    one, two = [w['pid'] for w in state['generations'][0]['workers']]
    workers = h.taken_by(one, [two], 8), h.taken_by(two, [one], 8)
    with pytest.raises(BROKEN):
        ask(h, '/bad', 'p0.OK.crash')
    answers = [set(), set()]
    for seen, connections in zip(answers, workers):
        for c in connections:
            try:
                seen.add(c.request('POST', '/fine', body=rpc('ping'), headers=auth).status)
            except BROKEN:
                seen.add(None)
            c.close()
    assert sorted(answers, key=str) == [{200}, {None}]


def test_requests_of_others_that_wait_in_a_crashed_worker_are_never_2xx(hub, upstream):
    h = hub(CONF.format(url=upstream.url).replace('400ms', '30s'))
    h.allowed_alarms = True
    answers = []
    connections = [h.connect() for _ in range(8)]
    for c in connections:
        assert c.request('GET', '/health').status == 200

    def wait(c):
        try:
            answers.append(c.request('POST', '/bad', body=rpc('ping'),
                                     headers={'Authorization': 'Bearer fault/p0.OK.delay~20000'}).status)
        except BROKEN:
            answers.append(None)
    threads = [threading.Thread(target=wait, args=(c,)) for c in connections]
    for t in threads:
        t.start()
    time.sleep(0.3)
    with pytest.raises(BROKEN):
        ask(h, '/bad', 'p0.OK.crash')
    for t in threads:
        t.join()
    assert answers == [None] * 8
    assert upstream.requests == []


# ---- hangs (row 133)

@pytest.mark.parametrize('path, script', [('/bad', 'p0.OK.hang'), ('/bad', 'p0.OK.block~1500'),
                                          ('/block', 'b0.OK.delay~1500')])
def test_a_hang_is_503_at_the_deadline_and_not_before(faulty, upstream, path, script):
    start = time.monotonic()
    reply = ask(faulty, path, script)
    took = time.monotonic() - start
    assert reply.status == 503 and 'Retry-After' in reply.headers
    assert took >= 0.39
    assert upstream.requests == []


def slowest_beside_hangs(h, path, script):
    """Of twenty requests to another service while forty hang until their deadline."""
    answers, slowest = [], 0
    threads = [threading.Thread(target=lambda i=i: answers.append(
        ask(h, path, f'{script}/x{i}.OK').status)) for i in range(40)]
    for t in threads:
        t.start()
    for _ in range(20):
        start = time.monotonic()
        assert fine(h) == 200
        slowest = max(slowest, time.monotonic() - start)
    for t in threads:
        t.join()
    assert set(answers) == {503}
    return slowest


@pytest.mark.parametrize('path, script', [('/bad', 'p0.OK.hang'), ('/block', 'b0.OK.delay~2000')])
def test_hangs_do_not_disturb_another_service(faulty, path, script):
    assert fine(faulty) == 200
    # who waits behind a hang always does; a loaded machine makes pauses of its own
    assert any(slowest_beside_hangs(faulty, path, script) < 0.3 for _ in range(10))


def test_a_provider_whose_threads_hang_is_503_at_once(hub, upstream):
    h = hub(CONF.format(url=upstream.url).replace('400ms', '1s'))
    threads = [threading.Thread(target=lambda i=i: ask(h, '/block', f'b0.OK.delay~5000/x{i}.OK'))
               for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()  # at the deadline; the job threads still sleep
    seconds = []
    for _ in range(5):
        start = time.monotonic()
        assert ask(h, '/block', 'b0.OK/x.OK').status == 503
        seconds.append(time.monotonic() - start)
    assert min(seconds) < 0.5  # and not at the deadline
    end = time.monotonic() + 30 * SLOW
    while (status := ask(h, '/block', 'b0.OK/x.OK').status) != 200:
        assert status == 503 and time.monotonic() < end
        time.sleep(0.1)


def test_a_worker_that_spins_is_ended_and_replaced(hub, upstream):
    h = hub(CONF.format(url=upstream.url), hub='watchdog 1s')
    h.allowed_alarms = True
    with pytest.raises(BROKEN + (TimeoutError,)):
        ask(h, '/bad', 'p0.OK.spin')
    end = time.monotonic() + 60 * SLOW
    while True:
        try:
            assert fine(h) == 200
            break
        except BROKEN:
            assert time.monotonic() < end
            time.sleep(0.05)
    assert len(upstream.requests) == 1


def test_a_client_that_leaves_ends_its_evaluation(hub, upstream, idp):
    """The provider asks a server that never answers; the client leaves; so does the hub."""
    idp.documents['/slow'] = {}
    idp.fault('/slow', hang=True)
    h = hub('provider p0 { module fault; deadline 20s; url %s/slow }\n' % idp.issuer +
            'service bad { path /bad; upstream %s; auth sufficient p0 }' % upstream.url)
    c = h.connect()
    c.http.putrequest('POST', '/bad', skip_host=True)
    for name, value in (('Host', h.host), ('Authorization', 'Bearer fault/p0.OK.http'),
                        ('Content-Type', 'application/json'), ('Content-Length', '2')):
        c.http.putheader(name, value)
    c.http.endheaders(b'{}')
    idp.wait_count('/slow', 1)
    c.close()
    h.stop(15)  # would wait for what is in flight


# ---- what belongs to the process (row 135)

def test_a_provider_that_changes_its_process_disturbs_no_other_service(hub, upstream):
    h = hub(CONF.format(url=upstream.url))
    assert ask(h, '/bad', 'p0.OK.mess').status == 200
    assert fine(h) == 200
    assert ask(h, '/block', 'b0.OK.delay~10').status == 200
    h.configure(CONF.format(url=upstream.url) + '# another text\nscope x { text "X" }\n')
    h.reload()  # the next generation begins from what the master is
    assert fine(h) == 200
    h.stop()    # and the worker that was changed still ends when it is told


def test_instances_of_one_provider_share_nothing(hub, upstream):  # row 136
    names = [f'i{n}' for n in range(12)]
    h = hub(''.join(f'provider {n} {{ module fault; answer {"OK" if i % 2 else "DENY"}.sub~{n}.reuse~60000 }}\n'
                    f'service s{n} {{ path /{n}; upstream {upstream.url}; auth required {n} }}\n'
                    for i, n in enumerate(names)))
    for _ in range(2):
        for i, n in enumerate(names):
            assert ask(h, f'/{n}', 'x').status == (200 if i % 2 else 403)
    granted = [(r['service'], r['subject']) for r in h.wait_audit('decision', 24) if r['status'] == 200]
    assert granted == [(f's{n}', n) for n in names[1::2]] * 2


# ---- start and check

@pytest.mark.parametrize('trouble', ['refuse', 'crash', 'exit'])
@pytest.mark.parametrize('when', ['on_check', 'on_start'])
def test_a_bad_provider_in_a_reload_leaves_the_old_configuration(hub, upstream, when, trouble):
    h = hub(CONF.format(url=upstream.url))
    h.allowed_alarms = True
    h.configure(CONF.format(url=upstream.url) +
                'provider sick { module fault; %s %s }\n' % (when, trouble) +
                'service sick { path /sick; upstream %s; auth required sick }\n' % upstream.url)
    assert h.reload(check=False).returncode != 0
    assert fine(h) == 200


# ---- what is cached (rows 18, 187)

def test_concurrent_misses_of_one_token_cost_one_question(hub, upstream, idp):
    idp.documents['/who'] = {}
    idp.fault('/who', body='{}', delay=0.3)
    h = hub('provider p0 { module fault; url %s/who }\n' % idp.issuer +
            'service bad { path /bad; upstream %s; auth sufficient p0 }' % upstream.url)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        ask(h, '/bad', 'p0.OK.http.reuse~60000').status)) for _ in range(32)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [200] * 32
    assert idp.count['/who'] == 1
    assert ask(h, '/bad', 'p0.OK.http.reuse~60000').status == 200
    assert idp.count['/who'] == 1


def test_a_cached_identity_does_not_pass_an_account_line_that_refuses_the_address(hub, upstream):
    h = hub('''
provider p0   {{ module fault }}
provider gate {{ module fault; answer DENY.from~2001:db8::66 }}
service notes {{ path /notes; upstream {url}; auth required p0; account gate }}
'''.format(url=upstream.url), hub='trusted_proxy 127.0.0.1/32')
    for address, status in (('2001:db8::1', 200), ('2001:db8::66', 403), ('2001:db8::1', 200)):
        reply = h.request('POST', '/notes', body=rpc('ping'), headers={
            'Authorization': 'Bearer fault/p0.OK.reuse~60000', 'X-Forwarded-For': address})
        assert reply.status == status
    cached = [r['trace'][0].get('cached', False) for r in h.wait_audit('decision', 3)]
    assert cached == [False, True, True]


def test_a_token_primed_at_one_service_is_refused_at_another_that_shares_the_stack(hub, upstream, idp):
    h = hub('''
provider corp {{ module bearer-jwt; issuer {issuer}; jwks_uri {jwks} }}
stack staff {{ auth required corp }}
service a {{ path /a; upstream {url}; auth include staff }}
service b {{ path /b; upstream {url}; auth include staff }}
'''.format(issuer=idp.issuer, jwks=idp.jwks_uri, url=upstream.url))
    token = idp.token(aud=h.public_url + '/a', sub='ann')
    for _ in range(2):
        assert h.call('/a', token=token).status == 200
        reply = h.call('/b', token=token)
        assert reply.status == 401 and 'error="invalid_token"' in reply.challenge
    assert len(upstream.requests) == 2


def test_a_reload_begins_with_an_empty_cache(hub, upstream):
    h = hub('provider p0 { module fault; answer OK.reuse~60000 }\n' +
            'service notes { path /notes; upstream %s; auth required p0 }' % upstream.url)
    assert ask(h, '/notes', 'x').status == 200
    h.configure('provider p0 { module fault; answer INVALID }\n' +
                'service notes { path /notes; upstream %s; auth required p0 }' % upstream.url)
    h.reload()
    assert ask(h, '/notes', 'x').status == 401


def test_a_request_ends_in_the_generation_in_which_it_began(hub, upstreams, idp):  # row 188
    idp.documents['/slow'] = {}
    idp.fault('/slow', delay=2)
    old, new = upstreams(), upstreams()
    conf = 'provider p0 {{ module fault; deadline 20s; ' + f'url {idp.issuer}/slow' + ' }}\nservice notes {{ path /notes; upstream {url}; auth required p0 }}'
    h, answers = hub(conf.format(url=old.url)), []
    thread = threading.Thread(target=lambda: answers.append(ask(h, '/notes', 'p0.OK.http').status))
    thread.start()
    idp.wait_count('/slow', 1)
    h.configure(conf.format(url=new.url).replace('auth required p0', 'auth required p0; account p0')
                .replace('module fault', 'module fault; answer DENY'))
    h.reload()
    assert ask(h, '/notes', 'q.OK').status == 403
    thread.join()
    assert answers == [200]
    assert len(old.requests) == 1 and new.requests == []


# ---- who sees the credential (row 23)

def test_of_two_remote_lines_only_the_first_claimant_gets_the_credential(hub, upstream):
    h = hub('''
provider r0 {{ module fault-remote }}
provider r1 {{ module fault-remote }}
service notes {{ path /notes; upstream {url}; auth sufficient r0; auth sufficient r1 }}
'''.format(url=upstream.url))
    for script, trace in (('r0.INVALID/r1.OK', ['INVALID', 'IGNORE']), ('r1.OK', ['IGNORE', 'OK'])):
        ask(h, '/notes', script)
    records = h.wait_audit('decision', 1)
    assert [t['result'] for t in records[-1]['trace']] == ['IGNORE', 'OK']
    assert ask(h, '/notes', 'r0.INVALID/r1.OK').status == 401
