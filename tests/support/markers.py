"""Many callers at many services with the same JSON-RPC ids: whose reply is whose?

    python3 markers.py upstream PORT-FILE              an MCP-shaped server that says who called what
    run(port, host, tokens, services, n) -> Counter    N requests in this process, replies compared

Every request carries a marker of its own; the reply must have it, and name the caller that the hub
told the upstream and the service's path.  Connections are kept and their requests pipelined, so that
each carries many callers' requests one behind the other."""

import asyncio
import collections
import itertools
import json
import os
import pathlib
import sys

DEPTH = 8  # requests that are under way on a connection
BAD = 20   # complaints that are kept


async def _head(reader):
    raw = await reader.readuntil(b'\r\n\r\n')
    lines = raw.decode('latin-1').split('\r\n')
    headers = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(':')
        headers[name.strip().lower()] = value.strip()
    return lines[0], headers


async def _serve(reader, writer):
    try:
        while True:
            line, headers = await _head(reader)
            body = json.loads(await reader.readexactly(int(headers.get('content-length', 0))))
            said = {'marker': body['params']['marker'], 'who': headers.get('x-mcpauth-subject'),
                    'path': line.split()[1]}
            data = json.dumps({'jsonrpc': '2.0', 'id': body['id'], 'result': said}).encode()
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n'
                         % len(data) + data)
    except (EOFError, ConnectionError):
        writer.close()


async def _upstream(port_file):
    server = await asyncio.start_server(_serve, '127.0.0.1', 0, limit=1 << 20)
    new = pathlib.Path(port_file + '.new')
    new.write_text(str(server.sockets[0].getsockname()[1]))
    os.rename(new, port_file)
    await server.serve_forever()


class _Client:
    def __init__(self, port, host, tokens, services, numbers, counts, bad):
        self.port, self.host, self.tokens, self.services = port, host, list(tokens.items()), services
        self.numbers, self.counts, self.bad = numbers, counts, bad

    def request(self, n):
        """(bytes, what must come back) of the Nth: identity and service change with every request."""
        who, secret = self.tokens[n % len(self.tokens)]
        service = self.services[n // 7 % len(self.services)]
        body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'ping', 'params': {'marker': n}}).encode()
        head = (f'POST /{service} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {secret}\r\n'
                f'Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n'
                f'Content-Length: {len(body)}\r\n\r\n').encode()
        return head + body, {'marker': n, 'who': who, 'path': f'/{service}'}

    async def answer(self, reader, wanted):
        line, headers = await _head(reader)
        body = await reader.readexactly(int(headers['content-length']))
        status = int(line.split()[1])
        if status == 200 and json.loads(body)['result'] == wanted:
            self.counts['right'] += 1
            return
        self.counts['wrong' if status == 200 else status] += 1
        if len(self.bad) < BAD:
            self.bad.append(f'{status} {body[:200]!r} instead of {wanted}')

    async def run(self):
        reader, writer = await asyncio.open_connection('127.0.0.1', self.port, limit=1 << 20)
        waiting = collections.deque()
        for n in self.numbers:
            data, wanted = self.request(n)
            writer.write(data)
            waiting.append(wanted)
            if len(waiting) == DEPTH:
                await self.answer(reader, waiting.popleft())
        while waiting:
            await self.answer(reader, waiting.popleft())
        writer.close()


def run(port, host, tokens, services, n, connections=16):
    """(counts by kind, first complaints)."""
    counts, bad, numbers = collections.Counter(), [], itertools.count()

    async def all_of_them():
        shared = iter(itertools.islice(numbers, n))
        await asyncio.gather(*[_Client(port, host, tokens, services, shared, counts, bad).run()
                               for _ in range(connections)])
    asyncio.run(all_of_them())
    return counts, bad


if __name__ == '__main__':
    asyncio.run(_upstream(sys.argv[2]))
