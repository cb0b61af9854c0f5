/* Instances of providers: start and stop, `check`, watched files. */
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

#include "auth/loader.h"
#include "fakes.h"

static const struct mcpauth_host *const host = &host_functions;
static struct world w;
static char dir[64], path[128];
static char content[64]; /* what the provider saw last */
static int reads, stopped, accepts;
static size_t max_size;

static void write_file(const char *text, mode_t mode)
{
  char new[160];
  snprintf(new, sizeof new, "%s.new", path);
  FILE *f = fopen(new, "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(chmod(new, mode), 0);
  assert_int_equal(rename(new, path), 0);
}

static int changed(void *arg, struct mcpauth_bytes bytes)
{
  assert_ptr_equal(arg, content);
  assert_non_null(bytes.p);
  reads++;
  if (bytes.n >= sizeof content || !accepts)
    return -1;
  memcpy(content, bytes.p, bytes.n);
  content[bytes.n] = 0;
  return 0;
}

static int start_watching(const struct mcpauth_host *h, struct mcpauth_instance *self,
                          const void *config, void **state)
{
  (void)config;
  *state = self;
  return h->watch_file(self, path, max_size, changed, content);
}

static int start_failing(const struct mcpauth_host *h, struct mcpauth_instance *self,
                         const void *config, void **state)
{
  (void)config;
  (void)state;
  h->log(self, MCPAUTH_LOG_DEBUG, "no");
  return -1;
}

static void stop(void *state)
{
  (void)state;
  stopped++;
}

static int set_up(void **state)
{
  (void)state;
  strcpy(dir, "/tmp/instance-XXXXXX");
  if (mkdtemp(dir) == NULL)
    return -1;
  snprintf(path, sizeof path, "%s/tokens", dir);
  content[0] = 0;
  reads = stopped = 0;
  accepts = 1;
  max_size = 50;
  world_init(&w);
  struct fake *f = world_provider(&w, 0, 0);
  *f = (struct fake){.result = MCPAUTH_OK, .subject = "ann", .reuse_ms = 600000};
  w.tables[0].start = start_watching;
  w.tables[0].stop = stop;
  world_auth_line(&w, CONTROL_SUFFICIENT, 0);
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  world_done(&w);
  unlink(path);
  return rmdir(dir);
}

static struct auth *try_start(struct err *e)
{
  struct auth_options o = {.config = &w.config, .loop = w.loop, .jobs = w.jobs};
  return auth_new(&o, e);
}

static void expect(const char *text)
{
  struct asked a;
  ask(&w, &a, "t");
  assert_string_equal(told(&a), text);
  asked_done(&a);
}

static void a_watched_file_is_read_at_start_and_when_it_changes(void **state)
{
  (void)state;
  write_file("one", 0600);
  world_start(&w);
  assert_string_equal(content, "one");
  turn_for(&w, 1100);
  assert_int_equal(reads, 1);
  write_file("two", 0600);
  turn_for(&w, 1100);
  assert_string_equal(content, "two");
  assert_int_equal(reads, 2);
}

static void an_empty_file_is_content_too(void **state)
{
  (void)state;
  write_file("", 0600);
  world_start(&w);
  assert_int_equal(reads, 1);
}

/* What the file no longer allows is not remembered from before (row 187). */
static void a_changed_file_ends_the_cached_identities_of_its_instance(void **state)
{
  (void)state;
  write_file("one", 0600);
  world_start(&w);
  expect("200 p0:OK");
  expect("200 p0:OK*");
  write_file("two", 0600);
  turn_for(&w, 1100);
  expect("200 p0:OK");
  expect("200 p0:OK*");
}

static void what_is_not_accepted_unsafe_or_gone_leaves_the_old_content(void **state)
{
  (void)state;
  write_file("one", 0600);
  world_start(&w);
  accepts = 0;
  write_file("bad", 0600);
  turn_for(&w, 1100);
  assert_int_equal(reads, 2);
  accepts = 1;
  write_file("open", 0666);
  turn_for(&w, 1100);
  assert_int_equal(unlink(path), 0);
  turn_for(&w, 1100);
  assert_int_equal(reads, 2);
  assert_string_equal(content, "one");
  write_file("back", 0600);
  turn_for(&w, 1100);
  assert_string_equal(content, "back");
}

static void a_bad_first_content_stops_the_start(void **state)
{
  (void)state;
  struct err e = {""};
  static const struct {
    const char *text;
    mode_t mode;
    int accepts;
  } bad[] = {{"x", 0604, 1},
             {"x", 0622, 1},
             {"x", 0600, 0},
             {"a content that is longer than fifty bytes, which is the most", 0600, 1}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    accepts = bad[i].accepts;
    write_file(bad[i].text, bad[i].mode);
    assert_null(try_start(&e));
    assert_string_equal(e.text, "provider p0 did not start (the log says why)");
  }
  unlink(path);
  assert_null(try_start(&e));
  write_file("x", 0600);
}

static void a_failed_start_stops_what_had_started(void **state)
{
  (void)state;
  struct err e = {""};
  write_file("one", 0600);
  world_provider(&w, 1, 0);
  w.tables[1].start = start_failing;
  w.tables[1].stop = stop;
  assert_null(try_start(&e));
  assert_int_equal(stopped, 1);
  assert_string_equal(e.text, "provider p1 did not start (the log says why)");
}

/* ---- check */

static int check_fine(const struct mcpauth_host *h, struct mcpauth_instance *self,
                      const void *config)
{
  (void)config;
  assert_string_equal(h->instance_name(self), "p0");
  assert_null(h->keyset(self, &(struct mcpauth_keyset_source){.file = "/x"}));
  return 0;
}

static int check_file(const struct mcpauth_host *h, struct mcpauth_instance *self,
                      const void *config)
{
  (void)config;
  return h->watch_file(self, path, max_size, changed, content);
}

static void a_watched_file_is_looked_at_in_check(void **state)
{
  (void)state;
  struct err e = {""};
  w.tables[0].check = check_file;
  write_file("one", 0600);
  assert_int_equal(host_check(&w.providers[0], NULL, &e), 0);
  assert_int_equal(reads, 1);
  write_file("one", 0666);
  assert_int_equal(host_check(&w.providers[0], NULL, &e), -1);
  assert_non_null(strstr(e.text, "can be written by others"));
}

static int check_twice(const struct mcpauth_host *h, struct mcpauth_instance *self,
                       const void *config)
{
  (void)config;
  h->report(self, "first", "option %d is wrong", 1);
  return h->report(self, "second", "so is this");
}

static int check_mute(const struct mcpauth_host *h, struct mcpauth_instance *self,
                      const void *config)
{
  (void)h;
  (void)self;
  (void)config;
  return -1;
}

static void check_runs_without_a_worker(void **state)
{
  (void)state;
  const char *option = NULL;
  struct err e = {""};
  write_file("x", 0600);
  assert_int_equal(host_check(&w.providers[0], &option, &e), 0); /* it has none */
  w.tables[0].check = check_fine;
  assert_int_equal(host_check(&w.providers[0], &option, &e), 0);
  assert_null(option);
}

static void the_first_report_of_check_counts(void **state)
{
  (void)state;
  const char *option = NULL;
  struct err e = {""};
  write_file("x", 0600);
  w.tables[0].check = check_twice;
  assert_int_equal(host_check(&w.providers[0], &option, &e), -1);
  assert_string_equal(option, "first");
  assert_string_equal(e.text, "option 1 is wrong");
}

static void a_refusal_of_check_without_words_is_a_refusal(void **state)
{
  (void)state;
  const char *option = NULL;
  struct err e = {""};
  write_file("x", 0600);
  w.tables[0].check = check_mute;
  assert_int_equal(host_check(&w.providers[0], &option, &e), -1);
  assert_null(option);
  assert_true(strlen(e.text) > 0);
}

/* ---- the small functions */

static void every_function_of_the_host_is_there(void **state) /* row 131 */
{
  (void)state;
  write_file("x", 0600);
  assert_int_equal(host->struct_size, sizeof(struct mcpauth_host));
  const unsigned char *p = (const unsigned char *)host;
  for (size_t at = offsetof(struct mcpauth_host, log); at < sizeof *host; at += sizeof(void *)) {
    void *function;
    memcpy(&function, p + at, sizeof function);
    assert_non_null(function);
  }
}

static void sha256_is_sha256(void **state)
{
  (void)state;
  static const unsigned char abc[4] = {0xba, 0x78, 0x16, 0xbf}; /* FIPS 180-2, appendix B.1 */
  unsigned char out[32];
  write_file("x", 0600);
  host->sha256((struct mcpauth_bytes){"abc", 3}, out);
  assert_memory_equal(out, abc, sizeof abc);
  assert_true(host->equal((struct mcpauth_bytes){"ab", 2}, (struct mcpauth_bytes){"ab", 2}));
  assert_false(host->equal((struct mcpauth_bytes){"ab", 2}, (struct mcpauth_bytes){"ac", 2}));
  assert_false(host->equal((struct mcpauth_bytes){"ab", 2}, (struct mcpauth_bytes){"abc", 3}));
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(a_watched_file_is_read_at_start_and_when_it_changes),
      T(an_empty_file_is_content_too),
      T(a_changed_file_ends_the_cached_identities_of_its_instance),
      T(what_is_not_accepted_unsafe_or_gone_leaves_the_old_content),
      T(a_bad_first_content_stops_the_start),
      T(a_failed_start_stops_what_had_started),
      T(a_watched_file_is_looked_at_in_check),
      T(check_runs_without_a_worker),
      T(the_first_report_of_check_counts),
      T(a_refusal_of_check_without_words_is_a_refusal),
      T(every_function_of_the_host_is_there),
      T(sha256_is_sha256),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
