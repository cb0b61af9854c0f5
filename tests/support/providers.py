"""The providers that log people in, as lines of their block, each at its stand-in: the fixture of the same
name in conftest.py (`request.getfixturevalue(KIND)`), which is `idp` here."""

PROVIDERS = {
    'oidc': 'module oidc; issuer {idp.issuer}; client_id hub; request_scope openid email groups',
    'google': 'module google-oauth; issuer {idp.issuer}; tokeninfo_url {idp.url}/tokeninfo; '
              'client_id hub.apps.googleusercontent.com; hosted_domain example.com',
    'github': 'module github-oauth; base_url {idp.url}; client_id {idp.client_id}; organization example',
    'workos': 'module workos; authkit_domain {idp.issuer}; client_id client_01HUB; '
              'environment_client_id client_01ENVIRONMENT; organization org_01EXAMPLE',
}
