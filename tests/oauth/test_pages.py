"""Pages: nothing of a stranger's is more than text, no script, no frame, readable by everybody."""

import html.parser
import re
import urllib.parse

import pytest

from support.oauth import register
from support.payloads import PAYLOADS
from support.people import App, Person

UNSEEN = re.compile('[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164'
                    '\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U0010ffff]')
OUR_TAGS = {'html', 'head', 'meta', 'title', 'style', 'body', 'main', 'h1', 'h2', 'p', 'dl', 'dt', 'dd', 'small', 'bdi',
            'form', 'input', 'fieldset', 'legend', 'label', 'span', 'code', 'button', 'ul', 'li', 'footer', 'a'}
OUR_ATTRIBUTES = {'lang', 'charset', 'name', 'content', 'http-equiv', 'class', 'method', 'action', 'type', 'value',
                  'checked', 'id', 'href'}


class Elements(html.parser.HTMLParser):
    """Every element and attribute of a page; what it says, by element."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.values, self.said, self._open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.values += [(tag, name, value) for name, value in attrs]
        self._open.append(tag)

    def handle_data(self, data):
        self.said.append((self._open[-1] if self._open else '', data))


def check_page(page, payload=None):
    """What holds for every page."""
    e = Elements(page.body)
    assert set(e.tags) <= OUR_TAGS, set(e.tags) - OUR_TAGS
    assert set(e.attributes) <= OUR_ATTRIBUTES, set(e.attributes) - OUR_ATTRIBUTES
    for tag, name, value in e.values:
        if name == 'href':
            assert re.match(r'(https|http|phone)://|/consent/next\?', value), value
        if name == 'action':
            assert value == '/consent'
    policy = page.headers['Content-Security-Policy']
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, policy
    assert "base-uri 'none'" in policy and 'unsafe' not in policy and 'script-src' not in policy
    assert page.headers['X-Frame-Options'] == 'DENY' and page.headers['X-Content-Type-Options'] == 'nosniff'
    assert page.headers['Cache-Control'] == 'no-store'
    assert page.headers['Content-Type'] == 'text/html; charset=utf-8'
    assert e.tags.count('h1') == 1 and e.tags.count('main') == 1 and e.tags.count('title') == 1
    assert ('meta', 'name', 'viewport') in e.values
    assert page.headers['X-Request-Id'] in page.text  # what to tell the administrator
    return e


def test_names_of_strangers_are_text(login_hub):  # row 98
    hub = login_hub('oauth { registrations_per_address 1000 }')
    person, shown = Person(hub), 0
    assert len(PAYLOADS) >= 100
    for payload in PAYLOADS:
        client = register(hub, client_name=payload)
        if client is None:  # with control characters, or too long: there is no such client
            continue
        app = App(hub, client, 'https://app.example/cb', service='notes')
        page = person.get(app.url())
        assert page.status == 200, (payload, page.text)
        e = check_page(page)
        names = [text for tag, text in e.said if tag == 'bdi']
        assert not [n for n in names if UNSEEN.search(n)], payload
        assert max(len(n) for n in names) <= 90, payload
        shown += 'Nobody has verified this name' in page.text
    assert shown >= 90


@pytest.mark.parametrize('place', ['client_id', 'redirect_uri', 'scope', 'state', 'resource', 'response_type', 'x'])
def test_parameters_are_text(app, person, place):  # row 98
    for payload in PAYLOADS[:40]:
        page = person.get(app.url(**{place: payload[:200]}))
        if page.status != 303:
            check_page(page)
            assert payload not in page.body or '<' not in payload


def test_an_error_of_the_provider_is_not_repeated(app, person, oidc):  # row 98
    person.get(app.url())
    page = person.allow()
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.refresh).query))
    page = person.get(query['redirect_uri'] + '?' + urllib.parse.urlencode(
        {'state': query['state'], 'error': 'server_error', 'iss': oidc.issuer,
         'error_description': '<img src=x onerror=alert(1)>', 'error_uri': 'https://evil.example'}))
    check_page(page)
    assert 'onerror' not in page.body and 'evil.example' not in page.body


def test_words_of_the_configuration_are_text(login_hub):  # row 98
    hub = login_hub('client markup { text "<b>x</b>\'&" ; redirect_uri https://app.example/cb }',
                    service='resource_name "<i>notes</i>"')
    app = App(hub, 'markup', 'https://app.example/cb', service='notes')
    page = Person(hub).get(app.url())
    check_page(page)
    assert "<b>x</b>'&" in page.text and '<i>notes</i>' in page.text


def every_page(hub, oidc):
    """(name, page) of every page that a person can meet."""
    app, person = App(hub, 'app', 'https://app.example/cb', service='notes'), Person(hub)
    yield 'consent', person.get(app.url())
    yield 'consent, loopback', person.get(App(hub, 'local', 'http://localhost:1/cb', service='notes').url())
    person.get(app.url())
    yield 'next', person.allow()
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(person.page.refresh).query)['state'][0]
    yield 'another browser, next', Person(hub).get(person.page.url)
    yield 'another browser', Person(hub).get(hub.public_url + f'/callback/corp?code=x&state={state}')
    yield 'another provider', person.get(hub.public_url + f'/callback/corp2?code=x&state={state}')
    yield 'provider error', person.get(hub.public_url + f'/callback/corp?error=server_error&state={state}')
    yield 'used', person.get(hub.public_url + f'/callback/corp?code=x&state={state}')
    person.get(app.url())
    person.submit('cancel')
    yield 'denied', person.follow()
    yield 'unknown client', person.get(app.url(client_id='nobody'))
    yield 'redirect', person.get(app.url(redirect_uri='https://evil.example/cb'))
    yield 'no redirect', person.get(App(hub, 'local', None, service='notes').url())
    yield 'malformed', person.get(app.url(client_id=None))
    yield 'forged', person.request('POST', hub.public_url + '/consent', [('form', 'x')],
                                   {'Origin': 'https://evil.example'})
    yield 'stale', person.request('POST', hub.public_url + '/consent', [('form', 'x'), ('login', 'corp')])
    yield 'method', person.get(hub.public_url + '/consent')
    yield 'media type', person.request('POST', hub.public_url + '/consent', [('a', 'b')],
                                       {'Content-Type': 'text/plain'})
    oidc.fault('/.well-known/openid-configuration', status=500)
    oidc.fault('/token', status=500)
    person.get(app.url())
    page = person.allow()
    if page.refresh:  # the document was kept
        person.go_on()
        page = person.follow()
    yield 'unavailable', page


def test_every_page_keeps_the_rules(notes, oidc):  # rows 97 and 98
    names = []
    for name, page in every_page(notes, oidc):
        check_page(page)
        names.append(name)
    assert len(names) == 18


def test_every_page_speaks_the_browsers_language(notes):
    app = App(notes, 'app', 'https://app.example/cb', service='notes')
    chinese = Person(notes, {'Accept-Language': 'zh-CN,zh;q=0.9,en;q=0.8'})
    page = chinese.get(app.url())
    assert '<html lang="zh">' in page.body and page.headers['Content-Language'] == 'zh'
    assert '允许' in page.text and 'Read your notes' in page.text
    assert 'Accept-Language' in page.headers['Vary']
    assert '<html lang="en">' in Person(notes, {'Accept-Language': 'de'}).get(app.url()).body
    page = chinese.get(app.url(client_id='nobody'))
    assert page.status == 400 and '<html lang="zh">' in page.body


def test_what_can_be_pressed_has_a_name(notes, person):
    page = person.get(App(notes, 'app', 'https://app.example/cb', service='notes').url())
    assert all(b[2] for b in page.forms[0]['buttons'])
    # every box stands inside of its label, every set of them has a legend
    body = page.body
    for box in re.finditer(r'<input type="checkbox"', body):
        before = body[:box.start()]
        assert before.rfind('<label>') > before.rfind('</label>')
    assert body.count('<fieldset>') == body.count('<legend>') == 1


def test_nothing_is_sent_by_itself(app, person):  # row 97
    page = person.get(app.url())
    assert page.refresh is None and 'autofocus' not in page.body and '<script' not in page.body


def test_the_style_is_the_one_that_the_policy_names(app, person):
    import base64
    import hashlib
    page = person.get(app.url())
    style = re.search(r'<style>(.*?)</style>', page.body, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in page.headers['Content-Security-Policy']
    assert 'prefers-color-scheme:dark' in style and 'url(' not in style
