libcore_a_SOURCES += src/http/address.c src/http/address.h
libcore_a_SOURCES += src/http/client_cert.c src/http/client_cert.h
libcore_a_SOURCES += \
  src/http/challenge.h src/http/fetch.h src/http/server.h src/http/target.h src/http/upstream.h
UNIT_TESTS += tests/unit/test_address
tests_unit_test_address_SOURCES = tests/unit/test_address.c
libcore_a_SOURCES += \
  src/http/admission.c src/http/admission.h \
  src/http/challenge.c \
  src/http/headers.c src/http/headers.h \
  src/http/target.c
libcore_a_SOURCES += \
  src/http/accept.c \
  src/http/body.c \
  src/http/compat.c src/http/compat.h \
  src/http/connection.c \
  src/http/deadlines.c \
  src/http/inside.h \
  src/http/linger.c \
  src/http/flow.c \
  src/http/respond.c \
  src/http/self_test.c \
  src/http/server.c
FOR_PYTEST += tests/support/http-echo
tests_support_http_echo_SOURCES = tests/support/http-echo.c
UNIT_TESTS += tests/unit/test_admission tests/unit/test_challenge tests/unit/test_http_body tests/unit/test_target
tests_unit_test_http_body_SOURCES = tests/unit/test_http_body.c
tests_unit_test_admission_SOURCES = tests/unit/test_admission.c
tests_unit_test_challenge_SOURCES = tests/unit/test_challenge.c
tests_unit_test_target_SOURCES = tests/unit/test_target.c
libcore_a_SOURCES += \
  src/http/curl.c src/http/curl.h \
  src/http/curl_loop.c src/http/curl_loop.h \
  src/http/fetch.c \
  src/http/reach.c src/http/reach.h \
  src/http/reply.c src/http/reply.h \
  src/http/chunked.c src/http/chunked.h \
  src/http/h1.h \
  src/http/h1_peer.c \
  src/http/h1_reply.c \
  src/http/upstream.c \
  src/http/upstream_curl.c \
  src/http/upstream_h1.c \
  src/http/upstream_inside.h
CLIENT_TEST = tests/support/tiny_server.c tests/support/tiny_server.h \
  tests/support/upstream_client.c tests/support/upstream_client.h
UNIT_TESTS += tests/unit/test_upstream
tests_unit_test_upstream_SOURCES = tests/unit/test_upstream.c $(CLIENT_TEST)
UNIT_TESTS += tests/unit/test_upstream_replies
tests_unit_test_upstream_replies_SOURCES = tests/unit/test_upstream_replies.c $(CLIENT_TEST)
UNIT_TESTS += tests/unit/test_upstream_streams
tests_unit_test_upstream_streams_SOURCES = tests/unit/test_upstream_streams.c $(CLIENT_TEST)
# The same cases for the transport on libcurl: a spelling of the address that is not a number.
BY_LIBCURL = -DUPSTREAM_HOST='"127.1"'
UNIT_TESTS += tests/unit/test_upstream_curl
tests_unit_test_upstream_curl_SOURCES = tests/unit/test_upstream.c $(CLIENT_TEST)
tests_unit_test_upstream_curl_CPPFLAGS = $(AM_CPPFLAGS) $(BY_LIBCURL)
UNIT_TESTS += tests/unit/test_upstream_replies_curl
tests_unit_test_upstream_replies_curl_SOURCES = tests/unit/test_upstream_replies.c $(CLIENT_TEST)
tests_unit_test_upstream_replies_curl_CPPFLAGS = $(AM_CPPFLAGS) $(BY_LIBCURL)
UNIT_TESTS += tests/unit/test_upstream_streams_curl
tests_unit_test_upstream_streams_curl_SOURCES = tests/unit/test_upstream_streams.c $(CLIENT_TEST)
tests_unit_test_upstream_streams_curl_CPPFLAGS = $(AM_CPPFLAGS) $(BY_LIBCURL)
UNIT_TESTS += tests/unit/test_chunked
tests_unit_test_chunked_SOURCES = tests/unit/test_chunked.c
UNIT_TESTS += tests/unit/test_fetch
tests_unit_test_fetch_SOURCES = tests/unit/test_fetch.c \
  tests/support/tiny_server.c tests/support/tiny_server.h
UNIT_TESTS += tests/unit/test_reach
tests_unit_test_reach_SOURCES = tests/unit/test_reach.c
UNIT_TESTS += tests/unit/test_upstream_tls
tests_unit_test_upstream_tls_SOURCES = tests/unit/test_upstream_tls.c $(CLIENT_TEST)
tests_unit_test_upstream_tls_LDADD = $(LDADD) -lssl
UNIT_TESTS += tests/unit/test_reply
tests_unit_test_reply_SOURCES = tests/unit/test_reply.c
