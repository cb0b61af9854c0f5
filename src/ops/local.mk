libcore_a_SOURCES += \
  src/ops/audit.h src/ops/jobs.h src/ops/log.h src/ops/loop.h src/ops/metrics.h src/ops/shm.h
libcore_a_SOURCES += src/ops/log.c
UNIT_TESTS += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
libcore_a_SOURCES += src/ops/jobs.c src/ops/loop.c src/ops/metrics.c src/ops/shm.c \
  src/ops/shared.c src/ops/shared.h \
  src/ops/callers.c src/ops/callers.h src/ops/shm_inside.h
UNIT_TESTS += tests/unit/test_callers
tests_unit_test_callers_SOURCES = tests/unit/test_callers.c
UNIT_TESTS += tests/unit/test_loop
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c
UNIT_TESTS += tests/unit/test_jobs
tests_unit_test_jobs_SOURCES = tests/unit/test_jobs.c
UNIT_TESTS += tests/unit/test_shm
tests_unit_test_shm_SOURCES = tests/unit/test_shm.c
libcore_a_SOURCES += src/ops/audit.c src/ops/audit_anchor.c src/ops/audit_chain.c \
  src/ops/audit_chain.h src/ops/audit_file.c src/ops/audit_file.h src/ops/audit_heads.c \
  src/ops/audit_heads.h src/ops/audit_internal.h src/ops/audit_key.c src/ops/audit_sync.c \
  src/ops/audit_verify.c src/ops/audit_verify.h \
  src/ops/daemon_lock.c src/ops/daemon_lock.h
UNIT_TESTS += tests/unit/test_audit tests/unit/test_audit_chain tests/unit/test_audit_key
tests_unit_test_audit_SOURCES = tests/unit/test_audit.c tests/unit/audit_support.h
tests_unit_test_audit_key_SOURCES = tests/unit/test_audit_key.c tests/unit/audit_support.h
tests_unit_test_audit_chain_SOURCES = tests/unit/test_audit_chain.c tests/unit/audit_support.h
