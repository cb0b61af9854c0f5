"""introspect in a running hub: what the server is asked and by whom, what becomes of its answers, slow
and broken servers, what is reused.  Rows 9, 10, 23, 134, reliability R8."""

import base64
import time
import urllib.parse

import pytest

from support import tokens
from support.hub import SLOW
from support.upstream import MockUpstream

AUDIENCE = 'http://127.0.0.1:7070/notes'
ISSUER = 'https://login.example.com'
CONF = '''
provider corp {{
    module introspect; url {endpoint}; issuer https://login.example.com; client_id "mcp hub"
    {auth}; {options}
}}
scope notes:read {{ text "Read notes" }}
service notes {{ path /notes; upstream {url}; auth required corp; {more} }}
'''


class Server:
    """The authorization server's endpoint."""

    def __init__(self, server):
        self.server, self.delay, self.status = server, 0, 200
        self.says = {'active': True, 'sub': 'ann', 'aud': AUDIENCE, 'exp': int(time.time()) + 600}
        server.handler = self.answer

    def answer(self, x):
        time.sleep(self.delay)
        x.reply(self.says, status=self.status)

    @property
    def asked(self):
        return [dict(urllib.parse.parse_qsl(r.body.decode(), strict_parsing=True)) for r in self.server.requests]


@pytest.fixture
def server():
    upstream = MockUpstream()  # not one of the fixture: it is meant to see tokens
    yield Server(upstream)
    upstream.close()


@pytest.fixture
def notes(hub, upstream, server):
    def start(options='', auth='client_secret env:CORP', more='', files=None, **kw):
        text = CONF.format(endpoint=server.server.url, url=upstream.url, options=options, auth=auth, more=more)
        return hub(text, env={'CORP': 's3cret&more'}, files=files, **kw)
    return start


def test_an_active_token_names_the_principal(notes, server):
    server.says.update(client_id='cli', scope='notes:read other')
    h = notes(more='require scope notes:read')
    assert h.call('/notes', token='opaque').status == 200
    record = h.wait_audit('decision', decision='grant')[0]
    assert (record['issuer'], record['subject'], record['client']) == (ISSUER, 'ann', 'cli')
    assert 'notes:read' in record['scopes']


def test_the_question_is_that_of_rfc_7662_by_client_secret_basic(notes, server):
    assert notes().call('/notes', token='opaque+/=').status == 200
    assert server.asked == [{'token': 'opaque+/=', 'token_type_hint': 'access_token'}]
    kind, pair = server.server.last.header('Authorization').split(' ')
    assert kind == 'Basic' and base64.b64decode(pair) == b'mcp%20hub:s3cret%26more'


def test_the_secret_may_go_into_the_body(notes, server):
    assert notes('client_auth post').call('/notes', token='opaque').status == 200
    assert server.asked[0]['client_id'] == 'mcp hub' and server.asked[0]['client_secret'] == 's3cret&more'
    assert server.server.last.header('Authorization') is None


@pytest.mark.parametrize('alg', ['RS256', 'ES256', 'EdDSA'])
def test_private_key_jwt_signs_an_assertion_for_the_endpoint(notes, server, alg):
    import jwt
    from cryptography.hazmat.primitives import serialization
    key = tokens.key(alg)
    pem = key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                    serialization.NoEncryption())
    h = notes('key_id k1; reuse 0s', auth='private_key file:{conf}/corp.key', files={'corp.key': pem})
    assert [h.call('/notes', token='opaque').status for _ in range(2)] == [200, 200]
    public = key.private.public_key().public_bytes(serialization.Encoding.PEM,
                                                   serialization.PublicFormat.SubjectPublicKeyInfo)
    seen = set()
    for asked in server.asked:
        assert asked['client_assertion_type'] == 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
        said = jwt.decode(asked['client_assertion'], public, [alg], audience=server.server.url)
        assert said['iss'] == said['sub'] == asked['client_id'] == 'mcp hub' and said['exp'] - said['iat'] == 60
        assert jwt.get_unverified_header(asked['client_assertion'])['kid'] == 'k1'
        seen.add(said['jti'])
    assert len(seen) == 2


@pytest.mark.parametrize('change', [
    {'active': False}, {'sub': None}, {'sub': ''}, {'sub': 7}, {'aud': 'http://127.0.0.1:7070/other'}, {'aud': []},
    {'aud': None}, {'iss': 'https://evil.example'}, {'iss': 7}, {'exp': 1600000000}, {'nbf': 32503680000},
    {'token_type': 'Refresh'}, {'token_type': 'DPoP'}, {'token_type': 7}, {'scope': 'a"b'}])
def test_a_token_that_is_not_good_is_401(notes, server, upstream, change):
    """rows 9 and 10"""
    server.says.update(change)
    server.says = {k: v for k, v in server.says.items() if v is not None}
    assert notes().call('/notes', token='opaque').status == 401
    assert upstream.requests == []


def test_a_token_that_the_server_calls_inactive_is_not_asked_about_again_at_once(notes, server):
    server.says = {'active': False}
    h = notes('reuse_inactive 1m', workers=1)
    assert [h.call('/notes', token='gone').status for _ in range(3)] == [401, 401, 401]
    assert [asked['token'] for asked in server.asked] == ['gone']
    server.says = {'active': True, 'sub': 'ann', 'aud': AUDIENCE}
    assert h.call('/notes', token='good').status == 200
    assert h.call('/notes', token='gone').status == 401


def test_it_is_asked_about_again_when_the_time_is_over(notes, server):
    server.says = {'active': False}
    h = notes('reuse_inactive 1s')
    assert h.call('/notes', token='new').status == 401
    server.says = {'active': True, 'sub': 'ann', 'aud': AUDIENCE}
    end = time.monotonic() + 30 * SLOW
    while h.call('/notes', token='new').status != 200:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_with_0s_it_is_asked_about_every_time(notes, server):
    server.says = {'active': False}
    h = notes('reuse_inactive 0s')
    assert [h.call('/notes', token='gone').status for _ in range(2)] == [401, 401]
    assert len(server.asked) == 2


@pytest.mark.parametrize('first, status', [({'says': {}}, 503), ({'status': 500}, 503), ({'status': 429}, 503),
                                           ({'says': {'active': True, 'sub': 'ann', 'aud': 'other'}}, 401),
                                           ({'says': {'active': True, 'aud': AUDIENCE}}, 401)])
def test_no_other_answer_is_kept_against_a_token(notes, server, first, status):
    good = {'says': server.says, 'status': 200}
    h = notes('reuse_inactive 1m')
    vars(server).update(first)
    assert h.call('/notes', token='opaque').status == status
    vars(server).update(good)
    assert h.call('/notes', token='opaque').status == 200


@pytest.mark.parametrize('says', [
    {}, [], 'x', '', {'active': 'true', 'sub': 'ann'}, {'active': 1, 'sub': 'ann'}, '{"active":false,"active":true}',
    {'active': True, 'sub': 'ann', 'exp': 'soon'}, {'active': True, 'sub': 'a' * 70000}])
def test_an_answer_that_is_none_is_503_and_never_yes(notes, server, upstream, says):
    """row 134"""
    server.says = says
    assert notes().call('/notes', token='opaque').status == 503
    assert upstream.requests == []


@pytest.mark.parametrize('status', [400, 401, 403, 429, 500, 503, 302, 201])
def test_a_server_that_does_not_answer_the_question_is_503(notes, server, status):
    server.status = status
    assert notes().call('/notes', token='opaque').status == 503


def test_a_slow_server_is_503_after_the_timeout(notes, server):
    server.delay = 3
    assert notes('timeout 200ms').call('/notes', token='opaque').status == 503


def test_tokens_of_others_are_never_sent(notes, server, idp):
    """row 23"""
    h = notes('prefix corp_')
    for token in (idp.token(aud=AUDIENCE), 'mcpa_' + 'A' * 43 + '_000000', 'gho_1', 'cor'):
        assert h.call('/notes', token=token).status == 401
    assert server.asked == []


def test_a_jwt_of_the_issuer_is_asked_about(notes, server):
    token = '.'.join(tokens.b64(part) for part in ({'alg': 'ES256'}, {'iss': ISSUER}, 'signature'))
    assert notes('prefix corp_').call('/notes', token=token).status == 200
    assert len(server.asked) == 1


def test_an_answer_stands_for_the_time_of_reuse(notes, server):
    h = notes()
    assert [h.call('/notes', token='opaque').status for _ in range(3)] == [200, 200, 200]
    assert len(server.asked) == 1


def test_an_answer_does_not_stand_longer_than_the_token(notes, server):
    h = notes('reuse 5m')
    server.says['exp'] = int(time.time()) + 6
    assert h.call('/notes', token='opaque').status == 200
    server.says = {'active': False}
    end = time.monotonic() + 30
    while h.call('/notes', token='opaque').status == 200:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert len(server.asked) == 2


def test_an_audience_that_is_not_told_is_accepted_only_by_leave(notes, server):
    del server.says['aud']
    assert notes('require_audience off').call('/notes', token='opaque').status == 200


@pytest.mark.parametrize('auth', ['', 'client_secret env:CORP; private_key env:CORP', 'private_key env:CORP'])
def test_check_wants_one_good_way_to_be_a_client(notes, auth):
    done = notes(auth=auth, start=False).cli('check')
    assert done.returncode == 1 and 'private' in done.stdout + done.stderr


def test_an_address_that_would_send_tokens_in_clear_is_refused_by_check(hub, upstream):  # row 59
    h = hub(CONF.format(endpoint='http://192.0.2.7/', url=upstream.url, options='', more='',
                        auth='client_secret env:CORP'), env={'CORP': 's3cret'}, start=False)
    done = h.cli('check')
    assert done.returncode == 1 and 'must be https://' in done.stdout + done.stderr
