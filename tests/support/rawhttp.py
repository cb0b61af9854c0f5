"""A byte-exact HTTP client: sends what it is told, and reads answers without helping anybody.

    with Raw(address) as c:
        c.send(b'GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n')
        answer = c.answer()
        assert c.ending() == 'closed'
"""

import json
import socket
import ssl
import time


class NoAnswer(Exception):
    """The connection ended, or time ran out, before an answer was whole."""


class Answer:
    def __init__(self, status, headers, body, raw_head, whole):
        self.status, self.headers, self.body = status, headers, body
        self.raw_head = raw_head
        self.whole = whole  # False: the connection ended before the body's own end

    def header(self, name):
        """All values of a header joined by '|', or None."""
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        return '|'.join(values) if values else None

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f'<Answer {self.status} {self.headers} {self.body[:200]!r}>'


class Raw:
    """One connection to ADDRESS: a (host, port) or the path of a unix socket."""

    def __init__(self, address, timeout=60, tls=None, receive_buffer=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.timeout = timeout
        self.sock.connect(address)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname='localhost')
        self.got = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def try_send(self, data):
        """False when the peer had closed."""
        try:
            self.sock.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            return False

    def _more(self):
        try:
            data = self.sock.recv(262144)
        except ssl.SSLError:
            data = b''
        if not data:
            return False
        self.got += data
        return True

    def read_until(self, mark):
        """The bytes up to and including MARK."""
        while mark not in self.got:
            if not self._more():
                raise NoAnswer(f'ended after {bytes(self.got[:300])!r}')
        at = self.got.index(mark) + len(mark)
        data = bytes(self.got[:at])
        del self.got[:at]
        return data

    def read_exactly(self, n):
        while len(self.got) < n:
            if not self._more():
                raise NoAnswer(f'ended {n - len(self.got)} bytes early')
        data = bytes(self.got[:n])
        del self.got[:n]
        return data

    def read_rest(self):
        """Everything up to the end of the connection."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        data = bytes(self.got)
        self.got.clear()
        return data

    def head(self):
        """Status, headers as a list, raw bytes; interim answers are skipped but 100 is counted."""
        self.continues = getattr(self, 'continues', 0)
        while True:
            raw = self.read_until(b'\r\n\r\n')
            lines = raw.decode('latin-1').split('\r\n')
            version, status, _ = lines[0].split(' ', 2)
            assert version == 'HTTP/1.1', lines[0]
            headers = [(n, v.strip()) for n, _, v in (line.partition(':') for line in lines[1:] if line)]
            if status != '100':
                return int(status), headers, raw
            self.continues += 1

    def _chunk(self):
        size = int(self.read_until(b'\r\n').strip(), 16)
        data = self.read_exactly(size)
        assert self.read_exactly(2) == b'\r\n'
        return data

    def chunk(self):
        """The next chunk of a chunked answer; b'' is the last."""
        return self._chunk()

    def answer(self, method='GET'):
        """The next whole answer."""
        status, headers, raw = self.head()
        names = {n.lower(): v for n, v in headers}
        body, whole = b'', True
        if method == 'HEAD' or status in (204, 304):
            pass
        elif names.get('transfer-encoding') == 'chunked':
            try:
                while piece := self._chunk():
                    body += piece
            except (NoAnswer, ConnectionResetError):
                whole = False
        elif 'content-length' in names:
            length = int(names['content-length'])
            try:
                body = self.read_exactly(length)
            except (NoAnswer, ConnectionResetError):
                body, whole = self.read_rest(), False
        else:
            body = self.read_rest()
        return Answer(status, headers, body, raw, whole)

    def ending(self, within=60.0):
        """How the connection is: 'closed', 'reset', or 'open' after WITHIN seconds; what comes
        meanwhile is kept in .got."""
        end = time.monotonic() + within
        try:
            while (left := end - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if not self._more():
                    return 'closed'
        except socket.timeout:
            return 'open'
        except ConnectionResetError:
            return 'reset'
        finally:
            self.sock.settimeout(self.timeout)
        return 'open'


def request(method='GET', target='/echo', *headers, body=b'', host='h', version='HTTP/1.1'):
    """The bytes of a request.  Headers are 'Name: value' lines; Content-Length is added for a body
    unless a header frames it."""
    lines = [f'{method} {target} {version}']
    if host is not None:
        lines.append(f'Host: {host}')
    lines += headers
    framed = any(h.lower().startswith(('content-length', 'transfer-encoding')) for h in headers)
    if body and not framed:
        lines.append(f'Content-Length: {len(body)}')
    return '\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n' + body


def chunked(*pieces):
    return b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in pieces) + b'0\r\n\r\n'


def exchange(address, data, timeout=60, tls=None):
    """One request on its own connection: the answer."""
    with Raw(address, timeout, tls) as c:
        c.send(data)
        return c.answer()
