# plugins
plugin_LTLIBRARIES += plugins/bearer-jwt.la
plugins_bearer_jwt_la_SOURCES = plugins/bearer-jwt/bearer-jwt.c
plugins_bearer_jwt_la_CFLAGS = $(MODULE_COMPILE)
plugins_bearer_jwt_la_LDFLAGS = $(MODULE_LINK)
EXTRA_DIST += plugins/bearer-jwt/mcpauth-bearer-jwt.pod
