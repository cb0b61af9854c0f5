/* The upstream seam; see upstream.h.  Targets, prepared calls, deadlines, and which transport
 * carries what.  src/hub/forward.c is the caller.
 *
 * Calls to one target share a list of prepared ones, so that a request makes only what differs from
 * the one before. */
#include "http/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "http/upstream_inside.h"
#include "util/cleanup.h"

enum {
  SPARE_CALLS = 256, /* prepared calls that wait for work, over all targets */
  SITES_MIN = 16,
};

/* ---- targets */

static size_t bucket(const struct upstream_pool *p, const struct upstream_target *t)
{
  uint64_t h = (uint64_t)(uintptr_t)t * 0x9e3779b97f4a7c15u;
  return (size_t)(h >> 32) & (p->n_buckets - 1);
}

static int grow(struct upstream_pool *p)
{
  size_t old = p->n_buckets;
  struct upstream_site **before = p->sites,
                       **sites = calloc(old ? old * 2 : SITES_MIN, sizeof *sites);
  if (sites == NULL)
    return -1;
  p->sites = sites;
  p->n_buckets = old ? old * 2 : SITES_MIN;
  for (size_t i = 0; i < old; i++) {
    for (struct upstream_site *s = before[i], *next; s; s = next) {
      next = s->next;
      size_t at = bucket(p, s->target);
      s->next = sites[at];
      sites[at] = s;
    }
  }
  free(before);
  return 0;
}

static int site_init(struct upstream_pool *p, struct upstream_site *s,
                     const struct upstream_target *t, struct err *e)
{
  if (url_parse(str_of(t->url), &s->url, e) < 0)
    return err_prefix(e, "upstream");
  s->target = t;
  s->transport = upstream_h1_serves(t, &s->url) ? &upstream_h1 : &upstream_curl;
  if (p->n_sites >= p->n_buckets && grow(p) < 0)
    return err_set(e, "out of memory");
  return s->transport->site_init ? s->transport->site_init(p, s, e) : 0;
}

static struct upstream_site *new_site(struct upstream_pool *p, const struct upstream_target *t,
                                      struct err *e)
{
  struct upstream_site *s = calloc(1, sizeof *s);
  if (s == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  if (site_init(p, s, t, e) < 0) {
    free(s);
    return NULL;
  }
  size_t at = bucket(p, t);
  s->next = p->sites[at];
  p->sites[at] = s;
  p->n_sites++;
  return s;
}

static struct upstream_site *site_of(struct upstream_pool *p, const struct upstream_target *t,
                                     struct err *e)
{
  for (struct upstream_site *s = p->n_buckets ? p->sites[bucket(p, t)] : NULL; s; s = s->next)
    if (s->target == t)
      return s;
  return new_site(p, t, e);
}

/* The target's own URL, or something below the same scheme and authority. */
static int check_origin(const struct upstream_site *s, const char *url, struct err *e)
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
  reply_done(&c->head);
  c->site->transport->free_call(c);
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
  c->running = true;
}

static void unlink_call(struct upstream_call *c)
{
  loop_timer_stop(c->pool->loop, &c->timer);
  c->running = false;
  if (c->next)
    c->next->prev = c->prev;
  if (c->prev)
    c->prev->next = c->next;
  else
    c->pool->first = c->next;
}

void upstream_call_over(struct upstream_call *c, enum upstream_end end, const char *error)
{
  unlink_call(c);
  c->events->done(c->arg, end, error);
  put_call(c);
}

/* After a deadline, or cancelled (then nobody is told). */
void upstream_call_released(struct upstream_call *c)
{
  if (c->why)
    c->events->done(c->arg, UPSTREAM_TIMEOUT, c->why);
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
  case UPSTREAM_CONNECTING:
    return "no connection in time";
  case UPSTREAM_WAITING:
    return "no answer in time";
  case UPSTREAM_REPLYING:
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
  unlink_call(c);
  c->why = late(c);
  c->site->transport->stop(c);
}

/* ---- what transports tell */

void upstream_call_sending(struct upstream_call *c)
{
  int64_t ms = c->site->target->first_byte_timeout_ms;
  c->stage = UPSTREAM_WAITING;
  c->stage_due_ms = ms > 0 ? loop_now_ms(c->pool->loop) + ms : 0;
  int64_t when = due(c);
  if (when && (c->timer.slot == 0 || when < c->timer.due_ms))
    loop_timer_set(c->pool->loop, &c->timer, when - loop_now_ms(c->pool->loop));
}

bool upstream_call_head(struct upstream_call *c)
{
  struct http_header fields[LIMIT_HEADERS];
  size_t n = reply_fields(&c->head, fields);
  c->stage = UPSTREAM_REPLYING;
  c->stage_due_ms = 0;
  if (c->total_due_ms == 0)
    loop_timer_stop(c->pool->loop, &c->timer);
  c->events->head(c->arg, c->head.status, fields, n, c->head.length);
  buf_done(&c->head.fields); /* the stream may stand for hours */
  return c->running;
}

bool upstream_call_data(struct upstream_call *c, struct str bytes)
{
  if (!c->events->data(c->arg, bytes))
    c->held = true;
  return c->running;
}

/* ---- the seam */

static struct upstream_call *get_call(struct upstream_pool *p, struct upstream_site *s,
                                      struct err *e)
{
  struct upstream_call *c = s->spare;
  if (c) {
    s->spare = c->next;
    p->n_spare--;
    return c;
  }
  c = s->transport->new_call(s, e);
  if (c) {
    reply_init(&c->head);
    c->pool = p;
    c->site = s;
    c->timer.fire = on_deadline;
  }
  return c;
}

static int start(struct upstream_call *c, const struct upstream_request *rq, struct err *e)
{
  struct upstream_pool *p = c->pool;
  int64_t now = loop_now_ms(p->loop), connect_ms = rq->target->connect_timeout_ms;
  c->stage = UPSTREAM_CONNECTING;
  c->stage_due_ms = connect_ms > 0 ? now + connect_ms : 0;
  c->total_due_ms = rq->total_timeout_ms > 0 ? now + rq->total_timeout_ms : 0;
  if (due(c) && loop_timer_set(p->loop, &c->timer, due(c) - now) < 0)
    return err_set(e, "out of memory");
  if (c->site->transport->start(c, rq, e) == 0)
    return 0;
  loop_timer_stop(p->loop, &c->timer);
  return -1;
}

struct upstream_call *upstream_start(struct upstream_pool *p, const struct upstream_request *rq,
                                     const struct upstream_events *events, void *arg, struct err *e)
{
  struct upstream_site *s = site_of(p, rq->target, e);
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
  c->site->transport->resume(c);
}

void upstream_cancel(struct upstream_call *c)
{
  if (c == NULL || !c->running)
    return;
  unlink_call(c);
  c->why = NULL;
  c->site->transport->stop(c);
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
  if (upstream_curl_init(p, e) < 0 || upstream_h1_init(p, e) < 0 || grow(p) < 0) {
    upstream_pool_free(p);
    return NULL;
  }
  return p;
}

static void free_site(struct upstream_site *s)
{
  for (struct upstream_call *c = s->spare, *next; c; c = next) {
    next = c->next;
    free_call(c);
  }
  if (s->transport->site_free)
    s->transport->site_free(s);
  free(s);
}

void upstream_pool_free(struct upstream_pool *p)
{
  if (p == NULL)
    return;
  while (p->first)
    upstream_cancel(p->first);
  upstream_curl_done(p);
  for (size_t i = 0; i < p->n_buckets; i++) {
    for (struct upstream_site *s = p->sites[i], *next; s; s = next) {
      next = s->next;
      free_site(s);
    }
  }
  upstream_h1_done(p);
  free(p->sites);
  free(p);
}
