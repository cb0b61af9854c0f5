"""A browser without a screen: cookies, links, forms. It follows no redirect by itself: a login is the
sequence of its redirects, and tests look at each."""

import html
import html.parser
import http.client
import urllib.parse


class _Forms(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self.text, self._button = [], [], None

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == 'form':
            self.forms.append({'action': a.get('action'), 'method': (a.get('method') or 'get').upper(),
                               'fields': [], 'buttons': []})
        if not self.forms:
            return
        if tag == 'input' and a.get('type') in ('checkbox', 'radio'):
            if 'checked' in a:
                self.forms[-1]['fields'].append((a['name'], a.get('value', 'on')))
        elif tag == 'input' and a.get('type') != 'submit' and 'name' in a:
            self.forms[-1]['fields'].append((a['name'], a.get('value', '')))
        elif tag == 'button':
            self._button = [a.get('name'), a.get('value', ''), '']

    def handle_endtag(self, tag):
        if tag == 'button' and self._button:
            self.forms[-1]['buttons'].append(tuple(self._button))
            self._button = None

    def handle_data(self, data):
        self.text.append(data)
        if self._button:
            self._button[2] += data.strip()


class Page:
    """What a URL answered."""

    def __init__(self, url, reply, body):
        self.url, self.status, self.headers = url, reply.status, reply.headers
        self.body = body.decode('utf-8', 'replace')
        self._parsed = _Forms()
        if 'html' in (reply.getheader('Content-Type') or ''):
            self._parsed.feed(self.body)

    @property
    def text(self):
        return ' '.join(' '.join(self._parsed.text).split())

    @property
    def forms(self):
        return self._parsed.forms

    @property
    def location(self):
        return urllib.parse.urljoin(self.url, self.headers['Location']) if 'Location' in self.headers else None

    @property
    def query(self):
        """Of the redirect, as {name: value}."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.location).query, keep_blank_values=True))


class Browser:
    """Keeps cookies by host, as a browser does: the port plays no part."""

    def __init__(self, headers=None):
        self.cookies, self.headers, self.page = {}, headers or {}, None

    def request(self, method, url, fields=None):
        u = urllib.parse.urlsplit(url)
        target = (u.path or '/') + (f'?{u.query}' if u.query else '')
        headers = dict(self.headers)
        jar = self.cookies.get(u.hostname, {})
        if jar:
            headers['Cookie'] = '; '.join(f'{k}={v}' for k, v in jar.items())
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields)
            headers['Content-Type'] = 'application/x-www-form-urlencoded'
            headers['Origin'] = f'{u.scheme}://{u.netloc}'
        connection = http.client.HTTPConnection(u.hostname, u.port or 80, timeout=30)
        try:
            connection.request(method, target, body=body, headers=headers)
            reply = connection.getresponse()
            self.page = Page(url, reply, reply.read())
        finally:
            connection.close()
        self._take_cookies(u.hostname, self.page.headers.get_all('Set-Cookie') or [])
        return self.page

    def _take_cookies(self, host, lines):
        jar = self.cookies.setdefault(host, {})
        for line in lines:
            first, *attributes = [part.strip() for part in line.split(';')]
            name, _, value = first.partition('=')
            gone = any(a.lower() == 'max-age=0' for a in attributes)
            if gone or not value:
                jar.pop(name, None)
            else:
                jar[name] = value

    def get(self, url):
        return self.request('GET', url)

    def follow(self):
        """Where the page redirects to."""
        return self.get(self.page.location)

    def submit(self, button=None, form=0, **over):
        """Sends a form of the page: BUTTON is the name, value or words of the one that is pressed; OVER
        replaces fields, None removes one."""
        f = self.page.forms[form]
        fields = [(k, v) for k, v in f['fields'] if k not in over]
        fields += [(k, v) for k, v in over.items() if v is not None]
        pressed = [b for b in f['buttons'] if button in b] if button else f['buttons'][:1]
        if button and not pressed:
            raise AssertionError(f'no button {button!r} in {f["buttons"]}')
        fields += [(b[0], b[1]) for b in pressed[:1] if b[0]]
        url = urllib.parse.urljoin(self.page.url, f['action'] or '')
        if f['method'] == 'GET':
            return self.get(url.partition('?')[0] + '?' + urllib.parse.urlencode(fields))
        return self.request('POST', url, fields)
