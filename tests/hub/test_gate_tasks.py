"""Tasks of upstreams: refused unless `tasks on`, and then only for the caller who was given the id."""

import json

import pytest
from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER, NOTES = 'https://login.example.com', 'http://127.0.0.1:7070/notes'
RS = key('RS256')
CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks }}
service notes {{ path /notes; upstream {url}; auth required corp; tasks {tasks} }}
''' % ISSUER
MODERN = '2026-07-28'


@pytest.fixture
def notes(hub, upstream):
    def handler(x):
        m = x.request.json()
        task = m['params'].get('arguments', {}).get('task')
        if m['method'] != 'tools/call':
            x.result({'taskId': m['params'].get('taskId'), 'status': 'working'})
        elif m['params'].get('name') == 'stream':
            x.sse_start()
            x.event({'jsonrpc': '2.0', 'method': 'notifications/message', 'params': {}})
            x.event({'jsonrpc': '2.0', 'id': m['id'], 'result': {'task': {'taskId': task}}})
            x.sse_end()
        elif m['params'].get('name') == 'chunked':  # as the TypeScript SDK does it
            x.head(200, [('Content-Type', 'application/json'), ('Transfer-Encoding', 'chunked')])
            whole = json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': {'task': {'taskId': task}}})
            x.chunk(whole[:20])
            x.chunk(whole[20:])
            x.sse_end()
        elif m['params'].get('name') == 'modern':
            x.result({'resultType': 'task', 'taskId': task})
        else:
            x.result({'task': {'taskId': task, 'status': 'working'}})
    upstream.handler = handler

    def make(tasks='on', **kw):
        return hub(CONF.format(url=upstream.url, conf='{conf}', tasks=tasks),
                   files={'corp.jwks': json.dumps(jwks(RS))}, **kw)
    return make


def token(subject='ada', client='app'):
    return jwt(RS, iss=ISSUER, aud=NOTES, sub=subject, client_id=client, azp=client)


def make_task(h, id, t, how='plain'):
    assert h.call('/notes', 'tools/call', {'name': how, 'arguments': {'task': id}}, token=t).status == 200


def use(h, id, t, method='tasks/get', **kw):
    return h.call('/notes', method, {'taskId': id, **kw}, token=t)


@pytest.mark.parametrize('how', ['plain', 'chunked', 'stream', 'modern'])
def test_who_was_given_a_task_may_use_it_and_nobody_else(notes, upstream, how):
    """row 79"""
    h = notes(workers=2)
    ada, eve, app = token(), token('eve'), token(client='another')
    make_task(h, 'task-1', ada, how)
    seen = len(upstream.requests)
    for method in ('tasks/get', 'tasks/cancel', 'tasks/result'):
        for other in (eve, app):
            r = use(h, 'task-1', other, method)
            assert r.status == 200 and r.json()['error']['code'] == -32602
    assert len(upstream.requests) == seen
    assert 'result' in use(h, 'task-1', ada).json()


@pytest.mark.parametrize('size', [32768, 32769, 1 << 20])
def test_a_reply_that_is_too_long_to_be_held_for_its_task_arrives_whole(notes, upstream, size):
    def handler(x):
        x.head(200, [('Content-Type', 'application/json'), ('Transfer-Encoding', 'chunked')])
        for at in range(0, size, 20000):
            x.chunk(b'[' * min(20000, size - at))
        x.sse_end()
    upstream.handler = handler
    r = notes().call('/notes', 'tools/call', {'name': 'x'}, token=token())
    assert r.status == 200 and r.body == b'[' * size


def test_a_reply_that_breaks_off_while_it_is_held_for_its_task_is_502(notes, upstream):
    def handler(x):
        x.head(200, [('Content-Type', 'application/json'), ('Transfer-Encoding', 'chunked')])
        x.chunk(b'[' * 100)
        x.close_after = True
    upstream.handler = handler
    assert notes().call('/notes', 'tools/call', {'name': 'x'}, token=token()).status == 502


def test_an_unknown_task_is_answered_like_somebody_elses(notes, upstream):
    """row 72"""
    h = notes()
    make_task(h, 'task-1', token())
    eve = token('eve')
    assert use(h, 'task-1', eve).json() == use(h, 'task-2', eve).json()


def test_another_reply_with_the_same_id_takes_no_task_away(notes):
    """row 79"""
    h = notes()
    ada, eve = token(), token('eve')
    make_task(h, 'task-1', ada)
    make_task(h, 'task-1', eve)
    assert 'error' in use(h, 'task-1', eve).json() and 'result' in use(h, 'task-1', ada).json()


def test_a_request_about_a_task_gives_nobody_a_task(notes):
    """row 79"""
    h = notes()
    eve = token('eve')
    use(h, 'task-1', eve)
    assert 'error' in use(h, 'task-1', eve).json()


def test_a_cancel_without_an_id_is_judged_alike(notes, upstream):
    """row 65"""
    h = notes()
    make_task(h, 'task-1', token())
    seen = len(upstream.requests)
    h.request('POST', '/notes', body=rpc('tasks/cancel', {'taskId': 'task-1'}, id=None), token=token('eve'))
    assert len(upstream.requests) == seen


def test_the_list_of_tasks_is_refused(notes, upstream):
    """row 70: it is that of everybody behind the hub"""
    assert notes().call('/notes', 'tasks/list', {}, token=token()).status == 403
    assert upstream.requests == []


@pytest.mark.parametrize('method', ['tasks/get', 'tasks/cancel', 'tasks/result', 'tasks/list'])
def test_tasks_are_off_unless_they_are_turned_on(notes, upstream, method):
    """row 67"""
    h = notes('off')
    t = token()
    make_task(h, 'task-1', t)
    assert use(h, 'task-1', t, method).status == 403
    assert len(upstream.requests) == 1


def test_what_a_client_says_of_its_own_tasks_passes(notes, upstream):
    r = notes().request('POST', '/notes', token=token(), body=rpc(
        'notifications/tasks/status', {'taskId': 'of-the-client', 'status': 'working'}, id=None))
    assert r.status in (200, 202) and len(upstream.requests) == 1
