"""mcpauth jwt: keys and tokens against an independent implementation, both ways."""

import base64
import hashlib
import json
import os
import pathlib
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from support import tokens

TOP = pathlib.Path(__file__).resolve().parents[2]
ISSUER, AUDIENCE = 'https://lab.example', 'https://mcp.example/notes'
ASYMMETRIC = [a for a in tokens.ALGORITHMS if not a.startswith('HS')]


def jwt(*args, input=None, check=True):
    done = subprocess.run([str(TOP / 'run'), 'mcpauth', 'jwt', *map(str, args)], input=input,
                          text=True, capture_output=True, timeout=60)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def mint(key, *more):
    return jwt('mint', '--key', key, '--issuer', ISSUER, '--subject', 'ann', '--audience', AUDIENCE,
               *more).stdout.strip()


def verify(key, token, *more, check=True):
    return jwt('verify', '--key', key, '--issuer', ISSUER, '--audience', AUDIENCE, *more,
               input=token, check=check)


def keygen(tmp_path, alg, *more):
    path = tmp_path / 'key'
    jwt('keygen', '--alg', alg, '--out', path, *more)
    return path


def parts(token):
    head, body, signature = token.split('.')
    def decode(text):
        return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
    return json.loads(decode(head)), json.loads(decode(body)), f'{head}.{body}'.encode(), decode(signature)


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + '=' * (-len(text) % 4)), 'big')


def check_signature(alg, jwk, data, signature):
    """By python3-cryptography; raises when it is wrong."""
    digest = {'256': hashes.SHA256, '384': hashes.SHA384, '512': hashes.SHA512}.get(alg[2:])
    if jwk['kty'] == 'RSA':
        key = rsa.RSAPublicNumbers(number(jwk['e']), number(jwk['n'])).public_key()
        pad = padding.PKCS1v15() if alg[0] == 'R' else padding.PSS(padding.MGF1(digest()), digest.digest_size)
        key.verify(signature, data, pad, digest())
    elif jwk['kty'] == 'EC':
        curve = {'P-256': ec.SECP256R1, 'P-384': ec.SECP384R1, 'P-521': ec.SECP521R1}[jwk['crv']]()
        key = ec.EllipticCurvePublicNumbers(number(jwk['x']), number(jwk['y']), curve).public_key()
        side = (curve.key_size + 7) // 8
        assert len(signature) == 2 * side
        r, s = (int.from_bytes(p, 'big') for p in (signature[:side], signature[side:]))
        key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(digest()))
    else:
        x = base64.urlsafe_b64decode(jwk['x'] + '=')
        ed25519.Ed25519PublicKey.from_public_bytes(x).verify(signature, data)


@pytest.mark.parametrize('alg', ASYMMETRIC)
def test_a_minted_token_is_good_to_others(tmp_path, alg):
    key = keygen(tmp_path, alg)
    jwk = json.loads((tmp_path / 'key.pub').read_text())['keys'][0]
    head, body, data, signature = parts(mint(key, '--scope', 'a b', '--claim', 'role=["admin"]',
                                             '--claim', 'tenant_id=t-1'))
    check_signature(alg, jwk, data, signature)
    assert (head['alg'], head['typ'], head['kid']) == (alg, 'at+jwt', jwk['kid'])
    assert body['exp'] - body['iat'] == 3600
    assert {k: body[k] for k in ('iss', 'sub', 'aud', 'scope', 'role', 'tenant_id')} == {
        'iss': ISSUER, 'sub': 'ann', 'aud': AUDIENCE, 'scope': 'a b', 'role': ['admin'], 'tenant_id': 't-1'}


@pytest.mark.parametrize('alg', ASYMMETRIC)
@pytest.mark.parametrize('form', ['jwks', 'jwk', 'pem'])
def test_tokens_of_others_verify(tmp_path, alg, form):
    key = tokens.key(alg)
    text = {'jwks': lambda: json.dumps(tokens.jwks(key)), 'jwk': lambda: json.dumps(key.jwk()),
            'pem': key.pem}[form]()
    (tmp_path / 'pub').write_text(text)
    token = tokens.jwt(key, iss=ISSUER, aud=AUDIENCE, sub='bob')
    done = json.loads(verify(tmp_path / 'pub', token).stdout)
    assert done['verified'] is True and done['payload']['sub'] == 'bob'


@pytest.mark.parametrize('alg', tokens.ALGORITHMS)
@pytest.mark.parametrize('pem', [[], ['--pem']])
def test_a_key_verifies_what_it_has_signed(tmp_path, alg, pem):
    key = keygen(tmp_path, alg, *pem)
    token = mint(key, '--alg', alg)
    verify(key, token)
    if not alg.startswith('HS'):
        verify(tmp_path / 'key.pub', token)


def test_a_private_key_of_others_signs(tmp_path):
    key = tokens.key('ES384')
    pem = key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                    serialization.NoEncryption())
    (tmp_path / 'key').write_bytes(pem)
    (tmp_path / 'key').chmod(0o600)
    head, _, data, signature = parts(mint(tmp_path / 'key'))
    check_signature(head['alg'], key.jwk(), data, signature)


def test_keys_are_ours_alone_and_never_overwritten(tmp_path):
    """row 33"""
    key = keygen(tmp_path, 'ES256')
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    assert 'd' not in json.loads((tmp_path / 'key.pub').read_text())['keys'][0]
    before = key.read_bytes()
    assert jwt('keygen', '--out', key, check=False).returncode == 1
    assert key.read_bytes() == before
    key.chmod(0o644)
    assert 'can be read by others' in jwt('mint', '--key', key, check=False).stderr


def test_the_kid_is_the_thumbprint(tmp_path):
    """RFC 7638"""
    keygen(tmp_path, 'ES256')
    jwk = json.loads((tmp_path / 'key.pub').read_text())['keys'][0]
    members = {k: jwk[k] for k in sorted(('crv', 'kty', 'x', 'y'))}
    digest = hashlib.sha256(json.dumps(members, separators=(',', ':')).encode()).digest()
    assert jwk['kid'] == tokens.b64(digest)


@pytest.mark.parametrize('option, reason', [
    (['--expires', '-2m'], 'expired'),
    (['--claim', 'aud=https://other.example'], 'aud'),
    (['--claim', 'iss=https://other.example'], 'iss'),
    (['--claim', 'nbf=99999999999'], 'nbf'),
    (['--claim', 'nonce=n'], 'nonce'),
    (['--typ', 'logout+jwt'], 'typ'),
    (['--kid', 'another'], 'kid'),
])
def test_a_bad_token_is_refused_with_the_reason(tmp_path, option, reason):
    key = keygen(tmp_path, 'ES256')
    done = verify(key, mint(key, *option), check=False)
    assert done.returncode == 1 and done.stdout == ''
    assert 'REFUSED' in done.stderr and reason in done.stderr


def test_another_key_refuses(tmp_path):
    key = keygen(tmp_path, 'ES256')
    (tmp_path / 'pub').write_text(tokens.key('ES256').pem())
    assert 'signature' in verify(tmp_path / 'pub', mint(key), check=False).stderr


def test_decode_says_that_nothing_was_checked(tmp_path):
    key = keygen(tmp_path, 'EdDSA')
    done = jwt('decode', input=f'  {mint(key)}\n')
    assert 'UNVERIFIED' in done.stderr
    assert json.loads(done.stdout)['verified'] is False


def test_a_token_on_the_command_line_is_refused(tmp_path):
    """row 33"""
    key = keygen(tmp_path, 'ES256')
    token = mint(key)
    for args in (['decode', token], ['verify', '--key', key, '--issuer', 'i', '--audience', 'a', token]):
        done = jwt(*args, input='', check=False)
        assert done.returncode == 2 and token not in done.stderr


def test_tokens_come_from_a_file_too(tmp_path):
    key = keygen(tmp_path, 'ES256')
    (tmp_path / 'token').write_text(mint(key) + '\n')
    jwt('verify', '--key', key, '--issuer', ISSUER, '--audience', AUDIENCE, '--token-file', tmp_path / 'token')


@pytest.mark.parametrize('args', [
    [], ['help-me'], ['keygen', '--alg', 'none'], ['keygen', '--alg', 'es256'], ['mint'],
    ['mint', '--key', 'k', '--expires', '1'], ['mint', '--key', 'k', '--claim', 'x'],
    ['verify', '--key', 'k'], ['verify', '--nonsense'], ['keygen', 'x'],
])
def test_wrong_usage_is_status_2(args):
    done = jwt(*args, input='', check=False)
    assert done.returncode == 2 and 'usage: mcpauth jwt' in done.stderr
