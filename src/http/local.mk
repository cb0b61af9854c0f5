libcore_a_SOURCES += src/http/address.c src/http/address.h
libcore_a_SOURCES += \
  src/http/challenge.h src/http/fetch.h src/http/server.h src/http/target.h src/http/upstream.h
UNIT_TESTS += tests/unit/test_address
tests_unit_test_address_SOURCES = tests/unit/test_address.c
libcore_a_SOURCES += \
  src/http/admission.c src/http/admission.h \
  src/http/challenge.c \
  src/http/headers.c src/http/headers.h \
  src/http/target.c
UNIT_TESTS += tests/unit/test_admission tests/unit/test_challenge tests/unit/test_target
tests_unit_test_admission_SOURCES = tests/unit/test_admission.c
tests_unit_test_challenge_SOURCES = tests/unit/test_challenge.c
tests_unit_test_target_SOURCES = tests/unit/test_target.c
