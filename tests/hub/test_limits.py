"""Limits per caller, over all workers: 429 with Retry-After."""

import json
import os
import signal
import time

import pytest
from support.hub import SLOW
from support.tokens import Key, jwks, jwt, key

ISSUER, NOTES = 'https://login.example.com', 'http://127.0.0.1:7070/notes'
RS = key('RS256')
FORGER = Key('ES256', kid='forged')
CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks; leeway 0s }}
scope notes:read {{ text "Read" }}
stack staff {{ auth required corp }}
service notes {{ path /notes; upstream {url}; auth include staff; {more} }}
service mails {{ path /mails; upstream {url}; auth include staff }}
''' % ISSUER


@pytest.fixture
def notes(hub, upstream):
    def make(limits, more='', **kw):
        return hub(CONF.format(url=upstream.url, conf='{conf}', more=more), hub=limits,
                   files={'corp.jwks': json.dumps(jwks(RS))}, **kw)
    return make


def token(subject='ada', client='app', signer=RS, **over):
    return jwt(signer, iss=ISSUER, aud=[NOTES, 'http://127.0.0.1:7070/mails'], sub=subject,
               client_id=client, azp=client, **over)


def statuses(h, n, path='/notes', **kw):
    return [h.call(path, 'ping', **kw).status for _ in range(n)]


def limited(r):
    assert r.status == 429, r
    assert r.challenge is None and int(r.headers['Retry-After']) >= 1
    return True


# A limit of one a second is over at the second request, however slow the machine is not.

@pytest.mark.parametrize('what, same, other', [
    ('principal', {'client': 'another app'}, {'subject': 'eve'}),
    ('client', {'subject': 'eve'}, {'client': 'another app'})])
def test_requests_a_second_are_counted_of_one(notes, upstream, what, same, other):
    h = notes(f'max_requests_per_{what} 1')
    tokens = [token(), token(**same)]
    got = [h.call('/notes', 'ping', token=tokens[i % 2]) for i in range(12)]
    assert got[0].status == 200
    assert sum(r.status == 429 for r in got) >= 6
    assert all(limited(r) for r in got if r.status != 200)
    assert h.call('/notes', 'ping', token=token(**other)).status == 200
    assert len(upstream.requests) == sum(r.status == 200 for r in got) + 1
    assert h.metrics()['mcpauth_limited_total'] == sum(r.status == 429 for r in got)


def test_requests_of_an_address_are_counted_before_anything_is_verified(notes, upstream):
    h = notes('max_requests_per_address 1')
    got = statuses(h, 12)
    assert got[0] == 401 and got.count(429) >= 6


def test_a_rate_holds_over_all_workers(notes, upstream):
    h = notes('max_requests_per_principal 5', workers=3)
    t, start = token(), time.monotonic()
    good = statuses(h, 60, token=t).count(200)
    assert 5 <= good <= 5 + 5 * (time.monotonic() - start) + 1


def test_who_waits_as_told_is_served_again(notes):
    h = notes('max_requests_per_principal 1')
    t = token()
    for r in iter(lambda: h.call('/notes', 'ping', token=t), None):
        if r.status == 429:
            break
    time.sleep(int(r.headers['Retry-After']))
    assert h.call('/notes', 'ping', token=t).status == 200


def test_a_refusal_for_a_limit_is_recorded_with_the_caller(notes):
    h = notes('max_requests_per_principal 1')
    t = token()
    statuses(h, 6, token=t)
    [r, *_] = h.wait_audit('decision', decision='deny')
    assert (r['status'], r['why'], r['subject']) == (429, 'rate of the principal', 'ada')


# ---- open at once

@pytest.mark.parametrize('what', ['principal', 'client', 'address'])
@pytest.mark.parametrize('workers', [1, 2])
def test_open_streams_are_counted_until_they_end(notes, upstream, what, workers):
    upstream.reply_sse([{'n': 1}], hold=True)
    h = notes(f'max_open_per_{what} 3', workers=workers)
    t = token()
    streams = [h.stream('GET', '/notes', token=t) for _ in range(3)]
    assert [s.status for s in streams] == [200] * 3
    assert limited(h.request('GET', '/notes', token=t))
    streams.pop().close()
    end = time.monotonic() + 60 * SLOW
    while (s := h.stream('GET', '/notes', token=t)).status == 429:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert s.status == 200
    for s in [s, *streams]:
        s.close()


def test_a_crashed_workers_streams_are_given_back(notes, upstream):
    upstream.reply_sse([{'n': 1}], hold=True)
    h = notes('max_open_per_principal 2')
    t = token()
    streams = [h.stream('GET', '/notes', token=t) for _ in range(2)]
    assert h.request('GET', '/notes', token=t).status == 429
    state = json.loads(h.cli('status', '--json', check=True).stdout)
    os.kill(state['generations'][0]['workers'][0]['pid'], signal.SIGKILL)
    end = time.monotonic() + 60 * SLOW
    while True:
        try:
            s = h.stream('GET', '/notes', token=t)
            if s.status == 200:
                break
        except OSError:
            pass
        assert time.monotonic() < end
        time.sleep(0.1)
    s.close()
    for s in streams:
        s.close()


# ---- guessing

def test_forged_credentials_slow_their_address_down_before_verification(notes, upstream):
    h = notes('max_failures_per_address 5')
    forged = [h.call('/notes', 'ping', token=token(signer=FORGER, jti=str(i))) for i in range(20)]
    assert [r.status for r in forged[:5]] == [401] * 5
    assert limited(forged[-1]) and [r.status for r in forged].count(401) <= 7
    fresh = h.call('/notes', 'ping', token=token(jti='never seen'))
    assert limited(fresh)


def test_a_credential_that_is_known_passes_all_the_same(notes, upstream):
    h = notes('max_failures_per_address 5')
    t = token()
    assert h.call('/notes', 'ping', token=t).status == 200
    for i in range(12):
        h.call('/notes', 'ping', token=token(signer=FORGER, jti=str(i)))
    assert statuses(h, 5, token=t) == [200] * 5


def test_another_service_is_not_slowed_down(notes, upstream):
    h = notes('max_failures_per_address 5')
    for i in range(12):
        h.call('/notes', 'ping', token=token(signer=FORGER, jti=str(i)))
    assert h.call('/mails', 'ping', token=token()).status == 200


@pytest.mark.parametrize('what', ['none', 'expired', 'narrow'])
def test_those_who_only_lack_something_are_never_slowed_down(notes, what):
    h = notes('max_failures_per_address 3', more='require scope notes:read')
    made = {'none': lambda i: None, 'expired': lambda i: token(exp=1000000000 + i),
            'narrow': lambda i: token(jti=str(i))}[what]
    expected = {'none': 401, 'expired': 401, 'narrow': 403}[what]
    assert [h.call('/notes', 'ping', token=made(i)).status for i in range(12)] == [expected] * 12
    assert h.call('/notes', 'ping', token=token(jti='never seen', scope='notes:read')).status == 200
