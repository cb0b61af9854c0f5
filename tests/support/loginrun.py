"""Logins through one provider without a hub: what src/oauth would do, in a process that a test talks to
(tests/support/login-run.c).

    p = LoginRun('provider corp { module oidc; issuer URL; ... }')
    begun = p.begin()                # {'result': 'OK', 'redirect': 'https://...', ...}
    done = p.finish(code)            # {'result': 'OK', 'who': {...}, 'tokens': {...}}
    again = p.refresh(done)
    p.verify('a token')              # {'status': 200, 'who': {...}}"""

import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import tempfile

from support.hub import TOP
from support.standin import challenge_of
from support.webform import Browser

BUILD = pathlib.Path(os.environ.get('MCPAUTH_BUILD', TOP / 'build'))
CALLBACK = 'http://127.0.0.1:7070/callback/corp'
SITE = '''hub {{ public_url http://127.0.0.1:7070; listen 127.0.0.1:0 }}
service notes {{ path /notes; upstream http://127.0.0.1:9/mcp; auth sufficient {name} }}
'''


class ConfigRefused(Exception):
    pass


class LoginRun:
    def __init__(self, provider, files=None):
        """PROVIDER: the text of one provider block; FILES: more files beside it."""
        self.name = re.match(r'\s*provider\s+(\S+)', provider)[1]
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='login-'))
        for name, content in {**(files or {}), 'site.conf': SITE.format(name=self.name) + provider}.items():
            path = self.dir / name
            path.write_text(content.replace('{dir}', str(self.dir)))
            path.chmod(0o600)
        self.stderr = open(self.dir / 'stderr', 'w+b')
        self.process = subprocess.Popen(
            [TOP / 'run', 'tests/support/login-run', BUILD / 'plugins/.libs', self.dir, self.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, text=True)
        self.verifier = self.nonce = self.state = None

    @property
    def log(self):
        self.stderr.seek(0)
        return self.stderr.read().decode()

    def _tell(self, op, **line):
        try:
            self.process.stdin.write(json.dumps({'op': op, **line}) + '\n')
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ''
        if not answer:
            self.process.wait(20)
            if self.process.returncode == 2:
                raise ConfigRefused(self.log)
            raise AssertionError(f'login-run ended with {self.process.returncode}:\n{self.log}')
        return json.loads(answer)

    def begin(self, **over):
        self.verifier, self.nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.state = secrets.token_urlsafe(32)
        return self._tell('begin', **{'callback': CALLBACK, 'state': self.state, 'nonce': self.nonce,
                                      'code_challenge': challenge_of(self.verifier), **over})

    def finish(self, code, parameters=(), **over):
        return self._tell('finish', **{'callback': CALLBACK, 'state': self.state, 'nonce': self.nonce,
                                       'code': code, 'code_verifier': self.verifier,
                                       'parameters': list(parameters), **over})

    def login(self, browser=None, person=None, **over):
        """The whole of it; the browser signs in as PERSON when the provider shows its page."""
        begun = self.begin()
        assert begun['result'] == 'OK', (begun, self.log)
        browser = browser or Browser()
        page = browser.get(begun['redirect'])
        if page.location is None and person:
            page = browser.submit(person)
        assert page.location and page.location.startswith(CALLBACK), (page.status, page.text, page.location)
        q = page.query
        assert q['state'] == self.state
        if 'code' not in q:
            return {'result': 'refused', **q}
        return self.finish(q['code'], [x for pair in q.items() for x in pair], **over)

    def refresh(self, done, **over):
        """DONE: what a login or refresh gave; tokens of the last that had some."""
        done = {**done, **over}
        answer = self._tell('refresh', tokens=done['tokens'] or {}, who=done['who'], callback=CALLBACK)
        return {**answer, 'tokens': answer['tokens'] or done['tokens'], 'who': answer['who'] or done['who'],
                'rotated': answer['tokens'] is not None}

    def verify(self, credential):
        return self._tell('verify', credential=credential)

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(20)
        log = self.log
        self.stderr.close()
        shutil.rmtree(self.dir)
        assert status in (0, 2), f'login-run ended with {status}:\n{log}'
        return log

