"""/authorize: which requests are answered how."""

import urllib.parse

import pytest

from support.people import App, Person

EVIL = 'https://evil.example/cb'


def test_a_login_ends_with_a_code_at_the_application(notes, app, person):
    person.log_in(app)
    assert person.page.status == 303
    assert len(app.code(person.page)) >= 43


def test_a_loopback_application_may_use_any_port(notes, person):  # row 84
    app = App(notes, 'local', 'http://localhost:4711/cb', service='notes')
    person.log_in(app)
    assert person.page.location.startswith('http://localhost:4711/cb?')
    app.code(person.page)


def test_a_private_scheme_is_opened_by_a_page_of_ours(notes, person):
    app = App(notes, 'phone', 'phone://callback/here', service='notes')
    person.log_in(app)
    assert person.page.status == 200 and person.page.refresh == person.page.next
    app.code(person.page)


# ---- before the redirect URI is trusted: a page, never a redirect

@pytest.mark.parametrize('over', [
    {'redirect_uri': EVIL},
    {'redirect_uri': 'https://app.example/cb/'},
    {'redirect_uri': 'https://app.example:443/cb'},
    {'redirect_uri': 'https://app.example/cb?x=1'},
    {'redirect_uri': 'https://app.example/%63b'},
    {'redirect_uri': 'https://app.example@evil.example/cb'},
    {'redirect_uri': 'https://app.example/cb#'},
    {'redirect_uri': 'javascript:alert(1)'},
    {'redirect_uri': ['https://app.example/cb', EVIL]},
    {'redirect_uri': [EVIL, 'https://app.example/cb']},
    {'client_id': 'nobody'},
    {'client_id': ['app', 'local']},
    {'client_id': None},
])
def test_what_is_not_trusted_gets_no_redirect(app, person, over):  # rows 84 and 86
    page = person.get(app.url(**over))
    assert page.status == 400
    assert page.location is None and page.refresh is None and not page.forms
    assert 'href="http' not in page.body and 'href="javascript' not in page.body


BROKEN = [{'response_type': 'token'}, {'response_type': None}, {'code_challenge': None},
          {'code_challenge_method': None}, {'code_challenge_method': 'plain'},
          {'resource': 'https://mcp.example.com/elsewhere'}, {'scope': 'x' * 3000}, {'prompt': 'none'},
          {'request': 'eyJ.x.y'}, {'response_mode': 'fragment'}, {'state': ['a', 'b']}]


@pytest.mark.parametrize('over', BROKEN)
def test_no_error_is_sent_to_an_unregistered_uri(app, person, over):  # row 86
    page = person.get(app.url(redirect_uri=EVIL, **over))
    assert page.status == 400 and page.location is None and page.refresh is None


def test_an_unknown_client_is_told_how_to_reconnect(app, person):
    page = person.get(app.url(client_id='4f1c-gone'))
    assert page.status == 400
    assert '4f1c-gone' in page.text and 'add it again' in page.text


@pytest.mark.parametrize('name', ['client_id', 'redirect_uri', 'response_type', 'state', 'scope',
                                  'code_challenge', 'code_challenge_method'])
def test_a_parameter_that_stands_twice_is_400(app, person, name):  # row 112
    value = app.params.get(name, 'notes:read')
    page = person.get(app.url(**{name: [value, value]}))
    assert page.status == 400 and page.location is None


# ---- afterwards: a redirect, with iss

@pytest.mark.parametrize('over, error', [
    ({'response_type': 'token'}, 'unsupported_response_type'),
    ({'response_type': 'code id_token'}, 'unsupported_response_type'),
    ({'response_type': None}, 'invalid_request'),
    ({'response_mode': 'form_post'}, 'invalid_request'),
    ({'code_challenge': None}, 'invalid_request'),
    ({'code_challenge': None, 'code_challenge_method': None}, 'invalid_request'),
    ({'code_challenge_method': None}, 'invalid_request'),
    ({'code_challenge_method': 'plain'}, 'invalid_request'),
    ({'code_challenge': 'abc'}, 'invalid_request'),
    ({'request': 'eyJ.x.y'}, 'request_not_supported'),
    ({'request_uri': 'urn:x'}, 'request_uri_not_supported'),
    ({'prompt': 'none'}, 'interaction_required'),
    ({'resource': 'http://127.0.0.1:7070/nothing'}, 'invalid_target'),
    ({'resource': 'https://elsewhere.example/notes'}, 'invalid_target'),
    ({'resource': 'http://127.0.0.1:7070'}, 'invalid_target'),
])
def test_an_error_goes_back_with_state_and_iss(app, person, over, error):  # rows 89, 92, 104 and 114
    person.get(app.url(**over))
    assert person.page.status == 303
    answer = app.answer(person.page)
    assert answer['error'] == error and answer['error_description']
    assert answer['state'] == app.state and answer['iss'] == app.hub.public_url
    assert 'code' not in answer


def test_several_resources_are_refused(app, person):  # row 104
    url = app.hub.public_url + '/notes'
    person.get(app.url(resource=[url, url]))
    assert app.answer(person.page)['error'] == 'invalid_target'


def test_an_application_that_sends_no_state_gets_none(notes, person):
    app = App(notes, 'app', 'https://app.example/cb', service='notes', state=None)
    person.log_in(app)
    assert 'state' not in app.answer(person.page)


def test_a_state_comes_back_byte_for_byte(notes, person):
    state = 'a b&code=x#%00"<>é' + 'z' * 600
    app = App(notes, 'app', 'https://app.example/cb', service='notes', state=state)
    person.log_in(app)
    assert app.answer(person.page)['state'] == state


def test_a_request_too_long_for_a_login_is_refused_at_once(notes, person):
    app = App(notes, 'app', 'https://app.example/cb', service='notes', state='s' * 2500)
    person.get(app.url())
    assert app.answer(person.page)['error'] == 'invalid_request'


# ---- which service

TWO = '''service tasks {{ path /tasks; upstream http://127.0.0.1:9/mcp; auth sufficient corp }}
service machines {{ path /machines; upstream http://127.0.0.1:9/mcp; auth sufficient keys }}
provider keys {{ module static-token; file {{conf}}/keys }}'''


def two(login_hub, default=''):
    more = TWO.replace('{{', '{').replace('}}', '}') + default
    return login_hub(more, files={'keys': ''})


@pytest.mark.parametrize('spelling', ['{}', '{}/', 'HTTP://127.0.0.1:7070/notes'])
def test_a_resource_may_be_spelled_in_a_few_ways(notes, person, spelling):  # row 104
    app = App(notes, 'app', 'https://app.example/cb')
    app.params['resource'] = spelling.format(notes.public_url + '/notes')
    person.log_in(app)
    app.code(person.page)


def test_without_a_resource_the_only_service_is_meant(notes, person):
    app = App(notes, 'app', 'https://app.example/cb')
    assert notes.public_url + '/notes' in person.get(app.url()).text


def test_without_a_resource_a_page_lists_several_services(login_hub):
    hub = two(login_hub)
    app, person = App(hub, 'app', 'https://app.example/cb'), Person(hub)
    page = person.get(app.url())
    assert page.status == 400
    assert hub.public_url + '/notes' in page.text and hub.public_url + '/tasks' in page.text
    assert hub.public_url + '/machines' not in page.text  # nobody can log in there
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.link('back')).query))
    assert back['error'] == 'invalid_target' and back['state'] == app.state


def test_without_a_resource_the_default_service_is_meant(login_hub):
    hub = two(login_hub, '\noauth { default_service tasks }')
    page = Person(hub).get(App(hub, 'app', 'https://app.example/cb').url())
    assert page.status == 200 and hub.public_url + '/tasks' in page.text


def test_a_service_without_logins_is_no_target(login_hub):
    hub = two(login_hub)
    app, person = App(hub, 'app', 'https://app.example/cb', service='machines'), Person(hub)
    person.get(app.url())
    assert app.answer(person.page)['error'] == 'invalid_target'


def test_a_client_bound_to_services_is_refused_elsewhere(login_hub):
    hub = two(login_hub, '\nclient bound { redirect_uri https://app.example/cb; service tasks }')
    person = Person(hub)
    assert person.get(App(hub, 'bound', 'https://app.example/cb', service='tasks').url()).status == 200
    app = App(hub, 'bound', 'https://app.example/cb', service='notes')
    person.get(app.url())
    assert app.answer(person.page)['error'] == 'invalid_target'


# ---- other ways in

def test_other_methods_are_refused(app, person):
    assert person.request('POST', app.hub.public_url + '/authorize', fields=[('a', 'b')]).status == 405
    assert person.get(app.hub.public_url + '/consent').status == 405


def test_no_parameter_of_ours_is_a_place_to_go_to(app, person):  # row 99
    for name in ('next', 'return_to', 'redirect', 'url', 'continue', 'rd'):
        for evil in ('//evil.example', '/\\evil.example', 'https:evil.example', '\thttps://evil.example'):
            page = person.get(app.url(client_id='nobody', **{name: evil}))
            assert page.location is None and 'evil.example' not in page.body
