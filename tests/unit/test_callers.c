/* Callers in the shared page: rates, streams that end with their process, sessions, tasks, access
 * (row 79). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "ops/callers.h"

#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

static struct shm *shm;

static int setup(void **state)
{
  (void)state;
  shm = shm_create(NULL);
  clock_freeze(1000000, 1000000);
  return shm && shm_attach(shm, getpid()) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  clock_freeze(-1, -1);
  return 0;
}

static uint64_t address(const char *text)
{
  return caller_key(shm, CALLER_ADDRESS, str_of(text), STR(""), STR(""));
}

/* ---- rates */

static void test_a_rate_may_be_spent_at_once_and_comes_back_evenly(void **state)
{
  (void)state;
  uint64_t ada = address("10.0.0.1");
  for (int i = 0; i < 10; i++)
    assert_int_equal(caller_spend(shm, ada, 10, 1000), 0);
  assert_in_range(caller_spend(shm, ada, 10, 1000), 100, 101);
  clock_freeze(1000000, 1000100);
  assert_int_equal(caller_spend(shm, ada, 10, 1000), 0);
  assert_in_range(caller_spend(shm, ada, 10, 1000), 100, 101);
  clock_freeze(1000000, 1005000);
  for (int i = 0; i < 10; i++)
    assert_int_equal(caller_spend(shm, ada, 10, 1000), 0);
  assert_true(caller_spend(shm, ada, 10, 1000) > 0);
}

static void test_others_do_not_pay(void **state)
{
  (void)state;
  assert_int_equal(caller_spend(shm, address("10.0.0.1"), 1, 1000), 0);
  assert_true(caller_spend(shm, address("10.0.0.1"), 1, 1000) > 0);
  assert_int_equal(caller_spend(shm, address("10.0.0.2"), 1, 1000), 0);
}

static void test_looking_costs_nothing_and_no_limit_is_none(void **state)
{
  (void)state;
  uint64_t ada = address("10.0.0.1");
  for (int i = 0; i < 100; i++) {
    assert_int_equal(caller_wait(shm, ada, 1, 1000), 0);
    assert_int_equal(caller_spend(shm, ada, 0, 1000), 0);
  }
  assert_int_equal(caller_spend(shm, ada, 1, 1000), 0);
  assert_true(caller_wait(shm, ada, 1, 1000) > 0);
}

/* More callers than places: nobody gets more than her rate. */
static void test_a_full_table_never_gives_more(void **state)
{
  (void)state;
  char name[32];
  for (int i = 0; i < 100000; i++) {
    snprintf(name, sizeof name, "host-%d", i);
    caller_spend(shm, address(name), 1, 1000);
  }
  assert_true(caller_wait(shm, address(name), 1, 1000) > 0);
}

static void test_kinds_do_not_meet(void **state)
{
  (void)state;
  struct str a = STR("a"), none = STR("");
  assert_true(caller_key(shm, CALLER_ADDRESS, a, none, none) !=
              caller_key(shm, CALLER_SERVICE, a, none, none));
  assert_true(caller_key(shm, CALLER_OWNER, a, none, none) !=
              caller_key(shm, CALLER_OWNER, none, a, none));
}

/* ---- streams */

static void test_streams_are_counted_up_to_the_limit(void **state)
{
  (void)state;
  uint64_t ada = address("ada");
  uint32_t one = caller_stream_open(shm, ada, 2), two = caller_stream_open(shm, ada, 2);
  assert_true(one && two);
  assert_int_equal(caller_stream_open(shm, ada, 2), 0);
  assert_true(caller_stream_open(shm, address("eve"), 2) != 0);
  caller_stream_close(shm, one);
  assert_true(caller_stream_open(shm, ada, 2) != 0);
  assert_int_equal(caller_stream_open(shm, ada, 2), 0);
}

static void test_what_a_dead_process_held_is_given_back(void **state)
{
  (void)state;
  uint64_t ada = address("ada");
  assert_true(caller_stream_open(shm, ada, 4) != 0);
  pid_t pid = fork();
  if (pid == 0) {
    bool good = shm_attach(shm, getpid()) == 0;
    for (int i = 0; i < 3; i++)
      good = good && caller_stream_open(shm, ada, 4) != 0;
    _exit(good && caller_stream_open(shm, ada, 4) == 0 ? 0 : 1); /* crashes with three open */
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(caller_stream_open(shm, ada, 4), 0);
  shm_fold(shm, pid);
  for (int i = 0; i < 3; i++)
    assert_true(caller_stream_open(shm, ada, 4) != 0);
  assert_int_equal(caller_stream_open(shm, ada, 4), 0);
}

/* ---- sessions */

static void test_a_session_keeps_the_latest_expiry(void **state)
{
  (void)state;
  assert_int_equal(caller_session_expiry(shm, 77), 0);
  caller_session_seen(shm, 77, 500);
  caller_session_seen(shm, 77, 900);
  caller_session_seen(shm, 77, 600);
  assert_int_equal(caller_session_expiry(shm, 77), 900);
  assert_int_equal(caller_session_expiry(shm, 78), 0);
  caller_session_seen(shm, 77, 0);
  assert_true(caller_session_expiry(shm, 77) == INT64_MAX);
}

static void test_an_older_session_gives_way_and_is_forgotten_whole(void **state)
{
  (void)state;
  caller_session_seen(shm, 5, 900);
  assert_true(caller_session_claim(shm, 5, 42));
  assert_false(caller_session_claim(shm, 5, 43));
  clock_freeze(1000000, 2000000);
  for (uint64_t i = 0; i < 8; i++)
    caller_session_seen(shm, 5 + (i + 1) * 16384, 100);
  assert_int_equal(caller_session_expiry(shm, 5), 0);
  assert_false(caller_session_claim(shm, 5, 43)); /* it was somebody's */
  assert_int_equal(caller_session_expiry(shm, 5 + 16384), 100);
  assert_true(caller_session_claim(shm, 5 + 16384, 43));
}

static void test_nobodys_session_belongs_to_the_first(void **state)
{
  (void)state;
  assert_false(caller_session_claim(shm, 9, 0));
  caller_session_begun(shm, 9);
  assert_true(caller_session_claim(shm, 9, 0));
  assert_true(caller_session_claim(shm, 9, 42));
  assert_true(caller_session_claim(shm, 9, 42));
  assert_false(caller_session_claim(shm, 9, 43));
  assert_false(caller_session_claim(shm, 9, 0));
}

static void test_a_session_waits_for_as_many_replies_as_were_asked_for(void **state)
{
  (void)state;
  assert_false(caller_session_waits(shm, 9, 1000));
  caller_session_asked(shm, 9);
  caller_session_asked(shm, 9);
  caller_session_answered(shm, 9);
  assert_true(caller_session_waits(shm, 9, 1000));
  caller_session_answered(shm, 9);
  assert_false(caller_session_waits(shm, 9, 1000));
  caller_session_answered(shm, 9);
  caller_session_asked(shm, 9);
  assert_true(caller_session_waits(shm, 9, 1000));
  clock_freeze(1000000, 1001000);
  assert_false(caller_session_waits(shm, 9, 1000));
}

/* ---- tasks, access */

static void test_a_task_is_whose_it_was_first(void **state)
{
  (void)state;
  assert_false(caller_task_is(shm, 1, 42));
  caller_task_given(shm, 1, 42);
  caller_task_given(shm, 1, 43);
  assert_true(caller_task_is(shm, 1, 42));
  assert_false(caller_task_is(shm, 1, 43));
}

static void test_access_changes_with_a_later_generation_only(void **state)
{
  (void)state;
  uint64_t notes = caller_key(shm, CALLER_SERVICE, STR("notes"), STR(""), STR(""));
  caller_access_set(shm, notes, 1, 100);
  assert_false(caller_access_changed(shm, notes, 1, 100)); /* nothing came after it */
  caller_access_set(shm, notes, 2, 100);
  assert_false(caller_access_changed(shm, notes, 1, 100));
  caller_access_set(shm, notes, 1, 100);
  assert_false(caller_access_changed(shm, notes, 1, 100));
  caller_access_set(shm, notes, 3, 101);
  assert_true(caller_access_changed(shm, notes, 1, 100));
  assert_true(caller_access_changed(shm, notes + 1, 1, 100)); /* the service is gone */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_a_rate_may_be_spent_at_once_and_comes_back_evenly, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_others_do_not_pay, setup, teardown),
      cmocka_unit_test_setup_teardown(test_looking_costs_nothing_and_no_limit_is_none, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_a_full_table_never_gives_more, setup, teardown),
      cmocka_unit_test_setup_teardown(test_kinds_do_not_meet, setup, teardown),
      cmocka_unit_test_setup_teardown(test_streams_are_counted_up_to_the_limit, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_a_dead_process_held_is_given_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_session_keeps_the_latest_expiry, setup, teardown),
      cmocka_unit_test_setup_teardown(test_an_older_session_gives_way_and_is_forgotten_whole, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_nobodys_session_belongs_to_the_first, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_session_waits_for_as_many_replies_as_were_asked_for,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_task_is_whose_it_was_first, setup, teardown),
      cmocka_unit_test_setup_teardown(test_access_changes_with_a_later_generation_only, setup,
                                      teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
