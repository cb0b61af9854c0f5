/* The grammar of the raw request target (row 47, row 48). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/target.h"
#include "util/limits.h"

static enum target_error parse(const char *raw)
{
  struct target t;
  return target_parse(str_of(raw), &t);
}

static void test_plain_paths_are_accepted_and_split_at_the_first_question_mark(void **state)
{
  (void)state;
  static const struct {
    const char *raw, *path, *query;
  } cases[] = {
      {"/", "/", NULL},
      {"/notes", "/notes", NULL},
      {"/notes/", "/notes/", NULL},
      {"/a/b.c/d_e/~f-9", "/a/b.c/d_e/~f-9", NULL},
      {"/.well-known/oauth-protected-resource/notes", "/.well-known/oauth-protected-resource/notes",
       NULL},
      {"/...", "/...", NULL},
      {"/notes?", "/notes", ""},
      {"/notes?a=b&c=%2F", "/notes", "a=b&c=%2F"},
      {"/?x?y=/../", "/", "x?y=/../"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct target t;
    assert_int_equal(target_parse(str_of(cases[i].raw), &t), TARGET_OK);
    assert_true(str_is(t.path, cases[i].path));
    assert_int_equal(t.query.p != NULL, cases[i].query != NULL);
    if (cases[i].query)
      assert_true(str_is(t.query, cases[i].query));
  }
}

static void test_anything_but_origin_form_is_refused(void **state)
{
  (void)state; /* row 47 */
  static const char *const cases[] = {"",         "*",       "notes", "http://host/notes",
                                      "host:443", "\\notes", " /",    "?x"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(parse(cases[i]), TARGET_NOT_ORIGIN_FORM);
}

static void test_paths_that_something_could_decode_or_normalise_are_refused(void **state)
{
  (void)state; /* row 48 */
  static const char *const cases[] = {
      "//",        "//notes",      "/notes//x", "/notes//", "/.",     "/..",     "/./notes",
      "/notes/..", "/notes/../x",  "/%2e%2e/x", "/a%2fb",   "/a%00",  "/a%252e", "/a\\b",
      "/a;b",      "/a#b",         "/a b",      "/a\tb",    "/a\x01", "/a\x7f",  "/\xc0\xae",
      "/\xc3\xa9", "/a:b",         "/a@b",      "/a,b",     "/a=b",   "/a+b",    "/a&b",
      "/a!",       "/a*",          "/a'b",      "/(a)",     "/$a",    "/a|b",    "/{a}",
      "/a^b",      "/notes/../?x", "/.?x",
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (parse(cases[i]) != TARGET_BAD_PATH)
      fail_msg("%s", cases[i]);
}

static void test_a_nul_does_not_end_the_target(void **state)
{
  (void)state; /* row 48 */
  struct target t;
  assert_int_equal(target_parse(STR("/svc-a\0/../svc-b"), &t), TARGET_BAD_PATH);
  assert_int_equal(target_parse(STR("/svc-a?x\0y"), &t), TARGET_BAD_QUERY);
}

static void test_queries_are_visible_ascii_without_a_fragment(void **state)
{
  (void)state;
  static const char *const cases[] = {"/?a b", "/?a#b", "/?\x01", "/?\x7f", "/?\xc3\xa9", "/?\t"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(parse(cases[i]), TARGET_BAD_QUERY);
  assert_int_equal(parse("/?!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), TARGET_OK);
}

static void test_the_longest_target_is_the_limit(void **state)
{
  (void)state; /* row 159 */
  char raw[LIMIT_TARGET + 1];
  memset(raw, 'a', sizeof raw);
  raw[0] = '/';
  struct target t;
  assert_int_equal(target_parse((struct str){raw, LIMIT_TARGET}, &t), TARGET_OK);
  assert_int_equal(target_parse((struct str){raw, LIMIT_TARGET + 1}, &t), TARGET_TOO_LONG);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plain_paths_are_accepted_and_split_at_the_first_question_mark),
      cmocka_unit_test(test_anything_but_origin_form_is_refused),
      cmocka_unit_test(test_paths_that_something_could_decode_or_normalise_are_refused),
      cmocka_unit_test(test_a_nul_does_not_end_the_target),
      cmocka_unit_test(test_queries_are_visible_ascii_without_a_fragment),
      cmocka_unit_test(test_the_longest_target_is_the_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
