"""/callback/PROVIDER: whose answer is taken, and what becomes of it."""

import concurrent.futures
import re
import urllib.parse

import pytest

from support.people import App, Person
from support.secretlog import remember

SECURE = 'https://mcp.example.com'


def at_callback(person, app):
    """Everything up to the provider's redirect, which is not followed: its URL."""
    person.get(app.url())
    person.allow()
    person.go_on()
    assert person.page.status == 302, person.page.text
    return person.page.location


def with_query(url, **over):
    """URL with parameters replaced; None takes one out."""
    parts = urllib.parse.urlsplit(url)
    query = {**dict(urllib.parse.parse_qsl(parts.query)), **over}
    query = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})
    return urllib.parse.urlunsplit(parts._replace(query=query))


# ---- the browser and the state

def test_another_browser_gets_nothing(notes, app, person):  # row 94
    url = at_callback(person, app)
    page = Person(notes).get(url)
    assert page.status == 403 and page.location is None
    assert person.get(url).status == 303  # and has used nothing up


def test_the_cookie_of_another_login_is_no_help(notes, app, person):  # rows 94 and 100
    url = at_callback(person, app)
    eve = Person(notes)
    at_callback(eve, App(notes, 'local', 'http://localhost:9/cb', service='notes'))
    assert eve.get(url).status == 403


def test_states_cannot_be_swapped_between_browsers(notes, app, person):  # row 100
    eve = Person(notes)
    mine = at_callback(person, app)
    hers = at_callback(eve, App(notes, 'app', 'https://app.example/cb', service='notes'))
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(hers).query)['state'][0]
    assert person.get(with_query(mine, state=state)).status == 403
    assert person.get(hers).status == 403


def test_a_state_works_once(app, person):  # row 100
    url = at_callback(person, app)
    jar = dict(person.cookies['127.0.0.1'])
    assert person.get(url).status == 303
    person.cookies['127.0.0.1'] = jar
    page = person.get(url)
    assert page.status == 400 and page.location is None


def test_sixty_four_at_once_are_one_login(notes, app, person, oidc):  # row 189
    url = at_callback(person, app)
    jar = dict(person.cookies['127.0.0.1'])

    def try_it(_):
        browser = Person(notes)
        browser.cookies['127.0.0.1'] = dict(jar)
        return browser.get(url).status
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(try_it, range(64)))
    assert answers.count(303) == 1, answers
    assert set(answers) <= {303, 400, 503}, answers
    assert len(notes.audit('login')) == 1


@pytest.mark.parametrize('state', ['', 'x', 'A' * 400, 'A' * 5000, None])
def test_a_state_that_is_not_ours_is_a_page(app, person, state):  # row 87
    url = at_callback(person, app)
    page = person.get(with_query(url, state=state))
    assert page.status in (400, 414) and page.location is None


def test_a_changed_state_is_refused(app, person):  # row 87
    url = at_callback(person, app)
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)['state'][0]
    for at in range(0, len(state), 29):
        changed = state[:at] + ('B' if state[at] == 'A' else 'A') + state[at + 1:]
        page = person.get(with_query(url, state=changed))
        assert page.status == 400 and page.location is None, at


@pytest.mark.parametrize('name', ['state', 'code', 'iss'])
def test_a_parameter_that_stands_twice_is_refused(app, person, name):  # row 112
    url = at_callback(person, app)
    value = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))[name]
    assert person.get(url + '&' + urllib.parse.urlencode({name: value})).status == 400


def test_a_consent_form_is_no_state(app, person):  # row 93
    page = person.get(app.url())
    form = dict(page.forms[0]['fields'])['form']
    url = app.hub.public_url + '/callback/corp?' + urllib.parse.urlencode({'state': form, 'code': 'x'})
    assert person.get(url).status == 400


def test_without_a_consent_there_is_no_code(notes, app, person, oidc):
    # row 93: the provider consents by itself, and the application knows its own redirect URI
    query = urllib.parse.urlencode({'response_type': 'code', 'client_id': 'hub', 'scope': 'openid',
                                    'redirect_uri': notes.public_url + '/callback/corp', 'state': 'x' * 30,
                                    'code_challenge': 'y' * 43, 'code_challenge_method': 'S256'})
    person.get(oidc.url + '/authorize?' + query)
    assert person.page.status == 302
    assert person.follow().status == 400
    assert not notes.audit('login')


# ---- the provider

def test_the_answer_of_another_provider_is_refused(login_hub, oidc):  # row 92
    hub = login_hub(f'provider home {{ module oidc; issuer {oidc.issuer}; client_id hub; '
                    'client_secret file:{conf}/corp.secret }', service='auth sufficient home')
    oidc.redirect_uris = {hub.public_url + '/callback/corp', hub.public_url + '/callback/home'}
    app, person = App(hub, 'app', 'https://app.example/cb', service='notes'), Person(hub)
    person.get(app.url())
    person.allow('corp')
    person.go_on()
    page = person.get(person.page.location.replace('/callback/corp', '/callback/home'))
    assert page.status == 400 and page.location is None
    assert not hub.audit('login')


@pytest.mark.parametrize('path', ['/callback', '/callback/', '/callback/nobody', '/callback/corp/x'])
def test_a_callback_that_is_no_providers_is_refused(app, person, path):
    url = at_callback(person, app).replace('/callback/corp', path)
    assert person.get(url).status in (400, 404)


def test_a_wrong_iss_is_refused(app, person):  # row 92
    url = at_callback(person, app)
    page = person.get(with_query(url, iss='https://evil.example'))
    assert page.status == 400 and page.location is None


def test_the_upstream_leg_has_pkce_and_a_nonce(app, person, oidc):  # row 101
    person.log_in(app)
    asked, = oidc.asked('/authorize')
    token, = oidc.asked('/token')
    assert asked.params['code_challenge_method'] == 'S256' and len(asked.params['nonce']) >= 43
    assert len(token.params['code_verifier']) == 43
    assert asked.params['redirect_uri'] == app.hub.public_url + '/callback/corp'


def test_two_logins_share_neither_state_nor_nonce_nor_challenge(notes, app, person, oidc):  # row 101
    person.log_in(app)
    person.log_in(App(notes, 'app', 'https://app.example/cb', service='notes'))
    one, two = oidc.asked('/authorize')
    for name in ('state', 'nonce', 'code_challenge'):
        assert one.params[name] != two.params[name], name


def test_a_no_at_the_provider_goes_back_with_access_denied(app, person, oidc):
    oidc.signed_in = 'deny'
    page = person.log_in(app)
    answer = app.answer(page)
    assert page.status == 303 and answer['error'] == 'access_denied' and answer['iss'] == app.hub.public_url


# A provider that answers as the code says: fault/corp.RESULT
FAULT = '''
provider corp {{ module fault; answer OK.sub~ann }}
scope notes:read {{ text "Read your notes" }}
service notes {{ path /notes; upstream http://127.0.0.1:9/mcp; auth sufficient corp; require scope notes:read
                 {service} }}
client app {{ text "Notes App"; redirect_uri https://app.example/cb }}
{more}
'''


@pytest.fixture
def told(login_hub):
    """Factory: told(words) makes a login whose provider answers so; (hub, app, person) at the callback."""
    hub = login_hub(conf=FAULT)
    app, person = App(hub, 'app', 'https://app.example/cb', service='notes'), Person(hub)

    def make(words):
        person.get(app.url())
        page = person.allow()
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.refresh).query))
        person.get(query['redirect_uri'] + '?' + urllib.parse.urlencode(
            {'state': query['state'], 'code': f'fault/corp.{words}'}))
        return hub, app, person
    return make


@pytest.mark.parametrize('words, status, error', [
    ('DENY', 403, 'access_denied'),
    ('INVALID', 400, 'server_error'),
    ('UNAVAIL', 503, 'temporarily_unavailable'),
    ('ERROR', 502, 'server_error'),
    ('99', 502, 'server_error'),
    ('OK.nosubject', 502, 'server_error'),
    ('PASS', 502, 'server_error'),
])
def test_a_refusal_is_a_page_with_both_ways_on(told, words, status, error):
    hub, app, person = told(words)
    page = person.page
    assert page.status == status and page.location is None and page.refresh is None
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.link('back')).query))
    assert back['error'] == error and back['state'] == app.state and back['iss'] == hub.public_url
    assert page.link('again').startswith('/consent/next?') and not hub.audit('login')
    refused = hub.wait_audit('refused')[-1]
    assert refused['endpoint'] == 'callback' and refused['status'] == status
    assert (refused['client'], refused['service'], refused['provider']) == ('app', 'notes', 'corp')


def test_after_a_refusal_another_account_can_sign_in(told):
    hub, app, person = told('DENY')
    page = person.get(hub.public_url + person.page.link('again'))
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.refresh).query))
    assert query['login'] == 'again'
    person.get(query['redirect_uri'] + '?' + urllib.parse.urlencode(
        {'state': query['state'], 'code': 'fault/corp.OK.sub~bob'}))
    app.code(person.page)
    assert hub.wait_audit('login')[0]['subject'] == 'bob'


def test_a_provider_that_is_down_is_503_with_a_way_to_try_again(app, person, oidc):
    oidc.fault('/token', status=500)
    page = person.log_in(app)
    assert page.status == 503 and page.location is None and 'Retry-After' in page.headers
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.link('back')).query))
    assert back['error'] == 'temporarily_unavailable'
    oidc.heal()
    person.get(app.hub.public_url + page.link('again'))
    person.go_on()
    person.follow()
    app.code(person.page)


def test_a_provider_that_is_down_at_the_start_is_503(app, person, oidc):
    oidc.fault('/.well-known/openid-configuration', status=500)
    person.get(app.url())
    page = person.allow()
    assert page.status == 503 and page.link('again')


def test_a_provider_that_refuses_the_code_is_no_login(notes, app, person):
    url = at_callback(person, app)
    page = person.get(with_query(url, code='wrong-code-0123456789'))
    assert page.status in (400, 502) and page.location is None
    assert not notes.audit('login')


# ---- the login's own things

def test_the_code_is_in_no_record_and_no_log(app, person):
    person.log_in(app)
    remember(app.code(person.page))  # conftest looks for it when the test ends


def test_the_cookie_of_a_login_goes_with_it(app, person):
    person.log_in(app)
    assert not [n for n in person.cookies['127.0.0.1'] if 'login' in n]


def test_answers_are_never_cached_and_leave_no_referrer(app, person):  # row 116
    seen = []
    seen.append(person.get(app.url()))
    person.submit('login')
    seen.append(person.page)
    seen.append(person.follow())
    person.go_on()
    seen.append(person.follow())
    for page in seen:
        assert page.headers['Cache-Control'] == 'no-store', page.url
        assert page.headers['Referrer-Policy'] in ('no-referrer', 'same-origin'), page.url
    assert [p.headers['Referrer-Policy'] for p in seen].count('same-origin') == 1  # the form alone


# ---- a configuration that changes under way (row 190)

@pytest.mark.parametrize('change', ['client', 'service', 'redirect', 'provider'])
def test_what_is_gone_at_the_callback_ends_the_login(login_hub, oidc, change):  # row 190
    hub = login_hub()
    app, person = App(hub, 'app', 'https://app.example/cb', service='notes'), Person(hub)
    url = at_callback(person, app)
    text = (hub.confdir / 'hub.conf').read_text()
    swap = {'client': ('client app ', 'client other '),
            'service': ('service notes {', 'service papers {'),
            'redirect': ('redirect_uri https://app.example/cb', 'redirect_uri https://app.example/cb2'),
            'provider': ('corp', 'home')}[change]
    assert swap[0] in text
    hub.write('hub.conf', re.sub(r'corp(?!\.secret)', 'home', text) if change == 'provider'
              else text.replace(*swap))
    hub.reload()
    page = person.get(url)
    assert page.status == 400 and page.location is None
    assert not hub.audit('login')


def test_a_login_survives_a_reload(login_hub):
    hub = login_hub()
    app, person = App(hub, 'app', 'https://app.example/cb', service='notes'), Person(hub)
    url = at_callback(person, app)
    text = (hub.confdir / 'hub.conf').read_text()
    hub.write('hub.conf', text.replace('Read your notes', 'Read all your notes'))
    hub.reload()
    person.get(url)
    app.code(person.page)


def test_a_login_may_be_finished_by_another_worker(login_hub):
    hub = login_hub(workers=2)
    person = Person(hub)
    for _ in range(6):
        app = App(hub, 'app', 'https://app.example/cb', service='notes')
        person.log_in(app)
        app.code(person.page)
