"""A stand-in for OpenID providers in general (Keycloak, Okta, Auth0, Entra): discovery, authorization
code with PKCE, refresh, userinfo. Strict: what a real one refuses is refused here.

    idp = StandInOidc(); idp.signed_in = 'ann'        # consents at once; None shows the sign-in page
    provider corp { module oidc; issuer URL; client_id hub; client_secret ... }

A redirect URI is registered by its first use unless `redirect_uris` says more."""

import hashlib
import html
import secrets
import time

from support import tokens
from support.secretlog import remember
from support.standin import Code, Grant, Reply, StandIn, challenge_of, page, redirect

DISCOVERY = '/.well-known/openid-configuration'

PEOPLE = {
    'ann': {'sub': 'u-1001', 'name': 'Ann Example', 'email': 'ann@example.com', 'email_verified': True,
            'groups': ['staff', 'notes-admins']},
    'bob': {'sub': 'u-1002', 'name': 'Bob Example', 'email': 'bob@example.com', 'email_verified': True,
            'groups': ['staff']},
    'eve': {'sub': 'u-1003', 'name': 'Eve Elsewhere', 'email': 'eve@elsewhere.test', 'email_verified': False,
            'groups': []},
}
SCOPE_CLAIMS = {'profile': ('name', 'preferred_username'), 'email': ('email', 'email_verified'),
                'groups': ('groups',)}


def text_secret(word):
    return remember(word + '-' + secrets.token_urlsafe(18))


class StandInOidc(StandIn):
    def __init__(self, alg='RS256', client_id='hub'):
        super().__init__()
        self.issuer = self.url
        self.keys = [tokens.key(alg)]
        self.people = {name: dict(claims) for name, claims in PEOPLE.items()}
        self.client_id, self.client_secret = client_id, text_secret('client')
        self.clients = {client_id: self.client_secret}
        self.redirect_uris = None   # a set; None: the first that is used
        self.signed_in = None       # who consents at once; 'deny' refuses at once
        self.metadata = {}          # replaces members of the discovery document; None removes one
        self.id_claims = {}         # replaces claims of ID tokens; None removes one
        self.id_header = {}
        self.signer = None          # another key for ID tokens
        self.expires_in = 3600
        self.rotates = True         # a refresh token works once; its replay ends the grant
        self.gives_refresh = True
        self.refresh_gives_id_token = True
        self.iss_in_response = True
        self.groups_in = ('id_token', 'userinfo')
        self.codes, self.grants = {}, []
        self.add_routes()

    def add_routes(self):
        self.routes.update({
            ('GET', DISCOVERY): lambda rq: Reply(200, self.document()),
            ('GET', '/jwks'): lambda rq: Reply(200, tokens.jwks(*self.keys)),
            ('GET', '/authorize'): self.authorize,
            ('POST', '/authorize'): self.decided,
            ('POST', '/token'): self.token,
            ('GET', '/userinfo'): self.userinfo,
        })

    # ---- what a test does to it

    def rotate_keys(self, alg='RS256', keep=False):
        new = tokens.Key(alg)
        self.keys = [new] + (self.keys if keep else [])
        return new

    def revoke(self, person):
        """Ends every grant of PERSON: refresh tokens and access tokens."""
        with self.lock:
            for grant in self.grants:
                grant.alive = grant.alive and grant.person != person

    def expire_access(self):
        with self.lock:
            for grant in self.grants:
                grant.access = {t: 0 for t in grant.access}

    def live_grants(self, person=None):
        with self.lock:
            return [g for g in self.grants if g.alive and person in (None, g.person)]

    # ---- documents

    def document(self):
        document = {
            'issuer': self.issuer, 'authorization_endpoint': self.url + '/authorize',
            'token_endpoint': self.url + '/token', 'userinfo_endpoint': self.url + '/userinfo',
            'jwks_uri': self.url + '/jwks', 'response_types_supported': ['code'],
            'subject_types_supported': ['public'], 'id_token_signing_alg_values_supported': [self.keys[0].alg],
            'scopes_supported': ['openid', 'profile', 'email', 'groups', 'offline_access'],
            'token_endpoint_auth_methods_supported': ['client_secret_basic', 'client_secret_post'],
            'code_challenge_methods_supported': ['S256'],
            'authorization_response_iss_parameter_supported': self.iss_in_response, **self.metadata}
        return {k: v for k, v in document.items() if v is not None}

    # ---- the browser

    def _bad_client(self, p):
        """What is never redirected: the client or its URI is not known."""
        if p.get('client_id') not in self.clients:
            return 'unknown client'
        uri = p.get('redirect_uri', '')
        if self.redirect_uris is None and uri.startswith('http'):
            self.redirect_uris = {uri}
        return None if uri in (self.redirect_uris or ()) else 'redirect_uri is not registered'

    def bad_request(self, p):
        """(error, description) of an authorization request, or None."""
        if p.get('response_type') != 'code':
            return 'unsupported_response_type', 'only code'
        if 'openid' not in p.get('scope', '').split():
            return 'invalid_scope', 'openid is missing'
        if p.get('code_challenge_method') != 'S256' or len(p.get('code_challenge', '')) != 43:
            return 'invalid_request', 'PKCE with S256 is required'
        if len(p.get('state', '')) < 22:
            return 'invalid_request', 'state is missing or guessable'
        return None

    def authorize(self, rq):
        p = rq.params
        wrong = 'a parameter stands twice' if rq.bad else self._bad_client(p)
        if wrong:
            return page('Error', f'<p>{html.escape(wrong)}</p>', 400)
        wrong = self.bad_request(p)
        if wrong:
            return self.back(p, error=wrong[0], error_description=wrong[1])
        if p.get('prompt') == 'none' and not self.signed_in:
            return self.back(p, error='login_required')
        if self.signed_in:
            return self.decide(p, self.signed_in)
        return self.sign_in_page(p)

    def sign_in_page(self, p):
        hidden = ''.join(f'<input type="hidden" name="{html.escape(k)}" value="{html.escape(v)}">'
                         for k, v in p.items())
        buttons = ''.join(f'<p><button name="person" value="{name}">{html.escape(claims.get("name", name))}'
                          f'</button></p>' for name, claims in self.people.items())
        return page('Sign in', f'<form method="post">{hidden}{buttons}'
                               '<p><button name="person" value="deny">Cancel</button></p></form>')

    def decided(self, rq):
        p = dict(rq.params)
        person = p.pop('person', None)
        wrong = self._bad_client(p) or self.bad_request(p)
        if wrong or (person != 'deny' and person not in self.people):
            return page('Error', '<p>This form is not one of ours.</p>', 400)
        return self.decide(p, person)

    def decide(self, p, person):
        if person == 'deny':
            return self.back(p, error='access_denied', error_description='the person said no')
        code = Code(person, p, p.get('scope', '').split())
        self.codes[code.text] = code
        return self.back(p, code=code.text)

    def back(self, p, **query):
        iss = self.issuer if self.iss_in_response else None
        return redirect(p['redirect_uri'], **query, state=p.get('state'), iss=iss)

    # ---- tokens

    def client_of(self, rq):
        """The client that authenticated itself, in exactly one way; or None."""
        p = rq.params
        if rq.basic and 'client_secret' in p:
            return None
        name, secret = rq.basic or (p.get('client_id'), p.get('client_secret'))
        known = self.clients.get(name)
        return name if known and secret == known else None

    def token(self, rq):
        p = rq.params
        if not rq.form or rq.bad or rq.in_url:
            return Reply(400, {'error': 'invalid_request'})
        client = self.client_of(rq)
        if client is None:
            return Reply(401, {'error': 'invalid_client'}, headers=[('WWW-Authenticate', 'Basic')])
        if p.get('grant_type') == 'authorization_code':
            return self.by_code(p, client)
        if p.get('grant_type') == 'refresh_token':
            return self.by_refresh(p, client)
        return Reply(400, {'error': 'unsupported_grant_type'})

    def invalid_grant(self, why):
        return Reply(400, {'error': 'invalid_grant', 'error_description': why})

    def by_code(self, p, client):
        code = self.codes.get(p.get('code'))
        if code is None or code.client != client or code.expires < time.monotonic():
            return self.invalid_grant('unknown or expired code')
        if code.used:
            self.revoke(code.person)
            return self.invalid_grant('the code has been used')
        if code.redirect_uri != p.get('redirect_uri'):
            return self.invalid_grant('redirect_uri differs')
        if code.challenge and challenge_of(p.get('code_verifier', '')) != code.challenge:
            return self.invalid_grant('code_verifier does not fit')
        code.used = True
        grant = Grant(code.person, client, code.scopes)
        self.grants.append(grant)
        return self.issue(grant, nonce=code.nonce, id_token=True)

    def by_refresh(self, p, client):
        presented = p.get('refresh_token')
        for grant in self.grants:
            if grant.client == client and grant.alive and presented in grant.spent:
                grant.alive = False
                return self.invalid_grant('the refresh token has been used')
            if grant.client == client and grant.alive and presented == grant.refresh:
                return self.issue(grant, id_token=self.refresh_gives_id_token, refreshed=True)
        return self.invalid_grant('unknown, expired or revoked')

    def wants_refresh(self, grant):
        return self.gives_refresh

    def issue(self, grant, nonce=None, id_token=False, refreshed=False):
        access = self.new_access(grant)
        grant.access[access] = time.monotonic() + self.expires_in
        reply = {'access_token': access, 'token_type': 'Bearer', 'expires_in': self.expires_in,
                 'scope': ' '.join(grant.scopes)}
        if self.wants_refresh(grant) and (self.rotates or not refreshed):
            if grant.refresh and self.rotates:
                grant.spent.add(grant.refresh)
            grant.refresh = reply['refresh_token'] = text_secret('refresh')
        if id_token:
            reply['id_token'] = self.id_token(grant, access, nonce)
        return Reply(200, self.decorate(reply), headers=[('Cache-Control', 'no-store')])

    def new_access(self, grant=None):
        return text_secret('access')

    def decorate(self, reply):
        return reply

    def claims_of(self, grant):
        """What the granted scopes show of the person."""
        person = self.people[grant.person]
        names = {'sub'}.union(*(SCOPE_CLAIMS.get(s, ()) for s in grant.scopes))
        return {k: v for k, v in person.items() if k in names}

    def id_token(self, grant, access, nonce):
        now, key = int(time.time() + self.ahead()), self.signer or self.keys[0]
        digest = hashlib.new('sha' + (key.alg[2:] if key.alg[2:].isdigit() else '512'), access.encode()).digest()
        claims = {'iss': self.issuer, 'aud': grant.client, 'iat': now, 'exp': now + 3600, 'nonce': nonce,
                  'at_hash': tokens.b64(digest[:len(digest) // 2]), **self.claims_of(grant)}
        if 'id_token' not in self.groups_in:
            claims.pop('groups', None)
        claims.update(self.id_claims)
        claims = {k: v for k, v in claims.items() if v is not None}
        return tokens.jwt(key, payload=claims, header={'typ': 'JWT', **self.id_header})

    # ---- the person behind an access token

    def grant_of(self, access):
        for grant in self.grants:
            if grant.alive and grant.access.get(access, 0) > time.monotonic():
                return grant
        return None

    def userinfo(self, rq):
        grant = self.grant_of(rq.bearer)
        if grant is None:
            return Reply(401, {'error': 'invalid_token'},
                         headers=[('WWW-Authenticate', 'Bearer error="invalid_token"')])
        claims = self.claims_of(grant)
        if 'userinfo' not in self.groups_in:
            claims.pop('groups', None)
        return Reply(200, claims)
