"""bearer-jwt in a running hub: tokens of a mock identity provider, its outages and rotations, and the
services that its tokens are for.  Rows 1, 3, 7, 9, 10, 11, 18, 163; reliability R8."""

import concurrent.futures
import json
import os
import time

import pytest

from support import tokens
from support.idp import DISCOVERY, JWKS

AUDIENCE = 'http://127.0.0.1:7070/notes'


def conf(idp, upstream, provider='', services=('notes',)):
    blocks = ''.join(f'''
service {name} {{
    path      /{name}
    upstream  {upstream.url}
    auth      required corp
}}
''' for name in services)
    return f'''
provider corp {{
    module  bearer-jwt
    issuer  {idp.issuer}
    {provider}
}}
{blocks}'''


def status(hub, token, path='/notes'):
    return hub.call(path, token=token).status


@pytest.mark.parametrize('alg', [a for a in tokens.ALGORITHMS if not a.startswith('HS')])
def test_tokens_of_every_algorithm_pass(hub, upstream, idp, alg):
    idp.rotate(alg)
    h = hub(conf(idp, upstream))
    assert status(h, idp.token()) == 200


@pytest.mark.parametrize('alg', ['HS256', 'HS384', 'HS512'])
def test_a_shared_secret_passes_and_the_idp_is_not_asked(hub, upstream, idp, alg):
    secret = b'0123456789abcdef' * 4
    key = tokens.Key(alg, secret=secret)
    h = hub(conf(idp, upstream, 'shared_secret file:{conf}/secret'), files={'secret': secret})
    assert status(h, idp.token(key)) == 200
    assert status(h, idp.token()) == 401
    assert not idp.count


@pytest.mark.parametrize('option, form', [('jwks_uri {jwks}', None), ('key_file {{conf}}/keys', 'jwks'),
                                          ('key_file {{conf}}/keys', 'pem')])
def test_keys_come_from_where_the_configuration_says(hub, upstream, idp, option, form):
    key = idp.keys[0]
    files = {'keys': key.pem() if form == 'pem' else json.dumps(tokens.jwks(key))} if form else {}
    h = hub(conf(idp, upstream, option.format(jwks=idp.jwks_uri)), files=files)
    assert status(h, idp.token()) == 200
    assert idp.count[DISCOVERY] == 0


def test_keys_are_found_by_rfc_8414_where_openid_discovery_is_not(hub, upstream, idp):
    idp.fault(DISCOVERY, status=404, body='')
    h = hub(conf(idp, upstream))
    assert status(h, idp.token()) == 200


def test_what_was_verified_reaches_the_audit_record(hub, upstream, idp):
    h = hub(conf(idp, upstream, 'claims keycloak'))
    assert status(h, idp.token(sub='alice', azp='cli')) == 200
    record = h.wait_audit('decision')[0]
    text = json.dumps(record)
    assert 'alice' in text and idp.issuer in text and 'cli' in text


@pytest.mark.parametrize('over', [
    {'exp': 1}, {'exp': None}, {'exp': '99999999999'}, {'exp': -1}, {'nbf': 99999999999},
    {'iat': 99999999999}, {'aud': None}, {'aud': 'http://127.0.0.1:7070/other'},
    {'aud': AUDIENCE + '/'}, {'aud': {AUDIENCE: 1}}, {'nonce': 'n'}, {'at_hash': 'x'},
    {'events': {}}, {'sub': None}, {'sub': ''}, {'scope': 'a\tb'}, {'scope': 5},
    {'exp': 4102444800},
])
def test_a_bad_token_is_401_with_invalid_token(hub, upstream, idp, over):
    h = hub(conf(idp, upstream))
    assert status(h, idp.token()) == 200
    r = h.call('/notes', token=idp.token(**over))
    assert r.status == 401
    assert 'error="invalid_token"' in r.headers['WWW-Authenticate']
    assert len(upstream.requests) == 1


@pytest.mark.parametrize('header', [
    {'alg': 'none'}, {'alg': None}, {'typ': 'logout+jwt'}, {'crit': ['x']},
    {'b64': False}, {'kid': 7}, {'zip': 'DEF'},
])
def test_a_bad_header_is_401(hub, upstream, idp, header):
    h = hub(conf(idp, upstream))
    assert status(h, idp.token(header=header)) == 401
    assert not upstream.requests


def test_the_public_key_is_no_secret(hub, upstream, idp):
    """row 2"""
    key = idp.keys[0]
    h = hub(conf(idp, upstream))
    assert status(h, idp.token()) == 200
    for text in (key.pem(), key.pem().strip(), json.dumps(key.jwk()), key.jwk()['n']):
        forger = tokens.Key('HS256', kid=key.kid, secret=text.encode())
        assert status(h, idp.token(forger)) == 401


def test_keys_that_a_token_brings_along_are_not_fetched(hub, upstream, idp, canary):
    """row 3"""
    own = tokens.Key('RS256', kid='own')
    h = hub(conf(idp, upstream))
    url = f'http://127.0.0.1:{canary.port}/keys'
    for header in ({'jku': url}, {'x5u': url}, {'jwk': own.jwk()}):
        assert status(h, idp.token(own, header=header)) == 401


def test_a_token_of_an_unknown_issuer_is_401_and_fetches_nothing(hub, upstream, idp, canary):
    """row 163"""
    h = hub(conf(idp, upstream))
    assert status(h, idp.token()) == 200
    asked = dict(idp.count)
    assert status(h, idp.token(iss=f'http://127.0.0.1:{canary.port}')) == 401
    assert status(h, idp.token(iss=idp.issuer + '/')) == 401
    assert dict(idp.count) == asked


def test_tokens_pass_at_the_service_they_are_for_and_nowhere_else(hub, upstream, idp):
    """rows 10 and 18: also when the good answer is cached"""
    names = [f's{i}' for i in range(5)]
    h = hub(conf(idp, upstream, services=names))
    for name in names:
        token = idp.token(aud=f'http://127.0.0.1:7070/{name}')
        for _ in range(2):
            assert {n: status(h, token, f'/{n}') for n in names} == {
                n: 200 if n == name else 401 for n in names}


def test_a_rotation_is_followed_at_once(hub, upstream, idp):
    h = hub(conf(idp, upstream))
    assert status(h, idp.token()) == 200
    before = idp.count[JWKS]
    idp.rotate()
    assert status(h, idp.token()) == 200
    assert idp.count[JWKS] == before + 1


def test_a_rotation_is_followed_by_all_workers_with_one_fetch(hub, upstream, idp):
    h = hub(conf(idp, upstream), workers=3)
    first = idp.token()
    assert all(status(h, first) == 200 for _ in range(12))
    before = idp.count[JWKS]
    idp.rotate()
    assert all(status(h, idp.token()) == 200 for _ in range(12))
    assert idp.count[JWKS] <= before + 1


def test_unknown_kids_cost_one_fetch(hub, upstream, idp):
    """row 163"""
    h = hub(conf(idp, upstream), workers=2, hub='max_failures_per_address 0')
    assert status(h, idp.token()) == 200
    h.call('/notes', token=idp.token())
    time.sleep(0.3)
    before = idp.count[JWKS]
    for i in range(100):
        assert status(h, idp.token(header={'kid': f'kid-{i}'})) == 401
    assert idp.count[JWKS] <= before + 1


def test_without_keys_the_answer_is_503(hub, upstream, idp):
    idp.fault(DISCOVERY, status=500, body='')
    h = hub(conf(idp, upstream))
    r = h.call('/notes', token=idp.token())
    assert r.status == 503 and 'Retry-After' in r.headers
    assert 'WWW-Authenticate' not in r.headers
    idp.heal()
    end = time.monotonic() + 60
    while status(h, idp.token()) != 200:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_restart_during_an_outage_changes_nothing(hub, upstream, idp):
    """R8"""
    h = hub(conf(idp, upstream))
    assert status(h, idp.token()) == 200
    end = time.monotonic() + 60
    while not (keys := list((h.statedir / 'keys').glob('*.json'))):  # written by a job
        assert time.monotonic() < end
        time.sleep(0.02)
    assert len(keys) == 1 and os.stat(keys[0]).st_mode & 0o777 == 0o600
    for path in (DISCOVERY, JWKS):
        idp.fault(path, status=503, body='')
    h.stop()
    h.start()
    assert status(h, idp.token()) == 200
    h.configure(conf(idp, upstream, 'reuse 1m'))
    h.reload()
    assert status(h, idp.token()) == 200


def test_waiting_for_keys_disturbs_nobody_else(hub, upstream, idp):
    idp.fault(DISCOVERY, hang=True)
    h = hub(conf(idp, upstream) + f'service open {{ path /open; upstream {upstream.url}; anonymous *; accept_risk open-service }}\n')
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        waits = other.submit(status, h, idp.token())
        idp.wait_count(DISCOVERY, 1)
        assert h.call('/open').status == 200 and not waits.done()
        assert waits.result() == 503


def test_a_key_file_is_read_again_without_a_reload(hub, upstream, idp):
    old, new = tokens.Key('ES256'), tokens.Key('ES256')
    h = hub(conf(idp, upstream, 'key_file {conf}/keys'), files={'keys': json.dumps(tokens.jwks(old))})
    assert status(h, idp.token(old)) == 200
    h.write('keys', 'rubbish')
    h.wait_log('the old keys go on serving')
    assert status(h, idp.token(old, sub='bob')) == 200
    h.write('keys', json.dumps(tokens.jwks(new)))
    h.wait_log('read again')
    assert status(h, idp.token(new)) == 200
    assert status(h, idp.token(old, sub='carol')) == 401


@pytest.mark.parametrize('statement, line, words', [
    ('leeway 61s', 5, 'leeway'),
    ('algorithms none', 5, "'none'"),
    ('algorithms HS256', 5, 'HS256 needs a shared_secret'),
    ('jwks_uri http://example.com/k', 5, 'https'),
    ('jwks_uri https://a/k; key_file /k', 2, 'one of jwks_uri, key_file and shared_secret'),
    ('key_file /nonexistent/keys', 5, '/nonexistent/keys: No such file or directory'),
    ('issuer https://a/.well-known/openid-configuration', 4, 'before /.well-known/'),
    ('claims okta', 5, 'keycloak'),
    ('map role /role', 5, 'JSON pointer'),
    ('issuer http://example.com', 4, 'https'),
    ('max_lifetime 1s', 5, 'max_lifetime'),
    ('audiences x', 5, "'audience'"),
])
def test_options_that_make_no_sense_are_refused_with_their_place(hub, upstream, idp, statement, line, words):
    h = hub(conf(idp, upstream, statement), start=False)
    done = h.cli('check')
    assert done.returncode == 1
    assert words in done.stdout
    assert f'hub.conf:{line}:' in done.stdout
