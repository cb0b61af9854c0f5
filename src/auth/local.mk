libcore_a_SOURCES += src/auth/usage.c src/auth/usage_file.c src/auth/usage_file.h \
  src/auth/member.c src/auth/member.h \
  src/auth/tokenfile.c src/auth/tokenfile.h src/auth/tokenfile_impl.h src/auth/tokenfile_save.c
UNIT_TESTS += tests/unit/test_usage
tests_unit_test_usage_SOURCES = tests/unit/test_usage.c
# keys and tokens
libcore_a_SOURCES += \
  src/auth/jwk.c src/auth/jwks.c src/auth/jws.c src/auth/jws.h src/auth/jws_sign.c src/auth/jws_sign.h src/auth/jwt.c src/auth/jwt_issuer.c \
  src/auth/keyset.c src/auth/keyset.h src/auth/keyset_impl.h src/auth/keyset_remote.c src/auth/keyset_store.c
UNIT_TESTS += tests/unit/test_jose_vectors
tests_unit_test_jose_vectors_SOURCES = tests/unit/test_jose_vectors.c
JOSE_SUPPORT = tests/unit/jose.c tests/unit/jose.h src/cli/jwt_jwk.c
UNIT_TESTS += tests/unit/test_keyset tests/unit/test_keyset_sources
UNIT_TESTS += tests/unit/test_jwt_claims tests/unit/test_jwt_hostile tests/unit/test_jwk
tests_unit_test_keyset_sources_SOURCES = tests/unit/test_keyset_sources.c tests/unit/keyset_world.c tests/unit/keyset_world.h $(JOSE_SUPPORT)
tests_unit_test_jwt_claims_SOURCES = tests/unit/test_jwt_claims.c tests/unit/jwt_world.c tests/unit/jwt_world.h $(JOSE_SUPPORT)
tests_unit_test_jwk_SOURCES = tests/unit/test_jwk.c $(JOSE_SUPPORT)
tests_unit_test_jwt_hostile_SOURCES = tests/unit/test_jwt_hostile.c tests/unit/jwt_world.c tests/unit/jwt_world.h $(JOSE_SUPPORT)
tests_unit_test_keyset_SOURCES = tests/unit/test_keyset.c tests/unit/keyset_world.c tests/unit/keyset_world.h $(JOSE_SUPPORT)
# the rest
libcore_a_SOURCES += src/auth/stack.c src/auth/credential.c src/auth/loader.c src/auth/elfnote.c src/auth/elfnote.h
libcore_a_SOURCES += \
  src/auth/authenticate.h src/auth/credential.h src/auth/jwk.h src/auth/jwt.h src/auth/loader.h \
  src/auth/principal.h src/auth/stack.h src/auth/usage.h
libcore_a_SOURCES += \
  src/auth/principal.c \
  src/auth/cache.c src/auth/cache.h \
  src/auth/authenticate.c \
  src/auth/hub_token.c src/auth/hub_token.h \
  src/auth/identify.c src/auth/identify.h \
  src/auth/call.c src/auth/call.h src/auth/wait.c \
  src/auth/host.c src/auth/host.h src/auth/instance.c \
  src/auth/host_login.c src/auth/login.c src/auth/login.h src/auth/host_oauth.c src/auth/openid.c \
  src/auth/form.c src/auth/form.h
UNIT_TESTS += tests/unit/test_form
tests_unit_test_form_SOURCES = tests/unit/test_form.c
UNIT_TESTS += tests/unit/test_login
tests_unit_test_login_SOURCES = tests/unit/test_login.c tests/unit/fakes.c tests/unit/fakes.h
libcore_a_SOURCES += src/auth/host_text.c
UNIT_TESTS += tests/unit/test_host_text
tests_unit_test_host_text_SOURCES = tests/unit/test_host_text.c tests/unit/fakes.c tests/unit/fakes.h
UNIT_TESTS += tests/unit/test_principal tests/unit/test_cache
tests_unit_test_principal_SOURCES = tests/unit/test_principal.c
tests_unit_test_cache_SOURCES = tests/unit/test_cache.c
UNIT_TESTS += tests/unit/test_credential
tests_unit_test_credential_SOURCES = tests/unit/test_credential.c
UNIT_TESTS += tests/unit/test_authenticate tests/unit/test_identify
tests_unit_test_identify_SOURCES = tests/unit/test_identify.c tests/unit/fakes.c tests/unit/fakes.h
tests_unit_test_authenticate_SOURCES = tests/unit/test_authenticate.c tests/unit/fakes.c tests/unit/fakes.h
UNIT_TESTS += tests/unit/test_instance
tests_unit_test_instance_SOURCES = tests/unit/test_instance.c tests/unit/fakes.c tests/unit/fakes.h
# what an allocation that fails does to a stack
UNIT_TESTS += tests/unit/test_oom
tests_unit_test_oom_SOURCES = tests/unit/test_oom.c tests/unit/fakes.c tests/unit/fakes.h
tests_unit_test_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
UNIT_TESTS += tests/unit/test_wait
tests_unit_test_wait_SOURCES = tests/unit/test_wait.c tests/unit/fakes.c tests/unit/fakes.h \
  tests/support/tiny_server.c tests/support/tiny_server.h $(JOSE_SUPPORT)
