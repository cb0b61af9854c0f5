/* One line at work: what is remembered of it, how it waits, who shares its answer, where it runs
 * (rows 18, 133, 134, 184, 187).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "fakes.h"
#include "ops/shm.h"
#include "util/cleanup.h"
#include "util/clock.h"

static struct world w;

static int set_up(void **state)
{
  (void)state;
  world_init(&w);
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  clock_freeze(-1, -1);
  world_done(&w);
  return 0;
}

/* ---- the identity cache */

static void an_ok_is_reused_as_long_as_the_provider_says(void **state) /* row 18 */
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->reuse_ms = 1000;
  clock_freeze(1700000000000, 5000);
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK");
  clock_freeze(1700000000000, 5999);
  expect_told(&w, "t", "200 p0:OK*");
  expect_told(&w, "u", "200 p0:OK");
  clock_freeze(1700000000000, 6000);
  expect_told(&w, "t", "200 p0:OK");
  assert_int_equal(f->calls, 3);
}

static void an_ok_is_never_reused_past_its_expiry_or_the_ceiling(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->reuse_ms = 1000 * 1000 * 1000;
  f->expires_at = 1700000100;
  clock_freeze(1700000000000, 0);
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK");
  clock_freeze(1700000099999, 99999);
  expect_told(&w, "t", "200 p0:OK*");
  clock_freeze(1700000100000, 100000);
  expect_told(&w, "t", "401 p0:INVALID");
  f->expires_at = 0;
  expect_told(&w, "u", "200 p0:OK");
  clock_freeze(1700000100000, 100000 + 299999);
  expect_told(&w, "u", "200 p0:OK*");
  clock_freeze(1700000100000, 100000 + 300000);
  expect_told(&w, "u", "200 p0:OK");
}

static void a_clock_that_is_set_back_revives_no_identity(void **state) /* row 184 */
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->reuse_ms = 250000;
  f->expires_at = 1700000100;
  clock_freeze(1700000000000, 0);
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK");
  clock_freeze(1699990000000, 99999);
  expect_told(&w, "t", "200 p0:OK*");
  clock_freeze(1699990000000, 100000);
  expect_told(&w, "t", "200 p0:OK");
  assert_int_equal(f->calls, 2);
}

static void an_ok_that_may_not_be_reused_is_asked_again(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK");
  expect_told(&w, "t", "200 p0:OK");
  assert_int_equal(f->calls, 2);
}

static void an_identity_is_not_reused_at_another_service(void **state) /* row 18 */
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->reuse_ms = 60000;
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK");
  f->result = MCPAUTH_INVALID; /* not for that service */
  struct asked a;
  ask_from(&w, &a, "t", 1, "192.0.2.1");
  assert_string_equal(told(&a), "401 p0:INVALID");
  asked_done(&a);
  expect_told(&w, "t", "200 p0:OK*");
}

static void a_refusal_is_never_cached(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->reuse_ms = 60000;
  static const enum mcpauth_result results[] = {MCPAUTH_INVALID, MCPAUTH_DENY, MCPAUTH_UNAVAIL,
                                                MCPAUTH_IGNORE, MCPAUTH_PASS};
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
    struct asked a;
    f->result = results[i];
    ask(&w, &a, "t");
    assert_int_equal(f->calls, (int)i + 1);
    asked_done(&a);
  }
}

static void a_revocation_ends_a_cached_identity(void **state) /* row 187 */
{
  (void)state;
  world_one_line(&w, 0)->reuse_ms = 60000;
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK");
  expect_told(&w, "t", "200 p0:OK*");
  shm_revoke(w.shm, STR("https://idp"), STR("ann"));
  expect_told(&w, "t", "200 p0:OK");
  expect_told(&w, "t", "200 p0:OK*");
}

static void a_revocation_during_the_evaluation_is_not_cached_over(void **state) /* row 187 */
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->reuse_ms = 60000;
  f->way = FAKE_TIMER;
  f->delay_ms = 10;
  world_start(&w);
  struct asked a;
  ask(&w, &a, "t");
  assert_false(a.done);
  shm_revoke(w.shm, STR("https://idp"), STR("ann"));
  wait_for(&w, &a, 1);
  asked_done(&a);
  expect_told(&w, "t", "200 p0:OK");
  expect_told(&w, "t", "200 p0:OK*");
}

/* A service whose second line was never reached must not profit from the first line's identity. */
static void the_stack_runs_on_every_request_cached_or_not(void **state) /* row 18 */
{
  (void)state;
  struct fake *f = world_provider(&w, 0, 0), *g = world_provider(&w, 1, 0);
  *f = (struct fake){.result = MCPAUTH_OK, .subject = "ann", .reuse_ms = 60000};
  *g = (struct fake){.result = MCPAUTH_OK, .subject = "ann"};
  world_auth_line(&w, CONTROL_REQUIRED, 0);
  world_auth_line(&w, CONTROL_REQUIRED, 1);
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK p1:OK");
  g->result = MCPAUTH_INVALID;
  expect_told(&w, "t", "401 p0:OK* p1:INVALID");
}

/* ---- waiting */

static void a_continuation_answers(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  static const enum fake_way ways[] = {FAKE_TIMER, FAKE_JOB};
  world_start(&w);
  f->delay_ms = 5;
  for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
    f->way = ways[i];
    f->result = MCPAUTH_OK;
    expect_told(&w, "t", "200 p0:OK");
    f->result = MCPAUTH_INVALID;
    expect_told(&w, "t", "401 p0:INVALID");
  }
  assert_int_equal(f->released, 2);
}

static void a_provider_that_never_answers_is_unavailable_at_the_deadline(void **state) /* row 133 */
{
  (void)state;
  world_one_line(&w, 0)->way = FAKE_NEVER;
  w.providers[0].deadline_ms = 20;
  world_start(&w);
  struct asked a;
  ask(&w, &a, "t");
  wait_for(&w, &a, 1);
  assert_string_equal(told(&a), "503 p0:UNAVAIL");
  assert_string_equal(a.outcome.trace[0].reason, "timed out after 20 ms");
  asked_done(&a);
}

static void a_client_that_leaves_ends_the_call(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->delay_ms = 10;
  world_start(&w);
  static const enum fake_way ways[] = {FAKE_TIMER, FAKE_JOB, FAKE_NEVER};
  for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
    struct asked a;
    f->way = ways[i];
    ask(&w, &a, "t");
    assert_false(a.done);
    asked_done(&a);
    turn_for(&w, 30);
  }
  for (int turns = 0; turns < 1000 && f->released == 0; turns++)
    turn_for(&w, 30);
  assert_int_equal(f->released, 1);
}

/* A provider that looked at the wrong clock, or at none (row 134). */
static void an_ok_that_has_expired_already_is_no_ok(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->expires_at = 1700000000;
  clock_freeze(1700000000000, 5000);
  world_start(&w);
  expect_told(&w, "t", "401 p0:INVALID");
  clock_freeze(1699999999000, 5000);
  expect_told(&w, "t", "200 p0:OK");
}

/* ---- single flight */

enum { CROWD = 20 };

static void concurrent_misses_share_one_evaluation(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){.result = MCPAUTH_OK,
                     .subject = "ann",
                     .reuse_ms = 60000,
                     .looks = true,
                     .way = FAKE_TIMER,
                     .delay_ms = 10};
  world_start(&w);
  struct asked a[CROWD];
  for (size_t i = 0; i < CROWD; i++)
    ask_from(&w, &a[i], "t", 0, i % 2 ? "192.0.2.1" : "192.0.2.2");
  wait_for(&w, a, CROWD);
  assert_int_equal(f->calls, 1);
  for (size_t i = 0; i < CROWD; i++) {
    assert_string_equal(told(&a[i]), "200 p0:OK");
    asked_done(&a[i]);
  }
}

/* Whoever comes after a revocation takes no answer that was asked for before it. */
static void a_flight_from_before_a_revocation_takes_nobody_new(void **state) /* row 187 */
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){
      .result = MCPAUTH_OK, .subject = "ann", .reuse_ms = 60000, .way = FAKE_TIMER, .delay_ms = 10};
  world_start(&w);
  struct asked a[4];
  ask(&w, &a[0], "t");
  ask(&w, &a[1], "t");
  shm_revoke(w.shm, STR("https://idp"), STR("ann"));
  ask(&w, &a[2], "t");
  ask(&w, &a[3], "t");
  wait_for(&w, a, 4);
  assert_int_equal(f->calls, 2);
  for (size_t i = 0; i < 4; i++)
    asked_done(&a[i]);
}

static void the_leader_may_leave_and_nobody_is_lost(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){
      .result = MCPAUTH_OK, .subject = "ann", .reuse_ms = 60000, .way = FAKE_TIMER, .delay_ms = 10};
  world_start(&w);
  struct asked a[3];
  for (size_t i = 0; i < 3; i++)
    ask(&w, &a[i], "t");
  asked_done(&a[0]); /* the call was made with its request */
  asked_done(&a[2]);
  wait_for(&w, &a[1], 1);
  assert_string_equal(told(&a[1]), "200 p0:OK");
  assert_int_equal(f->calls, 1);
  asked_done(&a[1]);
}

static void when_all_leave_the_evaluation_ends_and_the_next_begins_anew(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){
      .result = MCPAUTH_OK, .subject = "ann", .reuse_ms = 60000, .way = FAKE_TIMER, .delay_ms = 10};
  world_start(&w);
  struct asked a[2];
  ask(&w, &a[0], "t");
  ask(&w, &a[1], "t");
  asked_done(&a[0]);
  asked_done(&a[1]);
  turn_for(&w, 30);
  expect_told(&w, "t", "200 p0:OK");
  assert_int_equal(f->calls, 2);
}

/* A refusal that may depend on the address is not handed to another address. */
static void a_refusal_is_shared_only_between_requests_that_look_the_same(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){.result = MCPAUTH_DENY, .looks = true, .way = FAKE_TIMER, .delay_ms = 10};
  world_start(&w);
  struct asked a[3];
  ask_from(&w, &a[0], "t", 0, "192.0.2.1");
  ask_from(&w, &a[1], "t", 0, "192.0.2.1");
  ask_from(&w, &a[2], "t", 0, "192.0.2.2");
  wait_for(&w, a, 3);
  assert_int_equal(f->calls, 2);
  for (size_t i = 0; i < 3; i++) {
    assert_string_equal(told(&a[i]), "403 p0:DENY");
    asked_done(&a[i]);
  }
}

static void an_ok_that_may_not_be_reused_is_not_shared_either(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){
      .result = MCPAUTH_OK, .subject = "ann", .looks = true, .way = FAKE_TIMER, .delay_ms = 10};
  world_start(&w);
  struct asked a[2];
  ask_from(&w, &a[0], "t", 0, "192.0.2.1");
  ask_from(&w, &a[1], "t", 0, "192.0.2.2");
  wait_for(&w, a, 2);
  assert_int_equal(f->calls, 2);
  asked_done(&a[0]);
  asked_done(&a[1]);
}

static void different_credentials_are_different_flights(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){
      .result = MCPAUTH_OK, .subject = "ann", .reuse_ms = 60000, .way = FAKE_TIMER, .delay_ms = 10};
  world_start(&w);
  struct asked a[3];
  ask(&w, &a[0], "t");
  ask(&w, &a[1], "u");
  ask_from(&w, &a[2], "t", 1, "192.0.2.1");
  wait_for(&w, a, 3);
  assert_int_equal(f->calls, 3);
  for (size_t i = 0; i < 3; i++)
    asked_done(&a[i]);
}

/* ---- blocking providers */

static void a_blocking_provider_answers_from_its_thread(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, MCPAUTH_BLOCKING);
  f->way = FAKE_SLEEP;
  f->delay_ms = 5;
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK");
  f->result = MCPAUTH_INVALID;
  f->reason = "no";
  expect_told(&w, "t", "401 p0:INVALID");
}

static void a_blocking_provider_cannot_wait_for_the_host(void **state) /* row 134 */
{
  (void)state;
  struct fake *f = world_one_line(&w, MCPAUTH_BLOCKING);
  static const enum fake_way ways[] = {FAKE_TIMER, FAKE_JOB, FAKE_PENDING_BARE};
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
    f->way = ways[i];
    expect_told(&w, "t", "500 p0:ERROR");
  }
}

/* Four job threads: one lane may use two of them. */
static void a_provider_whose_threads_are_stuck_is_unavailable_at_once(void **state) /* row 133 */
{
  (void)state;
  struct fake *f = world_one_line(&w, MCPAUTH_BLOCKING);
  f->way = FAKE_SLEEP;
  f->delay_ms = 1000;
  w.providers[0].deadline_ms = 20;
  world_start(&w);
  struct asked a[4];
  for (size_t i = 0; i < 4; i++)
    ask(&w, &a[i], i % 2 ? "t" : "u");
  wait_for(&w, a, 4);
  for (size_t i = 0; i < 4; i++) {
    assert_string_equal(told(&a[i]), "503 p0:UNAVAIL");
    asked_done(&a[i]);
  }
  ask(&w, &a[0], "v");
  assert_true(a[0].done); /* at once */
  assert_string_equal(told(&a[0]), "503 p0:UNAVAIL");
  assert_string_equal(a[0].outcome.trace[0].reason, "every job thread of this provider is stuck");
  asked_done(&a[0]);
  w.providers[0].deadline_ms = 30000;
  for (bool served = false; !served;) { /* when the first of them is free */
    turn_for(&w, 20);
    ask(&w, &a[0], "v");
    wait_for(&w, &a[0], 1);
    served = a[0].outcome.status == 200;
    assert_true(served || a[0].outcome.status == 503);
    asked_done(&a[0]);
  }
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(an_ok_is_reused_as_long_as_the_provider_says),
      T(an_ok_is_never_reused_past_its_expiry_or_the_ceiling),
      T(a_clock_that_is_set_back_revives_no_identity),
      T(an_ok_that_may_not_be_reused_is_asked_again),
      T(an_identity_is_not_reused_at_another_service),
      T(a_refusal_is_never_cached),
      T(a_revocation_ends_a_cached_identity),
      T(a_revocation_during_the_evaluation_is_not_cached_over),
      T(the_stack_runs_on_every_request_cached_or_not),
      T(a_continuation_answers),
      T(a_provider_that_never_answers_is_unavailable_at_the_deadline),
      T(a_client_that_leaves_ends_the_call),
      T(concurrent_misses_share_one_evaluation),
      T(the_leader_may_leave_and_nobody_is_lost),
      T(when_all_leave_the_evaluation_ends_and_the_next_begins_anew),
      T(a_refusal_is_shared_only_between_requests_that_look_the_same),
      T(an_ok_that_may_not_be_reused_is_not_shared_either),
      T(different_credentials_are_different_flights),
      T(a_flight_from_before_a_revocation_takes_nobody_new),
      T(an_ok_that_has_expired_already_is_no_ok),
      T(a_blocking_provider_answers_from_its_thread),
      T(a_blocking_provider_cannot_wait_for_the_host),
      T(a_provider_whose_threads_are_stuck_is_unavailable_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
