/* Form parameters: one reading of every spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "oauth/params.h"
#include "util/cleanup.h"
#include "util/limits.h"

static struct arena *arena;

static int make_arena(void **state)
{
  (void)state;
  arena = arena_new(MIB(1));
  return arena ? 0 : -1;
}

static int drop_arena(void **state)
{
  (void)state;
  arena_free(arena);
  return 0;
}

static const struct {
  const char *text, *name, *value; /* value NULL: absent */
} readings[] = {
    {"a=1&b=2", "b", "2"},
    {"a=1&&b=2&", "b", "2"},
    {"scope=a+b%20c", "scope", "a b c"},
    {"r=http%3A%2F%2Fx%2f", "r", "http://x/"},
    {"r=a%3Db", "r", "a=b"},
    {"r=a=b", "r", "a=b"},
    {"r=%2b", "r", "+"},
    {"%72=1", "r", "1"},
    {"r=%C3%A4", "r", "\303\244"},
    {"r=", "r", NULL}, /* without a value: as if absent */
    {"r", "r", NULL},
    {"R=1", "r", NULL},
    {"r=1&r=2", "r", NULL},
    {"", "r", NULL},
};

static void test_parameters_are_decoded_once(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(readings); i++) {
    struct params p;
    assert_int_equal(params_parse(str_of(readings[i].text), arena, &p), 0);
    struct str value = params_get(&p, readings[i].name);
    if (readings[i].value == NULL ? value.p != NULL : !str_is(value, readings[i].value))
      fail_msg("%s: '%.*s'", readings[i].text, STR_ARG(value));
  }
}

static void test_malformed_encodings_are_refused(void **state)
{
  static const char *const bad[] = {"a=%",   "a=%2",  "a=%2g", "a=%g2",    "%=1",
                                    "a=%00", "%00=1", "a=%ff", "a=%C3%28", "a=%ED%A0%80"};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    struct params p;
    if (params_parse(str_of(bad[i]), arena, &p) == 0)
      fail_msg("%s was accepted", bad[i]);
  }
}

static void test_a_parameter_that_stands_there_twice_is_named(void **state) /* row 112 */
{
  static const char *const names[] = {"client_id", "state", NULL};
  struct params p;
  (void)state;
  assert_int_equal(params_parse(STR("state=1&x=1&x=2&client%5Fid=a&client_id="), arena, &p), 0);
  assert_string_equal(params_twice(&p, names), "client_id");
  assert_int_equal(params_parse(STR("state=1&x=1&x=2"), arena, &p), 0);
  assert_null(params_twice(&p, names));
}

static void test_more_parameters_than_the_limit_are_refused(void **state)
{
  struct buf b;
  struct params p;
  (void)state;
  buf_init(&b, KIB(64));
  for (int i = 0; i < LIMIT_PARAMS; i++)
    buf_printf(&b, "p%d=1&", i);
  assert_int_equal(params_parse(buf_view(&b), arena, &p), 0);
  assert_int_equal(p.n, LIMIT_PARAMS);
  buf_puts(&b, "one=more");
  assert_int_equal(params_parse(buf_view(&b), arena, &p), -1);
  buf_done(&b);
}

static void test_appended_parameters_cannot_add_others(void **state)
{
  struct buf b;
  (void)state;
  buf_init(&b, 256);
  buf_puts(&b, "https://c.example/cb");
  param_append(&b, "state", STR("a&code=b#c d%"));
  param_append(&b, "iss", STR("https://h"));
  assert_string_equal(b.p,
                      "https://c.example/cb?state=a%26code%3Db%23c%20d%25&iss=https%3A%2F%2Fh");
  buf_done(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parameters_are_decoded_once),
      cmocka_unit_test(test_malformed_encodings_are_refused),
      cmocka_unit_test(test_a_parameter_that_stands_there_twice_is_named),
      cmocka_unit_test(test_more_parameters_than_the_limit_are_refused),
      cmocka_unit_test(test_appended_parameters_cannot_add_others),
  };
  return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
