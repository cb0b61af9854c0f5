"""Programs that other people wrote log in at the hub, headless: the official suite's `authorization`
mode, mcp-remote, the Inspector, the SDK's sample client. A person's browser answers what they print."""

import json
import os
import re
import subprocess
import time
import urllib.parse

import pytest

from support import npm
from support.hub import SLOW
from support.people import Person
from support.providers import PROVIDERS

MODULES = 'node_modules'
EVERYTHING = f'{MODULES}/@modelcontextprotocol/server-everything/dist/index.js'
CONF = '''
hub {{ public_url http://127.0.0.1:{port}; listen 127.0.0.1:{port}; workers 1; audit file {{dir}}/audit.log }}
provider corp {{ {provider}; client_secret file:{{conf}}/corp.secret }}
scope tools:use  {{ text "Use the tools" }}
scope tools:echo {{ text "Have things repeated"; implies tools:use {bound} }}
service tools {{ path /tools; upstream {upstream}; auth sufficient corp; require scope tools:use
                 {rules} }}
client suite {{ redirect_uri http://127.0.0.1/callback }}
'''


def packages():
    return npm.install('login-clients', 'mcp-remote@0.15.1', '@modelcontextprotocol/sdk@1.32.2')


@pytest.fixture
def everything(program):
    """The URL of server-everything."""
    port = npm.free_port()
    program(npm.clients() / EVERYTHING, 'streamableHttp', env={'PORT': str(port)}).wait_port(port)
    return f'http://127.0.0.1:{port}/mcp'


def hub_of(hub, idp, provider):
    """Factory: a hub in front of UPSTREAM at which Ann logs in through PROVIDER, lines of its block."""
    idp.signed_in = 'ann'

    def make(upstream, rules='', bound=''):
        port = npm.free_port()
        return hub(CONF.format(port=port, upstream=upstream, rules=rules, bound=bound, provider=provider.format(idp=idp)),
                   files={'corp.secret': idp.client_secret + '\n'}, public_url=f'http://127.0.0.1:{port}')
    return make


@pytest.fixture(params=PROVIDERS)
def logged(request, hub):
    """At each of the providers."""
    return hub_of(hub, request.getfixturevalue(request.param), PROVIDERS[request.param])


class Client:
    """A program that prints where a person is to go."""

    def __init__(self, folder, *args, env=None, stdin=subprocess.DEVNULL):
        self.output = folder / f'client-{len(list(folder.glob("client-*")))}'
        with open(self.output, 'wb') as f:
            self.process = subprocess.Popen([npm.NODE, *map(str, args)], stdin=stdin, stdout=f, stderr=f,
                                            env={**os.environ, 'HOME': str(folder), **(env or {})},
                                            start_new_session=True)

    @property
    def said(self):
        return self.output.read_text(errors='replace')

    def wait(self, pattern, n=1, timeout=60):
        """The N-th match of PATTERN in what it says."""
        end = time.monotonic() + timeout * SLOW
        while len(found := re.findall(pattern, self.said)) < n:
            assert self.process.poll() is None or len(re.findall(pattern, self.said)) >= n, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.05)
        return found[n - 1]

    def end(self, timeout=60):
        try:
            return self.process.wait(timeout * SLOW)
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


@pytest.fixture
def client(tmp_path):
    started = []

    def start(*args, **kw):
        started.append(Client(tmp_path, *args, **kw))
        return started[-1]
    yield start
    for c in started:
        c.kill()


def answer(hub, url):
    """What a person does with the URL: reads, agrees, signs in, and is back at the program."""
    person = Person(hub)
    page = person.get(url)
    assert page.status == 200 and page.forms, page.text
    person.allow()
    person.go_on()
    person.follow()
    end = time.monotonic() + 15 * SLOW
    while True:
        try:  # some print the URL before they listen
            return person.get(person.page.location)
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.1)


AUTHORIZE = r'(http://127\.0\.0\.1:\d+/authorize\?\S+)'


def test_the_official_suite_in_authorization_mode(hub, oidc, client, tmp_path):
    hub, port = hub_of(hub, oidc, PROVIDERS['oidc'])('http://127.0.0.1:9/mcp'), npm.free_port()
    suite = npm.conformance() / MODULES / '@modelcontextprotocol/conformance/dist/index.js'
    results = tmp_path / 'results'
    c = client(suite, 'authorization', '--url', hub.public_url, '--client-id', 'suite', '--resource',
               hub.public_url + '/tools', '--port', port, '-o', results)
    answer(hub, c.wait(AUTHORIZE))
    assert c.end() == 0, c.said
    checks = [check for file in results.rglob('checks.json') for check in json.loads(file.read_text())]
    assert len({file.parent for file in results.rglob('checks.json')}) == 2
    bad = [check for check in checks if check['status'] not in ('SUCCESS', 'INFO')]
    assert checks and not bad, bad


def test_mcp_remote_logs_in_and_lists_tools(logged, everything, client):
    hub = logged(everything)
    c = client(packages() / MODULES / 'mcp-remote/dist/client.js', hub.public_url + '/tools', npm.free_port(),
               stdin=subprocess.PIPE)
    answer(hub, c.wait(AUTHORIZE))
    c.wait('echo')
    [login] = hub.wait_audit('login')
    assert hub.wait_audit('decision', decision='grant')[0]['subject'] == login['subject']


def rpc(id, method, **params):
    return (json.dumps({'jsonrpc': '2.0', 'id': id, 'method': method, 'params': params}) + '\n').encode()


ECHO_NEEDS_MORE = 'tool echo require scope tools:echo; tool * allow; accept_risk broad-allow'


def call_echo(hub, client):
    """mcp-remote as a local server, of which a program behind it wants the tool: (mcp-remote, a function that
    sends a message), once somebody has logged in and the call was made."""
    c = client(packages() / MODULES / 'mcp-remote/dist/proxy.js', hub.public_url + '/tools', npm.free_port(),
               stdin=subprocess.PIPE)

    def say(*messages):
        c.process.stdin.write(b''.join(messages))
        c.process.stdin.flush()
    say(rpc(1, 'initialize', protocolVersion='2025-06-18', capabilities={}, clientInfo={'name': 'test', 'version': '1'}))
    answer(hub, c.wait(AUTHORIZE))
    c.wait(r'"id":1\b')
    say(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n',
        rpc(2, 'tools/call', name='echo', arguments={'message': 'hi'}))
    return c, say


def test_mcp_remote_steps_up_when_a_tool_needs_more(logged, everything, client):
    hub = logged(everything, ECHO_NEEDS_MORE)
    c, _ = call_echo(hub, client)
    again = c.wait(AUTHORIZE, n=2)
    scopes = urllib.parse.parse_qs(urllib.parse.urlsplit(again).query)['scope'][0].split()
    assert 'tools:echo' in scopes
    answer(hub, again)
    assert 'hi' in c.wait(r'("id":2\b.*|.*"id":2\b.*)')
    assert [r['granted'] for r in hub.wait_audit('login', n=2)] == ['tools:use', 'tools:echo tools:use']


def test_mcp_remote_ends_with_one_403_when_the_person_may_not_have_more(hub, everything, client, oidc):
    provider = 'module oidc; issuer {idp.issuer}; client_id hub; claims okta; request_scope openid groups'
    hub = hub_of(hub, oidc, provider)(everything, ECHO_NEEDS_MORE, bound='; for claim /groups = notes-admins')
    oidc.signed_in = 'bob'
    c, say = call_echo(hub, client)
    c.wait(r'status: 403')
    say(rpc(3, 'tools/list'))  # it is still there, and what else she may do works
    c.wait(r'"id":3\b')
    assert len(re.findall(AUTHORIZE, c.said)) == 1, c.said
    refused = [r for r in hub.audit('decision') if r['decision'] != 'grant']
    assert [r['status'] for r in refused] == [403] and len(hub.audit('login')) == 1, hub.audit('decision')


@pytest.mark.parametrize('era', ['legacy', 'modern'])
def test_the_inspector_logs_in_and_comes_back(logged, fixture_url, client, tmp_path, era):
    hub = logged(fixture_url)
    program = npm.clients() / MODULES / '@modelcontextprotocol/inspector/clients/launcher/build/index.js'
    line = [program, '--cli', '--server-url', hub.public_url + '/tools', '--transport', 'http',
            '--protocol-era', era, '--method', 'tools/list', '--format', 'json']
    env = {'MCP_AUTO_OPEN_ENABLED': 'true', 'MCP_INSPECTOR_SECRET_STORE': 'file',
           'MCP_OAUTH_CALLBACK_URL': f'http://127.0.0.1:{npm.free_port()}/oauth/callback'}
    c = client(*line, env=env)
    answer(hub, c.wait(AUTHORIZE))
    assert c.end() == 0 and 'test_simple_text' in c.said, c.said
    again = client(*line, '--stored-auth-only', env={**env, 'MCP_AUTO_OPEN_ENABLED': 'false'})
    assert again.end() == 0 and 'test_simple_text' in again.said, again.said
    assert len(hub.audit('login')) == 1


def test_the_sample_client_of_the_sdk(logged, everything, client):
    hub = logged(everything)
    c = client(packages() / MODULES / '@modelcontextprotocol/sdk/dist/esm/examples/client/simpleOAuthClient.js',
               hub.public_url + '/tools', stdin=subprocess.PIPE)
    answer(hub, c.wait(AUTHORIZE))
    c.wait('[Cc]onnected')
    assert len(hub.wait_audit('login')) == 1


def test_the_inspector_logs_in_anew(logged, everything, client):
    hub = logged(everything)
    program = npm.clients() / MODULES / '@modelcontextprotocol/inspector/clients/launcher/build/index.js'
    line = [program, '--cli', '--server-url', hub.public_url + '/tools', '--transport', 'http', '--method',
            'tools/list', '--format', 'json']
    env = {'MCP_AUTO_OPEN_ENABLED': 'true', 'MCP_INSPECTOR_SECRET_STORE': 'file',
           'MCP_OAUTH_CALLBACK_URL': f'http://127.0.0.1:{npm.free_port()}/oauth/callback'}
    first = client(*line, env=env)
    answer(hub, first.wait(AUTHORIZE))
    assert first.end() == 0, first.said
    again = client(*line, '--relogin', env=env)
    answer(hub, again.wait(AUTHORIZE))
    assert again.end() == 0 and 'echo' in again.said, again.said
    assert len(hub.wait_audit('login', n=2)) == 2


def test_mcp_remote_over_the_older_transport(logged, program, client):
    port = npm.free_port()
    program(npm.clients() / EVERYTHING, 'sse', env={'PORT': str(port)}).wait_port(port)
    hub = logged(f'http://127.0.0.1:{port}/sse')
    c = client(packages() / MODULES / 'mcp-remote/dist/client.js', hub.public_url + '/tools', npm.free_port(),
               '--transport', 'sse-only', stdin=subprocess.PIPE)
    answer(hub, c.wait(AUTHORIZE))
    c.wait('echo')
