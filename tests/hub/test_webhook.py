"""webhook in a running hub: what its endpoint is asked, what becomes of each answer, slow and broken
endpoints, what is reused.  Rows 23, 134, reliability R8."""

import hashlib
import hmac
import json
import time

import pytest

from support.hub import SLOW

SECRET = 'a-secret-of-thirty-two-bytes-or-more'
CONF = '''
provider in-house {{ module webhook; url {endpoint}; secret env:WEBHOOK; {options} }}
scope notes:read {{ text "Read notes" }}
service notes {{ path /notes; upstream {url}; {stack}; {more} }}
'''


def wait_until(true):
    end = time.monotonic() + 60 * SLOW
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


class Endpoint:
    """The administrator's own: answers what the test says, keeps what it was asked."""

    def __init__(self, server):
        self.server, self.says, self.delay, self.status = server, {'result': 'ok', 'subject': 'ann'}, 0, 200
        server.handler = self.answer

    def answer(self, x):
        time.sleep(self.delay)
        x.reply(self.says, status=self.status)

    @property
    def asked(self):
        return [r.json() for r in self.server.requests]


@pytest.fixture
def endpoint(upstreams):
    return Endpoint(upstreams())


@pytest.fixture
def notes(hub, upstream, endpoint):
    def start(options='', stack='auth required in-house', more='', **kw):
        text = CONF.format(endpoint=endpoint.server.url, url=upstream.url, options=options, stack=stack, more=more)
        return hub(text, env={'WEBHOOK': SECRET}, **kw)
    return start


def test_ok_names_the_principal(notes, endpoint):
    endpoint.says = {'result': 'ok', 'subject': 'ann', 'client': 'cli', 'scopes': ['notes:read'],
                     'claims': {'team': 'blue'}}
    h = notes(more='require scope notes:read')
    assert h.call('/notes', token='acme_1').status == 200
    record = h.wait_audit('decision', decision='grant')[0]
    assert (record['issuer'], record['subject'], record['client']) == ('mcpauth:in-house', 'ann', 'cli')
    assert record['scopes'] == ['notes:read']


def test_the_request_tells_the_facts_and_is_signed(notes, endpoint):
    assert notes().call('/notes', token='acme_1').status == 200
    said = endpoint.asked[0]
    assert said.pop('request_id')
    assert said == {'version': 1, 'provider': 'in-house', 'service': 'notes',
                    'resource': 'http://127.0.0.1:7070/notes', 'address': '127.0.0.1', 'method': 'POST',
                    'credential': {'source': 'bearer', 'name': '', 'value': 'acme_1'}}
    request = endpoint.server.requests[0]
    seconds, mac = request.header('Mcpauth-Signature').removeprefix('t=').split(',v1=')
    assert abs(int(seconds) - time.time()) < 60
    message = seconds.encode() + b'.' + request.body
    assert mac == hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()


@pytest.mark.parametrize('result, status', [('ignore', 401), ('invalid', 401), ('deny', 403), ('unavailable', 503)])
def test_a_refusal_is_the_status_of_its_kind_and_its_reason_is_recorded_only(notes, endpoint, result, status):
    endpoint.says = {'result': result, 'reason': 'left the company'}
    h = notes()
    answer = h.call('/notes', token='acme_1')
    assert answer.status == status and 'company' not in answer.text
    wait_until(lambda: 'left the company' in h.audit_file.read_text())


@pytest.mark.parametrize('says', [
    {}, [], 'x', {'result': 'OK', 'subject': 'ann'}, {'result': 'ok'}, {'result': 'ok', 'subject': ''},
    {'result': 'ok', 'subject': 'a\nb'}, {'result': 'ok', 'subject': 7}, {'result': 'ok', 'subject': 'ann', 'admin': True},
    {'result': 'ok', 'subject': 'ann', 'scopes': 'notes:read'}, {'result': 'ok', 'subject': 'ann', 'expires': 0},
    {'result': 'ok', 'subject': 'ann', 'claims': {'account': {}}}, '{"result":"deny","result":"ok","subject":"ann"}',
    {'result': 'ok', 'subject': 'x' * 70000}])
def test_an_answer_that_is_not_as_agreed_is_500_and_never_yes(notes, endpoint, upstream, says):
    """row 134"""
    endpoint.says = says
    assert notes().call('/notes', token='acme_1').status in (500, 503)
    assert upstream.requests == []


@pytest.mark.parametrize('status, seen', [(500, 503), (502, 503), (429, 503), (404, 500), (201, 500), (302, 500)])
def test_a_status_other_than_200_lets_nobody_in(notes, endpoint, upstream, status, seen):
    endpoint.status = status
    assert notes().call('/notes', token='acme_1').status == seen
    assert upstream.requests == []


def test_a_slow_endpoint_is_503_after_the_timeout(notes, endpoint):
    endpoint.delay = 3
    assert notes('timeout 200ms').call('/notes', token='acme_1').status == 503


def test_an_endpoint_that_is_gone_is_503(notes, endpoint):
    h = notes()
    endpoint.server.close()
    assert h.call('/notes', token='acme_1').status == 503


def test_without_reuse_the_endpoint_is_asked_every_time(notes, endpoint):
    endpoint.says['reuse_seconds'] = 60
    h = notes()
    assert [h.call('/notes', token='acme_1').status for _ in range(2)] == [200, 200]
    assert len(endpoint.asked) == 2


def test_with_reuse_it_is_asked_once_and_not_told_what_differs_between_requests(notes, endpoint):
    endpoint.says['reuse_seconds'] = 60
    h = notes('reuse 1m')
    assert [h.call('/notes', token=t).status for t in ('acme_1', 'acme_1', 'acme_2')] == [200, 200, 200]
    assert [a['credential']['value'] for a in endpoint.asked] == ['acme_1', 'acme_2']
    assert not {'address', 'method', 'request_id'} & set(endpoint.asked[0])


def test_an_answer_that_says_nothing_of_reuse_is_not_reused(notes, endpoint):
    h = notes('reuse 1m')
    assert [h.call('/notes', token='acme_1').status for _ in range(2)] == [200, 200]
    assert len(endpoint.asked) == 2


def test_an_answer_is_not_reused_beyond_its_end(notes, endpoint):
    endpoint.says.update(reuse_seconds=60, expires='2020-01-01T00:00:00Z')
    assert notes('reuse 1m').call('/notes', token='acme_1').status == 401


def test_credentials_of_others_are_never_sent(notes, endpoint):
    """row 23"""
    h = notes('prefix acme_ acme-')
    for token in ('gho_16C7e42F292c6912E7710c838347Ae178B4a', 'acm', 'xacme_1', 'ACME_1'):
        assert h.call('/notes', token=token).status == 401
    assert endpoint.asked == []
    assert notes().call('/notes', token='mcpa_' + 'A' * 43 + '_000000').status == 401
    assert endpoint.asked == []


def test_in_an_account_line_it_sees_the_principal_and_no_credential(endpoint, hub, upstream, idp):
    endpoint.says = {'result': 'ok', 'claims': {'badge': 7}}
    text = CONF.format(endpoint=endpoint.server.url, url=upstream.url, options='',
                       stack='auth required keys; account in-house', more='')
    text += f'provider keys {{ module bearer-jwt; issuer {idp.issuer} }}'
    h = hub(text, env={'WEBHOOK': SECRET})
    token = idp.token(aud='http://127.0.0.1:7070/notes', sub='ann')
    assert h.call('/notes', token=token).status == 200
    said = endpoint.asked[0]
    assert 'credential' not in said and token not in json.dumps(said)
    assert (said['principal']['issuer'], said['principal']['subject']) == (idp.issuer, 'ann')
    endpoint.says = {'result': 'deny', 'reason': 'no badge'}
    assert h.call('/notes', token=token).status == 403
    assert 'no badge' in str(h.wait_audit('decision', decision='deny'))


def test_a_short_secret_is_refused_by_check(notes):
    h = notes(start=False)
    h.env['WEBHOOK'] = 'short'
    done = h.cli('check')
    assert done.returncode == 1 and 'at least 32 bytes' in done.stdout + done.stderr


def test_an_address_that_would_send_credentials_in_clear_is_refused_by_check(hub, upstream):  # row 59
    h = hub(CONF.format(endpoint='http://192.0.2.7/', url=upstream.url, options='', stack='auth required in-house',
                        more=''), env={'WEBHOOK': SECRET}, start=False)
    done = h.cli('check')
    assert done.returncode == 1 and 'must be https://' in done.stdout + done.stderr
