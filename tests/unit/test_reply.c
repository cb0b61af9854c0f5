/* Heads of replies: what passes, with which framing, and what never does (rows 45, 170). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "http/reply.h"
#include "util/cleanup.h"

static void drop(struct reply *r)
{
  reply_done(r);
}

/* Feeds TEXT line by line; the last step. */
static enum reply_step feed(struct reply *r, const char *text, const char **why)
{
  struct str rest = str_of(text);
  enum reply_step step = REPLY_MORE;
  while (rest.n && step != REPLY_BAD) {
    size_t end = str_chr(rest, '\n') + 1;
    step = reply_line(r, str_slice(rest, 0, end), why);
    rest = str_slice(rest, end, rest.n);
  }
  return step;
}

static void test_a_head_is_complete_at_its_empty_line(void **state)
{
  (void)state;
  const char *why = NULL;
  struct http_header h[LIMIT_HEADERS];
  CLEANUP(drop) struct reply r;
  reply_init(&r);
  assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\nA: 1\r\nB:\t 2 \r\nC:\r\n", &why), REPLY_MORE);
  assert_false(r.complete);
  assert_int_equal(feed(&r, "\r\n", &why), REPLY_HEAD);
  assert_true(r.complete);
  assert_int_equal(r.status, 200);
  assert_int_equal(r.length, -1);
  assert_int_equal(reply_fields(&r, h), 3);
  assert_true(str_is(h[0].name, "A") && str_is(h[0].value, "1"));
  assert_true(str_is(h[1].name, "B") && str_is(h[1].value, "2"));
  assert_true(str_is(h[2].name, "C") && str_is(h[2].value, ""));
}

static void test_interim_replies_leave_nothing_behind(void **state)
{
  (void)state;
  const char *why = NULL;
  struct http_header h[LIMIT_HEADERS];
  CLEANUP(drop) struct reply r;
  reply_init(&r);
  assert_int_equal(feed(&r,
                        "HTTP/1.1 103 Hints\r\nContent-Length: 7\r\nLink: x\r\n\r\n"
                        "HTTP/2 200 \r\nContent-Type: application/json\r\n\r\n",
                        &why),
                   REPLY_HEAD);
  assert_int_equal(r.status, 200);
  assert_int_equal(r.length, -1);
  assert_int_equal(reply_fields(&r, h), 1);
}

static void test_what_follows_the_head_is_dropped(void **state)
{
  (void)state;
  const char *why = NULL;
  struct http_header h[LIMIT_HEADERS];
  CLEANUP(drop) struct reply r;
  reply_init(&r);
  feed(&r, "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n", &why);
  assert_int_equal(feed(&r, "Content-Type: text/html\r\nnonsense\r\n\r\n", &why), REPLY_MORE);
  assert_int_equal(reply_fields(&r, h), 1);
}

static void test_bodies_that_cannot_be_have_no_length(void **state)
{
  (void)state;
  const char *why = NULL;
  CLEANUP(drop) struct reply r;
  reply_init(&r);
  feed(&r, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", &why);
  assert_int_equal(r.length, 0);
}

static const char *const bad[] = {
    "HTTP/1.1\r\n",
    "HTTP/1.1 \r\n",
    "HTTP/1.1 2x0 OK\r\n",
    "HTTP/1.1 099 OK\r\n",
    "HTTP/1.1 600 OK\r\n",
    "HTTP/1.1 2000 OK\r\n",
    "HTTP/1.1 -20 OK\r\n",
    "ICY 200 OK\r\n",
    "A: 1\r\n",
    "\r\n",
    "HTTP/1.1 101 Switching\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA\r\n",
    "HTTP/1.1 200 OK\r\n: 1\r\n",
    "HTTP/1.1 200 OK\r\nA B: 1\r\n",
    "HTTP/1.1 200 OK\r\nA : 1\r\n",
    "HTTP/1.1 200 OK\r\n A: 1\r\n",
    "HTTP/1.1 200 OK\r\nA: 1\r\n\tfold\r\n",
    "HTTP/1.1 200 OK\r\nA: \x01\r\n",
    "HTTP/1.1 200 OK\r\nA: a\rb\r\n",
    "HTTP/1.1 200 OK\r\nA: \x7f\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 01\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length:\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 1\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nCONTENT-TYPE: a/b\r\n"};

static void test_ambiguous_and_malformed_heads_are_refused_with_a_reason(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    const char *why = NULL;
    CLEANUP(drop) struct reply r;
    reply_init(&r);
    if (feed(&r, bad[i], &why) != REPLY_BAD || why == NULL)
      fail_msg("accepted: %s", bad[i]);
  }
}

static void test_the_bytes_of_a_head_are_bounded(void **state)
{
  (void)state;
  static char line[LIMIT_UPSTREAM_HEADERS + 8];
  const char *why = NULL;
  CLEANUP(drop) struct reply r;
  reply_init(&r);
  size_t room = LIMIT_UPSTREAM_HEADERS - strlen("HTTP/1.1 200 OK\r\n");
  memset(line, 'x', sizeof line);
  memcpy(line, "A: ", 3);
  assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\n", &why), REPLY_MORE);
  assert_int_equal(reply_line(&r, (struct str){line, room + 1}, &why), REPLY_BAD);
  assert_int_equal(reply_line(&r, (struct str){line, room}, &why), REPLY_MORE);
  assert_int_equal(reply_line(&r, STR("\r\n"), &why), REPLY_BAD);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_head_is_complete_at_its_empty_line),
      cmocka_unit_test(test_interim_replies_leave_nothing_behind),
      cmocka_unit_test(test_what_follows_the_head_is_dropped),
      cmocka_unit_test(test_bodies_that_cannot_be_have_no_length),
      cmocka_unit_test(test_ambiguous_and_malformed_heads_are_refused_with_a_reason),
      cmocka_unit_test(test_the_bytes_of_a_head_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
