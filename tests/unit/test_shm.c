/* The shared page: counters over processes that come and go, epochs, marks for fetches. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ops/shm.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

static struct shm *shm;

static int setup(void **state)
{
  (void)state;
  shm = shm_create(NULL);
  return shm ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  clock_freeze(-1, -1);
  return 0;
}

/* Counts N in another process and waits for its end. */
static int child_counts(uint64_t n, int64_t open)
{
  int pid = fork();
  if (pid == 0) {
    if (shm_attach(shm, getpid()) < 0)
      _exit(1);
    metric_add(METRIC_CONNECTIONS, n);
    metric_set(METRIC_CONNECTIONS_OPEN, open);
    shm_turn(shm, 77);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  return pid;
}

static void test_counters_of_all_processes_add_up(void **state)
{
  (void)state;
  child_counts(3, 0);
  child_counts(4, 0);
  assert_int_equal(shm_attach(shm, getpid()), 0);
  metric_add(METRIC_CONNECTIONS, 10);
  assert_int_equal(shm_total(shm, METRIC_CONNECTIONS), 17);
  assert_int_equal(shm_total(shm, METRIC_RELOADS), 0);
}

static void test_counters_do_not_fall_when_a_process_ends(void **state)
{
  (void)state;
  int pid = child_counts(5, 2);
  assert_int_equal(shm_total(shm, METRIC_CONNECTIONS), 5);
  shm_fold(shm, pid);
  shm_fold(shm, pid);
  assert_int_equal(shm_total(shm, METRIC_CONNECTIONS), 5);
  child_counts(1, 0); /* may take the freed slot */
  assert_int_equal(shm_total(shm, METRIC_CONNECTIONS), 6);
}

static void test_gauges_count_the_living_only(void **state)
{
  (void)state;
  int a = child_counts(0, 2), b = child_counts(0, 5);
  assert_int_equal(shm_total(shm, METRIC_CONNECTIONS_OPEN), 7);
  shm_fold(shm, a);
  assert_int_equal(shm_total(shm, METRIC_CONNECTIONS_OPEN), 5);
  shm_fold(shm, b);
  assert_int_equal(shm_total(shm, METRIC_CONNECTIONS_OPEN), 0);
}

static void test_slots_are_reused_and_bounded(void **state)
{
  (void)state;
  for (int i = 1; i <= SHM_SLOTS; i++)
    assert_int_equal(shm_attach(shm, i), 0);
  assert_int_equal(shm_attach(shm, SHM_SLOTS + 1), -1);
  metric_add(METRIC_CONNECTIONS, 1); /* goes nowhere, and into nobody else's slot */
  assert_int_equal(shm_total(shm, METRIC_CONNECTIONS), 0);
  shm_fold(shm, 7);
  assert_int_equal(shm_attach(shm, SHM_SLOTS + 1), 0);
}

/* row 133 */
static void test_turns_are_seen_by_another_process(void **state)
{
  (void)state;
  int pid = child_counts(0, 0);
  assert_int_equal(shm_turns_of(shm, pid), 77);
  assert_int_equal(shm_turns_of(shm, pid + 1), 0);
  shm_fold(shm, pid);
  assert_int_equal(shm_turns_of(shm, pid), 0);
}

static void test_a_revocation_is_seen_by_another_process(void **state)
{
  (void)state;
  uint64_t before = shm_epoch(shm, STR("https://idp"), STR("alice"));
  int pid = fork();
  if (pid == 0) {
    shm_revoke(shm, STR("https://idp"), STR("alice"));
    _exit(0);
  }
  waitpid(pid, NULL, 0);
  assert_true(shm_revocations(shm) > 0);
  assert_true(shm_epoch(shm, STR("https://idp"), STR("alice")) != before);
  assert_int_equal(shm_epoch(shm, STR("https://idp"), STR("bob")), 0);
  assert_int_equal(shm_epoch(shm, STR("https://idpa"), STR("lice")), 0);
  uint64_t number = shm_revocations(shm);
  before = shm_epoch(shm, STR("https://idp"), STR("alice"));
  shm_revoke_all(shm);
  assert_true(shm_revocations(shm) != number);
  assert_true(shm_epoch(shm, STR("https://idp"), STR("alice")) != before);
  assert_int_equal(shm_epoch(shm, STR("https://idp"), STR("bob")), 1);
}

static void test_a_url_is_fetched_out_of_turn_once_an_interval(void **state)
{
  (void)state;
  struct str url = STR("https://idp/jwks");
  clock_freeze(0, 5000);
  assert_true(shm_may_fetch(shm, url, 30000));
  assert_false(shm_may_fetch(shm, url, 30000));
  assert_true(shm_may_fetch(shm, STR("https://other/jwks"), 30000));
  clock_freeze(0, 34999);
  assert_false(shm_may_fetch(shm, url, 30000));
  clock_freeze(0, 35000);
  assert_true(shm_may_fetch(shm, url, 30000));
}

static void test_of_many_processes_one_may_fetch(void **state)
{
  (void)state;
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  for (int i = 0; i < 8; i++)
    if (fork() == 0) {
      if (shm_may_fetch(shm, STR("https://idp/jwks"), 30000))
        _exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
      _exit(0);
    }
  for (int i = 0; i < 8; i++)
    wait(NULL);
  close(fds[1]);
  char got[9];
  assert_int_equal(read(fds[0], got, sizeof got), 1);
  close(fds[0]);
}

static void test_every_metric_has_a_name_and_a_type(void **state)
{
  (void)state;
  for (int m = 0; m < METRIC_COUNT; m++) {
    const struct metric_info *i = &metric_info[m];
    assert_true(strcmp(i->type, "counter") == 0 || strcmp(i->type, "gauge") == 0);
    assert_int_equal(strncmp(i->name, "mcpauth_", 8), 0);
    assert_true(strlen(i->help) > 0);
    /* the convention of the format: counters, and only they, end in _total */
    assert_int_equal(strcmp(i->type, "counter") == 0,
                     strcmp(i->name + strlen(i->name) - 6, "_total") == 0);
  }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(test_counters_of_all_processes_add_up),
      T(test_counters_do_not_fall_when_a_process_ends),
      T(test_gauges_count_the_living_only),
      T(test_slots_are_reused_and_bounded),
      T(test_turns_are_seen_by_another_process),
      T(test_a_revocation_is_seen_by_another_process),
      T(test_a_url_is_fetched_out_of_turn_once_an_interval),
      T(test_of_many_processes_one_may_fetch),
      T(test_every_metric_has_a_name_and_a_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
