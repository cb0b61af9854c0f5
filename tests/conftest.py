"""Fixtures of all tests in Python, and what is asked after each of them: did the hub end cleanly, did
a secret leak, was a server contacted that must never be?"""

import os
import pathlib
import resource
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import secretlog  # noqa: E402
from support.hub import Hub  # noqa: E402
from support.idp import MockIdp  # noqa: E402
from support.loginrun import LoginRun  # noqa: E402
from support.preload import Preload, unusable  # noqa: E402
from support.standin_github import StandInGitHub  # noqa: E402
from support.standin_google import StandInGoogle  # noqa: E402
from support.standin_oidc import StandInOidc  # noqa: E402
from support.standin_workos import StandInWorkOS  # noqa: E402
from support.upstream import Canary, MockUpstream  # noqa: E402


def pytest_configure():
    """A thousand connections here and in a hub, where that many descriptors are allowed on demand only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if hard == resource.RLIM_INFINITY else min(4096, hard), hard))


def pytest_terminal_summary(terminalreporter):
    """For tools/run-tests: who may be asked once more.  Nobody, when a fixture has found something after
    a test: a secret in a log, a report of a sanitizer, a process that was left."""
    stats, file = terminalreporter.stats, os.environ.get('MCPAUTH_FAILED_TESTS')
    if file and not stats.get('error'):
        pathlib.Path(file).write_text(''.join(f'{r.nodeid}\n' for r in stats.get('failed', [])))


def _leaks(hubs, upstreams):
    """Sentences that say which secret was found where."""
    found = []
    for h in hubs:
        for what, path in (('log', h.log_file), ('audit log', h.audit_file)):
            data = path.read_bytes() if path.exists() else b''
            found += [f'the secret {s[:12]}... is in the {what}' for s in secretlog.found_in(data)]
    for u in upstreams:
        found += [f'the secret {s[:12]}... reached an upstream'
                  for s in secretlog.found_in(u.transcript, upstream=True)]
    return found


class _World:
    """Everything that one test started, in order."""

    def __init__(self):
        self.hubs, self.upstreams, self.idps, self.canaries = [], [], [], []

    def end(self):
        wrong = []
        for h in self.hubs:
            try:
                h.stop()
            except AssertionError as e:
                wrong.append(str(e))
            finally:
                h.kill()
        wrong += [f'alarm: {line!r}' for h in self.hubs if not h.allowed_alarms for line in h.alarms()]
        wrong += _leaks(self.hubs, self.upstreams)
        wrong += [f'a canary was contacted: {c.transcript[:200]!r}' for c in self.canaries if c.connections]
        for thing in self.upstreams + self.canaries + self.idps:
            thing.close()
        for h in self.hubs:
            h.remove()
        secretlog.forget_all()
        return wrong


@pytest.fixture
def world(request):
    w = _World()
    yield w
    logs = [h.log for h in w.hubs]
    wrong = w.end()
    for log in logs:
        print(f'--- log of the hub\n{log}')
    if wrong:
        pytest.fail('\n'.join(wrong), pytrace=False)


@pytest.fixture
def hub(world):
    """Factory: hub(configuration, ...) makes and starts a Hub; start=False only makes it."""
    def make(conf, start=True, **kw):
        h = Hub(conf, **kw)
        world.hubs.append(h)
        return h.start() if start else h
    return make


@pytest.fixture
def upstream(world):
    """A MockUpstream at /mcp."""
    u = MockUpstream()
    world.upstreams.append(u)
    return u


@pytest.fixture
def upstreams(world):
    """Factory of more of them: upstreams(path=..., unix=...)."""
    def make(**kw):
        u = MockUpstream(**kw)
        world.upstreams.append(u)
        return u
    return make


@pytest.fixture
def idp(world):
    """A MockIdp with one RS256 key."""
    i = MockIdp()
    world.idps.append(i)
    return i


@pytest.fixture
def oidc(world):
    """A StandInOidc: an OpenID provider that people can log in at."""
    i = StandInOidc()
    world.idps.append(i)
    return i


@pytest.fixture
def google(world):
    """A StandInGoogle."""
    i = StandInGoogle()
    world.idps.append(i)
    return i


@pytest.fixture
def github(world):
    """A StandInGitHub."""
    i = StandInGitHub()
    world.idps.append(i)
    return i


@pytest.fixture
def workos(world):
    """A StandInWorkOS."""
    i = StandInWorkOS()
    world.idps.append(i)
    return i


@pytest.fixture
def login_run():
    """Factory: login_run(provider block, files={...}) drives the login callbacks of one provider."""
    runs = []

    def make(provider, **kw):
        runs.append(LoginRun(provider, **kw))
        return runs[-1]
    yield make
    logs = [r.close() for r in runs]
    for log in logs:
        print(f'--- log of login-run\n{log}')
    leaked = [s[:12] for log in logs for s in secretlog.found_in(log.encode())]
    assert not leaked, f'secrets in the log: {leaked}'


@pytest.fixture
def preload():
    """A Preload for hub(conf, env=preload.env): its clock, and at which call it dies or fails."""
    why = unusable()
    if why:
        pytest.skip(why)
    p = Preload()
    yield p
    p.close()


@pytest.fixture
def canary(world):
    """A server that must not be contacted: the test fails when anything connects."""
    c = Canary()
    world.canaries.append(c)
    return c
