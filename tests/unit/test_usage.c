/* Use counts: nothing is lost or counted twice between workers, restarts and crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/usage.h"
#include "auth/usage_file.h"

static char dir[64];

static int setup(void **state)
{
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/mcpauth-usage.XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  return system(command);
}

static struct usage *open_usage(void)
{
  struct err e = {""};
  struct usage *u = usage_new(dir, NULL, NULL, &e);
  assert_string_equal(e.text, "");
  assert_non_null(u);
  return u;
}

static json_int_t uses(const char *instance, const char *key)
{
  struct err e = {""};
  json_t *keys = NULL;
  assert_int_equal(usage_read(dir, instance, &keys, &e), 0);
  json_int_t n = json_integer_value(json_object_get(json_object_get(keys, key), "uses"));
  json_decref(keys);
  return n;
}

static unsigned files(void)
{
  char command[160];
  snprintf(command, sizeof command, "ls '%s/usage' | grep -c json", dir);
  FILE *f = popen(command, "r");
  unsigned n = 0;
  assert_int_equal(fscanf(f, "%u", &n), 1);
  pclose(f);
  return n;
}

static void test_nothing_counted_reads_as_nothing(void **state)
{
  (void)state;
  assert_int_equal(uses("ci", "a"), 0);
}

static void test_uses_last_time_and_address_survive_a_restart(void **state)
{
  (void)state;
  struct err e = {""};
  json_t *keys = NULL;
  for (int run = 0; run < 2; run++) {
    struct usage *u = open_usage();
    usage_count(u, "ci", "deploy", "192.0.2.1", 1000 + run);
    usage_count(u, "ci", "deploy", run ? "2001:db8::1" : "192.0.2.9", 2000 + run);
    usage_count(u, "other", "deploy", "192.0.2.1", 5);
    usage_free(u);
  }
  assert_int_equal(usage_read(dir, "ci", &keys, &e), 0);
  json_t *k = json_object_get(keys, "deploy");
  assert_int_equal(json_integer_value(json_object_get(k, "uses")), 4);
  assert_int_equal(json_integer_value(json_object_get(k, "last")), 2001);
  assert_string_equal(json_string_value(json_object_get(k, "address")), "2001:db8::1");
  json_decref(keys);
  assert_int_equal(uses("other", "deploy"), 2);
  assert_int_equal(files(), 2); /* one an instance: the worker's own were folded */
}

static void test_a_running_workers_counts_are_seen_after_its_flush(void **state)
{
  (void)state;
  struct err e = {""};
  struct usage *u = open_usage();
  usage_count(u, "ci", "a", "::1", 1);
  assert_int_equal(uses("ci", "a"), 0);
  assert_int_equal(usage_flush(u, &e), 0);
  usage_count(u, "ci", "a", "::1", 2);
  assert_int_equal(usage_flush(u, &e), 0);
  assert_int_equal(uses("ci", "a"), 2);
  usage_free(u);
  assert_int_equal(uses("ci", "a"), 2);
}

static void test_workers_add_up_and_a_killed_ones_counts_stay(void **state)
{
  (void)state;
  for (int i = 0; i < 4; i++)
    if (fork() == 0) {
      struct err e = {""};
      struct usage *u = usage_new(dir, NULL, NULL, &e);
      for (int k = 0; k < 10; k++)
        usage_count(u, "ci", "a", "::1", 100 + i);
      usage_flush(u, &e);
      _exit(0); /* as if killed: nothing is folded */
    }
  for (int i = 0; i < 4; i++)
    assert_true(wait(NULL) > 0);
  assert_int_equal(uses("ci", "a"), 40);
  usage_free(open_usage());
  assert_int_equal(files(), 1);
  assert_int_equal(uses("ci", "a"), 40);
}

static void test_a_part_that_was_folded_but_not_removed_is_counted_once(void **state)
{
  (void)state;
  struct err e = {""};
  char path[128];
  usage_free(open_usage());
  snprintf(path, sizeof path, "%s/usage", dir);
  struct str part =
      STR("{\"folded\":[],\"keys\":{\"a\":{\"uses\":7,\"last\":1,\"address\":\"\"}}}");
  struct str base = STR("{\"folded\":[\"999999.5\"],"
                        "\"keys\":{\"a\":{\"uses\":7,\"last\":1,\"address\":\"\"}}}");
  assert_int_equal(usage_write_part(path, "ci", "999999.5", part, &e), 0);
  snprintf(path, sizeof path, "%s/usage/ci.json", dir);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fwrite(base.p, 1, base.n, f);
  fclose(f);
  assert_int_equal(uses("ci", "a"), 7);
  usage_free(open_usage());
  assert_int_equal(uses("ci", "a"), 7);
  assert_int_equal(files(), 1);
}

static void test_a_broken_file_is_an_error_for_the_reader_and_nothing_for_the_worker(void **state)
{
  (void)state;
  struct err e = {""};
  json_t *keys = NULL;
  char path[128];
  usage_free(open_usage());
  snprintf(path, sizeof path, "%s/usage/ci.json", dir);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("{\"folded\":[],\"keys\":", f);
  fclose(f);
  assert_int_equal(usage_read(dir, "ci", &keys, &e), -1);
  assert_non_null(strstr(e.text, "ci.json"));
  struct usage *u = open_usage();
  usage_count(u, "ci", "a", "::1", 1);
  usage_free(u);
}

static void test_keys_past_the_bound_are_not_kept(void **state)
{
  (void)state;
  struct usage *u = open_usage();
  char key[32], big[USAGE_KEY_MAX + 2];
  for (int i = 0; i < USAGE_KEYS_MAX + 5; i++) {
    snprintf(key, sizeof key, "k%d", i);
    usage_count(u, "ci", key, "::1", i);
  }
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  usage_count(u, "ci", big, "::1", 1);
  usage_free(u);
  assert_int_equal(uses("ci", "k0"), 1);
  assert_int_equal(uses("ci", "k20004"), 0);
  assert_int_equal(uses("ci", big), 0);
}

/* row 121 */
static void test_the_folder_is_the_owners_alone(void **state)
{
  (void)state;
  char path[128];
  struct stat st;
  usage_free(open_usage());
  snprintf(path, sizeof path, "%s/usage", dir);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_nothing_counted_reads_as_nothing),
      T(test_uses_last_time_and_address_survive_a_restart),
      T(test_a_running_workers_counts_are_seen_after_its_flush),
      T(test_workers_add_up_and_a_killed_ones_counts_stay),
      T(test_a_part_that_was_folded_but_not_removed_is_counted_once),
      T(test_a_broken_file_is_an_error_for_the_reader_and_nothing_for_the_worker),
      T(test_keys_past_the_bound_are_not_kept),
      T(test_the_folder_is_the_owners_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
