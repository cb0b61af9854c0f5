/* Uploads: the least rate, and the budget's order, without waiting for either (row 157). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/inside.h"

static bool slow(size_t received, int64_t age_ms)
{
  struct request r = {.phase = PHASE_BODY, .body_started_ms = 1000};
  r.rq.body.n = received;
  return body_too_slow(&r, 1000 + age_ms);
}

static void test_a_body_has_ten_seconds_before_its_rate_counts(void **state)
{
  (void)state;
  assert_false(slow(0, 0));
  assert_false(slow(0, 10000));
  assert_true(slow(0, 10001));
}

static void test_a_body_must_come_at_a_kibibyte_a_second(void **state)
{
  (void)state;
  assert_true(slow(20 * 1024 - 1, 20000));
  assert_false(slow(20 * 1024, 20000));
  assert_false(slow(59 * 1024, 59999));
}

static void test_discarded_bytes_count_and_waiting_for_room_does_not(void **state)
{
  (void)state;
  struct request r = {.phase = PHASE_BODY, .discarded = 20 * 1024};
  assert_false(body_too_slow(&r, 20000));
  r.discarded = 0;
  assert_true(body_too_slow(&r, 20000));
  r.waits_for_room = true;
  assert_false(body_too_slow(&r, 20000));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_body_has_ten_seconds_before_its_rate_counts),
      cmocka_unit_test(test_a_body_must_come_at_a_kibibyte_a_second),
      cmocka_unit_test(test_discarded_bytes_count_and_waiting_for_room_does_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
