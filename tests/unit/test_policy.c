/* Rules, from their text to the decision: src/config/bind_rules.c, src/mcp/policy.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/bind.h"
#include "mcp/policy.h"
#include "util/json.h"
#include "../support/fake_modules.h"

#define HUB                                                                                        \
  "provider tokens { file /etc/tokens }\n"                                                         \
  "provider corp { module issuers; issuer https://login.example.com }\n"                           \
  "scope read { text Read }\nscope write { text Write; implies read }\n"                           \
  "scope admin { text Administer; for role admin }\n"
#define SERVICE(lines)                                                                             \
  "hub { public_url http://127.0.0.1:1 }\n" HUB                                                    \
  "service s { path /s; upstream http://127.0.0.1:9/; auth required tokens\n" lines "\n}\n"

/* ---- the world of one test */

static struct arena *arena, *report_arena;
static struct config *config;

static int set_up(void **state)
{
  (void)state;
  arena = arena_new(1 << 20);
  report_arena = arena_new(1 << 20);
  return arena && report_arena ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  config_free(config);
  config = NULL;
  arena_free(arena);
  arena_free(report_arena);
  return 0;
}

static void load(const char *text)
{
  struct config_report report;
  struct findings f;
  struct config_source v = {"t.conf", str_of(text)};
  assert_int_equal(findings_init(&f, report_arena, &report), 0);
  config = config_bind("/conf", &v, 1, &fake_modules, geteuid(), &f);
  for (size_t i = 0; config == NULL && i < report.n; i++)
    config_finding_print(&report.v[i], stderr);
  assert_non_null(config);
}

/* A caller with SCOPES (words) and CLAIMS (JSON); freed with the arena. */
struct caller {
  struct principal *p;
  struct policy_caller caller;
};

static void drop_principal(void *p)
{
  principal_unref(p);
}

static void drop_json(void *j)
{
  json_decref(j);
}

static const struct policy_caller *caller(const char *scopes, const char *claims)
{
  static const struct config_provider provider = {.name = "tokens"};
  const char *v[16];
  size_t n = 0;
  struct str rest = str_of(scopes), word;
  while (rest.n && str_next(&rest, ' ', &word))
    v[n++] = arena_dup(arena, word);
  struct mcpauth_principal from = {
      .issuer = "https://i", .subject = "ann", .client = "app", .scopes = {n, v}};
  struct principal *p = principal_new(&provider, &from, NULL);
  json_t *j = json_parse(str_of(claims), 20, 1000, NULL);
  struct policy_caller *c = arena_new_of(arena, struct policy_caller);
  assert_true(p && j && c);
  assert_int_equal(arena_defer(arena, drop_principal, p), 0);
  assert_int_equal(arena_defer(arena, drop_json, j), 0);
  *c = (struct policy_caller){.who = p, .claims = j, .address = "192.0.2.7"};
  return c;
}

static struct policy_decision decide(const struct policy_caller *who, const char *method,
                                     enum rule_kind kind, const char *item, const char *arguments)
{
  struct operation op = {.era = ERA_SESSION,
                         .method = str_of(method),
                         .known = method_known(str_of(method)),
                         .task = strncmp(method, "tasks/", 6) == 0,
                         .kind = kind,
                         .item = str_of(item)};
  struct str raw = arguments ? str_of(arguments) : (struct str){NULL, 0};
  struct policy_decision d;
  policy_decide(&config->services[0], who, &op, raw, arena, &d);
  return d;
}

static enum policy_verdict tool(const struct policy_caller *who, const char *name)
{
  return decide(who, "tools/call", RULE_TOOL, name, "{}").verdict;
}

static enum policy_verdict call(const char *claims, const char *arguments)
{
  return decide(caller("", claims), "tools/call", RULE_TOOL, "t", arguments).verdict;
}

/* ---- order */

static void test_the_first_line_that_matches_decides(void **state)
{
  (void)state;
  load(SERVICE("tool delete_* require scope write\n tool debug_* hide\n tool drop deny\n"
               " tool * allow"));
  const struct policy_caller *none = caller("", "{}"), *writer = caller("write", "{}");
  assert_int_equal(tool(none, "delete_note"), POLICY_SCOPES);
  assert_int_equal(tool(writer, "delete_note"), POLICY_ALLOW);
  assert_int_equal(tool(writer, "debug_dump"), POLICY_HIDE);
  assert_int_equal(tool(writer, "drop"), POLICY_DENY);
  assert_int_equal(tool(none, "list"), POLICY_ALLOW);
}

static void test_a_line_that_requires_is_final_when_it_is_not_met(void **state)
{
  (void)state;
  load(SERVICE("tool x require tenant acme\n tool x allow\n tool y allow\n tool y deny"));
  assert_int_equal(tool(caller("", "{}"), "x"), POLICY_DENY);
  assert_int_equal(tool(caller("", "{\"tenant\":\"acme\"}"), "x"), POLICY_ALLOW);
  assert_int_equal(tool(caller("", "{}"), "y"), POLICY_ALLOW);
}

/* row 68 */
static void test_no_match_is_deny_in_a_kind_that_has_lines(void **state)
{
  (void)state;
  load(SERVICE("tool a allow"));
  assert_int_equal(tool(caller("", "{}"), "b"), POLICY_DENY);
  assert_int_equal(decide(caller("", "{}"), "prompts/get", RULE_PROMPT, "b", NULL).verdict,
                   POLICY_ALLOW);
}

static void test_the_stricter_of_the_hubs_line_and_the_services_decides(void **state)
{
  (void)state;
  load("hub { public_url http://127.0.0.1:1; tool help allow; tool delete_* require scope read\n"
       "  tool debug* deny; method vendor/* allow }\n" HUB
       "service s { path /s; upstream http://127.0.0.1:9/; auth required tokens\n"
       " tool delete_note require scope write; tool *_payment deny; tool debug hide\n"
       " tool debug_all allow; tool own allow; method vendor/x deny }\n");
  const struct policy_caller *none = caller("", "{}"), *reader = caller("read", "{}");
  assert_int_equal(tool(none, "help"), POLICY_ALLOW); /* no line of the service matches */
  assert_int_equal(tool(none, "own"), POLICY_ALLOW);  /* and none of the hub */
  assert_int_equal(tool(none, "other"), POLICY_DENY);
  assert_int_equal(tool(reader, "delete_x"), POLICY_ALLOW);
  assert_int_equal(tool(reader, "delete_payment"), POLICY_DENY);
  assert_int_equal(tool(reader, "delete_note"), POLICY_SCOPES);
  assert_int_equal(tool(none, "debug_all"), POLICY_DENY);
  assert_int_equal(tool(none, "debug"), POLICY_HIDE);
  assert_int_equal(decide(none, "vendor/y", RULE_METHOD, "", NULL).verdict, POLICY_ALLOW);
  assert_int_equal(decide(none, "vendor/x", RULE_METHOD, "", NULL).verdict, POLICY_DENY);
  struct policy_decision d = decide(none, "tools/call", RULE_TOOL, "delete_note", "{}");
  assert_int_equal(d.n_needs, 2); /* what both lines ask for */
}

static void test_a_policy_stands_where_it_is_named(void **state)
{
  (void)state;
  load("policy shared { tool a deny; tool b allow }\n" SERVICE("tool a allow\n policy shared"));
  assert_int_equal(tool(caller("", "{}"), "a"), POLICY_ALLOW);
  assert_int_equal(tool(caller("", "{}"), "b"), POLICY_ALLOW);
  assert_int_equal(tool(caller("", "{}"), "c"), POLICY_DENY);
}

static void test_a_policy_that_is_named_first_decides_first(void **state)
{
  (void)state;
  load("policy shared { tool a deny }\n" SERVICE("policy shared\n tool a allow"));
  assert_int_equal(tool(caller("", "{}"), "a"), POLICY_DENY);
}

/* ---- names (row 69) */

static void test_what_looks_like_a_name_matches_no_glob(void **state)
{
  static const char *const names[] = {
      "delete_note ",
      " delete_note",
      "delete_note\xc2\xa0",
      "delete_n\xc3\xb6te",
      "delete%5fnote",
      "delete_note\n",
      "delete_\xe2\x80\x8dnote",
      "delete_note\x7f",
      "delete~note",
      "delete:note",
      "d\xd0\xb5lete_note",
      "",
      ("delete_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")};
  (void)state;
  load(SERVICE("tool * allow; prompt * allow"));
  for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
    assert_int_equal(tool(caller("", "{}"), names[i]), POLICY_DENY);
    assert_int_equal(decide(caller("", "{}"), "prompts/get", RULE_PROMPT, names[i], NULL).verdict,
                     POLICY_DENY);
  }
}

/* row 69 */
static void test_a_literal_matches_byte_for_byte(void **state)
{
  (void)state;
  load(SERVICE("tool \"delete note\" allow; tool n\xc3\xb6te allow"));
  assert_int_equal(tool(caller("", "{}"), "delete note"), POLICY_ALLOW);
  assert_int_equal(tool(caller("", "{}"), "Delete note"), POLICY_DENY);
  assert_int_equal(tool(caller("", "{}"), "delete note "), POLICY_DENY);
  assert_int_equal(tool(caller("", "{}"), "n\xc3\xb6te"), POLICY_ALLOW);
  assert_int_equal(tool(caller("", "{}"), "no\xcc\x88te"), POLICY_DENY);
}

static void test_a_star_stands_for_any_run_of_bytes(void **state)
{
  static const struct {
    const char *name;
    bool want;
  } rows[] = {{"ab", true},    {"axb", true},  {"axbxb", true},     {"a", false},   {"b", false},
              {"xab", false},  {"abx", false}, {"xy/z.zy", true},   {"xyzy", true}, {"xyz", false},
              {"xyzzy", true}, {"xzy", false}, {"mid_mmm_d", true}, {"mid", false}};
  (void)state;
  load(SERVICE("tool a*b allow; tool xy*zy allow; tool mi*m*m*d allow"));
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
    assert_int_equal(tool(caller("", "{}"), rows[i].name),
                     rows[i].want ? POLICY_ALLOW : POLICY_DENY);
}

/* ---- URIs (row 75) */

static enum policy_verdict read_of(const char *uri)
{
  return decide(caller("", "{}"), "resources/read", RULE_RESOURCE, uri, NULL).verdict;
}

static void test_a_resource_glob_matches_canonical_uris(void **state)
{
  static const char *const good[] = {"file:///srv/notes/a",      "file:///srv/notes/a/b.txt",
                                     "file:///srv/notes/%20",    "https://h.example/x",
                                     "https://h.example:8443/x", "https://[2001:db8::1]/x"};
  static const char *const bad[] = {
      "file:///srv/notes/../secret",  "file:///srv/notes/./a",      "file:///srv/notes/..",
      "file:///srv/notes/%2e%2e/a",   "file:///srv/notes/%2E%2E/a", "file:///srv/notes/..%2Fa",
      "file:///srv/notes/..;x/a",     "file:///srv/notes//a",       "file:///srv/notes/",
      "file:///srv/notes/a#f",        "file:///srv/notes/a?q",      "file:///srv/notes/a\\..\\b",
      "file://localhost/srv/notes/a", "FILE:///srv/notes/a",        "file:///srv/notes/%61",
      "file:///srv/notes/%c3%a9",     "file:///srv/notes/%00",      "file:///srv/notes/%252e",
      "file:///srv/notes/%",          "file:///srv/notes/%2",       "file:///srv/notes/a b",
      "file:///srv/notes/\xc3\xa9",   "https://H.example/x",        "https://u@h.example/x",
      "https://h.example:443/x",      "https://h.example./x",       "https://h.example:/x",
      "https://h.example:08443/x",    "https://h.ex%41mple/x",      "https://h.example/x\n",
      "file:///srv/notes/a%5Cb"};
  (void)state;
  load(SERVICE("resource file:///srv/notes/* allow; resource https://* allow"));
  for (size_t i = 0; i < ARRAY_SIZE(good); i++)
    if (read_of(good[i]) != POLICY_ALLOW)
      fail_msg("%s is refused", good[i]);
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
    if (read_of(bad[i]) != POLICY_DENY)
      fail_msg("%s is allowed", bad[i]);
}

static void test_a_query_is_matched_behind_a_question_mark_only(void **state)
{
  (void)state;
  load(SERVICE("resource db://t/*?limit=* allow; resource db://u/* allow"));
  assert_int_equal(read_of("db://t/a?limit=5"), POLICY_ALLOW);
  assert_int_equal(read_of("db://t/a?x=1?limit=5"), POLICY_DENY);
  assert_int_equal(read_of("db://t/a"), POLICY_DENY);
  assert_int_equal(read_of("db://u/a"), POLICY_ALLOW);
  assert_int_equal(read_of("db://u/a?limit=5"), POLICY_DENY);
}

/* row 75 */
static void test_a_resource_literal_is_the_uri_byte_for_byte(void **state)
{
  (void)state;
  load(SERVICE("resource file:///a/../b allow; resource \"note:My Note\" allow"));
  assert_int_equal(read_of("file:///a/../b"), POLICY_ALLOW);
  assert_int_equal(read_of("file:///b"), POLICY_DENY);
  assert_int_equal(read_of("note:My Note"), POLICY_ALLOW);
  assert_int_equal(read_of("note:my Note"), POLICY_DENY);
}

/* ---- methods */

static enum policy_verdict method(const char *name)
{
  return decide(caller("", "{}"), name, RULE_METHOD, "", NULL).verdict;
}

/* row 67 */
static void test_a_method_that_no_schema_has_needs_a_line(void **state)
{
  (void)state;
  load(SERVICE("method vendor/* allow; method logging/setLevel deny; tool x deny"));
  assert_int_equal(method("vendor/thing"), POLICY_ALLOW);
  assert_int_equal(method("other/thing"), POLICY_DENY);
  assert_int_equal(method("logging/setLevel"), POLICY_DENY);
  assert_int_equal(method("tools/list"), POLICY_ALLOW);
}

static void test_a_method_line_does_not_skip_the_lines_of_the_kind(void **state)
{
  (void)state;
  load(SERVICE("method tools/call require scope read; tool x deny; tool y allow"));
  assert_int_equal(tool(caller("read", "{}"), "x"), POLICY_DENY);
  assert_int_equal(tool(caller("read", "{}"), "y"), POLICY_ALLOW);
  assert_int_equal(tool(caller("", "{}"), "y"), POLICY_SCOPES);
}

/* row 67 */
static void test_tasks_are_refused_unless_they_are_on(void **state)
{
  (void)state;
  load(SERVICE("method tasks/* allow"));
  assert_int_equal(method("tasks/get"), POLICY_DENY);
}

static void test_tasks_on_opens_them(void **state)
{
  (void)state;
  load(SERVICE("tasks on"));
  assert_int_equal(method("tasks/get"), POLICY_ALLOW);
  assert_int_equal(method("tasks/steal"), POLICY_DENY);
}

/* ---- conditions: absence never grants */

static void test_an_absent_claim_is_not_met_and_neither_is_its_opposite(void **state)
{
  static const char *const claims[] = {"{}",
                                       "{\"tenant\":5}",
                                       "{\"tenant\":null}",
                                       "{\"tenant\":{\"acme\":1}}",
                                       "{\"tenant\":[7]}",
                                       "{\"tenant\":[[\"acme\"]]}"};
  (void)state;
  load(SERVICE("tool yes require tenant acme\n tool no require not tenant acme\n"
               " tool both require any { tenant acme; not tenant acme }"));
  for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
    assert_int_equal(tool(caller("", claims[i]), "yes"), POLICY_DENY);
    assert_int_equal(tool(caller("", claims[i]), "no"), POLICY_DENY);
    assert_int_equal(tool(caller("", claims[i]), "both"), POLICY_DENY);
  }
  assert_int_equal(tool(caller("", "{\"tenant\":\"acme\"}"), "yes"), POLICY_ALLOW);
  assert_int_equal(tool(caller("", "{\"tenant\":\"other\"}"), "no"), POLICY_ALLOW);
  assert_int_equal(tool(caller("", "{\"tenant\":\"other\"}"), "both"), POLICY_ALLOW);
}

static void test_each_condition_looks_at_what_it_says(void **state)
{
  static const struct {
    const char *condition, *claims;
    enum policy_verdict want;
  } rows[] = {
      {"role admin", "{\"role\":\"admin\"}", POLICY_ALLOW},
      {"role admin", "{\"role\":[\"x\",\"admin\"]}", POLICY_ALLOW},
      {"role admin", "{\"role\":[\"x\",\"Admin\"]}", POLICY_DENY},
      {"role admin", "{\"role\":[]}", POLICY_DENY},
      {"not role admin", "{\"role\":[]}", POLICY_ALLOW},
      {"not role admin", "{\"role\":[\"admin\",\"x\"]}", POLICY_DENY},
      {"tenant a b", "{\"tenant\":\"b\"}", POLICY_ALLOW},
      {"issuer https://i", "{}", POLICY_ALLOW},
      {"issuer https://i/", "{}", POLICY_DENY},
      {"subject ann", "{}", POLICY_ALLOW},
      {"not subject ann", "{}", POLICY_DENY},
      {"client app", "{}", POLICY_ALLOW},
      {"client other", "{}", POLICY_DENY},
      {"provider tokens", "{}", POLICY_ALLOW},
      {"provider corp", "{}", POLICY_DENY},
      {"address 192.0.2.0/24", "{}", POLICY_ALLOW},
      {"address 192.0.3.0/24", "{}", POLICY_DENY},
      {"not address 192.0.3.0/24", "{}", POLICY_ALLOW},
      {"address unix", "{}", POLICY_DENY},
      {"email_domain example.com", "{\"email\":\"a@EXAMPLE.com\"}", POLICY_ALLOW},
      {"email_domain example.com", "{\"email\":\"a@x.example.com\"}", POLICY_DENY},
      {"email_domain example.com", "{\"email\":\"a@example.com@evil\"}", POLICY_DENY},
      {"email_domain example.com", "{\"email\":\"@example.com\"}", POLICY_DENY},
      {"email_domain example.com", "{\"email\":\"a@example.com\",\"email_verified\":false}",
       POLICY_DENY},
      {"email_domain example.com", "{\"email\":\"a@example.com\",\"email_verified\":\"true\"}",
       POLICY_DENY},
      {"not email_domain example.com", "{\"email\":\"a@b\",\"email_verified\":false}", POLICY_DENY},
      {"not email_domain example.com", "{\"email\":\"a@b\"}", POLICY_ALLOW},
      {"claim /a/b = x", "{\"a\":{\"b\":\"x\"}}", POLICY_ALLOW},
      {"claim /a/b = x", "{\"a\":{\"b\":[\"y\",\"x\"]}}", POLICY_ALLOW},
      {"claim /a/0 = x", "{\"a\":[\"x\"]}", POLICY_ALLOW},
      {"claim /a~1b = x", "{\"a/b\":\"x\"}", POLICY_ALLOW},
      {"claim /a in x y", "{\"a\":\"y\"}", POLICY_ALLOW},
      {"claim /a in x y", "{\"a\":\"z\"}", POLICY_DENY},
      {"claim /a matches eng-*", "{\"a\":\"eng-db\"}", POLICY_ALLOW},
      {"claim /a matches eng-*", "{\"a\":[\"x\",\"eng-db\"]}", POLICY_ALLOW},
      {"claim /a matches eng-*", "{\"a\":\"Eng-db\"}", POLICY_DENY},
      {"claim /a = true", "{\"a\":true}", POLICY_ALLOW},
      {"claim /a = true", "{\"a\":false}", POLICY_DENY},
      {"not claim /a = true", "{\"a\":false}", POLICY_ALLOW},
      {"not claim /a = yes", "{\"a\":false}", POLICY_DENY},
      {"claim /a = 5", "{\"a\":5}", POLICY_ALLOW},
      {"claim /a = 5.0", "{\"a\":5}", POLICY_ALLOW},
      {"claim /a = 0.1", "{\"a\":0.1}", POLICY_ALLOW},
      {"claim /a = 9007199254740993", "{\"a\":9007199254740992}", POLICY_DENY},
      {"claim /a = 9007199254740993", "{\"a\":9007199254740993}", POLICY_ALLOW},
      {"claim /a >= 3", "{\"a\":3}", POLICY_ALLOW},
      {"claim /a > 3", "{\"a\":3}", POLICY_DENY},
      {"claim /a < 3", "{\"a\":[1]}", POLICY_DENY},
      {"claim /a < 3", "{\"a\":\"1\"}", POLICY_DENY},
      {"claim /account/ldap/groups = x", "{\"account\":{\"ldap\":{\"groups\":[\"x\"]}}}",
       POLICY_ALLOW},
  };
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
    char text[2048];
    snprintf(text, sizeof text, SERVICE("tool t require %s"), rows[i].condition);
    load(text);
    enum policy_verdict got = call(rows[i].claims, "{}");
    if (got != rows[i].want)
      fail_msg("%s with %s: %s", rows[i].condition, rows[i].claims, policy_verdict_name(got));
    config_free(config);
    config = NULL;
  }
}

static void test_arguments_are_compared_as_json_values(void **state)
{
  static const struct {
    const char *condition, *arguments;
    enum policy_verdict want;
  } rows[] = {
      {"argument /n < 1000", "{\"n\":999}", POLICY_ALLOW},
      {"argument /n < 1000", "{\"n\":1e3}", POLICY_DENY},
      {"argument /n < 1000", "{\"n\":-1e300}", POLICY_ALLOW},
      {"argument /n < 1000", "{\"n\":\"999\"}", POLICY_DENY},
      {"argument /n < 1000", "{\"n\":[999]}", POLICY_DENY},
      {"argument /n < 1000", "{}", POLICY_DENY},
      {"argument /n < 1000", NULL, POLICY_DENY},
      {"not argument /n < 1000", "{}", POLICY_DENY},
      {"not argument /n < 1000", "{\"n\":1000}", POLICY_ALLOW},
      {"argument /n <= 9007199254740992", "{\"n\":9007199254740993}", POLICY_DENY},
      {"argument /n = 18446744073709551616", "{\"n\":18446744073709551617}", POLICY_DENY},
      {"argument /n = 18446744073709551616", "{\"n\":18446744073709551616}", POLICY_ALLOW},
      {"argument /n = 100", "{\"n\":1.00e2}", POLICY_ALLOW},
      {"argument /n = 0", "{\"n\":-0.0}", POLICY_ALLOW},
      {"argument /n < 1", "{\"n\":1e-999999999}", POLICY_ALLOW},
      {"argument /n < 1", "{\"n\":1e-9999999999}", POLICY_DENY},
      {"argument /s = a", "{\"s\":\"\\u0061\"}", POLICY_ALLOW},
      {"argument /s = a", "{\"s\":[\"b\",\"a\"]}", POLICY_ALLOW},
      {"argument /s = a", "{\"s\":\"A\"}", POLICY_DENY},
      {"not argument /s = a", "{\"s\":[\"b\",\"c\"]}", POLICY_ALLOW},
      {"not argument /s = a", "{\"s\":[\"b\",{}]}", POLICY_DENY},
      {"not argument /s = a", "{\"s\":\"b\",\"s\":\"a\"}", POLICY_DENY},
      {"argument /s = b", "{\"s\":\"b\",\"s\":\"a\"}", POLICY_DENY},
      {"argument /s = b", "{\"s\":\"b\",\"S\":\"a\"}", POLICY_DENY},
      {"argument /s matches /srv/*", "{\"s\":\"/srv/a/b\"}", POLICY_ALLOW},
      {"argument /s matches /srv/*", "{\"s\":\"/srv/../etc/passwd\"}", POLICY_DENY},
      {"argument /s matches /srv/*", "{\"s\":\"/srv/x\\\\..\\\\y\"}", POLICY_DENY},
      {"argument /s matches /srv/*", "{\"s\":\"/srv/%2e%2e/y\"}", POLICY_DENY},
      {"argument /s matches /srv/*", "{\"s\":[\"/srv/a\",\"/etc/passwd\"]}", POLICY_DENY},
      {"argument /o/p in x y", "{\"o\":{\"p\":\"y\"}}", POLICY_ALLOW},
  };
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
    char text[2048];
    snprintf(text, sizeof text, SERVICE("tool t require %s"), rows[i].condition);
    load(text);
    enum policy_verdict got = call("{}", rows[i].arguments);
    if (got != rows[i].want)
      fail_msg("%s with %s: %s", rows[i].condition, rows[i].arguments, policy_verdict_name(got));
    config_free(config);
    config = NULL;
  }
}

static void test_not_reaches_into_blocks(void **state)
{
  (void)state;
  load(SERVICE("tool none require not any { role a; role b }\n"
               " tool nor require not all { role a; role b }\n"
               " tool twice require not not role a"));
  const struct policy_caller *a = caller("", "{\"role\":[\"a\"]}"),
                             *ab = caller("", "{\"role\":[\"a\",\"b\"]}"),
                             *c = caller("", "{\"role\":[\"c\"]}"), *none = caller("", "{}");
  assert_int_equal(tool(a, "none"), POLICY_DENY);
  assert_int_equal(tool(c, "none"), POLICY_ALLOW);
  assert_int_equal(tool(none, "none"), POLICY_DENY);
  assert_int_equal(tool(a, "nor"), POLICY_ALLOW);
  assert_int_equal(tool(ab, "nor"), POLICY_DENY);
  assert_int_equal(tool(none, "nor"), POLICY_DENY);
  assert_int_equal(tool(a, "twice"), POLICY_ALLOW);
  assert_int_equal(tool(c, "twice"), POLICY_DENY);
}

/* ---- scopes and the challenge */

/* The names that the challenge would have. */
static const char *needs(const struct policy_decision *d)
{
  static char text[256];
  text[0] = 0;
  for (size_t i = 0; i < d->n_needs; i++) {
    strcat(text, i ? " " : "");
    strcat(text, d->needs[i]->name);
  }
  return text;
}

static void test_the_challenge_names_all_that_the_operation_needs(void **state)
{
  (void)state;
  load(SERVICE("require scope read\n tool t require { scope write; tenant acme }"));
  struct policy_decision d =
      decide(caller("read", "{\"tenant\":\"acme\"}"), "tools/call", RULE_TOOL, "t", NULL);
  assert_int_equal(d.verdict, POLICY_SCOPES);
  assert_string_equal(needs(&d), "read write");
  assert_int_equal(d.rule->at.line, 9);
  d = decide(caller("", "{\"tenant\":\"other\"}"), "tools/call", RULE_TOOL, "t", NULL);
  assert_int_equal(d.verdict, POLICY_DENY);
  assert_int_equal(d.n_needs, 0);
}

static void
test_the_challenge_of_any_names_the_first_alternative_that_lacks_only_scopes(void **state)
{
  (void)state;
  load(SERVICE("tool t require any { all { scope read; tenant acme }; scope write; scope read }"));
  struct policy_decision d =
      decide(caller("", "{\"tenant\":\"x\"}"), "tools/call", RULE_TOOL, "t", NULL);
  assert_int_equal(d.verdict, POLICY_SCOPES);
  assert_string_equal(needs(&d), "write");
  d = decide(caller("", "{\"tenant\":\"acme\"}"), "tools/call", RULE_TOOL, "t", NULL);
  assert_string_equal(needs(&d), "read");
}

static void test_an_alternative_that_is_met_beats_one_that_lacks_scopes(void **state)
{
  (void)state;
  load(SERVICE("tool t require { any { scope write; tenant acme }; scope read }"));
  struct policy_decision d =
      decide(caller("", "{\"tenant\":\"acme\"}"), "tools/call", RULE_TOOL, "t", NULL);
  assert_int_equal(d.verdict, POLICY_SCOPES);
  assert_string_equal(needs(&d), "read");
}

static void test_a_scope_that_the_caller_may_not_hold_is_no_challenge(void **state)
{
  (void)state;
  load(SERVICE("tool t require scope admin\n tool u require any { scope admin; scope read }"));
  assert_int_equal(tool(caller("", "{\"role\":\"user\"}"), "t"), POLICY_DENY);
  assert_int_equal(tool(caller("", "{\"role\":\"admin\"}"), "t"), POLICY_SCOPES);
  assert_int_equal(tool(caller("admin", "{}"), "t"), POLICY_ALLOW);
  struct policy_decision d = decide(caller("", "{}"), "tools/call", RULE_TOOL, "u", NULL);
  assert_int_equal(d.verdict, POLICY_SCOPES);
  assert_string_equal(needs(&d), "read");
}

static void test_a_broad_scope_does_for_a_narrow_one(void **state)
{
  (void)state;
  load(SERVICE("tool t require scope read"));
  assert_int_equal(tool(caller("write", "{}"), "t"), POLICY_ALLOW);
}

static void test_require_of_the_service_holds_for_every_operation(void **state)
{
  (void)state;
  load(SERVICE("require tenant acme; require { scope read; any { role a; role b } }; tool x hide"));
  const struct policy_caller *good = caller("read", "{\"tenant\":\"acme\",\"role\":\"b\"}");
  assert_int_equal(tool(good, "x"), POLICY_HIDE);
  assert_int_equal(decide(good, "ping", RULE_METHOD, "", NULL).verdict, POLICY_ALLOW);
  assert_int_equal(decide(caller("", "{}"), "", RULE_METHOD, "", NULL).verdict, POLICY_DENY);
  assert_int_equal(
      decide(caller("read", "{\"tenant\":\"acme\"}"), "ping", RULE_METHOD, "", NULL).verdict,
      POLICY_DENY);
  assert_int_equal(
      decide(caller("", "{\"tenant\":\"acme\",\"role\":\"a\"}"), "ping", RULE_METHOD, "", NULL)
          .verdict,
      POLICY_SCOPES);
}

/* ---- callers without a credential */

static const struct policy_caller nobody = {.address = "192.0.2.7"};

static void test_without_a_credential_only_what_an_anonymous_line_opens_is_open(void **state)
{
  (void)state;
  load(SERVICE("require scope read; require tenant acme; anonymous ping tools/list tools/call\n"
               "tool open allow; tool closed require scope write; tool gone hide; tool no deny"));
  assert_int_equal(decide(&nobody, "ping", RULE_METHOD, "", NULL).verdict, POLICY_ALLOW);
  assert_int_equal(decide(&nobody, "initialize", RULE_METHOD, "", NULL).verdict, POLICY_SIGN_IN);
  assert_int_equal(decide(&nobody, "", RULE_METHOD, "", NULL).verdict, POLICY_SIGN_IN);
  assert_int_equal(tool(&nobody, "open"), POLICY_ALLOW);
  assert_int_equal(tool(&nobody, "closed"), POLICY_SIGN_IN);
  assert_int_equal(tool(&nobody, "gone"), POLICY_HIDE);
  assert_int_equal(tool(&nobody, "no"), POLICY_DENY);
}

static void test_require_address_holds_without_a_credential(void **state)
{
  (void)state;
  load(SERVICE("require { address 10.0.0.0/8; tenant acme }; anonymous ping"));
  const struct policy_caller inside = {.address = "10.1.2.3"};
  assert_int_equal(decide(&nobody, "ping", RULE_METHOD, "", NULL).verdict, POLICY_SIGN_IN);
  assert_int_equal(decide(&inside, "ping", RULE_METHOD, "", NULL).verdict, POLICY_ALLOW);
}

/* ---- memory */

static void test_when_memory_is_short_the_answer_is_no(void **state)
{
  (void)state;
  load(SERVICE("tool t require scope read"));
  const struct policy_caller *who = caller("read", "{}");
  const struct operation op = {
      .method = STR("tools/call"), .known = true, .kind = RULE_TOOL, .item = STR("t")};
  struct arena *none = arena_new(1);
  struct policy_decision d;
  policy_decide(&config->services[0], who, &op, STR("{}"), none, &d);
  assert_int_equal(d.verdict, POLICY_DENY);
  assert_false(policy_listed(&config->services[0], who, RULE_TOOL, STR("t"), none));
  arena_free(none);
  assert_int_equal(tool(who, "t"), POLICY_ALLOW);
}

/* ---- lists (row 70) */

static bool shows(const struct policy_caller *who, const char *name)
{
  return policy_listed(&config->services[0], who, RULE_TOOL, str_of(name), arena);
}

static void test_lists_show_what_may_be_called_and_what_only_scopes_keep_back(void **state)
{
  (void)state;
  load(SERVICE(
      "tool open allow; tool no deny; tool gone hide; tool w require scope write\n"
      "tool a require scope admin; tool n require argument /n < 5; tool t require tenant x\n"
      "tool m require { argument /n < 5; not argument /s = x; tenant x }"));
  const struct policy_caller *who = caller("", "{}");
  assert_true(shows(who, "open"));
  assert_false(shows(who, "no"));
  assert_false(shows(who, "gone"));
  assert_true(shows(who, "w"));
  assert_false(shows(who, "a"));
  assert_true(shows(caller("", "{\"role\":\"admin\"}"), "a"));
  assert_true(shows(who, "n"));
  assert_false(shows(who, "t"));
  assert_false(shows(who, "m"));
  assert_true(shows(caller("", "{\"tenant\":\"x\"}"), "m"));
  assert_false(shows(who, "unknown"));
}

static void test_list_granted_leaves_out_what_a_scope_keeps_back(void **state)
{
  (void)state;
  load(SERVICE("list granted; tool open allow; tool w require scope write"));
  assert_true(shows(caller("", "{}"), "open"));
  assert_false(shows(caller("", "{}"), "w"));
  assert_true(shows(caller("write", "{}"), "w"));
}

static void test_a_method_line_reaches_into_lists(void **state)
{
  (void)state;
  load(SERVICE("method tools/call deny"));
  assert_false(shows(caller("", "{}"), "open"));
}

static void test_without_a_credential_lists_show_what_signing_in_opens_to_everybody(void **state)
{
  (void)state;
  load(SERVICE("anonymous tools/list; tool open allow; tool w require scope write\n"
               "tool a require scope admin; tool t require tenant x"));
  assert_true(shows(&nobody, "open"));
  assert_true(shows(&nobody, "w"));
  assert_false(shows(&nobody, "a"));
  assert_false(shows(&nobody, "t"));
}

static bool shows_template(const char *text)
{
  return policy_listed_template(&config->services[0], caller("", "{}"), str_of(text), arena);
}

static void test_templates_are_listed_when_one_of_their_uris_could_be_read(void **state)
{
  (void)state;
  load(SERVICE("resource note://public/* allow; resource note://secret/* deny\n"
               "resource note://mixed/a allow; resource note://mixed/* hide"));
  assert_true(shows_template("note://public/{id}"));
  assert_true(shows_template("note://{+path}"));
  assert_false(shows_template("note://secret/{id}"));
  assert_true(shows_template("note://mixed/{id}"));
  assert_false(shows_template("note://mixed/x{id}"));
  assert_false(shows_template("other://{id}"));
  assert_true(shows_template("note://public/x"));
}

static void test_templates_are_listed_by_what_the_hub_and_the_service_say(void **state)
{
  (void)state;
  load("hub { public_url http://127.0.0.1:1; resource note://a/* allow; resource note://b/x deny\n"
       "  resource note://c/* deny; resource note://d/* allow }\n" HUB
       "service s { path /s; upstream http://127.0.0.1:9/; auth required tokens\n"
       " resource note://a/* deny; resource note://b/* allow; resource note://c/* allow\n"
       " resource note://d/x deny }\n");
  assert_false(shows_template("note://a/{id}"));
  assert_true(shows_template("note://b/{id}"));
  assert_false(shows_template("note://c/{id}"));
  assert_true(shows_template("note://d/{id}"));
  assert_false(shows_template("note://e/{id}"));
}

/* ---- who may hold a scope */

static void test_entitlement_follows_for(void **state)
{
  (void)state;
  load(SERVICE(""));
  const struct config_scope *admin = config->scopes[0], *read = config->scopes[1];
  assert_string_equal(admin->name, "admin");
  assert_true(policy_entitled(caller("", "{}"), read));
  assert_false(policy_entitled(caller("", "{}"), admin));
  assert_true(policy_entitled(caller("", "{\"role\":[\"admin\"]}"), admin));
  assert_false(policy_entitled(&nobody, read));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_the_first_line_that_matches_decides),
      TEST(test_a_line_that_requires_is_final_when_it_is_not_met),
      TEST(test_no_match_is_deny_in_a_kind_that_has_lines),
      TEST(test_the_stricter_of_the_hubs_line_and_the_services_decides),
      TEST(test_templates_are_listed_by_what_the_hub_and_the_service_say),
      TEST(test_a_policy_stands_where_it_is_named),
      TEST(test_a_policy_that_is_named_first_decides_first),
      TEST(test_what_looks_like_a_name_matches_no_glob),
      TEST(test_a_literal_matches_byte_for_byte),
      TEST(test_a_star_stands_for_any_run_of_bytes),
      TEST(test_a_resource_glob_matches_canonical_uris),
      TEST(test_a_query_is_matched_behind_a_question_mark_only),
      TEST(test_a_resource_literal_is_the_uri_byte_for_byte),
      TEST(test_a_method_that_no_schema_has_needs_a_line),
      TEST(test_a_method_line_does_not_skip_the_lines_of_the_kind),
      TEST(test_tasks_are_refused_unless_they_are_on),
      TEST(test_tasks_on_opens_them),
      TEST(test_an_absent_claim_is_not_met_and_neither_is_its_opposite),
      TEST(test_each_condition_looks_at_what_it_says),
      TEST(test_arguments_are_compared_as_json_values),
      TEST(test_not_reaches_into_blocks),
      TEST(test_the_challenge_names_all_that_the_operation_needs),
      TEST(test_the_challenge_of_any_names_the_first_alternative_that_lacks_only_scopes),
      TEST(test_an_alternative_that_is_met_beats_one_that_lacks_scopes),
      TEST(test_a_scope_that_the_caller_may_not_hold_is_no_challenge),
      TEST(test_a_broad_scope_does_for_a_narrow_one),
      TEST(test_require_of_the_service_holds_for_every_operation),
      TEST(test_without_a_credential_only_what_an_anonymous_line_opens_is_open),
      TEST(test_require_address_holds_without_a_credential),
      TEST(test_when_memory_is_short_the_answer_is_no),
      TEST(test_lists_show_what_may_be_called_and_what_only_scopes_keep_back),
      TEST(test_list_granted_leaves_out_what_a_scope_keeps_back),
      TEST(test_a_method_line_reaches_into_lists),
      TEST(test_without_a_credential_lists_show_what_signing_in_opens_to_everybody),
      TEST(test_templates_are_listed_when_one_of_their_uris_could_be_read),
      TEST(test_entitlement_follows_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
