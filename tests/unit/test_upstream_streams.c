/* Streams, back-pressure, deadlines, cancelling, and many calls at once. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <dlfcn.h>
#include <netdb.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "../support/upstream_client.h"
#include "util/clock.h"

enum { STREAM_BYTES = 8 << 20 };

/* 8 MiB of counted bytes, as chunks or with a length (ARG: "chunked" or "length"). */
static void serve_much(struct tiny_server *s, int fd, int nth)
{
  static char block[65536];
  (void)nth;
  for (size_t i = 0; i < sizeof block; i++)
    block[i] = (char)('a' + i % 23);
  if (!tiny_read(s, fd))
    return;
  bool chunked = strcmp(s->arg, "chunked") == 0;
  tiny_write(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n");
  tiny_write(fd,
             chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Content-Length: 8388608\r\n\r\n");
  for (int i = 0; i < STREAM_BYTES / 65536; i++) {
    if (chunked)
      tiny_write(fd, "10000\r\n");
    tiny_write_bytes(fd, block, sizeof block);
    if (chunked)
      tiny_write(fd, "\r\n");
  }
  if (chunked)
    tiny_write(fd, "0\r\n\r\n");
  tiny_read(s, fd);
}

static void assert_counted(const struct buf *b)
{
  assert_int_equal(b->n, STREAM_BYTES);
  for (size_t i = 0; i < b->n; i++)
    if (b->p[i] != (char)('a' + i % 65536 % 23))
      fail_msg("byte %zu is wrong", i);
}

/* row 167: nothing arrives while the call is held, everything after it was resumed */
static void test_a_held_stream_stands_still_and_loses_nothing(void **state)
{
  (void)state;
  static const char *const kinds[] = {"chunked", "length"};
  for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
    struct tiny_server s;
    struct client k;
    tiny_start(&s, serve_much, kinds[i], NULL);
    open_to(&k, &s);
    CALL(c);
    c.pause_every = 1 << 20;
    begin_full(&k, &c, (struct upstream_request){.method = STR("GET")});
    while (c.dones == 0) {
      client_run(&k);
      size_t n = c.body.n;
      if (c.dones == 0 && c.pauses < 3)
        client_run_for(&k, 60);
      assert_int_equal(c.body.n, n);
      if (c.call)
        upstream_resume(c.call);
    }
    assert_int_equal(c.end, UPSTREAM_COMPLETE);
    assert_true(c.pauses >= 7);
    assert_counted(&c.body);
    client_close(&k);
    tiny_stop(&s);
  }
}

static void resume_now(struct call *c)
{
  if (c->pauses)
    upstream_resume(c->call);
}

static void test_resuming_from_inside_data_is_fine(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  tiny_start(&s, serve_much, "length", NULL);
  open_to(&k, &s);
  CALL(c);
  c.pause_every = 100000;
  c.in_data = resume_now;
  begin_full(&k, &c, (struct upstream_request){.method = STR("GET")});
  while (c.dones == 0) {
    client_run(&k);
    if (c.call)
      upstream_resume(c.call);
  }
  assert_counted(&c.body);
  client_close(&k);
  tiny_stop(&s);
}

/* ---- cancelling */

struct gone {
  int waited_ms; /* until the server saw the end; -1: it did not */
};

/* Whether it sees the end before it stops to look. */
static bool seen_gone(struct tiny_server *s, const struct gone *gone)
{
  bool seen = false;
  for (int ms = 0; ms < 5000 && !seen; ms++) {
    pthread_mutex_lock(&s->lock);
    seen = gone->waited_ms >= 0;
    pthread_mutex_unlock(&s->lock);
    usleep(1000);
  }
  return seen;
}

/* A head, one event, then silence; notes when the client is gone. */
static void serve_stream(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  if (!tiny_read(s, fd))
    return;
  tiny_write(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n");
  int ms = tiny_wait_close(fd, 5000);
  pthread_mutex_lock(&s->lock);
  ((struct gone *)(uintptr_t)s->arg)->waited_ms = ms;
  pthread_mutex_unlock(&s->lock);
}

/* Reads the request, says nothing, notes when the client is gone. */
static void serve_silence(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  if (!tiny_read(s, fd))
    return;
  int ms = tiny_wait_close(fd, 5000);
  pthread_mutex_lock(&s->lock);
  ((struct gone *)(uintptr_t)s->arg)->waited_ms = ms;
  pthread_mutex_unlock(&s->lock);
}

static void cancel_now(struct call *c)
{
  upstream_cancel(c->call);
  c->call = NULL;
  loop_stop(c->loop);
}

static void stop_loop(struct call *c)
{
  loop_stop(c->loop);
}

static void test_cancelling_closes_the_connection_at_once(void **state)
{
  (void)state;
  enum { OUTSIDE, IN_HEAD, IN_DATA, HELD, BEFORE_HEAD, N };
  for (int how = OUTSIDE; how < N; how++) {
    struct tiny_server s;
    struct client k;
    struct gone gone = {-1};
    tiny_start(&s, how == BEFORE_HEAD ? serve_silence : serve_stream, &gone, NULL);
    open_to(&k, &s);
    CALL(c);
    if (how == IN_HEAD)
      c.in_head = cancel_now;
    else if (how == IN_DATA)
      c.in_data = cancel_now;
    else if (how == HELD)
      c.pause_every = 1;
    else
      c.in_data = stop_loop;
    begin_full(&k, &c, (struct upstream_request){.method = STR("GET")});
    if (how == BEFORE_HEAD)
      while (tiny_requests(&s) == 0)
        client_run_for(&k, 5);
    else
      client_run(&k);
    if (c.call)
      cancel_now(&c);
    client_run_for(&k, 5);
    /* the server must see it by itself, not because the pool goes away */
    assert_true(seen_gone(&s, &gone));
    assert_int_equal(c.dones, 0);
    client_close(&k);
    tiny_stop(&s);
  }
}

static void test_cancelling_before_the_first_turn_sends_nothing(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  struct gone gone = {-1};
  tiny_start(&s, serve_stream, &gone, NULL);
  open_to(&k, &s);
  CALL(c);
  begin(&k, &c, STR("{}"));
  upstream_cancel(c.call);
  client_run_for(&k, 30);
  assert_int_equal(tiny_connections(&s), 0);
  assert_int_equal(c.dones, 0);
  client_close(&k);
  tiny_stop(&s);
}

static struct call *victim;

static void cancel_the_other(struct call *c)
{
  if (victim && victim->call) {
    upstream_cancel(victim->call);
    victim->call = NULL;
  }
  loop_stop(c->loop);
}

static void test_one_call_may_cancel_another_from_its_data(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  struct gone gone = {-1};
  tiny_start(&s, serve_stream, &gone, NULL);
  open_to(&k, &s);
  CALL(a);
  CALL(b);
  victim = &b;
  a.in_data = cancel_the_other;
  begin(&k, &a, STR("{}"));
  begin(&k, &b, STR("{}"));
  client_run(&k);
  client_run_for(&k, 30);
  assert_int_equal(b.dones, 0);
  assert_int_equal(a.dones, 0);
  assert_string_equal(a.body.p, "data: 1\n\n");
  victim = NULL;
  client_close(&k);
  tiny_stop(&s);
}

/* The first connection's stream is cancelled; the next call must not meet what it left behind. */
static void test_a_cancelled_connection_is_not_kept(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  struct gone gone = {-1};
  tiny_start(&s, serve_stream, &gone, NULL);
  open_to(&k, &s);
  for (int i = 0; i < 3; i++) {
    CALL(c);
    c.in_data = cancel_now;
    begin(&k, &c, STR("{}"));
    client_run(&k);
    client_run_for(&k, 5);
    assert_string_equal(c.body.p, "data: 1\n\n");
  }
  assert_int_equal(tiny_connections(&s), 3);
  client_close(&k);
  tiny_stop(&s);
}

static void test_freeing_the_pool_ends_what_runs(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  struct gone gone = {-1};
  tiny_start(&s, serve_stream, &gone, NULL);
  open_to(&k, &s);
  CALL(a);
  CALL(b);
  a.in_data = stop_loop;
  begin(&k, &a, STR("{}"));
  client_run(&k);
  begin(&k, &b, STR("{}")); /* not even on its way */
  client_close(&k);
  assert_int_equal(a.dones + b.dones, 0);
  tiny_stop(&s);
  assert_in_range(gone.waited_ms, 0, 5000);
}

/* ---- deadlines */

static void test_an_upstream_that_is_not_there_is_unreachable(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  tiny_start(&s, serve_silence, NULL, NULL);
  open_to(&k, &s);
  tiny_stop(&s);
  CALL(c);
  post(&k, &c, STR("{}"));
  assert_int_equal(c.end, UPSTREAM_UNREACHABLE);
  assert_string_not_equal(c.error, "");
  client_close(&k);
}

/* What does not exist is known at once, wherever the machine would ask and however long. */
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (name && strstr(name, ".invalid"))
    return EAI_NONAME;
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  return real(name, service, hints, out);
}

static void test_a_name_that_does_not_exist_is_unreachable(void **state)
{
  (void)state;
  struct client k;
  client_open(&k, "http://does-not-exist.invalid/mcp");
  CALL(c);
  post(&k, &c, STR("{}"));
  assert_int_equal(c.end, UPSTREAM_UNREACHABLE);
  client_close(&k);
}

/* A listener whose queue is full answers no SYN. */
static void test_no_connection_in_time_is_a_timeout(void **state)
{
  (void)state;
  int l = socket(AF_INET, SOCK_STREAM, 0), fds[8];
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  assert_int_equal(bind(l, (struct sockaddr *)&a, n), 0);
  assert_int_equal(listen(l, 0), 0);
  getsockname(l, (struct sockaddr *)&a, &n);
  for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fds[i], (struct sockaddr *)&a, n);
  }
  struct client k;
  char url[64];
  snprintf(url, sizeof url, "http://" UPSTREAM_HOST ":%d/", ntohs(a.sin_port));
  client_open(&k, url);
  k.target.connect_timeout_ms = 100;
  CALL(c);
  int64_t before = clock_mono_ms();
  post(&k, &c, STR("{}"));
  assert_int_equal(c.end, UPSTREAM_TIMEOUT);
  assert_in_range(clock_mono_ms() - before, 90, 20000);
  client_close(&k);
  for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
    close(fds[i]);
  close(l);
}

static void test_no_first_byte_in_time_is_a_timeout(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  struct gone gone = {-1};
  tiny_start(&s, serve_silence, &gone, NULL);
  open_to(&k, &s);
  k.target.first_byte_timeout_ms = 100;
  CALL(c);
  int64_t before = clock_mono_ms();
  post(&k, &c, STR("{}"));
  assert_int_equal(c.end, UPSTREAM_TIMEOUT);
  assert_in_range(clock_mono_ms() - before, 90, 20000);
  assert_int_equal(c.dones, 1);
  client_run_for(&k, 20);
  client_close(&k);
  tiny_stop(&s);
  assert_in_range(gone.waited_ms, 0, 5000);
}

static void test_a_stream_has_no_deadline_but_the_total_one(void **state)
{
  (void)state;
  struct tiny_server s;
  struct client k;
  struct gone gone = {-1};
  tiny_start(&s, serve_stream, &gone, NULL);
  open_to(&k, &s);
  k.target.first_byte_timeout_ms = 500;
  CALL(open);
  CALL(ended);
  begin_full(&k, &open, (struct upstream_request){.method = STR("GET")});
  begin_full(&k, &ended, (struct upstream_request){.method = STR("GET"), .total_timeout_ms = 1000});
  int64_t before = clock_mono_ms();
  client_run(&k);
  assert_int_equal(ended.end, UPSTREAM_TIMEOUT);
  assert_in_range(clock_mono_ms() - before, 990, 20000);
  assert_int_equal(open.dones, 0);
  assert_non_null(open.call);
  client_close(&k);
  tiny_stop(&s);
}

/* ---- hostile heads */

/* Header fields for ever (ARG: "line" one endless line, "fields" endless fields, "interim" endless
 * 100 Continue, "trailers" behind a body). */
static void serve_bomb(struct tiny_server *s, int fd, int nth)
{
  const char *kind = s->arg;
  (void)nth;
  if (!tiny_read(s, fd))
    return;
  if (strcmp(kind, "trailers") == 0)
    tiny_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
  else if (strcmp(kind, "interim") != 0)
    tiny_write(fd, "HTTP/1.1 200 OK\r\nX: ");
  for (int i = 0; i < 200000 && tiny_wait_close(fd, 0) < 0; i++)
    tiny_write(fd, strcmp(kind, "line") == 0      ? "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                   : strcmp(kind, "interim") == 0 ? "HTTP/1.1 100 Continue\r\n\r\n"
                                                  : "x\r\nX-Field: y\r\n");
}

/* row 170 */
static void test_endless_heads_are_cut_off(void **state)
{
  (void)state;
  static const char *const kinds[] = {"line", "fields", "interim", "trailers"};
  for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
    struct tiny_server s;
    struct client k;
    print_message("%s\n", kinds[i]);
    tiny_start(&s, serve_bomb, kinds[i], NULL);
    open_to(&k, &s);
    CALL(c);
    post(&k, &c, STR("{}"));
    assert_int_equal(c.end, UPSTREAM_BROKEN);
    client_close(&k);
    tiny_stop(&s);
  }
}

static void test_a_hundred_fields_pass_and_one_more_does_not(void **state)
{
  (void)state;
  for (int n = LIMIT_HEADERS; n <= LIMIT_HEADERS + 1; n++) {
    struct tiny_server s;
    struct client k;
    char reply[4096] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    for (int i = 1; i < n; i++)
      strcat(reply, "X-F: 1\r\n");
    strcat(reply, "\r\n");
    tiny_start(&s, serve_text, reply, NULL);
    open_to(&k, &s);
    CALL(c);
    post(&k, &c, STR("{}"));
    assert_int_equal(c.end, n == LIMIT_HEADERS ? UPSTREAM_COMPLETE : UPSTREAM_BROKEN);
    client_close(&k);
    tiny_stop(&s);
  }
}

/* ---- many at once */

/* Echoes the request's last line, after a pause that shuffles the replies. */
static void serve_echo(struct tiny_server *s, int fd, int nth)
{
  char request[1024], reply[1200];
  (void)s;
  for (int i = 0;; i++) {
    ssize_t n = recv(fd, request, sizeof request - 1, 0);
    if (n <= 0)
      return;
    request[n] = 0;
    const char *body = strstr(request, "\r\n\r\n");
    usleep((useconds_t)((nth * 7 + i * 13) % 5 * 300));
    snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body + 4), body + 4);
    tiny_write(fd, reply);
  }
}

/* row 56 */
static void test_every_call_gets_its_own_reply(void **state)
{
  (void)state;
  enum { AT_ONCE = 64, ROUNDS = 20 };
  static struct call calls[AT_ONCE];
  static char bodies[AT_ONCE][32];
  struct tiny_server s;
  struct client k;
  tiny_start(&s, serve_echo, NULL, NULL);
  open_to(&k, &s);
  for (int round = 0; round < ROUNDS; round++) {
    int left = AT_ONCE;
    for (int i = 0; i < AT_ONCE; i++) {
      calls[i] = (struct call){.left = &left};
      snprintf(bodies[i], sizeof bodies[i], "{\"id\":1,\"marker\":%d.%d}", round, i);
      begin(&k, &calls[i], str_of(bodies[i]));
    }
    client_run(&k);
    for (int i = 0; i < AT_ONCE; i++) {
      assert_complete(&calls[i], 200, bodies[i]);
      call_free(&calls[i]);
    }
  }
  assert_in_range(tiny_connections(&s), 1, AT_ONCE);
  client_close(&k);
  tiny_stop(&s);
}

static void test_many_targets_share_a_pool(void **state)
{
  (void)state;
  enum { TARGETS = 300 };
  static struct upstream_target targets[TARGETS];
  static char urls[TARGETS][64];
  struct tiny_server s;
  struct client k;
  tiny_start(&s, serve_text, OK_REPLY, NULL);
  open_to(&k, &s);
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < TARGETS; i++) {
      char expected[64];
      snprintf(urls[i], sizeof urls[i], "http://" UPSTREAM_HOST ":%d/service%d", s.port, i);
      snprintf(expected, sizeof expected, "POST /service%d HTTP/1.1\r\n", i);
      targets[i] = k.target;
      targets[i].url = urls[i];
      CALL(c);
      struct err e = {""};
      const struct upstream_request rq = {
          .target = &targets[i], .url = urls[i], .method = STR("POST"), .body = STR("{}")};
      c.loop = k.loop;
      buf_init(&c.body, 100);
      c.call = upstream_start(k.pool, &rq, &call_events, &c, &e);
      assert_non_null(c.call);
      client_run(&k);
      assert_complete(&c, 200, "{}");
      assert_memory_equal(s.last, expected, strlen(expected));
    }
  }
  assert_int_equal(tiny_connections(&s), 1);
  client_close(&k);
  tiny_stop(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_held_stream_stands_still_and_loses_nothing),
      cmocka_unit_test(test_resuming_from_inside_data_is_fine),
      cmocka_unit_test(test_cancelling_closes_the_connection_at_once),
      cmocka_unit_test(test_cancelling_before_the_first_turn_sends_nothing),
      cmocka_unit_test(test_one_call_may_cancel_another_from_its_data),
      cmocka_unit_test(test_a_cancelled_connection_is_not_kept),
      cmocka_unit_test(test_freeing_the_pool_ends_what_runs),
      cmocka_unit_test(test_an_upstream_that_is_not_there_is_unreachable),
      cmocka_unit_test(test_a_name_that_does_not_exist_is_unreachable),
      cmocka_unit_test(test_no_connection_in_time_is_a_timeout),
      cmocka_unit_test(test_no_first_byte_in_time_is_a_timeout),
      cmocka_unit_test(test_a_stream_has_no_deadline_but_the_total_one),
      cmocka_unit_test(test_endless_heads_are_cut_off),
      cmocka_unit_test(test_a_hundred_fields_pass_and_one_more_does_not),
      cmocka_unit_test(test_every_call_gets_its_own_reply),
      cmocka_unit_test(test_many_targets_share_a_pool),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
