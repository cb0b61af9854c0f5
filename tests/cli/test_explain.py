"""mcpauth explain: what would happen to a credential, line by line, without a hub and without a trace."""

import pytest

CONF = '''
provider p0   {{ module fault; deadline 300ms }}
provider p1   {{ module fault }}
provider gate {{ module fault; answer DENY.from~2001:db8::66 }}
scope notes:read {{ text "Read your notes" }}
service notes {{
    path /notes; upstream {url}
    auth sufficient p0; auth required p1
    account gate
    require scope notes:read
}}
service plain {{ path /plain; upstream {url}; auth required p1 }}
service open {{ path /open; upstream {url}; anonymous * }}
'''


@pytest.fixture
def h(hub, upstream):
    return hub(CONF.format(url=upstream.url), start=False)


def explain(h, *args, token=None):
    if token is None:
        return h.cli('explain', *args)
    return h.cli('explain', *args, '--token-file', '-', input=token + '\n')


def lines(done):
    return [line.split() for line in done.stdout.splitlines()]


def value(done, key):
    [line] = [line for line in done.stdout.splitlines() if line.startswith(key + ' ')]
    return line[len(key):].strip()


def test_a_grant_names_the_principal_and_exits_with_0(h):
    done = explain(h, 'plain', token='fault/p1.OK.sub~ann.claim~x')
    assert done.returncode == 0, done.stderr
    assert value(done, 'verdict') == 'GRANT'
    assert value(done, 'principal') == 'ann of https://fault.test, by p1'
    assert '"claim":"x"' in value(done, 'claims')
    assert value(done, 'status').startswith('200')


def test_every_line_has_its_result_reason_and_time(h):
    done = explain(h, 'notes', token='fault/p0.INVALID.delay~30/p1.OK')
    found = {line[2]: line for line in lines(done) if line[:1] == ['auth']}
    assert found['p0'][1] == 'sufficient' and found['p0'][3] == 'INVALID'
    assert found['p0'][5] == 'ms' and int(found['p0'][4]) >= 30
    assert found['p0'][6:] == ['told', 'to']
    assert found['p1'][3] == 'OK'


def test_lines_that_the_stack_does_not_get_to_are_shown_as_that(h):
    done = explain(h, 'notes', token='fault/p0.DENY')
    assert ['auth', 'required', 'p1', 'not', 'reached'] in lines(done)
    assert ['account', 'gate', 'not', 'reached'] in lines(done)
    assert value(done, 'status') == '403'
    assert done.returncode == 1


def test_missing_scopes_are_named_with_the_challenge(h):
    done = explain(h, 'notes', token='fault/p1.OK')
    assert value(done, 'verdict') == 'GRANT'
    assert value(done, 'missing') == 'notes:read'
    assert value(done, 'status') == '403'
    assert 'error="insufficient_scope"' in value(done, 'challenge')
    assert 'scope="notes:read"' in value(done, 'challenge')


def test_without_a_token_it_is_401_and_the_challenge_has_no_error(h):
    done = explain(h, 'notes')
    assert value(done, 'status') == '401'
    assert value(done, 'challenge').startswith('Bearer')
    assert 'error=' not in value(done, 'challenge')
    assert 'the request carries no credential' in done.stdout


def test_a_refused_token_is_invalid_token(h):
    done = explain(h, 'plain', token='fault/p1.INVALID')
    assert value(done, 'status') == '401'
    assert 'error="invalid_token"' in value(done, 'challenge')


def test_the_address_decides_where_a_line_looks_at_it(h):
    done = explain(h, 'notes', '--address', '2001:db8::66', token='fault/p1.OK')
    assert value(done, 'status') == '403'
    assert ['account', 'gate', 'DENY'] in [line[:3] for line in lines(done)]


def test_a_provider_that_hangs_is_unavailable_at_its_deadline(h):
    done = explain(h, 'notes', token='fault/p0.OK.hang/p1.IGNORE')
    assert 'timed out after 300 ms' in done.stdout
    assert value(done, 'status') == '503'


def test_an_open_service_says_so(h):
    done = explain(h, 'open')
    assert done.returncode == 0 and 'anonymous' in done.stdout


def test_an_unknown_service_suggests_the_nearest(h):
    done = explain(h, 'note')
    assert done.returncode == 1 and "did you mean 'notes'?" in done.stderr


def test_a_configuration_that_does_not_load_is_shown_with_its_position(h):
    h.configure('service notes { path /notes; upstreem http://127.0.0.1:1/ }')
    done = explain(h, 'notes')
    assert done.returncode == 1 and 'hub.conf:1:' in done.stderr


def test_a_token_on_the_command_line_is_a_usage_error(h):
    done = explain(h, 'plain', 'secret-token')
    assert done.returncode == 2


def test_the_token_is_not_printed(h):
    done = explain(h, 'plain', token='not-a-script-but-secret')
    assert 'secret' not in done.stdout + done.stderr
