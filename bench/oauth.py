#!/usr/bin/python3
"""What logins and refreshes cost the hub: CPU for a login (from /authorize to the tokens), and refreshes a
second on one worker with SQLite, whose commits are on the disk before they are answered.

    ./oauth.py [--logins 100] [--clients 32] [--seconds 5]

What counts is user and system time of all processes of the hub, threads and fdatasync included; what does
not: the identity provider (a stand-in on the same machine that consents at once) and the load, which is
this program. A login is five requests (the consent page, its form, the page that sends on, /callback,
/token), one to the provider on a connection that is kept, the verification of its ID token, three commits
and four audit records. Logins come one after the other: no two share a commit, and each finds the caches of
the processor filled by somebody else. The first ones do not count: the store's log grows to its size.
Measured in turns by browsers that keep their connection, as browsers do, and by some that do not.

A refresh asks the provider when its last answer is more than two seconds old: of each of the clients, the
first one and then one in two seconds wait for the stand-in, which answers one at a time."""

import argparse
import http.client
import json
import pathlib
import statistics
import sys
import threading
import time
import urllib.parse

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / 'tests'))
from support.hub import Hub  # noqa: E402
from support.people import App, Person  # noqa: E402
from support.standin_oidc import StandInOidc  # noqa: E402

CONF = '''
provider corp {{ module oidc; issuer {issuer}; client_id hub; client_secret file:{{conf}}/secret }}
scope notes:read {{ text "Read your notes" }}
client app {{ redirect_uri https://app.example/cb }}
service notes {{ path /notes; upstream http://127.0.0.1:9/; auth sufficient corp; require scope notes:read }}
'''
WARM, ROUNDS = 60, 4


def cpu(hub):
    """Seconds of CPU of all processes of the hub and their threads: one worker works, the others idle.  By
    the clock of each process, as clock_getcpuclockid(3) names it: the ticks of /proc are too coarse."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in hub.processes())


class Line:
    """One connection that is kept, asking /token."""

    def __init__(self, hub):
        self.hub, self.c = hub, http.client.HTTPConnection('127.0.0.1', hub.port, timeout=60)

    def post(self, **fields):
        self.c.request('POST', '/token', urllib.parse.urlencode(fields),
                       {'Content-Type': 'application/x-www-form-urlencoded', 'Host': self.hub.host})
        reply = self.c.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        return json.loads(body)


class KeptPerson(Person):
    """A browser that keeps its connections."""

    def __init__(self, hub):
        super().__init__(hub)
        self.kept = {}

    def connect(self, host, port):
        return self.kept.setdefault((host, port), super().connect(host, port))

    def leave(self, connection):
        pass

    def close(self):
        for connection in self.kept.values():
            connection.close()


def login(hub, line, person=Person):
    app = App(hub, 'app', 'https://app.example/cb', service='notes')
    ann = person(hub)
    code = app.code(ann.log_in(app))
    if person is KeptPerson:
        ann.close()
    return line.post(grant_type='authorization_code', code=code, redirect_uri=app.redirect,
                     code_verifier=app.verifier, client_id='app')['refresh_token']


def cost_of_logins(hub, line, n):
    """({kind of browser: ms of CPU a login}, refresh tokens)"""
    for _ in range(WARM):
        login(hub, line)
    spent, tokens = {KeptPerson: 0.0, Person: 0.0}, []
    for _ in range(ROUNDS):
        for person in spent:
            before = cpu(hub)
            tokens += [login(hub, line, person) for _ in range(n // ROUNDS)]
            spent[person] += cpu(hub) - before
    return {person: s / (n // ROUNDS * ROUNDS) * 1e3 for person, s in spent.items()}, tokens


def refresh_all(hub, tokens, seconds):
    """Every token on a connection of its own, one after the other; (a second, median ms, 99 % ms)."""
    times, end = [], time.monotonic() + seconds

    def go(i):
        line = Line(hub)
        while time.monotonic() < end:
            start = time.monotonic()
            got = line.post(grant_type='refresh_token', refresh_token=tokens[i], client_id='app')
            tokens[i] = got['refresh_token']
            times.append(time.monotonic() - start)
    threads = [threading.Thread(target=go, args=(i,)) for i in range(len(tokens))]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.monotonic() - start
    times.sort()
    return len(times) / took, statistics.median(times) * 1e3, times[int(len(times) * .99)] * 1e3


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--logins', type=int, default=100)
    p.add_argument('--clients', type=int, default=32)
    p.add_argument('--seconds', type=float, default=5)
    args = p.parse_args()
    idp = StandInOidc()
    idp.signed_in = 'ann'
    hub = Hub(CONF.format(issuer=idp.issuer), files={'secret': idp.client_secret})
    try:
        hub.start()
        line = Line(hub)
        each, tokens = cost_of_logins(hub, line, args.logins)
        print(f'a login: {each[KeptPerson]:.2f} ms of CPU of all processes of the hub ({args.logins} logins one '
              f'after the other; at most 3 ms); {each[Person]:.2f} ms with a connection for each request')
        tokens = tokens[:args.clients]
        before = cpu(hub)
        rate, median, tail = refresh_all(hub, tokens, args.seconds)
        spent = (cpu(hub) - before) / (rate * args.seconds) * 1e3
        print(f'refreshes: {rate:.0f}/s, {len(tokens)} clients, median {median:.1f} ms, 99 % {tail:.1f} ms, '
              f'{spent:.2f} ms of CPU each (at least 300/s)')
        return 0 if each[KeptPerson] <= 3 and rate >= 300 else 1
    finally:
        hub.stop()
        hub.remove()
        idp.close()


if __name__ == '__main__':
    sys.exit(main())
