"""google-oauth at a stand-in that behaves as Google does on the wire."""

import time
import urllib.parse

import pytest

from support.loginrun import ConfigRefused
from support.secretlog import remember
from support.standin import Grant, Reply

CONF = '''provider google {{
    module google-oauth
    issuer {google.issuer}; tokeninfo_url {google.url}/tokeninfo
    client_id hub.apps.googleusercontent.com
    client_secret file:{{dir}}/secret
    {more}
}}'''


@pytest.fixture
def hub_at(login_run, google):
    """Factory: hub_at(more options) with Ann signed in at Google."""
    google.signed_in = 'ann'

    def make(more=''):
        return login_run(CONF.format(google=google, more=more), files={'secret': google.client_secret})
    return make


def test_a_login_names_the_person_by_googles_sub(hub_at, google):
    done = hub_at().login()
    assert done['result'] == 'OK', done
    assert done['who']['issuer'] == google.issuer and done['who']['subject'] == '110000000000000000001'
    assert done['who']['claims'] == {'email': 'ann@example.com', 'email_verified': True, 'name': 'Ann Example',
                                     'tenant': 'example.com'}
    assert done['tokens']['refresh_token'] and done['tokens']['access_token'].startswith('ya29.')


def test_googles_two_spellings_of_its_issuer_are_one_person(hub_at, google):
    first = hub_at().login()
    google.legacy_issuer = True
    second = hub_at().login()
    assert first['who']['issuer'] == second['who']['issuer'] == google.issuer


def test_no_other_issuer_is_taken(hub_at, google):
    google.id_claims = {'iss': 'https://accounts.google.example'}
    assert hub_at().login()['result'] == 'INVALID'


def query(begun):
    return dict(urllib.parse.parse_qsl(begun['redirect'].partition('?')[2]))


def test_offline_access_is_asked_for_with_a_consent_each_time(hub_at, google):
    q = query(hub_at().begin())
    assert q['access_type'] == 'offline' and q['prompt'] == 'consent'
    p = hub_at()
    assert p.login()['tokens']['refresh_token']
    assert p.login()['tokens']['refresh_token']  # the second time too


def test_without_offline_there_is_no_refresh_token(hub_at, google):
    p = hub_at('offline off')
    assert 'access_type' not in query(p.begin())
    done = p.login()
    assert done['tokens']['refresh_token'] is None
    assert p.refresh(done)['result'] == 'OK'  # while the access token lives
    google.expire_access()
    assert p.refresh(done)['result'] == 'INVALID'


def test_again_lets_the_person_choose_an_account(hub_at):
    assert query(hub_at().begin(again=True))['prompt'] == 'select_account consent'


def test_abbreviations_of_scopes_are_written_out(hub_at, google):
    p = hub_at('request_scope openid email drive.readonly')
    assert query(p.begin())['scope'] == 'openid email https://www.googleapis.com/auth/drive.readonly'
    assert p.login()['result'] == 'OK'


def test_who_unticks_a_scope_is_refused(hub_at, google):
    google.unticked = {'https://www.googleapis.com/auth/drive.readonly'}
    done = hub_at('request_scope openid email drive.readonly').login()
    assert done['result'] == 'DENY' and 'drive.readonly was not granted' in done['reason']
    assert hub_at('request_scope openid email drive.readonly; all_scopes off').login()['result'] == 'OK'


# ---- whose organisation

@pytest.mark.parametrize('person, result', [('ann', 'OK'), ('bob', 'DENY'), ('eve', 'DENY')])
def test_hosted_domain_is_judged_by_the_claim_and_not_by_the_address(hub_at, google, person, result):
    google.signed_in = person
    done = hub_at('hosted_domain example.com').login()
    assert done['result'] == result and (done['who'] is None) == (result != 'OK')


def test_of_one_hosted_domain_google_is_told(hub_at):
    assert query(hub_at('hosted_domain example.com').begin())['hd'] == 'example.com'
    assert 'hd' not in query(hub_at('hosted_domain example.com example.org').begin())


def test_an_address_that_google_has_not_verified_refuses_the_person(hub_at, google):  # row 24
    google.signed_in = 'eve'
    assert hub_at().login()['result'] == 'DENY'
    done = hub_at('verified_email off').login()
    assert done['result'] == 'OK' and 'email' not in done['who']['claims']


def test_email_verified_may_be_a_word(hub_at, google):
    google.people['ann']['email_verified'] = 'true'
    assert hub_at().login()['who']['claims']['email_verified'] is True
    google.people['ann']['email_verified'] = 'false'
    assert hub_at().login()['result'] == 'DENY'


def test_who_leaves_the_organisation_is_refused_at_the_next_refresh(hub_at, google):
    p = hub_at('hosted_domain example.com')
    done = p.login()
    assert p.refresh(done)['result'] == 'OK'
    google.people['ann']['hd'] = 'elsewhere.test'
    assert p.refresh(done)['result'] == 'DENY'


# ---- refreshing

def test_a_revoked_grant_is_invalid(hub_at, google):
    p = hub_at()
    done = p.login()
    google.revoke('ann')
    again = p.refresh(done)
    assert again['result'] == 'INVALID' and 'expired or revoked' in again['reason']


def test_the_refresh_token_stays(hub_at, google):
    p = hub_at()
    done = p.login()
    again = p.refresh(done)
    assert again['result'] == 'OK' and again['tokens']['refresh_token'] == done['tokens']['refresh_token']
    assert again['tokens']['access_token'] != done['tokens']['access_token']


@pytest.mark.parametrize('fault', [{'status': 500}, {'status': 429}, {'drop': True}])
def test_google_in_trouble_ends_no_grant(hub_at, google, fault):
    p = hub_at()
    done = p.login()
    google.fault('/token', **fault)
    assert p.refresh(done)['result'] == 'UNAVAIL'


def test_an_answer_of_another_provider_is_refused(hub_at, google):  # row 92
    p = hub_at()
    p.begin()
    assert p.finish('code', ['iss', 'https://evil.example'])['result'] == 'INVALID'
    assert google.count['/token'] == 0


# ---- own tokens

def test_own_tokens_need_to_be_told(hub_at, google):
    p = hub_at()
    token = p.login()['tokens']['access_token']
    assert p.verify(token)['status'] == 401
    assert google.count['/tokeninfo'] == 0


def test_an_own_token_is_accepted_after_google_was_asked(hub_at, google):
    p = hub_at('own_tokens on')
    token = p.login()['tokens']['access_token']
    answer = p.verify(token)
    assert answer['status'] == 200 and answer['who']['subject'] == '110000000000000000001'
    assert google.asked('/tokeninfo')[0].in_url == {}  # tokens in URLs are logged


def test_a_token_of_another_application_is_refused(hub_at, google):
    google.clients['other.apps.googleusercontent.com'] = remember('other-secret')
    other = Grantee(google, 'other.apps.googleusercontent.com')
    assert hub_at('own_tokens on').verify(other.token)['status'] == 401


class Grantee:
    """What another application got for Ann."""

    def __init__(self, google, client):
        grant = Grant('ann', client, ['openid', 'https://www.googleapis.com/auth/userinfo.email'])
        self.token = google.new_access()
        grant.access[self.token] = time.monotonic() + 3600
        google.grants.append(grant)


def test_a_token_whose_azp_is_another_application_is_refused(hub_at, google):
    token = Grantee(google, 'hub.apps.googleusercontent.com').token
    google.routes['POST', '/tokeninfo'] = lambda rq: Reply(
        200, {'aud': google.client_id, 'azp': 'other', 'sub': '1', 'expires_in': '100', 'email_verified': 'true'})
    assert hub_at('own_tokens on').verify(token)['status'] == 401


@pytest.mark.parametrize('form', ['eyJh.eyJh.x', 'ghp_0123456789', 'ya29.'])
def test_what_is_no_google_token_never_leaves_the_hub(hub_at, google, form):  # row 23
    assert hub_at('own_tokens on').verify(form)['status'] == 401
    assert google.count['/tokeninfo'] == 0


def test_an_unknown_token_is_refused(hub_at):
    assert hub_at('own_tokens on').verify('ya29.made-up')['status'] == 401


@pytest.mark.parametrize('fault', [{'status': 500}, {'status': 429}, {'status': 200, 'body': '<html>'},
                                   {'drop': True}])
def test_when_google_cannot_be_asked_it_is_503_and_not_401(hub_at, google, fault):
    p = hub_at('own_tokens on')
    google.fault('/tokeninfo', **fault)
    assert p.verify('ya29.whatever')['status'] == 503


def test_own_tokens_of_other_organisations_are_refused(hub_at, google):
    p = hub_at('own_tokens on; hosted_domain example.com')
    assert p.verify(p.login()['tokens']['access_token'])['status'] == 200
    google.people['ann']['hd'] = 'elsewhere.test'
    assert p.verify(Grantee(google, google.client_id).token)['status'] == 403


@pytest.mark.parametrize('more, words', [
    ('request_scope email', 'openid must be asked for'),
    ('hosted_domain example', 'is no domain'),
    ('hosted_domain @example.com', 'is no domain'),
    ('map email /x', 'must begin with /'),
])
def test_options_that_do_not_fit_are_refused_with_the_reason(hub_at, more, words):
    with pytest.raises(ConfigRefused, match=words):
        hub_at(more).begin()
