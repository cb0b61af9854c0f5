/* src/util/json.c: documents that are read whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

static bool parses(struct str text, size_t depth, size_t values)
{
  struct err e = {""};
  json_t *j = json_parse(text, depth, values, &e);
  assert_true(j != NULL || e.text[0] != 0);
  json_decref(j);
  return j != NULL;
}

static void test_what_is_not_one_strict_document_is_refused(void **state)
{
  static const struct str rows[] = {
      STR_INIT(""),
      STR_INIT("{\"a\":1,\"a\":2}"),
      STR_INIT("{\"a\":1,\"\\u0061\":2}"),
      STR_INIT("{\"a\":1}x"),
      STR_INIT("{\"a\":1\0}"),
      STR_INIT("\xef\xbb\xbf{}"),
      STR_INIT("[1,]"),
      STR_INIT("{a:1}"),
      STR_INIT("[NaN]"),
      STR_INIT("\"\xff\""),
      STR_INIT("\"\\ud800\""),
      STR_INIT("{} {}"),
      STR_INIT("{\"a\":1}\0"),
  };
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
    if (parses(rows[i], 8, 100))
      fail_msg("row %zu was taken", i);
}

/* row 161 */
static void test_depth_is_counted_before_anything_is_built(void **state)
{
  char deep[2 * 65 + 1];
  (void)state;
  memset(deep, '[', 65);
  memset(deep + 65, ']', 65);
  assert_true(parses((struct str){deep + 1, 128}, 64, 100));
  assert_false(parses((struct str){deep, 130}, 64, 100));
}

/* row 161: a megabyte of empty objects would take 77 MiB as a tree. */
static void test_values_are_counted_before_anything_is_built(void **state)
{
  enum { N = 350000 };
  char *bomb = malloc(3 * N + 2);
  (void)state;
  assert_non_null(bomb);
  for (size_t i = 0; i < N; i++)
    memcpy(bomb + 1 + 3 * i, "{},", 3);
  bomb[0] = '[';
  bomb[3 * N] = ']';
  struct err e = {""};
  assert_null(json_parse((struct str){bomb, 3 * N + 1}, 64, LIMIT_JSON_VALUES, &e));
  assert_non_null(strstr(e.text, "values"));
  free(bomb);
  assert_true(parses(STR("[1,2,3]"), 64, 4));
  assert_false(parses(STR("[1,2,3,4]"), 64, 4));
}

static void test_brackets_inside_strings_do_not_count(void **state)
{
  (void)state;
  assert_true(parses(STR("[\"[[[[{{{{,,,,::::\\\"[[\"]"), 1, 2));
}

static void test_a_pointer_leads_to_its_value_or_nowhere(void **state)
{
  static const struct {
    struct str pointer;
    int want; /* -1: nowhere */
  } rows[] = {
      {STR_INIT("/a/b/1"), 7},    {STR_INIT("/x~1y"), 8},   {STR_INIT("/x~0y"), 9},
      {STR_INIT("/"), 5},         {STR_INIT("/a/b/2"), -1}, {STR_INIT("/a/b/01"), -1},
      {STR_INIT("a"), -1},        {STR_INIT("/x~2"), -1},   {STR_INIT("/a/b/-"), -1},
      {STR_INIT("/a/b/1/c"), -1}, {STR_INIT("/a~"), -1},
  };
  (void)state;
  CLEANUP(json_drop)
  json_t *j = json_parse(STR("{\"a\":{\"b\":[6,7]},\"x/y\":8,\"x~y\":9,\"\":5}"), 8, 100, NULL);
  assert_non_null(j);
  assert_ptr_equal(json_pointer(j, STR("")), j);
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
    json_t *got = json_pointer(j, rows[i].pointer);
    assert_int_equal(got ? json_integer_value(got) : -1, rows[i].want);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_not_one_strict_document_is_refused),
      cmocka_unit_test(test_depth_is_counted_before_anything_is_built),
      cmocka_unit_test(test_values_are_counted_before_anything_is_built),
      cmocka_unit_test(test_brackets_inside_strings_do_not_count),
      cmocka_unit_test(test_a_pointer_leads_to_its_value_or_nowhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
