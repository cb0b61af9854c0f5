"""Client ID Metadata Documents: a client that is known by a document at its own URL. Rows 107, 109."""

import json
import socket
import threading

import pytest

from support.hub import HubFailed
from support.oauth import error, good, login, take
from support.people import App, Person
from support.standin import Reply, StandIn

REDIRECT = 'http://localhost/cb'


class Site(StandIn):
    """A web server with one client's document, or whatever a test puts there."""

    def __init__(self):
        super().__init__()
        self.id = self.url + '/client.json'
        self.members, self.reply = {}, None
        self.routes[('GET', '/client.json')] = lambda rq: self.reply or Reply(200, {
            k: v for k, v in {'client_id': self.id, 'client_name': 'Documented', 'redirect_uris': [REDIRECT],
                              **self.members}.items() if v is not None})


@pytest.fixture
def site():
    s = Site()
    yield s
    s.close()


def page_of(hub, client_id, redirect=REDIRECT):
    return Person(hub).get(App(hub, client_id, redirect, service='notes').url())


def test_a_person_logs_in_to_a_client_that_nobody_registered(notes, site):
    app, code = login(notes, site.id, REDIRECT)
    assert good(take(notes, app, code))['access_token']
    assert site.count['/client.json'] == 1  # fetched once, kept for /consent, /callback and /token


def test_the_document_is_kept_for_all_workers_and_over_a_restart(notes, site):
    app, code = login(notes, site.id, REDIRECT)
    notes.stop()
    notes.start()
    site.close()
    app, code = login(notes, site.id, REDIRECT)
    assert good(take(notes, app, code))


def test_at_token_nothing_is_fetched(notes, site):  # row 109
    app = App(notes, site.id, REDIRECT, service='notes')
    assert error(take(notes, app, 'x' * 43), 401) == 'invalid_client'
    assert site.count['/client.json'] == 0


@pytest.mark.parametrize('members', [
    {'client_id': 'http://127.0.0.1/other.json'}, {'client_id': None}, {'client_name': None}, {'client_name': 7},
    {'redirect_uris': None}, {'redirect_uris': []}, {'redirect_uris': ['javascript:alert(1)']},
    {'client_secret': 'x'}, {'client_secret_expires_at': 0}, {'token_endpoint_auth_method': 'client_secret_basic'},
    {'token_endpoint_auth_method': 'private_key_jwt'}, {'grant_types': ['implicit']}])
def test_a_document_that_is_not_what_it_must_be_is_refused(notes, site, members):  # row 109
    site.members = members
    page = page_of(notes, site.id)
    assert page.status == 400 and page.location is None, (page.status, page.text)


@pytest.mark.parametrize('reply', [
    Reply(404, {}), Reply(201, {}), Reply(200, 'x', content_type='application/json'),
    Reply(200, '[]', content_type='application/json'), Reply(200, '{}', content_type='text/html')])
def test_what_is_no_document_is_refused(notes, site, reply):  # row 109
    site.reply = reply
    assert page_of(notes, site.id).status == 400


def test_a_redirect_is_not_followed(notes, site):  # rows 107 and 109
    site.routes[('GET', '/real.json')] = site.routes[('GET', '/client.json')]
    site.reply = Reply(302, headers=[('Location', site.url + '/real.json')])
    assert page_of(notes, site.id).status == 400
    assert site.count['/real.json'] == 0


def test_a_document_past_5_kib_is_refused(notes, site):  # row 107
    site.members = {'client_uri': 'https://app.example/' + 'x' * 5200}
    assert page_of(notes, site.id).status in (400, 503)


def test_a_duplicate_member_is_refused(notes, site):  # row 109
    site.reply = Reply(200, '{"client_id":"%s","client_name":"A","client_name":"B","redirect_uris":["%s"]}'
                       % (site.id, REDIRECT), content_type='application/json')
    assert page_of(notes, site.id).status == 400


def test_what_was_refused_is_not_fetched_again_at_once(notes, site):  # row 109
    site.members = {'client_name': None}
    for _ in range(3):
        assert page_of(notes, site.id).status == 400
    assert site.count['/client.json'] == 1


def test_another_redirect_uri_is_not_redirected_to(notes, site):  # row 84
    page = page_of(notes, site.id, 'http://localhost/elsewhere')
    assert page.status == 400 and page.location is None


def test_a_loopback_port_may_differ(notes, site):
    app, code = login(notes, site.id, 'http://localhost:53111/cb')
    assert good(take(notes, app, code))


@pytest.mark.parametrize('url', [
    'https://127.0.0.1/client.json', 'https://10.0.0.1/c', 'https://169.254.169.254/latest', 'https://[::1]/c',
    'https://[::ffff:127.0.0.1]/c', 'https://[fd00::1]/c', 'https://0.0.0.0/c', 'https://100.64.0.1/c',
    'https://192.168.1.1/c', 'https://localhost/c', 'https://198.18.0.1/c', 'https://[64:ff9b::7f00:1]/c'])
def test_a_hub_that_is_public_connects_to_no_address_of_its_own_network(login_hub, canary, url):  # row 107
    hub = login_hub(public_url='https://mcp.example.com', hub='listen 0.0.0.0:0; accept_risk plain-http-listen')
    page = page_of(hub, url)
    assert page.status in (400, 503) and page.location is None


@pytest.mark.parametrize('url', [
    'http://app.example/c', 'https://app.example', 'https://app.example/', 'https://app.example/../c',
    'https://app.example/%2e%2e/c', 'https://a@app.example/c', 'https://app.example/c#f', 'https://app.example:8443/c',
    'https://APP.example/c', 'ftp://app.example/c'])
def test_a_url_that_cannot_be_a_clients_id_is_not_fetched(login_hub, url):  # row 107
    hub = login_hub(public_url='https://mcp.example.com', hub='listen 0.0.0.0:0; accept_risk plain-http-listen')
    page = page_of(hub, url)
    assert page.status == 400 and page.location is None  # 503 would be a fetch that failed


def test_a_slow_site_holds_up_nobody_else(notes, site):  # row 109
    site.fault('/client.json', hang=True)
    waiting = threading.Thread(target=lambda: page_of(notes, site.id), daemon=True)
    waiting.start()
    site.wait_count('/client.json', 1)
    other = site.url + '/second.json'
    assert page_of(notes, other).status == 503  # one a host
    assert page_of(notes, 'app', 'https://app.example/cb').status == 200
    assert site.count['/second.json'] == 0


# ---- behind a proxy

class Proxy:
    """Notes what it is asked to connect to, and refuses."""

    def __init__(self):
        self.asked, self.socket = [], socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.socket.getsockname()[1]}'
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection, connection.makefile('rb') as lines:
                self.asked.append(lines.readline().decode().strip())
                connection.sendall(b'HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n')


@pytest.fixture
def proxy():
    p = Proxy()
    yield p
    p.socket.close()


def test_with_a_proxy_documents_need_a_word_of_the_administrator(login_hub, proxy):  # row 108
    with pytest.raises(HubFailed, match='proxied-documents'):
        login_hub(public_url='https://mcp.example.com', hub=f'egress_proxy {proxy.url}')
    hub = login_hub('oauth { client_documents off }', public_url='https://mcp.example.com',
                    hub=f'egress_proxy {proxy.url}')
    assert page_of(hub, 'https://app.example/c').status == 400
    body = {'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'private_key_jwt',
            'jwks_uri': 'https://app.example/keys'}
    reply = hub.request('POST', '/register', body=json.dumps(body), headers={'Content-Type': 'application/json'})
    assert reply.status == 400 and 'not fetched here' in reply.json()['error_description']
    assert not proxy.asked


def test_a_document_is_fetched_through_the_proxy(login_hub, proxy):  # row 108
    hub = login_hub(public_url='https://mcp.example.com',
                    hub=f'egress_proxy {proxy.url}; accept_risk proxied-documents')
    assert page_of(hub, 'https://app.example/c').status == 503
    assert proxy.asked == ['CONNECT app.example:443 HTTP/1.1']
    for url in ('https://10.0.0.1/c', 'https://[::1]/c', 'https://169.254.169.254/c', 'https://intranet/c',
                'https://2130706433/c', 'https://localhost/c'):
        assert page_of(hub, url).status in (400, 503)
    assert len(proxy.asked) == 1
