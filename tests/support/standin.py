"""The base of our stand-ins for identity providers: an HTTP server on loopback that notes what it was
asked, misbehaves when told to, and is strict where the real ones are."""

import base64
import collections
import hashlib
import http.server
import json
import secrets
import socket
import threading
import time
import urllib.parse

from support.secretlog import remember


class Reply:
    """An answer: BODY is an object (JSON), str or bytes."""

    def __init__(self, status=200, body=None, headers=(), content_type=None):
        if isinstance(body, (dict, list)):
            body, content_type = json.dumps(body), content_type or 'application/json'
        if isinstance(body, str):
            body = body.encode('utf-8')
        self.status, self.body, self.headers = status, body or b'', list(headers)
        self.content_type = content_type or 'text/html; charset=utf-8'


def redirect(url, **query):
    """A 302 to URL with QUERY added; None leaves a parameter out."""
    query = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})
    return Reply(302, headers=[('Location', url + ('&' if '?' in url else '?') + query)])


class Fault:
    """How a path misbehaves for TIMES requests (None: until healed): after DELAY seconds it answers
    STATUS and BODY; status None answers as usual (slow), hang never answers, drop closes."""

    def __init__(self, status=500, body=None, delay=0, hang=False, drop=False, times=None, headers=(),
                 content_type='application/json'):
        self.status, self.delay, self.hang, self.drop, self.times = status, delay, hang, drop, times
        self.reply = Reply(status or 200, body if body is not None else {'error': 'server_error'},
                           headers, content_type)


class Request:
    """One request: parameters come from the query, or the form of a POST; one that stands twice makes
    BAD true."""

    def __init__(self, handler):
        self.method = handler.command
        self.path, _, query = handler.path.partition('?')
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        n = int(self.headers.get('content-length') or 0)
        self.body = handler.rfile.read(n) if n else b''
        self.form = self.headers.get('content-type', '').split(';')[0] == 'application/x-www-form-urlencoded'
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        if self.form:
            pairs += urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True)
        self.params = dict(pairs)
        self.bad = len(self.params) != len(pairs)
        self.in_url = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def bearer(self):
        scheme, _, token = self.headers.get('authorization', '').partition(' ')
        return token if scheme.lower() == 'bearer' else None

    @property
    def basic(self):
        """(user, password), form-decoded as RFC 6749 section 2.3.1 says, or None."""
        scheme, _, text = self.headers.get('authorization', '').partition(' ')
        if scheme.lower() != 'basic':
            return None
        user, _, password = base64.b64decode(text).decode().partition(':')
        return urllib.parse.unquote_plus(user), urllib.parse.unquote_plus(password)


class StandIn:
    """A subclass fills self.routes: {(method, path): function of a Request that returns a Reply}."""

    def __init__(self):
        self.routes, self.faults = {}, {}
        self.ahead = lambda: 0.0  # of the machine's clock, in seconds: in what it signs
        self.requests = []  # in order of arrival
        self.count = collections.Counter()
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._stopping = threading.Event()
        standin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                standin._serve(self)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass  # a client that gave up waiting, which the tests of faults provoke

        self._listen = lambda port: Server(('127.0.0.1', port), Handler)
        self._server = None
        self._place = socket.socket()  # holds the port while nobody listens there
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(('127.0.0.1', 0))
        self.port = self._place.getsockname()[1]
        self.come_back()
        self.url = f'http://127.0.0.1:{self.port}'

    def go_down(self):
        """From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        self._server = None

    def come_back(self):
        """It listens again, where it did."""
        self._server = self._listen(self.port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def fault(self, path, **kw):
        self.faults[path] = Fault(**kw)

    def rate_limit(self, path, **kw):
        self.fault(path, status=429, body={'error': 'too_many_requests'}, headers=[('Retry-After', '7')], **kw)

    def heal(self):
        self.faults.clear()

    def asked(self, path):
        """The requests for PATH so far."""
        with self.lock:
            return [rq for rq in self.requests if rq.path == path]

    def wait_count(self, path, n, timeout=60):
        """Waits until PATH has been asked for N times."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.count[path] >= n, timeout):
                raise AssertionError(f'{path} was asked for {self.count[path]} times, not {n}')

    def close(self):
        self._stopping.set()
        if self._server:
            self.go_down()
        self._place.close()

    def _take_fault(self, path):
        with self.lock:
            fault = self.faults.get(path)
            if fault and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self.faults[path]
            return fault

    def _serve(self, handler):
        rq = Request(handler)
        with self._changed:
            self.requests.append(rq)
            self.count[rq.path] += 1
            self._changed.notify_all()
        fault = self._take_fault(rq.path)
        if fault and fault.hang:
            self._stopping.wait(600)
        if fault and (fault.hang or fault.drop):
            handler.close_connection = True
            return
        if fault:
            self._stopping.wait(fault.delay)
        reply = fault.reply if fault and fault.status else self._answer(rq)
        handler.send_response(reply.status)
        handler.send_header('Content-Type', reply.content_type)
        handler.send_header('Content-Length', str(len(reply.body)))
        for name, value in reply.headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(reply.body)

    def _answer(self, rq):
        route = self.routes.get((rq.method, rq.path))
        if route is None:
            return self.not_found(rq)
        with self.lock:
            return route(rq)

    def not_found(self, rq):
        return Reply(404, {'error': 'not_found'})


def page(title, body, status=200):
    """What a person sees."""
    return Reply(status, f'''<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<body style="font-family:sans-serif;max-width:32rem;margin:3rem auto"><h1>{title}</h1>{body}</body></html>''')


def challenge_of(verifier):
    """S256 (RFC 7636)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b'=').decode()


class Code:
    """An authorization code: for one client, redirect URI and challenge, once, for 60 s."""

    def __init__(self, person, params, scopes):
        self.text = remember(secrets.token_urlsafe(24))
        self.person, self.scopes = person, scopes
        self.client = params['client_id']
        self.redirect_uri = params.get('redirect_uri')
        self.challenge = params.get('code_challenge')
        self.nonce = params.get('nonce')
        self.expires = time.monotonic() + 60
        self.used = False


class Grant:
    """What one login became: its tokens live and die together."""

    def __init__(self, person, client, scopes):
        self.person, self.client, self.scopes = person, client, scopes
        self.access, self.refresh, self.spent = {}, None, set()  # token -> monotonic expiry
        self.alive = True
