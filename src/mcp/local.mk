libcore_a_SOURCES += \
  src/mcp/endpoint.c src/mcp/endpoint.h \
  src/mcp/sse.c src/mcp/sse.h
UNIT_TESTS += tests/unit/test_sse
tests_unit_test_sse_SOURCES = tests/unit/test_sse.c
UNIT_TESTS += tests/unit/test_endpoint
tests_unit_test_endpoint_SOURCES = tests/unit/test_endpoint.c
