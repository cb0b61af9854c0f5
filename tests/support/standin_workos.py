"""A stand-in for WorkOS AuthKit on its own domain: metadata of RFC 8414 only, access tokens that are JWTs
for a resource or for the environment, organisation, role and permissions in them, refresh tokens that
work once and only with offline_access."""

import time
import uuid

from support import tokens
from support.standin import Reply
from support.standin_oidc import DISCOVERY, StandInOidc

METADATA = '/.well-known/oauth-authorization-server'
PEOPLE = {
    'ann': {'sub': 'user_01ANN', 'name': 'Ann Example', 'email': 'ann@example.com', 'email_verified': True,
            'org_id': 'org_01EXAMPLE', 'role': 'admin', 'permissions': ['notes:read', 'notes:admin']},
    'bob': {'sub': 'user_01BOB', 'name': 'Bob Example', 'email': 'bob@example.com', 'email_verified': False},
}
ACCESS = ('org_id', 'role', 'permissions')


class StandInWorkOS(StandInOidc):
    def __init__(self):
        super().__init__(client_id='client_01HUB')
        self.people = {name: dict(p) for name, p in PEOPLE.items()}
        self.environment = 'client_01ENVIRONMENT'
        self.expires_in = 300
        self.access_claims = {}  # replaces claims of access tokens

    def add_routes(self):
        self.routes.update({
            ('GET', METADATA): lambda rq: Reply(200, self.document()),
            ('GET', '/oauth2/jwks'): lambda rq: Reply(200, tokens.jwks(*self.keys)),
            ('GET', '/oauth2/authorize'): self.authorize, ('POST', '/oauth2/authorize'): self.decided,
            ('POST', '/oauth2/token'): self.token, ('GET', '/oauth2/userinfo'): self.userinfo,
        })
        assert ('GET', DISCOVERY) not in self.routes

    def document(self):
        at = self.url + '/oauth2/'
        return {**super().document(), 'authorization_endpoint': at + 'authorize', 'token_endpoint': at + 'token',
                'userinfo_endpoint': at + 'userinfo', 'jwks_uri': at + 'jwks',
                'introspection_endpoint': at + 'introspection', 'registration_endpoint': at + 'register',
                'scopes_supported': ['email', 'offline_access', 'openid', 'profile']}

    def wants_refresh(self, grant):
        return 'offline_access' in grant.scopes

    def access_jwt(self, person, client, scopes, **over):
        now = int(time.time() + self.ahead())
        claims = {'iss': self.issuer, 'aud': self.environment, 'sub': self.people[person]['sub'],
                  'client_id': client, 'sid': 'app_consent_01', 'scope': ' '.join(scopes),
                  'jti': uuid.uuid4().hex, 'iat': now, 'exp': now + 300,
                  **{k: v for k, v in self.people[person].items() if k in ACCESS},
                  **self.access_claims, **over}
        return tokens.jwt(self.keys[0], payload={k: v for k, v in claims.items() if v is not None},
                          header={'typ': 'JWT'})

    def new_access(self, grant=None):
        return self.access_jwt(grant.person, grant.client, grant.scopes)

    def claims_of(self, grant):
        return {k: v for k, v in super().claims_of(grant).items() if k not in ACCESS}
