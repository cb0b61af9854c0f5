libcore_a_SOURCES += src/store/keyring.h src/store/store.h
