# Manual pages are POD; docs/NAME.pod becomes NAME.SECTION.
MANUAL = docs/mcpauthd.8 docs/mcpauth.1 docs/mcpauth.d.5
MANUAL += docs/mcpauth-bearer-jwt.5 docs/mcpauth-static-token.5
MANUAL += docs/mcpauth-address.5
MANUAL += docs/mcpauth-webhook.5
MANUAL += docs/mcpauth-introspect.5
MANUAL += docs/mcpauth-mtls.5
if HAVE_LDAP
MANUAL += docs/mcpauth-ldap-groups.5
endif
MANUAL += docs/mcpauth-oidc.5 docs/mcpauth-google-oauth.5 docs/mcpauth-github-oauth.5 docs/mcpauth-workos.5
MANUAL += docs/mcpauth-provider.3 docs/mcpauth-audit.5 docs/mcpauth-security.7
# One page a subcommand of mcpauth.
COMMANDS = check explain provider token jwt audit grants clients keys reload status completion
MANUAL += $(COMMANDS:%=docs/mcpauth-%.1)
EXTRA_DIST += $(COMMANDS:%=docs/commands/mcpauth-%.pod)
man_MANS += $(MANUAL)
EXTRA_DIST += docs/mcpauthd.pod docs/mcpauth.pod docs/mcpauth.d.pod docs/mcpauth-provider.pod docs/mcpauth-audit.pod docs/mcpauth-security.pod docs/internals HACKING.md tools/pod2html ARCHITECTURE.md SECURITY.md NEWS LICENSE
CLEANFILES += $(MANUAL)

POD_TO_MAN = $(MKDIR_P) docs && $(POD2MAN) --utf8 --center='mcpauth' --release='mcpauth $(VERSION)' --date='$(RELEASE_DATE)'
RELEASE_DATE = 2026-11-21

docs/mcpauthd.8: docs/mcpauthd.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=8 --name=MCPAUTHD $(srcdir)/docs/mcpauthd.pod $@
docs/mcpauth.d.5: docs/mcpauth.d.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=5 --name=MCPAUTH.D $(srcdir)/docs/mcpauth.d.pod $@
docs/mcpauth.1: docs/mcpauth.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=1 --name=MCPAUTH $(srcdir)/docs/mcpauth.pod $@
docs/mcpauth-%.1: docs/commands/mcpauth-%.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=1 --name=$$(echo mcpauth-$* | tr a-z A-Z) $< $@
docs/mcpauth-provider.3: docs/mcpauth-provider.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=3 --name=MCPAUTH-PROVIDER $(srcdir)/docs/mcpauth-provider.pod $@
docs/mcpauth-security.7: docs/mcpauth-security.pod
	$(AM_V_GEN)$(POD_TO_MAN) --section=7 --name=MCPAUTH-SECURITY $(srcdir)/docs/mcpauth-security.pod $@
docs/mcpauth-%.5:
	$(AM_V_GEN)$(POD_TO_MAN) --section=5 --name=$$(echo mcpauth-$* | tr a-z A-Z) $< $@
docs/mcpauth-bearer-jwt.5: plugins/bearer-jwt/mcpauth-bearer-jwt.pod
docs/mcpauth-static-token.5: plugins/static-token/mcpauth-static-token.pod
docs/mcpauth-address.5: plugins/address/mcpauth-address.pod
docs/mcpauth-webhook.5: plugins/webhook/mcpauth-webhook.pod
docs/mcpauth-introspect.5: plugins/introspect/mcpauth-introspect.pod
docs/mcpauth-mtls.5: plugins/mtls/mcpauth-mtls.pod
docs/mcpauth-ldap-groups.5: plugins/ldap-groups/mcpauth-ldap-groups.pod
docs/mcpauth-oidc.5: plugins/oidc/mcpauth-oidc.pod
docs/mcpauth-workos.5: plugins/workos/mcpauth-workos.pod
docs/mcpauth-github-oauth.5: plugins/github-oauth/mcpauth-github-oauth.pod
docs/mcpauth-google-oauth.5: plugins/google-oauth/mcpauth-google-oauth.pod
docs/mcpauth-audit.5: docs/mcpauth-audit.pod

# The same pages for a browser, NAME.SECTION.html: make html
html-local:
	$(AM_V_at)$(MKDIR_P) docs/html
	$(AM_V_GEN)for page in $(MANUAL); do \
	  page=$${page#docs/}; name=$${page%.*}; \
	  for pod in $(srcdir)/docs/$$name.pod $(srcdir)/plugins/*/$$name.pod $(srcdir)/docs/commands/$$name.pod; do \
	    case $$page:$$pod in mcpauth.1:*|*.1:*/commands/*|*.[!1]:*) test ! -f $$pod || break;; esac; \
	  done; \
	  $(srcdir)/tools/pod2html $$pod > docs/html/$$page.html || exit 1; \
	done
clean-local: clean-html
clean-html:
	rm -rf docs/html
.PHONY: clean-html
