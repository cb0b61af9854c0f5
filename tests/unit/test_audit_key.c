/* The key of the audit log, and the lock that keeps it one daemon's. */
#include "audit_support.h"

#include <sys/stat.h>

/* row 121 */
static void test_the_key_is_made_once_for_the_owner_alone(void **state)
{
  (void)state;
  unsigned char one[32], two[32];
  struct err e = {""};
  struct stat st;
  assert_int_equal(audit_key(dir, one, &e), 0);
  assert_int_equal(audit_key(dir, two, &e), 0);
  assert_memory_equal(one, two, 32);
  assert_int_equal(stat(in_dir("audit.key"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
}

/* row 121 */
static void test_a_key_that_others_can_read_or_of_another_size_is_refused(void **state)
{
  (void)state;
  unsigned char k[32];
  struct err e = {""};
  assert_int_equal(audit_key(dir, k, &e), 0);
  chmod(in_dir("audit.key"), 0640);
  assert_int_equal(audit_key(dir, k, &e), -1);
  assert_non_null(strstr(e.text, "0600"));
  chmod(in_dir("audit.key"), 0600);
  assert_int_equal(truncate(in_dir("audit.key"), 31), 0);
  assert_int_equal(audit_key(dir, k, &e), -1);
  unlink(in_dir("audit.key"));
  assert_int_equal(symlink("/dev/zero", in_dir("audit.key")), 0);
  assert_int_equal(audit_key(dir, k, &e), -1);
}

/* row 182 */
static void test_a_second_daemon_is_refused_the_log(void **state)
{
  (void)state;
  int a, b, c;
  struct err e = {""};
  assert_int_equal(audit_lock(in_dir("log"), "100.1", &a, &e), 0);
  assert_int_equal(audit_lock(in_dir("log"), "200.1", &b, &e), -1);
  assert_non_null(strstr(e.text, "100.1"));
  assert_int_equal(audit_lock(in_dir("log"), "100.1", &b, &e), 0); /* its next generation */
  close(a);
  assert_int_equal(audit_lock(in_dir("log"), "200.1", &c, &e), -1);
  close(b);
  assert_int_equal(audit_lock(in_dir("log"), "200.1", &c, &e), 0);
  close(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_the_key_is_made_once_for_the_owner_alone),
      T(test_a_key_that_others_can_read_or_of_another_size_is_refused),
      T(test_a_second_daemon_is_refused_the_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
