"""Logging in through the hub: an application that asks, and the person's browser.

    app = App(hub, 'app', 'http://localhost/cb', service='notes')
    ann = Person(hub)
    ann.get(app.url())              # the consent page
    ann.allow()                     # our page that sends on
    ann.go_on()                     # at the identity provider
    ann.follow()                    # its answer at /callback
    app.code(ann.page)              # what the application got
"""

import base64
import hashlib
import html
import http.client
import re
import secrets
import urllib.parse

from support.webform import Browser, Page


class App:
    """An OAuth client and one login of it: its own state and PKCE."""

    def __init__(self, hub, client_id, redirect, service=None, **params):
        self.hub, self.client_id, self.redirect = hub, client_id, redirect
        self.verifier = secrets.token_urlsafe(32)
        self.state = secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b'=')
        self.params = {
            'response_type': 'code', 'client_id': client_id, 'redirect_uri': redirect, 'state': self.state,
            'code_challenge': challenge.decode(), 'code_challenge_method': 'S256',
            'resource': hub.public_url + f'/{service}' if service else None, **params}

    def url(self, **over):
        """Of /authorize; OVER replaces parameters, None leaves one out, a list repeats it."""
        pairs = []
        for name, value in {**self.params, **over}.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    pairs.append((name, one))
        return self.hub.public_url + '/authorize?' + urllib.parse.urlencode(pairs)

    def answer(self, page):
        """What the redirect of PAGE brings to the application, {name: value}; asserts that it goes there."""
        target = page.location or page.next
        assert target and target.startswith(self.redirect), (page.status, target, page.text)
        pairs = urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query, keep_blank_values=True)
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    def code(self, page):
        answer = self.answer(page)
        assert answer.get('state') == self.state and answer.get('iss') == self.hub.public_url, answer
        assert 'error' not in answer, answer
        return answer['code']


class OurPage(Page):
    """A page with what ours have: a way on."""

    def link(self, name):
        """The URL of the link with this id, or None."""
        for tag in re.findall(r'<a [^>]*>', self.body):
            if f'id="{name}"' in tag:
                return html.unescape(re.search(r'href="([^"]*)"', tag)[1])
        return None

    @property
    def next(self):
        return self.link('next')

    @property
    def refresh(self):
        """Where <meta http-equiv=refresh> sends the browser."""
        found = re.search(r'<meta http-equiv="refresh" content="0;url=([^"]*)">', self.body)
        return html.unescape(found[1]) if found else None


class Person(Browser):
    """A browser that reaches the hub under its public name."""

    def __init__(self, hub, headers=None):
        super().__init__(headers)
        self.hub = hub

    def request(self, method, url, fields=None, headers=None):
        u = urllib.parse.urlsplit(url)
        ours = u.netloc == self.hub.host
        send = {**self.headers, 'Host': u.netloc}
        jar = self.cookies.get(u.hostname, {})
        if jar:
            send['Cookie'] = '; '.join(f'{k}={v}' for k, v in jar.items())
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields)
            send['Content-Type'] = 'application/x-www-form-urlencoded'
            send['Origin'] = f'{u.scheme}://{u.netloc}'
            send['Sec-Fetch-Site'] = 'same-origin'
        send = {k: v for k, v in {**send, **(headers or {})}.items() if v is not None}
        connection = self.connect('127.0.0.1' if ours else u.hostname, self.hub.port if ours else u.port or 80)
        try:
            connection.putrequest(method, (u.path or '/') + (f'?{u.query}' if u.query else ''),
                                  skip_host=True, skip_accept_encoding=True)
            if body is not None:
                send['Content-Length'] = str(len(body))
            for name, value in send.items():
                connection.putheader(name, value)
            connection.endheaders(body.encode() if body is not None else None)
            reply = connection.getresponse()
            self.page = OurPage(url, reply, reply.read())
        finally:
            self.leave(connection)
        self._take_cookies(u.hostname, self.page.headers.get_all('Set-Cookie') or [])
        return self.page

    def connect(self, host, port):
        """One connection a request; bench/oauth.py keeps them, as browsers do."""
        return http.client.HTTPConnection(host, port, timeout=60)

    def leave(self, connection):
        connection.close()

    def get(self, url, headers=None):
        return self.request('GET', url, headers=headers)

    def go_on(self):
        """Where our page sends on to."""
        target = self.page.refresh
        assert target, (self.page.status, self.page.text)
        return self.get(urllib.parse.urljoin(self.page.url, target))

    def allow(self, provider='login', **over):
        """Agrees on the consent page and looks at what follows it."""
        self.submit(provider, **over)
        assert self.page.status == 303, (self.page.status, self.page.text)
        return self.follow()

    def refuse(self):
        self.submit('cancel')
        return self.follow()

    def log_in(self, app, provider='login', **over):
        """The whole way, the identity provider consenting at once; returns the page of /callback."""
        self.get(app.url())
        assert self.page.status == 200, (self.page.status, self.page.text)
        self.allow(provider, **over)
        self.go_on()
        return self.follow()
