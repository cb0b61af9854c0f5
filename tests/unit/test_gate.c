/* The JSON gate: what it takes, what it refuses, and what it says is in a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mcp/gate.h"
#include "util/buf.h"
#include "util/limits.h"

static struct arena *arena;
static struct gate g;
static struct gate_fault fault;

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

static int read_bytes(struct str body)
{
  memset(&g, 0, sizeof g);
  memset(&fault, 0, sizeof fault);
  return gate_read(body, arena, &g, &fault);
}

/* 0 when taken, else the code. */
static int code_of(struct str body)
{
  return read_bytes(body) < 0 ? fault.code : 0;
}

static void assert_str(struct str got, const char *want)
{
  if (!str_is(got, want) || got.p == NULL)
    fail_msg("got '%.*s', not '%s'", STR_ARG(got), want);
}

/* The whole of a tools/call around PARAMS. */
static struct str call(const char *params)
{
  const char *z = arena_printf(
      arena, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":%s}", params);
  assert_non_null(z);
  return str_of(z);
}

static struct str arguments(const char *value)
{
  return call(arena_printf(arena, "{\"name\":\"x\",\"arguments\":{\"v\":%s}}", value));
}

static void test_a_request_yields_what_policy_decides_on(void **state)
{
  (void)state;
  struct str body = str_of(" {\"jsonrpc\": \"2.0\", \"id\": \"a-1\", \"method\": \"tools/call\","
                           " \"params\": {\"name\": \"del\\u0065te\", \"arguments\": {\"a\": [1]},"
                           " \"_meta\": {\"io.modelcontextprotocol/protocolVersion\": \"v\","
                           " \"progressToken\": 1}}}\n");
  assert_int_equal(read_bytes(body), 0);
  assert_int_equal(g.kind, GATE_REQUEST);
  assert_str(g.method, "tools/call");
  assert_str(g.id, "\"a-1\"");
  assert_str(g.name, "delete");
  assert_str(g.arguments, "{\"a\": [1]}");
  assert_str(g.meta_version, "v");
  assert_true(str_starts(g.params, "{\"name\"") && str_ends(g.params, "1}}"));
  assert_null(g.uri.p);
}

static void test_every_member_that_rules_need_is_found(void **state)
{
  (void)state;
  assert_int_equal(
      code_of(call("{\"uri\":\"file:///a\",\"taskId\":\"t1\",\"protocolVersion\":\"w\","
                   "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"p\",\"uri\":\"u\"},"
                   "\"notifications\":{\"resourceSubscriptions\":[\"a\", \"b\"],"
                   "\"taskIds\":[]}}")),
      0);
  assert_str(g.uri, "file:///a");
  assert_str(g.task_id, "t1");
  assert_str(g.init_version, "w");
  assert_str(g.ref_type, "ref/prompt");
  assert_str(g.ref_name, "p");
  assert_str(g.ref_uri, "u");
  assert_str(g.subscriptions, "[\"a\", \"b\"]");
  assert_str(g.task_ids, "[]");
}

static void test_kinds_of_messages(void **state)
{
  static const struct {
    const char *body;
    enum gate_kind kind;
  } rows[] = {
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", GATE_REQUEST},
      {"{\"method\":\"ping\",\"id\":\"\",\"jsonrpc\":\"2.0\"}", GATE_REQUEST},
      {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", GATE_NOTIFICATION},
      {"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}",
       GATE_NOTIFICATION},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", GATE_RESPONSE},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"m\"}}", GATE_RESPONSE},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    assert_int_equal(code_of(str_of(rows[i].body)), 0);
    assert_int_equal(g.kind, rows[i].kind);
  }
}

/* row 74 */
static void test_what_is_not_json_is_refused(void **state)
{
  static const char *const values[] = {
      "NaN",
      "Infinity",
      "-",
      "01",
      "1.",
      ".5",
      "1e",
      "1e+",
      "+1",
      "0x1",
      "1_0",
      "tru",
      "True",
      "nul",
      "'a'",
      "\"a",
      "\"\\x\"",
      "\"\\u12\"",
      "\"\\u12g4\"",
      "\"\\ud800\"",
      "\"\\udc00\"",
      "\"\\ud800\\ud800\"",
      "\"\\ud800x\"",
      "\"\\ud800\\n\"",
      "\"\t\"",
      "\"\n\"",
      "\"\x1f\"",
      "\"\xff\"",
      "\"\xc0\x80\"",
      "\"\xc1\xbf\"",
      "\"\xe0\x9f\xbf\"",
      "\"\xed\xa0\x80\"",
      "\"\xf0\x8f\xbf\xbf\"",
      "\"\xf4\x90\x80\x80\"",
      "\"\xf5\x80\x80\x80\"",
      "\"\xe2\x82\"",
      "\"\x80\"",
      "[1,]",
      "[,1]",
      "[1 2]",
      "[1",
      "{\"a\":1,}",
      "{,}",
      "{\"a\"}",
      "{\"a\":}",
      "{a:1}",
      "{1:1}",
      "{\"a\":1 \"b\":2}",
      "[1}",
      "{\"a\":1]",
      "/**/1",
      "1//",
      "",
      "]",
      "1,",
  };
  (void)state;
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    if (code_of(arguments(values[i])) != -32700)
      fail_msg("%s: %d", values[i], fault.code);
}

/* row 74: NUL, BOM, other encodings, bytes behind the message */
static void test_bytes_around_and_inside_the_message_are_refused(void **state)
{
  static const char nul[] = "{\"jsonrpc\":\"2.0\",\"method\":\"p\0\"}";
  static const char blank_nul[] = "{\"jsonrpc\":\"2.0\",\0\"method\":\"p\"}";
  static const char utf16[] = "{\0\"\0a\0\"\0:\0001\0}\0";
  (void)state;
  assert_int_equal(code_of((struct str){nul, sizeof nul - 1}), -32700);
  assert_int_equal(code_of((struct str){blank_nul, sizeof blank_nul - 1}), -32700);
  assert_int_equal(code_of((struct str){utf16, sizeof utf16 - 1}), -32700);
  assert_int_equal(code_of(str_of("\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"method\":\"p\"}")), -32700);
  assert_int_equal(code_of(str_of("{\"jsonrpc\":\"2.0\",\"method\":\"p\"} x")), -32700);
  assert_int_equal(code_of(str_of("{\"jsonrpc\":\"2.0\",\"method\":\"p\"}{}")), -32700);
  assert_int_equal(code_of((struct str){"{}\0", 3}), -32700);
  assert_int_equal(code_of(str_of("\f{\"jsonrpc\":\"2.0\",\"method\":\"p\"}")), -32700);
  assert_int_equal(code_of(str_of("")), -32700);
  assert_int_equal(code_of((struct str){NULL, 0}), -32700);
  assert_int_equal(code_of(str_of("  ")), -32700);
}

static void test_what_is_json_is_taken(void **state)
{
  static const char *const values[] = {
      "0",
      "-0",
      "-0.0e-0",
      "1E400",
      "123456789012345678901234567890",
      "true",
      "false",
      "null",
      "\"\"",
      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"",
      "\"\\ud83d\\ude00\"",
      "\"\x7f\"",
      ("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f"
       "\xbf\xbf\""),
      "[]",
      "{}",
      " [ ] ",
      "[{},[],{\"\":[]}]",
      "{\"a\":1,\"a\":2}",
      "\t1\r\n",
      "\"123456789\\n123456789\\u00e9 a longer string than eight bytes \xe2\x82\xac or sixteen\"",
  };
  (void)state;
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    if (code_of(arguments(values[i])) != 0)
      fail_msg("%s: %s", values[i], fault.what);
}

/* A string's check may not depend on where in eight bytes a character stands. */
static void test_bad_bytes_are_found_at_every_offset(void **state)
{
  (void)state;
  static const char *const bad[] = {"\x01", "\xff", "\\q", "\xc2", "\\ud800", "\x1f"};
  for (size_t at = 0; at < 40; at++)
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
      const char *z = arena_printf(arena, "\"%.*s%sabcdefghijk\"", (int)at,
                                   "0123456789012345678901234567890123456789", bad[i]);
      assert_int_equal(code_of(arguments(z)), -32700);
    }
}

/* row 64 */
static void test_batches_are_refused(void **state)
{
  (void)state;
  assert_int_equal(code_of(str_of("[]")), -32600);
  assert_int_equal(code_of(str_of("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]")), -32600);
  assert_string_equal(fault.what, "Batches are not accepted.");
}

static void test_what_is_no_message_is_refused(void **state)
{
  static const char *const bodies[] = {
      "null",
      "1",
      "\"x\"",
      "{}",
      "{\"method\":\"p\",\"id\":1}",
      "{\"jsonrpc\":\"1.0\",\"method\":\"p\"}",
      "{\"jsonrpc\":2.0,\"method\":\"p\"}",
      "{\"jsonrpc\":\"\\u0032.0\",\"method\":\"p\"}",
      "{\"jsonrpc\":\"2.0\",\"method\":1}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"\"}",
      "{\"jsonrpc\":\"2.0\",\"method\":null,\"id\":1}",
      "{\"jsonrpc\":\"2.0\",\"id\":1}",
      "{\"jsonrpc\":\"2.0\",\"result\":{}}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":null}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\",\"result\":{}}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\",\"params\":[]}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\",\"params\":null}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\\u0000b\"}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
    if (code_of(str_of(bodies[i])) != -32600)
      fail_msg("%s: %d", bodies[i], fault.code);
}

/* row 65 */
static void test_ids_are_short_strings_or_integers_of_64_bits(void **state)
{
  static const struct {
    const char *id;
    int code;
  } rows[] = {
      {"0", 0},
      {"-1", 0},
      {"9223372036854775807", 0},
      {"-9223372036854775808", 0},
      {"\"\"", 0},
      {"\"\\u0000\xc3\xa9\"", 0},
      {"9223372036854775808", -32600},
      {"-9223372036854775809", -32600},
      {"-0", -32600},
      {"1.0", -32600},
      {"1e0", -32600},
      {"null", -32600},
      {"true", -32600},
      {"{}", -32600},
      {"[1]", -32600},
      {"01", -32700},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *z =
        arena_printf(arena, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"p\"}", rows[i].id);
    assert_int_equal(code_of(str_of(z)), rows[i].code);
    if (rows[i].code == 0)
      assert_str(g.id, rows[i].id);
  }
}

/* row 63 */
static void test_a_protocol_name_that_stands_twice_is_refused(void **state)
{
  static const char *const bodies[] = {
      "{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\",\"method\":\"p\"}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"method\":\"p\"}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"m\\u0065thod\":\"q\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"p\"}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{},\"params\":{}}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"name\":\"a\",\"name\":\"b\"}}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"name\":\"a\",\"\\u006eame\":\"b\"}}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"uri\":\"a\",\"x\":1,\"uri\":\"a\"}}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"arguments\":{},\"arguments\":{}}}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"_meta\":{},\"_meta\":{}}}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"ref\":{\"name\":\"a\",\"name\":\"b\"}}}",
      "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"_meta\":{"
      "\"io.modelcontextprotocol/protocolVersion\":\"a\","
      "\"io.modelcontextprotocol\\/protocolVersion\":\"b\"}}}",
      ("{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"notifications\":{\"taskIds\":[],"
       "\"taskIds\":[]}}}"),
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"result\":{}}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
    if (code_of(str_of(bodies[i])) != -32600)
      fail_msg("%s: %d", bodies[i], fault.code);
}

/* row 73: every case mask of every name, with U+017F and U+212A, raw and escaped */
static void test_a_name_that_folds_to_a_protocol_name_is_refused(void **state)
{
  static const struct {
    const char *name, *before, *behind;
  } rows[] = {
      {"jsonrpc", "{\"", "\":1,\"jsonrpc\":\"2.0\",\"method\":\"p\"}"},
      {"method", "{\"", "\":1,\"jsonrpc\":\"2.0\",\"method\":\"p\"}"},
      {"params", "{\"", "\":1,\"jsonrpc\":\"2.0\",\"method\":\"p\"}"},
      {"id", "{\"", "\":1,\"jsonrpc\":\"2.0\",\"method\":\"p\"}"},
      {"result", "{\"", "\":1,\"jsonrpc\":\"2.0\",\"method\":\"p\"}"},
      {"name", "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"", "\":1}}"},
      {"uri", "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"", "\":1}}"},
      {"_meta", "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"", "\":1}}"},
      {"ref", "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"", "\":1}}"},
      {"taskId", "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"", "\":1}}"},
      {"arguments", "{\"jsonrpc\":\"2.0\",\"method\":\"p\",\"params\":{\"", "\":1}}"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = strlen(rows[i].name);
    for (unsigned mask = 0; mask < 1u << n; mask++) {
      char name[64] = "", *to = name;
      for (size_t k = 0; k < n; k++) {
        char c = rows[i].name[k];
        bool flip = mask >> k & 1;
        if (flip && (c == 's' || c == 'k'))
          to += sprintf(to, "%s", c == 's' ? "\xc5\xbf" : "\xe2\x84\xaa");
        else if (flip && c == 'a')
          to += sprintf(to, "\\u0041");
        else
          *to++ = flip ? (char)(c ^ 0x20) : c;
      }
      *to = 0;
      if (strcmp(name, rows[i].name) == 0 || strchr(name, '_' ^ 0x20))
        continue;
      const char *z = arena_printf(arena, "%s%s%s", rows[i].before, name, rows[i].behind);
      assert_non_null(z);
      if (code_of(str_of(z)) != -32600)
        fail_msg("%s: %d", z, fault.code);
    }
  }
}

static void test_names_of_the_protocol_are_not_written_with_escapes(void **state)
{
  (void)state;
  assert_int_equal(code_of(str_of("{\"jsonrpc\":\"2.0\",\"\\u006dethod\":\"p\"}")), -32600);
  /* but a slash may be, as PHP does */
  assert_int_equal(
      code_of(call("{\"_meta\":{\"io.modelcontextprotocol\\/protocolVersion\":\"a\"}}")), 0);
  assert_str(g.meta_version, "a");
}

static void test_names_that_others_own_are_theirs(void **state)
{
  (void)state;
  assert_int_equal(code_of(call("{\"name\":\"x\",\"arguments\":{\"Name\":1,\"name\":2,\"NAME\":3,"
                                "\"Method\":4},\"x\":{\"Name\":1},\"names\":1,\"nam\":1,"
                                "\"na\xc3\xafme\":1}")),
                   0);
  assert_str(g.name, "x");
}

/* row 77 */
static void test_names_of_the_hub_are_refused_in_meta_and_arguments(void **state)
{
  static const char *const params[] = {
      "{\"_meta\":{\"mcpauth/subject\":\"root\"}}",
      "{\"_meta\":{\"MCPauth/subject\":\"root\"}}",
      "{\"_meta\":{\"\\u006dcpauth/subject\":\"root\"}}",
      "{\"_meta\":{\"mcpauth\\/a-name-that-is-longer-than-any-name-of-the-protocol-is\":1}}",
      "{\"_meta\":{\"mcpauth/\xc3\xa9\":1}}",
      "{\"arguments\":{\"mcpauth/subject\":\"root\"}}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof params / sizeof params[0]; i++)
    assert_int_equal(code_of(call(params[i])), -32602);
  assert_int_equal(code_of(call("{\"_meta\":{\"mcpauth\":1,\"x/mcpauth/\":1}}")), 0);
}

static void test_members_of_another_type_are_refused(void **state)
{
  static const char *const params[] = {
      "{\"name\":1}",
      "{\"name\":null}",
      "{\"uri\":[]}",
      "{\"taskId\":{}}",
      "{\"ref\":\"x\"}",
      "{\"ref\":{\"type\":1}}",
      "{\"_meta\":null}",
      "{\"arguments\":[]}",
      "{\"arguments\":\"x\"}",
      "{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":1}}",
      "{\"protocolVersion\":1}",
      "{\"notifications\":[]}",
      "{\"notifications\":{\"resourceSubscriptions\":\"a\"}}",
      "{\"notifications\":{\"resourceSubscriptions\":[\"a\",1]}}",
      "{\"name\":\"a\\u0000\"}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof params / sizeof params[0]; i++)
    if (code_of(call(params[i])) != -32602)
      fail_msg("%s: %d", params[i], fault.code);
  assert_int_equal(code_of(call("{\"name\":\"x\",\"arguments\":null}")), 0);
  assert_str(g.arguments, "null");
}

static const char *many(struct buf *b, const char *what, size_t n)
{
  buf_clear(b);
  for (size_t i = 0; i < n; i++)
    buf_puts(b, what);
  assert_false(b->failed);
  return b->p;
}

/* row 161 */
static void test_depth_and_values_are_limited(void **state)
{
  struct buf b;
  (void)state;
  buf_init(&b, 1 << 20);
  /* the message, params and arguments are three deep; the message has 7 values beside these */
  for (size_t depth = LIMIT_JSON_DEPTH - 4; depth < LIMIT_JSON_DEPTH; depth++) {
    char *open = strdup(many(&b, "[", depth)), *close = strdup(many(&b, "]", depth));
    const char *z = arena_printf(arena, "%s%s", open, close);
    assert_int_equal(code_of(arguments(z)), depth + 3 <= LIMIT_JSON_DEPTH ? 0 : -32600);
    free(open);
    free(close);
  }
  for (size_t n = LIMIT_JSON_VALUES - 10; n < LIMIT_JSON_VALUES; n++) {
    const char *z = arena_printf(arena, "[%s1]", many(&b, "1,", n - 1));
    int want = n + 8 <= LIMIT_JSON_VALUES ? 0 : -32600;
    struct arena *whole = arena;
    arena = arena_new(1 << 20);
    assert_int_equal(code_of(arguments(z)), want);
    arena_free(arena);
    arena = whole;
    if (n % 4 == 0) { /* these are large */
      arena_free(arena);
      arena = arena_new(1 << 20);
    }
  }
  buf_done(&b);
}

static void test_long_names_are_refused(void **state)
{
  struct buf b;
  (void)state;
  buf_init(&b, 1 << 20);
  for (size_t n = LIMIT_ITEM; n <= LIMIT_ITEM + 1; n++) {
    int want = n <= LIMIT_ITEM ? 0 : -32602;
    assert_int_equal(code_of(call(arena_printf(arena, "{\"uri\":\"%s\"}", many(&b, "a", n)))),
                     want);
    const char *z = arena_printf(arena, "{\"uri\":\"%s\"}", many(&b, "\\u0061", n));
    assert_int_equal(code_of(call(z)), want);
  }
  for (size_t n = LIMIT_RPC_ID - 2; n <= LIMIT_RPC_ID - 1; n++)
    assert_int_equal(
        code_of(str_of(arena_printf(arena, "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":\"p\"}",
                                    many(&b, "a", n)))),
        n + 2 <= LIMIT_RPC_ID ? 0 : -32600);
  buf_done(&b);
}

static void test_nothing_is_set_when_it_refuses(void **state)
{
  struct gate before;
  (void)state;
  memset(&g, 0x5a, sizeof g);
  memcpy(&before, &g, sizeof g);
  assert_int_equal(gate_read(call("{\"name\":\"x\",\"name\":\"y\"}"), arena, &g, &fault), -1);
  assert_memory_equal(&before, &g, sizeof g);
}

/* ---- single values */

static void assert_at(const char *json, const char *pointer, enum gate_type type, const char *raw)
{
  struct gate_value v = gate_at(str_of(json), str_of(pointer));
  if (v.type != type || (raw && !str_is(v.raw, raw)))
    fail_msg("%s at '%s': type %d, '%.*s'", json, pointer, v.type, STR_ARG(v.raw));
}

static void test_pointers_lead_to_values(void **state)
{
  static const char json[] = "{\"a\":{\"b\":[10, {\"c\":null}, \"x\"]},\"\":1,\"m~n\":2,\"p/q\":3,"
                             "\"\\u00e9\":4,\"on\":true,\"off\":false}";
  (void)state;
  assert_at(json, "", GATE_OBJECT, json);
  assert_at(json, "/a/b", GATE_ARRAY, "[10, {\"c\":null}, \"x\"]");
  assert_at(json, "/a/b/0", GATE_NUMBER, "10");
  assert_at(json, "/a/b/1/c", GATE_NULL, "null");
  assert_at(json, "/a/b/2", GATE_TEXT, "\"x\"");
  assert_at(json, "/", GATE_NUMBER, "1");
  assert_at(json, "/m~0n", GATE_NUMBER, "2");
  assert_at(json, "/p~1q", GATE_NUMBER, "3");
  assert_at(json, "/\xc3\xa9", GATE_NUMBER, "4");
  assert_at(json, "/on", GATE_TRUE, "true");
  assert_at(json, "/off", GATE_FALSE, "false");
  assert_at("\"x\"", "", GATE_TEXT, "\"x\"");
}

static void test_pointers_that_lead_nowhere_are_absent(void **state)
{
  static const char json[] = "{\"a\":{\"b\":[10, {\"c\":null}, \"x\"]}}";
  static const char *const nowhere[] = {"/b",      "/a/c",       "/a/b/3",   "/a/b/-",
                                        "/a/b/01", "/a/b/1/c/d", "/a/b/0/0", "a",
                                        "/a~",     "/a~2",       "//",       "/A"};
  (void)state;
  for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
    assert_at(json, nowhere[i], GATE_ABSENT, NULL);
}

/* row 63: a value that two readers read differently is none */
static void test_a_name_that_stands_twice_on_the_way_is_neither_value(void **state)
{
  (void)state;
  assert_at("{\"a\":1,\"a\":2}", "/a", GATE_TWICE, NULL);
  assert_at("{\"a\":1,\"\\u0061\":1}", "/a", GATE_TWICE, NULL);
  assert_at("{\"a\":{\"b\":1},\"a\":{\"b\":1}}", "/a/b", GATE_TWICE, NULL);
  assert_at("{\"a\":[{\"b\":1,\"b\":1}]}", "/a/0/b", GATE_TWICE, NULL);
  assert_at("{\"x\":1,\"x\":2,\"a\":1}", "/a", GATE_NUMBER, "1");
}

static void test_arrays_are_stepped_through(void **state)
{
  struct str cursor = str_of("[1, \"two\" ,[3],{\"a\":4}]");
  static const char *const want[] = {"1", "\"two\"", "[3]", "{\"a\":4}"};
  struct gate_value v;
  size_t n = 0;
  (void)state;
  for (; gate_next(&cursor, &v); n++)
    assert_true(n < 4 && str_is(v.raw, want[n]));
  assert_int_equal(n, 4);
  cursor = str_of("[ ]");
  assert_false(gate_next(&cursor, &v));
  cursor = str_of("{\"a\":1}");
  assert_false(gate_next(&cursor, &v));
}

static void test_strings_are_compared_decoded(void **state)
{
  (void)state;
  assert_true(
      gate_text_is(str_of("\"a\\u0062\\n\\ud83d\\ude00\""), str_of("ab\n\xf0\x9f\x98\x80")));
  assert_true(gate_text_is(str_of("\"\""), STR("")));
  assert_false(gate_text_is(str_of("\"a\\u0062\""), str_of("abc")));
  assert_false(gate_text_is(str_of("\"a\\u0062c\""), str_of("ab")));
  assert_false(gate_text_is(str_of("\"A\""), str_of("a")));
  assert_true(gate_text_is(str_of("\"a\\u0000\""), (struct str){"a\0", 2}));
  assert_str(gate_text(str_of("\"\\u20ac\\/\""), arena), "\xe2\x82\xac/");
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      EACH(test_a_request_yields_what_policy_decides_on),
      EACH(test_every_member_that_rules_need_is_found),
      EACH(test_kinds_of_messages),
      EACH(test_what_is_not_json_is_refused),
      EACH(test_bytes_around_and_inside_the_message_are_refused),
      EACH(test_what_is_json_is_taken),
      EACH(test_bad_bytes_are_found_at_every_offset),
      EACH(test_batches_are_refused),
      EACH(test_what_is_no_message_is_refused),
      EACH(test_ids_are_short_strings_or_integers_of_64_bits),
      EACH(test_a_protocol_name_that_stands_twice_is_refused),
      EACH(test_a_name_that_folds_to_a_protocol_name_is_refused),
      EACH(test_names_of_the_protocol_are_not_written_with_escapes),
      EACH(test_names_that_others_own_are_theirs),
      EACH(test_names_of_the_hub_are_refused_in_meta_and_arguments),
      EACH(test_members_of_another_type_are_refused),
      EACH(test_depth_and_values_are_limited),
      EACH(test_long_names_are_refused),
      EACH(test_nothing_is_set_when_it_refuses),
      EACH(test_pointers_lead_to_values),
      EACH(test_pointers_that_lead_nowhere_are_absent),
      EACH(test_a_name_that_stands_twice_on_the_way_is_neither_value),
      EACH(test_arrays_are_stepped_through),
      EACH(test_strings_are_compared_decoded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
