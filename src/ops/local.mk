libcore_a_SOURCES += \
  src/ops/audit.h src/ops/jobs.h src/ops/log.h src/ops/loop.h src/ops/metrics.h src/ops/shm.h
libcore_a_SOURCES += src/ops/log.c
UNIT_TESTS += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
libcore_a_SOURCES += src/ops/jobs.c src/ops/loop.c src/ops/metrics.c src/ops/shm.c
UNIT_TESTS += tests/unit/test_loop
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c
UNIT_TESTS += tests/unit/test_jobs
tests_unit_test_jobs_SOURCES = tests/unit/test_jobs.c
UNIT_TESTS += tests/unit/test_shm
tests_unit_test_shm_SOURCES = tests/unit/test_shm.c
