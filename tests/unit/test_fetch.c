/* Fetching from identity providers: bounded, strict, once, and not where a stranger's URL must not
 * lead.  Names are resolved by this file: libcurl's getaddrinfo is ours. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>
#include <cmocka.h>

#include "../support/tiny_server.h"
#include "http/fetch.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* ---- the resolver */

static _Atomic int lookups;

/* slow.test takes 2 s; rebind.test changes its mind; the others are on loopback. */
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo"); /* each time: several threads come here */
  int n = ++lookups;
  if (strcmp(name, "slow.test") == 0)
    usleep(2000000);
  if (strcmp(name, "rebind.test") == 0 && n == 1)
    name = "192.0.2.1";
  else if (strstr(name, ".test"))
    name = "127.0.0.1";
  return real(name, service, hints, out);
}

/* ---- one fetch */

struct result {
  struct loop *loop;
  int dones, status;
  char error[300], type[300], body[100000];
  size_t body_n;
  int64_t max_age;
};

static void on_done(void *arg, const struct fetch_reply *r)
{
  struct result *x = arg;
  x->dones++;
  x->status = r->status;
  x->max_age = r->max_age_s;
  x->body_n = r->body.n;
  snprintf(x->error, sizeof x->error, "%s", r->error);
  snprintf(x->type, sizeof x->type, "%s", r->content_type);
  snprintf(x->body, sizeof x->body, "%.*s", STR_ARG(r->body));
  loop_stop(x->loop);
}

struct client {
  struct loop *loop;
  struct fetcher *fetcher;
  struct timer guard;
  bool late;
};

static void on_guard(struct timer *t)
{
  struct client *k = container_of(t, struct client, guard);
  k->late = true;
  loop_stop(k->loop);
}

static void open_client(struct client *k)
{
  struct err e;
  *k = (struct client){.guard = {.fire = on_guard}};
  k->loop = loop_new(&e);
  k->fetcher = fetcher_new(k->loop, &e);
  assert_non_null(k->fetcher);
}

static void close_client(struct client *k)
{
  fetcher_free(k->fetcher);
  loop_free(k->loop);
}

static bool turn(struct client *k, int64_t ms)
{
  k->late = false;
  loop_timer_set(k->loop, &k->guard, ms);
  loop_run(k->loop);
  loop_timer_stop(k->loop, &k->guard);
  return !k->late;
}

/* Until it is done. */
static struct result fetch(struct client *k, struct fetch_request rq)
{
  struct result x = {.loop = k->loop};
  struct err e = {""};
  if (rq.max_reply == 0)
    rq.max_reply = 10000;
  if (fetch_start(k->fetcher, &rq, on_done, &x, &e) == NULL)
    fail_msg("%s", e.text);
  assert_true(turn(k, 10000));
  assert_int_equal(x.dones, 1);
  return x;
}

static const char *url(char out[128], const struct tiny_server *s, const char *host)
{
  snprintf(out, 128, "http://%s:%d/keys", host, s->port);
  return out;
}

static void serve_text(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  while (tiny_read(s, fd))
    tiny_write(fd, s->arg);
}

#define WITH(s, k, u, serve, arg)                                                                  \
  struct tiny_server s;                                                                            \
  struct client k;                                                                                 \
  char u[128];                                                                                     \
  (void)state;                                                                                     \
  tiny_start(&s, serve, arg, NULL);                                                                \
  open_client(&k);                                                                                 \
  url(u, &s, "127.0.0.1")

#define DONE(s, k)                                                                                 \
  close_client(&k);                                                                                \
  tiny_stop(&s)

/* ---- replies */

static void test_a_reply_comes_whole(void **state)
{
  WITH(s, k, u, serve_text,
       "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
       "Cache-Control: public, max-age=600\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}");
  struct result x = fetch(&k, (struct fetch_request){.url = u});
  assert_int_equal(x.status, 200);
  assert_string_equal(x.error, "");
  assert_string_equal(x.type, "application/json; charset=utf-8");
  assert_string_equal(x.body, "{\"keys\":[]}");
  assert_int_equal(x.max_age, 600);
  char expected[128];
  snprintf(expected, sizeof expected, "GET /keys HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", s.port);
  assert_string_equal(s.last, expected);
  DONE(s, k);
}

static void test_a_form_is_posted_with_its_headers(void **state)
{
  WITH(s, k, u, serve_text, "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}");
  static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                        "Authorization: Basic eDp5", NULL};
  struct result x = fetch(
      &k,
      (struct fetch_request){.method = "POST", .url = u, .headers = headers, .body = STR("a=b")});
  assert_int_equal(x.status, 401);
  assert_int_equal(x.max_age, -1);
  assert_string_equal(x.type, "");
  assert_non_null(strstr(s.last, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                                 "Authorization: Basic eDp5\r\nContent-Length: 3\r\n\r\na=b"));
  assert_int_equal(tiny_requests(&s), 1);
  DONE(s, k);
}

static void test_cache_control_is_read_as_meant(void **state)
{
  static const struct {
    const char *value;
    int64_t max_age;
  } cases[] = {{"max-age=5", 5},
               {"Max-Age=\"7\"", 7},
               {"public,max-age=9", 9},
               {"no-store", 0},
               {"no-cache, max-age=5", 0},
               {"max-age=-1", -1},
               {"max-age=x, max-age=3", 3},
               {"s-maxage=5", -1},
               {"max-age", -1},
               {"max-age=99999999999", -1}};
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    char reply[256];
    snprintf(reply, sizeof reply,
             "HTTP/1.1 200 OK\r\nCache-Control: %s\r\nContent-Length: 0\r\n\r\n", cases[i].value);
    WITH(s, k, u, serve_text, reply);
    assert_int_equal(fetch(&k, (struct fetch_request){.url = u}).max_age, cases[i].max_age);
    DONE(s, k);
  }
}

/* row 170 */
static void test_a_reply_over_the_maximum_is_none(void **state)
{
  static const char *const replies[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"keys\":[]}\r\n0\r\n\r\n"};
  for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
    WITH(s, k, u, serve_text, replies[i]);
    struct result x = fetch(&k, (struct fetch_request){.url = u, .max_reply = 10});
    assert_int_equal(x.status, 0);
    assert_int_equal(x.body_n, 0);
    assert_string_equal(x.error, "the reply is too large");
    x = fetch(&k, (struct fetch_request){.url = u, .max_reply = 11});
    assert_int_equal(x.status, 200);
    DONE(s, k);
  }
}

/* rows 107, 170 */
static void test_redirects_compression_and_half_replies_are_not_followed(void **state)
{
  WITH(s, k, u, serve_text,
       "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  assert_int_equal(fetch(&k, (struct fetch_request){.url = u}).status, 302);
  DONE(s, k);
  {
    WITH(z, kz, uz, serve_text,
         "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx");
    assert_int_equal(fetch(&kz, (struct fetch_request){.url = uz}).status, 0);
    DONE(z, kz);
  }
}

static void serve_half(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  if (tiny_read(s, fd))
    tiny_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\"");
}

static void test_a_truncated_reply_is_none(void **state)
{
  WITH(s, k, u, serve_half, NULL);
  struct result x = fetch(&k, (struct fetch_request){.url = u});
  assert_int_equal(x.status, 0);
  assert_string_not_equal(x.error, "");
  DONE(s, k);
}

/* ---- how often */

static void serve_one_then_die(struct tiny_server *s, int fd, int nth)
{
  if (nth > 1) {
    serve_text(s, fd, nth);
    return;
  }
  if (tiny_read(s, fd))
    tiny_write(fd, s->arg);
  tiny_read(s, fd);
}

static void test_a_get_survives_a_dead_kept_connection_and_a_post_does_not(void **state)
{
  static const char *const methods[] = {"GET", "POST"};
  for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
    WITH(s, k, u, serve_one_then_die, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    struct fetch_request rq = {.method = methods[i], .url = u};
    assert_int_equal(fetch(&k, rq).status, 200);
    assert_int_equal(fetch(&k, rq).status, i == 0 ? 200 : 0);
    assert_int_equal(tiny_requests(&s), i == 0 ? 3 : 2);
    DONE(s, k);
  }
}

/* ---- time */

static void serve_silence(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  if (tiny_read(s, fd))
    tiny_wait_close(fd, 5000);
}

static void serve_drip(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  if (!tiny_read(s, fd))
    return;
  tiny_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  for (int i = 0; i < 100 && tiny_wait_close(fd, 20) < 0; i++)
    tiny_write(fd, "x");
}

/* row 164 */
static void test_the_timeout_is_total(void **state)
{
  static tiny_serve_fn *const servers[] = {serve_silence, serve_drip};
  for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
    WITH(s, k, u, servers[i], NULL);
    int64_t before = clock_mono_ms();
    struct result x = fetch(&k, (struct fetch_request){.url = u, .timeout_ms = 150});
    assert_int_equal(x.status, 0);
    assert_string_equal(x.error, "no whole answer in time");
    assert_in_range(clock_mono_ms() - before, 140, 20000);
    DONE(s, k);
  }
}

static void test_a_cancelled_fetch_is_never_done(void **state)
{
  WITH(s, k, u, serve_silence, NULL);
  struct result x = {.loop = k.loop};
  struct err e;
  const struct fetch_request rq = {.url = u, .max_reply = 10};
  struct fetch *now = fetch_start(k.fetcher, &rq, on_done, &x, &e);
  fetch_cancel(now);
  struct fetch *later = fetch_start(k.fetcher, &rq, on_done, &x, &e);
  turn(&k, 30);
  fetch_cancel(later);
  fetch_cancel(NULL);
  assert_non_null(fetch_start(k.fetcher, &rq, on_done, &x, &e));
  turn(&k, 30);
  DONE(s, k); /* freeing cancels the third */
  assert_int_equal(x.dones, 0);
}

/* A resolver's thread that hangs must not hold the loop. */
static void test_cancelling_does_not_wait_for_the_resolver(void **state)
{
  (void)state;
  struct client k;
  struct result x = {0};
  struct err e;
  open_client(&k);
  x.loop = k.loop;
  const struct fetch_request rq = {
      .url = "https://slow.test/", .max_reply = 10, .timeout_ms = 5000};
  struct fetch *f = fetch_start(k.fetcher, &rq, on_done, &x, &e);
  turn(&k, 50);
  int64_t before = clock_mono_ms();
  fetch_cancel(f);
  assert_in_range(clock_mono_ms() - before, 0, 1500);
  assert_int_equal(x.dones, 0);
  close_client(&k);
  usleep(2200000); /* its thread ends before the leak check */
}

/* ---- where to */

static void test_plain_http_is_for_this_machine_only(void **state)
{
  (void)state;
  static const char *const bad[] = {"http://idp.test/keys",
                                    "http://192.0.2.1/",
                                    "http://127.0.0.1.test/",
                                    "ftp://127.0.0.1/",
                                    "file:///etc/passwd",
                                    "https://u:p@idp.test/",
                                    "http://10.0.0.1/",
                                    "idp.test",
                                    "",
                                    "https://idp.test/#x",
                                    "http://localhost.test/",
                                    "gopher://127.0.0.1/"};
  struct client k;
  open_client(&k);
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    struct err e = {""};
    const struct fetch_request rq = {.url = bad[i], .max_reply = 10};
    assert_null(fetch_start(k.fetcher, &rq, on_done, NULL, &e));
    assert_string_not_equal(e.text, "");
  }
  close_client(&k);
}

static void test_bad_headers_and_methods_are_refused(void **state)
{
  (void)state;
  static const char *const bad[] = {"X: a\r\nY: b", "X: a\nY: b",  "no colon",
                                    "X Y: 1",       ": 1",         "Host: evil",
                                    "X: \x7f",      "X: \xc3\xa4", "Cookie\r: x"};
  struct client k;
  open_client(&k);
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    struct err e = {""};
    const char *const headers[] = {bad[i], NULL};
    const struct fetch_request rq = {
        .url = "http://127.0.0.1:9/", .headers = headers, .max_reply = 10};
    assert_null(fetch_start(k.fetcher, &rq, on_done, NULL, &e));
    assert_string_not_equal(e.text, "");
  }
  struct err e = {""};
  const struct fetch_request rq = {.url = "http://127.0.0.1:9/", .method = "HEAD", .max_reply = 10};
  assert_null(fetch_start(k.fetcher, &rq, on_done, NULL, &e));
  close_client(&k);
}

/* rows 107, 108: the canary on loopback is never contacted, whatever the name says */
static void test_a_strangers_url_does_not_reach_this_machine(void **state)
{
  WITH(s, k, u, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  static const char *const hosts[] = {"127.0.0.1",          "localhost",  "name.test", "[::1]",
                                      "[::ffff:127.0.0.1]", "2130706433", "127.1",     "0.0.0.0"};
  for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
    char https[128];
    snprintf(https, sizeof https, "https://%s:%d/", hosts[i], s.port);
    struct result x =
        fetch(&k, (struct fetch_request){.url = https, .public_only = true, .timeout_ms = 1000});
    assert_int_equal(x.status, 0);
    assert_string_equal(x.error, "its address is not one that may be reached");
  }
  struct err e;
  const struct fetch_request plain = {.url = u, .max_reply = 10, .public_only = true};
  assert_null(fetch_start(k.fetcher, &plain, on_done, NULL, &e));
  assert_int_equal(tiny_connections(&s), 0);
  DONE(s, k);
}

/* row 108: judged at each attempt, not at the first */
static void test_a_name_that_changes_its_mind_is_judged_each_time(void **state)
{
  WITH(s, k, u, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  lookups = 0;
  for (int i = 0; i < 2; i++) {
    char https[128];
    snprintf(https, sizeof https, "https://rebind.test:%d/", s.port);
    struct result x =
        fetch(&k, (struct fetch_request){.url = https, .public_only = true, .timeout_ms = 1000});
    assert_string_equal(x.error, "its address is not one that may be reached");
    close_client(&k); /* and with it the names it remembers */
    open_client(&k);
  }
  assert_int_equal(lookups, 2);
  assert_int_equal(tiny_connections(&s), 0);
  DONE(s, k);
}

static void test_loopback_is_fine_for_a_hub_on_loopback(void **state)
{
  WITH(s, k, u, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  struct result x =
      fetch(&k, (struct fetch_request){.url = u, .public_only = true, .loopback_too = true});
  assert_int_equal(x.status, 200);
  DONE(s, k);
}

/* row 58 */
static void test_the_environments_proxy_is_ignored(void **state)
{
  WITH(s, k, u, serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  struct tiny_server canary;
  char proxy[128];
  tiny_start(&canary, serve_silence, NULL, NULL);
  url(proxy, &canary, "127.0.0.1");
  setenv("http_proxy", proxy, 1);
  setenv("ALL_PROXY", proxy, 1);
  assert_int_equal(fetch(&k, (struct fetch_request){.url = u}).status, 200);
  assert_int_equal(tiny_connections(&canary), 0);
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  tiny_stop(&canary);
  DONE(s, k);
}

static void serve_refuse_proxy(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  if (tiny_read(s, fd))
    tiny_write(fd, "HTTP/1.1 403 No\r\nX-Proxy: 1\r\nContent-Length: 0\r\n\r\n");
}

static void test_the_configured_proxy_is_asked_to_connect_and_sees_no_secret(void **state)
{
  WITH(s, k, u, serve_refuse_proxy, NULL);
  static const char *const headers[] = {"Authorization: Bearer hush", NULL};
  char proxy[64];
  snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", s.port);
  setenv("no_proxy", "*", 1);
  struct result x =
      fetch(&k, (struct fetch_request){
                    .url = "https://idp.test/keys", .egress_proxy = proxy, .headers = headers});
  unsetenv("no_proxy");
  assert_int_equal(x.status, 0);
  assert_int_equal(tiny_requests(&s), 1);
  assert_memory_equal(s.last, "CONNECT idp.test:443 ", 21);
  assert_null(strstr(s.last, "hush"));
  DONE(s, k);
}

/* row 107: what the proxy cannot be asked about */
static void test_a_strangers_url_behind_a_proxy_is_a_public_name_or_address(void **state)
{
  WITH(s, k, u, serve_refuse_proxy, NULL);
  static const char *const bad[] = {
      "10.0.0.1",   "[fd00::1]", "[::ffff:7f00:1]",   "169.254.169.254",
      "2130706433", "127.1",     "0x7f000001",        "10.0.0x1",
      "intranet",   "a.b.",      "93.184.215.14:8443"};
  char proxy[64], url[64];
  snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", s.port);
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    struct err e = {""};
    snprintf(url, sizeof url, "https://%s/c", bad[i]);
    const struct fetch_request rq = {
        .url = url, .max_reply = 10, .public_only = true, .egress_proxy = proxy};
    assert_null(fetch_start(k.fetcher, &rq, on_done, NULL, &e));
    assert_string_not_equal(e.text, "");
  }
  assert_int_equal(tiny_requests(&s), 0);
  static const char *const good[] = {"app.example", "93.184.215.14", "[2606:4700::1111]"};
  for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
    char connect[64];
    snprintf(url, sizeof url, "https://%s/c", good[i]);
    int n = snprintf(connect, sizeof connect, "CONNECT %s:443 ", good[i]);
    fetch(&k, (struct fetch_request){.url = url, .public_only = true, .egress_proxy = proxy});
    assert_int_equal(tiny_requests(&s), i + 1);
    assert_memory_equal(s.last, connect, (size_t)n);
  }
  DONE(s, k);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_reply_comes_whole),
      cmocka_unit_test(test_a_form_is_posted_with_its_headers),
      cmocka_unit_test(test_cache_control_is_read_as_meant),
      cmocka_unit_test(test_a_reply_over_the_maximum_is_none),
      cmocka_unit_test(test_redirects_compression_and_half_replies_are_not_followed),
      cmocka_unit_test(test_a_truncated_reply_is_none),
      cmocka_unit_test(test_a_get_survives_a_dead_kept_connection_and_a_post_does_not),
      cmocka_unit_test(test_the_timeout_is_total),
      cmocka_unit_test(test_a_cancelled_fetch_is_never_done),
      cmocka_unit_test(test_cancelling_does_not_wait_for_the_resolver),
      cmocka_unit_test(test_plain_http_is_for_this_machine_only),
      cmocka_unit_test(test_bad_headers_and_methods_are_refused),
      cmocka_unit_test(test_a_strangers_url_does_not_reach_this_machine),
      cmocka_unit_test(test_a_name_that_changes_its_mind_is_judged_each_time),
      cmocka_unit_test(test_loopback_is_fine_for_a_hub_on_loopback),
      cmocka_unit_test(test_the_environments_proxy_is_ignored),
      cmocka_unit_test(test_the_configured_proxy_is_asked_to_connect_and_sees_no_secret),
      cmocka_unit_test(test_a_strangers_url_behind_a_proxy_is_a_public_name_or_address),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
