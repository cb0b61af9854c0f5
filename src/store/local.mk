libcore_a_SOURCES += src/store/store.h
# the key ring
libcore_a_SOURCES += src/store/keyring.h src/store/keyring_impl.h \
  src/store/keyring.c src/store/keyring_file.c src/store/keyring_seal.c src/store/keyring_sign.c
UNIT_TESTS += tests/unit/test_keyring
tests_unit_test_keyring_SOURCES = tests/unit/test_keyring.c
