libcore_a_SOURCES += \
  src/oauth/answer.c src/oauth/answer.h \
  src/oauth/authorize.c src/oauth/authorize.h \
  src/oauth/authorize_request.c \
  src/oauth/callback.c src/oauth/callback.h \
  src/oauth/callback_store.c \
  src/oauth/client.c src/oauth/client.h \
  src/oauth/client_auth.c src/oauth/client_auth.h \
  src/oauth/client_document.c \
  src/oauth/client_fetch.c \
  src/oauth/client_impl.h \
  src/oauth/client_keys.c \
  src/oauth/client_metadata.c src/oauth/client_metadata.h \
  src/oauth/consent.c \
  src/oauth/consent_page.c \
  src/oauth/exchange.c src/oauth/exchange.h \
  src/oauth/html.c src/oauth/html.h \
  src/oauth/issue.c src/oauth/issue.h \
  src/oauth/json_text.c src/oauth/json_text.h \
  src/oauth/known.c src/oauth/known.h \
  src/oauth/language.c src/oauth/language.h \
  src/oauth/metadata.c src/oauth/metadata.h \
  src/oauth/oauth.c src/oauth/oauth.h \
  src/oauth/pages.c src/oauth/pages.h \
  src/oauth/params.c src/oauth/params.h \
  src/oauth/refresh.h src/oauth/refresh_work.c src/oauth/token_refresh.c \
  src/oauth/register.c \
  src/oauth/resource.c src/oauth/resource.h \
  src/oauth/revoke.c \
  src/oauth/scopes.c src/oauth/scopes.h \
  src/oauth/token.c src/oauth/token.h \
  src/oauth/token_assertion.c \
  src/oauth/token_client.c \
  src/oauth/token_code.c \
  src/oauth/token_text.c src/oauth/token_text.h \
  src/oauth/transaction.c src/oauth/transaction.h \
  src/oauth/user_token.c src/oauth/user_token.h \
  src/oauth/work.c src/oauth/work.h
UNIT_TESTS += tests/unit/test_params
tests_unit_test_params_SOURCES = tests/unit/test_params.c
UNIT_TESTS += tests/unit/test_html
tests_unit_test_html_SOURCES = tests/unit/test_html.c
UNIT_TESTS += tests/unit/test_authorize_request
tests_unit_test_authorize_request_SOURCES = tests/unit/test_authorize_request.c
UNIT_TESTS += tests/unit/test_transaction
tests_unit_test_transaction_SOURCES = tests/unit/test_transaction.c
UNIT_TESTS += tests/unit/test_token_text
tests_unit_test_token_text_SOURCES = tests/unit/test_token_text.c
