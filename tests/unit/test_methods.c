/* The methods that src/config knows by name are those of src/mcp/operation.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/vocabulary.h"
#include "mcp/operation.h"
#include "util/cleanup.h"

/* row 67: what neither knows is refused without a line */
static void test_the_configuration_knows_the_methods_that_requests_may_have(void **state)
{
  static const char *const names[] = {"tools/call",
                                      "tools/list",
                                      "resources/read",
                                      "resources/list",
                                      "resources/templates/list",
                                      "resources/subscribe",
                                      "resources/unsubscribe",
                                      "prompts/get",
                                      "prompts/list",
                                      "completion/complete",
                                      "initialize",
                                      "ping",
                                      "logging/setLevel",
                                      "server/discover",
                                      "subscriptions/listen",
                                      "tasks/get",
                                      "tasks/cancel",
                                      "tasks/update",
                                      "tasks/result",
                                      "tasks/list",
                                      "notifications/cancelled",
                                      "notifications/initialized",
                                      "notifications/progress",
                                      "notifications/roots/list_changed",
                                      "notifications/tasks/status",
                                      "tasks/delete",
                                      "vendor/x",
                                      "notifications/message",
                                      "sampling/createMessage",
                                      "Ping"};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
    const struct http_header headers[] = {{STR("MCP-Protocol-Version"), STR("2026-07-28")},
                                          {STR("Mcp-Method"), str_of(names[i])},
                                          {STR("Mcp-Name"), STR("x")}};
    const struct gate g = {.kind = GATE_REQUEST,
                           .method = str_of(names[i]),
                           .name = STR("x"),
                           .uri = STR("x"),
                           .task_id = STR("x"),
                           .ref_type = STR("ref/prompt"),
                           .ref_name = STR("x")};
    struct gate modern = g;
    modern.meta_version = STR("2026-07-28");
    const struct http_request old_rq = {.method = STR("POST")},
                              new_rq = {.method = STR("POST"), .headers = headers, .n_headers = 3};
    struct operation a = {0}, b = {0};
    struct operation_fault fault;
    assert_int_equal(operation_of(&old_rq, &g, &a, &fault), 0);
    assert_int_equal(operation_of(&new_rq, &modern, &b, &fault), 0);
    assert_int_equal(method_known(str_of(names[i])), a.known || b.known);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_configuration_knows_the_methods_that_requests_may_have),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
