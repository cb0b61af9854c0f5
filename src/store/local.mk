libcore_a_SOURCES += src/store/store.h
# the key ring
libcore_a_SOURCES += src/store/keyring.h src/store/keyring_impl.h \
  src/store/keyring.c src/store/keyring_file.c src/store/keyring_seal.c src/store/keyring_sign.c
UNIT_TESTS += tests/unit/test_keyring
tests_unit_test_keyring_SOURCES = tests/unit/test_keyring.c
# what the hub keeps
libcore_a_SOURCES += src/store/store.c src/store/sqlite.h src/store/store_sqlite.c \
  src/store/store_schema.c src/store/store_time.c src/store/store_client.c \
  src/store/store_consent.c src/store/store_grant.c src/store/store_grant.h \
  src/store/store_code.c src/store/store_refresh.c src/store/store_upstream.c \
  src/store/store_keep.c src/store/store_rewrap.c
UNIT_TESTS += tests/unit/test_store
tests_unit_test_store_SOURCES = tests/unit/test_store.c tests/unit/store_support.h
UNIT_TESTS += tests/unit/test_store_race tests/unit/test_store_crash
tests_unit_test_store_race_SOURCES = tests/unit/test_store_race.c tests/unit/store_support.h
tests_unit_test_store_crash_SOURCES = tests/unit/test_store_crash.c tests/unit/store_support.h
UNIT_TESTS += tests/unit/test_store_worker
tests_unit_test_store_worker_SOURCES = tests/unit/test_store_worker.c tests/unit/store_support.h
