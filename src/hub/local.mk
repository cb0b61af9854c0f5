libcore_a_SOURCES += \
  src/hub/decide.c \
  src/hub/ends.c \
  src/hub/filter.c \
  src/hub/forward.c \
  src/hub/identity.c \
  src/hub/limit.c \
  src/hub/hub.h \
  src/hub/origin.c \
  src/hub/record.c \
  src/hub/refuse.c \
  src/hub/request.c \
  src/hub/route.c \
  src/hub/session.c \
  src/hub/stream.c \
  src/hub/task.c \
  src/hub/worker.c src/hub/worker.h
libcore_a_SOURCES += \
  src/hub/control.c src/hub/control.h \
  src/hub/crew.c src/hub/crew.h \
  src/hub/environment.c src/hub/environment.h \
  src/hub/generation.c src/hub/generation.h \
  src/hub/handover.c src/hub/handover.h \
  src/hub/leader.c src/hub/leader.h \
  src/hub/link.c src/hub/link.h \
  src/hub/listener.c src/hub/listener.h \
  src/hub/load.c src/hub/load.h \
  src/hub/master.c src/hub/master.h src/hub/master_state.h \
  src/hub/notify.c src/hub/notify.h \
  src/hub/privileges.c src/hub/privileges.h \
  src/hub/reload.c \
  src/hub/replace.c \
  src/hub/status.c
UNIT_TESTS += tests/unit/test_handover tests/unit/test_hub_parts
tests_unit_test_handover_SOURCES = tests/unit/test_handover.c
tests_unit_test_hub_parts_SOURCES = tests/unit/test_hub_parts.c

sbin_PROGRAMS += mcpauthd
mcpauthd_SOURCES = src/hub/main.c
mcpauthd_CFLAGS = $(AM_CFLAGS) -fPIE
mcpauthd_LDFLAGS = $(AM_LDFLAGS) -pie
mcpauthd_LDADD = $(CORE_LIBS)
