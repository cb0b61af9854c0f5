"""The demo's MCP server does what a real one does, in both eras."""

import subprocess
import time

import pytest

from support.client import Connection, Stream, rpc
from support.hub import RUN

MODERN = '2026-07-28'
META = {'io.modelcontextprotocol/protocolVersion': MODERN}


@pytest.fixture
def notes(tmp_path):
    """A factory of connections to a running notes server."""
    port_file = tmp_path / 'port'
    server = subprocess.Popen([RUN, 'examples/notes-server/notes-server', '--port', '0', '--port-file',
                               str(port_file), '--tick-ms', '20'], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not port_file.exists():
        assert server.poll() is None and time.monotonic() < end, 'notes-server did not start'
        time.sleep(0.01)
    port = int(port_file.read_text())
    yield lambda: Connection(('127.0.0.1', port), f'127.0.0.1:{port}')
    server.terminate()
    server.wait(60)


def call(notes, method, params=None, headers=None, id=1):
    with notes() as c:
        return c.request('POST', '/mcp', body=rpc(method, params, id), headers=headers)


def modern(notes, method, params=None, **headers):
    fields = {'MCP-Protocol-Version': MODERN, 'Mcp-Method': method, **headers}
    return call(notes, method, {**(params or {}), '_meta': META}, fields)


def test_a_session_begins_with_initialize_and_ends_with_delete(notes):
    reply = call(notes, 'initialize', {'protocolVersion': '2025-11-25', 'capabilities': {}})
    session = {'Mcp-Session-Id': reply.headers['Mcp-Session-Id']}
    assert reply.json()['result']['protocolVersion'] == '2025-11-25'
    assert call(notes, 'ping', headers=session).json()['result'] == {}
    with notes() as c:
        assert c.request('DELETE', '/mcp', headers=session).status == 204
    assert call(notes, 'ping', headers=session).status == 404


def test_a_notification_is_202_without_a_body(notes):
    reply = call(notes, 'notifications/initialized', id=None)
    assert (reply.status, reply.body) == (202, b'')


def test_a_note_that_was_added_can_be_read_and_deleted(notes):
    added = call(notes, 'tools/call', {'name': 'notes_add', 'arguments': {'title': 'T', 'text': 'body'}})
    assert added.json()['result']['content'][0]['text'] == 'Added note 2.'
    read = call(notes, 'resources/read', {'uri': 'note://2'}).json()
    assert read['result']['contents'][0]['text'] == 'body'
    call(notes, 'tools/call', {'name': 'notes_delete', 'arguments': {'id': 2}})
    assert call(notes, 'resources/read', {'uri': 'note://2'}).json()['error']['code'] == -32002


def test_slow_count_streams_progress_before_its_result(notes):
    with notes() as c:
        params = {'name': 'slow_count', 'arguments': {'to': 3, 'delay_ms': 1}, '_meta': {'progressToken': 7}}
        stream = Stream(c, c.send('POST', '/mcp', body=rpc('tools/call', params)))
        messages = [event.json() for event in stream]
    assert [m['params']['progress'] for m in messages[:-1]] == [1, 2, 3]
    assert messages[-1]['result']['content'][0]['text'] == 'Counted to 3.'


def test_the_standing_stream_ticks(notes):
    with notes() as c:
        stream = Stream(c, c.send('GET', '/mcp', headers={'Accept': 'text/event-stream'}))
        ticks = [stream.message().json()['params']['data'] for _ in range(3)]
    assert ticks == ['tick 1: 1 notes', 'tick 2: 1 notes', 'tick 3: 1 notes']


def test_the_newer_era_discovers_and_calls_without_a_handshake(notes):
    found = modern(notes, 'server/discover').json()['result']
    assert MODERN in found['supportedVersions'] and found['resultType'] == 'complete'
    result = modern(notes, 'tools/call', {'name': 'notes_list'}, **{'Mcp-Name': 'notes_list'}).json()['result']
    assert 'Welcome' in result['content'][0]['text']


@pytest.mark.parametrize('headers, params, status, code', [
    ({'Mcp-Method': 'tools/list'}, {'name': 'notes_list'}, 400, -32020),
    ({'Mcp-Name': 'notes_add'}, {'name': 'notes_list'}, 400, -32020),
    ({'MCP-Protocol-Version': '2025-11-25'}, {'name': 'notes_list'}, 400, -32020),
])
def test_headers_that_differ_from_the_body_are_refused(notes, headers, params, status, code):
    reply = modern(notes, 'tools/call', params, **{'Mcp-Name': 'notes_list', **headers})
    assert (reply.status, reply.json()['error']['code']) == (status, code)


def test_methods_of_the_older_era_are_gone_in_the_newer(notes):
    reply = modern(notes, 'ping')
    assert (reply.status, reply.json()['error']['code']) == (404, -32601)


def test_a_page_of_another_site_may_not_call(notes):
    assert call(notes, 'ping', headers={'Origin': 'https://evil.example'}).status == 403
