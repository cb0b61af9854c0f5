libcore_a_SOURCES += \
  src/ops/audit.h src/ops/jobs.h src/ops/log.h src/ops/loop.h src/ops/metrics.h src/ops/shm.h
libcore_a_SOURCES += src/ops/log.c
UNIT_TESTS += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
