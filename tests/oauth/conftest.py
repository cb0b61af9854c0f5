"""A hub that logs people in at a stand-in, two applications, and a person's browser."""

import pytest

from support.people import App, Person

CONF = '''
provider corp {{ module oidc; issuer {oidc.issuer}; client_id hub; client_secret file:{{conf}}/corp.secret }}
scope notes:read  {{ text "Read your notes" }}
scope notes:write {{ text "Change your notes"; implies notes:read }}
scope other:read  {{ text "Something else" }}
service notes {{
    path /notes; upstream {upstream}; auth sufficient corp
    require scope notes:read; login_scope notes:read notes:write
    {service}
}}
client app   {{ text "Notes App"; redirect_uri https://app.example/cb }}
client local {{ text "Local App"; redirect_uri http://localhost/cb http://127.0.0.1/cb }}
client phone {{ text "Phone App"; redirect_uri phone://callback/here }}
{more}
'''
SECURE = 'https://mcp.example.com'  # TLS ends in front of the hub


@pytest.fixture
def login_hub(hub, oidc):
    """Factory: login_hub(more configuration); Ann is signed in at the provider."""
    oidc.signed_in = 'ann'

    def make(more='', service='', conf=CONF, files=None, upstream='http://127.0.0.1:9/mcp', **kw):
        files = {'corp.secret': oidc.client_secret + '\n', **(files or {})}
        return hub(conf.format(oidc=oidc, more=more, service=service, upstream=upstream), files=files, **kw)
    return make


@pytest.fixture
def notes(login_hub):
    return login_hub()


@pytest.fixture
def app(notes):
    return App(notes, 'app', 'https://app.example/cb', service='notes')


@pytest.fixture
def person(notes):
    return Person(notes)
