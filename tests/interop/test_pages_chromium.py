"""The hub's pages in a real Chromium: a login, a no, a choice, errors; nothing runs, nothing is loaded,
nothing is in the way of a keyboard or a screen reader. Screenshots lie in .cache/pages."""

import http.server
import json
import shutil
import subprocess
import threading

import pytest

from support import npm
from support.oauth import register
from support.payloads import PAYLOADS
from support.people import App

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='there is no chromium here (apt-get install chromium)')
SHOTS = npm.TOP / '.cache' / 'pages'

CONF = '''
hub {{ public_url http://127.0.0.1:{port}; listen 127.0.0.1:{port}; workers 1; audit off }}
oauth {{ registrations_per_address 1000 }}
provider corp {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/corp.secret }}
provider home {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/corp.secret }}
scope notes:read  {{ text "Read your notes" }}
scope notes:write {{ text "Change and delete your notes"; implies notes:read }}
service notes {{ path /notes; resource_name "Team notes"; upstream http://127.0.0.1:9/mcp
                 auth sufficient corp; require scope notes:read; login_scope notes:read notes:write }}
service tasks {{ path /tasks; upstream http://127.0.0.1:9/mcp; auth sufficient corp; auth sufficient home
                 accept_risk same-issuer }}
scope admin:read {{ text "Look at it" }}
scope admin:all  {{ text "Administer it all"; for claim /groups = notes-admins }}
service admin {{ path /admin; upstream http://127.0.0.1:9/mcp; auth sufficient corp; require scope admin:read
                 tool purge require scope admin:all; tool * allow; accept_risk broad-allow }}
client app {{ text "Notes App"; redirect_uri {callback} }}
'''


@pytest.fixture
def application():
    """Where the application waits: its URL."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header('Content-Type', 'text/html')
            self.end_headers()
            self.wfile.write(b'<!doctype html><html lang="en"><title>Done</title><main><h1>Done</h1></main>')

        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_address[1]}/cb'
    server.shutdown()
    server.server_close()


@pytest.fixture
def pages(hub, oidc, application, tmp_path):
    """The hub, and what drives a browser through steps."""
    port = npm.free_port()
    h = hub(CONF.format(port=port, oidc=oidc, callback=application),
            files={'corp.secret': oidc.client_secret + '\n'}, public_url=f'http://127.0.0.1:{port}')
    h.application = application
    oidc.redirect_uris = {f'{h.public_url}/callback/{name}' for name in ('corp', 'home')}
    folder = npm.install('browser', 'playwright-core@1.65.1', '@axe-core/playwright@4.14.0')

    def drive(steps, screens=True):
        job = tmp_path / 'job.json'
        job.write_text(json.dumps({'chromium': CHROMIUM, 'shots': str(SHOTS), 'modules': str(folder), 'steps': steps,
                                   'screens': screens, 'origins': [h.public_url, oidc.url, application]}))
        done = subprocess.run([npm.NODE, npm.TOP / 'tests/interop/pages.mjs', job], text=True,
                              capture_output=True, timeout=480)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        assert result['seen'] == {'dialogs': [], 'foreign': [], 'errors': []}
        for r in result['reports']:
            assert not r['violations'], (r['name'], r['violations'])
            assert not r.get('wide'), r['name']
        return result['reports']
    return h, drive


def login(hub, **kw):
    return App(hub, 'app', hub.application, service='notes', **kw)


def test_a_login_by_mouse_and_by_keyboard(pages, oidc):
    hub, drive = pages
    home = hub.public_url
    for how in ('press', 'key'):
        steps = [{'name': 'consent', 'goto': login(hub).url(), 'axe': True, 'narrow': True},
                 {'name': 'provider', how: 'Allow and sign in', 'until': oidc.url},
                 {'name': 'application', 'press': 'Ann Example', 'until': hub.application}]
        reports = drive(steps)
        assert 'Team notes' in reports[0]['text'] and reports[0]['lang'] == 'en'
        assert f'iss=http%3A%2F%2F127.0.0.1%3A{hub.port}' in reports[2]['url'] and 'code=' in reports[2]['url']
        assert home in reports[0]['url']


def test_a_no_a_choice_and_errors(pages, oidc):
    hub, drive = pages
    oidc.signed_in = 'ann'
    stale = hub.public_url + '/callback/corp?state=x&code=y'
    reports = drive([
        {'name': 'consent-dark', 'goto': login(hub).url(), 'axe': True,
         'context': {'colorScheme': 'dark', 'viewport': {'width': 390, 'height': 844}}},
        {'name': 'consent-zh', 'goto': login(hub).url(), 'axe': True, 'narrow': True, 'context': {'locale': 'zh-CN'}},
        {'name': 'denied', 'context': {}, 'goto': login(hub).url()},
        {'name': 'denied-application', 'press': 'Cancel', 'until': hub.application},
        {'name': 'chooser', 'goto': App(hub, 'app', hub.application, service='tasks').url(), 'axe': True, 'narrow': True},
        {'name': 'chosen', 'press': 'Allow and sign in with home', 'until': hub.application},
        {'name': 'unknown-client', 'goto': login(hub).url(client_id='nobody'), 'axe': True, 'narrow': True},
        {'name': 'redirect', 'goto': login(hub).url(redirect_uri='https://evil.example/cb'), 'axe': True, 'narrow': True},
        {'name': 'which-service', 'goto': login(hub).url(resource=None), 'axe': True, 'narrow': True},
        {'name': 'expired', 'goto': stale, 'axe': True, 'narrow': True},
        {'name': 'expired-dark', 'goto': stale, 'axe': True, 'context': {'colorScheme': 'dark'}},
    ])
    at = {r['name']: r for r in reports}
    assert at['consent-zh']['lang'] == 'zh' and '允许' in at['consent-zh']['text']
    assert 'error=access_denied' in at['denied-application']['url']
    assert 'code=' in at['chosen']['url']
    assert len(oidc.asked('/authorize')) == 1


def test_a_scope_that_is_not_hers(pages, oidc):
    hub, drive = pages
    oidc.signed_in = 'bob'
    asks = App(hub, 'app', hub.application, service='admin', scope='admin:read admin:all')
    reports = drive([
        {'name': 'perhaps', 'goto': asks.url(), 'axe': True},
        {'name': 'told', 'press': 'Allow and sign in', 'until': hub.public_url + '/callback/', 'axe': True, 'narrow': True},
        {'name': 'told-application', 'press': 'Go back to the application', 'role': 'link', 'until': hub.application},
    ])
    at = {r['name']: r for r in reports}
    assert 'only if your account may have it' in at['perhaps']['text']
    assert 'Administer it all' in at['told']['text'] and at['told']['scripts'] == 0
    assert 'code=' in at['told-application']['url']


def test_names_of_strangers_run_nowhere(pages):  # row 98
    hub, drive = pages
    steps = []
    for i, payload in enumerate(PAYLOADS):
        client = register(hub, client_name=payload, redirect_uris=[hub.application])
        if client:
            steps.append({'name': f'payload-{i}', 'goto': App(hub, client, hub.application, service='notes').url()})
    assert len(steps) >= 90
    reports = drive(steps, screens=False)
    assert all(r['scripts'] == 0 and r['handlers'] == 0 for r in reports)
    assert all(r['url'].startswith(hub.public_url + '/authorize?') for r in reports)
    assert {r['title'] for r in reports} == {'Allow access to Team notes?'}
