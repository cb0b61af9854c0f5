/* The life of a request inside libmicrohttpd: its callbacks, and one function for each phase.
 *
 * What shapes this file (design 8.1): an answer queued in the first call closes the connection, so
 * that refusals are given there and everything else later; between the first call and the end of
 * the body nothing can be answered; a connection that waits is suspended, and then nobody but us
 * notices that its client has left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>

#include "http/admission.h"
#include "http/inside.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

/* ---- beginning and end of a request */

static int make_id(struct http_server *s, char id[REQUEST_ID_SIZE])
{
  static const char hex[] = "0123456789abcdef";
  if (s->random_left < 16) {
    if (getrandom(s->random, sizeof s->random, 0) != (ssize_t)sizeof s->random)
      return -1;
    s->random_left = sizeof s->random;
  }
  s->random_left -= 16;
  for (size_t i = 0; i < 16; i++) {
    id[2 * i] = hex[s->random[s->random_left + i] >> 4];
    id[2 * i + 1] = hex[s->random[s->random_left + i] & 15];
  }
  id[32] = 0;
  return 0;
}

static struct request *request_new(struct conn *c, const char *line)
{
  struct http_server *s = c->server;
  struct request *r = calloc(1, sizeof *r);
  if (r == NULL)
    return NULL;
  r->conn = c;
  r->line = line;
  r->line_n = strlen(line);
  r->rq.server = s;
  r->rq.tls = c->tls;
  r->rq.admin = c->admin;
  r->rq.peer = c->peer;
  r->rq.started_ms = loop_now_ms(s->loop);
  memcpy(r->rq.peer_address, c->peer_address, sizeof c->peer_address);
  r->rq.arena = arena_new(LIMIT_REQUEST_ARENA);
  if (r->rq.arena)
    r->rq.raw_target = arena_str(r->rq.arena, (struct str){line, r->line_n});
  if (r->rq.raw_target.p == NULL || make_id(s, r->rq.id) < 0) {
    arena_free(r->rq.arena);
    free(r);
    return NULL;
  }
  return r;
}

/* libmicrohttpd has read a request line. */
static void *on_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
  struct conn *c = compat_conn_context(mhd);
  (void)cls;
  if (c == NULL || uri == NULL)
    return NULL;
  if (c->used)
    deadline_set(c, DEADLINE_HEAD); /* the first one's began when it was accepted */
  c->used = true;
  c->request = request_new(c, uri);
  return c->request;
}

static enum http_end end_of(const struct request *r, enum MHD_RequestTerminationCode code)
{
  if (r->ending)
    return r->ending;
  switch (code) {
  case MHD_REQUEST_TERMINATED_COMPLETED_OK:
    return r->whole_end ? r->whole_end : HTTP_END_COMPLETE;
  case MHD_REQUEST_TERMINATED_TIMEOUT_REACHED:
    return HTTP_END_TIMEOUT;
  case MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN:
    return HTTP_END_SHUTDOWN;
  case MHD_REQUEST_TERMINATED_READ_ERROR:
  case MHD_REQUEST_TERMINATED_CLIENT_ABORT:
    return HTTP_END_CLIENT_GONE;
  case MHD_REQUEST_TERMINATED_WITH_ERROR:
    break;
  }
  /* It answers malformed chunks itself; any other error is the socket's. */
  return r->phase == PHASE_BODY && compat_status(r->conn->mhd) ? HTTP_END_ERROR
                                                               : HTTP_END_CLIENT_GONE;
}

/* Admission was not asked: libmicrohttpd had refused the head. */
static void refused_below(struct request *r)
{
  struct http_server *s = r->conn->server;
  int status = compat_status(r->conn->mhd);
  if (status < 400)
    return; /* the client left */
  r->conn->linger = true;
  if (s->handler.refused)
    s->handler.refused(s->handler.self, &r->rq, status, "the request head is malformed");
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
  struct request *r = *context;
  (void)cls;
  *context = NULL;
  if (r == NULL)
    return;
  struct conn *c = r->conn;
  struct http_server *s = c->server;
  r->rq.end = end_of(r, code);
  r->ending = r->rq.end;
  if (r->phase == PHASE_BODY && compat_status(mhd) >= 400) {
    r->rq.status = compat_status(mhd);
    c->linger = true;
  }
  if (r->rq.end == HTTP_END_COMPLETE && !r->flow.started)
    r->rq.bytes_out = r->answer_n;
  body_release(r);
  if (r->given)
    s->handler.finished(s->handler.self, &r->rq);
  else if (r->phase == PHASE_NEW)
    refused_below(r);
  answer_done(r);
  c->request = NULL;
  deadline_set(c, DEADLINE_IDLE);
  if (r->rq.end != HTTP_END_COMPLETE || r->http10)
    server_ended(c);
  if (s->shut)
    shutdown(c->fd, SHUT_RDWR); /* what was written is sent first */
  r->next_dead = s->dead;
  s->dead = r;
}

/* ---- waiting */

static void on_away(struct watch *w, uint32_t events)
{
  struct conn *c = container_of(w, struct conn, away);
  struct http_server *s = c->server;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    loop_unwatch(s->loop, w);
    if (c->request)
      request_die(c->request, HTTP_END_CLIENT_GONE);
    return;
  }
  if (c->request)
    flow_writable(c->request);
}

void conn_watch_away(struct conn *c, uint32_t more)
{
  c->away.ready = on_away;
  if (loop_watch(c->server->loop, &c->away, c->fd, EPOLLRDHUP | more) < 0 && c->request)
    request_die(c->request, HTTP_END_ERROR);
}

void conn_reset(struct conn *c)
{
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  if (c->peer.ss_family == AF_UNIX || connect(c->fd, &none, sizeof none) < 0)
    shutdown(c->fd, SHUT_RDWR);
}

void request_suspend(struct request *r)
{
  MHD_suspend_connection(r->conn->mhd);
  r->suspended = true;
  if (!r->waits_for_room)
    deadline_set(r->conn, DEADLINE_WATCH); /* else its place in the queue has one */
}

void request_resume(struct request *r)
{
  struct http_server *s = r->conn->server;
  if (!r->suspended || r->resuming)
    return;
  r->resuming = true;
  r->next_resume = s->resumes;
  s->resumes = r;
  server_wake(s);
}

bool request_answered(const struct request *r)
{
  return r->phase == PHASE_ANSWERED || r->response || r->flow.open || r->ending;
}

void request_die(struct request *r, enum http_end why)
{
  if (r->ending == 0)
    r->ending = why;
  request_resume(r);
}

/* ---- the phases; each returns what the access handler returns */

/* After a callback of the handler at a point where an answer may be queued. */
static enum MHD_Result answer_or_wait(struct request *r)
{
  if (r->ending)
    return MHD_NO;
  if (r->response)
    return answer_queue(r) == 0 ? MHD_YES : MHD_NO;
  request_suspend(r);
  return MHD_YES;
}

static void ask(struct request *r, void (*callback)(void *, struct http_request *))
{
  r->in_call = true;
  callback(r->conn->server->handler.self, &r->rq);
  r->in_call = false;
}

static void ask_body(struct request *r)
{
  r->asked_body = false;
  ask(r, r->conn->server->handler.body);
}

/* The handler is asked about the head. */
static void ask_headers(struct request *r)
{
  r->given = true;
  deadline_set(r->conn, DEADLINE_NONE);
  ask(r, r->conn->server->handler.headers);
}

static const char *error_of(int status)
{
  if (status == 405)
    return "method_not_allowed";
  return status >= 500 && status != 505 ? "temporarily_unavailable" : "invalid_request";
}

static enum MHD_Result refuse(struct request *r, int status, const char *why)
{
  struct http_server *s = r->conn->server;
  answer_refusal(r, status, error_of(status), why);
  enum MHD_Result ok = answer_or_wait(r);
  if (s->handler.refused)
    s->handler.refused(s->handler.self, &r->rq, status, why);
  return ok;
}

/* Answered although the connection is one too many (row 158). */
static bool urgent(const struct request *r)
{
  struct str target = r->rq.raw_target;
  return r->conn->server->options.urgent(str_slice(target, 0, str_chr(target, '?')));
}

/* What the head says, strictly.  0, or the status to refuse with. */
static int admit(struct request *r, const char *method, const char *version, const char **ret_why)
{
  struct http_header found[LIMIT_HEADERS + 1];
  struct compat_head head = {.method = method,
                             .line = r->line,
                             .version = version,
                             .line_n = r->line_n,
                             .headers = found,
                             .max = LIMIT_HEADERS + 1};
  compat_collect(r->conn->mhd, &head);
  r->rq.method = str_of(method);
  struct http_header *kept = arena_array(r->rq.arena, head.n, sizeof *kept);
  if (kept == NULL) {
    *ret_why = "out of memory";
    return 503;
  }
  memcpy(kept, found, head.n * sizeof *kept);
  r->rq.headers = kept;
  r->rq.n_headers = head.n;
  if (!compat_intact(&head)) {
    *ret_why = "a line of the request head has hidden, folded or unended parts";
    return 400;
  }
  struct admission a = {.method = r->rq.method,
                        .target = r->rq.raw_target,
                        .version = str_of(version),
                        .headers = kept,
                        .n_headers = head.n};
  int status = admission_check(&a, ret_why);
  r->rq.n_headers = a.n_headers;
  r->rq.content_length = a.content_length;
  r->http10 = a.http10;
  r->close = a.http10 || r->conn->spare;
  if (a.dropped)
    metric_add(METRIC_HEADERS_DROPPED, a.dropped);
  if (status == 0 && r->conn->spare && !urgent(r)) {
    metric_add(METRIC_CONNECTIONS_REFUSED, 1);
    *ret_why = "too many connections";
    return 503;
  }
  return status;
}

/* The first call: the head is complete. */
static enum MHD_Result step_new(struct request *r, const char *method, const char *version)
{
  const char *why;
  int status = admit(r, method, version, &why);
  if (status) {
    r->phase = PHASE_HEAD;
    return refuse(r, status, why);
  }
  if (r->rq.content_length == 0) {
    r->phase = PHASE_BARE; /* libmicrohttpd calls again at once */
    return MHD_YES;
  }
  r->phase = PHASE_HEAD;
  ask_headers(r);
  if (!request_answered(r) && r->asked_body && !r->waits_for_room) {
    body_begin(r);
    return MHD_YES;
  }
  return answer_or_wait(r);
}

static enum MHD_Result step_bare(struct request *r)
{
  r->phase = PHASE_WHOLE;
  ask_headers(r);
  if (!request_answered(r) && r->asked_body)
    ask_body(r);
  return answer_or_wait(r);
}

static enum MHD_Result step_body(struct request *r, const char *data, size_t *n)
{
  if (*n)
    return body_data(r, data, n) == 0 ? MHD_YES : MHD_NO;
  r->phase = PHASE_WHOLE;
  deadline_set(r->conn, DEADLINE_NONE);
  body_ended(r);
  if (!request_answered(r))
    ask_body(r);
  else if (r->flow.open)
    server_flush_later(r);
  return answer_or_wait(r);
}

/* Called again without a body that was asked for while the connection was suspended, or resumed
 * for an answer. */
static enum MHD_Result step_whole(struct request *r)
{
  if (r->asked_body && !request_answered(r))
    ask_body(r);
  return answer_or_wait(r);
}

static enum MHD_Result on_call(void *cls, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *data, size_t *n,
                               void **context)
{
  struct request *r = *context;
  (void)cls;
  (void)mhd;
  (void)url;
  if (r == NULL || r->ending)
    return MHD_NO;
  switch (r->phase) {
  case PHASE_NEW:
    return step_new(r, method, version);
  case PHASE_BARE:
    return step_bare(r);
  case PHASE_HEAD:
    return answer_or_wait(r);
  case PHASE_GO:
    body_begin(r);
    return MHD_YES;
  case PHASE_BODY:
    return step_body(r, data, n);
  case PHASE_WHOLE:
    return step_whole(r);
  case PHASE_ANSWERED:
    return MHD_YES;
  case PHASE_COUNT:
    break;
  }
  return MHD_NO;
}

/* ---- connections */

/* The first line of a connection was no request line: libmicrohttpd closes without a word, and
 * there has been no request; but there is a record. */
static void refused_line(struct conn *c)
{
  struct http_server *s = c->server;
  struct request *r = s->handler.refused ? request_new(c, "") : NULL;
  if (r == NULL)
    return;
  s->handler.refused(s->handler.self, &r->rq, 400, "the request line is malformed");
  arena_free(r->rq.arena);
  free(r);
}

/* The last moment before libmicrohttpd closes the descriptor. */
static void before_close(struct conn *c)
{
  char byte;
  loop_unwatch(c->server->loop, &c->away);
  ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  bool peer_open = n > 0 || (n < 0 && errno == EAGAIN);
  if (peer_open && !c->used && !c->tls)
    refused_line(c);
  if (!peer_open || (n < 0 && !c->linger))
    return;
  int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
  if (fd >= 0)
    linger_start(c->server, fd);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
  struct http_server *s = cls;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    *context = s->adding;
    if (s->adding)
      s->adding->mhd = mhd;
    return;
  }
  struct conn *c = *context;
  *context = NULL;
  if (c == NULL || c == s->adding) /* conn_adopt clears up */
    return;
  before_close(c);
  conn_free(c);
}

const struct compat_callbacks connection_callbacks = {
    .call = on_call,
    .line = on_line,
    .completed = on_completed,
    .connection = on_connection,
};
