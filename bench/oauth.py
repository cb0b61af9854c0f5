#!/usr/bin/python3
"""What logins and refreshes cost the hub: CPU of its worker for a login (from /authorize to the tokens),
and refreshes a second on one worker with SQLite, whose commits are on the disk before they are answered.

    ./oauth.py [--logins 100] [--clients 32] [--seconds 5]

The identity provider is a stand-in on the same machine that consents at once; the load is here, too. A
refresh within two seconds of the provider's last answer does not ask it again: that is the first row; the
second lets every login go stale first, so that each refresh asks."""

import argparse
import http.client
import json
import os
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
TICK = os.sysconf('SC_CLK_TCK')


def cpu(hub):
    """Seconds of all processes of the hub: one worker works, the others idle."""
    ticks = 0
    for pid in hub.processes():
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


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


def login(hub, line):
    app = App(hub, 'app', 'https://app.example/cb', service='notes')
    code = app.code(Person(hub).log_in(app))
    return line.post(grant_type='authorization_code', code=code, redirect_uri=app.redirect,
                     code_verifier=app.verifier, client_id='app')['refresh_token']


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
        login(hub, line)
        before = cpu(hub)
        tokens = [login(hub, line) for _ in range(args.logins)]
        each = (cpu(hub) - before) / args.logins * 1e3
        print(f'a login: {each:.2f} ms of CPU ({args.logins} logins; at most 3 ms)')
        tokens = tokens[:args.clients]
        before = cpu(hub)
        rate, median, tail = refresh_all(hub, tokens, args.seconds)
        spent = (cpu(hub) - before) / (rate * args.seconds) * 1e3
        print(f'refreshes: {rate:.0f}/s, {len(tokens)} clients, median {median:.1f} ms, 99 % {tail:.1f} ms, '
              f'{spent:.2f} ms of CPU each (at least 300/s)')
        return 0 if each <= 3 and rate >= 300 else 1
    finally:
        hub.stop()
        hub.remove()
        idp.close()


if __name__ == '__main__':
    sys.exit(main())
