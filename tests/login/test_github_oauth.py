"""github-oauth at a stand-in that behaves as GitHub does on the wire."""

import re
import time
import urllib.parse

import pytest

from support.loginrun import ConfigRefused
from support.secretlog import remember
from support.standin import Grant

CONF = '''provider github {{
    module github-oauth
    base_url {github.url}
    client_id {github.client_id}
    client_secret file:{{dir}}/secret
    {more}
}}'''
TOKEN, API = '/login/oauth/access_token', '/api/v3'


@pytest.fixture
def hub_at(login_run, github):
    """Factory: hub_at(more options) with Ann signed in at GitHub."""
    github.signed_in = 'ann'

    def make(more=''):
        return login_run(CONF.format(github=github, more=more), files={'secret': github.client_secret})
    return make


def query(begun):
    return dict(urllib.parse.parse_qsl(begun['redirect'].partition('?')[2]))


def test_a_login_names_the_person_by_the_number_and_not_by_the_name(hub_at, github):
    done = hub_at().login()
    assert done['result'] == 'OK', done
    assert done['who']['issuer'] == github.url and done['who']['subject'] == '1001'
    assert done['who']['claims'] == {'login': 'ann-example', 'name': 'Ann Example', 'email': 'ann@example.com',
                                     'email_verified': True}


def test_pkce_is_used(hub_at, github):  # row 101
    q = query(hub_at().begin())
    assert q['code_challenge_method'] == 'S256' and len(q['code_challenge']) == 43
    hub_at().login()
    assert github.asked(TOKEN)[-1].params['code_verifier']


def test_a_reply_in_form_encoding_is_read_too(hub_at, github):
    github.answers_form = True
    assert hub_at().login()['result'] == 'OK'


@pytest.mark.parametrize('error, result', [
    ('bad_verification_code', 'INVALID'), ('incorrect_client_credentials', 'ERROR'),
    ('redirect_uri_mismatch', 'ERROR'), ('unverified_user_email', 'DENY'), ('something_new', 'ERROR')])
def test_an_error_comes_with_status_200(hub_at, github, error, result):
    github.fault(TOKEN, status=200, body={'error': error, 'error_description': 'x'})
    done = hub_at().login()
    assert done['result'] == result and error in done['reason']


def test_an_address_counts_when_it_is_primary_and_verified(hub_at, github):  # row 24
    github.signed_in = 'bob'  # his profile shows one that nobody verified
    done = hub_at().login()
    assert done['result'] == 'OK' and 'email' not in done['who']['claims']
    assert hub_at('verified_email on').login()['result'] == 'DENY'


def test_without_the_scope_there_is_no_address(hub_at, github):
    github.unticked = {'user:email'}
    done = hub_at().login()
    assert done['result'] == 'OK' and 'email' not in done['who']['claims']


# ---- organisations and teams

def test_members_of_the_organisation_log_in(hub_at, github):
    done = hub_at('organization acme example').login()
    assert done['result'] == 'OK'
    assert done['who']['claims']['groups'] == ['example', 'example/ops']
    assert done['who']['claims']['tenant'] == 'example'


def test_read_org_is_asked_for_when_it_is_needed(hub_at):
    assert query(hub_at('organization example').begin())['scope'] == 'read:user user:email read:org'
    assert query(hub_at().begin())['scope'] == 'read:user user:email'


@pytest.mark.parametrize('more, result', [
    ('organization acme', 'DENY'), ('team example/ops', 'OK'), ('team example/dev', 'DENY'),
    ('team acme/ops', 'DENY'), ('organization acme; team example/ops', 'OK')])
def test_who_is_in_none_of_them_is_refused(hub_at, more, result):
    assert hub_at(more).login()['result'] == result


def test_an_invitation_that_was_not_accepted_is_no_membership(hub_at, github):
    github.signed_in = 'bob'
    assert hub_at('organization example').login()['result'] == 'DENY'


def test_an_organisation_that_keeps_the_application_out_refuses(hub_at, github):
    github.closed_orgs = {'example'}
    github.people['ann']['teams'] = []
    assert hub_at('organization example').login()['result'] == 'DENY'


def test_a_person_who_does_not_grant_read_org_is_refused(hub_at, github):
    github.unticked = {'read:org'}
    assert hub_at('organization example').login()['result'] == 'DENY'


def test_teams_beyond_the_first_page_count(hub_at, github):
    github.people['ann']['teams'] = [f'example/t{i}' for i in range(150)] + ['example/late']
    assert hub_at('team example/late').login()['result'] == 'OK'
    assert github.count[API + '/user/teams'] == 4


def test_somebody_in_hundreds_of_teams_logs_in_with_all_of_them(hub_at, github):
    teams = [f'example/{"team-of-a-long-name-":x<40}{i}' for i in range(400)]
    github.people['ann']['teams'] = teams
    done = hub_at('organization example').login()
    assert done['result'] == 'OK', done
    assert done['who']['claims']['groups'] == ['example', *teams]


def test_the_case_of_a_teams_name_does_not_matter(hub_at, github):
    github.people['ann']['teams'] = ['Example-Org/ops']
    assert hub_at('team example-org/ops').login()['result'] == 'OK'
    assert hub_at('team example-org/op').login()['result'] == 'DENY'


@pytest.mark.parametrize('option', ['base_url', 'api_url'])
def test_an_address_that_ends_with_a_slash_is_refused(login_run, github, option):
    conf = CONF.format(github=github, more=f'api_url {github.url}/api/v3')
    conf = re.sub(rf'({option} \S+)', r'\1/', conf)
    with pytest.raises(ConfigRefused, match='leave out the slash at its end'):
        login_run(conf, files={'secret': github.client_secret}).begin()


# ---- refreshing

def test_a_token_that_does_not_expire_is_checked_by_the_application(hub_at, github):
    p = hub_at()
    done = p.login()
    assert done['tokens']['refresh_token'] is None and done['tokens']['access_expires_at'] == 0
    assert p.refresh(done)['result'] == 'OK'
    assert github.count[f'{API}/applications/{github.client_id}/token'] == 1
    github.revoke('ann')
    assert p.refresh(done)['result'] == 'INVALID'


def test_tokens_of_a_github_app_rotate(hub_at, github):
    github.app = True
    p = hub_at('organization example')
    done = p.login()
    assert done['tokens']['access_token'].startswith('ghu_') and done['tokens']['access_expires_at']
    again = p.refresh(done)
    assert again['result'] == 'OK' and again['tokens']['refresh_token'] != done['tokens']['refresh_token']
    assert p.refresh(done)['result'] == 'INVALID'  # the first one has been used
    assert p.refresh(again)['result'] == 'OK'


def test_rotated_tokens_come_out_although_the_api_is_down(hub_at, github):
    github.app = True
    p = hub_at()
    done = p.login()
    github.fault(API + '/user', status=502)
    again = p.refresh(done)
    assert again['result'] == 'UNAVAIL' and again['rotated']
    github.heal()
    assert p.refresh(again)['result'] == 'OK'


def test_who_leaves_the_organisation_is_refused_at_the_next_refresh(hub_at, github):
    p = hub_at('organization example')
    done = p.login()
    assert p.refresh(done)['result'] == 'OK'
    github.people['ann']['orgs'] = {}
    assert p.refresh(done)['result'] == 'DENY'


def test_a_renamed_person_stays_the_same(hub_at, github):
    p = hub_at()
    done = p.login()
    github.people['ann']['login'] = 'ann-renamed'
    again = p.refresh(done)
    assert again['result'] == 'OK' and again['who']['claims']['login'] == 'ann-renamed'


def test_who_takes_over_a_name_is_somebody_else(hub_at, github):  # row 115
    p = hub_at()
    done = p.login()
    github.people['ann']['id'] = 2002
    assert p.refresh(done)['result'] == 'ERROR'


@pytest.mark.parametrize('path', ['/user', '/user/emails', '/user/memberships/orgs/example', '/user/teams'])
@pytest.mark.parametrize('trouble', ['limit', 'limit 429', 500, 'html'])
def test_when_github_limits_the_rate_or_is_down_nobodys_grant_ends(hub_at, github, path, trouble):
    p = hub_at('organization example')
    done = p.login()
    if str(trouble).startswith('limit'):
        github.limit_rate(API + path, status=429 if '429' in trouble else 403)
    elif trouble == 'html':
        github.fault(API + path, status=200, body='<html>unicorn</html>', content_type='text/html')
    else:
        github.fault(API + path, status=trouble)
    assert p.refresh(done)['result'] == 'UNAVAIL'


def test_a_wrong_secret_ends_nobodys_grant(hub_at, github):
    p = hub_at()
    done = p.login()
    github.clients[github.client_id] = 'changed'
    assert p.refresh(done)['result'] == 'ERROR'


# ---- own tokens

def token_of(github, client, prefix='gho_'):
    grant = Grant('ann', client, ['read:user', 'read:org'])
    token = remember(prefix + 'a' * 36)
    grant.access[token] = time.time() + 3600
    github.grants.append(grant)
    return token


def test_own_tokens_need_to_be_told(hub_at, github):
    assert hub_at().verify(token_of(github, github.client_id))['status'] == 401
    assert not github.requests


def test_an_own_token_is_accepted_after_github_was_asked(hub_at, github):
    answer = hub_at('own_tokens on').verify(token_of(github, github.client_id))
    assert answer['status'] == 200 and answer['who']['subject'] == '1001'


def test_a_token_of_another_application_is_refused(hub_at, github):
    github.clients['Iv1.other'] = 'other'
    token = token_of(github, 'Iv1.other')
    assert hub_at('own_tokens on').verify(token)['status'] == 401
    assert github.count[API + '/user'] == 0


@pytest.mark.parametrize('prefix', ['ghp_', 'github_pat_', 'ghs_', 'eyJ'])
def test_personal_tokens_and_others_never_leave_the_hub(hub_at, github, prefix):  # row 23
    assert hub_at('own_tokens on').verify(token_of(github, github.client_id, prefix))['status'] == 401
    assert not github.requests


def test_own_tokens_obey_the_organisation(hub_at, github):
    token = token_of(github, github.client_id)
    assert hub_at('own_tokens on; organization example').verify(token)['status'] == 200
    assert hub_at('own_tokens on; organization acme').verify(token)['status'] == 403


@pytest.mark.parametrize('status', [403, 429, 500, 503])
def test_when_github_cannot_be_asked_it_is_503_and_not_401(hub_at, github, status):
    github.limit_rate(f'{API}/applications/{github.client_id}/token', status=status)
    assert hub_at('own_tokens on').verify(token_of(github, github.client_id))['status'] == 503


@pytest.mark.parametrize('more, words', [
    ('organization exa/mple', 'is no name of an organisation'), ('organization ..', 'is no name'),
    ('team ops', 'is not ORGANISATION/TEAM'), ('team a/b/c', 'is not ORGANISATION/TEAM'),
    ('map login /x', 'must begin with /'), ('api_url http://api.example.com', 'must be https'),
])
def test_options_that_do_not_fit_are_refused_with_the_reason(hub_at, more, words):
    with pytest.raises(ConfigRefused, match=words):
        hub_at(more).begin()
