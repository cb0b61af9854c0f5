"""Keys and JSON Web Tokens for tests, on python3-cryptography: every algorithm of bearer-jwt, and
ways to make tokens that are wrong."""

import base64
import hashlib
import hmac
import json
import os
import time
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from support.secretlog import remember

_HASH = {'256': hashes.SHA256, '384': hashes.SHA384, '512': hashes.SHA512}
_CURVE = {'ES256': ec.SECP256R1, 'ES384': ec.SECP384R1, 'ES512': ec.SECP521R1}
_CRV = {'ES256': 'P-256', 'ES384': 'P-384', 'ES512': 'P-521'}
ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512',
              'EdDSA', 'HS256', 'HS384', 'HS512']


def b64(data):
    """base64url without padding; an object becomes JSON first."""
    if not isinstance(data, (bytes, str)):
        data = json.dumps(data, separators=(',', ':'))
    if isinstance(data, str):
        data = data.encode('utf-8')
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def _number(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, 'big'))


class Key:
    """A signing key of one algorithm."""

    def __init__(self, alg, kid=None, bits=2048, secret=None):
        self.alg, self.kid = alg, kid or f'{alg.lower()}-{uuid.uuid4().hex[:8]}'
        if alg[:2] in ('RS', 'PS'):
            self.private = rsa.generate_private_key(65537, bits)
        elif alg in _CURVE:
            self.private = ec.generate_private_key(_CURVE[alg]())
        elif alg == 'EdDSA':
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = None
            self.secret = secret or uuid.uuid4().hex.encode() * 2
            remember(self.secret)

    def sign(self, data, alg=None):
        alg = alg or self.alg
        digest = _HASH.get(alg[2:])
        if alg.startswith('RS'):
            return self.private.sign(data, padding.PKCS1v15(), digest())
        if alg.startswith('PS'):
            pss = padding.PSS(padding.MGF1(digest()), digest.digest_size)
            return self.private.sign(data, pss, digest())
        if alg in _CURVE:
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(digest())))
            size = (_CURVE[alg].key_size + 7) // 8
            return r.to_bytes(size, 'big') + s.to_bytes(size, 'big')
        if alg == 'EdDSA':
            return self.private.sign(data)
        return hmac.new(self.secret, data, getattr(hashlib, 'sha' + alg[2:])).digest()

    def pem(self):
        """The public key, as SubjectPublicKeyInfo."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def jwk(self, **over):
        """The public key as a JWK; OVER replaces members, a value of None removes one."""
        jwk = {'kid': self.kid, 'alg': self.alg, 'use': 'sig'}
        if self.alg[:2] in ('RS', 'PS'):
            n = self.private.public_key().public_numbers()
            jwk.update(kty='RSA', n=_number(n.n), e=_number(n.e))
        elif self.alg in _CURVE:
            n, size = self.private.public_key().public_numbers(), (self.private.key_size + 7) // 8
            jwk.update(kty='EC', crv=_CRV[self.alg], x=_number(n.x, size), y=_number(n.y, size))
        elif self.alg == 'EdDSA':
            raw = self.private.public_key().public_bytes(serialization.Encoding.Raw,
                                                         serialization.PublicFormat.Raw)
            jwk.update(kty='OKP', crv='Ed25519', x=b64(raw))
        else:
            jwk.update(kty='oct', k=b64(self.secret))
        jwk.update(over)
        return {k: v for k, v in jwk.items() if v is not None}


def jwks(*keys):
    return {'keys': [k.jwk() if isinstance(k, Key) else k for k in keys]}


_made = {}


def key(alg='RS256'):
    """A key of this algorithm that all tests of the process share (RSA is slow to make)."""
    if alg not in _made:
        _made[alg] = Key(alg, kid=f'test-{alg.lower()}')
    if _made[alg].private is None:
        remember(_made[alg].secret)
    return _made[alg]


def claims(**over):
    """Claims of a good access token, an hour long; OVER replaces members, None removes one."""
    now = int(time.time())
    all_ = {'iss': 'https://issuer.test', 'sub': 'alice', 'aud': 'http://127.0.0.1:7070/notes',
            'iat': now, 'exp': now + 3600, 'jti': uuid.uuid4().hex}
    all_.update(over)
    return {k: v for k, v in all_.items() if v is not None}


def jwt(signer, payload=None, header=None, **over):
    """A signed token: PAYLOAD (default: claims (**OVER)) under HEADER's additions, in which None
    removes a member.  Remembered as a secret."""
    head = {'alg': signer.alg, 'typ': 'at+jwt', 'kid': signer.kid, **(header or {})}
    head = {k: v for k, v in head.items() if v is not None}
    body = b64(claims(**over) if payload is None else payload)
    signed = f'{b64(head)}.{body}'
    alg = head.get('alg')
    signature = signer.sign(signed.encode(), alg if alg in ALGORITHMS else signer.alg)
    return remember(f'{signed}.{b64(signature)}')


class StaticToken:
    """A token of static-token: the secret, and its line for the file."""

    def __init__(self, id, subject=None, **members):
        body = 'mcpa_' + b64(os.urandom(32))
        self.secret = remember(body + '_' + hashlib.sha256(body.encode()).hexdigest()[:6])
        self.line = json.dumps({'id': id, 'sha256': hashlib.sha256(self.secret.encode()).hexdigest(),
                                'subject': subject or id, **members}) + '\n'

    def __str__(self):
        return self.secret


def static_file(*tokens_):
    """The content of a file of static tokens."""
    return ''.join(t.line for t in tokens_)
