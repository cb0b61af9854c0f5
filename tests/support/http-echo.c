/* A handler behind src/http for its tests: echoes what it was told as JSON, and misbehaves in the
 * ways that its paths name.  tests/support/echo.py starts it.
 *
 *   http-echo --port-file FILE [--NAME VALUE ...]      SIGTERM drains, SIGUSR1 shuts down
 *
 *   /echo             the facts of the request and its body
 *   /headers-late     asks for the body after ?ms
 *   /refuse           401 from the headers callback, with or without a body
 *   /slow             answers after ?ms
 *   /stream           events of ?size bytes every ?ms, ?n of them (0: for ever, an idle stream)
 *   /big              ?n bytes with Content-Length, as fast as the client takes them; /chunks:
 * chunked /whole            ?n bytes at once /abort            half a streamed answer, then
 * http_abort; /short: ends below its length /bad-header       a header that must not be sent;
 * /bad-stream: streamed /stats what happened so far */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/server.h"
#include "http/target.h"
#include "ops/log.h"
#include "util/cleanup.h"

enum { FILL = 16384 };

static struct loop *loop;
static struct http_server *server;
static char filler[FILL];
static struct {
  unsigned long headers, bodies, drained, refused, ends[HTTP_END_ERROR + 1];
  uint64_t bytes_out;
  int last_refused_status;
  char last_refused[128];
} stats;
static struct {
  const char *port_file, *unix_path, *certificate, *key;
  size_t max_body;
  bool exempt_loopback;
} setup = {.max_body = 1048576};
static struct http_server_options options = {.max_connections = 1000,
                                             .max_connections_per_address = 1000,
                                             .header_timeout_ms = 10000,
                                             .body_timeout_ms = 60000,
                                             .keepalive_timeout_ms = 60000,
                                             .stall_timeout_ms = 30000,
                                             .body_budget = 64 << 20};

/* One request. */
struct work {
  struct http_request *rq;
  struct timer timer;
  struct target target;
  uint64_t n, size, ms, sent;
  bool late_body, fixed;
};

static uint64_t number(const struct work *w, const char *name, uint64_t otherwise)
{
  struct str rest = w->target.query, pair;
  while (rest.p && str_next(&rest, '&', &pair)) {
    size_t eq = str_chr(pair, '=');
    uint64_t v;
    if (str_is(str_slice(pair, 0, eq), name) &&
        str_u64(str_slice(pair, eq + 1, pair.n), INT64_MAX, &v))
      return v;
  }
  return otherwise;
}

static void respond_json(struct http_request *rq, int status, struct buf *json)
{
  static const struct http_header type = {STR_INIT("Content-Type"), STR_INIT("application/json")};
  buf_putc(json, '\n');
  http_respond(rq, status, &type, 1, buf_view(json));
  buf_done(json);
}

static void facts(struct http_request *rq)
{
  struct buf json;
  buf_init(&json, 8 << 20);
  buf_printf(&json, "{\"id\":\"%s\",\"method\":", rq->id);
  buf_json(&json, rq->method);
  buf_puts(&json, ",\"target\":");
  buf_json(&json, rq->raw_target);
  buf_printf(&json, ",\"peer\":\"%s\",\"tls\":%d,\"length\":%lld,\"headers\":[", rq->peer_address,
             rq->tls, (long long)rq->content_length);
  for (size_t i = 0; i < rq->n_headers; i++) {
    buf_puts(&json, i ? ",[" : "[");
    buf_json(&json, rq->headers[i].name);
    buf_putc(&json, ',');
    buf_json(&json, rq->headers[i].value);
    buf_putc(&json, ']');
  }
  buf_printf(&json, "],\"body_bytes\":%zu,\"body\":", rq->body.n);
  buf_json(&json, str_slice(buf_view(&rq->body), 0, 4096));
  buf_putc(&json, '}');
  respond_json(rq, 200, &json);
}

static void report(struct http_request *rq)
{
  struct buf json;
  buf_init(&json, 65536);
  buf_printf(&json,
             "{\"headers\":%lu,\"bodies\":%lu,\"drained\":%lu,\"refused\":%lu,\"bytes_out\":%llu,"
             "\"complete\":%lu,\"client_gone\":%lu,\"timeout\":%lu,\"shutdown\":%lu,\"error\":%lu,"
             "\"connections\":%u,\"last_refused_status\":%d,\"last_refused\":",
             stats.headers, stats.bodies, stats.drained, stats.refused,
             (unsigned long long)stats.bytes_out, stats.ends[HTTP_END_COMPLETE],
             stats.ends[HTTP_END_CLIENT_GONE], stats.ends[HTTP_END_TIMEOUT],
             stats.ends[HTTP_END_SHUTDOWN], stats.ends[HTTP_END_ERROR],
             http_server_connections(server), stats.last_refused_status);
  buf_json(&json, str_of(stats.last_refused));
  buf_putc(&json, '}');
  respond_json(rq, 200, &json);
}

/* ---- streams */

static void fill(struct work *w)
{
  while (w->sent < w->n) {
    uint64_t left = w->n - w->sent;
    size_t piece = left < FILL ? (size_t)left : FILL;
    w->sent += piece;
    if (!http_write(w->rq, (struct str){filler, piece}) && w->sent < w->n)
      return;
  }
  http_end(w->rq);
}

static void next_event(struct timer *t)
{
  struct work *w = container_of(t, struct work, timer);
  char head[64];
  if (w->sent == w->n) {
    http_end(w->rq);
    return;
  }
  int n = snprintf(head, sizeof head, "id: %llu\ndata: ", (unsigned long long)w->sent++);
  http_write(w->rq, (struct str){head, (size_t)n});
  for (uint64_t left = w->size; left;) {
    size_t piece = left < FILL ? (size_t)left : FILL;
    http_write(w->rq, (struct str){filler, piece});
    left -= piece;
  }
  http_write(w->rq, STR("\n\n"));
  loop_timer_set(loop, t, (int64_t)w->ms);
}

static void start_stream(struct work *w)
{
  static const struct http_header headers[] = {
      {STR_INIT("Content-Type"), STR_INIT("text/event-stream")},
      {STR_INIT("Cache-Control"), STR_INIT("no-cache")},
  };
  http_stream(w->rq, 200, headers, 2, -1);
  if (w->n == 0)
    return;
  w->timer.fire = next_event;
  loop_timer_set(loop, &w->timer, (int64_t)w->ms);
}

static void start_big(struct work *w, bool chunked)
{
  w->fixed = true;
  http_stream(w->rq, 200, NULL, 0, chunked ? -1 : (int64_t)w->n);
  fill(w);
}

static void abort_later(struct timer *t)
{
  http_abort(container_of(t, struct work, timer)->rq);
}

static void start_abort(struct work *w)
{
  http_stream(w->rq, 200, NULL, 0, -1);
  http_write(w->rq, STR("half of it"));
  w->timer.fire = abort_later;
  loop_timer_set(loop, &w->timer, 50);
}

static void start_short(struct work *w)
{
  http_stream(w->rq, 200, NULL, 0, 100);
  http_write(w->rq, STR("not a hundred bytes"));
  http_end(w->rq);
}

/* ---- the handler */

static void answer_slowly(struct timer *t)
{
  struct work *w = container_of(t, struct work, timer);
  if (w->late_body) {
    w->late_body = false;
    http_read_body(w->rq, setup.max_body);
    return;
  }
  facts(w->rq);
}

static void whole(struct work *w)
{
  char *bytes = malloc(w->n + 1);
  if (bytes == NULL)
    abort();
  memset(bytes, 'x', w->n);
  http_respond(w->rq, 200, NULL, 0, (struct str){bytes, w->n});
  free(bytes);
}

static void bad_header(struct http_request *rq, bool stream)
{
  static const struct http_header bad = {STR_INIT("X-Bad"), STR_INIT("a\r\nSet-Cookie: b")};
  if (!stream) {
    http_respond(rq, 200, &bad, 1, STR("never seen"));
    return;
  }
  http_stream(rq, 200, &bad, 1, -1);
  http_write(rq, STR("never seen"));
  http_end(rq);
}

static void on_body(void *self, struct http_request *rq)
{
  struct work *w = rq->user;
  struct str path = w->target.path;
  (void)self;
  stats.bodies++;
  if (str_is(path, "/slow")) {
    w->timer.fire = answer_slowly;
    loop_timer_set(loop, &w->timer, (int64_t)w->ms);
  } else if (str_is(path, "/stream")) {
    start_stream(w);
  } else if (str_is(path, "/big") || str_is(path, "/chunks")) {
    start_big(w, str_is(path, "/chunks"));
  } else if (str_is(path, "/whole")) {
    whole(w);
  } else if (str_is(path, "/abort")) {
    start_abort(w);
  } else if (str_is(path, "/short")) {
    start_short(w);
  } else if (str_is(path, "/bad-header") || str_is(path, "/bad-stream")) {
    bad_header(rq, str_is(path, "/bad-stream"));
  } else if (str_is(path, "/stats")) {
    report(rq);
  } else {
    facts(rq);
  }
}

static void on_headers(void *self, struct http_request *rq)
{
  struct work *w = arena_new_of(rq->arena, struct work);
  (void)self;
  if (w == NULL || target_parse(rq->raw_target, &w->target) != TARGET_OK)
    abort(); /* admission has parsed it */
  stats.headers++;
  rq->user = w;
  w->rq = rq;
  w->n = number(w, "n", 0);
  w->size = number(w, "size", 16);
  w->ms = number(w, "ms", 1);
  if (str_is(w->target.path, "/refuse")) {
    static const struct http_header challenge = {STR_INIT("WWW-Authenticate"), STR_INIT("Bearer")};
    http_respond(rq, 401, &challenge, 1, STR("{\"error\":\"no\"}"));
  } else if (str_is(w->target.path, "/headers-late")) {
    w->late_body = true;
    w->timer.fire = answer_slowly;
    loop_timer_set(loop, &w->timer, (int64_t)w->ms);
  } else {
    http_read_body(rq, setup.max_body);
  }
}

static void on_drained(void *self, struct http_request *rq)
{
  struct work *w = rq->user;
  (void)self;
  stats.drained++;
  if (w->fixed)
    fill(w);
}

static void on_finished(void *self, struct http_request *rq)
{
  struct work *w = rq->user;
  (void)self;
  stats.ends[rq->end]++;
  stats.bytes_out += rq->bytes_out;
  loop_timer_stop(loop, &w->timer);
}

static void on_refused(void *self, struct http_request *rq, int status, const char *why)
{
  (void)self;
  (void)rq;
  stats.refused++;
  stats.last_refused_status = status;
  snprintf(stats.last_refused, sizeof stats.last_refused, "%s", why);
}

static bool on_urgent(struct str path)
{
  return str_is(path, "/health");
}

static bool on_exempt(void *self, const struct sockaddr *peer)
{
  (void)self;
  return setup.exempt_loopback && peer->sa_family == AF_INET &&
         ((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr ==
             htonl(INADDR_LOOPBACK);
}

/* ---- process */

static void die(const char *what)
{
  fprintf(stderr, "http-echo: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int listen_tcp(unsigned *ret_port)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0 ||
      getsockname(fd, (struct sockaddr *)&a, &n) < 0)
    die("listen");
  *ret_port = ntohs(a.sin_port);
  return fd;
}

static int listen_unix(const char *path)
{
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
  unlink(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
    die(path);
  return fd;
}

static char *read_file(const char *path)
{
  static char text[2][65536];
  static int next;
  FILE *f = fopen(path, "r");
  if (f == NULL)
    die(path);
  size_t n = fread(text[next], 1, sizeof text[next] - 1, f);
  fclose(f);
  text[next][n] = 0;
  return text[next++];
}

static void say_ports(unsigned plain, unsigned tls)
{
  char temporary[4096];
  snprintf(temporary, sizeof temporary, "%s.tmp", setup.port_file);
  FILE *f = fopen(temporary, "w");
  if (f == NULL)
    die(temporary);
  fprintf(f, "%u %u\n", plain, tls);
  fclose(f);
  if (rename(temporary, setup.port_file) < 0)
    die(setup.port_file);
}

static void on_empty(void *arg)
{
  (void)arg;
  loop_stop(loop);
}

static void on_signal(struct watch *w, uint32_t events)
{
  struct signalfd_siginfo info;
  (void)events;
  if (read(w->fd, &info, sizeof info) != (ssize_t)sizeof info)
    return;
  http_server_drain(server, on_empty, NULL);
  if (info.ssi_signo == SIGUSR1)
    http_server_shutdown(server);
}

static void watch_signals(struct watch *w)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  w->ready = on_signal;
  if (loop_watch(loop, w, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), EPOLLIN) < 0)
    die("signalfd");
}

static void set_option(const char *name, const char *value)
{
  const struct {
    const char *name;
    int64_t *ms;
  } times[] = {{"--header-timeout", &options.header_timeout_ms},
               {"--body-timeout", &options.body_timeout_ms},
               {"--keepalive-timeout", &options.keepalive_timeout_ms},
               {"--stall-timeout", &options.stall_timeout_ms}};
  for (size_t i = 0; i < ARRAY_SIZE(times); i++)
    if (strcmp(name, times[i].name) == 0) {
      *times[i].ms = atoll(value);
      return;
    }
  if (strcmp(name, "--port-file") == 0)
    setup.port_file = value;
  else if (strcmp(name, "--unix") == 0)
    setup.unix_path = value;
  else if (strcmp(name, "--tls-certificate") == 0)
    setup.certificate = value;
  else if (strcmp(name, "--tls-key") == 0)
    setup.key = value;
  else if (strcmp(name, "--max-body") == 0)
    setup.max_body = strtoul(value, NULL, 10);
  else if (strcmp(name, "--body-budget") == 0)
    options.body_budget = strtoul(value, NULL, 10);
  else if (strcmp(name, "--max-connections") == 0)
    options.max_connections = (unsigned)atoi(value);
  else if (strcmp(name, "--per-address") == 0)
    options.max_connections_per_address = (unsigned)atoi(value);
  else if (strcmp(name, "--exempt-loopback") == 0)
    setup.exempt_loopback = atoi(value);
  else {
    fprintf(stderr, "http-echo: unknown option %s\n", name);
    exit(2);
  }
}

int main(int argc, char **argv)
{
  struct err e = {{0}};
  struct http_listener listeners[3];
  size_t n = 0;
  unsigned plain = 0, tls = 0;
  for (int i = 1; i + 1 < argc; i += 2)
    set_option(argv[i], argv[i + 1]);
  memset(filler, 'x', sizeof filler);
  log_init("http-echo", false, MCPAUTH_LOG_INFO);
  loop = loop_new(&e);
  listeners[n++] = (struct http_listener){.fd = listen_tcp(&plain)};
  if (setup.unix_path)
    listeners[n++] = (struct http_listener){.fd = listen_unix(setup.unix_path)};
  if (setup.certificate)
    listeners[n++] = (struct http_listener){.fd = listen_tcp(&tls),
                                            .tls_certificate = read_file(setup.certificate),
                                            .tls_key = str_of(read_file(setup.key))};
  options.exempt = on_exempt;
  options.urgent = on_urgent;
  struct http_handler handler = {.headers = on_headers,
                                 .body = on_body,
                                 .drained = on_drained,
                                 .finished = on_finished,
                                 .refused = on_refused};
  if (loop)
    server = http_server_new(loop, &options, listeners, n, &handler, &e);
  if (server == NULL) {
    fprintf(stderr, "http-echo: %s\n", e.text);
    return 1;
  }
  struct watch signals = {.fd = -1};
  watch_signals(&signals);
  if (setup.port_file)
    say_ports(plain, tls);
  loop_run(loop);
  http_server_free(server);
  for (size_t i = 0; i < n; i++)
    close(listeners[i].fd);
  int fd = signals.fd;
  loop_unwatch(loop, &signals);
  close(fd);
  loop_free(loop);
  return 0;
}
