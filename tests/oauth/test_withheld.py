"""Scopes that are not for everybody: what the consent page offers whom, and who is told what she has not got."""

import re
import urllib.parse

import pytest

from support.people import App, Person

CONF = '''
provider corp {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/corp.secret
                 claims okta; request_scope openid groups }}
scope notes:read  {{ text "Read your notes" }}
scope notes:admin {{ text "Delete notes"; implies notes:read; for claim /groups = notes-admins }}
service notes {{ path /notes; upstream {url}; auth sufficient corp; require scope notes:read
                 tool purge require scope notes:admin; tool * allow; accept_risk broad-allow }}
client app   {{ text "Notes App"; redirect_uri https://app.example/cb }}
client local {{ text "Local App"; redirect_uri http://localhost/cb }}
'''
ALL = 'notes:read notes:admin'
NOT_HERS, TOLD = 'the account that signed in here last may not have', 'what your account may not have'
PERHAPS = 'only if your account may have it'


@pytest.fixture
def steps(hub, oidc, upstream):
    """Bob, who is no admin, is signed in at the provider."""
    oidc.signed_in = 'bob'
    return hub(CONF.format(oidc=oidc, url=upstream.url), files={'corp.secret': oidc.client_secret + '\n'})


def app_of(hub, **params):
    return App(hub, 'app', 'https://app.example/cb', service='notes', **params)


def tokens_of(app, page):
    body = {'grant_type': 'authorization_code', 'code': app.code(page), 'client_id': app.client_id,
            'redirect_uri': app.redirect, 'code_verifier': app.verifier}
    reply = app.hub.request('POST', '/token', body=urllib.parse.urlencode(body),
                            headers={'Content-Type': 'application/x-www-form-urlencoded'})
    assert reply.status == 200, reply.body
    return reply.json()


def logged_in(hub, **over):
    """A person who has a grant for notes:read, in her browser."""
    person, app = Person(hub), app_of(hub, scope='notes:read')
    person.log_in(app, **over)
    return person, tokens_of(app, person.page)


def purge(hub, token):
    return hub.call('/notes', 'tools/call', {'name': 'purge', 'arguments': {}}, token=token)


def offered(page):
    return re.findall(r'name="scope" value="([^"]*)"', page.body)


# ---- a browser that is known

def test_a_user_without_the_role_steps_up_and_meets_one_clear_403(steps):  # row 117
    person, tokens = logged_in(steps)
    refused = purge(steps, tokens['access_token'])
    assert refused.status == 403 and 'insufficient_scope' not in refused.headers.get('WWW-Authenticate', '')
    # a client that tries all the same
    app = app_of(steps, scope=ALL)
    page = person.get(app.url())
    assert 'notes:admin' not in offered(page) and PERHAPS not in page.text
    assert NOT_HERS in page.text and 'Delete notes' in page.text and 'Read your notes' in page.text
    person.allow()
    person.go_on()
    page = person.follow()
    assert page.status == 303  # she has been told before
    tokens = tokens_of(app, page)
    assert tokens['scope'] == 'notes:read'
    refused = purge(steps, tokens['access_token'])
    assert refused.status == 403 and 'insufficient_scope' not in refused.headers.get('WWW-Authenticate', '')
    assert steps.wait_audit('login', n=2)[-1]['granted'] == 'notes:read'


def test_who_asks_for_nothing_else_is_offered_what_she_may_have(steps):  # row 117
    person, _ = logged_in(steps)
    page = person.get(app_of(steps, scope='notes:admin').url())
    assert not offered(page) and NOT_HERS in page.text and 'Read your notes' in page.text


def test_a_user_with_the_role_is_offered_it_without_a_doubt(steps, oidc):  # row 117
    oidc.signed_in = 'ann'
    person, _ = logged_in(steps)
    page = person.get(app_of(steps, scope=ALL).url())
    assert offered(page) == ['notes:admin']
    assert PERHAPS not in page.text and NOT_HERS not in page.text


def test_a_scope_that_was_not_offered_is_not_remembered_as_agreed_to(steps, oidc):  # rows 95 and 117
    person, _ = logged_in(steps, remember='1')
    person.get(app_of(steps, scope=ALL).url())
    person.allow(remember='1')
    person.go_on()
    person.follow()
    page = person.get(app_of(steps, scope=ALL).url(), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 200 and NOT_HERS in page.text


def test_a_remembered_consent_does_not_hide_what_is_not_hers(steps):  # rows 95 and 117
    person = Person(steps)
    first = app_of(steps, scope=ALL)
    person.log_in(first, remember='1')  # agrees to all of it: nobody knew yet
    tokens_of(first, person.page)
    page = person.get(app_of(steps, scope=ALL).url(), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 200 and NOT_HERS in page.text
    page = person.get(app_of(steps, scope='notes:read').url(), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 303


def test_another_account_is_asked_about_all_of_it(steps, oidc):
    person, _ = logged_in(steps)
    app = app_of(steps, scope=ALL)
    page = person.get(app.url())
    oidc.signed_in = 'ann'
    page = person.get(urllib.parse.urljoin(page.url, page.link('another')))
    assert page.status == 200 and offered(page) == ['notes:admin'] and PERHAPS in page.text
    person.allow()
    person.go_on()
    assert oidc.asked('/authorize')[-1].params.get('prompt')
    assert tokens_of(app, person.follow())['scope'] == 'notes:admin notes:read'


def test_somebody_else_who_signs_in_is_offered_what_is_hers(steps, oidc):  # rows 115 and 117
    oidc.signed_in = 'ann'
    person, app = Person(steps), app_of(steps, scope=ALL)
    person.log_in(app, remember='1')
    tokens_of(app, person.page)
    oidc.signed_in = 'bob'
    app = app_of(steps, scope=ALL)
    assert person.get(app.url(), headers={'Sec-Fetch-Site': 'none'}).status == 303
    person.follow()
    person.go_on()
    page = person.follow()
    assert page.status == 200 and 'somebody else' in page.text
    assert not offered(page) and NOT_HERS in page.text


def test_another_client_of_the_same_person_is_not_offered_it_either(steps):
    person, _ = logged_in(steps)
    other = App(steps, 'local', 'http://localhost:9/cb', service='notes', scope=ALL)
    assert NOT_HERS in person.get(other.url()).text


def test_a_grant_that_has_ended_says_nothing_about_her(steps):
    person, tokens = logged_in(steps)
    body = urllib.parse.urlencode({'token': tokens['refresh_token'], 'client_id': 'app'})
    assert steps.request('POST', '/revoke', body=body,
                         headers={'Content-Type': 'application/x-www-form-urlencoded'}).status == 200
    page = person.get(app_of(steps, scope=ALL).url())
    assert offered(page) == ['notes:admin'] and PERHAPS in page.text


def test_a_forged_memory_says_nothing_about_anybody(steps):  # row 95
    person, _ = logged_in(steps)
    jar = person.cookies['127.0.0.1']
    name = next(n for n in jar if 'person' in n)
    jar[name] = jar[name][:-4] + 'AAAA'
    page = person.get(app_of(steps, scope=ALL).url())
    assert offered(page) == ['notes:admin'] and PERHAPS in page.text


def test_who_is_not_to_be_remembered_is_known_until_the_browser_is_closed(steps):
    def cookie(page):
        return next(c for c in page.headers.get_all('Set-Cookie') if 'person' in c)
    person, app = Person(steps), app_of(steps, scope='notes:read')
    assert 'Max-Age' not in cookie(person.log_in(app))
    assert 'Max-Age' in cookie(person.log_in(app_of(steps, scope='notes:read'), remember='1'))
    page = person.log_in(app_of(steps, scope='notes:read'))
    assert not any('person' in c for c in page.headers.get_all('Set-Cookie'))  # still remembered


# ---- one that is not

def test_in_a_browser_that_nobody_knows_she_is_told_after_the_login(steps):  # row 117
    person, app = Person(steps), app_of(steps, scope=ALL)
    page = person.get(app.url())
    assert offered(page) == ['notes:admin'] and PERHAPS in page.text
    page = person.log_in(app)
    assert page.status == 200 and TOLD in page.text and 'Delete notes' in page.text
    assert 'Read your notes' not in page.text
    assert page.next.startswith('https://app.example/cb?') and 'http-equiv' not in page.body
    seconds, url = page.headers['Refresh'].split(';url=')
    assert 20 <= int(seconds) < 60 and url == page.next  # time to read, and the code is still good
    assert tokens_of(app, page)['scope'] == 'notes:read'


def test_nobody_who_gets_all_of_it_is_held_up(steps, oidc):
    oidc.signed_in = 'ann'
    person, app = Person(steps), app_of(steps, scope=ALL)
    assert person.log_in(app).status == 303
    assert tokens_of(app, person.page)['scope'] == 'notes:admin notes:read'


def test_the_pages_run_no_script_and_are_translated(steps):  # row 97
    person = Person(steps, {'Accept-Language': 'zh'})
    page = person.log_in(app_of(steps, scope=ALL))
    assert '您的账户不能拥有的权限' in page.text and "frame-ancestors 'none'" in page.headers['Content-Security-Policy']
    assert '<script' not in page.body and page.headers['Referrer-Policy'] == 'no-referrer'
