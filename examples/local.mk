# An MCP server to try the hub with; ./demo starts it. Not installed.
noinst_PROGRAMS += examples/notes-server/notes-server
examples_notes_server_notes_server_SOURCES = examples/notes-server/notes-server.c \
  examples/notes-server/mcp.c examples/notes-server/notes.c examples/notes-server/notes-server.h
examples_notes_server_notes_server_LDADD = $(MHD_LIBS) $(JANSSON_LIBS) -lpthread

# What ./demo --login brings along: an identity provider and a client, in Perl, so that nothing is built.
EXTRA_DIST += examples/demo-provider/demo-provider examples/demo-provider/demo-client

# The tutorial's end result (docs/tutorial.md): built by its own Makefile, never by ours.
EXTRA_DIST += examples/hello-provider/hello-provider.c examples/hello-provider/hello-provider.script \
  examples/hello-provider/mcpauth-hello-provider.pod examples/hello-provider/Makefile docs/tutorial.md
