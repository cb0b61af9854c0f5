"""A stand-in for Google's OAuth, as it behaves on the wire: opaque ya29. tokens, strings for numbers and
booleans in tokeninfo, scopes that come back as URLs, a refresh token only for access_type=offline with
a consent, no rotation."""

import time

from support.secretlog import remember
from support.standin import Reply
from support.standin_oidc import StandInOidc

URLS = {'email': 'https://www.googleapis.com/auth/userinfo.email',
        'profile': 'https://www.googleapis.com/auth/userinfo.profile'}

PEOPLE = {
    'ann': {'sub': '110000000000000000001', 'hd': 'example.com', 'email': 'ann@example.com',
            'email_verified': True, 'name': 'Ann Example'},
    'bob': {'sub': '110000000000000000002', 'email': 'bob@example.com', 'email_verified': True,
            'name': 'Bob Example'},  # a consumer account: no hd, whatever the address says
    'eve': {'sub': '110000000000000000003', 'hd': 'elsewhere.test', 'email': 'eve@elsewhere.test',
            'email_verified': False, 'name': 'Eve Elsewhere'},
}


class StandInGoogle(StandInOidc):
    def __init__(self):
        super().__init__(client_id='hub.apps.googleusercontent.com')
        self.people = {name: dict(claims) for name, claims in PEOPLE.items()}
        self.rotates = False
        self.legacy_issuer = False
        self.unticked = set()   # scopes that people leave out on the consent page
        self.consented = set()  # who has seen it
        self.routes[('GET', '/tokeninfo')] = self.routes[('POST', '/tokeninfo')] = self.tokeninfo

    def document(self):
        return {**super().document(), 'scopes_supported': ['openid', 'email', 'profile'],
                'revocation_endpoint': self.url + '/revoke'}

    def decide(self, p, person):
        offline = (p.get('access_type') == 'offline' and
                   (person not in self.consented or 'consent' in p.get('prompt', '').split()))
        self.consented.add(person)
        known = set(self.codes)
        reply = super().decide(p, person)
        for text in set(self.codes) - known:
            code = self.codes[text]
            code.offline = offline
            code.scopes = [URLS.get(s, s) for s in code.scopes if s not in self.unticked]
        return reply

    def by_code(self, p, client):
        code = self.codes.get(p.get('code'))
        self.gives_refresh = bool(code and code.offline)
        return super().by_code(p, client)

    def invalid_grant(self, why):
        return Reply(400, {'error': 'invalid_grant', 'error_description':
                           'Token has been expired or revoked.' if 'revoked' in why else 'Bad Request'})

    def new_access(self, grant=None):
        return remember('ya29.' + super().new_access(grant))

    def claims_of(self, grant):
        person = self.people[grant.person]
        names = {'sub', 'hd'}
        if URLS['email'] in grant.scopes:
            names |= {'email', 'email_verified'}
        if URLS['profile'] in grant.scopes:
            names |= {'name', 'picture', 'given_name', 'family_name'}
        claims = {k: v for k, v in person.items() if k in names}
        if self.legacy_issuer:
            claims['iss'] = self.issuer.partition('://')[2]
        return claims

    def tokeninfo(self, rq):
        grant = self.grant_of(rq.params.get('access_token'))
        if grant is None:
            return Reply(400, {'error': 'invalid_token', 'error_description': 'Invalid Value'})
        left = int(grant.access[rq.params['access_token']] - time.monotonic())
        info = {'azp': grant.client, 'aud': grant.client, 'sub': self.people[grant.person]['sub'],
                'scope': ' '.join(grant.scopes), 'exp': str(int(time.time() + self.ahead()) + left), 'expires_in': str(left),
                'access_type': 'offline'}
        claims = self.claims_of(grant)
        if 'email' in claims:
            info.update(email=claims['email'], email_verified=str(claims['email_verified']).lower())
        return Reply(200, info)
