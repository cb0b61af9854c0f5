/* The event-stream scanner: what it finds must not depend on how the bytes are cut (row 60). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mcp/sse.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* Events as text: type|data|id; one after the other. */
static void note(void *arg, const struct sse_event *e)
{
  struct buf *b = arg;
  buf_printf(b, "%.*s|%.*s|%.*s;", STR_ARG(e->type), STR_ARG(e->data), STR_ARG(e->id));
}

static void drop_sse(struct sse *s)
{
  sse_done(s);
}

#define STREAM(s)                                                                                  \
  CLEANUP(drop_sse) struct sse s;                                                                  \
  sse_init(&s)

/* STR is no constant expression. */
#define BYTES(literal)                                                                             \
  {                                                                                                \
    literal, sizeof(literal) - 1                                                                   \
  }

static const struct {
  const char *name;
  struct str bytes;
  const char *events;
  bool boundary;
} streams[] = {
    {"LF", BYTES("event: message\ndata: {\"a\":1}\n\n"), "message|{\"a\":1}|;", true},
    {"CRLF", BYTES("event: x\r\ndata: 1\r\ndata: 2\r\n\r\n"), "x|1\n2|;", true},
    {"CR", BYTES("event: x\rdata: 1\rdata: 2\r\r"), "x|1\n2|;", true},
    {"mixed line ends", BYTES("data: 1\r\n\ndata: 2\n\r\ndata: 3\r\rdata: 4\n\n"),
     "|1|;|2|;|3|;|4|;", true},
    {"CR CR LF LF is one blank line and another", BYTES("data: 1\r\r\n\ndata: 2\n\n"), "|1|;|2|;",
     true},
    {"BOM",
     BYTES("\xef\xbb\xbf"
           "data: 1\n\n"),
     "|1|;", true},
    {"BOM before a blank line", BYTES("\xef\xbb\xbf\n"), "", true},
    {"BOM before a comment", BYTES("\xef\xbb\xbf: hi\n"), "", true},
    {"only one BOM, only at the start",
     BYTES("\xef\xbb\xbf\xef\xbb\xbf"
           "data: 1\n\n"
           "\xef\xbb\xbf"
           "data: 2\n\n"),
     "", true},
    {"comment", BYTES(": keep-alive\n\n"), "", true},
    {"comment without a blank line", BYTES(": keep-alive\n"), "", true},
    {"comment inside an event", BYTES("data: 1\n: hi\ndata: 2\n\n"), "|1\n2|;", true},
    {"priming event with empty data", BYTES("id: 7\nretry: 3000\ndata:\n\n"), "||7;", true},
    {"data without a colon", BYTES("data\ndata\n\n"), "|\n|;", true},
    {"one space is taken off, not two", BYTES("data:  x\ndata:y\n\n"), "| x\ny|;", true},
    {"id stays for later events", BYTES("id: 1\ndata: a\n\ndata: b\n\n"), "|a|1;|b|1;", true},
    {"id is emptied", BYTES("id: 1\ndata: a\n\nid\ndata: b\n\n"), "|a|1;|b|;", true},
    {"id with NUL is ignored", BYTES("id: 1\ndata: a\n\nid: x\0y\ndata: b\n\n"), "|a|1;|b|1;",
     true},
    {"id without data dispatches nothing", BYTES("id: 1\n\n"), "", true},
    {"type without data dispatches nothing", BYTES("event: x\n\ndata: 1\n\n"), "|1|;", true},
    {"last type wins", BYTES("event: x\nevent: y\ndata: 1\n\n"), "y|1|;", true},
    {"unknown field", BYTES("Data: 1\nfoo: 2\n\n"), "", true},
    {"two-byte characters", BYTES("data: \xc3\xa4\xe2\x82\xac\n\n"), "|\xc3\xa4\xe2\x82\xac|;",
     true},
    {"inside a line", BYTES("data: 1\n\ndata"), "|1|;", false},
    {"inside an event", BYTES("data: 1\n"), "", false},
    {"inside an event, CRLF", BYTES("data: 1\r\n"), "", false},
    {"retry is part of an event", BYTES("retry: 1\n"), "", false},
    {"inside a comment", BYTES("data: 1\n\n: hi"), "|1|;", false},
    {"nothing", BYTES(""), "", true},
};

static void assert_events(const struct buf *got, const char *expected)
{
  assert_string_equal(got->p ? got->p : "", expected);
}

static void test_events_are_those_of_the_standard(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
    STREAM(s);
    CLEANUP(buf_done) struct buf got;
    buf_init(&got, 4096);
    print_message("%s\n", streams[i].name);
    assert_int_equal(sse_feed(&s, streams[i].bytes, note, &got), 0);
    assert_events(&got, streams[i].events);
    assert_int_equal(sse_at_boundary(&s), streams[i].boundary);
  }
}

/* row 60: split at every byte offset, and byte by byte */
static void test_a_split_anywhere_changes_nothing(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
    struct str all = streams[i].bytes;
    for (size_t cut = 0; cut <= all.n; cut++) {
      STREAM(s);
      CLEANUP(buf_done) struct buf got;
      buf_init(&got, 4096);
      assert_int_equal(sse_feed(&s, str_slice(all, 0, cut), note, &got), 0);
      assert_int_equal(sse_feed(&s, str_slice(all, cut, all.n), note, &got), 0);
      assert_events(&got, streams[i].events);
      assert_int_equal(sse_at_boundary(&s), streams[i].boundary);
    }
    STREAM(s);
    CLEANUP(buf_done) struct buf got;
    buf_init(&got, 4096);
    for (size_t at = 0; at < all.n; at++)
      assert_int_equal(sse_feed(&s, str_slice(all, at, at + 1), note, &got), 0);
    assert_events(&got, streams[i].events);
  }
}

static void test_without_a_listener_the_boundaries_are_the_same(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
    struct str all = streams[i].bytes;
    STREAM(with);
    STREAM(without);
    CLEANUP(buf_done) struct buf got;
    buf_init(&got, 4096);
    for (size_t at = 0; at < all.n; at++) {
      sse_feed(&with, str_slice(all, at, at + 1), note, &got);
      sse_feed(&without, str_slice(all, at, at + 1), NULL, NULL);
      assert_int_equal(sse_at_boundary(&with), sse_at_boundary(&without));
    }
    assert_null(without.line.p);
  }
}

static void note_end(void *arg, const struct sse_event *e)
{
  *(size_t *)arg = e->end;
}

static void test_an_event_tells_where_it_ended(void **state)
{
  (void)state;
  STREAM(s);
  size_t end = 0;
  sse_feed(&s, STR("data: 1\n\ndata: 2"), note_end, &end);
  assert_int_equal(end, strlen("data: 1\n\n"));
  sse_feed(&s, STR("\r\n\r\n: rest"), note_end, &end);
  assert_int_equal(end, strlen("\r\n\r"));
}

static void test_a_boundary_lies_behind_each_event_only(void **state)
{
  (void)state;
  static const char bytes[] = "event: a\ndata: 1\n\n: c\n\nid: 3\n\n";
  STREAM(s);
  char got[sizeof bytes + 1] = "1";
  for (size_t i = 0; bytes[i]; i++) {
    sse_feed(&s, (struct str){bytes + i, 1}, NULL, NULL);
    got[i + 1] = sse_at_boundary(&s) ? '1' : '.';
  }
  /* after "event: a\ndata: 1\n\n", after ": c\n" and its blank line, after "id: 3\n\n" */
  assert_string_equal(got, "1.................1...11......1");
}

/* row 60: the longest line there may be, and one byte more, in pieces of any size */
static void test_a_line_longer_than_1_mib_ends_the_stream(void **state)
{
  (void)state;
  AUTO_FREE char *line = malloc(LIMIT_SSE_LINE);
  memset(line, 'x', LIMIT_SSE_LINE);
  memcpy(line, "data:", 5);
  for (int collect = 0; collect < 2; collect++) {
    CLEANUP(buf_done) struct buf got;
    buf_init(&got, 2 * LIMIT_SSE_LINE);
    STREAM(s);
    sse_event_fn *found = collect ? note : NULL;
    for (size_t i = 0; i < LIMIT_SSE_LINE; i += 65536)
      assert_int_equal(sse_feed(&s, (struct str){line + i, 65536}, found, &got), 0);
    assert_int_equal(sse_feed(&s, STR("\n"), found, &got), 0);
    assert_int_equal(sse_feed(&s, STR("\n"), found, &got), 0);
    assert_true(sse_at_boundary(&s));
    assert_int_equal(sse_feed(&s, (struct str){line, LIMIT_SSE_LINE}, found, &got), 0);
    assert_int_equal(sse_feed(&s, STR("x"), found, &got), -1);
    assert_false(sse_at_boundary(&s));
    assert_int_equal(sse_feed(&s, STR("\n\n"), found, &got), -1);
    assert_false(sse_at_boundary(&s));
  }
}

static void test_an_event_of_endless_lines_ends_the_stream(void **state)
{
  (void)state;
  AUTO_FREE char *line = malloc(LIMIT_SSE_LINE);
  memset(line, 'x', LIMIT_SSE_LINE);
  memcpy(line, "data:", 5);
  line[LIMIT_SSE_LINE - 1] = '\n';
  CLEANUP(buf_done) struct buf got;
  buf_init(&got, 4096);
  STREAM(s);
  int fed = 0;
  while (fed < 64 && sse_feed(&s, (struct str){line, LIMIT_SSE_LINE}, note, &got) == 0)
    fed++;
  assert_in_range(fed, LIMIT_SSE_EVENT / LIMIT_SSE_LINE, LIMIT_SSE_EVENT / LIMIT_SSE_LINE + 1);
}

static void test_an_idle_stream_holds_no_large_buffer(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf got;
  buf_init(&got, 65536);
  AUTO_FREE char *big = calloc(1, 20000);
  memset(big, 'x', 20000);
  STREAM(s);
  sse_feed(&s, STR("data:"), note, &got);
  sse_feed(&s, (struct str){big, 20000}, note, &got);
  sse_feed(&s, STR("\n\n"), note, &got);
  assert_in_range(s.line.cap + s.data.cap + s.event.cap, 0, 2048);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_events_are_those_of_the_standard),
      cmocka_unit_test(test_a_split_anywhere_changes_nothing),
      cmocka_unit_test(test_without_a_listener_the_boundaries_are_the_same),
      cmocka_unit_test(test_an_event_tells_where_it_ended),
      cmocka_unit_test(test_a_boundary_lies_behind_each_event_only),
      cmocka_unit_test(test_a_line_longer_than_1_mib_ends_the_stream),
      cmocka_unit_test(test_an_event_of_endless_lines_ends_the_stream),
      cmocka_unit_test(test_an_idle_stream_holds_no_large_buffer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
