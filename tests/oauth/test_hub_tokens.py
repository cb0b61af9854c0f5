"""Tokens that the hub issued itself: what they open, and what they do not. Rows 103, 104, 113, 190."""

import base64
import json

import pytest

SECRET = 'correct horse battery staple'
CONF = '''
scope notes:read  {{ text "Read notes" }}
scope notes:admin {{ text "Delete notes"; implies notes:read }}
scope other       {{ text "Another" }}
client robot {{ secret env:ROBOT; scope notes:read }}
client admin {{ secret env:ROBOT; service notes }}
service notes {{ path /notes; upstream {url}; auth sufficient clients; require scope notes:read }}
service more  {{ path /more;  upstream {url}; auth sufficient clients; require scope other }}
'''


@pytest.fixture
def robots(hub, upstream):
    return hub(CONF.format(url=upstream.url), env={'ROBOT': SECRET})


def form(hub, path, fields, **headers):
    body = '&'.join(f'{k}={v}' for k, v in fields.items()).encode()
    return hub.request('POST', path, headers={'Content-Type': 'application/x-www-form-urlencoded', **headers},
                       body=body)


def basic(client, secret=SECRET):
    quoted = secret.replace(' ', '+')
    return {'Authorization': 'Basic ' + base64.b64encode(f'{client}:{quoted}'.encode()).decode()}


def own_token(hub, client='robot', service='/notes', **more):
    answer = form(hub, '/token', {'grant_type': 'client_credentials', 'resource': hub.public_url + service, **more}, **basic(client))
    return answer


def test_a_client_of_the_configuration_gets_in_with_a_token_of_its_own(robots, upstream):
    answer = own_token(robots)
    assert answer.status == 200, answer.body
    got = json.loads(answer.body)
    assert got['token_type'] == 'Bearer' and got['scope'] == 'notes:read' and got['expires_in'] == 600
    assert 'refresh_token' not in got
    answer = robots.call("/notes", token=got["access_token"])
    assert answer.status == 200, [json.dumps(x) for x in robots.wait_audit("refused")]
