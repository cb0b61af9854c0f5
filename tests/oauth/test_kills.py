"""kill -9 of a worker, all workers, the leader, the master or everything while people log in, take codes,
refresh, revoke, agree and register: what was acknowledged holds, what was used or revoked stays so, what
got no answer can be asked for again, every token has its record, and the audit chain verifies. Row 192.

MCPAUTH_KILLS: how many, their kinds in turn."""

import contextlib
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time

import pytest

from support.hub import SLOW, _session, audit_records
from support.oauth import claims_of, error, refresh, revoke, take
from support.people import App, Person

KILLS = int(os.environ.get('MCPAUTH_KILLS', '5'))
KINDS = ('worker', 'everything', 'leader', 'workers', 'master')
PEOPLE = [f'p{i}' for i in range(6)]
ACKNOWLEDGED = 40  # answers, then it is killed
REDIRECT = 'https://app.example/cb'


class Unanswered(Exception):
    """Nothing was acknowledged."""


def told(ask, expected=200):
    """The answer; Unanswered for 503 and for none at all."""
    try:
        answer = ask()
    except (OSError, http.client.HTTPException) as e:
        raise Unanswered from e
    if answer.status == 503:
        raise Unanswered
    assert answer.status == expected, (answer.status, answer.body)
    return answer


def in_the_end(ask):
    """Repeats until there is an answer: after a crash the provider may be asked a few seconds later only."""
    end = time.monotonic() + 120 * SLOW
    while True:
        try:
            return ask()
        except Unanswered:
            assert time.monotonic() < end, 'no answer'
            time.sleep(0.1)


class Life:
    """One login, as its application knows it. `asked` is what it got no answer to."""

    def __init__(self, hub, dice, who):
        self.hub, self.dice, self.who = hub, dice, who
        self.code = self.access = self.token = self.spent = self.asked = None
        self.remembered = dice.random() < 0.3
        self.revoked = False
        self.jtis = []
        self.app, self.person = App(hub, 'app', REDIRECT, service='notes'), Person(hub)

    # what an application does; each comes back only with an answer

    def log_in(self):
        person, over = self.person, {'remember': '1'} if self.remembered else {}
        told(lambda: person.get(self.app.url()))
        told(lambda: person.submit('login', **over), 303)
        told(person.follow)
        told(person.go_on)
        told(lambda: person.submit(self.who), 302)
        told(person.follow, 303)
        self.code = self.app.code(person.page)

    def keep(self, answer):
        got = answer.json()
        self.access, self.token = got['access_token'], got['refresh_token']
        self.jtis.append(claims_of(self.access)['jti'])

    def take(self):
        self.asked = 'take'
        self.keep(told(lambda: take(self.hub, self.app, self.code)))
        self.asked = None

    def refresh(self):
        self.asked = 'refresh'
        used = self.token
        self.keep(told(lambda: refresh(self.hub, self.token)))
        self.spent, self.asked = used, None

    def revoke(self):
        self.asked = 'revoke'
        told(lambda: revoke(self.hub, self.token))
        self.revoked, self.asked = True, None

    # what must hold

    def call(self):
        return self.hub.call('/notes', token=self.access).status

    def judge(self):
        if self.code is None:
            return
        if self.access is None:
            self.judge_code()
        elif self.asked == 'revoke':
            in_the_end(self.revoke)  # asked once more, and now it is so
        elif self.asked == 'refresh':
            in_the_end(self.refresh)
        if self.revoked:
            self.judge_dead()
        elif self.access:
            self.judge_alive()
        if self.remembered:
            app = App(self.hub, 'app', REDIRECT, service='notes')
            assert self.person.get(app.url(), headers={'Sec-Fetch-Site': 'none'}).status == 303

    def judge_code(self):
        """An answered code is good; one whose taking was not answered is good or used up."""
        answer = take(self.hub, self.app, self.code)
        if answer.status == 200:
            self.keep(answer)
        else:
            assert self.asked == 'take' and error(answer) == 'invalid_grant'
            self.code = None
        self.asked = None

    def judge_dead(self):
        assert error(refresh(self.hub, self.token)) == 'invalid_grant'
        assert self.call() == 401
        if self.spent:
            assert error(refresh(self.hub, self.spent)) == 'invalid_grant'

    def judge_alive(self):
        assert self.call() == 200
        if self.spent:  # in the grace: its one successor, and never another
            assert refresh(self.hub, self.spent).json()['refresh_token'] == self.token
        in_the_end(self.refresh)
        if self.dice.random() < 0.2:  # a code that was taken ends what came of it
            assert error(take(self.hub, self.app, self.code)) == 'invalid_grant'
            self.revoked = True
            self.judge_dead()


class Load:
    """Threads that live lives until the hub dies: a person each, who also has OLD ones."""

    def __init__(self, hub, seed, old):
        self.hub, self.stop, self.lives, self.clients, self.wrong = hub, threading.Event(), [], [], []
        self.answers = 0
        self.threads = []
        for i, who in enumerate(PEOPLE):
            own = [x for x in old if x.who == who and x.access and not x.revoked]
            self.threads.append(threading.Thread(target=self.run, args=(random.Random(seed * 100 + i), who, own)))
        for t in self.threads:
            t.start()

    def run(self, dice, who, old):
        try:
            while not self.stop.is_set():
                with contextlib.suppress(Unanswered):
                    self.live(dice, who, old)
        except Exception as e:  # noqa: BLE001 - the test fails with it
            self.wrong.append(repr(e))

    def did(self):
        self.answers += 1
        if self.stop.is_set():
            raise Unanswered

    def live(self, dice, who, old):
        if dice.random() < 0.2:
            self.register()
        if old:  # so long ago that the provider is asked
            life = old.pop()
            self.lives.append(life)
            life.refresh()
            self.did()
        life = Life(self.hub, dice, who)
        life.log_in()
        self.lives.append(life)
        self.did()
        if dice.random() < 0.2:
            return  # the code is left for later
        life.take()
        self.did()
        for _ in range(dice.randrange(4)):
            life.refresh()
            self.did()
        if dice.random() < 0.3:
            life.revoke()
            self.did()

    def register(self):
        document = {'client_name': 'X', 'redirect_uris': [REDIRECT], 'token_endpoint_auth_method': 'none'}
        answer = told(lambda: self.hub.request('POST', '/register', body=json.dumps(document).encode(),
                                               headers={'Content-Type': 'application/json'}), 201)
        self.clients.append(answer.json()['client_id'])
        self.did()

    def wait(self, answers):
        end = time.monotonic() + 120 * SLOW
        while self.answers < answers:
            assert not self.wrong, self.wrong
            assert time.monotonic() < end, f'{self.answers} answers only'
            time.sleep(0.002)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()
        assert not self.wrong, self.wrong


def processes(hub):
    state = json.loads(hub.cli('status', '--json', check=True).stdout)
    return next(g for g in state['generations'] if g['state'] == 'serving')


def kill(hub, kind, dice):
    """Who must be replaced for it to serve again; None: nobody is left to do so."""
    running = processes(hub)
    workers = [w['pid'] for w in running['workers']]
    pids = {'worker': [dice.choice(workers)], 'workers': workers, 'leader': [running['leader']],
            'master': [hub.process.pid], 'everything': hub.processes()}[kind]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if kind in ('master', 'everything'):
        return None
    return set(pids + workers if kind == 'leader' else pids)


def serve_again(hub, dead):
    """Starts it once nothing is left of the old one, or waits until it has put itself right."""
    end = time.monotonic() + 120 * SLOW
    if dead is None:
        while _session(hub.process.pid):
            assert time.monotonic() < end, 'processes outlive their master'
            time.sleep(0.01)
        hub.kill()
        hub.start()
        return
    while True:
        with contextlib.suppress(AssertionError, StopIteration):
            workers = processes(hub)['workers']
            if all(w['ready'] and w['pid'] not in dead for w in workers) and len(workers) == 2:
                return
        assert time.monotonic() < end, 'it does not serve again'
        time.sleep(0.02)


class Records:
    """Which tokens and logins are recorded, read as the log grows."""

    def __init__(self, hub):
        self.file, self.at, self.jtis, self.logins = hub.audit_file, 0, set(), set()

    def read(self):
        with open(self.file, 'rb') as f:
            f.seek(self.at)
            whole = f.read().rpartition(b'\n')[0]
        self.at += len(whole)
        for record in audit_records(whole.decode(errors='replace')):
            if record['event'] == 'token':
                self.jtis.add(record['jti'])
            elif record['event'] == 'login':
                self.logins.add(record['grant'])


def revoke_by_operator(hub, lives, dice):
    """Ends one of LIVES by its id; whose that was, for what she agreed to is forgotten with it."""
    alive = [x for x in lives if x.access and not x.revoked]
    if not alive:
        return None
    life = dice.choice(alive)
    hub.cli('grants', 'revoke', claims_of(life.access)['grant'], check=True)
    life.revoked = True
    return life.who


def pass_leases(hub, preload):
    """Who died while asking the provider holds up the next to ask about that person, for 15 s."""
    with contextlib.closing(sqlite3.connect(hub.statedir / 'store.db', timeout=20)) as db:
        [(until,)] = db.execute('SELECT max(leased_until) FROM upstream')
    if until and until > preload.now():
        preload.advance(until - preload.now() + 1)


@pytest.mark.slow
def test_kills_of_the_whole_hub_lose_nothing_and_revive_nothing(login_hub, oidc, upstream, preload):  # rows 189 and 192
    oidc.rotates = False  # else a lost answer of the provider ends the login: test_failpoints.py
    oidc.signed_in, oidc.ahead = None, lambda: preload.ahead
    oidc.people.update({who: {'sub': f'u-{who}', 'name': who} for who in PEOPLE})
    hub = login_hub('oauth { registrations_per_address 100000; refresh_grace 1h; access_token_lifetime 10h }',
                    upstream=upstream.url, workers=2, hub='max_failures_per_address 0', env=preload.env)
    records, dice, lives, answers = Records(hub), random.Random(1), [], 0
    for i in range(KILLS):
        old = lives[-100:]
        load = Load(hub, i, old[:50])
        load.wait(ACKNOWLEDGED // 2)
        forgotten = revoke_by_operator(hub, old[50:], dice) if i % 4 == 0 else None
        load.wait(ACKNOWLEDGED)
        time.sleep(dice.random() * 0.03)
        dead = kill(hub, KINDS[i % len(KINDS)], dice)
        load.end()
        serve_again(hub, dead)
        pass_leases(hub, preload)
        for life in lives + load.lives:
            life.remembered = life.remembered and life.who != forgotten
        for life in load.lives:
            life.judge()
        for client in load.clients:
            page = Person(hub).get(App(hub, client, REDIRECT, service='notes').url())
            assert page.status == 200 and page.forms, page.text
        records.read()
        assert records.jtis.issuperset(jti for life in load.lives for jti in life.jtis)
        assert records.logins.issuperset(claims_of(x.access)['grant'] for x in load.lives if x.access)
        lives += [x for x in load.lives if x not in old]
        answers += load.answers
    for life in lives:  # and nothing of it later
        if life.access:
            life.judge_dead() if life.revoked else life.judge_alive()
    alive = {g['id'] for g in json.loads(hub.cli('grants', 'list', '--json', check=True).stdout) if not g['revoked']}
    assert alive == {claims_of(x.access)['grant'] for x in lives if x.access and not x.revoked}
    hub.stop()
    verified = hub.cli('audit', 'verify')
    assert verified.returncode == 0, verified.stdout + verified.stderr
    with contextlib.closing(sqlite3.connect(hub.statedir / 'store.db')) as db:
        assert db.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
    print(f'{KILLS} kills, {answers} acknowledged under load, {len(lives)} logins, {len(alive)} alive')
