libcore_a_SOURCES += \
  src/oauth/client.h \
  src/oauth/exchange.c src/oauth/exchange.h \
  src/oauth/json_text.c src/oauth/json_text.h \
  src/oauth/metadata.c src/oauth/metadata.h \
  src/oauth/oauth.c src/oauth/oauth.h \
  src/oauth/params.c src/oauth/params.h \
  src/oauth/resource.c src/oauth/resource.h \
  src/oauth/scopes.c src/oauth/scopes.h
UNIT_TESTS += tests/unit/test_params
tests_unit_test_params_SOURCES = tests/unit/test_params.c
