"""Sessions of real clients over five lifetimes of their tokens: the official SDKs, mcp-remote and the
Inspector, each request with the token of the moment, a standing stream and a long call among them."""

import concurrent.futures
import json
import os
import subprocess
import threading
import time

import pytest
from support import npm
from support.hub import Hub
from support.tokens import jwks, jwt, key

LIFE, SECONDS = 4, 21  # a call comes a second after the last, its token is 0.2 s old: some 2 s to spare
ISSUER = 'https://login.example.com'
RS = key('RS256')
MODULES = 'node_modules'
EVERYTHING = f'{MODULES}/@modelcontextprotocol/server-everything/dist/index.js'
KINDS = ['v1', 'v2', 'v1-sse', 'mcp-remote', 'inspector-sse']
CONF = '''
hub {{
    public_url http://127.0.0.1:{port}
    listen 127.0.0.1:{port}
    workers 2
    audit file {{dir}}/audit.log
}}
provider corp {{ module bearer-jwt; issuer %s; key_file {{conf}}/corp.jwks; leeway 0s }}
''' % ISSUER
SERVICE = '''
service {kind} {{ path /{kind}; upstream {upstream}; auth required corp; tool echo allow; tool trigger-* allow }}
'''


class Issuer:
    """Writes a token of every kind's own caller to a file, again and again."""

    def __init__(self, folder, origin):
        self.folder, self.origin, self.stopping = folder, origin, threading.Event()
        self.write()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def write(self):
        for kind in KINDS:
            new = self.folder / f'.{kind}'
            new.write_text(jwt(RS, iss=ISSUER, aud=f'{self.origin}/{kind}', sub=f'user-of-{kind}', client_id=kind,
                               exp=time.time() + LIFE))
            new.rename(self.folder / kind)

    def run(self):
        while not self.stopping.wait(0.2):
            self.write()


def environment(folder, kind, origin, home):
    return {**os.environ, 'HOME': str(home), 'MCP_INJECT_ORIGIN': origin, 'MCP_INJECT_FILE': str(folder / kind),
            'MCP_INSPECTOR_SECRET_STORE': 'file',
            'NODE_OPTIONS': f'--import {npm.TOP}/tests/interop/inject-preload.mjs'}


def holder(kind, url, env):
    done = subprocess.run([npm.NODE, npm.TOP / 'tests/interop/holder.mjs', kind, npm.holders(), url, str(SECONDS)],
                          env=env, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def remote(url, env):
    """mcp-remote between us and the hub, spoken to over its standard input."""
    program = npm.holders() / MODULES / 'mcp-remote/dist/proxy.js'
    p = subprocess.Popen([npm.NODE, program, url, '--transport', 'http-only'], env=env, text=True, bufsize=1,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said = {'right': 0, 'wrong': [], 'long': None}

    def ask(id, method, params):
        p.stdin.write(json.dumps({'jsonrpc': '2.0', 'id': id, 'method': method, 'params': params}) + '\n')
        p.stdin.flush()

    def answer():
        while True:
            message = json.loads(p.stdout.readline())
            if 'id' in message and 'method' not in message:
                return message
    try:
        ask(0, 'initialize', {'protocolVersion': '2025-06-18', 'capabilities': {}, 'clientInfo': {'name': 't', 'version': '1'}})
        assert 'result' in answer()
        p.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        ask('long', 'tools/call', {'name': 'trigger-long-running-operation',
                                   'arguments': {'duration': SECONDS - 4, 'steps': 2}})
        for i in range(1, SECONDS):
            time.sleep(1)
            ask(i, 'tools/call', {'name': 'echo', 'arguments': {'message': f'n{i}'}})
        left = set(range(1, SECONDS)) | {'long'}
        while left:
            message = answer()
            left.discard(message['id'])
            if message['id'] == 'long':
                said['long'] = message['result']['content'][0]['text']
            elif f'n{message["id"]}' in message.get('result', {}).get('content', [{}])[0].get('text', ''):
                said['right'] += 1
            else:
                said['wrong'].append(message)
    finally:
        p.kill()
        p.wait()
    return said


def inspector(url, env):
    """One long call over HTTP with SSE."""
    program = npm.clients() / MODULES / '@modelcontextprotocol/inspector/clients/launcher/build/index.js'
    done = subprocess.run([npm.NODE, program, '--cli', '--server-url', url, '--transport', 'sse', '--format', 'json',
                           '--protocol-era', 'legacy', '--method', 'tools/call', '--tool-name',
                           'trigger-long-running-operation', '--tool-arg', f'duration={SECONDS - 4}', '--tool-arg', 'steps=2'],
                          env=env, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    return {'right': SECONDS, 'wrong': [], 'long': answer.get('result', answer)['content'][0]['text']}


@pytest.fixture(scope='module')
def held(tmp_path_factory):
    """(what each client said, the hub's records), all of them at once."""
    folder, home = tmp_path_factory.mktemp('tokens'), tmp_path_factory.mktemp('home')
    port, programs, upstreams = npm.free_port(), [], {}
    for transport, path in (('streamableHttp', 'mcp'), ('sse', 'sse')):
        at = npm.free_port() + 1000 + len(programs)
        programs.append(npm.Program(npm.clients() / EVERYTHING, transport, env={'PORT': str(at)}).wait_port(at))
        upstreams[transport] = f'http://127.0.0.1:{at}/{path}'
    services = ''.join(SERVICE.format(kind=k, upstream=upstreams['sse' if 'sse' in k else 'streamableHttp']) for k in KINDS)
    h = Hub(CONF.format(port=port) + services, files={'corp.jwks': json.dumps(jwks(RS))})
    origin = f'http://127.0.0.1:{port}'
    run = {'mcp-remote': remote, 'inspector-sse': inspector}
    try:
        h.start()
        issuer = Issuer(folder, origin)
        with concurrent.futures.ThreadPoolExecutor(len(KINDS)) as pool:
            calls = {}
            for k in KINDS:
                where = f'{origin}/{k}', environment(folder, k, origin, home)
                calls[k] = pool.submit(run[k], *where) if k in run else pool.submit(holder, k, *where)
            concurrent.futures.wait(calls.values())
        issuer.stopping.set()
        yield calls, h
    finally:
        h.stop()
        h.remove()
        for p in programs:
            p.stop()


@pytest.mark.parametrize('kind', KINDS)
def test_a_session_outlives_the_tokens_that_it_is_used_with(held, kind):
    """row 80"""
    calls, h = held
    said = calls[kind].result()
    assert said['wrong'] == [] and said['right'] >= SECONDS - 1
    assert 'ompleted' in said['long'], said['long']
    decisions = h.audit('decision', service=kind)
    assert {r['decision'] for r in decisions} == {'grant'}
    # mcp-remote opens a session besides that it never uses: nobody shows a newer token there.
    used = {r.get('session') for r in decisions if r.get('method') == 'tools/call'}
    mine = {r['id'] for r in decisions if r.get('session') in used}
    assert used and [r for r in h.audit('done') if r['id'] in mine and r.get('ended')] == []
