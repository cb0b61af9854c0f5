"""A worker dies at a chosen call: between what the provider answers, the record, the store's commit and
what the client hears (row 192). No token without its record, no half a grant, nothing acknowledged is
lost, and whoever asked can ask again. support/preload.py kills at the call; the product has no hooks."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import sqlite3
import time

import pytest

from support.hub import SLOW, _until
from support.oauth import claims_of, error, good, login, refresh, revoke, take
from support.people import App, Person
from support.preload import ANSWER, ASKED, AUDIT_WRITE, BELL, HEARD, STORE_SYNC, STORE_WRITE, Step


pytestmark = pytest.mark.slow


def store_points(begun):
    """From where BEGUN is over to where its commit is on the disk."""
    return {
        'before the store is written': [begun, Step(STORE_WRITE)],
        'when the store is half written': [begun, Step(STORE_WRITE, after=True)],
        'before the disk has it': [begun, Step(STORE_SYNC)],
        'when the disk has it': [begun, Step(STORE_SYNC, after=True)],
        'when it is done and nobody knows': [begun, Step(STORE_WRITE), Step(BELL)],
    }


def answer_points(event, answer):
    return {
        'before the record': [Step(AUDIT_WRITE, f'"event":"{event}"')],
        'after the record': [Step(AUDIT_WRITE, f'"event":"{event}"', after=True)],
        'before the answer': [Step(ANSWER, answer)],
        'after the answer': [Step(ANSWER, answer, after=True)],
    }


PROVIDER_SAID = Step(HEARD, '"access_token"')
LOGIN = {
    'when the provider has answered': [PROVIDER_SAID],
    **answer_points('login', 'code='),  # its record comes before the store
    **store_points(Step(AUDIT_WRITE, '"event":"login"', after=True)),
}
CODE = {
    'when it was asked for': [Step(ASKED, 'authorization_code')],
    **store_points(Step(ASKED, 'authorization_code')),
    **answer_points('token', '"access_token"'),
}
REFRESH = {
    'before the lease is taken': [Step(ASKED, 'refresh_token'), Step(STORE_WRITE)],
    'before the provider is asked': [Step(ASKED, 'refresh_token'), Step(STORE_SYNC, after=True)],
    'when the provider has answered': [PROVIDER_SAID],
    **store_points(PROVIDER_SAID),
    **answer_points('token', '"access_token"'),
}
REVOKE = {
    **store_points(Step(ASKED, 'token=')),
    'before the answer': [Step(ANSWER, '{}')],
    'after the answer': [Step(ANSWER, '{}', after=True)],
}
KEPT = ('before the record', 'after the record', 'before the answer', 'after the answer')  # at /token


def stop(pid):
    """Returns when it does stand still: until then it may take a connection."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + 60 * SLOW
    while pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'T':
        assert time.monotonic() < end
        time.sleep(0.001)


class Site:
    """A hub whose workers die when they are told to."""

    def __init__(self, hub, preload):
        self.hub, self.preload = hub, preload
        preload.watch(hub)

    def dies(self, steps, ask):
        """What ASK gets when a worker dies at STEPS; None when that was nothing."""
        self.preload.advance(3)  # it has lived well: it is replaced at once
        self.preload.kill_at(*steps)
        try:
            answer = ask()
        except (OSError, http.client.HTTPException):
            answer = None
        end = time.monotonic() + 60 * SLOW
        while not self.preload.killed:
            assert time.monotonic() < end, f'nothing comes to {steps}'
            time.sleep(0.01)
        return answer

    def grants(self):
        """{id: grant} of those that are alive."""
        listed = json.loads(self.hub.cli('grants', 'list', '--json', check=True).stdout)
        return {g['id']: g for g in listed if not g['revoked']}

    def log_in(self):
        app, code = login(self.hub)
        return self.works(good(take(self.hub, app, code)))

    def works(self, tokens):
        """Tokens that are recorded and open the service."""
        claims = claims_of(tokens['access_token'])
        assert self.hub.audit('token', jti=claims['jti'])
        assert self.hub.audit('login', grant=claims['grant'])
        assert self.hub.call('/notes', token=tokens['access_token']).status == 200
        return tokens

    def end(self):
        """Every grant has its login's record, and the records are whole."""
        for grant in self.grants():
            assert self.hub.audit('login', grant=grant), grant
        self.hub.stop()
        verified = self.hub.cli('audit', 'verify')
        assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.fixture
def site(login_hub, preload, oidc, upstream):
    oidc.ahead = lambda: preload.ahead
    oidc.rotates = False  # what a provider that rotates makes of a lost answer has a test of its own
    return Site(login_hub('oauth { refresh_grace 1h }', upstream=upstream.url, env=preload.env), preload)


def test_a_login_that_breaks_off_leaves_nothing_and_can_be_begun_again(site):  # row 192
    for where, steps in LOGIN.items():
        app, person = App(site.hub, 'app', 'https://app.example/cb', service='notes'), Person(site.hub)
        person.get(app.url())
        person.allow('login')
        person.go_on()
        callback = person.page.location
        alive = site.grants()
        page = site.dies(steps, lambda: person.get(callback))
        assert site.grants().keys() == alive.keys(), where  # a grant begins at /token
        if page:
            assert where == 'after the answer'
            site.works(good(take(site.hub, app, app.code(page))))
        # It was used, and says so; with the answer the browser has lost what belonged to it.
        assert person.get(callback).status == (403 if page else 400), where
        again = App(site.hub, 'app', 'https://app.example/cb', service='notes')
        site.works(good(take(site.hub, again, again.code(person.log_in(again)))))
    site.end()


def test_a_code_whose_answer_was_lost_is_whole_or_used_up(site):  # rows 90 and 192
    for where, steps in CODE.items():
        app, code = login(site.hub)
        before = site.grants()
        answer = site.dies(steps, lambda: take(site.hub, app, code))
        made = site.grants().keys() - before.keys()
        assert len(made) <= 1 and (made or where not in KEPT), where
        assert not made or where not in ('when it was asked for', 'before the store is written')
        if answer is not None:
            site.works(good(answer))
        again = take(site.hub, app, code)
        if made:  # nobody else may have got it: it ends
            assert error(again) == 'invalid_grant', where
            assert site.grants().keys() == before.keys(), where
            assert answer is None or site.hub.call('/notes', token=good(answer)['access_token']).status == 401
        else:
            site.works(good(again))
        site.log_in()
    site.end()


def test_a_refresh_whose_answer_was_lost_can_be_asked_for_again(site):  # rows 102, 189 and 192
    tokens = site.log_in()
    grants = site.grants().keys()
    for where, steps in REFRESH.items():
        site.preload.advance(60)  # the provider is asked again, and nobody holds the lease
        answer = site.dies(steps, lambda: refresh(site.hub, tokens['refresh_token']))
        site.preload.advance(20)
        again = site.works(good(refresh(site.hub, tokens['refresh_token'])))
        if answer is not None and answer.status == 200:
            assert answer.json()['refresh_token'] == again['refresh_token'], where
        assert good(refresh(site.hub, tokens['refresh_token']))['refresh_token'] == again['refresh_token']
        assert site.grants().keys() == grants, where
        tokens = again
    site.end()


def test_a_provider_that_rotates_may_end_the_login_but_leaves_no_half_of_it(site, oidc):  # row 192
    oidc.rotates = True
    tokens = site.log_in()
    site.preload.advance(60)
    assert site.dies([PROVIDER_SAID], lambda: refresh(site.hub, tokens['refresh_token'])) is None
    site.preload.advance(20)
    assert error(refresh(site.hub, tokens['refresh_token'])) == 'invalid_grant'  # its token was spent
    assert site.hub.call('/notes', token=tokens['access_token']).status == 401
    assert site.grants() == {} and site.hub.wait_audit('grant_ended')
    site.log_in()
    site.end()


def test_a_revocation_whose_answer_was_lost_can_be_asked_for_again(site):  # row 192
    for where, steps in REVOKE.items():
        for what in ('refresh_token', 'access_token'):
            tokens = site.log_in()
            site.dies(steps, lambda: revoke(site.hub, tokens[what]))
            assert revoke(site.hub, tokens[what]).status == 200, where
            assert site.hub.call('/notes', token=tokens['access_token']).status == 401, where
            assert what == 'access_token' or error(refresh(site.hub, tokens['refresh_token'])) == 'invalid_grant'
    site.end()


def serving(hub):
    generation = json.loads(hub.cli('status', '--json', check=True).stdout)['generations'][0]
    return [w['pid'] for w in generation['workers'] if w['ready']]


def revocations(hub):
    """How many are in the store."""
    with contextlib.closing(sqlite3.connect(hub.statedir / 'store.db', timeout=20)) as db:
        return db.execute('SELECT (SELECT count(*) FROM grants WHERE revoked_at > 0)'
                          ' + (SELECT count(*) FROM mark)').fetchone()[0]


def successor_of(hub, dead, other):
    """Who serves in its place. Then it has been noticed that it died."""
    end = time.monotonic() + 60 * SLOW
    while not (new := set(serving(hub)) - {dead, other}):
        assert time.monotonic() < end
        time.sleep(0.02)
    return new.pop()


@pytest.mark.parametrize('what', ['refresh_token', 'access_token'])
def test_no_worker_remembers_what_was_revoked_by_one_that_died_before_it_could_say_so(
        what, login_hub, preload, oidc, upstream):  # rows 187 and 192
    hub = login_hub(upstream=upstream.url, env=preload.env, workers=2, hub='watchdog 10m')
    site = Site(hub, preload)
    for _ in range(20):
        tokens = site.log_in()
        one, two = _until(lambda: len(pids := serving(hub)) == 2 and pids, 60, lambda: hub.log)
        stop(two)
        assert hub.call('/notes', token=tokens['access_token']).status == 200  # and ONE remembers that
        stop(one)
        os.kill(two, signal.SIGCONT)
        before = revocations(hub)
        steps = [Step(ASKED, 'token='), Step(STORE_WRITE), Step(BELL)]
        assert site.dies(steps, lambda: revoke(hub, tokens[what])) is None and preload.killed == two
        if revocations(hub) > before:
            break
        os.kill(one, signal.SIGCONT)  # that was somebody else's bell
    assert revocations(hub) > before
    successor = successor_of(hub, two, one)
    stop(successor)
    os.kill(one, signal.SIGCONT)
    assert hub.call('/notes', token=tokens['access_token']).status == 401
    os.kill(successor, signal.SIGCONT)
