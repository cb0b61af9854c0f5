"""The identity provider is down for a day: who is logged in does not notice, who wants to log in is told,
after the grace it is 503 until it is back; and who was removed is out within one access token's life.
The hub's clocks run ahead (support/preload.py), everything else is as shipped.

MCPAUTH_OUTAGE_PEOPLE: how many are logged in."""

import itertools
import json
import os
import signal

import pytest

from support.oauth import claims_of, error, good, login, refresh, take
from support.people import App, Person

MINUTE, HOUR = 60, 3600
LIFE, GRACE = 10 * MINUTE, 24 * HOUR  # what access_token_lifetime and upstream_grace are by default
PEOPLE = int(os.environ.get('MCPAUTH_OUTAGE_PEOPLE', '3'))
DISCOVERY = '/.well-known/openid-configuration'
FAULTS = [{'status': 500}, {'status': 503}, {'drop': True}, {'status': 429},
          {'status': 200, 'body': b'<html>We will be back soon</html>'}, {'status': 404, 'body': b''}]


class Client:
    """An application of one person: it calls, and refreshes a minute before its token ends."""

    def __init__(self, hub, clock, got):
        self.hub, self.clock, self.seen = hub, clock, []
        self.keep(got)

    def keep(self, got):
        self.access, self.token = got['access_token'], got['refresh_token']
        self.ends = claims_of(self.access)['exp']

    def refresh(self):
        answer = refresh(self.hub, self.token)
        if answer.status == 200:
            self.keep(answer.json())
        return answer

    def call(self):
        return self.hub.call('/notes', token=self.access).status

    def use(self):
        """One call, as such a client makes it; what it noticed is added to ->seen."""
        if self.clock.now() > self.ends - MINUTE and (answer := self.refresh()).status != 200:
            self.seen.append((answer.status, answer.body))
        if (status := self.call()) != 200:
            self.seen.append(status)


@pytest.fixture
def site(login_hub, preload, oidc, upstream):
    """(hub, who logs somebody in); the provider's clock is the hub's."""
    oidc.ahead = lambda: preload.ahead
    hub = login_hub(upstream=upstream.url, workers=2, env=preload.env)

    def log_in(person):
        oidc.people.setdefault(person, {**oidc.people['ann'], 'sub': f'u-{person}'})
        oidc.signed_in = person
        app, code = login(hub)
        return Client(hub, preload, good(take(hub, app, code)))
    return hub, log_in


def recovers(clock, clients):
    """Each retries once a second; the seconds until all are in again."""
    for seconds in range(16):
        left = [c for c in clients if c.refresh().status != 200]
        if not left:
            return seconds
        clock.advance(1)
    raise AssertionError(f'{len(left)} are still out after 15 s')


@pytest.mark.slow
def test_a_day_without_the_provider_is_noticed_by_nobody_who_is_logged_in(site, preload, oidc):
    hub, log_in = site
    clients = [log_in(f'p{i}') for i in range(PEOPLE)]
    down_since = preload.now()
    oidc.go_down()
    faults = itertools.cycle(FAULTS)
    while (gone := preload.now() - down_since) < GRACE - 15 * MINUTE:
        preload.advance(8 * MINUTE)
        if 8 * HOUR < gone < 16 * HOUR:  # half up: it listens, and nothing that it says is of use
            if oidc.faults == {}:
                oidc.come_back()
            for path in ('/token', '/jwks', '/userinfo', DISCOVERY):
                oidc.fault(path, **next(faults))
        elif oidc.faults:
            oidc.heal()
            oidc.go_down()
        for client in clients:
            client.use()
        assert [c.seen for c in clients] == [[]] * PEOPLE, f'after {gone / HOUR:.1f} hours\n{hub.log[-3000:]}'
    assert len({claims_of(c.access)['jti'] for c in clients}) == PEOPLE
    for hours in (0.3, 1, 1, 1):  # over: the last access tokens have ended, too
        preload.advance(hours * HOUR)
        for client in clients:
            answer = client.refresh()
            assert error(answer, 503) == 'temporarily_unavailable' and answer.headers['Retry-After']
            assert client.call() == 401
    oidc.come_back()  # right after it was asked in vain
    seconds = recovers(preload, clients)
    print(f'{PEOPLE} people, recovered after {seconds} s')
    assert [c.call() for c in clients] == [200] * PEOPLE
    assert len(hub.audit('grant_ended') + hub.audit('grant_replayed')) == 0


def worker(hub):
    generations = json.loads(hub.cli('status', '--json', check=True).stdout)['generations']
    return next(w['pid'] for g in generations if g['state'] == 'serving' for w in g['workers'] if w['ready'])


def test_a_restart_a_reload_and_a_crash_within_the_outage_are_not_noticed(site, preload, oidc):
    hub, log_in = site
    ann = log_in('ann')
    oidc.go_down()
    for change in (hub.reload, lambda: (hub.stop(), hub.start()), lambda: os.kill(worker(hub), signal.SIGKILL)):
        preload.advance(5 * HOUR)
        change()
        for _ in range(3):
            assert ann.refresh().status == 200 and ann.call() == 200
            preload.advance(9 * MINUTE)


def test_a_login_during_the_outage_says_so(site, preload, oidc):
    hub, log_in = site
    log_in('ann')
    preload.advance(2 * HOUR)
    oidc.fault('/token', status=503)
    app, person = App(hub, 'app', 'https://app.example/cb', service='notes'), Person(hub)
    person.log_in(app)
    assert person.page.status == 503 and 'corp' in person.page.text and person.page.headers['Retry-After']
    hub.stop()  # a hub that has never heard of the provider says so before it sends anybody there
    oidc.go_down()
    hub.start()
    person.get(app.url())
    person.submit('login')
    page = person.follow() if person.page.status == 303 else person.page
    assert page.status == 503 and page.refresh is None and page.headers['Retry-After']


def test_a_person_who_was_removed_is_out_within_the_life_of_an_access_token(site, preload, oidc):
    hub, log_in = site
    ann, careful, bob = log_in('ann'), log_in('ann'), log_in('bob')
    preload.advance(3 * HOUR)
    for client in (ann, careful, bob):
        client.use()
    oidc.revoke('ann')
    removed = preload.now()
    while preload.now() < removed + LIFE:
        careful.use()
        bob.use()
        preload.advance(30)
    assert ann.call() == 401 and careful.call() == 401  # ann has not even tried to refresh
    assert error(ann.refresh()) == 'invalid_grant' and error(careful.refresh()) == 'invalid_grant'
    assert bob.seen == [] and bob.call() == 200
    assert hub.wait_audit('grant_ended', subject='u-1001')


def test_who_was_removed_during_the_outage_is_out_when_the_provider_is_back(site, preload, oidc):
    hub, log_in = site
    ann, bob = log_in('ann'), log_in('bob')
    oidc.go_down()
    preload.advance(6 * HOUR)
    oidc.revoke('ann')
    assert ann.refresh().status == 200  # nobody could know
    oidc.come_back()
    preload.advance(LIFE)
    assert error(ann.refresh()) == 'invalid_grant' and ann.call() == 401
    assert bob.refresh().status == 200 and bob.call() == 200
