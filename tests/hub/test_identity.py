"""How upstreams learn who is calling: headers that nobody else can set, or assertions that verify
with the hub's published keys and open nothing at the hub itself."""

import base64
import json
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from support.client import rpc
from support.tokens import jwks, jwt, key

ISSUER, PUBLIC = 'https://login.example.com', 'http://127.0.0.1:7070'
NOTES = PUBLIC + '/notes'
RS = key('RS256')
CONF = '''
provider corp {{ module bearer-jwt; issuer %s; key_file {conf}/corp.jwks; claims auth0 }}
scope notes:read  {{ text "Read" }}
scope notes:write {{ text "Write" }}
service notes {{ path /notes; upstream {url}; auth required corp; {more} }}
''' % ISSUER


def conf(upstream, more):
    return CONF.format(url=upstream.url, conf='{conf}', more=more)


@pytest.fixture
def notes(hub, upstream):
    def make(more, **kw):
        return hub(conf(upstream, more), files={'corp.jwks': json.dumps(jwks(RS))}, **kw)
    return make


def token(subject='ada', **claims):
    given = {'client_id': 'app', 'azp': 'app', 'scope': 'notes:write notes:read', **claims}
    return jwt(RS, iss=ISSUER, aud=NOTES, sub=subject, **given)


def told(upstream):
    return {n.lower(): v for n, v in upstream.last.headers if n.lower().startswith('x-mcpauth')}


SPOOFED = {'X-Mcpauth-Subject': 'root', 'x-mcpauth-scopes': 'admin', 'X-MCPAUTH-Assertion': 'forged',
           'X-Mcpauth-Anything': 'x'}


def call(h, headers=None, **kw):
    return h.call('/notes', 'ping', headers=headers or {}, **kw)


def test_headers_say_who_is_calling(notes, upstream):
    assert call(notes('identity headers'), token=token()).status == 200
    assert told(upstream) == {'x-mcpauth-subject': 'ada', 'x-mcpauth-issuer': ISSUER, 'x-mcpauth-client': 'app',
                              'x-mcpauth-scopes': 'notes:read notes:write'}


def test_tenant_and_a_verified_email_are_said(notes, upstream):
    h = notes('identity headers')
    call(h, token=token(org_id='acme', email='ada@example.com', email_verified=True))
    assert told(upstream)['x-mcpauth-tenant'] == 'acme'
    assert told(upstream)['x-mcpauth-email'] == 'ada@example.com'
    call(h, token=token(email='eve@example.com', email_verified=False))
    assert 'x-mcpauth-email' not in told(upstream)


@pytest.mark.parametrize('more', ['', 'identity none', 'identity headers', 'identity assertion',
                                  'identity headers; forward_header X-Other'])
def test_what_a_client_says_about_itself_never_passes(notes, upstream, more):
    """row 42"""
    h = notes(more)
    assert call(h, SPOOFED, token=token()).status == 200
    assert not {'root', 'admin', 'forged', 'x'} & set(told(upstream).values())
    assert call(h, {**SPOOFED, 'Connection': 'X-Mcpauth-Subject, close'}, token=token()).status == 200
    assert ('x-mcpauth-subject' in told(upstream)) == ('headers' in more)


def test_identity_headers_cannot_be_forwarded_by_configuration(hub, upstream):
    for line in ('forward_header X-Mcpauth-Subject', 'accept header X-Mcpauth-Key',
                 'return_header X-Mcpauth-Subject', 'upstream_audience https://x'):
        h = hub(conf(upstream, line), files={'corp.jwks': json.dumps(jwks(RS))}, start=False)
        done = h.cli('check')
        assert done.returncode != 0 and ('mcpauth-' in done.stdout.lower() or 'audience' in done.stdout), done


def test_a_caller_without_a_credential_is_nobody(notes, upstream):
    h = notes('identity headers; upstream_auth assertion; anonymous *')
    assert call(h, SPOOFED).status == 200
    assert told(upstream) == {} and upstream.last.header('Authorization') is None


@pytest.mark.parametrize('subject', ['a b', 'a%41', 'ä€', 'a,b;c="d"', '~!*', 'x' * 400])
def test_values_are_escaped_and_can_be_read_back(notes, upstream, subject):
    """row 44"""
    import urllib.parse
    assert call(notes('identity headers'), token=token(subject)).status == 200
    said = told(upstream)['x-mcpauth-subject']
    assert said.isascii() and said.isprintable() and ' ' not in said
    assert urllib.parse.unquote(said) == subject


@pytest.mark.parametrize('claims', [{'org_id': 'a\r\nX-Admin: 1'}, {'email': 'a\nX-Admin: 1'},
                                    {'org_id': 'a\x7f\x00b'}])
def test_no_claim_ends_a_header_line(notes, upstream, claims):
    """row 44"""
    call(notes('identity headers'), token=token(**claims))
    assert b'X-Admin: 1' not in upstream.transcript and b'\x00' not in upstream.transcript


# ---- assertions

def part(text):
    return json.loads(base64.urlsafe_b64decode(text + '=' * (-len(text) % 4)))


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + '=' * (-len(text) % 4)), 'big')


def verified(h, assertion):
    """Header and claims, checked as an upstream would: with what the hub publishes, nothing else."""
    r = h.request('GET', '/.well-known/jwks.json')
    assert r.status == 200 and r.headers['Content-Type'].startswith('application/')
    head, body, signature = assertion.split('.')
    [k] = [k for k in r.json()['keys'] if k['kid'] == part(head)['kid']]
    assert k['kty'] == 'EC' and k['crv'] == 'P-256' and 'd' not in k
    public = ec.EllipticCurvePublicNumbers(number(k['x']), number(k['y']), ec.SECP256R1()).public_key()
    raw = base64.urlsafe_b64decode(signature + '==')
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], 'big'), int.from_bytes(raw[32:], 'big'))
    public.verify(der, f'{head}.{body}'.encode(), ec.ECDSA(hashes.SHA256()))
    return part(head), part(body)


@pytest.mark.parametrize('more, header, prefix', [
    ('identity assertion', 'X-Mcpauth-Assertion', ''), ('upstream_auth assertion', 'Authorization', 'Bearer ')])
def test_an_assertion_verifies_with_the_published_keys(notes, upstream, more, header, prefix):
    h = notes(more + '; upstream_audience https://notes.internal')
    call(h, token=token(org_id='acme'))
    said = upstream.last.header(header)
    assert said.startswith(prefix)
    head, claims = verified(h, said[len(prefix):])
    assert head['alg'] == 'ES256' and head['typ'] == 'mcpauth-assertion+jwt'
    assert claims.pop('exp') - claims['iat'] <= 60 and abs(claims.pop('iat') - time.time()) < 30
    assert claims == {'iss': PUBLIC, 'aud': 'https://notes.internal', 'sub': 'ada', 'sub_iss': ISSUER,
                      'client_id': 'app', 'scope': 'notes:read notes:write', 'tenant': 'acme'}


def test_an_assertion_is_for_the_upstream_by_default(notes, upstream):
    h = notes('identity assertion')
    call(h, token=token())
    assert verified(h, upstream.last.header('X-Mcpauth-Assertion'))[1]['aud'] == upstream.url


def test_an_assertion_does_not_outlive_the_credential(notes, upstream):
    h = notes('identity assertion')
    end = int(time.time()) + 20
    call(h, token=token(exp=end))
    claims = verified(h, upstream.last.header('X-Mcpauth-Assertion'))[1]
    assert claims['exp'] <= end + 60 and claims['exp'] - claims['iat'] <= 60


def test_the_same_caller_is_given_the_same_assertion_for_a_while_and_nobody_elses(notes, upstream):
    h = notes('identity assertion')
    ada, eve = token(), token('eve')
    said = []
    for t in (ada, eve) * 10:
        call(h, token=t)
        said.append(upstream.last.header('X-Mcpauth-Assertion'))
    assert {verified(h, a)[1]['sub'] for a in said[::2]} == {'ada'}
    assert {verified(h, a)[1]['sub'] for a in said[1::2]} == {'eve'}
    assert len(set(said[::2])) <= 3 and len(set(said[1::2])) <= 3


@pytest.mark.parametrize('types', ['', 'types mcpauth-assertion+jwt at+jwt JWT'])
def test_an_assertion_is_no_credential_even_for_those_who_trust_the_hubs_keys(hub, upstream, types):
    more = f'identity assertion; upstream_audience {NOTES}'
    made = conf(upstream, more)
    h = hub(made, files={'corp.jwks': json.dumps(jwks(RS))})
    call(h, token=token())
    assertion = upstream.last.header('X-Mcpauth-Assertion')
    h.write('own.jwks', h.request('GET', '/.well-known/jwks.json').text)
    own = f'provider own {{ module bearer-jwt; issuer {PUBLIC}; key_file {{conf}}/own.jwks; {types} }}\n'
    h.configure(own + made.replace('auth required corp', 'auth sufficient own; auth sufficient corp'))
    h.reload()
    assert call(h, token=token()).status == 200
    r = call(h, {'Authorization': f'Bearer {assertion}'})
    assert r.status == 401 and 'invalid_token' in r.challenge


def test_without_assertions_no_keys_are_published(notes):
    assert notes('identity headers').request('GET', '/.well-known/jwks.json').status == 404
