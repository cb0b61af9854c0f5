/* The upstream seam on libcurl; see upstream.h.  src/hub/forward.c is the caller.
 *
 * Calls to one target share a list of prepared handles, so that a request sets only what differs
 * from the one before.  Streams that stand open have a multi handle of their own: libcurl walks all
 * connections of a multi handle at each request's end, and calls must not pay for streams. */
#include "http/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "http/curl.h"
#include "http/reply.h"
#include "util/cleanup.h"
#include "util/url.h"

enum {
  KEPT = 16384,      /* connections in use count too: never so few that calls close each other's */
  SPARE_CALLS = 256, /* prepared handles that wait for work, over all targets */
  SITES_MIN = 16,
};

/* A target, what we know of it, and its prepared calls. */
struct site {
  const struct upstream_target *target;
  struct url url;
  struct upstream_call *spare;
  struct site *next; /* in its bucket */
};

struct upstream_pool {
  struct loop *loop;
  struct hcurl *calls, *streams;
  struct site **sites; /* hashed by address; N_BUCKETS is a power of two */
  size_t n_buckets, n_sites;
  unsigned n_spare;
  struct upstream_call *first; /* all that run */
};

enum stage { CONNECTING, WAITING, REPLYING };

struct upstream_call {
  struct upstream_pool *pool;
  struct site *site;
  struct hcurl_transfer transfer;
  const struct upstream_events *events;
  void *arg;
  enum stage stage;
  bool held;          /* data() said stop */
  const char *why;    /* our own reason for ending it */
  struct timer timer; /* the stage's deadline or the total one, whichever is first */
  int64_t stage_due_ms, total_due_ms; /* 0: none */
  struct reply head;
  struct upstream_call *next, *prev;
};

static struct upstream_call *of(struct hcurl_transfer *t)
{
  return container_of(t, struct upstream_call, transfer);
}

/* ---- targets */

static size_t bucket(const struct upstream_pool *p, const struct upstream_target *t)
{
  uint64_t h = (uint64_t)(uintptr_t)t * 0x9e3779b97f4a7c15u;
  return (size_t)(h >> 32) & (p->n_buckets - 1);
}

static int grow(struct upstream_pool *p)
{
  size_t old = p->n_buckets;
  struct site **before = p->sites, **sites = calloc(old ? old * 2 : SITES_MIN, sizeof *sites);
  if (sites == NULL)
    return -1;
  p->sites = sites;
  p->n_buckets = old ? old * 2 : SITES_MIN;
  for (size_t i = 0; i < old; i++) {
    for (struct site *s = before[i], *next; s; s = next) {
      next = s->next;
      size_t at = bucket(p, s->target);
      s->next = sites[at];
      sites[at] = s;
    }
  }
  free(before);
  return 0;
}

static struct site *new_site(struct upstream_pool *p, const struct upstream_target *t,
                             struct err *e)
{
  struct url url;
  if (url_parse(str_of(t->url), &url, e) < 0) {
    err_prefix(e, "upstream");
    return NULL;
  }
  struct site *s = calloc(1, sizeof *s);
  if (s == NULL || (p->n_sites >= p->n_buckets && grow(p) < 0)) {
    free(s);
    err_set(e, "out of memory");
    return NULL;
  }
  s->target = t;
  s->url = url;
  size_t at = bucket(p, t);
  s->next = p->sites[at];
  p->sites[at] = s;
  p->n_sites++;
  return s;
}

static struct site *site_of(struct upstream_pool *p, const struct upstream_target *t, struct err *e)
{
  for (struct site *s = p->n_buckets ? p->sites[bucket(p, t)] : NULL; s; s = s->next)
    if (s->target == t)
      return s;
  return new_site(p, t, e);
}

/* The target's own URL, or something below the same scheme and authority. */
static int check_origin(const struct site *s, const char *url, struct err *e)
{
  struct url u;
  if (url == s->target->url || strcmp(url, s->target->url) == 0)
    return 0;
  if (url_parse(str_of(url), &u, e) < 0)
    return err_prefix(e, "upstream");
  if (u.https != s->url.https || u.port != s->url.port || !str_eq(u.host, s->url.host))
    return err_set(e, "upstream: another origin than the configured one");
  return 0;
}

/* ---- calls */

static void free_call(struct upstream_call *c)
{
  hcurl_transfer_done(&c->transfer);
  reply_done(&c->head);
  free(c);
}

/* The call is over: kept for the next one, or freed. */
static void put_call(struct upstream_call *c)
{
  struct upstream_pool *p = c->pool;
  reply_done(&c->head);
  if (p->n_spare >= SPARE_CALLS) {
    free_call(c);
    return;
  }
  c->next = c->site->spare;
  c->site->spare = c;
  p->n_spare++;
}

static void link_call(struct upstream_call *c)
{
  struct upstream_pool *p = c->pool;
  c->prev = NULL;
  c->next = p->first;
  if (c->next)
    c->next->prev = c;
  p->first = c;
}

static void unlink_call(struct upstream_call *c)
{
  loop_timer_stop(c->pool->loop, &c->timer);
  if (c->next)
    c->next->prev = c->prev;
  if (c->prev)
    c->prev->next = c->next;
  else
    c->pool->first = c->next;
}

static void finish(struct upstream_call *c, enum upstream_end end, const char *error)
{
  unlink_call(c);
  c->events->done(c->arg, end, error);
  put_call(c);
}

/* ---- deadlines: one timer a call; a later deadline is looked at when the earlier one fires */

static int64_t due(const struct upstream_call *c)
{
  if (c->stage_due_ms == 0 || c->total_due_ms == 0)
    return c->stage_due_ms + c->total_due_ms;
  return c->stage_due_ms < c->total_due_ms ? c->stage_due_ms : c->total_due_ms;
}

static const char *late(const struct upstream_call *c)
{
  switch (c->stage) {
  case CONNECTING:
    return "no connection in time";
  case WAITING:
    return "no answer in time";
  case REPLYING:
    break;
  }
  return "the exchange took longer than it may";
}

static void on_deadline(struct timer *timer)
{
  struct upstream_call *c = container_of(timer, struct upstream_call, timer);
  int64_t when = due(c), left = when - loop_now_ms(c->pool->loop);
  if (when == 0 || (left > 0 && loop_timer_set(c->pool->loop, timer, left) == 0))
    return;
  c->why = late(c);
  hcurl_stop(&c->transfer);
}

/* ---- the transfer's events */

static void on_sending(struct hcurl_transfer *t)
{
  struct upstream_call *c = of(t);
  int64_t ms = c->site->target->first_byte_timeout_ms;
  c->stage = WAITING;
  c->stage_due_ms = ms > 0 ? loop_now_ms(c->pool->loop) + ms : 0;
  int64_t when = due(c);
  if (when && (c->timer.slot == 0 || when < c->timer.due_ms))
    loop_timer_set(c->pool->loop, &c->timer, when - loop_now_ms(c->pool->loop));
}

static void deliver_head(struct upstream_call *c)
{
  struct http_header fields[LIMIT_HEADERS];
  size_t n = reply_fields(&c->head, fields);
  c->stage = REPLYING;
  c->stage_due_ms = 0;
  if (c->total_due_ms == 0)
    loop_timer_stop(c->pool->loop, &c->timer);
  c->events->head(c->arg, c->head.status, fields, n, c->head.length);
  buf_done(&c->head.fields); /* the stream may stand for hours */
}

static enum hcurl_take on_header(struct hcurl_transfer *t, struct str line)
{
  struct upstream_call *c = of(t);
  switch (reply_line(&c->head, line, &c->why)) {
  case REPLY_MORE:
    return HCURL_TAKEN;
  case REPLY_HEAD:
    deliver_head(c);
    return t->stopped ? HCURL_STOP : HCURL_TAKEN;
  case REPLY_BAD:
    break;
  }
  return HCURL_STOP;
}

static enum hcurl_take on_body(struct hcurl_transfer *t, struct str bytes)
{
  struct upstream_call *c = of(t);
  if (c->held)
    return HCURL_PAUSE;
  if (!c->events->data(c->arg, bytes))
    c->held = true;
  return t->stopped ? HCURL_STOP : HCURL_TAKEN;
}

static enum upstream_end end_of(const struct upstream_call *c, CURLcode rc)
{
  if (rc == CURLE_OK && c->head.complete)
    return UPSTREAM_COMPLETE;
  if (rc == CURLE_OPERATION_TIMEDOUT)
    return UPSTREAM_TIMEOUT;
  return c->transfer.sent ? UPSTREAM_BROKEN : UPSTREAM_UNREACHABLE;
}

static void on_done(struct hcurl_transfer *t, CURLcode rc)
{
  struct upstream_call *c = of(t);
  enum upstream_end end = end_of(c, rc);
  const char *error = "";
  if (end != UPSTREAM_COMPLETE)
    error = c->why ? c->why : t->error[0] ? t->error : curl_easy_strerror(rc);
  if (end == UPSTREAM_BROKEN && c->head.bytes == 0 && c->why == NULL)
    error = "closed the connection without an answer";
  finish(c, end, error);
}

/* After a deadline, or cancelled (then nobody is called). */
static void on_released(struct hcurl_transfer *t)
{
  struct upstream_call *c = of(t);
  if (c->why)
    finish(c, UPSTREAM_TIMEOUT, c->why);
  else
    put_call(c);
}

static const struct hcurl_events transfer_events = {.sending = on_sending,
                                                    .header = on_header,
                                                    .body = on_body,
                                                    .done = on_done,
                                                    .released = on_released};

/* ---- the seam */

static struct upstream_call *new_call(struct upstream_pool *p, struct site *s, struct err *e)
{
  const struct upstream_target *target = s->target;
  struct upstream_call *c = calloc(1, sizeof *c);
  if (c == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  struct hcurl_options o = {
      .unix_socket = target->unix_socket,
      .ca_file = target->ca_file,
      .egress_proxy = target->unix_socket || url_loopback(&s->url) ? NULL : target->egress_proxy,
      .connect_timeout_ms = target->connect_timeout_ms,
      .reach = REACH_ANY,
      .https_only = s->url.https,
  };
  reply_init(&c->head);
  c->pool = p;
  c->site = s;
  c->timer.fire = on_deadline;
  if (hcurl_transfer_init(&c->transfer, &o, &transfer_events, e) < 0) {
    free(c);
    return NULL;
  }
  return c;
}

static struct upstream_call *get_call(struct upstream_pool *p, struct site *s, struct err *e)
{
  struct upstream_call *c = s->spare;
  if (c == NULL)
    return new_call(p, s, e);
  s->spare = c->next;
  p->n_spare--;
  return c;
}

static int start(struct upstream_call *c, const struct upstream_request *rq, struct err *e)
{
  struct upstream_pool *p = c->pool;
  const struct hcurl_request out = {.url = rq->url,
                                    .method = rq->method,
                                    .headers = rq->headers,
                                    .n_headers = rq->n_headers,
                                    .body = rq->body};
  int64_t now = loop_now_ms(p->loop), connect_ms = rq->target->connect_timeout_ms;
  c->stage = CONNECTING;
  c->stage_due_ms = connect_ms > 0 ? now + connect_ms : 0;
  c->total_due_ms = rq->total_timeout_ms > 0 ? now + rq->total_timeout_ms : 0;
  if (due(c) && loop_timer_set(p->loop, &c->timer, due(c) - now) < 0)
    return err_set(e, "out of memory");
  struct hcurl *h = rq->stands_open ? p->streams : p->calls;
  if (hcurl_start(h, &c->transfer, &out, e) == 0)
    return 0;
  loop_timer_stop(p->loop, &c->timer);
  return -1;
}

struct upstream_call *upstream_start(struct upstream_pool *p, const struct upstream_request *rq,
                                     const struct upstream_events *events, void *arg, struct err *e)
{
  struct site *s = site_of(p, rq->target, e);
  if (s == NULL || check_origin(s, rq->url, e) < 0)
    return NULL;
  struct upstream_call *c = get_call(p, s, e);
  if (c == NULL)
    return NULL;
  c->events = events;
  c->arg = arg;
  c->held = false;
  c->why = NULL;
  if (start(c, rq, e) < 0) {
    put_call(c);
    return NULL;
  }
  link_call(c);
  return c;
}

void upstream_resume(struct upstream_call *c)
{
  c->held = false;
  hcurl_resume(&c->transfer);
}

void upstream_cancel(struct upstream_call *c)
{
  if (c == NULL || !c->transfer.running || c->transfer.stopped)
    return;
  unlink_call(c);
  c->why = NULL;
  hcurl_stop(&c->transfer);
}

/* ---- the pool */

struct upstream_pool *upstream_pool_new(struct loop *l, struct err *e)
{
  struct upstream_pool *p = calloc(1, sizeof *p);
  if (p == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  p->loop = l;
  p->calls = hcurl_new(l, KEPT, e);
  p->streams = p->calls ? hcurl_new(l, KEPT, e) : NULL;
  if (p->streams == NULL || grow(p) < 0) {
    hcurl_free(p->calls);
    hcurl_free(p->streams);
    free(p);
    return NULL;
  }
  return p;
}

static void free_site(struct site *s)
{
  for (struct upstream_call *c = s->spare, *next; c; c = next) {
    next = c->next;
    free_call(c);
  }
  free(s);
}

void upstream_pool_free(struct upstream_pool *p)
{
  if (p == NULL)
    return;
  while (p->first)
    upstream_cancel(p->first);
  hcurl_free(p->calls);
  hcurl_free(p->streams);
  for (size_t i = 0; i < p->n_buckets; i++) {
    for (struct site *s = p->sites[i], *next; s; s = next) {
      next = s->next;
      free_site(s);
    }
  }
  free(p->sites);
  free(p);
}
