"""Our provider oidc at OpenID providers that other people wrote."""

import pytest

from support import npm
from support.loginrun import CALLBACK
from support.secretlog import remember
from support.webform import Browser

SECRET = 'secret-of-the-hub-0123456789'


@pytest.fixture
def panva(program):
    """oidc-provider's issuer."""
    port, folder = npm.free_port(), npm.install('oidc-provider', 'oidc-provider@9.13.3')
    program(npm.TOP / 'tests/interop/oidc-provider.mjs', folder, port, remember(SECRET), CALLBACK).wait_port(port)
    return f'http://127.0.0.1:{port}'


@pytest.fixture
def corp(panva, login_run):
    return login_run(f'''provider corp {{ module oidc; issuer {panva}; client_id hub; client_secret file:{{dir}}/secret
        parameters prompt consent }}''', files={'secret': SECRET})


def sign_in(p, person='ann'):
    """Through the login and consent pages of oidc-provider."""
    begun = p.begin()
    assert begun['result'] == 'OK', (begun, p.log)
    browser = Browser()
    page = browser.get(begun['redirect'])
    for _ in range(20):
        if page.location and page.location.startswith(CALLBACK):
            q = page.query
            assert q['state'] == p.state, q
            return p.finish(q['code'], [x for pair in q.items() for x in pair])
        if page.location:
            page = browser.follow()
        else:
            assert page.forms, (page.status, page.text)
            fields = dict(page.forms[0]['fields'])
            page = browser.submit(**({'login': person, 'password': 'x'} if 'login' in fields else {}))
    raise AssertionError('the pages never end')


def test_a_person_logs_in_at_oidc_provider(corp, panva):
    done = sign_in(corp)
    assert done['result'] == 'OK', (done, corp.log)
    assert done['who']['issuer'] == panva and done['who']['subject'] == 'ann'
    assert done['who']['claims'] == {'name': 'Person ann', 'email': 'ann@example.com', 'email_verified': True}


def test_her_login_is_refreshed_and_a_replay_ends_it(corp):
    done = sign_in(corp)
    assert done['tokens']['refresh_token']
    again = corp.refresh(done)
    assert again['result'] == 'OK' and again['tokens']['refresh_token'] != done['tokens']['refresh_token']
    assert corp.refresh(again)['result'] == 'OK'
    assert corp.refresh(done)['result'] == 'INVALID'  # it has been used: the provider ends the grant


def test_a_code_works_once(corp):
    begun = sign_in(corp)
    assert begun['result'] == 'OK'
    assert corp.finish('made-up', ['iss', begun['who']['issuer']])['result'] == 'INVALID'


def test_a_wrong_secret_is_an_error_and_not_the_end_of_a_grant(corp, panva, login_run):
    done = sign_in(corp)
    other = login_run(f'provider corp {{ module oidc; issuer {panva}; client_id hub; client_secret file:{{dir}}/secret }}',
                      files={'secret': 'wrong-wrong-wrong'})
    assert other.refresh(done)['result'] == 'ERROR'
    assert corp.refresh(done)['result'] == 'OK'


# ---- emulate: Google and GitHub, as others see them (not strict: refusals are tested with our stand-ins)

SEED = f'''
google:
  users:
    - {{ email: ann@example.com, name: Ann Example, email_verified: true, hd: example.com }}
  oauth_clients:
    - {{ client_id: hub.apps.googleusercontent.com, client_secret: {SECRET}, name: Hub, redirect_uris: ["{CALLBACK}"] }}
github:
  users:
    - {{ login: ann-example, name: Ann Example, email: ann@example.com }}
  oauth_apps:
    - {{ client_id: Iv1.hub, client_secret: {SECRET}, name: Hub, redirect_uris: ["{CALLBACK}"] }}
'''


@pytest.fixture
def emulate(program, tmp_path):
    """Factory: emulate('google') is the URL of that service."""
    def start(service):
        remember(SECRET)
        port, seed = npm.free_port(), tmp_path / 'seed.yaml'
        seed.write_text(SEED)
        folder = npm.install('emulate', 'emulate@0.11.2')
        program('--import', npm.TOP / 'tests/interop/loopback-preload.mjs', folder / 'node_modules/.bin/emulate',
                'start', '--port', port, '--service', service, '--seed', seed).wait_port(port)
        return f'http://localhost:{port}'
    return start


def choose(p, field, value):
    """Logs in on emulate's page as the person whose form says so."""
    browser = Browser()
    page = browser.get(p.begin()['redirect'])
    at = [dict(f['fields']).get(field) for f in page.forms].index(value)
    q = browser.submit(form=at).query
    assert q['state'] == p.state
    return p.finish(q['code'])


def test_a_person_logs_in_at_googles_emulator_and_is_refreshed(emulate, login_run):
    url = emulate('google')
    p = login_run(f'''provider corp {{ module google-oauth; issuer {url}; hosted_domain example.com
        client_id hub.apps.googleusercontent.com; client_secret file:{{dir}}/secret }}''', files={'secret': SECRET})
    done = choose(p, 'email', 'ann@example.com')
    assert done['result'] == 'OK' and done['who']['issuer'] == url, done
    assert done['who']['claims'] == {'email': 'ann@example.com', 'email_verified': True, 'name': 'Ann Example',
                                     'tenant': 'example.com'}
    assert p.refresh(done)['result'] == 'OK'
    assert choose(p, 'email', 'testuser@gmail.com')['result'] == 'DENY'  # of no organisation


def test_a_person_logs_in_at_githubs_emulator(emulate, login_run):
    url = emulate('github')
    p = login_run(f'''provider corp {{ module github-oauth; base_url {url}; api_url {url}; client_id Iv1.hub
        client_secret file:{{dir}}/secret }}''', files={'secret': SECRET})
    done = choose(p, 'login', 'ann-example')
    assert done['result'] == 'OK' and done['who']['subject'].isdigit(), done
    assert done['who']['claims']['login'] == 'ann-example' and done['who']['claims']['email'] == 'ann@example.com'
