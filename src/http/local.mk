libcore_a_SOURCES += src/http/address.c src/http/address.h
libcore_a_SOURCES += \
  src/http/challenge.h src/http/fetch.h src/http/server.h src/http/target.h src/http/upstream.h
