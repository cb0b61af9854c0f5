/* Uploads: a body is kept whole, within the maximum that the handler named and a budget for all of
 * the worker.  Room is taken before the first byte is read: who finds none waits, and nothing that
 * has begun can be caught between two half-full uploads (rows 53, 57, 157, 160). */
#include <string.h>
#include <sys/socket.h>

#include "http/inside.h"

enum {
  FIRST_PIECE = 65536,   /* what a Content-Length is believed before the bytes are there */
  RATE_GRACE_MS = 10000, /* then a body has to come at */
  RATE_LEAST = 1024,     /* bytes a second */
};

/* ---- the budget */

static void take_room(struct http_server *s, struct request *r, size_t n)
{
  s->body_used += n;
  r->reserved = n;
}

/* One upload is always possible, whatever its size. */
static bool has_room(const struct http_server *s, size_t n)
{
  return s->body_used == 0 ||
         (n <= s->options.body_budget && s->body_used <= s->options.body_budget - n);
}

static size_t room_needed(const struct request *r)
{
  return r->rq.content_length > 0 ? (size_t)r->rq.content_length : r->body_max;
}

static void queue_up(struct request *r)
{
  struct http_server *s = r->conn->server;
  r->waits_for_room = true;
  r->prev_waiting = s->waiting_last;
  if (r->prev_waiting)
    r->prev_waiting->next_waiting = r;
  else
    s->waiting_first = r;
  s->waiting_last = r;
  deadline_set(r->conn, DEADLINE_BODY);
  conn_watch_away(r->conn, 0);
}

static void leave_queue(struct request *r)
{
  struct http_server *s = r->conn->server;
  if (!r->waits_for_room)
    return;
  r->waits_for_room = false;
  if (r->prev_waiting)
    r->prev_waiting->next_waiting = r->next_waiting;
  else
    s->waiting_first = r->next_waiting;
  if (r->next_waiting)
    r->next_waiting->prev_waiting = r->prev_waiting;
  else
    s->waiting_last = r->prev_waiting;
  r->prev_waiting = r->next_waiting = NULL;
}

static void serve_queue(struct http_server *s)
{
  struct request *r;
  while ((r = s->waiting_first) && has_room(s, room_needed(r))) {
    leave_queue(r);
    take_room(s, r, room_needed(r));
    r->phase = PHASE_GO;
    request_resume(r);
  }
}

void body_release(struct request *r)
{
  struct http_server *s = r->conn->server;
  leave_queue(r);
  s->body_used -= r->reserved;
  r->reserved = 0;
  serve_queue(s);
}

/* The body is whole: what was reserved beyond it, for it could have been longer, is for others. The
 * rest stays reserved for as long as the request needs its body, a standing stream perhaps. */
void body_ended(struct request *r)
{
  struct http_server *s = r->conn->server;
  if (r->reserved <= r->rq.body.n)
    return;
  s->body_used -= r->reserved - r->rq.body.n;
  r->reserved = r->rq.body.n;
  serve_queue(s);
}

/* ---- the upload */

void http_read_body(struct http_request *rq, size_t max)
{
  struct request *r = (struct request *)rq;
  if (request_answered(r) || r->asked_body || (r->phase != PHASE_HEAD && r->phase != PHASE_WHOLE))
    return;
  r->asked_body = true;
  r->body_max = max;
  if (r->phase == PHASE_HEAD) {
    if (rq->content_length > 0 && (uint64_t)rq->content_length > max) {
      answer_refusal(r, 413, "content_too_large", "the body is larger than is taken here");
      return;
    }
    if (!has_room(r->conn->server, room_needed(r))) {
      queue_up(r);
      return;
    }
    take_room(r->conn->server, r, room_needed(r));
    if (!r->in_call)
      r->phase = PHASE_GO;
  }
  if (!r->in_call)
    request_resume(r);
}

void body_begin(struct request *r)
{
  r->phase = PHASE_BODY;
  buf_init(&r->rq.body, r->body_max);
  r->body_started_ms = loop_now_ms(r->conn->server->loop);
  deadline_set(r->conn, DEADLINE_BODY);
}

/* By hand, for libmicrohttpd cannot answer while a body is coming: then the connection has to end.
 */
static void say_by_hand(struct request *r, int status, const char *answer)
{
  struct conn *c = r->conn;
  r->rq.status = status;
  c->linger = true;
  if (!c->tls && send(c->fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
    shutdown(c->fd, SHUT_WR);
}

static int discard(struct request *r, size_t *n)
{
  r->discarded += *n;
  *n = 0;
  if (r->discarded <= LIMIT_LINGER)
    return 0;
  say_by_hand(r, 413, answer_413);
  r->ending = HTTP_END_ERROR;
  return -1;
}

static void stop_keeping(struct request *r, int status, const char *error, const char *why)
{
  buf_done(&r->rq.body);
  answer_refusal(r, status, error, why);
}

int body_data(struct request *r, const char *data, size_t *n)
{
  struct buf *body = &r->rq.body;
  if (!request_answered(r)) {
    if (*n > r->body_max - body->n) {
      stop_keeping(r, 413, "content_too_large", "the body is larger than is taken here");
    } else {
      if (body->p == NULL && r->rq.content_length > 0)
        buf_reserve(body, r->rq.content_length < FIRST_PIECE ? (size_t)r->rq.content_length
                                                             : (size_t)FIRST_PIECE);
      if (buf_add(body, data, *n) < 0)
        stop_keeping(r, 503, "temporarily_unavailable", "out of memory");
    }
  }
  if (request_answered(r))
    return discard(r, n);
  *n = 0;
  return 0;
}

void body_timeout(struct request *r)
{
  if (r->waits_for_room) {
    leave_queue(r);
    answer_refusal(r, 503, "temporarily_unavailable", "too many bodies are being received");
    return;
  }
  say_by_hand(r, 408, answer_408);
  request_die(r, HTTP_END_TIMEOUT);
  deadline_set(r->conn, DEADLINE_CLOSE);
  if (r->conn->tls)
    shutdown(r->conn->fd, SHUT_RDWR);
}

bool body_too_slow(const struct request *r, int64_t now_ms)
{
  int64_t age = now_ms - r->body_started_ms;
  return r->phase == PHASE_BODY && !r->waits_for_room && age > RATE_GRACE_MS &&
         (int64_t)(r->rq.body.n + r->discarded) < age / 1000 * RATE_LEAST;
}
