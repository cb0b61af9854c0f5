"""A small HTTP client for tests: one request a connection unless asked, and an event stream reader.

The Host header is independent of where it connects, because the hub under test listens on a port of
the kernel's choice while its public_url is fixed."""

import http.client
import json
import socket

from support.secretlog import remember

MCP_ACCEPT = 'application/json, text/event-stream'


class Reply:
    """A whole answer.  headers is case-insensitive; header lists come from get_all."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode('utf-8')

    def json(self):
        return json.loads(self.body)

    @property
    def challenge(self):
        """The one WWW-Authenticate field, or None; more than one is a failure of its own."""
        fields = self.headers.get_all('WWW-Authenticate') or []
        assert len(fields) <= 1, f'several challenges: {fields}'
        return fields[0] if fields else None

    def __repr__(self):
        return f'<Reply {self.status} {dict(self.headers)} {self.body[:300]!r}>'


def rpc(method, params=None, id=1):
    """The JSON-RPC message as a dict; id None makes it a notification."""
    message = {'jsonrpc': '2.0', 'method': method}
    if id is not None:
        message['id'] = id
    if params is not None:
        message['params'] = params
    return message


class Connection:
    """One kept-alive connection to ADDRESS: (host, port) or the path of a unix socket."""

    def __init__(self, address, host, timeout=60):
        self.host = host
        if isinstance(address, str):
            self.http = http.client.HTTPConnection('localhost', timeout=timeout)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(timeout)
            sock.connect(address)
            self.http.sock = sock
        else:
            self.http = http.client.HTTPConnection(*address, timeout=timeout)
            self.http.connect()
        self.http.auto_open = 0  # a second connection behind the test's back would hide a close

    def send(self, method, target, body=None, headers=None, token=None, host=None):
        """Sends a request and returns http.client's response, its body unread.

        body: bytes, str, or an object that becomes JSON (then Content-Type and Accept are those of
        an MCP client unless given).  A header value may be a list: it is sent once for each."""
        given = dict(headers or {})
        names = {n.lower() for n in given}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            if 'content-type' not in names:
                given['Content-Type'] = 'application/json'
            if 'accept' not in names:
                given['Accept'] = MCP_ACCEPT
        if isinstance(body, str):
            body = body.encode('utf-8')
        if token is not None:
            given['Authorization'] = 'Bearer ' + (remember(token) if len(token) >= 8 else token)
        self.http.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        if 'host' not in names:
            self.http.putheader('Host', host or self.host)
        for name, value in given.items():
            for v in value if isinstance(value, list) else [value]:
                self.http.putheader(name, v)
        if body is not None and not names & {'content-length', 'transfer-encoding'}:
            self.http.putheader('Content-Length', str(len(body)))
        self.http.endheaders(body)
        return self.http.getresponse()

    def request(self, method, target, **kw):
        response = self.send(method, target, **kw)
        return Reply(response.status, response.headers, response.read())

    def close(self):
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Event:
    """One server-sent event; comment lines come as events with only `comment`."""

    def __init__(self):
        self.event, self.data, self.id, self.retry, self.comment = 'message', None, None, None, None

    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f'<Event {self.__dict__}>'


class Stream:
    """An answer read while it arrives.  raw is every byte of the body so far."""

    def __init__(self, connection, response):
        self.connection, self.response = connection, response
        self.status, self.headers = response.status, response.headers
        self.raw = b''

    def line(self):
        """The next line without its end; None at the end of the stream."""
        line = self.response.readline()
        self.raw += line
        if not line:
            return None
        return line.rstrip(b'\r\n').decode('utf-8')

    def next(self):
        """The next event or comment; None at the end."""
        event, some = Event(), False
        while (line := self.line()) is not None:
            if line == '':
                if some:
                    return event
                continue
            name, _, value = line.partition(':')
            value = value[1:] if value.startswith(' ') else value
            some = True
            if name == '':
                event.comment = value
            elif name == 'data':
                event.data = value if event.data is None else event.data + '\n' + value
            elif name in ('event', 'id', 'retry'):
                setattr(event, name, value)
        return None

    def message(self):
        """The next event that carries data, comments skipped; None at the end."""
        while (event := self.next()) is not None:
            if event.data is not None:
                return event
        return None

    def __iter__(self):
        while (event := self.message()) is not None:
            yield event

    def read(self):
        """Everything that is left."""
        rest = self.response.read()
        self.raw += rest
        return rest

    def close(self):
        """Leaves at once, as a client that goes away."""
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
