"""The consent page and its answer: what it says, who may answer it, and what is kept of the answer."""

import json
import re
import urllib.parse

import pytest

from support.oauth import good, take
from support.people import App, Person

SECURE = 'https://mcp.example.com'  # TLS ends in front of the hub


def other_app(hub, **kw):
    return App(hub, 'local', 'http://localhost:9/cb', service='notes', **kw)


# ---- what it says

def test_it_says_who_asks_for_what_and_where_the_answer_goes(app, person):
    page = person.get(app.url())
    assert page.status == 200
    for words in ('Notes App', 'app.example', 'https://app.example/cb', 'Read your notes', 'Change your notes',
                  'notes:write', app.hub.public_url + '/notes'):
        assert words in page.text, words


def test_it_is_shown_before_anything_goes_to_the_provider(app, person, oidc):  # row 93
    person.get(app.url())
    assert not oidc.asked('/authorize')
    assert oidc.url not in person.page.body


def test_a_loopback_redirect_is_warned_of(notes, person):  # row 110
    page = person.get(other_app(notes).url())
    assert 'on your own computer' in page.text and 'localhost:9' in page.text


def test_a_private_scheme_is_warned_of(notes, person):
    page = person.get(App(notes, 'phone', 'phone://callback/here', service='notes').url())
    assert 'phone:' in page.text and 'on this device' in page.text


def test_a_scope_beyond_the_client_is_named_and_not_offered(login_hub):  # row 117
    hub = login_hub('client narrow { redirect_uri https://app.example/cb; scope notes:read }')
    app, person = App(hub, 'narrow', 'https://app.example/cb', service='notes',
                      scope='notes:read notes:write'), Person(hub)
    page = person.get(app.url())
    assert 'It has also asked for' in page.text and 'Change your notes' in page.text
    assert not re.search(r'value="notes:write"', page.body)


def test_scopes_of_other_services_and_unknown_ones_are_dropped(app, person):  # row 117
    page = person.get(app.url(scope='notes:read other:read openid superuser'))
    assert 'Read your notes' in page.text
    assert 'Something else' not in page.text and 'openid' not in page.text and 'superuser' not in page.text


def test_without_known_scopes_the_login_scope_is_asked_for(app, person):
    page = person.get(app.url(scope='openid email profile'))
    assert 'Read your notes' in page.text and 'Change your notes' in page.text


def test_a_choice_of_providers_is_a_button_each(login_hub, oidc):
    hub = login_hub(f'provider home {{ module oidc; issuer {oidc.issuer}; client_id hub; '
                    'client_secret file:{conf}/corp.secret }', service='auth sufficient home')
    person = Person(hub)
    page = person.get(App(hub, 'app', 'https://app.example/cb', service='notes').url())
    assert [b[1] for b in page.forms[0]['buttons'] if b[0] == 'login'] == ['corp', 'home']
    oidc.redirect_uris = {hub.public_url + '/callback/corp', hub.public_url + '/callback/home'}
    person.allow('home')
    person.go_on()
    assert urllib.parse.urlsplit(person.page.location).path == '/callback/home'


def test_a_registered_client_is_warned_of_until_the_administrator_approves_it(notes, person):  # row 110
    body = json.dumps({'client_name': 'Claude', 'redirect_uris': ['https://app.example/cb'],
                       'token_endpoint_auth_method': 'none'})
    client = notes.request('POST', '/register', body=body, headers={'Content-Type': 'application/json'}).json()['client_id']
    app = App(notes, client, 'https://app.example/cb', service='notes')
    assert 'Nobody has verified this name' in person.get(app.url()).text
    notes.cli('clients', 'approve', client, check=True)
    page = person.get(app.url())
    assert 'Nobody has verified this name' not in page.text and 'Approved by the administrator' in page.text


def test_a_hint_of_the_person_goes_on_to_the_provider(app, person, oidc):
    for hint, sent in (('ann@example.com&prompt=none', True), ('x' * 257, False)):
        person.get(app.url(login_hint=hint))
        person.allow()
        person.go_on()
        asked = oidc.asked('/authorize')[-1].params
        assert asked.get('login_hint') == (hint if sent else None) and 'prompt' not in asked


# ---- the browser

def test_no_cookie_is_set_before_the_answer(app, person):  # row 94
    page = person.get(app.url())
    assert 'Set-Cookie' not in page.headers


def test_the_answer_sets_a_host_cookie(login_hub, oidc):  # row 94
    hub = login_hub(public_url=SECURE)
    person = Person(hub)
    person.get(App(hub, 'app', 'https://app.example/cb', service='notes').url())
    person.submit('login')
    cookie = person.page.headers['Set-Cookie']
    assert cookie.startswith('__Host-')
    assert {'Secure', 'HttpOnly', 'SameSite=Lax', 'Path=/'} <= {a.strip() for a in cookie.split(';')}
    assert 'Domain' not in cookie


def test_on_loopback_http_the_cookie_is_plain_and_a_warning_says_so(notes, app, person):
    person.get(app.url())
    person.submit('login')
    cookie = person.page.headers['Set-Cookie']
    assert not cookie.startswith('__') and 'Secure' not in cookie and 'HttpOnly' in cookie
    notes.wait_log('cookies')


def test_the_post_answers_303_to_a_page_that_sends_on(app, person, oidc):
    person.get(app.url())
    person.submit('login')
    assert person.page.status == 303 and person.page.location.startswith(app.hub.public_url + '/consent/next?')
    page = person.follow()
    assert page.status == 200 and page.refresh.startswith(oidc.url + '/authorize?')
    assert page.next == page.refresh and 'If nothing happens' in page.text


def test_the_page_that_sends_on_can_be_loaded_again(app, person):
    person.get(app.url())
    page = person.allow()
    again = person.get(page.url)
    assert again.status == 200
    person.go_on()
    person.follow()
    app.code(person.page)


# ---- forgeries (row 96)

@pytest.mark.parametrize('headers', [
    {'Origin': 'https://evil.example'},
    {'Origin': 'null'},
    {'Origin': None, 'Sec-Fetch-Site': None},
    {'Origin': 'http://127.0.0.1:7071'},
    {'Sec-Fetch-Site': 'cross-site'},
    {'Sec-Fetch-Site': 'same-site'},
    {'Sec-Fetch-Site': 'none'},
    {'Origin': 'http://127.0.0.1:7070.evil.example'},
    {'Origin': 'HTTP://127.0.0.1:7070/'},
])
def test_an_answer_that_is_not_from_our_page_is_refused(app, person, headers):  # row 96
    page = person.get(app.url())
    fields = [*page.forms[0]['fields'], ('login', 'corp')]
    page = person.request('POST', app.hub.public_url + '/consent', fields, headers)
    assert page.status == 403 and 'Set-Cookie' not in page.headers and page.location is None


@pytest.mark.parametrize('form', ['', 'x', 'A' * 800, None])
def test_a_form_that_is_not_ours_is_refused(app, person, form):  # row 96
    person.get(app.url())
    page = person.submit('login', form=0) if form is None else \
        person.request('POST', app.hub.public_url + '/consent', [('form', form), ('login', 'corp')])
    if form is None:
        assert page.status == 303
    else:
        assert page.status == 400 and page.location is None


def test_a_changed_form_is_refused(app, person):  # row 96
    page = person.get(app.url())
    form = dict(page.forms[0]['fields'])['form']
    for at in range(0, len(form), 37):
        other = 'B' if form[at] == 'A' else 'A'
        changed = form[:at] + other + form[at + 1:]
        answer = person.request('POST', app.hub.public_url + '/consent',
                                [('form', changed), ('login', 'corp')])
        assert answer.status == 400, at


def test_a_provider_that_the_service_has_not_cannot_be_chosen(app, person):
    person.get(app.url())
    page = person.request('POST', app.hub.public_url + '/consent',
                          [('form', dict(person.page.forms[0]['fields'])['form']), ('login', 'evil')])
    assert page.status == 400 and page.location is None


def test_two_renders_can_both_be_answered(app, person):  # row 96
    first, second = person.get(app.url()), person.get(app.url())
    for page in (first, second):
        person.page = page
        person.allow()
        person.go_on()
        person.follow()
        app.code(person.page)


def test_two_logins_in_one_browser_do_not_disturb_each_other(notes, app, person):  # row 96
    other = other_app(notes)
    person.get(app.url())
    one = person.allow()
    person.get(other.url())
    person.allow()
    person.go_on()
    person.follow()
    other.code(person.page)
    person.page = one
    person.go_on()
    person.follow()
    app.code(person.page)


def test_the_form_pressed_twice_is_one_login(app, person):  # row 189
    page = person.get(app.url())
    person.allow()
    person.page = page
    first = person.allow()
    person.page = first
    person.go_on()
    person.follow()
    app.code(person.page)


# ---- yes and no

def test_no_goes_back_with_access_denied(app, person, oidc):
    person.get(app.url())
    page = person.refuse()
    answer = app.answer(page)
    assert answer['error'] == 'access_denied' and answer['state'] == app.state
    assert answer['iss'] == app.hub.public_url
    assert not oidc.asked('/authorize')


def test_no_sets_no_cookie_and_cannot_become_a_yes(app, person, oidc):
    person.get(app.url())
    person.submit('cancel')
    assert 'Set-Cookie' not in person.page.headers
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(person.page.location).query)['t'][0]
    page = person.get(app.hub.public_url + '/callback/corp?' + urllib.parse.urlencode({'state': state, 'code': 'x'}))
    assert page.status == 400


def test_a_scope_that_is_not_ticked_is_not_given(notes, app, person):  # row 117
    person.get(app.url())
    person.allow(scope=None)
    person.go_on()
    person.follow()
    app.code(person.page)
    assert notes.wait_audit('login')[0]['granted'] == 'notes:read'


def test_a_scope_that_was_not_offered_cannot_be_added(notes, app, person):  # row 117
    person.get(app.url(scope='notes:read'))
    person.allow(scope='notes:write')
    person.go_on()
    person.follow()
    app.code(person.page)
    assert notes.wait_audit('login')[0]['granted'] == 'notes:read'


# ---- remembered (row 95)

def remember(app, person):
    person.get(app.url())
    person.allow(remember='1')
    person.go_on()
    person.follow()
    app.code(person.page)


def test_a_remembered_consent_is_not_asked_for_again(notes, person, oidc):  # row 95
    app = App(notes, 'app', 'https://app.example/cb', service='notes')
    remember(app, person)
    page = person.get(app.url(), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 303
    person.follow()
    person.go_on()
    person.follow()
    app.code(person.page)


@pytest.mark.parametrize('site', [None, 'cross-site', 'same-site', '', 'None'])
def test_a_page_that_another_site_has_opened_asks_again(notes, person, site):  # row 95
    app = App(notes, 'app', 'https://app.example/cb', service='notes')
    remember(app, person)
    page = person.get(app.url(), headers={'Sec-Fetch-Site': site})
    assert page.status == 200 and page.forms


def test_a_consent_is_forgotten_with_the_grant_that_an_administrator_ends(notes, person):  # row 95
    app = App(notes, 'app', 'https://app.example/cb', service='notes')
    remember(app, person)
    good(take(notes, app, app.code(person.page)))
    [grant] = json.loads(notes.cli('grants', 'list', '--json', check=True).stdout)
    assert notes.cli('grants', 'revoke', grant['id'], check=True).stdout == '1 revoked\n'
    page = person.get(app.url(), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 200 and page.forms


def test_without_the_tick_nothing_is_remembered(app, person):  # row 95
    person.log_in(app)
    page = person.get(app.url(), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 200 and page.forms


@pytest.mark.parametrize('what', ['more scopes', 'another client', 'another redirect', 'prompt'])
def test_what_was_not_agreed_to_is_asked_for(notes, person, what):  # rows 93 and 95
    app = App(notes, 'local', 'http://localhost:9/cb', service='notes', scope='notes:read')
    remember(app, person)
    url = {'more scopes': app.url(scope='notes:read notes:write'),
           'another client': App(notes, 'app', 'https://app.example/cb', service='notes').url(),
           'another redirect': app.url(redirect_uri='http://127.0.0.1:9/cb'),
           'prompt': app.url(prompt='consent')}[what]
    page = person.get(url, headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 200 and page.forms


def test_the_tick_at_one_application_remembers_no_other(notes, person):  # row 95
    remember(App(notes, 'app', 'https://app.example/cb', service='notes'), person)
    other = App(notes, 'local', 'http://localhost/cb', service='notes')
    other.code(person.log_in(other))
    page = person.get(other.url(), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 200 and page.forms


def test_a_remembered_login_may_be_as_long_as_another(notes, person):  # row 95
    remember(App(notes, 'app', 'https://app.example/cb', service='notes'), person)
    for length in range(1400, 2000, 10):
        app = App(notes, 'app', 'https://app.example/cb', service='notes', state='s' * length)
        page = person.get(app.url(), headers={'Sec-Fetch-Site': 'none'})
        assert page.status in (200, 303), (length, page.text)
        if page.status == 303 and page.location.startswith(app.redirect):
            assert app.answer(page)['error'] == 'invalid_request'  # too long for everybody
            return
    pytest.fail('nothing is too long')


def test_another_port_of_loopback_was_agreed_to(notes, person):
    app = App(notes, 'local', 'http://localhost:9/cb', service='notes')
    remember(app, person)
    page = person.get(app.url(redirect_uri='http://localhost:10/cb'), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 303


def test_somebody_else_in_the_same_browser_is_asked(notes, person, oidc):  # row 115
    app = App(notes, 'app', 'https://app.example/cb', service='notes')
    remember(app, person)
    oidc.signed_in = 'bob'
    person.get(app.url(), headers={'Sec-Fetch-Site': 'none'})
    person.follow()
    person.go_on()
    page = person.follow()
    assert page.status == 200 and page.forms and 'somebody else' in page.text
    assert page.location is None and 'code=' not in page.body
    person.allow()
    person.go_on()
    person.follow()
    app.code(person.page)
    assert notes.wait_audit('login', n=2)[-1]['subject'] == 'u-1002'


def test_a_forged_memory_is_none(notes, app, person):  # row 95
    remember(app, person)
    jar = person.cookies['127.0.0.1']
    name = next(n for n in jar if 'person' in n)
    jar[name] = jar[name][:-4] + 'AAAA'
    page = person.get(app.url(), headers={'Sec-Fetch-Site': 'none'})
    assert page.status == 200 and page.forms


# ---- records

def test_every_step_is_recorded(notes, app, person):
    person.log_in(app)
    grant = notes.wait_audit('login')[0]
    assert grant['client'] == 'app' and grant['service'] == 'notes' and grant['provider'] == 'corp'
    assert grant['subject'] == 'u-1001' and grant['granted'] == 'notes:read notes:write'
    asked, answered = notes.audit('authorize')[0], notes.audit('consent')[0]
    assert asked['client'] == 'app' and asked['redirect'] == 'https://app.example/cb'
    assert answered['decision'] == 'allow'
    metrics = notes.metrics()
    assert metrics['mcpauth_logins_total{step="finished"}'] == 1
    assert metrics['mcpauth_consents_total{answer="allow"}'] == 1


def test_a_no_is_recorded(notes, app, person):
    person.get(app.url())
    person.refuse()
    assert notes.wait_audit('consent')[0]['decision'] == 'deny'


# ---- who may hold a scope (design section 5)

ADMIN = '''
provider corp {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/corp.secret
                 claims okta; request_scope openid groups }}
scope notes:read  {{ text "Read your notes" }}
scope notes:purge {{ text "Purge notes"; for claim /groups = notes-admins }}
service notes {{
    path /notes; upstream http://127.0.0.1:9/mcp; auth sufficient corp; require scope notes:read
    tool purge_* require scope notes:purge
    tool * allow
}}
client app {{ text "Notes App"; redirect_uri https://app.example/cb }}
{service} {more}
'''


@pytest.mark.parametrize('who, granted', [('ann', 'notes:purge notes:read'), ('bob', 'notes:read')])
def test_a_scope_is_given_to_those_who_may_hold_it(login_hub, oidc, who, granted):  # row 117
    hub = login_hub(conf=ADMIN)
    oidc.signed_in = who
    app, person = App(hub, 'app', 'https://app.example/cb', service='notes', scope='notes:read notes:purge'), Person(hub)
    assert person.get(app.url()).text.count('only if your account may have it') == 1
    person.log_in(app)
    app.code(person.page)
    assert hub.wait_audit('login')[0]['granted'] == granted


def test_a_person_who_may_have_none_of_it_is_told(login_hub, oidc):  # row 117
    hub = login_hub(conf=ADMIN.replace('require scope notes:read\n', 'login_scope notes:purge\n'))
    oidc.signed_in = 'bob'
    app, person = App(hub, 'app', 'https://app.example/cb', service='notes', scope='notes:purge'), Person(hub)
    page = person.log_in(app)
    assert page.status == 403 and page.location is None
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.link('back')).query))
    assert back['error'] == 'access_denied' and back['state'] == app.state
    assert page.link('again') and not hub.audit('login')


def test_what_a_client_registered_with_is_no_bound(notes):
    # clients register with the scope of the first challenge, and step up later
    body = json.dumps({'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'none',
                       'scope': 'notes:read'})
    reply = notes.request('POST', '/register', body=body, headers={'Content-Type': 'application/json'})
    app = App(notes, reply.json()['client_id'], 'https://app.example/cb', service='notes',
              scope='notes:read notes:write')
    person = Person(notes)
    person.log_in(app)
    app.code(person.page)
    assert notes.wait_audit('login')[0]['granted'] == 'notes:read notes:write'


@pytest.mark.parametrize('prompt, again', [('login', True), ('select_account', True), ('consent', False)])
def test_a_prompt_for_the_person_goes_on_to_the_provider(app, person, oidc, prompt, again):
    person.get(app.url(prompt=prompt))
    person.allow()
    person.go_on()
    assert ('prompt' in oidc.asked('/authorize')[0].params) == again
