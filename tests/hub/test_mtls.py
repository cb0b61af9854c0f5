"""mtls in a running hub: certificates of the TLS listener and of a trusted proxy's header, as an auth
line and beside a token.  Row 134."""

import base64
import hashlib
import http.client
import json
import ssl
import subprocess
import urllib.parse

import pytest

AUDIENCE = 'http://127.0.0.1:7070/notes'
CONF = '''
provider machines {{ module mtls; {options} }}
provider keys {{ module bearer-jwt; issuer {issuer}; map /cnf /cnf }}
service notes {{ path /notes; upstream {url}; {stack} }}
'''


def openssl(*args):
    subprocess.run(['openssl', *map(str, args)], check=True, capture_output=True, timeout=60)


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.cert, self.key = folder / f'{name}.pem', folder / f'{name}.key'
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                '-subj', f'/CN={name}', '-keyout', self.key, '-out', self.cert)

    def issue(self, name, san='', days='2'):
        """(certificate, key) of NAME."""
        cert, key, csr = (self.folder / f'{self.name}-{name}.{e}' for e in ('pem', 'key', 'csr'))
        extensions = self.folder / 'ext'
        extensions.write_text(f'subjectAltName={san}\n' if san else 'basicConstraints=CA:FALSE\n')
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', f'/O=Example/CN={name}',
                '-keyout', key, '-out', csr)
        openssl('x509', '-req', '-in', csr, '-CA', self.cert, '-CAkey', self.key, '-CAcreateserial', '-days', days,
                '-extfile', extensions, '-out', cert)
        return cert, key


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('mtls')


@pytest.fixture(scope='module')
def ours(folder):
    return Authority(folder, 'ours')


@pytest.fixture(scope='module')
def theirs(folder):
    return Authority(folder, 'theirs')


@pytest.fixture
def notes(hub, upstream, idp, ours):
    def start(options='', stack='auth required machines', header=''):
        server = ours.issue('server', 'IP:127.0.0.2')
        files = {'tls.pem': server[0].read_text(), 'tls.key': server[1].read_text(), 'ca.pem': ours.cert.read_text()}
        listen = ('listen 127.0.0.2:0 { certificate {conf}/tls.pem; key file:{conf}/tls.key; client_ca {conf}/ca.pem }\n'
                  + header)
        return hub(CONF.format(options=options, issuer=idp.issuer, url=upstream.url, stack=stack), files=files, hub=listen)
    return start


def call(h, ours, certificate=None, token=None, more=None):
    """The status of a call over TLS, with a client certificate."""
    context = ssl.create_default_context(cafile=str(ours.cert))
    if certificate:
        context.load_cert_chain(*map(str, certificate))
    port = next(p for name, p in h.ports.items() if name.startswith('127.0.0.2'))
    connection = http.client.HTTPSConnection('127.0.0.2', port, context=context, timeout=30)
    headers = {'Host': h.host, 'Content-Type': 'application/json', 'Accept': 'application/json, text/event-stream'}
    headers.update(more or {})
    if token:
        headers['Authorization'] = f'Bearer {token}'
    connection.request('POST', '/notes', body=json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'tools/list'}), headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_certificate_of_the_listeners_authority_says_who_is_calling_without_a_token(notes, ours):
    h = notes()
    assert call(h, ours, ours.issue('ann')) == 200
    record = h.wait_audit('decision', decision='grant')[0]
    assert (record['issuer'], record['subject']) == ('mcpauth:machines', 'CN=ann,O=Example')


def test_no_certificate_is_401(notes, ours, upstream):
    assert call(notes(), ours) == 401
    assert upstream.requests == []


def test_a_certificate_of_another_authority_is_none(notes, ours, theirs, upstream):

    try:
        assert call(notes(), ours, theirs.issue('ann')) == 401
    except (ssl.SSLError, ConnectionError):
        pass  # the handshake may end there
    assert upstream.requests == []


def test_only_allowed_names_of_the_kind_pass(notes, ours):
    h = notes('subject uri; allow spiffe://example.com/ci')
    assert call(h, ours, ours.issue('ci', 'URI:spiffe://example.com/ci')) == 200
    assert call(h, ours, ours.issue('other', 'URI:spiffe://example.com/other')) == 403
    assert call(h, ours, ours.issue('two', 'URI:spiffe://example.com/ci,URI:spiffe://example.com/x')) == 403
    assert call(h, ours, ours.issue('none', 'DNS:example.com')) == 403


def test_in_an_account_line_it_is_demanded_beside_the_token(notes, ours, idp):
    h = notes(stack='auth required keys; account machines')
    token = idp.token(aud=AUDIENCE)
    assert call(h, ours, ours.issue('ann'), token) == 200
    assert call(h, ours, None, token) == 403
    assert call(h, ours, ours.issue('ann')) == 401


def bound_to(certificate):
    """The `cnf` of a token that is bound to CERTIFICATE (RFC 8705)."""
    der = ssl.PEM_cert_to_DER_cert(certificate[0].read_text())
    return {'x5t#S256': base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b'=').decode()}


def test_a_token_that_is_bound_to_a_certificate_comes_with_no_other(notes, ours, idp):
    h = notes(stack='auth required keys; account machines')
    ann, bob = ours.issue('ann'), ours.issue('bob')
    token = idp.token(aud=AUDIENCE, cnf=bound_to(ann))
    assert call(h, ours, ann, token) == 200
    assert call(h, ours, bob, token) == 401


def test_with_require_bound_a_token_that_is_bound_to_nothing_is_refused(notes, ours, idp, upstream):
    h = notes('require_bound on', stack='auth required keys; account machines')
    ann = ours.issue('ann')
    for cnf in ({}, {'cnf': {}}, {'cnf': {'jkt': 'a-key-and-no-certificate'}}):
        assert call(h, ours, ann, idp.token(aud=AUDIENCE, **cnf)) == 403
    assert 'bound to no certificate' in json.dumps(h.wait_audit('decision', decision='deny')[0])
    assert upstream.requests == []
    assert call(h, ours, ann, idp.token(aud=AUDIENCE, cnf=bound_to(ann))) == 200


def header_of(cert, kind):
    if kind == 'rfc9440':
        return ':' + base64.b64encode(ssl.PEM_cert_to_DER_cert(cert.read_text())).decode() + ':'
    return urllib.parse.quote(cert.read_text())


@pytest.mark.parametrize('kind', ['rfc9440', 'nginx'])
def test_a_trusted_proxy_passes_the_certificate_on(notes, ours, kind):
    h = notes(header='trusted_proxy 127.0.0.1; client_certificate_header Client-Cert')
    value = header_of(ours.issue('ann')[0], kind)
    assert h.call('/notes', headers={'Client-Cert': value}).status == 200
    assert h.call('/notes').status == 401


def test_a_proxys_own_certificate_is_nobodys_who_calls_through_it(notes, ours, upstream):  # row 29
    h = notes(header='trusted_proxy 127.0.0.0/8; client_certificate_header Client-Cert')
    proxy = ours.issue('proxy')
    assert call(h, ours, proxy) == 401
    assert upstream.requests == []
    assert call(h, ours, proxy, more={'Client-Cert': header_of(ours.issue('ann')[0], 'rfc9440')}) == 200
    assert h.wait_audit('decision', decision='grant')[0]['subject'] == 'CN=ann,O=Example'


def test_nobody_else_passes_a_certificate_on(notes, ours, upstream):

    h = notes(header='trusted_proxy 192.0.2.1; client_certificate_header Client-Cert')
    assert h.call('/notes', headers={'Client-Cert': header_of(ours.issue('ann')[0], 'rfc9440')}).status == 401
    assert upstream.requests == []


@pytest.mark.parametrize('value', ['x', '::', ':AAAA:', ':%%%%:', '%', '%zz', ':' + 'A' * 7000 + ':', 'x' * 7000])
def test_what_is_no_certificate_in_the_header_is_none(notes, value):
    h = notes(header='trusted_proxy 127.0.0.1; client_certificate_header Client-Cert')
    assert h.call('/notes', headers={'Client-Cert': value}).status in (401, 431)


def test_the_header_never_reaches_an_upstream(notes, ours, upstream):
    h = notes(header='trusted_proxy 127.0.0.1; client_certificate_header Client-Cert')
    assert h.call('/notes', headers={'Client-Cert': header_of(ours.issue('ann')[0], 'rfc9440')}).status == 200
    assert upstream.last.header('Client-Cert') is None


def test_client_ca_without_tls_is_refused_by_check(hub, ours):
    h = hub('service s { path /s; upstream http://127.0.0.1:9/mcp; anonymous * }', start=False,
            files={'ca.pem': ours.cert.read_text()}, hub='listen 127.0.0.2:0 { client_ca {conf}/ca.pem }')
    done = h.cli('check')
    assert done.returncode == 1 and 'only a TLS listener' in done.stdout + done.stderr
