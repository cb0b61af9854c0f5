"""A scriptable MCP-shaped server that keeps every byte it receives.

`upstream.reply(...)`, `.reply_sse(...)` and the like set what is answered from now on; a test that
needs more sets `upstream.handler` to a function of one Exchange.  One thread a connection; everything
ends with close()."""

import json
import select
import socket
import threading
import time


class Received:
    """One request as it came."""

    def __init__(self, method, target, headers, body, connection, raw):
        self.method, self.target, self.headers = method, target, headers
        self.body, self.connection, self.raw = body, connection, raw

    def header(self, name):
        """The value of the only field NAME, or None."""
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(values) <= 1, f'{name} was sent {len(values)} times'
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f'<Received {self.method} {self.target} {self.body[:200]!r}>'


class Exchange:
    """What a handler has in hand: the request, and ways to answer."""

    def __init__(self, server, sock, request):
        self.server, self.sock, self.request = server, sock, request
        self.close_after = False

    def raw(self, data):
        self.sock.sendall(data)

    def head(self, status=200, headers=(), reason='Said'):
        lines = [f'HTTP/1.1 {status} {reason}'] + [f'{n}: {v}' for n, v in headers]
        self.raw(('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1'))

    def reply(self, body=b'', status=200, content_type='application/json', headers=()):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode('utf-8')
        fields = [('Content-Type', content_type)] if content_type else []
        fields += [('Content-Length', len(body)), *headers]
        self.head(status, fields)
        self.raw(body)

    def result(self, result, headers=()):
        """The JSON-RPC result for this request."""
        self.reply({'jsonrpc': '2.0', 'id': self.request.json().get('id'), 'result': result},
                   headers=headers)

    def sse_start(self, headers=()):
        self.head(200, [('Content-Type', 'text/event-stream'), ('Transfer-Encoding', 'chunked'),
                        *headers])

    def chunk(self, data):
        if isinstance(data, str):
            data = data.encode('utf-8')
        self.raw(b'%x\r\n%s\r\n' % (len(data), data))

    def event(self, data, event=None, id=None):
        """One server-sent event; DATA may be an object."""
        if not isinstance(data, str):
            data = json.dumps(data)
        text = ''.join([f'event: {event}\n' if event else '', f'id: {id}\n' if id else ''])
        self.chunk(text + ''.join(f'data: {line}\n' for line in data.split('\n')) + '\n')

    def sse_end(self):
        self.raw(b'0\r\n\r\n')

    def wait_gone(self, timeout=30):
        """True when the other side closes within TIMEOUT."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0 and not self.server.stopping.is_set():
            readable, _, _ = select.select([self.sock], [], [], min(left, 0.1))
            if readable:
                try:
                    return self.sock.recv(1, socket.MSG_PEEK) == b''
                except OSError:
                    return True
        return False


def _echo(x):
    """The default: a result that says what was called; 202 for notifications and replies."""
    if x.request.method != 'POST':
        x.reply(status=405, content_type=None)
        return
    message = x.request.json()
    if isinstance(message, dict) and 'id' in message and 'method' in message:
        x.result({'method': message['method'], 'params': message.get('params')})
    else:
        x.reply(status=202, content_type=None)


class MockUpstream:
    def __init__(self, path='/mcp', unix=None):
        self.path, self.unix = path, unix
        self.requests, self.exchanges = [], []
        self.connections = 0
        self.gone = 0  # connections that the other side closed
        self.handler = _echo
        self.stopping = threading.Event()
        self._bytes = bytearray()
        self._changed = threading.Condition()
        self._threads, self._sockets = [], set()
        if unix:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(unix)
            self.port = None
        else:
            self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(('127.0.0.1', 0))
            self.port = self._listener.getsockname()[1]
        self._listener.listen(1024)
        self._spawn(self._accept)

    # what the test asks

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}{self.path}'

    @property
    def transcript(self):
        """Every byte received, of all connections."""
        with self._changed:
            return bytes(self._bytes)

    @property
    def last(self):
        assert self.requests, 'the upstream saw no request'
        return self.requests[-1]

    def wait_requests(self, n, timeout=30):
        """Waits until N requests have come; returns the list."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= n, timeout):
                raise AssertionError(f'{len(self.requests)} requests came, not {n}')
        return self.requests

    def wait_gone(self, n=1, timeout=30):
        """Waits until N connections have been closed by the other side."""
        with self._changed:
            return self._changed.wait_for(lambda: self.gone >= n, timeout)

    # what it answers

    def reply(self, body=b'', status=200, content_type='application/json', headers=(), delay=0):
        """Answers so from now on, DELAY seconds after each request."""
        def handler(x):
            self.stopping.wait(delay)
            x.reply(body, status, content_type, headers)
        self.handler = handler

    def reply_sse(self, events, gap=0, hold=False, headers=()):
        """Answers with an event stream: EVENTS are strings or objects (data) or bytes (sent as they
        are), GAP seconds apart; HOLD leaves the stream open until the other side closes."""
        def handler(x):
            x.sse_start(headers)
            for e in events:
                x.chunk(e) if isinstance(e, bytes) else x.event(e)
                self.stopping.wait(gap)
            if hold:
                x.wait_gone(600)
                x.close_after = True
            else:
                x.sse_end()
        self.handler = handler

    def reply_raw(self, data, close=True):
        """Answers with these bytes, whatever they are."""
        def handler(x):
            x.raw(data)
            x.close_after = close
        self.handler = handler

    def hang(self):
        """Reads requests and never answers."""
        def handler(x):
            x.wait_gone(600)
            x.close_after = True
        self.handler = handler

    def hang_up(self):
        """Reads a request and closes without an answer."""
        def handler(x):
            x.close_after = True
        self.handler = handler

    # machinery

    def _spawn(self, target, *args):
        t = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(t)
        t.start()

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if not self.unix:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._sockets.add(sock)
            self._spawn(self._serve, sock, self.connections)

    def _receive(self, sock, buffer):
        try:
            data = sock.recv(65536)
        except OSError:
            data = b''
        with self._changed:
            self._bytes += data
        return buffer + data, bool(data)

    def _read_request(self, sock, buffer, number):
        """(request or None at the end of the connection, what is left in the buffer)."""
        more = True
        while b'\r\n\r\n' not in buffer and more:
            buffer, more = self._receive(sock, buffer)
        if b'\r\n\r\n' not in buffer:
            return None, buffer
        head, rest = buffer.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        method, target, _ = lines[0].split(' ', 2)
        headers = [tuple(s.strip() for s in line.split(':', 1)) for line in lines[1:]]
        fields = {n.lower(): v for n, v in headers}
        if fields.get('transfer-encoding', '').lower() == 'chunked':
            body = b''
            while True:
                while b'\r\n' not in rest and more:
                    rest, more = self._receive(sock, rest)
                size, _, rest = rest.partition(b'\r\n')
                n = int(size or b'0', 16)
                while len(rest) < n + 2 and more:
                    rest, more = self._receive(sock, rest)
                body, rest = body + rest[:n], rest[n + 2:]
                if n == 0 or not more:
                    break
        else:
            n = int(fields.get('content-length', '0'))
            while len(rest) < n and more:
                rest, more = self._receive(sock, rest)
            body, rest = rest[:n], rest[n:]
        raw = buffer[:len(buffer) - len(rest)] if buffer.endswith(rest) else buffer
        return Received(method, target, headers, body, number, raw), rest

    def _serve(self, sock, number):
        buffer = b''
        try:
            while not self.stopping.is_set():
                request, buffer = self._read_request(sock, buffer, number)
                if request is None:
                    break
                exchange = Exchange(self, sock, request)
                with self._changed:
                    self.requests.append(request)
                    self.exchanges.append(exchange)
                    self._changed.notify_all()
                self.handler(exchange)
                if exchange.close_after:
                    break
        except OSError:
            pass  # the other side left in the middle of an answer: what many tests are about
        finally:
            self._sockets.discard(sock)
            sock.close()
            with self._changed:
                self.gone += 1
                self._changed.notify_all()

    def close(self):
        self.stopping.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for sock in list(self._sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for t in self._threads:
            t.join(5)


class Canary(MockUpstream):
    """A server that must never be contacted: conftest.py fails the test when it was."""
