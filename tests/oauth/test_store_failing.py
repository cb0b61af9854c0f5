"""The store cannot be written or read: whoever needs it is told to come again, the hub says that it is
not ready, and all is well again by itself when the disk is.

MCPAUTH_DISK_FAULTS: in the sweep over its calls, from one that fails to the next; 1 is every one."""

import contextlib
import errno
import json
import os
import sqlite3
import threading
import time

import pytest

from support.hub import SLOW
from support.oauth import error, good, login, refresh, revoke, take
from support.people import App, Person
from support.preload import AUDIT_WRITE, HEARD, STORE_OPEN, STORE_READ, STORE_SYNC, STORE_WRITE, Step

STRIDE = int(os.environ.get('MCPAUTH_DISK_FAULTS', '6'))
FAULTS = {
    'full': ([Step(STORE_WRITE)], errno.ENOSPC),
    'broken': ([Step(STORE_WRITE | STORE_SYNC)], errno.EIO),
    'read-only': ([Step(STORE_OPEN | STORE_WRITE)], errno.EROFS),
}


@contextlib.contextmanager
def locked(hub, preload):
    """Somebody holds the store; the seconds that the hub waits for it pass at once."""
    over = threading.Event()
    with contextlib.closing(sqlite3.connect(hub.statedir / 'store.db', timeout=20, isolation_level=None)) as db:
        db.execute('BEGIN IMMEDIATE')

        def pass_time():
            for _ in range(20):  # not more: a code lives for a minute
                if not over.wait(0.05):
                    preload.advance(1)
        clock = threading.Thread(target=pass_time)
        clock.start()
        try:
            yield
        finally:
            over.set()
            clock.join()
            db.execute('ROLLBACK')


@pytest.fixture(params=[*FAULTS, 'locked'])
def fault(request, preload):
    """Makes the store of a hub fail within a block."""
    def fault(hub):
        if request.param == 'locked':
            return locked(hub, preload)
        steps, number = FAULTS[request.param]
        return preload.failing(*steps, error=number)
    return fault


@pytest.fixture
def served(login_hub, preload, oidc, upstream):
    oidc.ahead = lambda: preload.ahead
    hub = login_hub('oauth { refresh_grace 1h }', upstream=upstream.url, env=preload.env)
    preload.watch(hub)
    return hub


def ready(hub):
    return hub.request('GET', '/readyz').status, hub.admin('/readyz').status


def wait_ready(hub):
    """Nobody asks for anything that needs the store meanwhile."""
    end = time.monotonic() + 60 * SLOW
    while ready(hub) != (200, 200):
        assert time.monotonic() < end, ready(hub)
        time.sleep(0.05)
    assert hub.metrics()['mcpauth_store_failing'] == 0


def undecided(answer):
    return error(answer, 503) == 'temporarily_unavailable' and int(answer.headers['Retry-After']) > 0


def test_tokens_are_503_it_is_not_ready_and_nothing_is_lost(served, fault):
    _, one = login(served)
    tokens = good(take(served, _, one))
    app, code = login(served)
    assert ready(served) == (200, 200)
    with fault(served):
        assert undecided(take(served, app, code))
        assert undecided(refresh(served, tokens['refresh_token']))
        assert ready(served) == (503, 503) and served.request('GET', '/health').status == 200
        metrics = served.metrics()
        assert metrics['mcpauth_store_failing'] == 1
        assert metrics['mcpauth_store_commits_total{result="failed"}'] > 0
        assert served.call('/notes', token=tokens['access_token']).status == 200  # what needs no writing goes on
    wait_ready(served)
    good(take(served, app, code))
    good(refresh(served, tokens['refresh_token']))
    assert 'store: cannot be written' in served.log and 'works again' in served.log


def test_while_nothing_can_be_recorded_no_code_and_no_refresh_token_is_used_up(login_hub, preload, oidc, upstream):
    """They would be taken for stolen when they are shown again; rows 90, 102 and 192."""
    oidc.ahead = lambda: preload.ahead
    hub = login_hub('oauth { refresh_grace 0 }', upstream=upstream.url, env=preload.env)
    preload.watch(hub)
    _, one = login(hub)
    tokens = good(take(hub, _, one))
    app, code = login(hub)
    with preload.failing(Step(AUDIT_WRITE), error=errno.ENOSPC):
        assert hub.call('/notes', token=tokens['access_token']).status == 503  # from here on it is known
        assert undecided(take(hub, app, code))
        assert undecided(refresh(hub, tokens['refresh_token']))
        preload.advance(5)
    wait_ready(hub)
    good(take(hub, app, code))
    good(refresh(hub, tokens['refresh_token']))
    assert not hub.audit('grant_replayed')


def test_work_that_had_nothing_to_write_does_not_make_it_ready(served, preload):
    app, code = login(served)
    tokens = good(take(served, app, code))
    with preload.failing(Step(STORE_WRITE), error=errno.ENOSPC):
        assert undecided(revoke(served, tokens['refresh_token']))
        for _ in range(3):
            assert revoke(served, 'unknown').status == 200
            assert ready(served) == (503, 503)
    wait_ready(served)
    assert revoke(served, tokens['refresh_token']).status == 200
    assert served.call('/notes', token=tokens['access_token']).status == 401


def test_logins_and_registrations_say_so(served, preload, oidc):
    app, person = App(served, 'app', 'https://app.example/cb', service='notes'), Person(served)
    document = json.dumps({'client_name': 'X', 'redirect_uris': ['http://127.0.0.1/cb'],
                           'token_endpoint_auth_method': 'none'}).encode()
    with preload.failing(Step(STORE_WRITE), error=errno.ENOSPC):
        page = person.log_in(app)
        assert page.status == 503 and page.headers['Retry-After'] and 'code' not in (page.location or '')
        reply = served.request('POST', '/register', headers={'Content-Type': 'application/json'}, body=document)
        assert reply.status == 503
        assert not oidc.asked('/token')  # the provider's code was not spent in vain
    wait_ready(served)
    assert app.code(Person(served).log_in(app))


def test_what_cannot_be_read_is_neither_good_nor_bad(served, preload):
    app, code = login(served)
    tokens = good(take(served, app, code))
    with preload.failing(Step(STORE_READ), error=errno.EIO):
        answer = served.call('/notes', token=tokens['access_token'])
        assert answer.status == 503 and answer.headers['Retry-After']
        assert undecided(refresh(served, tokens['refresh_token']))
        assert ready(served) == (503, 503)
    wait_ready(served)
    assert served.call('/notes', token=tokens['access_token']).status == 200
    good(refresh(served, tokens['refresh_token']))
    assert 'store: cannot be read' in served.log and 'works again' in served.log


def test_what_a_provider_that_rotates_has_said_is_kept_when_the_store_is_back(served, preload, oidc):
    app, code = login(served)
    tokens = good(take(served, app, code))
    preload.advance(60)
    with preload.failing(Step(HEARD, '"access_token"'), Step(STORE_WRITE | STORE_SYNC), error=errno.EIO):
        assert undecided(refresh(served, tokens['refresh_token']))
        spent = oidc.count['/token']
    wait_ready(served)
    for i in range(2):
        preload.advance(20)
        tokens = good(refresh(served, tokens['refresh_token']))
        assert oidc.count['/token'] == spent + i + 1  # it was asked with its newest token, else it had ended the login


@pytest.mark.slow
def test_whichever_write_or_sync_is_the_first_to_fail_what_was_refused_can_be_asked_again(served, preload):
    """A login and what follows; from the first call to the last that its work needs. Row 192."""
    at, failed = 0, True
    app, code = login(served)
    tokens = good(take(served, app, code))
    while failed:
        failed, dead = False, tokens

        def ask(step, refused):
            """What STEP gives; when the store fails, once more with it whole."""
            nonlocal failed
            answer = step()
            if answer.status == 503:
                assert refused(answer)
                failed = True
                preload.disarm()
                preload.advance(16)  # a refresh that could not be kept holds its lease
                wait_ready(served)
                answer = step()
            return answer
        with preload.failing(Step(STORE_WRITE | STORE_SYNC, skip=at), error=errno.EIO):
            app = App(served, 'app', 'https://app.example/cb', service='notes')
            code = app.code(ask(lambda: Person(served).log_in(app), lambda page: 'code' not in (page.location or '')))
            tokens = good(ask(lambda: take(served, app, code), undecided))
            preload.advance(5)
            tokens = good(ask(lambda: refresh(served, tokens['refresh_token']), undecided))
            assert ask(lambda: revoke(served, dead['refresh_token']), undecided).status == 200
        assert error(refresh(served, dead['refresh_token'])) == 'invalid_grant'
        assert served.call('/notes', token=dead['access_token']).status == 401
        at += STRIDE
    assert at > 30, 'the faults did not come between'
    served.kill()
    served.start()
    assert served.call('/notes', token=tokens['access_token']).status == 200
    assert error(refresh(served, dead['refresh_token'])) == 'invalid_grant'
    print(f'{at // STRIDE} places in some {at} calls')
