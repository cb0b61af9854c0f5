libcore_a_SOURCES += \
  src/ops/audit.h src/ops/jobs.h src/ops/log.h src/ops/loop.h src/ops/metrics.h src/ops/shm.h
