"""What OAuth clients ask of the hub: requests to its endpoints, whole logins, and what its answers say."""

import base64
import json
import urllib.parse

from support.people import App, Person

SECRET = 'correct horse battery staple'  # of the clients that a test configures


def form(hub, fields, path='/token', **headers):
    """POSTs FIELDS; a list repeats one, None leaves it out."""
    pairs = []
    for name, value in fields.items():
        pairs += [(name, v) for v in (value if isinstance(value, list) else [value]) if v is not None]
    return hub.request('POST', path, headers={'Content-Type': 'application/x-www-form-urlencoded', **headers},
                       body=urllib.parse.urlencode(pairs).encode())


def basic(client, secret=SECRET):
    quoted = secret.replace(' ', '+')
    return {'Authorization': 'Basic ' + base64.b64encode(f'{client}:{quoted}'.encode()).decode()}


def login(hub, client='app', redirect='https://app.example/cb', person=None, **params):
    """A person logs in; the application and the code that it got."""
    app = App(hub, client, redirect, service=params.pop('service', 'notes'), **params)
    who = person or Person(hub)
    return app, app.code(who.log_in(app))


def take(hub, app, code, headers=None, **over):
    return form(hub, {'grant_type': 'authorization_code', 'code': code, 'redirect_uri': app.redirect,
                      'code_verifier': app.verifier, 'client_id': app.client_id, **over}, **(headers or {}))


def good(answer):
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def error(answer, status=400):
    assert answer.status == status, answer.body
    return json.loads(answer.body)['error']


def claims_of(token):
    part = token.split('.')[1]
    return json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))


def tokens_of(hub, *args, **kw):
    app, code = login(hub, *args, **kw)
    return app, good(take(hub, app, code))


def refresh(hub, token, client='app', **over):
    return form(hub, {'grant_type': 'refresh_token', 'refresh_token': token, 'client_id': client, **over})


def revoke(hub, token, client='app', **over):
    return form(hub, {'token': token, 'client_id': client, **over}, '/revoke')


def register(hub, **metadata):
    """A client that registers itself: its id, None when it was refused."""
    body = json.dumps({'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'none', **metadata})
    reply = hub.request('POST', '/register', body=body, headers={'Content-Type': 'application/json'})
    assert reply.status in (201, 400, 413), reply.body
    return reply.json().get('client_id')
