libcore_a_SOURCES += \
  src/mcp/condition.c src/mcp/condition.h \
  src/mcp/endpoint.c src/mcp/endpoint.h \
  src/mcp/gate.c src/mcp/gate_value.c src/mcp/gate.h \
  src/mcp/list.c src/mcp/list_sse.c src/mcp/list.h \
  src/mcp/operation.c src/mcp/operation.h \
  src/mcp/scan.c src/mcp/scan.h \
  src/mcp/seal.c src/mcp/seal.h \
  src/mcp/policy.c src/mcp/policy.h \
  src/mcp/sse.c src/mcp/sse.h
UNIT_TESTS += tests/unit/test_sse
tests_unit_test_sse_SOURCES = tests/unit/test_sse.c
UNIT_TESTS += tests/unit/test_endpoint
tests_unit_test_endpoint_SOURCES = tests/unit/test_endpoint.c
UNIT_TESTS += tests/unit/test_gate
tests_unit_test_gate_SOURCES = tests/unit/test_gate.c
UNIT_TESTS += tests/unit/test_operation
tests_unit_test_operation_SOURCES = tests/unit/test_operation.c
UNIT_TESTS += tests/unit/test_list
tests_unit_test_list_SOURCES = tests/unit/test_list.c
UNIT_TESTS += tests/unit/test_policy
tests_unit_test_policy_SOURCES = tests/unit/test_policy.c tests/support/fake_modules.h
UNIT_TESTS += tests/unit/test_methods
tests_unit_test_methods_SOURCES = tests/unit/test_methods.c
