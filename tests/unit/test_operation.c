/* What a request asks for: every method of every schema, and headers held against the body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mcp/operation.h"

static struct arena *arena;
static struct operation op;
static struct operation_fault fault;

static int setup(void **state)
{
  (void)state;
  arena = arena_new(1 << 20);
  return arena ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  arena_free(arena);
  return 0;
}

/* FIELDS: name, value, ..., NULL. */
static int ask_fields(const char *http_method, const char *body, const char *const *fields)
{
  struct http_header headers[8];
  struct http_request rq = {.method = str_of(http_method), .headers = headers};
  struct gate g;
  struct gate_fault gf;
  for (; fields[2 * rq.n_headers]; rq.n_headers++)
    headers[rq.n_headers] = (struct http_header){str_of(fields[2 * rq.n_headers]),
                                                 str_of(fields[2 * rq.n_headers + 1])};
  memset(&op, 0, sizeof op);
  memset(&fault, 0, sizeof fault);
  if (body && gate_read(str_of(body), arena, &g, &gf) < 0)
    fail_msg("%s: %s", body, gf.what);
  return operation_of(&rq, body ? &g : NULL, &op, &fault);
}

static int ask_bare(const char *http_method, const char *body)
{
  return ask_fields(http_method, body, (const char *const[]){NULL});
}

#define ask(http_method, body, ...)                                                                \
  ask_fields(http_method, body, (const char *const[]){__VA_ARGS__, NULL, NULL})

#define MESSAGE(method, params)                                                                    \
  "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"
#define META(version) "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" version "\"}"
#define NOW           "2026-07-28"

static const char *message(const char *method, const char *params)
{
  return arena_printf(arena, MESSAGE("%s", "%s"), method, params);
}

/* All params that any method needs, and the version. */
#define ALL_PARAMS                                                                                 \
  "\"name\":\"n\",\"uri\":\"u:1\",\"taskId\":\"t\",\"ref\":{\"type\":\"ref/prompt\",\"name\":"     \
  "\"p\"}"

/* row 67: client requests and notifications of each schema, as the schemas list them */
static const struct {
  const char *method;
  bool session, modern;
  enum rule_kind kind;
  const char *item;
  enum list_kind list;
} table[] = {
    {"initialize", true, false, RULE_METHOD, "", LIST_NONE},
    {"ping", true, false, RULE_METHOD, "", LIST_NONE},
    {"server/discover", false, true, RULE_METHOD, "", LIST_PRIVATE},
    {"tools/list", true, true, RULE_METHOD, "", LIST_TOOLS},
    {"tools/call", true, true, RULE_TOOL, "n", LIST_NONE},
    {"resources/list", true, true, RULE_METHOD, "", LIST_RESOURCES},
    {"resources/templates/list", true, true, RULE_METHOD, "", LIST_TEMPLATES},
    {"resources/read", true, true, RULE_RESOURCE, "u:1", LIST_PRIVATE},
    {"resources/subscribe", true, false, RULE_RESOURCE, "u:1", LIST_NONE},
    {"resources/unsubscribe", true, false, RULE_RESOURCE, "u:1", LIST_NONE},
    {"prompts/list", true, true, RULE_METHOD, "", LIST_PROMPTS},
    {"prompts/get", true, true, RULE_PROMPT, "n", LIST_NONE},
    {"completion/complete", true, true, RULE_PROMPT, "p", LIST_NONE},
    {"logging/setLevel", true, false, RULE_METHOD, "", LIST_NONE},
    {"subscriptions/listen", false, true, RULE_METHOD, "", LIST_NONE},
    {"tasks/get", true, true, RULE_METHOD, "", LIST_NONE},
    {"tasks/cancel", true, true, RULE_METHOD, "", LIST_NONE},
    {"tasks/update", false, true, RULE_METHOD, "", LIST_NONE},
    {"tasks/result", true, false, RULE_METHOD, "", LIST_NONE},
    {"tasks/list", true, false, RULE_METHOD, "", LIST_NONE},
    {"notifications/initialized", true, false, RULE_METHOD, "", LIST_NONE},
    {"notifications/cancelled", true, true, RULE_METHOD, "", LIST_NONE},
    {"notifications/progress", true, false, RULE_METHOD, "", LIST_NONE},
    {"notifications/roots/list_changed", true, false, RULE_METHOD, "", LIST_NONE},
    {"notifications/tasks/status", true, false, RULE_METHOD, "", LIST_NONE},
    /* what only servers send, what nobody knows, and what looks like something known */
    {"sampling/createMessage", false, false, RULE_METHOD, "", LIST_NONE},
    {"roots/list", false, false, RULE_METHOD, "", LIST_NONE},
    {"elicitation/create", false, false, RULE_METHOD, "", LIST_NONE},
    {"notifications/message", false, false, RULE_METHOD, "", LIST_NONE},
    {"notifications/tools/list_changed", false, false, RULE_METHOD, "", LIST_NONE},
    {"notifications/resources/updated", false, false, RULE_METHOD, "", LIST_NONE},
    {"notifications/elicitation/complete", false, false, RULE_METHOD, "", LIST_NONE},
    {"vendor/thing", false, false, RULE_METHOD, "", LIST_NONE},
    {"Tools/Call", false, false, RULE_METHOD, "", LIST_NONE},
    {"tools/call ", false, false, RULE_METHOD, "", LIST_NONE},
    {"tools//call", false, false, RULE_METHOD, "", LIST_NONE},
};

static void check_row(size_t i, bool known)
{
  if (op.known != known || op.kind != table[i].kind || !str_is(op.item, table[i].item) ||
      op.list != table[i].list || !str_is(op.method, table[i].method) ||
      op.task != (strstr(table[i].method, "tasks/") != NULL))
    fail_msg("%s: known %d, kind %d, item '%.*s', list %d, task %d", table[i].method, op.known,
             op.kind, STR_ARG(op.item), op.list, op.task);
}

static void test_every_method_of_the_session_versions_is_mapped(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    assert_int_equal(ask_bare("POST", message(table[i].method, "{" ALL_PARAMS "}")), 0);
    assert_int_equal(op.era, ERA_SESSION);
    check_row(i, table[i].session);
  }
}

static const char *routed(const char *method)
{
  if (strncmp(method, "tasks/", 6) == 0)
    return "t";
  return strcmp(method, "resources/read") == 0 || strstr(method, "subscribe") ? "u:1" : "n";
}

static void test_every_method_of_the_modern_version_is_mapped(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    const char *body = message(table[i].method, "{" ALL_PARAMS "," META(NOW) "}");
    int rc = ask("POST", body, "MCP-Protocol-Version", NOW, "Mcp-Method", table[i].method,
                 "Mcp-Name", routed(table[i].method));
    if (rc < 0)
      fail_msg("%s: %s", table[i].method, fault.what);
    assert_int_equal(op.era, ERA_MODERN);
    check_row(i, table[i].modern);
  }
}

/* row 62: the same privileged call is the same operation in every version */
static void test_a_call_is_the_same_operation_in_every_version(void **state)
{
  static const char *const versions[] = {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"};
  const char *body = message("tools/call", "{\"name\":\"delete_all\"}");
  (void)state;
  for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
    assert_int_equal(ask("POST", body, "MCP-Protocol-Version", versions[i]), 0);
    assert_true(op.kind == RULE_TOOL && str_is(op.item, "delete_all"));
  }
  assert_int_equal(ask_bare("POST", body), 0);
  assert_true(op.kind == RULE_TOOL && str_is(op.item, "delete_all"));
  body = message("tools/call", "{\"name\":\"delete_all\"," META(NOW) "}");
  assert_int_equal(ask("POST", body, "MCP-Protocol-Version", NOW, "mcp-method", "tools/call",
                       "MCP-NAME", "delete_all"),
                   0);
  assert_true(op.kind == RULE_TOOL && str_is(op.item, "delete_all"));
}

/* row 62: an older version does not dodge anything: headers are not looked at, the body decides */
static void test_routing_headers_mean_nothing_in_older_versions(void **state)
{
  (void)state;
  assert_int_equal(ask("POST", message("tools/call", "{\"name\":\"danger\"}"),
                       "MCP-Protocol-Version", "2025-11-25", "Mcp-Method", "tools/list", "Mcp-Name",
                       "safe"),
                   0);
  assert_true(op.kind == RULE_TOOL && str_is(op.item, "danger"));
}

/* row 61 */
static void test_headers_of_the_modern_version_must_agree_with_the_body(void **state)
{
  static const char call[] = MESSAGE("tools/call", "{\"name\":\"a b\"," META(NOW) "}");
  static const struct {
    const char *name, *version, *method, *item;
    int code;
  } rows[] = {
      {"all agree", NOW, "tools/call", "a b", 0},
      {"another method", NOW, "tools/list", "a b", -32020},
      {"method in another case", NOW, "Tools/call", "a b", -32020},
      {"encoded method", NOW, "=?base64?dG9vbHMvY2FsbA==?=", "a b", -32020},
      {"no method", NOW, NULL, "a b", -32020},
      {"another name", NOW, "tools/call", "a c", -32020},
      {"a longer name", NOW, "tools/call", "a b ", -32020},
      {"name in another case", NOW, "tools/call", "A b", -32020},
      {"no name", NOW, "tools/call", NULL, -32020},
      {"empty name", NOW, "tools/call", "", -32020},
      {"another version", "2099-01-01", "tools/call", "a b", -32020},
      {"an unheard-of version", "x", "tools/call", "a b", -32020},
      {"an older version", "2025-11-25", "tools/call", "a b", -32020},
      {"no version", NULL, "tools/call", "a b", -32020},
      {"encoded", NOW, "tools/call", "=?base64?YSBi?=", 0},
      {"encoded, another name", NOW, "tools/call", "=?base64?YSBj?=", -32020},
      {"encoded, upper-case mark", NOW, "tools/call", "=?BASE64?YSBi?=", -32020},
      {"encoded, no end", NOW, "tools/call", "=?base64?YSBi", -32020},
      {"encoded, overlapping marks", NOW, "tools/call", "=?base64?=", -32020},
      {"encoded, blanks", NOW, "tools/call", "=?base64?YS Bi?=", -32020},
      {"encoded, not base64", NOW, "tools/call", "=?base64?YSBi!?=", -32020},
      {"encoded, superfluous padding", NOW, "tools/call", "=?base64?YSBi====?=", -32020},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *fields[8] = {NULL};
    size_t n = 0;
    const char *pairs[3][2] = {{"MCP-Protocol-Version", rows[i].version},
                               {"Mcp-Method", rows[i].method},
                               {"Mcp-Name", rows[i].item}};
    for (size_t k = 0; k < 3; k++)
      if (pairs[k][1]) {
        fields[n++] = pairs[k][0];
        fields[n++] = pairs[k][1];
      }
    int rc = ask_fields("POST", call, fields);
    if ((rc < 0 ? fault.code : 0) != rows[i].code)
      fail_msg("%s: %d %s", rows[i].name, fault.code, rc < 0 ? fault.what : "");
    if (rc < 0)
      assert_int_equal(fault.status, 400);
  }
}

/* row 61: padding, letters outside ASCII, a name that looks encoded */
static void test_encoded_names_are_decoded_strictly(void **state)
{
  static const struct {
    const char *name, *header;
    bool same;
  } rows[] = {
      {"\xc3\xa9", "=?base64?w6k=?=", true},
      {"\xc3\xa9", "\xc3\xa9", true},
      {"\xc3\xa9", "=?base64?w6k?=", false},
      {"\xc3\xa9", "=?base64?w6l=?=", false}, /* stray bits */
      {"x>?", "=?base64?eD4/?=", true},
      {"x>?", "=?base64?eD4_?=", false},
      {"=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?=", true},
      {"=?base64?YQ==?=", "=?base64?YQ==?=", false},
      {"a", "=?base64?YQ==?=", true},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *params = arena_printf(arena, "{\"name\":\"%s\"," META(NOW) "}", rows[i].name);
    int rc = ask("POST", message("prompts/get", params), "MCP-Protocol-Version", NOW, "Mcp-Method",
                 "prompts/get", "Mcp-Name", rows[i].header);
    if ((rc == 0) != rows[i].same)
      fail_msg("%s against %s", rows[i].header, rows[i].name);
  }
}

/* row 61 */
static void test_routing_headers_that_stand_twice_are_refused(void **state)
{
  static const char *const names[] = {"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name",
                                      "Mcp-Session-Id"};
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(
        ask("POST", message("tools/list", "{}"), names[i], "2025-11-25", names[i], "2025-11-25"),
        -1);
    assert_int_equal(fault.code, -32020);
    assert_int_equal(ask("GET", NULL, names[i], "2025-11-25", names[i], "2025-11-25"), -1);
  }
}

static void test_a_modern_request_needs_its_version_in_the_body(void **state)
{
  (void)state;
  assert_int_equal(ask("POST", message("tools/list", "{}"), "MCP-Protocol-Version", NOW,
                       "Mcp-Method", "tools/list"),
                   -1);
  assert_int_equal(fault.code, -32602);
  assert_int_equal(fault.status, 400);
  assert_int_equal(ask("POST", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}",
                       "MCP-Protocol-Version", NOW, "Mcp-Method", "notifications/cancelled"),
                   0);
}

/* row 66 */
static void test_responses_are_posted_in_older_versions_only(void **state)
{
  static const char response[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";
  (void)state;
  assert_int_equal(ask("POST", response, "MCP-Protocol-Version", "2025-11-25"), 0);
  assert_true(op.known && op.kind == RULE_METHOD && op.method.n == 0);
  assert_int_equal(ask("POST", response, "MCP-Protocol-Version", NOW, "Mcp-Method", "tools/list"),
                   -1);
  assert_int_equal(fault.code, -32600);
  assert_int_equal(fault.status, 400);
}

/* row 65 */
static void test_a_call_without_an_id_is_the_same_operation(void **state)
{
  (void)state;
  assert_int_equal(
      ask_bare("POST",
               "{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}"),
      0);
  assert_true(op.kind == RULE_TOOL && str_is(op.item, "x"));
}

static void test_an_operation_on_an_item_needs_the_item(void **state)
{
  static const char *const bodies[] = {
      MESSAGE("tools/call", "{}"),
      MESSAGE("tools/call", "{\"name\":\"\"}"),
      MESSAGE("tools/call", "{\"uri\":\"x\"}"),
      MESSAGE("prompts/get", "{\"uri\":\"x\"}"),
      MESSAGE("resources/read", "{\"name\":\"x\"}"),
      MESSAGE("resources/subscribe", "{}"),
      MESSAGE("completion/complete", "{}"),
      MESSAGE("completion/complete", "{\"ref\":{\"type\":\"ref/tool\",\"name\":\"x\"}}"),
      MESSAGE("completion/complete", "{\"ref\":{\"type\":\"ref/prompt\",\"uri\":\"x\"}}"),
      MESSAGE("completion/complete", "{\"ref\":{\"type\":\"ref/resource\",\"name\":\"x\"}}"),
      MESSAGE("tasks/get", "{}"),
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    assert_int_equal(ask_bare("POST", bodies[i]), -1);
    assert_int_equal(fault.code, -32602);
  }
  assert_int_equal(
      ask_bare("POST", MESSAGE("completion/complete",
                               "{\"ref\":{\"type\":\"ref/resource\",\"uri\":\"f:{p}\"}}")),
      0);
  assert_true(op.kind == RULE_RESOURCE && str_is(op.item, "f:{p}"));
}

static void test_get_stands_and_delete_does_not(void **state)
{
  (void)state;
  assert_int_equal(ask_bare("GET", NULL), 0);
  assert_true(op.standing && op.known && op.kind == RULE_METHOD && op.method.n == 0);
  assert_int_equal(ask_bare("DELETE", NULL), 0);
  assert_false(op.standing);
}

static void test_listening_asks_for_every_resource_it_names(void **state)
{
  struct str cursor = {NULL, 0};
  struct operation each;
  (void)state;
  assert_int_equal(
      ask("POST",
          MESSAGE("subscriptions/listen",
                  "{\"notifications\":{\"resourceSubscriptions\":[\"a:1\",\"b\\u003a2\""
                  "],\"taskIds\":[\"t\"]}," META(NOW) "}"),
          "MCP-Protocol-Version", NOW, "Mcp-Method", "subscriptions/listen"),
      0);
  assert_true(op.standing && op.task && str_is(op.task_ids, "[\"t\"]"));
  assert_int_equal(operation_each(&op, &cursor, arena, &each), 1);
  assert_true(each.kind == RULE_METHOD && str_is(each.method, "subscriptions/listen"));
  assert_int_equal(operation_each(&op, &cursor, arena, &each), 1);
  assert_true(each.kind == RULE_RESOURCE && str_is(each.item, "a:1"));
  assert_int_equal(operation_each(&op, &cursor, arena, &each), 1);
  assert_true(each.kind == RULE_RESOURCE && str_is(each.item, "b:2"));
  assert_int_equal(operation_each(&op, &cursor, arena, &each), 0);
}

static void test_other_operations_ask_for_one_thing(void **state)
{
  struct str cursor = {NULL, 0};
  struct operation each;
  (void)state;
  assert_int_equal(ask_bare("POST", message("tools/call", "{\"name\":\"x\",\"notifications\":{"
                                                          "\"resourceSubscriptions\":[\"a:1\"]}}")),
                   0);
  assert_int_equal(operation_each(&op, &cursor, arena, &each), 1);
  assert_true(each.kind == RULE_TOOL && str_is(each.item, "x"));
  assert_int_equal(operation_each(&op, &cursor, arena, &each), 0);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      EACH(test_every_method_of_the_session_versions_is_mapped),
      EACH(test_every_method_of_the_modern_version_is_mapped),
      EACH(test_a_call_is_the_same_operation_in_every_version),
      EACH(test_routing_headers_mean_nothing_in_older_versions),
      EACH(test_headers_of_the_modern_version_must_agree_with_the_body),
      EACH(test_encoded_names_are_decoded_strictly),
      EACH(test_routing_headers_that_stand_twice_are_refused),
      EACH(test_a_modern_request_needs_its_version_in_the_body),
      EACH(test_responses_are_posted_in_older_versions_only),
      EACH(test_a_call_without_an_id_is_the_same_operation),
      EACH(test_an_operation_on_an_item_needs_the_item),
      EACH(test_get_stands_and_delete_does_not),
      EACH(test_listening_asks_for_every_resource_it_names),
      EACH(test_other_operations_ask_for_one_thing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
