/* The admin process; see admin.h. */
#include <config.h>

#include "admin/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include <jansson.h>

#include "admin/page.h"
#include "http/server.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { CONNECTIONS_MOST = 256, TIMEOUT_MS = 10000, IDLE_MS = 60000, DRAIN_MS = 2000 };

struct admin {
  const struct admin_args *args;
  struct arena *arena;
  struct loop *loop;
  struct http_server *server;
  struct http_handler handler;
  struct watch leader;
  struct timer second, drain;
  bool draining;
};

/* ---- answers */

static void answer(struct http_request *rq, int status, const char *type, struct str body)
{
  const struct http_header headers[] = {
      {STR("Content-Type"), str_of(type)},
      {STR("Cache-Control"), STR("no-store")},
  };
  http_respond(rq, status, headers, ARRAY_SIZE(headers), body);
}

static void answer_text(struct http_request *rq, int status, struct str body)
{
  answer(rq, status, "text/plain; charset=utf-8", body);
}

static void answer_metrics(struct admin *a, struct http_request *rq)
{
  CLEANUP(buf_done) struct buf page;
  buf_init(&page, KIB(256));
  if (page_metrics(a->args->shm, a->args->generation, &page) < 0)
    answer_text(rq, 500, STR("out of memory\n"));
  else
    answer(rq, 200, PAGE_CONTENT_TYPE, buf_view(&page));
}

/* Ready is: a worker serves, the state, the store and the audit log can be written, and we are not
 * on our way out. */
static void answer_ready(struct admin *a, struct http_request *rq)
{
  bool ready = !a->draining && (int64_t)shm_total(a->args->shm, METRIC_WORKERS) > 0 &&
               shm_total(a->args->shm, METRIC_STORE_FAILING) == 0 &&
               shm_total(a->args->shm, METRIC_AUDIT_FAILING) == 0 &&
               access(a->args->config->state_dir, W_OK) == 0;
  answer_text(rq, ready ? 200 : 503, ready ? STR("ready\n") : STR("not ready\n"));
}

/* A page in a browser must not reach us under a name of its own choice (DNS rebinding): names other
 * than localhost are refused, addresses cannot be rebound. */
static bool host_is_address(struct str host)
{
  char name[INET6_ADDRSTRLEN + 1];
  unsigned char address[16];
  struct str h = host;
  if (h.n && h.p[0] == '[') {
    h = str_slice(h, 1, str_chr(h, ']'));
  } else {
    h = str_slice(h, 0, str_chr(h, ':'));
    if (str_iis(h, "localhost"))
      return true;
  }
  if (h.n == 0 || h.n >= sizeof name)
    return false;
  memcpy(name, h.p, h.n);
  name[h.n] = 0;
  return inet_pton(host.p[0] == '[' ? AF_INET6 : AF_INET, name, address) == 1;
}

static bool may_ask(const struct http_request *rq)
{
  return rq->peer.ss_family == AF_UNIX || host_is_address(http_header(rq, "Host"));
}

static void on_headers(void *self, struct http_request *rq)
{
  struct admin *a = self;
  struct str path = str_slice(rq->raw_target, 0, str_chr(rq->raw_target, '?'));
  if (!may_ask(rq))
    answer_text(rq, 421, STR("this listener answers to its address and to localhost\n"));
  else if (!str_is(rq->method, "GET") && !str_is(rq->method, "HEAD"))
    answer_text(rq, 405, STR("only GET\n"));
  else if (str_is(path, "/metrics"))
    answer_metrics(a, rq);
  else if (str_is(path, "/health") || str_is(path, "/healthz"))
    answer_text(rq, 200, STR("ok\n"));
  else if (str_is(path, "/readyz"))
    answer_ready(a, rq);
  else
    answer_text(rq, 404, STR("there is /metrics, /health and /readyz\n"));
}

static void on_body(void *self, struct http_request *rq)
{
  (void)self;
  http_abort(rq); /* nobody asked for one */
}

static void on_drained(void *self, struct http_request *rq)
{
  (void)self, (void)rq;
}

static void on_finished(void *self, struct http_request *rq)
{
  (void)self, (void)rq;
}

static void on_refused(void *self, struct http_request *rq, int status, const char *why)
{
  (void)self;
  log_debug("admin listener: %s: %d, %s", rq->peer_address, status, why);
}

/* ---- life */

/* One write: the leader takes it as the whole text. */
static void say(const struct admin *a, const char *text)
{
  if (write(a->args->leader_fd, text, strlen(text)) < 0)
    log_error("cannot tell the leader: %s", strerror(errno));
}

static void on_empty(void *arg)
{
  struct admin *a = arg;
  loop_stop(a->loop);
}

static void on_drain_over(struct timer *t)
{
  struct admin *a = container_of(t, struct admin, drain);
  http_server_shutdown(a->server);
  loop_stop(a->loop);
}

static void on_leader(struct watch *w, uint32_t events)
{
  struct admin *a = container_of(w, struct admin, leader);
  char message = 'd'; /* the end of the link means drain as well */
  (void)events;
  ssize_t n = read(w->fd, &message, 1);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0)
    loop_unwatch(a->loop, w);
  if (message == 's') {
    on_drain_over(&a->drain);
  } else if (!a->draining) {
    a->draining = true;
    loop_timer_set(a->loop, &a->drain, DRAIN_MS);
    http_server_drain(a->server, on_empty, a);
    if (a->leader.fd >= 0)
      say(a, "a");
  }
}

static void on_second(struct timer *t)
{
  struct admin *a = container_of(t, struct admin, second);
  shm_turn(a->args->shm, loop_turns(a->loop));
  loop_timer_set(a->loop, t, shm_turn_ms(a->args->config->watchdog_ms));
}

static int make_server(struct admin *a, struct err *e)
{
  const struct config *c = a->args->config;
  const struct http_server_options o = {
      .max_connections = CONNECTIONS_MOST,
      .max_connections_per_address = CONNECTIONS_MOST,
      .header_timeout_ms = TIMEOUT_MS,
      .body_timeout_ms = TIMEOUT_MS,
      .keepalive_timeout_ms = IDLE_MS,
      .stall_timeout_ms = TIMEOUT_MS,
      .body_budget = KIB(64),
  };
  struct http_listener *l = arena_array(a->arena, c->n_admin_listen, sizeof *l);
  if (l == NULL)
    return err_set(e, "out of memory");
  for (size_t i = 0; i < c->n_admin_listen; i++) {
    l[i] = (struct http_listener){.fd = a->args->listen_fds[i],
                                  .admin = true,
                                  .tls_certificate = c->admin_listen[i].tls_certificate};
    if (c->admin_listen[i].tls_key)
      l[i].tls_key = secret_expose(c->admin_listen[i].tls_key);
  }
  a->handler = (struct http_handler){a, on_headers, on_body, on_drained, on_finished, on_refused};
  a->server = http_server_new(a->loop, &o, l, c->n_admin_listen, &a->handler, e);
  return a->server ? 0 : -1;
}

static int make(struct admin *a, struct err *e)
{
  if ((a->arena = arena_new(MIB(1))) == NULL)
    return err_set(e, "out of memory");
  if ((a->loop = loop_new(e)) == NULL || make_server(a, e) < 0)
    return -1;
  a->leader = (struct watch){.fd = -1, .ready = on_leader};
  a->second.fire = on_second;
  a->drain.fire = on_drain_over;
  if (loop_watch(a->loop, &a->leader, a->args->leader_fd, EPOLLIN | EPOLLRDHUP) < 0 ||
      loop_timer_set(a->loop, &a->second, 0) < 0)
    return err_set(e, "cannot watch the leader: %s", strerror(errno));
  return 0;
}

int admin_main(const struct admin_args *args)
{
  static struct admin a;
  struct err e = {""};
  size_t seed = 0;
  a.args = args;
  if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
    say(&a, "fno random numbers");
    return 1;
  }
  json_object_seed(seed);
  if (make(&a, &e) < 0) {
    char text[sizeof e.text + 1] = "f";
    strcpy(text + 1, e.text);
    say(&a, text);
    return 1;
  }
  say(&a, "r");
  loop_run(a.loop);
  http_server_free(a.server);
  loop_free(a.loop);
  arena_free(a.arena);
  return 0;
}
