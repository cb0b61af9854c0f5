libcore_a_SOURCES += \
  src/config/access.c \
  src/config/bind.c src/config/bind.h src/config/binder.h \
  src/config/bind_client.c \
  src/config/bind_condition.c \
  src/config/bind_hub.c \
  src/config/bind_listen.c \
  src/config/bind_oauth.c \
  src/config/bind_provider.c \
  src/config/bind_rules.c src/config/bind_rules.h \
  src/config/bind_scope.c \
  src/config/bind_service.c src/config/bind_service.h \
  src/config/bind_stack.c \
  src/config/bind_upstream.c \
  src/config/builtin.c \
  src/config/config.h \
  src/config/find.c \
  src/config/header_names.c src/config/header_names.h \
  src/config/lexer.c src/config/lexer.h \
  src/config/lint.c \
  src/config/lint_rules.c \
  src/config/load.c \
  src/config/notes.c \
  src/config/options.c src/config/options.h \
  src/config/pattern.c src/config/pattern.h \
  src/config/report.c src/config/report.h \
  src/config/secrets.c src/config/secrets.h \
  src/config/tables.h \
  src/config/tree.c src/config/tree.h \
  src/config/values.c src/config/values.h \
  src/config/vocabulary.c src/config/vocabulary.h
EXTRA_DIST += tests/config/README tests/config/broken.txt tests/config/valid.txt
UNIT_TESTS += tests/unit/test_config_corpus
tests_unit_test_config_corpus_SOURCES = tests/unit/test_config_corpus.c tests/support/fake_modules.h
UNIT_TESTS += tests/unit/test_config_bind
tests_unit_test_config_bind_SOURCES = tests/unit/test_config_bind.c tests/support/fake_modules.h
UNIT_TESTS += tests/unit/test_config_folder
tests_unit_test_config_folder_SOURCES = tests/unit/test_config_folder.c tests/support/fake_modules.h
# Sections of mcpauth.d(5), from the tables.
FOR_PYTEST += tests/support/option-pod
tests_support_option_pod_SOURCES = tests/support/option-pod.c
