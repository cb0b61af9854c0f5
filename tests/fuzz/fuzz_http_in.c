/* Any bytes on a connection, through libmicrohttpd, compat_intact, admission and the phases of a
 * request.  What reaches the handler obeys the rules that everything above relies on, each request
 * is finished exactly once, and nothing is left when the connection is gone.
 *
 * The first byte of the input says how the handler behaves and in which pieces the rest arrives. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/headers.h"
#include "http/inside.h"
#include "http/target.h"
#include "ops/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 60000, ROUNDS = 40 };

static struct loop *loop;
static struct http_server *server;
static unsigned style, seen, finished;
static struct http_request *waiting;

static void must(bool truth)
{
  if (!truth)
    abort();
}

static void answer(struct http_request *rq)
{
  static const struct http_header type = {STR_INIT("Content-Type"), STR_INIT("text/event-stream")};
  if (style & 1) {
    http_respond(rq, 200, &type, 1, STR("whole"));
    return;
  }
  http_stream(rq, 200, &type, 1, style & 2 ? 10 : -1);
  http_write(rq, STR("a\n\n"));
  if (style & 4)
    http_write(rq, STR("bcdef\n\n"));
  if (style & 8)
    http_abort(rq);
  else
    http_end(rq);
}

static void answer_or_wait(struct http_request *rq)
{
  if (style & 16)
    waiting = rq;
  else
    answer(rq);
}

static void on_headers(void *self, struct http_request *rq)
{
  struct target t;
  (void)self;
  seen++;
  must(target_parse(rq->raw_target, &t) == TARGET_OK);
  must(str_is(rq->method, "GET") || str_is(rq->method, "POST") || str_is(rq->method, "DELETE") ||
       str_is(rq->method, "OPTIONS"));
  must(rq->n_headers <= LIMIT_HEADERS && http_header_count(rq, "Host") <= 1);
  must(http_header_count(rq, "Content-Length") + http_header_count(rq, "Transfer-Encoding") <= 1);
  must(http_header_count(rq, "Authorization") <= 1);
  for (size_t i = 0; i < rq->n_headers; i++)
    must(header_token(rq->headers[i].name) && header_value(rq->headers[i].value) &&
         !memchr(rq->headers[i].name.p, '_', rq->headers[i].name.n));
  if (style & 32)
    answer_or_wait(rq);
  else
    http_read_body(rq, style & 64 ? 8 : MOST);
}

static void on_body(void *self, struct http_request *rq)
{
  (void)self;
  must(rq->body.n <= (style & 64 ? 8u : MOST));
  must(rq->content_length < 0 || rq->body.n == (size_t)rq->content_length);
  answer_or_wait(rq);
}

static void on_drained(void *self, struct http_request *rq)
{
  (void)self;
  (void)rq;
}

static void on_finished(void *self, struct http_request *rq)
{
  (void)self;
  must(rq->end != 0);
  finished++;
  if (waiting == rq)
    waiting = NULL;
}

static void on_refused(void *self, struct http_request *rq, int status, const char *why)
{
  (void)self;
  (void)rq;
  must(status >= 400 && status < 600 && why && *why);
}

static void start(void)
{
  static const struct http_server_options options = {.max_connections = 100,
                                                     .header_timeout_ms = 1000,
                                                     .body_timeout_ms = 1000,
                                                     .keepalive_timeout_ms = 1000,
                                                     .stall_timeout_ms = 1000,
                                                     .body_budget = MOST};
  static const struct http_handler handler = {.headers = on_headers,
                                              .body = on_body,
                                              .drained = on_drained,
                                              .finished = on_finished,
                                              .refused = on_refused};
  struct err e = {{0}};
  struct http_listener none = {.fd = -1};
  log_init("fuzz", false, -1);
  loop = loop_new(&e);
  must(loop != NULL);
  server = http_server_new_untested(loop, &options, &none, 0, &handler, &e);
  must(server != NULL && daemon_for(server, &none, &e) != NULL);
}

static void turn(void)
{
  server->daemons[0].dirty = true;
  server->hook.run(&server->hook);
  if (waiting) {
    struct http_request *rq = waiting;
    waiting = NULL;
    answer(rq);
  }
}

static void drain(int fd)
{
  static char nowhere[65536];
  while (recv(fd, nowhere, sizeof nowhere, MSG_DONTWAIT) > 0)
    ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  int pair[2];
  struct sockaddr_storage peer = {.ss_family = AF_UNIX};
  if (server == NULL)
    start();
  if (size < 2 || size > MOST)
    return 0;
  style = data[0];
  seen = finished = 0;
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
  must(conn_adopt(server, &server->daemons[0], pair[1], &peer, sizeof(sa_family_t), false) == 0);
  size_t piece = style & 128 ? size / 3 + 1 : size;
  for (size_t at = 1; at < size; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    if (send(pair[0], data + at, n, MSG_NOSIGNAL) < 0)
      break;
    turn();
    drain(pair[0]);
  }
  for (int i = 0; i < 3; i++) {
    turn();
    drain(pair[0]);
  }
  close(pair[0]);
  for (int i = 0; i < ROUNDS && http_server_connections(server); i++)
    turn();
  must(http_server_connections(server) == 0 && seen == finished && waiting == NULL);
  must(server->body_used == 0);
  linger_done(server);
  turn();
  return 0;
}
