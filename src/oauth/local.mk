libcore_a_SOURCES += src/oauth/resource.c src/oauth/resource.h
