/* What the upstream seam makes of replies, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../support/upstream_client.h"

static void test_the_head_says_what_the_server_said(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  tiny_start(&s, serve_text,
             "HTTP/1.1 202 Accepted\r\nContent-Type:  application/json \r\nX-Empty:\r\n"
             "Mcp-Session-Id: s1\r\nContent-Length: 0\r\n\r\n",
             NULL);
  open_to(&k, &s);
  CALL(c);
  post(&k, &c, STR("{}"));
  assert_complete(&c, 202, "");
  assert_int_equal(c.length, 0);
  assert_string_equal(c.headers, "Content-Type=application/json;X-Empty=;Mcp-Session-Id=s1;"
                                 "Content-Length=0;");
  client_close(&k);
  tiny_stop(&s);
}

static void test_lengths_are_passed_on(void **state)
{
  (void)state;
  static const struct {
    const char *reply, *body;
    int64_t length;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 5},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
       "hello", -1},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
       "hello", -1},
      {"HTTP/1.1 200 OK\r\n\r\nhello", "hello", -1},
      {"HTTP/1.0 200 OK\r\n\r\nhello", "hello", -1},
      {"HTTP/1.1 204 No Content\r\n\r\n", "", 0},
  };
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    struct tiny_server s;
    struct client k;
    tiny_start(&s, serve_text_and_close, cases[i].reply, NULL);
    open_to(&k, &s);
    CALL(c);
    post(&k, &c, STR("{}"));
    assert_int_equal(c.end, UPSTREAM_COMPLETE);
    assert_string_equal(c.body.p ? c.body.p : "", cases[i].body);
    assert_int_equal(c.length, cases[i].length);
    client_close(&k);
    tiny_stop(&s);
  }
}

static void test_interim_replies_are_skipped(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  tiny_start(&s, serve_text,
             "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK_REPLY,
             NULL);
  open_to(&k, &s);
  for (int i = 0; i < 2; i++) {
    CALL(c);
    post(&k, &c, STR("{}"));
    assert_complete(&c, 200, "{}");
    assert_null(strstr(c.headers, "Link"));
  }
  client_close(&k);
  tiny_stop(&s);
}

/* row 46 */
static void test_a_redirect_is_an_answer_and_not_followed(void **state)
{
  (void)state;
  static const int codes[] = {301, 302, 303, 307, 308};
  for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
    struct tiny_server s, canary;
    struct client k;
    char reply[256];
    tiny_start(&canary, serve_text, OK_REPLY, NULL);
    snprintf(reply, sizeof reply,
             "HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n",
             codes[i], canary.port);
    tiny_start(&s, serve_text, reply, NULL);
    open_to(&k, &s);
    CALL(c);
    post(&k, &c, STR("{}"));
    assert_complete(&c, codes[i], "");
    client_run_for(&k, 20);
    assert_int_equal(tiny_connections(&canary), 0);
    client_close(&k);
    tiny_stop(&s);
    tiny_stop(&canary);
  }
}

/* An upstream's 401 must not make libcurl try anything. */
static void test_a_401_is_an_answer_and_sent_once(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  tiny_start(&s, serve_text,
             "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: NTLM\r\n"
             "WWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
             NULL);
  open_to(&k, &s);
  CALL(c);
  post(&k, &c, STR("{}"));
  assert_complete(&c, 401, "");
  assert_int_equal(tiny_requests(&s), 1);
  client_close(&k);
  tiny_stop(&s);
}

/* As serve_text_and_close, for text with NULs in it. */
static void serve_bytes(struct tiny_server *s, int fd, int nth)
{
  const struct str *reply = s->arg;
  (void)nth;
  if (tiny_read(s, fd))
    tiny_write_bytes(fd, reply->p, reply->n);
}

/* rows 45, 170: replies that two readers could understand differently, or that are not whole */
static void test_nonsense_is_broken(void **state)
{
  (void)state;
  static const struct {
    const char *what;
    struct str reply;
  } cases[] = {
#define REPLY(text) {text, sizeof(text) - 1}
      {"nothing", REPLY("")},
      {"not HTTP", REPLY("hello\r\n\r\n")},
      {"HTTP/0.9", REPLY("{\"jsonrpc\":\"2.0\"}")},
      {"half a head", REPLY("HTTP/1.1 200 OK\r\nContent-Type: app")},
      {"truncated body", REPLY("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")},
      {"truncated chunk", REPLY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello")},
      {"no last chunk",
       REPLY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")},
      {"chunk size that is no number",
       REPLY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")},
      {"chunk size that overflows", REPLY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                          "fffffffffffffffff\r\nhello\r\n0\r\n\r\n")},
      {"two lengths", REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")},
      {"the same length twice",
       REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}")},
      {"negative length", REPLY("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}")},
      {"length with plus", REPLY("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}")},
      {"list of lengths", REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}")},
      {"length and chunked",
       REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
             "2\r\n{}\r\n0\r\n\r\n")},
      {"gzip transfer coding",
       REPLY("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")},
      {"unknown transfer coding",
       REPLY("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n{}")},
      {"gzip", REPLY("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")},
      {"two media types", REPLY("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                "Content-Type: text/event-stream\r\nContent-Length: 2\r\n\r\n{}")},
      {"folded field", REPLY("HTTP/1.1 200 OK\r\nX-A: 1\r\n  2\r\nContent-Length: 2\r\n\r\n{}")},
      {"field without colon", REPLY("HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 2\r\n\r\n{}")},
      {"space before the colon",
       REPLY("HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 2\r\n\r\n{}")},
      {"control byte in a value",
       REPLY("HTTP/1.1 200 OK\r\nX-A: a\x01z\r\nContent-Length: 2\r\n\r\n{}")},
      {"CR in a value", REPLY("HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 2\r\n\r\n{}")},
      {"NUL in a value", REPLY("HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\n{}")},
      {"unasked upgrade",
       REPLY("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")},
      {"only interim replies", REPLY("HTTP/1.1 100 Continue\r\n\r\n")},
      {"status 999", REPLY("HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\n{}")},
      {"status 20", REPLY("HTTP/1.1 20 What\r\nContent-Length: 2\r\n\r\n{}")},
      {"status 2000", REPLY("HTTP/1.1 2000 What\r\nContent-Length: 2\r\n\r\n{}")},
#undef REPLY
  };
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    struct tiny_server s;
    struct client k;
    print_message("%s\n", cases[i].what);
    tiny_start(&s, serve_bytes, &cases[i].reply, NULL);
    open_to(&k, &s);
    CALL(c);
    post(&k, &c, STR("{}"));
    assert_int_equal(c.end, UPSTREAM_BROKEN);
    assert_int_equal(c.dones, 1);
    assert_string_not_equal(c.error, "");
    assert_int_equal(tiny_requests(&s), 1);
    client_close(&k);
    tiny_stop(&s);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_head_says_what_the_server_said),
      cmocka_unit_test(test_lengths_are_passed_on),
      cmocka_unit_test(test_interim_replies_are_skipped),
      cmocka_unit_test(test_a_redirect_is_an_answer_and_not_followed),
      cmocka_unit_test(test_a_401_is_an_answer_and_sent_once),
      cmocka_unit_test(test_nonsense_is_broken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
