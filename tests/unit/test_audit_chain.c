/* Tampering: whatever is done to a file that `audit` wrote, the verifier sees it. */
#include "audit_support.h"

#include <sys/wait.h>

#include "ops/shm.h"
#include "util/base64url.h"

/* A closed log of N decisions by one writer. */
static char *make_log(const char *path, unsigned n, size_t *ret_n)
{
  struct audit_options o = options("17.1");
  o.file = path;
  struct audit *a = open_audit(&o, NULL, NULL);
  for (unsigned i = 0; i < n; i++) {
    char members[64];
    snprintf(members, sizeof members, "\"service\":\"notes\",\"status\":%u", 200 + i % 3);
    assert_int_equal(audit_put(a, "decision", "4k2", str_of(members), NULL), 0);
  }
  audit_close(a);
  return slurp(path, ret_n);
}

static void test_an_untouched_log_has_no_fault(void **state)
{
  (void)state;
  size_t n;
  free(make_log(in_dir("log"), 100, &n));
  struct verdict v = verify_one(in_dir("log"));
  assert_int_equal(v.r.faults, 0);
  assert_int_equal(v.remarks, 0);
  assert_int_equal(v.r.records, 102); /* and the start and the end of the chain */
  assert_int_equal(v.r.open, 0);
}

/* The chain as the header describes it, computed without the code under test. */
static void test_the_mac_is_hmac_sha256_over_the_previous_mac_and_the_record(void **state)
{
  (void)state;
  size_t n;
  char *log = make_log(in_dir("log"), 1, &n);
  char command[512], out[256] = "";
  snprintf(command, sizeof command,
           "python3 -c \"\nimport hmac,sys\np=bytes(32)\n"
           "for l in open('%s','rb'):\n b,m=l[:-1].rsplit(b',\\\"mac\\\":\\\"',1)\n"
           " p=hmac.new(b'%s\\0',p+b,'sha256').digest()\n"
           " assert m==p.hex().encode()+b'\\\"}',l\nprint('same')\"",
           in_dir("log"), (const char *)key);
  FILE *f = popen(command, "r");
  assert_non_null(f);
  assert_non_null(fgets(out, sizeof out, f));
  pclose(f);
  assert_string_equal(out, "same\n");
  free(log);
}

/* row 175 */
static void test_every_flipped_byte_of_a_thousand_records_is_found(void **state)
{
  (void)state;
  size_t n;
  char *log = make_log(in_dir("log"), 998, &n);
  const char *copy = in_dir("copy");
  static const unsigned char flips[] = {0x01, 0x20, 0x80};
  /* Every byte of the first and last records, one in 397 of the others. */
  unsigned tried = 0;
  for (size_t i = 0; i < n; i += i < 900 || i > n - 900 ? 1 : 397) {
    unsigned char flip = flips[i % 3];
    log[i] = (char)(log[i] ^ flip);
    spill(copy, log, n);
    struct verdict v = verify_one(copy);
    if (v.r.faults == 0)
      fail_msg("byte %zu ^ %02x was not noticed", i, flip);
    log[i] = (char)(log[i] ^ flip);
    tried++;
  }
  assert_true(tried > 1900);
  spill(copy, log, n);
  assert_int_equal(verify_one(copy).r.faults, 0);
  free(log);
}

/* row 175: the same over a small log, every byte and every bit. */
static void test_every_flipped_bit_of_a_small_log_is_found(void **state)
{
  (void)state;
  size_t n;
  char *log = make_log(in_dir("log"), 4, &n);
  const char *copy = in_dir("copy");
  for (size_t i = 0; i < n * 8; i++) {
    log[i / 8] = (char)(log[i / 8] ^ (1 << i % 8));
    spill(copy, log, n);
    if (verify_one(copy).r.faults == 0)
      fail_msg("bit %zu of byte %zu was not noticed", i % 8, i / 8);
    log[i / 8] = (char)(log[i / 8] ^ (1 << i % 8));
  }
  free(log);
}

static size_t line_at(const char *log, unsigned line, size_t *ret_n)
{
  const char *p = log;
  for (unsigned i = 1; i < line; i++)
    p = strchr(p, '\n') + 1;
  *ret_n = (size_t)(strchr(p, '\n') - p) + 1;
  return (size_t)(p - log);
}

/* row 175 */
static void test_each_removed_record_is_found_at_the_line_behind_it(void **state)
{
  (void)state;
  size_t n, size;
  char *log = make_log(in_dir("log"), 50, &n);
  const char *copy = in_dir("copy");
  for (unsigned line = 1; line <= 51; line++) {
    size_t at = line_at(log, line, &size);
    char *cut = malloc(n);
    memcpy(cut, log, at);
    memcpy(cut + at, log + at + size, n - at - size);
    spill(copy, cut, n - size);
    struct verdict v = verify_one(copy);
    assert_true(v.r.faults > 0);
    assert_int_equal(v.first_line, line);
    free(cut);
  }
  free(log);
}

/* row 175 */
static void test_each_repeated_record_is_found(void **state)
{
  (void)state;
  size_t n, size;
  char *log = make_log(in_dir("log"), 50, &n);
  const char *copy = in_dir("copy");
  for (unsigned line = 1; line <= 52; line++) {
    size_t at = line_at(log, line, &size);
    char *more = malloc(n + size);
    memcpy(more, log, at + size);
    memcpy(more + at + size, log + at, n - at);
    spill(copy, more, n + size);
    struct verdict v = verify_one(copy);
    assert_true(v.r.faults > 0);
    assert_int_equal(v.first_line, line + 1);
    free(more);
  }
  free(log);
}

/* row 175 */
static void test_two_neighbours_that_changed_places_are_found(void **state)
{
  (void)state;
  size_t n, one, two;
  char *log = make_log(in_dir("log"), 50, &n);
  const char *copy = in_dir("copy");
  for (unsigned line = 1; line < 52; line++) {
    size_t at = line_at(log, line, &one);
    line_at(log, line + 1, &two);
    char *swap = malloc(n);
    memcpy(swap, log, n);
    memcpy(swap + at, log + at + one, two);
    memcpy(swap + at + two, log + at, one);
    spill(copy, swap, n);
    assert_true(verify_one(copy).r.faults > 0);
    free(swap);
  }
  free(log);
}

/* row 175 */
static void test_an_inserted_line_is_found(void **state)
{
  (void)state;
  size_t n, size;
  char *log = make_log(in_dir("log"), 10, &n);
  static const char *const lines[] = {
      "{}\n", "\n\xff\n", "{\"t\":\"2026-11-21T04:08:29.123Z\",\"w\":\"17.1\"\n",
      "{\"t\":\"2026-11-21T04:08:29.123Z\",\"w\":\"99.9\",\"event\":\"decision\",\"id\":\"\",\"n\":"
      "1,"
      "\"mac\":\"0000000000000000000000000000000000000000000000000000000000000000\"}\n"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    size_t at = line_at(log, 5, &size), more = strlen(lines[i]);
    char *text = malloc(n + more);
    memcpy(text, log, at);
    memcpy(text + at, lines[i], more);
    memcpy(text + at + more, log + at, n - at);
    spill(in_dir("copy"), text, n + more);
    assert_true(verify_one(in_dir("copy")).r.faults > 0);
    free(text);
  }
  free(log);
}

/* row 175 */
static void test_records_of_another_key_are_not_believed(void **state)
{
  (void)state;
  size_t n;
  free(make_log(in_dir("log"), 3, &n));
  key[0] ^= 1;
  struct verdict v = verify_one(in_dir("log"));
  key[0] ^= 1;
  assert_true(v.r.faults > 0);
}

/* row 174 */
static void test_a_record_that_would_be_two_lines_is_not_taken(void **state)
{
  (void)state;
  struct audit_options o = options("1.1");
  o.file = in_dir("log");
  struct audit *a = open_audit(&o, NULL, NULL);
  assert_int_equal(audit_put(a, "decision", "", STR("\"a\":\"x\ny\""), NULL), -1);
  assert_int_equal(audit_put(a, "decision", "", STR("\"a\":\"\x1b[2J\""), NULL), -1);
  assert_int_equal(audit_put(a, "deci\"sion", "", STR(""), NULL), -1);
  assert_int_equal(audit_put(a, "decision", "a\"b", STR(""), NULL), -1);
  assert_int_equal(audit_put(a, "decision", "ok", STR("\"a\":1"), NULL), 0);
  audit_close(a);
  struct verdict v = verify_one(in_dir("log"));
  assert_int_equal(v.r.faults, 0);
  assert_int_equal(v.r.records, 3);
}

/* row 174: as many lines out as records in, whatever the names of agents and tools are. */
static void test_hostile_text_stays_one_record(void **state)
{
  (void)state;
  struct audit_options o = options("1.1");
  o.file = in_dir("log");
  struct audit *a = open_audit(&o, NULL, NULL);
  unsigned seed = 3;
  for (int i = 0; i < 500; i++) {
    char junk[40];
    struct buf b;
    for (size_t k = 0; k < sizeof junk; k++)
      junk[k] = (char)rand_r(&seed);
    buf_init(&b, 1024);
    buf_puts(&b, "\"agent\":");
    buf_json(&b, (struct str){junk, sizeof junk});
    assert_int_equal(audit_put(a, "decision", "x", buf_view(&b), NULL), 0);
    buf_done(&b);
  }
  audit_close(a);
  size_t n, lines = 0;
  char *text = slurp(in_dir("log"), &n);
  for (size_t i = 0; i < n; i++)
    lines += text[i] == '\n';
  assert_int_equal(lines, 502);
  assert_int_equal(verify_one(in_dir("log")).r.faults, 0);
  free(text);
}

/* ---- several files */

/* row 175, row 179: rotation by four writers at once, then the files in another order. */
static void write_much(const char *writer, unsigned n)
{
  struct audit_options o = options(writer);
  o.file = in_dir("log");
  o.rotate_size = 4000;
  o.keep = 500;
  struct audit *a = open_audit(&o, NULL, NULL);
  for (unsigned i = 0; i < n; i++)
    if (audit_put(a, "decision", "r", STR("\"service\":\"notes\",\"subject\":\"alice\""), NULL) < 0)
      _exit(1);
  audit_close(a);
}

/* FILE.n … FILE.1 FILE */
static size_t files_of_log(const char *files[600])
{
  static char names[600][128];
  size_t n = 0, last = 0;
  char path[128];
  for (unsigned i = 1; snprintf(path, sizeof path, "%s/log.%u", dir, i) && access(path, F_OK) == 0;
       i++)
    last = i;
  for (size_t i = last; i >= 1; i--) {
    snprintf(names[n], 128, "%s/log.%zu", dir, i);
    files[n] = names[n];
    n++;
  }
  snprintf(names[n], 128, "%s/log", dir);
  files[n] = names[n];
  files[++n] = NULL;
  return n;
}

static void run_writers(int writers, unsigned records)
{
  for (int i = 0; i < writers; i++) {
    char writer[32];
    snprintf(writer, sizeof writer, "%d.7", 100 + i);
    if (fork() == 0) {
      write_much(writer, records);
      _exit(0);
    }
  }
  for (int i = 0; i < writers; i++) {
    int status;
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
  }
}

static void test_a_hundred_rotations_by_four_writers_lose_nothing(void **state)
{
  (void)state;
  const char *files[600];
  run_writers(4, 9000);
  size_t n = files_of_log(files);
  assert_true(n > 100);
  struct verdict v = verify(files, NULL);
  assert_string_equal(v.first_fault, "");
  assert_int_equal(v.r.chains, 4);
  assert_int_equal(v.r.open, 0);
  /* Each chain: its start, its records, its end, and one more a file that it went on in. */
  assert_true(v.r.records >= 4 * 9002);
}

/* row 175 */
static void test_two_rotated_files_that_changed_places_are_found(void **state)
{
  (void)state;
  const char *files[600], *swap;
  run_writers(1, 800);
  size_t n = files_of_log(files);
  assert_true(n > 4);
  swap = files[1];
  files[1] = files[2];
  files[2] = swap;
  assert_true(verify(files, NULL).r.faults > 0);
}

/* row 175: within one chain; a chain that lies in the missing file whole is the anchors' to find.
 */
static void test_a_missing_file_between_two_is_found(void **state)
{
  (void)state;
  const char *files[600];
  run_writers(1, 800);
  size_t n = files_of_log(files);
  assert_true(n > 4);
  for (size_t i = 1; i < n; i++) /* valgrind takes a checked memmove for a memcpy */
    files[i] = files[i + 1];
  assert_true(verify(files, NULL).r.faults > 0);
}

/* row 179: the newest file can be checked alone. */
static void test_a_file_alone_begins_where_the_one_before_ended(void **state)
{
  (void)state;
  const char *files[600];
  run_writers(4, 200);
  size_t n = files_of_log(files);
  assert_true(n > 4);
  struct verdict v = verify_one(files[2]);
  assert_string_equal(v.first_fault, "");
  assert_true(v.r.records > 10);
}

/* row 179 */
static void test_a_log_renamed_from_outside_is_followed(void **state)
{
  (void)state;
  struct audit_options o = options("1.1");
  o.file = in_dir("log");
  struct audit *a = open_audit(&o, NULL, NULL);
  audit_put(a, "decision", "a", STR(""), NULL);
  assert_int_equal(rename(in_dir("log"), in_dir("log.old")), 0);
  audit_put(a, "decision", "b", STR(""), NULL);
  audit_close(a);
  struct verdict v = verify((const char *const[]){in_dir("log.old"), in_dir("log"), NULL}, NULL);
  assert_string_equal(v.first_fault, "");
  assert_int_equal(v.r.records, 5); /* start, a | continued, b, end */
  assert_int_equal(verify_one(in_dir("log")).r.faults, 0);
}

/* row 179: copytruncate. */
static void test_a_log_that_was_cut_to_nothing_goes_on_and_can_be_checked_alone(void **state)
{
  (void)state;
  size_t n;
  struct audit_options o = options("1.1");
  o.file = in_dir("log");
  struct audit *a = open_audit(&o, NULL, NULL);
  audit_put(a, "decision", "a", STR(""), NULL);
  char *text = slurp(in_dir("log"), &n);
  spill(in_dir("log.1"), text, n);
  free(text);
  assert_int_equal(truncate(in_dir("log"), 0), 0);
  audit_put(a, "decision", "b", STR(""), NULL);
  audit_close(a);
  assert_int_equal(verify_one(in_dir("log")).r.faults, 0);
  struct verdict v = verify((const char *const[]){in_dir("log.1"), in_dir("log"), NULL}, NULL);
  assert_string_equal(v.first_fault, "");
}

static void test_rotation_keeps_as_many_files_as_it_was_told(void **state)
{
  (void)state;
  struct audit_options o = options("1.1");
  o.file = in_dir("log");
  o.rotate_size = 1000;
  o.keep = 2;
  struct audit *a = open_audit(&o, NULL, NULL);
  for (int i = 0; i < 100; i++)
    audit_put(a, "decision", "a", STR(""), NULL);
  audit_close(a);
  assert_int_equal(access(in_dir("log.2"), F_OK), 0);
  assert_int_equal(access(in_dir("log.3"), F_OK), -1);
  struct verdict v =
      verify((const char *const[]){in_dir("log.2"), in_dir("log.1"), in_dir("log"), NULL}, NULL);
  assert_string_equal(v.first_fault, "");
}

/* row 179: what was kept before would follow a hole, which looks like a log that was cut. */
static void test_fewer_files_are_kept_as_soon_as_fewer_are_to_be(void **state)
{
  (void)state;
  for (unsigned keep = 4; keep > 0; keep = keep == 4 ? 1 : 0) {
    struct audit_options o = options(keep == 4 ? "1.1" : "2.2");
    o.file = in_dir("log");
    o.rotate_size = 1000;
    o.keep = keep;
    struct audit *a = open_audit(&o, NULL, NULL);
    for (int i = 0; i < 50; i++)
      audit_put(a, "decision", "a", STR(""), NULL);
    audit_close(a);
    for (unsigned i = 1; i <= 5; i++) {
      char name[16];
      snprintf(name, sizeof name, "log.%u", i);
      assert_int_equal(access(in_dir(name), F_OK), i <= keep ? 0 : -1);
    }
    const char *files[600];
    files_of_log(files);
    assert_string_equal(verify(files, NULL).first_fault, "");
  }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_an_untouched_log_has_no_fault),
      T(test_the_mac_is_hmac_sha256_over_the_previous_mac_and_the_record),
      T(test_every_flipped_byte_of_a_thousand_records_is_found),
      T(test_every_flipped_bit_of_a_small_log_is_found),
      T(test_each_removed_record_is_found_at_the_line_behind_it),
      T(test_each_repeated_record_is_found),
      T(test_two_neighbours_that_changed_places_are_found),
      T(test_an_inserted_line_is_found),
      T(test_records_of_another_key_are_not_believed),
      T(test_a_record_that_would_be_two_lines_is_not_taken),
      T(test_hostile_text_stays_one_record),
      T(test_a_hundred_rotations_by_four_writers_lose_nothing),
      T(test_two_rotated_files_that_changed_places_are_found),
      T(test_a_missing_file_between_two_is_found),
      T(test_a_file_alone_begins_where_the_one_before_ended),
      T(test_a_log_renamed_from_outside_is_followed),
      T(test_a_log_that_was_cut_to_nothing_goes_on_and_can_be_checked_alone),
      T(test_rotation_keeps_as_many_files_as_it_was_told),
      T(test_fewer_files_are_kept_as_soon_as_fewer_are_to_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
