libcore_a_SOURCES += \
  src/oauth/client.h \
  src/oauth/exchange.c src/oauth/exchange.h \
  src/oauth/oauth.c src/oauth/oauth.h \
  src/oauth/params.c src/oauth/params.h \
  src/oauth/resource.c src/oauth/resource.h
UNIT_TESTS += tests/unit/test_params
tests_unit_test_params_SOURCES = tests/unit/test_params.c
