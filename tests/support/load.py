"""A load of many small clients that count every error, in a process of its own.

    with Load(port, host, '/notes', kept=8, fresh=4, streams=20) as load: ...
    load.result   # {'answers': n, 'failures': [text, ...], 'streams_lost': n, ...}

Kept clients hold a connection until they are told to close it (as every HTTP client does), fresh ones
open one a request, streams stand open and are opened again only when they end.  Nothing is retried:
a request that got no whole 200 is a failure."""

import asyncio
import json
import multiprocessing
import time

BODY = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'tools/list'}).encode()


class _Clients:
    def __init__(self, port, host, path, stop):
        self.port, self.host, self.path, self.stop = port, host, path, stop
        self.answers, self.failures, self.events, self.stream_ends = 0, [], 0, []
        self.slowest = 0.0

    def request(self, method, body=b'', accept='application/json, text/event-stream'):
        return (f'{method} {self.path} HTTP/1.1\r\nHost: {self.host}\r\nAccept: {accept}\r\n'
                f'Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n'
                ).encode() + body

    async def head(self, reader):
        """Status and headers of an answer."""
        raw = await reader.readuntil(b'\r\n\r\n')
        lines = raw.decode('latin-1').split('\r\n')
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(':')
            headers[name.strip().lower()] = value.strip().lower()
        return int(lines[0].split()[1]), headers

    async def one(self, reader, writer):
        """One exchange; True when the connection may be used again."""
        began = time.monotonic()
        writer.write(self.request('POST', BODY))
        status, headers = await asyncio.wait_for(self.head(reader), 60)
        body = await asyncio.wait_for(reader.readexactly(int(headers['content-length'])), 60)
        self.slowest = max(self.slowest, time.monotonic() - began)
        if status != 200 or not body:
            raise OSError(f'status {status}: {body[:200]!r}')
        self.answers += 1
        return headers.get('connection') != 'close'

    async def client(self, keep, pause):
        while not self.stop.is_set():
            writer, what = None, 'connect'
            try:
                reader, writer = await asyncio.open_connection('127.0.0.1', self.port)
                n = 0
                while not self.stop.is_set():
                    what = f'request {n} of a {"kept" if keep else "fresh"} connection'
                    n += 1
                    again = await self.one(reader, writer)
                    await asyncio.sleep(pause)
                    if not (again and keep):
                        break
            except (OSError, EOFError, asyncio.TimeoutError) as e:
                self.failures.append(f'{time.time():.3f} {what}: {type(e).__name__} {e}')
            finally:
                if writer:
                    writer.close()

    async def stream(self):
        """Stands open; how long each stood, and whether it ended whole."""
        while not self.stop.is_set():
            began, writer, whole = time.monotonic(), None, False
            try:
                reader, writer = await asyncio.open_connection('127.0.0.1', self.port)
                writer.write(self.request('GET', accept='text/event-stream'))
                status, headers = await asyncio.wait_for(self.head(reader), 60)
                if status != 200:
                    raise OSError(f'stream: status {status}')
                whole = await self.chunks(reader)
            except (OSError, EOFError, asyncio.TimeoutError) as e:
                self.failures.append(f'{time.time():.3f} stream: {type(e).__name__} {e}')
            finally:
                if writer:
                    writer.close()
            if not self.stop.is_set():
                self.stream_ends.append((time.monotonic() - began, whole))

    async def chunks(self, reader):
        tail = b''
        while not self.stop.is_set():
            try:
                line = await asyncio.wait_for(reader.readline(), 1)
            except asyncio.TimeoutError:
                continue
            if not line:
                return False  # cut off, not ended
            size = int(line, 16)
            data = await reader.readexactly(size + 2)
            if size == 0:
                return tail.endswith(b'\n\n') or not tail
            tail = (tail + data[:-2])[-4:]
            self.events += data.count(b'\n\n')
        return True


async def _all(clients, kept, fresh, streams, pause):
    await asyncio.gather(*[clients.client(True, pause) for _ in range(kept)],
                         *[clients.client(False, pause) for _ in range(fresh)],
                         *[clients.stream() for _ in range(streams)])


def _main(stop, pipe, port, host, path, kept, fresh, streams, pause):
    clients = _Clients(port, host, path, stop)
    asyncio.run(_all(clients, kept, fresh, streams, pause))
    pipe.send({'answers': clients.answers, 'failures': clients.failures, 'events': clients.events,
               'stream_ends': clients.stream_ends, 'slowest': clients.slowest})


class Load:
    def __init__(self, port, host, path, kept=8, fresh=4, streams=0, pause=0.002):
        context = multiprocessing.get_context('spawn')
        self.stop = context.Event()
        self.pipe, child = context.Pipe(False)
        self.process = context.Process(target=_main, daemon=True, args=(
            self.stop, child, port, host, path, kept, fresh, streams, pause))
        self.result = None

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        if self.pipe.poll(180):
            self.result = self.pipe.recv()
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()
