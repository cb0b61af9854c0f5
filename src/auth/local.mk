libcore_a_SOURCES += src/auth/stack.c
libcore_a_SOURCES += \
  src/auth/authenticate.h src/auth/credential.h src/auth/jwk.h src/auth/jwt.h src/auth/loader.h \
  src/auth/principal.h src/auth/stack.h
