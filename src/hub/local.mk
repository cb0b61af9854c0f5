libcore_a_SOURCES += src/hub/worker.h
