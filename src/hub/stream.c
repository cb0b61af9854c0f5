/* Event streams towards clients: bytes pass as they are but for two things.  The first event of a
 * legacy stream (`endpoint`) is rewritten to the service's own URL, and a stream that has been idle
 * gets a comment, at an event boundary only. */
#include "hub/hub.h"

#include <string.h>

#include "ops/callers.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

static void unlink_stream(struct exchange *x)
{
  struct hub *h = x->hub;
  *(x->stream_prev ? &x->stream_prev->stream_next : &h->streams_first) = x->stream_next;
  *(x->stream_next ? &x->stream_next->stream_prev : &h->streams_last) = x->stream_prev;
  x->stream_prev = x->stream_next = NULL;
}

static void append_stream(struct exchange *x)
{
  struct hub *h = x->hub;
  x->last_write_ms = loop_now_ms(h->loop);
  x->stream_prev = h->streams_last;
  *(h->streams_last ? &h->streams_last->stream_next : &h->streams_first) = x;
  h->streams_last = x;
}

static bool send_bytes(struct exchange *x, struct str bytes)
{
  if (x->hub->streams_last == x) {
    x->last_write_ms = loop_now_ms(x->hub->loop);
  } else {
    unlink_stream(x);
    append_stream(x);
  }
  return http_write(x->rq, bytes);
}

void stream_begin(struct exchange *x)
{
  sse_init(&x->sse);
  buf_init(&x->held, STREAM_HELD_MAX);
  buf_init(&x->endpoint, LIMIT_TARGET);
  x->first_event_seen = !str_is(x->rq->method, "GET"); /* only GET streams name an endpoint */
  append_stream(x);
  metric_add(METRIC_STREAMS_OPEN, 1);
}

/* The first event.  An endpoint elsewhere than at the upstream itself ends the stream. */
static void first_event(void *arg, const struct sse_event *e)
{
  struct exchange *x = arg;
  const struct config_service *s = x->service->config;
  struct err why = {""};
  x->first_event_seen = true;
  if (!str_is(e->type, "endpoint"))
    return;
  buf_printf(&x->endpoint,
             "event: endpoint\ndata: %.*s?sessionId=", STR_ARG(s->path.n ? s->path : STR("/")));
  if (session_endpoint(x, e->data, &x->endpoint, &why) < 0 || buf_puts(&x->endpoint, "\n\n") < 0) {
    log_warn("service %s: endpoint event refused: %s (request %s)", s->name, why.text, x->rq->id);
    x->endpoint_bad = true;
  }
  x->endpoint_sealed = !x->endpoint_bad;
}

/* Whether the event that has begun calls itself an endpoint. */
static bool named_endpoint(const struct exchange *x)
{
  return str_is(buf_view(&x->sse.event), "endpoint");
}

/* Takes one byte of the first event.  One that is longer than any endpoint event is passed on as it
 * comes, and ends the stream should it turn out to be one all the same. */
static bool first_byte(struct exchange *x, struct str one)
{
  if (x->held.n == STREAM_HELD_MAX && !named_endpoint(x)) {
    x->first_passes = true;
    send_bytes(x, buf_view(&x->held));
    buf_done(&x->held);
  }
  return buf_str(&x->held, one) == 0 && sse_feed(&x->sse, one, first_event, x) == 0 &&
         !x->endpoint_bad && !(x->first_passes && named_endpoint(x));
}

/* Feeds byte by byte up to the end of the first event; what is left of BYTES goes the plain way. */
static bool before_first_event(struct exchange *x, struct str *bytes)
{
  size_t i = 0;
  while (i < bytes->n && !x->first_event_seen) {
    struct str one = str_slice(*bytes, i++, bytes->n);
    one.n = 1;
    if (!first_byte(x, one))
      return false;
  }
  *bytes = str_slice(*bytes, i, bytes->n);
  if (x->first_event_seen)
    send_bytes(x, x->endpoint.n ? buf_view(&x->endpoint) : buf_view(&x->held));
  else if (x->first_passes || sse_at_boundary(&x->sse))
    send_bytes(x, buf_view(&x->held)); /* comments: nothing to wait for */
  else
    return true;
  buf_done(&x->held);
  buf_done(&x->endpoint);
  return true;
}

static bool is_reply(struct hub *h, struct str data)
{
  struct gate g;
  struct gate_fault bad;
  struct arena *a = hub_scratch(h);
  return a && gate_read(data, a, &g, &bad) == 0 && g.kind == GATE_RESPONSE;
}

/* A message on a stream that is looked into. */
static void message(void *arg, const struct sse_event *e)
{
  struct exchange *x = arg;
  if (task_learns(x))
    task_learn(x, e->data);
  if (x->endpoint_sealed && is_reply(x->hub, e->data))
    caller_session_answered(x->hub->shm, x->session);
}

bool stream_bytes(struct exchange *x, struct str bytes)
{
  if (x->list && list_feed(x->list, bytes, &bytes) < 0) {
    break_off(x, x->list->what);
    return true;
  }
  if (!x->first_event_seen && !before_first_event(x, &bytes)) {
    if (!x->endpoint_bad) {
      break_off(x, "the first event of the stream is too long");
      return true;
    }
    x->upstream_error = "an endpoint event that cannot be followed";
    forward_stop(x);
    return true;
  }
  if (bytes.n == 0)
    return http_waiting(x->rq) <= LIMIT_STREAM_BUFFER;
  if (sse_feed(&x->sse, bytes, task_learns(x) || x->endpoint_sealed ? message : NULL, x) < 0) {
    break_off(x, "a line of the event stream is too long");
    return true;
  }
  bool room = send_bytes(x, bytes);
  if (x->list)
    list_idle(x->list);
  return ends_at_boundary(x) || room;
}

void stream_end(struct exchange *x)
{
  /* an unfinished first event: not ours to judge, but for an address that was not rewritten */
  if (x->held.n && !x->first_event_seen && !named_endpoint(x))
    send_bytes(x, buf_view(&x->held));
  http_end(x->rq);
}

void stream_forget(struct exchange *x)
{
  unlink_stream(x);
  ends_forget(x);
  metric_add(METRIC_STREAMS_OPEN, (uint64_t)-1);
  sse_done(&x->sse);
  buf_done(&x->endpoint);
}

/* Once a second: a comment for those that have been silent for 15 s.  The list is ordered by the
 * time of the last write, so this looks at no other stream.  Then, who must end. */
void stream_tick(struct timer *t)
{
  struct hub *h = container_of(t, struct hub, comment_timer);
  int64_t now = loop_now_ms(h->loop);
  struct exchange *x = h->streams_first, *last = h->streams_last;
  while (x && now - x->last_write_ms >= STREAM_COMMENT_MS) {
    struct exchange *next = x == last ? NULL : x->stream_next;
    if (x->held.n == 0 && http_waiting(x->rq) == 0 && sse_at_boundary(&x->sse))
      send_bytes(x, STR(":\n\n"));
    else {
      unlink_stream(x);
      append_stream(x);
    }
    x = next;
  }
  ends_tick(h);
  loop_timer_set(h->loop, t, 1000);
}

void streams_finish(struct hub *h)
{
  for (struct exchange *x = h->streams_first, *next; x; x = next) {
    next = x->stream_next;
    if (sse_at_boundary(&x->sse))
      forward_stop(x);
  }
}
