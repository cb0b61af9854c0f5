"""A mock identity provider: discovery and JWKS over plain http on loopback, with key rotation and
faults, counting what is asked of it."""

import collections
import http.server
import json
import threading

from support import tokens

DISCOVERY = '/.well-known/openid-configuration'
METADATA = '/.well-known/oauth-authorization-server'
JWKS = '/jwks'


class Fault:
    """How a path misbehaves: an answer of its own, after DELAY seconds; hang never answers."""

    def __init__(self, status=200, body=None, delay=0, hang=False, content_type='application/json',
                 headers=()):
        self.status, self.body, self.delay, self.hang = status, body, delay, hang
        self.content_type, self.headers = content_type, headers


class MockIdp:
    def __init__(self, alg='RS256'):
        self.keys = [tokens.key(alg)]
        self.metadata = {}   # replaces members of the discovery document; None removes one
        self.faults = {}     # path -> Fault
        self.documents = {}  # path -> object, bytes or str: more documents
        self.count = collections.Counter()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        idp = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                idp._answer(self)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, request, client_address):
                pass  # a client that gave up waiting, which the tests of faults provoke

        self._server = Server(('127.0.0.1', 0), Handler)
        self.port = self._server.server_address[1]
        self.issuer = f'http://127.0.0.1:{self.port}'
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def jwks_uri(self):
        return self.issuer + JWKS

    def rotate(self, alg='RS256', keep=False):
        """A new signing key; KEEP publishes the old ones too."""
        new = tokens.Key(alg)
        self.keys = [new] + (self.keys if keep else [])
        return new

    def token(self, signer=None, header=None, **over):
        """A token of this issuer, signed with its newest key."""
        return tokens.jwt(signer or self.keys[0], header=header, **{'iss': self.issuer, **over})

    def fault(self, path, **kw):
        self.faults[path] = Fault(**kw)

    def heal(self):
        self.faults.clear()

    def wait_count(self, path, n, timeout=60):
        """Waits until PATH has been asked for N times."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.count[path] >= n, timeout):
                raise AssertionError(f'{path} was asked for {self.count[path]} times, not {n}')

    def _document(self, path):
        if path in self.documents:
            return self.documents[path]
        if path in (DISCOVERY, METADATA):
            document = {'issuer': self.issuer, 'jwks_uri': self.jwks_uri,
                        'authorization_endpoint': self.issuer + '/authorize',
                        'token_endpoint': self.issuer + '/token', **self.metadata}
            return {k: v for k, v in document.items() if v is not None}
        if path == JWKS:
            return tokens.jwks(*self.keys)
        return None

    def _answer(self, rq):
        with self._changed:
            self.count[rq.path] += 1
            self._changed.notify_all()
        fault = self.faults.get(rq.path) or Fault()
        if fault.hang:
            self._stopping.wait(600)
            rq.close_connection = True
            return
        self._stopping.wait(fault.delay)
        body = fault.body if fault.body is not None else self._document(rq.path)
        status = fault.status if body is not None else 404
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body if body is not None else {'error': 'not_found'})
        if isinstance(body, str):
            body = body.encode('utf-8')
        rq.send_response(status)
        rq.send_header('Content-Type', fault.content_type)
        rq.send_header('Content-Length', str(len(body)))
        for name, value in fault.headers:
            rq.send_header(name, value)
        rq.end_headers()
        rq.wfile.write(body)

    def close(self):
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
