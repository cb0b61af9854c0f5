"""The admin listener: health, readiness and metrics, apart from the traffic."""

import re
import time


def conf(upstream):
    return f'service notes {{ path /notes; upstream {upstream.url}; anonymous * }}'


def test_health_and_readiness_answer_without_detail(hub, upstream):
    h = hub(conf(upstream))
    for path in ('/health', '/healthz', '/readyz'):
        reply = h.admin(path)
        assert reply.status == 200
        assert len(reply.body) < 10


def test_metrics_are_in_the_prometheus_text_format(hub, upstream):
    h = hub(conf(upstream))
    reply = h.admin('/metrics')
    assert reply.status == 200
    assert reply.headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8'
    families, current = {}, None
    for line in reply.text.splitlines():
        if line.startswith('# HELP '):
            current = line.split()[2]
            assert current not in families, f'{current} comes twice'
            families[current] = None
        elif line.startswith('# TYPE '):
            assert line.split()[2] == current and line.split()[3] in ('counter', 'gauge')
            families[current] = line.split()[3]
        else:
            sample = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?\d+', line)
            assert sample, line
            assert sample[1] == current
    assert families['mcpauth_connections_total'] == 'counter'
    assert families['mcpauth_workers'] == 'gauge'


def test_metrics_count_what_workers_do(hub, upstream):
    h = hub(conf(upstream), workers=2)
    before = h.metrics()
    for _ in range(6):
        assert h.call('/notes').status == 200
    assert h.call('/nowhere').status == 404
    two, four = 'mcpauth_responses_total{code="2xx"}', 'mcpauth_responses_total{code="4xx"}'
    end = time.monotonic() + 20  # a worker counts a request when it is over, just after its answer
    while time.monotonic() < end:
        after = h.metrics()
        if after[four] > before[four] and after[two] >= before[two] + 6:
            break
        time.sleep(0.05)
    assert after['mcpauth_upstream_requests_total'] - before['mcpauth_upstream_requests_total'] == 6
    assert after[two] - before[two] >= 6
    assert after[four] - before[four] == 1
    assert after['mcpauth_workers'] == 2


def test_services_are_not_reachable_through_the_admin_listener(hub, upstream):
    h = hub(conf(upstream))
    reply = h.request('POST', '/notes', address=('127.0.0.1', h.admin_port), body={},
                      host=f'127.0.0.1:{h.admin_port}')
    assert reply.status in (404, 405)
    assert upstream.requests == []


def test_metrics_are_not_on_public_listeners(hub, upstream):
    h = hub(conf(upstream))
    assert h.request('GET', '/metrics').status == 404


# a page in a browser that reaches us under its own name (DNS rebinding) learns nothing
def test_a_host_that_is_neither_address_nor_localhost_is_refused(hub, upstream):
    h = hub(conf(upstream))
    at = ('127.0.0.1', h.admin_port)
    for host in ('evil.example', f'evil.example:{h.admin_port}', '127.0.0.1.evil.example', '[::1'):
        assert h.request('GET', '/metrics', address=at, host=host).status in (400, 421), host
    for host in ('localhost', f'LOCALHOST:{h.admin_port}', '127.0.0.1', f'[::1]:{h.admin_port}'):
        assert h.request('GET', '/metrics', address=at, host=host).status == 200, host
