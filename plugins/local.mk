# plugins
plugin_LTLIBRARIES += plugins/static-token.la
plugins_static_token_la_SOURCES = plugins/static-token/static-token.c
plugins_static_token_la_CFLAGS = $(MODULE_COMPILE)
plugins_static_token_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/static-token/mcpauth-static-token.pod
UNIT_TESTS += tests/unit/test_static_token
tests_unit_test_static_token_SOURCES = tests/unit/test_static_token.c
plugin_LTLIBRARIES += plugins/bearer-jwt.la
plugins_bearer_jwt_la_SOURCES = plugins/bearer-jwt/bearer-jwt.c
plugins_bearer_jwt_la_CFLAGS = $(MODULE_COMPILE)
plugins_bearer_jwt_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/bearer-jwt/mcpauth-bearer-jwt.pod
plugin_LTLIBRARIES += plugins/address.la
plugins_address_la_SOURCES = plugins/address/address.c
plugins_address_la_CFLAGS = $(MODULE_COMPILE)
plugins_address_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/address/mcpauth-address.pod
UNIT_TESTS += tests/unit/test_address_provider
tests_unit_test_address_provider_SOURCES = tests/unit/test_address_provider.c
plugin_LTLIBRARIES += plugins/webhook.la
plugins_webhook_la_SOURCES = plugins/webhook/webhook.c
plugins_webhook_la_CFLAGS = $(MODULE_COMPILE)
plugins_webhook_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/webhook/mcpauth-webhook.pod
plugin_LTLIBRARIES += plugins/introspect.la
plugins_introspect_la_SOURCES = plugins/introspect/introspect.c
plugins_introspect_la_CFLAGS = $(MODULE_COMPILE)
plugins_introspect_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/introspect/mcpauth-introspect.pod
plugin_LTLIBRARIES += plugins/mtls.la
plugins_mtls_la_SOURCES = plugins/mtls/mtls.c
plugins_mtls_la_CFLAGS = $(MODULE_COMPILE)
plugins_mtls_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/mtls/mcpauth-mtls.pod
EXTRA_DIST += plugins/ldap-groups/mcpauth-ldap-groups.pod
if HAVE_LDAP
plugin_LTLIBRARIES += plugins/ldap-groups.la
plugins_ldap_groups_la_SOURCES = plugins/ldap-groups/ldap-groups.c plugins/ldap-groups/deadline.c plugins/ldap-groups/deadline.h
plugins_ldap_groups_la_CFLAGS = $(MODULE_COMPILE) $(LDAP_CFLAGS)
plugins_ldap_groups_la_LDFLAGS = $(MODULE_LINK)
plugins_ldap_groups_la_LIBADD = $(LDAP_LIBS)
endif

# Providers are loaded by their .so; libtool's own files would only be in the way.  Without them it
# cannot uninstall, so that is done here too.
install-data-hook: install-no-la
install-no-la:
	rm -f $(plugin_LTLIBRARIES:plugins/%='$(DESTDIR)$(plugindir)'/%)
uninstall-hook: uninstall-providers
uninstall-providers:
	rm -f $(plugin_LTLIBRARIES:plugins/%.la='$(DESTDIR)$(plugindir)'/%.so)
.PHONY: install-no-la uninstall-providers

# fault: for tests only; -rpath makes libtool build a shared object that is not installed.
FAULT_LINK = $(MODULE_LINK) -rpath /nowhere
noinst_LTLIBRARIES += plugins/fault.la plugins/fault-blocking.la plugins/fault-remote.la
plugins_fault_la_SOURCES = plugins/fault/fault.c
plugins_fault_la_CFLAGS = $(MODULE_COMPILE)
plugins_fault_la_LDFLAGS = $(FAULT_LINK)
plugins_fault_blocking_la_SOURCES = plugins/fault/fault.c
plugins_fault_blocking_la_CFLAGS = $(MODULE_COMPILE) -DFAULT_NAME='"fault-blocking"' -DFAULT_FLAGS=MCPAUTH_BLOCKING
plugins_fault_blocking_la_LDFLAGS = $(FAULT_LINK)
plugins_fault_remote_la_SOURCES = plugins/fault/fault.c
plugins_fault_remote_la_CFLAGS = $(MODULE_COMPILE) -DFAULT_NAME='"fault-remote"' -DFAULT_FLAGS=MCPAUTH_REMOTE
plugins_fault_remote_la_LDFLAGS = $(FAULT_LINK)
UNIT_TESTS += tests/unit/test_bearer_jwt
tests_unit_test_bearer_jwt_SOURCES = tests/unit/test_bearer_jwt.c
# oidc
plugin_LTLIBRARIES += plugins/oidc.la
plugins_oidc_la_SOURCES = plugins/oidc/oidc.c
plugins_oidc_la_CFLAGS = $(MODULE_COMPILE)
plugins_oidc_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/oidc/mcpauth-oidc.pod
# google-oauth
plugin_LTLIBRARIES += plugins/google-oauth.la
plugins_google_oauth_la_SOURCES = plugins/google-oauth/google-oauth.c
plugins_google_oauth_la_CFLAGS = $(MODULE_COMPILE)
plugins_google_oauth_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/google-oauth/mcpauth-google-oauth.pod
# github-oauth
plugin_LTLIBRARIES += plugins/github-oauth.la
plugins_github_oauth_la_SOURCES = plugins/github-oauth/github-oauth.c
plugins_github_oauth_la_CFLAGS = $(MODULE_COMPILE)
plugins_github_oauth_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/github-oauth/mcpauth-github-oauth.pod
# workos
plugin_LTLIBRARIES += plugins/workos.la
plugins_workos_la_SOURCES = plugins/workos/workos.c
plugins_workos_la_CFLAGS = $(MODULE_COMPILE)
plugins_workos_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/workos/mcpauth-workos.pod
