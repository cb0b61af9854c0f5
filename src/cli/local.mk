bin_PROGRAMS += mcpauth
mcpauth_SOURCES = src/cli/main.c src/cli/cli.h
mcpauth_CFLAGS = $(AM_CFLAGS) -fPIE
mcpauth_LDFLAGS = $(AM_LDFLAGS) -pie
mcpauth_LDADD = $(CORE_LIBS)
