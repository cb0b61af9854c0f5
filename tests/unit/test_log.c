/* The log: one line a message whatever the message contains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>

#include "ops/log.h"
#include "util/clock.h"
#include "util/limits.h"

static char got[1 << 20];
static FILE *file;
static int real_stderr;

static void capture(void)
{
  file = tmpfile();
  assert_non_null(file);
  real_stderr = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
}

static const char *captured(void)
{
  dup2(real_stderr, STDERR_FILENO);
  close(real_stderr);
  rewind(file);
  size_t n = fread(got, 1, sizeof got - 1, file);
  got[n] = 0;
  fclose(file);
  return got;
}

static size_t count(const char *text, const char *what)
{
  size_t n = 0;
  for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
    n++;
  return n;
}

static void test_text_line_has_time_level_process_and_message(void **state)
{
  (void)state;
  clock_freeze(1795234109123, 5);
  log_init("worker 2", false, MCPAUTH_LOG_INFO);
  capture();
  log_warn("a %s of %d", "message", 3);
  clock_freeze(-1, -1);
  assert_string_equal(captured(), "2026-11-21T04:08:29.123Z WARN worker 2: a message of 3\n");
}

static void test_json_line_is_one_object_with_the_message_unharmed(void **state)
{
  (void)state;
  log_init("master", true, MCPAUTH_LOG_INFO);
  capture();
  log_error("say \"%s\"\\ \n", "\xc3\xa9");
  json_t *j = json_loads(captured(), 0, NULL);
  assert_non_null(j);
  assert_string_equal(json_string_value(json_object_get(j, "message")), "say \"\xc3\xa9\"\\ \n");
  assert_string_equal(json_string_value(json_object_get(j, "level")), "error");
  assert_string_equal(json_string_value(json_object_get(j, "process")), "master");
  json_decref(j);
}

static void test_messages_above_the_level_are_dropped(void **state)
{
  (void)state;
  log_init("x", false, MCPAUTH_LOG_WARN);
  capture();
  log_info("quiet");
  log_debug("quieter");
  log_error("loud");
  assert_int_equal(count(captured(), "\n"), 1);
}

/* row 174 */
static void test_nothing_in_a_message_can_end_or_disguise_a_line(void **state)
{
  (void)state;
  static const char *const hostile[] = {"\n2026-11-21T04:08:29.123Z ERROR master: forged",
                                        "\r",
                                        "\x1b[2J",
                                        "\x7f",
                                        "\xc2\x85",
                                        "\xe2\x80\xa8",
                                        "\xe2\x80\xa9",
                                        "\xff\xfe",
                                        "\xc0\x8a",
                                        "\xe2\x80"};
  for (int json = 0; json < 2; json++)
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
      log_init("x", json != 0, MCPAUTH_LOG_INFO);
      capture();
      log_info("agent=%s end", hostile[i]);
      const char *line = captured();
      assert_int_equal(count(line, "\n"), 1);
      assert_null(strstr(line, hostile[i]));
      assert_non_null(strstr(line, " end"));
    }
}

/* row 174 */
static void test_random_bytes_stay_one_well_formed_line(void **state)
{
  (void)state;
  unsigned seed = 7;
  log_init("x", true, MCPAUTH_LOG_INFO);
  for (int round = 0; round < 2000; round++) {
    char text[64];
    for (size_t i = 0; i < sizeof text - 1; i++) {
      text[i] = (char)(rand_r(&seed) & 0xff);
      text[i] = text[i] ? text[i] : 'z';
    }
    text[sizeof text - 1] = 0;
    capture();
    log_info("%s", text);
    const char *line = captured();
    assert_int_equal(count(line, "\n"), 1);
    json_t *j = json_loads(line, 0, NULL);
    assert_non_null(j);
    json_decref(j);
  }
}

static void test_a_line_is_cut_at_its_maximum_and_still_ends(void **state)
{
  (void)state;
  static char big[3 * LIMIT_LOG_LINE];
  memset(big, '"', sizeof big - 1);
  for (int json = 0; json < 2; json++) {
    log_init("x", json != 0, MCPAUTH_LOG_INFO);
    capture();
    log_info("%s", big);
    const char *line = captured();
    assert_true(strlen(line) <= LIMIT_LOG_LINE);
    assert_non_null(strstr(line, json ? "...\"}\n" : "...\n"));
  }
}

static void *shout(void *arg)
{
  for (int i = 0; i < 500; i++)
    log_info("%s", (const char *)arg);
  return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state)
{
  (void)state;
  pthread_t t[4];
  static char word[4][200];
  log_init("x", false, MCPAUTH_LOG_INFO);
  capture();
  for (int i = 0; i < 4; i++) {
    memset(word[i], 'a' + i, sizeof word[i] - 1);
    assert_int_equal(pthread_create(&t[i], NULL, shout, word[i]), 0);
  }
  for (int i = 0; i < 4; i++)
    pthread_join(t[i], NULL);
  const char *all = captured();
  char line[1024];
  for (int i = 0; i < 4; i++) {
    snprintf(line, sizeof line, "INFO x: %s\n", word[i]);
    assert_int_equal(count(all, line), 500);
  }
}

static void test_lost_lines_are_counted_by_the_next_that_gets_through(void **state)
{
  (void)state;
  log_init("x", false, MCPAUTH_LOG_INFO);
  int keep = dup(STDERR_FILENO);
  close(STDERR_FILENO);
  log_info("lost 1");
  log_info("lost 2");
  dup2(keep, STDERR_FILENO);
  close(keep);
  capture();
  log_info("here");
  assert_non_null(strstr(captured(), "could not be written\n"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text_line_has_time_level_process_and_message),
      cmocka_unit_test(test_json_line_is_one_object_with_the_message_unharmed),
      cmocka_unit_test(test_messages_above_the_level_are_dropped),
      cmocka_unit_test(test_nothing_in_a_message_can_end_or_disguise_a_line),
      cmocka_unit_test(test_random_bytes_stay_one_well_formed_line),
      cmocka_unit_test(test_a_line_is_cut_at_its_maximum_and_still_ends),
      cmocka_unit_test(test_lines_of_threads_do_not_mix),
      cmocka_unit_test(test_lost_lines_are_counted_by_the_next_that_gets_through),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
