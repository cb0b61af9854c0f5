bin_PROGRAMS += mcpauth
mcpauth_SOURCES = src/cli/main.c src/cli/cli.h src/cli/blame.c src/cli/blame.h
mcpauth_SOURCES += src/cli/jwt.c src/cli/jwt.h src/cli/jwt_jwk.c src/cli/jwt_key.c src/cli/jwt_mint.c
mcpauth_SOURCES += src/cli/check.c src/cli/completion.c
mcpauth_SOURCES += src/cli/explain.c src/cli/explain_rules.c src/cli/explain_rules.h
mcpauth_SOURCES += src/cli/provider.c src/cli/provider.h src/cli/provider_enable.c \
  src/cli/provider_new.c src/cli/provider_text.h
nodist_mcpauth_SOURCES = src/cli/provider_text.c
mcpauth_SOURCES += src/cli/conform.c src/cli/conform.h src/cli/conform_file.c src/cli/conform_idp.c \
  src/cli/conform_rules.c src/cli/conform_script.c src/cli/conform_world.c src/cli/conform_world.h
mcpauth_SOURCES += src/cli/control.c src/cli/control.h src/cli/reload.c src/cli/status.c
mcpauth_SOURCES += src/cli/audit.c src/cli/audit.h src/cli/audit_site.c src/cli/audit_tail.c \
  src/cli/site.c src/cli/site.h \
  src/cli/token.c src/cli/token.h src/cli/token_edit.c src/cli/token_show.c src/cli/token_site.c
mcpauth_SOURCES += src/cli/grants.c src/cli/clients.c src/cli/keys.c \
  src/cli/store_site.c src/cli/store_site.h
mcpauth_CFLAGS = $(AM_CFLAGS) -fPIE
mcpauth_LDFLAGS = $(AM_LDFLAGS) -pie
mcpauth_LDADD = $(CORE_LIBS)

# The templates of `mcpauth provider new`, as C.
TEMPLATES = src/cli/templates/plain.c src/cli/templates/blocking.c src/cli/templates/login.c \
  src/cli/templates/plain.script src/cli/templates/blocking.script src/cli/templates/login.script \
  src/cli/templates/Makefile src/cli/templates/page.pod
EXTRA_DIST += $(TEMPLATES)
CLEANFILES += src/cli/provider_text.c
src/cli/provider_text.c: $(TEMPLATES) tools/template-text
	$(AM_V_GEN)$(MKDIR_P) src/cli && cd $(srcdir) && tools/template-text $(TEMPLATES) > $(abs_builddir)/$@.tmp \
	  && mv $(abs_builddir)/$@.tmp $(abs_builddir)/$@

# What shells complete, printed by the command itself.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
nodist_bashcompletion_DATA = src/cli/completion/mcpauth
nodist_zshcompletion_DATA = src/cli/completion/_mcpauth
nodist_fishcompletion_DATA = src/cli/completion/mcpauth.fish
CLEANFILES += $(nodist_bashcompletion_DATA) $(nodist_zshcompletion_DATA) $(nodist_fishcompletion_DATA)
PRINT_COMPLETION = $(AM_V_GEN)$(MKDIR_P) src/cli/completion && ./mcpauth completion
src/cli/completion/mcpauth: mcpauth
	$(PRINT_COMPLETION) bash > $@
src/cli/completion/_mcpauth: mcpauth
	$(PRINT_COMPLETION) zsh > $@
src/cli/completion/mcpauth.fish: mcpauth
	$(PRINT_COMPLETION) fish > $@
