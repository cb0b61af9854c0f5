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
