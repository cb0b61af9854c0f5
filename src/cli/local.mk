bin_PROGRAMS += mcpauth
mcpauth_SOURCES = src/cli/main.c src/cli/cli.h
mcpauth_SOURCES += src/cli/jwt.c src/cli/jwt.h src/cli/jwt_jwk.c src/cli/jwt_key.c src/cli/jwt_mint.c
mcpauth_SOURCES += src/cli/check.c
mcpauth_SOURCES += src/cli/explain.c src/cli/explain_rules.c src/cli/explain_rules.h src/cli/provider.c
mcpauth_SOURCES += src/cli/control.c src/cli/control.h src/cli/reload.c src/cli/status.c
mcpauth_SOURCES += src/cli/audit.c src/cli/audit.h src/cli/audit_site.c src/cli/audit_tail.c \
  src/cli/site.c src/cli/site.h \
  src/cli/token.c src/cli/token.h src/cli/token_edit.c src/cli/token_show.c src/cli/token_site.c
mcpauth_SOURCES += src/cli/grants.c src/cli/clients.c src/cli/keys.c \
  src/cli/store_site.c src/cli/store_site.h
mcpauth_CFLAGS = $(AM_CFLAGS) -fPIE
mcpauth_LDFLAGS = $(AM_LDFLAGS) -pie
mcpauth_LDADD = $(CORE_LIBS)
