"""address in a running hub: who may call from where, also behind a trusted proxy."""

from support import tokens

CONF = '''
provider keys {{ module bearer-jwt; issuer {issuer} }}
provider office {{ module address; {networks} }}
service notes {{ path /notes; upstream {url}; auth required keys; {line} }}
'''


def start(make, upstream, idp, networks, line='account office', **kw):
    return make(CONF.format(url=upstream.url, issuer=idp.issuer, networks=networks, line=line), **kw)


def token(idp):
    return idp.token(aud='http://127.0.0.1:7070/notes')


def test_a_caller_from_an_allowed_network_is_served(hub, upstream, idp):
    assert start(hub, upstream, idp, 'allow 127.0.0.0/8').call('/notes', token=token(idp)).status == 200


def test_a_caller_from_elsewhere_is_403_without_a_challenge_and_the_record_says_from_where(hub, upstream, idp):
    h = start(hub, upstream, idp, 'allow 192.0.2.0/24')
    answer = h.call('/notes', token=token(idp))
    assert answer.status == 403 and 'insufficient_scope' not in answer.headers.get('WWW-Authenticate', '')
    assert upstream.requests == []
    assert 'office' in str(h.wait_audit('decision', decision='deny')[0])
    assert '127.0.0.1 is not allowed' in str(h.audit('decision')[0])


def test_the_address_is_that_of_the_client_behind_a_trusted_proxy(hub, upstream, idp):
    h = start(hub, upstream, idp, 'allow 192.0.2.0/24', hub='trusted_proxy 127.0.0.1')
    inside, outside = {'X-Forwarded-For': '192.0.2.9'}, {'X-Forwarded-For': '198.51.100.9'}
    assert h.call('/notes', token=token(idp), headers=inside).status == 200
    assert h.call('/notes', token=token(idp), headers=outside).status == 403


def test_who_is_passed_on_without_a_readable_address_has_not_the_proxys_rights(hub, upstream, idp):  # row 42
    h = start(hub, upstream, idp, 'allow 127.0.0.0/8', hub='trusted_proxy 127.0.0.1')
    for forwarded in ('unknown', 'client.example.com', '198.51.100.9, unknown'):
        assert h.call('/notes', token=token(idp), headers={'X-Forwarded-For': forwarded}).status == 500
    assert h.call('/notes', token=token(idp), headers={'X-Forwarded-For': '198.51.100.9:4711'}).status == 403
    assert upstream.requests == []


def test_nobody_forges_an_address_without_a_trusted_proxy(hub, upstream, idp):
    h = start(hub, upstream, idp, 'allow 192.0.2.0/24')
    assert h.call('/notes', token=token(idp), headers={'X-Forwarded-For': '192.0.2.9'}).status == 403


def test_as_an_auth_line_it_refuses_callers_without_any_credential_too(hub, upstream, idp):
    conf = CONF.format(url=upstream.url, issuer=idp.issuer, networks='deny 127.0.0.1', line='')
    h = hub(conf.replace('auth required keys', 'auth requisite office; auth required keys'))
    assert h.call('/notes').status == 403


def test_a_network_with_bits_to_spare_is_refused_by_check(hub, upstream, idp):
    h = start(hub, upstream, idp, 'allow 127.0.0.1/8', start=False)
    done = h.cli('check')
    assert done.returncode == 1 and "'127.0.0.1/8' has bits beyond its prefix length" in done.stdout + done.stderr
