"""HTTP in over TLS: libmicrohttpd's GnuTLS behaves as the plain side does."""

import os
import ssl
import subprocess
import time

import pytest

from support.echo import TOP, Echo
from support.rawhttp import NoAnswer, Raw, chunked, exchange, request


@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tls')
    cert, key = folder / 'cert.pem', folder / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost'], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope='module')
def echo(certificate):
    cert, key = certificate
    e = Echo(tls_certificate=cert, tls_key=key, header_timeout=2000, stall_timeout=1000, max_body=100000)
    yield e
    e.stop()


@pytest.fixture(scope='module')
def client(certificate):
    return ssl.create_default_context(cafile=str(certificate[0]))


def test_requests_are_served_and_know_that_they_came_over_tls(echo, client):
    for body in (b'', b'x' * 90000):
        a = exchange(echo.tls_address, request('POST', '/echo', body=body), tls=client)
        assert a.status == 200 and a.json()['tls'] == 1 and a.json()['body_bytes'] == len(body)
    assert exchange(echo.address, request()).json()['tls'] == 0


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('version,served', [(ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True),
                                            (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1, False)])
def test_versions_below_1_2_are_refused(echo, certificate, version, served):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate[0])
    context.set_ciphers('ALL:@SECLEVEL=0')
    context.minimum_version = context.maximum_version = version
    if served:
        assert exchange(echo.tls_address, request(), tls=context).status == 200
    else:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            Raw(echo.tls_address, tls=context)


def test_pipelined_requests_are_answered_in_order(echo, client):
    with Raw(echo.tls_address, tls=client) as c:
        c.send(b''.join(request('GET', f'/{p}&i={i}') for i in range(20) for p in ('echo?', 'slow?ms=5')))
        assert [c.answer().json()['target'].split('i=')[1] for _ in range(40)] == [str(i // 2) for i in range(40)]


def gaps(c):
    """Seconds between the events of a stream of four, 40 ms apart."""
    c.send(request('GET', '/stream?n=4&ms=40'))
    assert c.head()[0] == 200
    times = []
    while piece := c.chunk():
        assert piece.startswith(b'id: %d\n' % len(times))
        times.append(time.monotonic())
    assert len(times) == 4
    return [b - a for a, b in zip(times, times[1:])]


def test_events_arrive_one_by_one_and_the_connection_lives_on(echo, client):
    with Raw(echo.tls_address, tls=client) as c:
        # whoever collects events always does; a loaded machine reads some of them late
        assert any(min(gaps(c)) > 0.02 for _ in range(20))
        c.send(request())
        assert c.answer().status == 200


@pytest.mark.parametrize('path', ['/big', '/chunks', '/whole'])
def test_large_answers_arrive_whole(echo, client, path):
    with Raw(echo.tls_address, tls=client, receive_buffer=4096) as c:
        c.send(request('GET', f'{path}?n=5000000'))
        a = c.answer()
        assert a.whole and a.body == b'x' * 5000000


def test_a_body_past_its_limit_is_413_in_both_framings(echo, client):
    for data in (request('POST', '/echo', body=b'x' * 100001),
                 request('POST', '/echo', 'Transfer-Encoding: chunked', body=chunked(b'x' * 100001))):
        assert exchange(echo.tls_address, data, tls=client).status == 413


def test_a_refusal_reaches_a_client_that_is_still_sending(echo, client):  # row 57
    for _ in range(5):
        with Raw(echo.tls_address, tls=client) as c:
            c.send(request('POST', '/refuse', 'Content-Length: 600000'))
            c.try_send(b'x' * 600000)
            assert c.answer().status == 401


def test_hidden_bytes_are_400(echo, client):  # row 30
    data = b'GET /echo HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer A\0B\r\n\r\n'
    assert exchange(echo.tls_address, data, tls=client).status == 400


def test_an_aborted_answer_is_never_ended_as_if_whole(echo, client):
    with Raw(echo.tls_address, tls=client) as c:
        c.send(request('GET', '/abort'))
        try:
            assert not c.answer().whole
        except (NoAnswer, ConnectionResetError):
            pass


@pytest.mark.parametrize('target', ['/slow?ms=60000', '/stream?n=0', '/stream?n=1000&ms=30'])
def test_a_client_that_leaves_ends_its_request_at_once(echo, client, target):
    before = echo.stats()
    with Raw(echo.tls_address, tls=client) as c:
        c.send(request('GET', target))
        echo.wait_seen(before, 1)
    echo.wait(lambda s: s['client_gone'] == before['client_gone'] + 1)


def test_a_client_that_stops_reading_is_cut_off(echo, client):  # row 157
    before = echo.stats()['timeout']
    with Raw(echo.tls_address, tls=client, receive_buffer=4096) as c:
        c.send(request('GET', '/chunks?n=100000000'))
        echo.wait(lambda s: s['timeout'] == before + 1)


@pytest.mark.parametrize('hello', [b'', b'\x16', b'\x16\x03\x01\x02\x00\x01\x00'])
def test_a_handshake_that_does_not_come_is_cut_off(echo, hello):  # row 157
    with Raw(echo.tls_address) as c:
        c.send(hello)
        assert c.ending(20) in ('closed', 'reset')


def test_plain_http_to_the_tls_port_gets_no_answer(echo):
    with Raw(echo.tls_address) as c:
        c.send(request())
        assert c.ending(20) in ('closed', 'reset') and b'HTTP/' not in c.got


def test_it_ends_cleanly_with_streams_open(certificate, client):
    e = Echo(tls_certificate=certificate[0], tls_key=certificate[1])
    before = e.stats()
    with Raw(e.tls_address, tls=client) as stream, Raw(e.tls_address, tls=client) as waiting:
        stream.send(request('GET', '/stream?n=1000&ms=10'))
        waiting.send(request('GET', '/slow?ms=60000'))
        e.wait_seen(before, 2)
        e.stop()
        assert stream.answer().whole
        assert waiting.answer().status == 503


def test_a_key_of_another_certificate_is_an_error_at_start(certificate, tmp_path):
    other = tmp_path / 'other.pem'
    subprocess.run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-out', other],
                   check=True, capture_output=True)
    p = subprocess.run([TOP / 'run', 'tests/support/http-echo', '--tls-certificate', certificate[0], '--tls-key', other],
                       capture_output=True, timeout=20, env={**os.environ, 'MCPAUTH_VALGRIND': ''})
    assert p.returncode == 1
    assert b'the TLS listener could not be started' in p.stderr
