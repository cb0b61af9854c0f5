"""static-token in a running hub: tokens made with `mcpauth token`, changes of their file, use counts.
Rows 18, 20, 118, 121."""

import calendar
import json
import time

import pytest

from support import secretlog
from support.hub import SLOW, HubFailed

CONF = '''
provider ci-tokens {{ module static-token; file {{conf}}/ci.tokens }}
scope notes:read  {{ text "Read notes" }}
scope notes:admin {{ text "Delete notes" }}
service notes {{ path /notes; upstream {url}; auth required ci-tokens; require scope notes:read }}
'''


@pytest.fixture
def notes(hub, upstream):
    return hub(CONF.format(url=upstream.url), files={'ci.tokens': ''})


def create(hub, *args, id='deploy', subject='ci', scope='notes:read'):
    scopes = ['--scope', scope] if scope else []
    done = hub.cli('token', 'create', '--provider', 'ci-tokens', '--subject', subject, *scopes, *args, id, check=True)
    return secretlog.remember(done.stdout.strip())


def wait_status(hub, token, status, timeout=30):
    end = time.monotonic() + timeout * SLOW
    while (got := hub.call('/notes', token=token).status) != status:
        assert time.monotonic() < end, f'{got}, not {status}'
        time.sleep(0.1)


def test_a_token_that_was_just_made_is_accepted_within_seconds_without_a_reload(notes, upstream):
    secret = create(notes)
    wait_status(notes, secret, 200)


def test_the_principal_is_the_instance_and_the_subject_and_the_client_is_the_id(notes):
    secret = create(notes, subject='the build')
    wait_status(notes, secret, 200)
    record = notes.wait_audit('decision', decision='grant')[-1]
    assert (record['issuer'], record['subject'], record['client']) == ('mcpauth:ci-tokens', 'the build', 'deploy')
    assert record['scopes'] == ['notes:read']


def test_no_token_is_401_without_an_error(notes):
    answer = notes.call('/notes')
    assert answer.status == 401
    assert answer.headers['WWW-Authenticate'].startswith('Bearer') and 'error=' not in answer.headers['WWW-Authenticate']


@pytest.mark.parametrize('bend', [
    lambda s: s[:-1] + ('0' if s[-1] != '0' else '1'), lambda s: s[:20], lambda s: 'mcpa_', lambda s: s + 'a',
    lambda s: 'mcpa_' + 'A' * 43 + '_000000', lambda s: s.upper(), lambda s: 'x'])
def test_a_bad_token_is_401_with_invalid_token(notes, upstream, bend):
    """row 20"""
    secret = create(notes)
    wait_status(notes, secret, 200)
    seen = len(upstream.requests)
    answer = notes.call('/notes', token=bend(secret))
    assert answer.status == 401 and 'error="invalid_token"' in answer.headers['WWW-Authenticate']
    assert len(upstream.requests) == seen


def test_a_token_without_the_scope_is_403_naming_it(notes):
    secret = create(notes, scope='notes:admin')
    wait_status(notes, secret, 403)
    challenge = notes.call('/notes', token=secret).headers['WWW-Authenticate']
    assert 'insufficient_scope' in challenge and 'notes:read' in challenge


@pytest.mark.parametrize('action', ['revoke', 'disable', 'rotate'])
def test_a_token_that_is_ended_is_401_within_seconds(notes, action):
    secret = create(notes)
    wait_status(notes, secret, 200)
    done = notes.cli('token', action, '--provider', 'ci-tokens', 'deploy', check=True)
    wait_status(notes, secret, 401)
    if action == 'rotate':
        wait_status(notes, secretlog.remember(done.stdout.strip()), 200)


def test_both_secrets_are_good_while_they_overlap(notes):
    old = create(notes)
    new = secretlog.remember(notes.cli('token', 'rotate', '--provider', 'ci-tokens', '--overlap', '1h', 'deploy',
                                       check=True).stdout.strip())
    wait_status(notes, new, 200)
    wait_status(notes, old, 200)


def test_an_expired_token_is_401_and_says_so(hub, upstream, preload):
    notes = hub(CONF.format(url=upstream.url), files={'ci.tokens': ''}, env=preload.env)
    secret = create(notes, '--expires', '1h')
    wait_status(notes, secret, 200)
    preload.advance(3601)
    wait_status(notes, secret, 401)
    assert 'expired' in json.loads(notes.call('/notes', token=secret).body)['error_description']


def test_a_broken_edit_changes_nothing_and_is_logged_with_its_place(notes):
    secret = create(notes)
    wait_status(notes, secret, 200)
    text = (notes.confdir / 'ci.tokens').read_text()
    notes.write('ci.tokens', text + '{"id":"second"}\n', mode=0o640)
    notes.wait_log(r'ci\.tokens: line 2 column 1: (sha256|subject): is missing')
    assert notes.call('/notes', token=secret).status == 200
    notes.write('ci.tokens', text, mode=0o640)
    wait_status(notes, secret, 200)


@pytest.mark.parametrize('mode', [0o646, 0o644, 0o660])
def test_a_token_file_that_others_can_read_or_write_is_refused_at_start(hub, upstream, mode):
    """row 121"""
    h = hub(CONF.format(url=upstream.url), files={'ci.tokens': ''}, start=False)
    (h.confdir / 'ci.tokens').chmod(mode)
    with pytest.raises(HubFailed, match=r'ci\.tokens'):
        h.start()
    assert h.cli('check').returncode == 1


def test_a_token_file_with_a_mistake_is_refused_with_its_place(hub, upstream):
    """row 20: a plaintext token"""
    h = hub(CONF.format(url=upstream.url), files={'ci.tokens': '\n{"id":"a","token":"mcpa_plain","subject":"s"}\n'},
            start=False)
    done = h.cli('check')
    assert done.returncode == 1 and 'ci.tokens: line 2 column 12: token' in done.stdout + done.stderr
    assert 'mcpa_plain' not in done.stdout + done.stderr
    with pytest.raises(HubFailed, match='line 2 column 12'):
        h.start()


def test_a_token_of_one_provider_is_refused_by_another(hub, upstream):
    """row 18"""
    h = hub(CONF.format(url=upstream.url) + '''
provider other {{ module static-token; file {{conf}}/other.tokens }}
service second {{ path /second; upstream {url}; auth required other; require scope notes:read }}
'''.format(url=upstream.url), files={'ci.tokens': '', 'other.tokens': ''})
    secret = create(h)
    wait_status(h, secret, 200)
    assert h.call('/second', token=secret).status == 401


def test_uses_are_counted_with_time_and_address(notes):
    secret = create(notes)
    wait_status(notes, secret, 200)
    before = len(notes.audit('decision', decision='grant'))
    for _ in range(5):
        assert notes.call('/notes', token=secret).status == 200
    notes.stop()
    [token] = json.loads(notes.cli('token', 'list', '--json', check=True).stdout)
    assert token['uses'] == before + 5
    assert token['last_address'] == '127.0.0.1'
    assert abs(time.time() - calendar.timegm(time.strptime(token['last_use'], '%Y-%m-%dT%H:%M:%SZ'))) < 60


def test_uses_of_several_workers_add_up_over_restarts(hub, upstream):
    h = hub(CONF.format(url=upstream.url), files={'ci.tokens': ''}, workers=2)
    secret = create(h)
    for worker in (1, 2):  # each looks at the file by itself
        h.wait_log(rf'worker {worker}: provider ci-tokens: read .* again')
    for _ in range(20):
        assert h.call('/notes', token=secret).status == 200
    h.reload()
    for _ in range(20):
        assert h.call('/notes', token=secret).status == 200
    h.stop()
    h.start()
    for _ in range(20):
        assert h.call('/notes', token=secret).status == 200
    grants = len(h.audit('decision', decision='grant'))
    h.stop()
    [token] = json.loads(h.cli('token', 'list', '--json', check=True).stdout)
    assert token['uses'] == grants >= 60
