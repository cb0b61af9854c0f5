libcore_a_SOURCES += \
  src/util/arena.c src/util/arena.h \
  src/util/base64url.c src/util/base64url.h \
  src/util/buf.c src/util/buf.h \
  src/util/cidr.c src/util/cidr.h \
  src/util/cleanup.h \
  src/util/clock.c src/util/clock.h \
  src/util/digest.c src/util/digest.h \
  src/util/decimal.c src/util/decimal.h \
  src/util/err.c src/util/err.h \
  src/util/hash.c src/util/hash.h \
  src/util/json.c src/util/json.h \
  src/util/redirect.c src/util/redirect.h \
  src/util/safefile.c src/util/safefile.h \
  src/util/limits.h \
  src/util/secret.c src/util/secret.h \
  src/util/str.c src/util/str.h \
  src/util/url.c src/util/url.h
UNIT_TESTS += tests/unit/test_safefile
tests_unit_test_safefile_SOURCES = tests/unit/test_safefile.c
UNIT_TESTS += tests/unit/test_json
tests_unit_test_json_SOURCES = tests/unit/test_json.c
UNIT_TESTS += tests/unit/test_redirect
tests_unit_test_redirect_SOURCES = tests/unit/test_redirect.c
UNIT_TESTS += tests/unit/test_hash
tests_unit_test_hash_SOURCES = tests/unit/test_hash.c
UNIT_TESTS += tests/unit/test_buf
tests_unit_test_buf_SOURCES = tests/unit/test_buf.c
