libcore_a_SOURCES += \
  src/hub/forward.c \
  src/hub/hub.h \
  src/hub/origin.c \
  src/hub/record.c \
  src/hub/refuse.c \
  src/hub/request.c \
  src/hub/route.c \
  src/hub/stream.c \
  src/hub/worker.c src/hub/worker.h
