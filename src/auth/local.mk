libcore_a_SOURCES += src/auth/stack.c src/auth/credential.c src/auth/loader.c src/auth/elfnote.c src/auth/elfnote.h
libcore_a_SOURCES += \
  src/auth/authenticate.h src/auth/credential.h src/auth/jwk.h src/auth/jwt.h src/auth/loader.h \
  src/auth/principal.h src/auth/stack.h src/auth/usage.h
