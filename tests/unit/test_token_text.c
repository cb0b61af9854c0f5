/* Random texts: what they may look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "oauth/token_text.h"

static struct arena *arena;

static int set_up(void **state)
{
  (void)state;
  arena = arena_new(1 << 20);
  return arena ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  arena_free(arena);
  return 0;
}

static void test_no_grants_id_looks_like_an_option(void **state)
{
  (void)state;
  for (int i = 0; i < 1000; i++) {
    struct str id = grant_id(arena);
    assert_non_null(id.p);
    assert_true((id.p[0] >= 'a' && id.p[0] <= 'z') || (id.p[0] >= '0' && id.p[0] <= '9'));
  }
}

static void test_a_grants_id_has_128_random_bits(void **state)
{
  (void)state;
  struct str a = grant_id(arena), b = grant_id(arena);
  assert_int_equal(a.n, 1 + 22);
  assert_int_equal(b.n, a.n);
  assert_memory_not_equal(a.p, b.p, a.n);
}

static void test_a_prefix_stands_in_front(void **state)
{
  (void)state;
  struct str id = random_text(arena, "mcp-", 16);
  assert_true(str_starts(id, "mcp-"));
  assert_int_equal(id.n, 4 + 22);
}

static void test_more_than_the_buffer_holds_is_refused(void **state)
{
  (void)state;
  assert_null(random_text(arena, "", 65).p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_grants_id_looks_like_an_option),
      cmocka_unit_test(test_a_grants_id_has_128_random_bits),
      cmocka_unit_test(test_a_prefix_stands_in_front),
      cmocka_unit_test(test_more_than_the_buffer_holds_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
