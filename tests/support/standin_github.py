"""A stand-in for GitHub, as it behaves on the wire: no OpenID, errors with status 200, form-encoded
replies unless JSON is asked for, PKCE that is optional, tokens bound to an application that only
POST /applications/ID/token tells, a User-Agent that must be there, organisations that may keep
applications out. `app` makes it a GitHub App with expiring tokens."""

import secrets
import time
import urllib.parse

from support.secretlog import remember
from support.standin import Code, Grant, Reply, StandIn, challenge_of, page, redirect
from support.standin_oidc import text_secret

PEOPLE = {
    'ann': {'id': 1001, 'login': 'ann-example', 'name': 'Ann Example', 'email': None,
            'emails': [('ann@example.com', True, True), ('ann@old.example', False, True)],
            'orgs': {'example': 'active'}, 'teams': ['example/ops', 'other/ops']},
    'bob': {'id': 1002, 'login': 'bob-example', 'name': None, 'email': 'bob@example.com',
            'emails': [('bob@example.com', True, False)],
            'orgs': {'example': 'pending'}, 'teams': []},
}

# What else GitHub says about a team and about its organisation: 2 to 4 KiB with the addresses.
ABOUT_TEAM = ('node_id', 'url', 'html_url', 'name', 'description', 'privacy', 'notification_setting', 'permission',
              'members_url', 'repositories_url', 'created_at', 'updated_at')
ABOUT_ORGANISATION = ('node_id', 'url', 'repos_url', 'events_url', 'hooks_url', 'issues_url', 'members_url',
                      'public_members_url', 'avatar_url', 'description', 'name', 'company', 'blog', 'location',
                      'email', 'html_url', 'created_at', 'updated_at')


def about(names):
    return {name: f'https://api.github.example/organizations/1000001/{name}/{"x" * 40}' for name in names}


class StandInGitHub(StandIn):
    """Web pages and API on one port: base_url URL, api_url URL/api/v3, as an Enterprise server."""

    def __init__(self):
        super().__init__()
        self.people = {name: dict(p) for name, p in PEOPLE.items()}
        self.client_id, self.client_secret = 'Iv1.0123456789abcdef', text_secret('client')
        self.clients = {self.client_id: self.client_secret}
        self.signed_in = None
        self.redirect_uris = None
        self.app = False            # a GitHub App: ghu_, expires, scope ""
        self.answers_form = False   # also to those who ask for JSON
        self.unticked = set()       # scopes that the person does not grant
        self.closed_orgs = set()    # that keep applications out: 403
        self.codes, self.grants = {}, []
        self.routes.update({
            ('GET', '/login/oauth/authorize'): self.authorize,
            ('POST', '/login/oauth/authorize'): self.decided,
            ('POST', '/login/oauth/access_token'): self.token,
            ('GET', '/api/v3/user'): self.with_token(self.user),
            ('GET', '/api/v3/user/emails'): self.with_token(self.emails),
            ('GET', '/api/v3/user/teams'): self.with_token(self.teams),
        })

    def limit_rate(self, path, status=403):
        self.fault(path, status=status, headers=[('X-RateLimit-Remaining', '0')], body={
            'message': 'API rate limit exceeded for user ID 1001.',
            'documentation_url': 'https://docs.github.com/rest/overview/rate-limits'})

    def revoke(self, person):
        with self.lock:
            for grant in self.grants:
                grant.alive = grant.alive and grant.person != person

    def not_found(self, rq):
        path = rq.path
        if path.startswith('/api/v3/user/memberships/orgs/') and rq.method == 'GET':
            return self.with_token(self.membership)(rq)
        if path.startswith('/api/v3/applications/') and path.endswith('/token') and rq.method == 'POST':
            with self.lock:
                return self.check_token(rq)
        return Reply(404, {'message': 'Not Found'})

    # ---- the browser

    def _bad_client(self, p):
        if p.get('client_id') not in self.clients:
            return '404'
        uri = p.get('redirect_uri', '')
        if self.redirect_uris is None:
            self.redirect_uris = {uri}
        return None if uri in self.redirect_uris else 'redirect_uri_mismatch'

    def authorize(self, rq):
        p = rq.params
        if self._bad_client(p):
            return page('GitHub', f'<p>{self._bad_client(p)}</p>', 404)
        if p.get('code_challenge_method', 'S256') != 'S256':
            return redirect(p['redirect_uri'], error='invalid_request', state=p.get('state'))
        if self.signed_in:
            return self.decide(p, self.signed_in)
        hidden = ''.join(f'<input type="hidden" name="{k}" value="{v}">' for k, v in p.items())
        buttons = ''.join(f'<button name="person" value="{n}">{n}</button>' for n in self.people)
        return page('Sign in to GitHub', f'<form method="post">{hidden}{buttons}'
                                         '<button name="person" value="deny">Cancel</button></form>')

    def decided(self, rq):
        p = dict(rq.params)
        person = p.pop('person', None)
        if self._bad_client(p) or (person != 'deny' and person not in self.people):
            return page('GitHub', '', 404)
        return self.decide(p, person)

    def decide(self, p, person):
        if person == 'deny':
            return redirect(p['redirect_uri'], error='access_denied', state=p.get('state'),
                            error_description='The user has denied your application access.')
        scopes = [s for s in p.get('scope', '').split() if s not in self.unticked]
        code = Code(person, p, [] if self.app else scopes)
        code.text = remember(secrets.token_hex(10))
        self.codes[code.text] = code
        return redirect(p['redirect_uri'], code=code.text, state=p.get('state'))

    # ---- tokens: 200 whatever happens

    def _say(self, rq, reply):
        if 'application/json' in rq.headers.get('accept', '') and not self.answers_form:
            return Reply(200, reply)
        return Reply(200, urllib.parse.urlencode(reply), content_type='application/x-www-form-urlencoded; charset=utf-8')

    def _error(self, rq, error):
        return self._say(rq, {'error': error, 'error_description': 'It is so.',
                              'error_uri': 'https://docs.github.com/apps/troubleshooting'})

    def token(self, rq):
        p = rq.params
        if self.clients.get(p.get('client_id')) != p.get('client_secret') or not p.get('client_secret'):
            return self._error(rq, 'incorrect_client_credentials')
        if p.get('grant_type') == 'refresh_token':
            return self.by_refresh(rq)
        code = self.codes.get(p.get('code'))
        if code is None or code.used or code.client != p['client_id']:
            return self._error(rq, 'bad_verification_code')
        if code.redirect_uri != p.get('redirect_uri'):
            return self._error(rq, 'redirect_uri_mismatch')
        if code.challenge and challenge_of(p.get('code_verifier', '')) != code.challenge:
            return self._error(rq, 'bad_verification_code')
        code.used = True
        grant = Grant(code.person, code.client, code.scopes)
        self.grants.append(grant)
        return self._say(rq, self.issue(grant))

    def by_refresh(self, rq):
        for grant in self.grants:
            if grant.alive and grant.refresh and grant.refresh == rq.params.get('refresh_token'):
                grant.access = {}  # using it kills the access token too
                return self._say(rq, self.issue(grant))
        return self._error(rq, 'bad_refresh_token')

    def issue(self, grant):
        access = remember(('ghu_' if self.app else 'gho_') + secrets.token_hex(18))
        grant.access[access] = time.time() + 28800
        reply = {'access_token': access, 'token_type': 'bearer', 'scope': ','.join(grant.scopes)}
        if self.app:
            grant.refresh = remember('ghr_' + secrets.token_hex(38))
            reply.update(expires_in=28800, refresh_token=grant.refresh, refresh_token_expires_in=15811200)
        return reply

    # ---- the API

    def grant_of(self, token):
        return next((g for g in self.grants if g.alive and g.access.get(token, 0) > time.time()), None)

    def with_token(self, answer):
        def route(rq):
            if not rq.headers.get('user-agent'):
                return Reply(403, 'Request forbidden by administrative rules. User-Agent is missing.')
            grant = self.grant_of(rq.bearer)
            if grant is None:
                return Reply(401, {'message': 'Bad credentials', 'documentation_url': 'https://docs.github.com/rest'})
            reply = answer(rq, grant)
            reply.headers.append(('X-OAuth-Scopes', ', '.join(grant.scopes)))
            return reply
        return route

    def user_of(self, grant):
        return {k: v for k, v in self.people[grant.person].items() if k in ('id', 'login', 'name', 'email')}

    def user(self, rq, grant):
        return Reply(200, {**self.user_of(grant), 'type': 'User', 'site_admin': False})

    def emails(self, rq, grant):
        if not self.app and 'user:email' not in grant.scopes:
            return Reply(404, {'message': 'Not Found'})
        return Reply(200, [{'email': e, 'primary': p, 'verified': v, 'visibility': None}
                           for e, p, v in self.people[grant.person]['emails']])

    def membership(self, rq, grant):
        org = rq.path.rpartition('/')[2]
        if org in self.closed_orgs or (not self.app and 'read:org' not in grant.scopes):
            return Reply(403, {'message': 'You must have the read:org scope, or the organization has '
                                          'enabled OAuth App access restrictions'})
        state = self.people[grant.person]['orgs'].get(org)
        return Reply(200, {'state': state, 'role': 'member', 'organization': {'login': org}}) if state \
            else Reply(404, {'message': 'Not Found'})

    def teams(self, rq, grant):
        if not self.app and 'read:org' not in grant.scopes:
            return Reply(403, {'message': 'Requires read:org'})
        size, n = int(rq.params.get('per_page', 30)), int(rq.params.get('page', 1))
        teams = self.people[grant.person]['teams'][(n - 1) * size:n * size]
        return Reply(200, [{**about(ABOUT_TEAM), 'slug': t.partition('/')[2], 'parent': None,
                            'organization': {**about(ABOUT_ORGANISATION), 'login': t.partition('/')[0]}} for t in teams])

    def check_token(self, rq):
        client = rq.path.split('/')[4]
        if rq.basic != (client, self.clients.get(client)):
            return Reply(401, {'message': 'Bad credentials'})
        token = rq.json.get('access_token')
        grant = self.grant_of(token)
        if not token:
            return Reply(422, {'message': 'Validation Failed'})
        if grant is None or grant.client != client:
            return Reply(404, {'message': 'Not Found'})
        expires = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(grant.access[token])) if self.app else None
        return Reply(200, {'app': {'client_id': grant.client, 'name': 'hub'}, 'scopes': grant.scopes,
                           'user': self.user_of(grant), 'expires_at': expires})
