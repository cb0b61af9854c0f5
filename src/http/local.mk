libcore_a_SOURCES += src/http/address.c src/http/address.h
libcore_a_SOURCES += \
  src/http/challenge.h src/http/fetch.h src/http/server.h src/http/target.h src/http/upstream.h
UNIT_TESTS += tests/unit/test_address
tests_unit_test_address_SOURCES = tests/unit/test_address.c
