libcore_a_SOURCES += \
  src/admin/admin.c src/admin/admin.h \
  src/admin/page.c src/admin/page.h
