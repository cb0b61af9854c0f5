/* Files that must be ours alone (rows 121 and 145). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/safefile.h"

static char dir[64], path[128], link_path[128];

static int set_up(void **state)
{
  (void)state;
  strcpy(dir, "/tmp/safefile-XXXXXX");
  if (mkdtemp(dir) == NULL)
    return -1;
  snprintf(path, sizeof path, "%s/f", dir);
  snprintf(link_path, sizeof link_path, "%s/l", dir);
  FILE *f = fopen(path, "w");
  if (f == NULL || fputs("hello", f) < 0 || fclose(f) != 0 || chmod(path, 0600) < 0)
    return -1;
  return symlink(path, link_path);
}

static int tear_down(void **state)
{
  (void)state;
  unlink(link_path);
  unlink(path);
  return rmdir(dir);
}

static int reads(const char *p, mode_t mode, size_t max, bool secret)
{
  struct buf b;
  struct err e = {""};
  buf_init(&b, 100);
  if (mode)
    assert_int_equal(chmod(path, mode), 0);
  int r = safefile_read(p, max, secret, &b, NULL, &e);
  if (r == 0)
    assert_true(str_eq(buf_view(&b), STR("hello")));
  else
    assert_true(strlen(e.text) > 0);
  buf_done(&b);
  return r;
}

static void reads_a_file_of_ours(void **state)
{
  (void)state;
  assert_int_equal(reads(path, 0600, 5, true), 0);
  assert_int_equal(reads(path, 0640, 5, true), 0);
  assert_int_equal(reads(path, 0644, 5, false), 0);
}

static void follows_a_link_and_judges_the_file(void **state)
{
  (void)state;
  assert_int_equal(reads(link_path, 0600, 5, true), 0);
  assert_int_equal(reads(link_path, 0666, 5, false), -1);
}

static void refuses_what_others_can_write(void **state)
{
  (void)state;
  assert_int_equal(reads(path, 0620, 5, false), -1);
  assert_int_equal(reads(path, 0602, 5, false), -1);
}

static void refuses_a_secret_that_others_can_read(void **state)
{
  (void)state;
  assert_int_equal(reads(path, 0644, 5, true), -1);
}

static void refuses_what_is_too_long_absent_or_no_file(void **state)
{
  (void)state;
  assert_int_equal(reads(path, 0600, 4, true), -1);
  assert_int_equal(reads("/tmp/safefile-no/such", 0, 4, true), -1);
  assert_int_equal(reads(dir, 0, 4, false), -1);
}

static void refuses_a_fifo_without_hanging(void **state)
{
  (void)state;
  unlink(link_path);
  assert_int_equal(mkfifo(link_path, 0600), 0);
  assert_int_equal(reads(link_path, 0, 100, false), -1);
}

static void refuses_the_file_of_somebody_else(void **state)
{
  (void)state;
  if (geteuid() != 0)
    skip();
  assert_int_equal(chown(path, 12345, 0), 0);
  assert_int_equal(reads(path, 0600, 5, false), -1);
}

static void notices_a_change(void **state)
{
  (void)state;
  struct stat before, after;
  assert_int_equal(stat(path, &before), 0);
  assert_int_equal(stat(path, &after), 0);
  assert_true(safefile_same(&before, &after));
  assert_int_equal(chmod(path, 0400), 0);
  assert_int_equal(stat(path, &after), 0);
  assert_false(safefile_same(&before, &after));
}

static void content(char out[64])
{
  struct err e = {""};
  struct buf b;
  buf_init(&b, 63);
  assert_int_equal(safefile_read(path, 63, true, &b, NULL, &e), 0);
  memcpy(out, b.p, b.n + 1);
  buf_done(&b);
}

/* What is in the folder, but for the file and the link to it. */
static void assert_nothing_left_behind(void)
{
  char command[160];
  snprintf(command, sizeof command, "test \"$(ls %s | sort | tr -d '\\n')\" = fl", dir);
  assert_int_equal(system(command), 0);
}

static void test_a_file_is_replaced_whole_with_its_mode(void **state)
{
  (void)state;
  struct stat st;
  char text[64];
  struct err e = {""};
  assert_int_equal(
      safefile_write(path, STR("new"), &(struct safefile_how){.mode = 0640, .sync = true}, &e), 0);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0640);
  content(text);
  assert_string_equal(text, "new");
  assert_nothing_left_behind();
}

static void test_a_file_that_is_there_first_stays(void **state)
{
  (void)state;
  char text[64];
  struct err e = {""};
  const struct safefile_how how = {.mode = 0600, .first = true};
  assert_int_equal(safefile_write(path, STR("second"), &how, &e), 0);
  content(text);
  assert_string_equal(text, "hello");
  unlink(path);
  assert_int_equal(safefile_write(path, STR("third"), &how, &e), 0);
  content(text);
  assert_string_equal(text, "third");
  assert_nothing_left_behind();
}

static void test_a_file_takes_the_mode_of_another(void **state)
{
  (void)state;
  struct stat like, st;
  struct err e = {""};
  assert_int_equal(chmod(path, 0604), 0);
  assert_int_equal(stat(path, &like), 0);
  assert_int_equal(safefile_write(path, STR("x"), &(struct safefile_how){.like = &like}, &e), 0);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0604);
  assert_int_equal(st.st_uid, like.st_uid);
}

static void test_a_folder_that_is_not_there_is_an_error(void **state)
{
  (void)state;
  struct err e = {""};
  const struct safefile_how how = {.mode = 0600};
  assert_int_equal(safefile_write("/nonexistent/f", STR("x"), &how, &e), -1);
  assert_non_null(strstr(e.text, "/nonexistent/f"));
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      WITH_FILE(reads_a_file_of_ours),
      WITH_FILE(follows_a_link_and_judges_the_file),
      WITH_FILE(refuses_what_others_can_write),
      WITH_FILE(refuses_a_secret_that_others_can_read),
      WITH_FILE(refuses_what_is_too_long_absent_or_no_file),
      WITH_FILE(refuses_a_fifo_without_hanging),
      WITH_FILE(refuses_the_file_of_somebody_else),
      WITH_FILE(notices_a_change),
      WITH_FILE(test_a_file_is_replaced_whole_with_its_mode),
      WITH_FILE(test_a_file_that_is_there_first_stays),
      WITH_FILE(test_a_file_takes_the_mode_of_another),
      WITH_FILE(test_a_folder_that_is_not_there_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
