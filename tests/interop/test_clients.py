"""The MCP Inspector's command line, through the hub, to servers that other people wrote: both eras,
streamable HTTP and the older HTTP with SSE."""

import json
import os
import subprocess

import pytest

from support import npm
from support.secretlog import remember
from support.tokens import StaticToken

MODULES = 'node_modules'
EVERYTHING = f'{MODULES}/@modelcontextprotocol/server-everything/dist/index.js'
UPSTREAM_KEY = 'the-key-of-mcp-proxy'


def inspect(url, *args, token=None, era='legacy', transport='http', home):
    """Runs the Inspector; the completed process."""
    program = npm.clients() / MODULES / '@modelcontextprotocol/inspector/clients/launcher/build/index.js'
    header = ['--header', f'Authorization: Bearer {token}'] if token else []
    return subprocess.run(
        [npm.NODE, program, '--cli', '--server-url', url, '--transport', transport, '--protocol-era', era,
         *header, '--format', 'json', *args],
        env={**os.environ, 'HOME': str(home), 'MCP_INSPECTOR_SECRET_STORE': 'file'}, text=True,
        capture_output=True, stdin=subprocess.DEVNULL, timeout=180)


def call_echo(url, **kw):
    done = inspect(url, '--method', 'tools/call', '--tool-name', 'echo', '--tool-arg', 'message=hi', **kw)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    answer = answer.get('result', answer)
    assert 'hi' in answer['content'][0]['text']


@pytest.fixture(params=['streamableHttp', 'sse'])
def everything(program, request):
    """server-everything: (transport, URL)."""
    port = npm.free_port()
    program(npm.clients() / EVERYTHING, request.param, env={'PORT': str(port)}).wait_port(port)
    sse = request.param == 'sse'
    return ('sse', f'http://127.0.0.1:{port}/sse') if sse else ('http', f'http://127.0.0.1:{port}/mcp')


@pytest.fixture
def proxy(program):
    """mcp-proxy in front of server-everything, which wants an API key of its own: its origin."""
    port = npm.free_port()
    program(npm.clients() / MODULES / 'mcp-proxy/dist/bin/mcp-proxy.mjs', '--host', '127.0.0.1', '--port', port,
            '--apiKey', UPSTREAM_KEY, '--', npm.NODE, npm.clients() / EVERYTHING, 'stdio').wait_port(port)
    return f'http://127.0.0.1:{port}'


@pytest.fixture
def guarded(hub):
    """Factory: (the service's URL, a good token) of a hub in front of UPSTREAM."""
    def make(upstream, more=''):
        token, port = StaticToken('inspector', 'ann'), npm.free_port()
        h = hub(f'''
            hub {{
                public_url http://127.0.0.1:{port}
                listen 127.0.0.1:{port}
                workers 1
                audit file {{dir}}/audit.log
            }}
            provider tokens {{ module static-token; file {{conf}}/tokens }}
            service tools {{
                path /tools
                upstream {upstream}
                auth required tokens
                {more}
            }}''', files={'tokens': token.line, 'key': UPSTREAM_KEY})
        return h, f'http://127.0.0.1:{port}/tools', token.secret
    return make


def test_the_inspector_calls_a_tool_of_server_everything(guarded, everything, tmp_path):
    transport, upstream = everything
    h, url, token = guarded(upstream)
    call_echo(url, token=token, transport=transport, home=tmp_path)
    assert all(r['subject'] == 'ann' for r in h.audit('decision'))


def test_the_inspector_without_a_token_is_refused(guarded, everything, tmp_path):
    transport, upstream = everything
    h, url, _ = guarded(upstream)
    done = inspect(url, '--method', 'tools/list', transport=transport, home=tmp_path)
    assert done.returncode != 0
    assert not h.audit('decision', verdict='grant')


@pytest.mark.parametrize('era', ['legacy', 'modern'])
def test_the_inspector_calls_a_tool_of_mcp_proxy_in_both_eras(guarded, proxy, era, tmp_path):
    remember(UPSTREAM_KEY, upstream_ok=True)
    _, url, token = guarded(f'{proxy}/mcp', 'upstream_auth header X-API-Key file:{conf}/key')
    call_echo(url, token=token, era=era, home=tmp_path)


def test_the_inspector_calls_a_tool_of_mcp_proxy_over_sse(guarded, proxy, tmp_path):
    remember(UPSTREAM_KEY, upstream_ok=True)
    _, url, token = guarded(f'{proxy}/sse', 'upstream_auth header X-API-Key file:{conf}/key')
    call_echo(url, token=token, transport='sse', home=tmp_path)


@pytest.mark.parametrize('era', ['legacy', 'modern'])
def test_the_inspector_lists_what_the_demo_server_has(guarded, demo_server, era, tmp_path):
    _, url, token = guarded(demo_server)
    for method, kind in (('tools/list', 'tools'), ('resources/list', 'resources'), ('prompts/list', 'prompts')):
        done = inspect(url, '--method', method, token=token, era=era, home=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert answer.get('result', answer)[kind]
