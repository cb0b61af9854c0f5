/* The proof that compat_intact reads libmicrohttpd's memory rightly: heads with hidden bytes are
 * sent through a whole server on socketpairs before any real one starts. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/inside.h"

static void test_headers(void *self, struct http_request *rq)
{
  (void)self;
  http_respond(rq, 204, NULL, 0, STR(""));
}

static void test_nothing(void *self, struct http_request *rq)
{
  (void)self;
  (void)rq;
}

static const struct {
  const char *what;
  struct str head;
  const char *status;
} cases[] = {
    {"a plain head", STR_INIT("GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"), "204"},
    {"a NUL in a value", STR_INIT("GET /a HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n"), "400"},
    {"a NUL in the last byte of a value", STR_INIT("GET /a HTTP/1.1\r\nA: b\0\r\nHost: h\r\n\r\n"),
     "400"},
    {"a NUL in the target", STR_INIT("GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"), "400"},
    {"a line ended by LF", STR_INIT("GET /a HTTP/1.1\r\nA: b\nHost: h\r\n\r\n"), "400"},
    {"a request line ended by LF", STR_INIT("GET /a HTTP/1.1\nHost: h\r\n\r\n"), "400"},
    {"a head ended by LF", STR_INIT("GET /a HTTP/1.1\r\nHost: h\r\n\n"), "400"},
    {"a folded line", STR_INIT("GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n c: d\r\n\r\n"), "400"},
    {"a carriage return in a value", STR_INIT("GET /a HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n"),
     "400"},
};

/* The status of the answer to HEAD, as text. */
static int exchange(struct http_server *s, struct str head, char out[16])
{
  int pair[2];
  struct sockaddr_storage peer = {.ss_family = AF_UNIX};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
    return -1;
  AUTO_CLOSE int ours = pair[0];
  if (send(ours, head.p, head.n, MSG_NOSIGNAL) != (ssize_t)head.n) {
    close(pair[1]);
    return -1;
  }
  if (conn_adopt(s, &s->daemons[0], pair[1], &peer, sizeof(sa_family_t), false) < 0)
    return -1;
  s->hook.run(&s->hook);
  ssize_t n = recv(ours, out, 15, MSG_DONTWAIT);
  return n > 12 ? 0 : -1;
}

static int run_cases(struct http_server *s, struct err *e)
{
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    char got[16] = "";
    if (exchange(s, cases[i].head, got) < 0)
      return err_set(e, "self-test of the HTTP parser: no answer to %s", cases[i].what);
    if (strncmp(got + 9, cases[i].status, 3) != 0)
      return err_set(e, "self-test of the HTTP parser: %s is answered %.3s instead of %s",
                     cases[i].what, got + 9, cases[i].status);
  }
  return 0;
}

int compat_self_test(struct loop *l, struct err *e)
{
  struct http_server_options o = {.max_connections = 64,
                                  .header_timeout_ms = 1000,
                                  .body_timeout_ms = 1000,
                                  .keepalive_timeout_ms = 1000,
                                  .stall_timeout_ms = 1000,
                                  .body_budget = 1};
  struct http_handler h = {.headers = test_headers,
                           .body = test_nothing,
                           .drained = test_nothing,
                           .finished = test_nothing};
  struct http_listener none = {.fd = -1};
  struct http_server *s = http_server_new_untested(l, &o, &none, 0, &h, e);
  if (s == NULL)
    return -1;
  int ok = daemon_for(s, &none, e) ? run_cases(s, e) : -1;
  http_server_free(s);
  return ok;
}
