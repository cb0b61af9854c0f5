"""Pages: nothing of a stranger's is more than text, no script, no frame, readable by everybody."""

import html.parser
import json
import re
import urllib.parse

import pytest

from support.people import App, Person

PAYLOADS = [
    '<script>alert(1)</script>', '"><script>alert(1)</script>', "'><script>alert(1)</script>",
    '</title><script>alert(1)</script>', '</style><script>alert(1)</script>', '<ScRiPt>alert(1)</sCrIpT>',
    '<script/src=//evil.example/x.js>', '<script\n>alert(1)</script\n>', '<<script>alert(1)//<</script>',
    '<img src=x onerror=alert(1)>', '<img/src=x/onerror=alert(1)>', '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>", '<img src="javascript:alert(1)">', '<image src=x onerror=alert(1)>',
    '<svg onload=alert(1)>', '<svg/onload=alert(1)>', '<svg><script>alert(1)</script></svg>',
    '<svg><animate onbegin=alert(1) attributeName=x>', '<svg><a xlink:href="javascript:alert(1)">x</a></svg>',
    '<math><mi xlink:href="javascript:alert(1)">x</mi></math>', '<body onload=alert(1)>',
    '<iframe src="javascript:alert(1)">', '<iframe srcdoc="<script>alert(1)</script>">',
    '<object data="javascript:alert(1)">', '<embed src="javascript:alert(1)">', '<base href="https://evil.example/">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">', '<link rel=stylesheet href=//evil.example>',
    '<style>@import "//evil.example";</style>', '<style>*{background:url(//evil.example)}</style>',
    '<form action="https://evil.example"><button>', '</form><form action="https://evil.example">',
    '<button formaction="https://evil.example">x', '<input autofocus onfocus=alert(1)>',
    '<select autofocus onfocus=alert(1)>', '<textarea autofocus onfocus=alert(1)>', '<keygen autofocus onfocus=alert(1)>',
    '<details open ontoggle=alert(1)>', '<marquee onstart=alert(1)>', '<video><source onerror=alert(1)>',
    '<audio src onerror=alert(1)>', '<a href="javascript:alert(1)">x</a>', '<a href=" javascript:alert(1)">x</a>',
    '<a href="java&#10;script:alert(1)">x</a>', '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:msgbox(1)">x</a>', '<div style="background:url(javascript:alert(1))">',
    '<div style="width:expression(alert(1))">', '" onmouseover="alert(1)', "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)', '` onmouseover=`alert(1)', 'x" style="animation-name:x" onanimationstart="alert(1)',
    '&lt;script&gt;alert(1)&lt;/script&gt;', '&#60;script&#62;alert(1)&#60;/script&#62;', '&#x3c;script&#x3e;alert(1)',
    '&quot;&gt;&lt;script&gt;', '%3Cscript%3Ealert(1)%3C/script%3E', '\\u003cscript\\u003ealert(1)', '\\x3cscript\\x3e',
    '<!--<script>alert(1)</script>-->', '--><script>alert(1)</script>', '<![CDATA[<script>alert(1)</script>]]>',
    '<?xml version="1.0"?><script>alert(1)</script>', '<%script%>alert(1)', '{{constructor.constructor("alert(1)")()}}',
    '${alert(1)}', '#{alert(1)}', '{1}{2}{3}', '{{7*7}}', '<template><script>alert(1)</script></template>',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">', '<xss onclick=alert(1)>x', '<x onclick=alert(1)>',
    'javascript:alert(1)', 'javascript:/*--></title></style></textarea></script><svg/onload=alert(1)>',
    '\u003cscript\u003ealert(1)\u003c/script\u003e', '\uff1cscript\uff1ealert(1)\uff1c/script\uff1e',
    '<\u200bscript>alert(1)</script>', '\u202ecod.live\u202c', '\u2066\u2067\u2068rtl\u2069', 'a\u200eb\u200fc',
    'pay\u00adpal', '\ufeffpaypal', 'p\u200ba\u200by\u200bp\u200ba\u200bl', '\u2800\u2800\u2800', '\u3164',
    'e' + '\u0301' * 60, '\U000e0041\U000e0042', '\u0000'.replace('\0', ''), 'x' * 10000, '\u670d' * 3000,
    'Sign in\n\nYour password has expired', 'a\tb\rc', 'Administrator <admin@mcp.example.com>',
    'Notes App\u2028<script>alert(1)</script>', 'Notes App (verified)', '\u2713 Verified', '<b>bold</b>',
    '<plaintext>', '<xmp>', '<listing>', '<frameset><frame src=//evil.example>', '<dialog open>x',
]
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


def register(hub, **metadata):
    body = json.dumps({'redirect_uris': ['https://app.example/cb'], 'token_endpoint_auth_method': 'none', **metadata})
    reply = hub.request('POST', '/register', body=body, headers={'Content-Type': 'application/json'})
    assert reply.status in (201, 400, 413), reply.body
    return reply.json().get('client_id')


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
