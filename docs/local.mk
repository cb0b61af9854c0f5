# Manual pages are POD; docs/NAME.pod becomes NAME.SECTION.
MANUAL = docs/mcpauthd.8 docs/mcpauth.1 docs/mcpauth.d.5
MANUAL += docs/mcpauth-bearer-jwt.5 docs/mcpauth-static-token.5
MANUAL += docs/mcpauth-address.5
MANUAL += docs/mcpauth-webhook.5
MANUAL += docs/mcpauth-introspect.5
if HAVE_LDAP
MANUAL += docs/mcpauth-ldap-groups.5
endif
MANUAL += docs/mcpauth-oidc.5
man_MANS += $(MANUAL)
EXTRA_DIST += docs/mcpauthd.pod docs/mcpauth.pod docs/mcpauth.d.pod docs/internals ARCHITECTURE.md SECURITY.md NEWS LICENSE
CLEANFILES += $(MANUAL)

POD_TO_MAN = $(MKDIR_P) docs && $(POD2MAN) --utf8 --center='mcpauth' --release='mcpauth $(VERSION)' --date='$(RELEASE_DATE)'
RELEASE_DATE = 2026-11-21

docs/mcpauthd.8: docs/mcpauthd.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=8 --name=MCPAUTHD $(srcdir)/docs/mcpauthd.pod $@
docs/mcpauth.d.5: docs/mcpauth.d.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=5 --name=MCPAUTH.D $(srcdir)/docs/mcpauth.d.pod $@
docs/mcpauth.1: docs/mcpauth.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=1 --name=MCPAUTH $(srcdir)/docs/mcpauth.pod $@
docs/mcpauth-%.5:
	$(AM_V_GEN)$(POD_TO_MAN) --section=5 --name=$$(echo mcpauth-$* | tr a-z A-Z) $< $@
docs/mcpauth-bearer-jwt.5: plugins/bearer-jwt/mcpauth-bearer-jwt.pod
docs/mcpauth-static-token.5: plugins/static-token/mcpauth-static-token.pod
docs/mcpauth-address.5: plugins/address/mcpauth-address.pod
docs/mcpauth-webhook.5: plugins/webhook/mcpauth-webhook.pod
docs/mcpauth-introspect.5: plugins/introspect/mcpauth-introspect.pod
docs/mcpauth-ldap-groups.5: plugins/ldap-groups/mcpauth-ldap-groups.pod
docs/mcpauth-oidc.5: plugins/oidc/mcpauth-oidc.pod
