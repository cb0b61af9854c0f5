libcore_a_SOURCES += \
  src/config/config.h \
  src/config/vocabulary.c src/config/vocabulary.h
