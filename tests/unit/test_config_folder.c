/* config_load: which files of the folder are read, and whose they may be.  Rows 121, 141, 145. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../support/fake_modules.h"

static char top[64], conf[80];
static struct arena *arena;
static struct config_report report;

static const char hub[] = "hub { public_url http://127.0.0.1:8080 }\n";

static void path_of(char out[256], const char *name)
{
  snprintf(out, 256, "%s/%s", conf, name);
}

static void put(const char *name, mode_t mode, const char *text)
{
  char path[256];
  path_of(path, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(chmod(path, mode), 0);
}

static bool loads(void)
{
  struct config *c = config_load(conf, &fake_modules, geteuid(), arena, &report);
  bool good = c != NULL;
  assert_int_equal(good, report.errors == 0);
  config_free(c);
  return good;
}

/* The first error names FILE and says TEXT. */
static void refused(const char *file, const char *text)
{
  if (loads())
    fail_msg("loaded: %s", file);
  const struct config_finding *f = &report.v[0];
  for (size_t i = 0; i < report.n && f->severity != CONFIG_ERROR; i++)
    f = &report.v[i];
  if (f->at.file == NULL || !str_ends(str_of(f->at.file), file) || !strstr(f->text, text))
    fail_msg("%s: %s", f->at.file ? f->at.file : "", f->text);
}

static int set_up(void **state)
{
  (void)state;
  umask(022);
  snprintf(top, sizeof top, "/tmp/mcpauth-folder-XXXXXX");
  assert_non_null(mkdtemp(top));
  snprintf(conf, sizeof conf, "%s/conf", top);
  assert_int_equal(mkdir(conf, 0755), 0);
  put("hub.conf", 0644, hub);
  arena = arena_new(1 << 20);
  return arena ? 0 : -1;
}

static int forget(const char *path, const struct stat *st, int type, struct FTW *where)
{
  (void)st, (void)type, (void)where;
  return remove(path);
}

static int tear_down(void **state)
{
  (void)state;
  arena_free(arena);
  return nftw(top, forget, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- row 141 */

static void test_a_folder_with_a_hub_loads(void **state)
{
  (void)state;
  assert_true(loads());
}

static void test_no_folder_is_an_error(void **state)
{
  (void)state;
  snprintf(conf, sizeof conf, "%s/none", top);
  refused("none", "No such file");
}

static void test_an_empty_folder_is_an_error(void **state)
{
  char path[256];
  (void)state;
  path_of(path, "hub.conf");
  unlink(path);
  refused("conf", "there is no hub block");
}

static void test_an_empty_file_is_none(void **state)
{
  (void)state;
  put("a.conf", 0644, "");
  assert_true(loads());
}

static void test_backups_are_not_read(void **state)
{
  static const char *const names[] = {"a.conf.bak",        "a.conf~",  "a.conf.dpkg-new", "README",
                                      ".a.conf.swp",       ".#a.conf", "a.conf.rpmsave",  "a",
                                      "hub.conf.disabled", ".hub.conf"};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(names); i++)
    put(names[i], 0644, "this is { no configuration");
  assert_true(loads());
}

static void test_a_strange_name_is_an_error(void **state)
{
  static const char *const names[] = {"A.conf",  "a b.conf",      "a.b.conf", "-a.conf",
                                      "_a.conf", "\xc3\xa9.conf", "a;b.conf"};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
    char path[256];
    put(names[i], 0644, "");
    refused(names[i], "a configuration file's name");
    path_of(path, names[i]);
    unlink(path);
  }
}

static void test_files_are_read_in_the_order_of_bytes(void **state)
{
  (void)state;
  put("b-1.conf", 0644, "scope x { text First }");
  put("b_1.conf", 0644, "scope x { text Second }");
  put("b0.conf", 0644, "scope x { text Between }");
  /* '-' < '0' < '_' */
  assert_false(loads());
  assert_int_equal(report.errors, 2);
  assert_true(str_ends(str_of(report.v[1].at.file), "b0.conf")); /* [0]: there is no service */
  assert_non_null(strstr(report.v[1].text, "b-1.conf:1:1"));
  assert_true(str_ends(str_of(report.v[2].at.file), "b_1.conf"));
}

static void test_a_fifo_is_an_error_and_does_not_hang(void **state)
{
  char path[256];
  (void)state;
  path_of(path, "a.conf");
  assert_int_equal(mkfifo(path, 0644), 0);
  refused("a.conf", "not a regular file");
}

static void test_a_folder_named_like_a_file_is_an_error(void **state)
{
  char path[256];
  (void)state;
  path_of(path, "a.conf");
  assert_int_equal(mkdir(path, 0755), 0);
  refused("a.conf", "not a regular file");
}

static void test_a_socket_is_an_error(void **state)
{
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  char path[256];
  (void)state;
  path_of(path, "a.conf");
  snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  refused("a.conf", "a.conf");
  close(fd);
}

static void test_a_dangling_link_is_an_error(void **state)
{
  char path[256];
  (void)state;
  path_of(path, "a.conf");
  assert_int_equal(symlink("/nowhere/at/all", path), 0);
  refused("a.conf", "No such file");
}

static void test_links_are_followed(void **state)
{
  char path[256], target[256];
  (void)state;
  snprintf(target, sizeof target, "%s/elsewhere", top);
  put("../elsewhere", 0644, "scope linked { text Linked }");
  path_of(path, "a.conf");
  assert_int_equal(symlink(target, path), 0);
  assert_true(loads());
}

static void test_an_unreadable_file_is_an_error_not_skipped(void **state)
{
  (void)state;
  if (geteuid() == 0)
    skip(); /* root reads everything: the same is tested through `check --as` */
  put("a.conf", 0000, "");
  refused("a.conf", "Permission denied");
}

static void test_a_file_past_a_megabyte_is_an_error(void **state)
{
  char *text = malloc((1 << 20) + 2);
  (void)state;
  assert_non_null(text);
  memset(text, '#', (1 << 20) + 1);
  text[(1 << 20) + 1] = 0;
  put("a.conf", 0644, text);
  refused("a.conf", "longer than");
  text[1 << 20] = 0;
  put("a.conf", 0644, text);
  assert_true(loads());
  free(text);
}

static void test_too_many_files_are_an_error(void **state)
{
  char name[32];
  (void)state;
  for (int i = 0; i < 256; i++) {
    snprintf(name, sizeof name, "f%d.conf", i);
    put(name, 0644, "");
  }
  assert_false(loads());
  assert_non_null(strstr(report.v[0].text, "more than 256 configuration files"));
}

/* ---- row 145 */

static void test_a_file_that_others_can_write_is_an_error(void **state)
{
  static const mode_t modes[] = {0664, 0646, 0660, 0606, 0777};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
    put("a.conf", modes[i], "");
    refused("a.conf", "can be written by others");
  }
}

static void test_modes_of_root_and_group_are_fine(void **state)
{
  static const mode_t modes[] = {0644, 0640, 0600, 0400, 0444};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
    put("a.conf", 0600, "");
    put("a.conf", modes[i], "");
    assert_true(loads());
  }
}

static void test_a_folder_that_others_can_write_is_an_error(void **state)
{
  static const mode_t modes[] = {0775, 0757, 0777, 01777};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
    assert_int_equal(chmod(conf, modes[i]), 0);
    refused("conf", "can be written by others");
  }
}

static void test_a_file_of_somebody_else_is_an_error(void **state)
{
  char path[256];
  (void)state;
  if (geteuid() != 0)
    skip();
  put("a.conf", 0644, "");
  path_of(path, "a.conf");
  assert_int_equal(chown(path, 12345, 12345), 0);
  refused("a.conf", "belongs to neither root nor the user");
}

static void test_a_file_of_the_daemons_user_is_fine(void **state)
{
  char path[256];
  (void)state;
  if (geteuid() != 0)
    skip();
  put("a.conf", 0600, "");
  path_of(path, "a.conf");
  assert_int_equal(chown(path, 12345, 12345), 0);
  struct config *c = config_load(conf, &fake_modules, 12345, arena, &report);
  assert_non_null(c);
  config_free(c);
}

static void test_a_folder_of_somebody_else_is_an_error(void **state)
{
  (void)state;
  if (geteuid() != 0)
    skip();
  assert_int_equal(chown(conf, 12345, 12345), 0);
  refused("conf", "belongs to neither root nor the user");
}

/* ---- the user to become */

static void test_the_user_is_found_before_anything_else_is_judged(void **state)
{
  const char *user = NULL;
  struct err e = {""};
  (void)state;
  put("hub.conf", 0644, "hub { public_url nonsense; user nobody }");
  assert_int_equal(config_user(conf, arena, &user, &e), 0);
  assert_string_equal(user, "nobody");
}

static void test_without_a_user_there_is_an_empty_name(void **state)
{
  const char *user = NULL;
  struct err e = {""};
  (void)state;
  assert_int_equal(config_user(conf, arena, &user, &e), 0);
  assert_string_equal(user, "");
}

static void test_files_that_do_not_parse_have_no_user(void **state)
{
  const char *user = "untouched";
  struct err e = {""};
  (void)state;
  put("a.conf", 0644, "hub {");
  assert_int_equal(config_user(conf, arena, &user, &e), -1);
  assert_string_equal(user, "untouched");
  assert_non_null(strstr(e.text, "a.conf:1:5: the '{' has no '}'"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_a_folder_with_a_hub_loads),
      TEST(test_no_folder_is_an_error),
      TEST(test_an_empty_folder_is_an_error),
      TEST(test_an_empty_file_is_none),
      TEST(test_backups_are_not_read),
      TEST(test_a_strange_name_is_an_error),
      TEST(test_files_are_read_in_the_order_of_bytes),
      TEST(test_a_fifo_is_an_error_and_does_not_hang),
      TEST(test_a_folder_named_like_a_file_is_an_error),
      TEST(test_a_socket_is_an_error),
      TEST(test_a_dangling_link_is_an_error),
      TEST(test_links_are_followed),
      TEST(test_an_unreadable_file_is_an_error_not_skipped),
      TEST(test_a_file_past_a_megabyte_is_an_error),
      TEST(test_too_many_files_are_an_error),
      TEST(test_a_file_that_others_can_write_is_an_error),
      TEST(test_modes_of_root_and_group_are_fine),
      TEST(test_a_folder_that_others_can_write_is_an_error),
      TEST(test_a_file_of_somebody_else_is_an_error),
      TEST(test_a_file_of_the_daemons_user_is_fine),
      TEST(test_a_folder_of_somebody_else_is_an_error),
      TEST(test_the_user_is_found_before_anything_else_is_judged),
      TEST(test_without_a_user_there_is_an_empty_name),
      TEST(test_files_that_do_not_parse_have_no_user),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
