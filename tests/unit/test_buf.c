/* Buffers: the maximum holds whichever way bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "util/buf.h"

static void add_one(struct buf *b)
{
  buf_add(b, "x", 1);
}

static void put_one(struct buf *b)
{
  buf_putc(b, 'x');
}

static void print_one(struct buf *b)
{
  buf_printf(b, "%c", 'x');
}

static void number_one(struct buf *b)
{
  buf_u64(b, 7);
}

static void test_no_way_in_leads_past_the_maximum(void **state)
{
  static void (*const ways[])(struct buf *) = {add_one, put_one, print_one, number_one};
  static const size_t maxima[] = {1, 2, 255, 256, 257, 300, 511, 512, 513};
  (void)state;
  for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++)
    for (size_t m = 0; m < sizeof maxima / sizeof maxima[0]; m++) {
      struct buf b;
      buf_init(&b, maxima[m]);
      for (size_t i = 0; i < maxima[m]; i++)
        ways[w](&b);
      assert_false(b.failed);
      assert_int_equal(b.n, maxima[m]);
      ways[w](&b);
      assert_true(b.failed);
      assert_int_equal(b.n, maxima[m]);
      buf_done(&b);
    }
}

static void test_a_failure_stays(void **state)
{
  struct buf b;
  (void)state;
  buf_init(&b, 4);
  assert_int_equal(buf_puts(&b, "12345"), -1);
  assert_int_equal(buf_puts(&b, "1"), -1);
  assert_int_equal(b.n, 0);
  buf_clear(&b);
  assert_int_equal(buf_puts(&b, "1234"), 0);
  buf_done(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_way_in_leads_past_the_maximum),
      cmocka_unit_test(test_a_failure_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
