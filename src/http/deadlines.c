/* Deadlines of connections: a queue for each kind, since all of a kind take equally long, and one
 * timer for all queues.  Setting one costs a few pointers; libmicrohttpd's own timeout stays off,
 * for it measures inactivity only (D5, row 157). */
#include <sys/socket.h>

#include "http/inside.h"

enum { WATCH_AFTER_MS = 20, SPARE_MS = 1000, TICK_LEAST_MS = 5, RATE_TICK_MS = 1000 };

static void unlink_deadline(struct conn *c)
{
  struct http_server *s = c->server;
  if (c->deadline == DEADLINE_NONE)
    return;
  if (c->earlier)
    c->earlier->later = c->later;
  else
    s->first[c->deadline] = c->later;
  if (c->later)
    c->later->earlier = c->earlier;
  else
    s->last[c->deadline] = c->earlier;
  c->earlier = c->later = NULL;
  c->deadline = DEADLINE_NONE;
}

static void arm(struct http_server *s, int64_t due_ms)
{
  int64_t now = loop_now_ms(s->loop);
  if (s->tick.slot && s->tick.due_ms <= due_ms)
    return;
  int64_t ms = due_ms - now;
  loop_timer_set(s->loop, &s->tick, ms < TICK_LEAST_MS ? TICK_LEAST_MS : ms);
}

void deadline_set(struct conn *c, enum deadline d)
{
  struct http_server *s = c->server;
  unlink_deadline(c);
  if (d == DEADLINE_NONE)
    return;
  c->deadline = d;
  c->due_ms = loop_now_ms(s->loop) + s->deadline_ms[d];
  c->earlier = s->last[d];
  if (c->earlier)
    c->earlier->later = c;
  else
    s->first[d] = c;
  s->last[d] = c;
  arm(s, d == DEADLINE_BODY ? loop_now_ms(s->loop) + RATE_TICK_MS : c->due_ms);
}

/* libmicrohttpd sees the end of the connection and closes it. */
static void hang_up(struct conn *c)
{
  if (c->request)
    request_die(c->request, HTTP_END_TIMEOUT);
  shutdown(c->fd, SHUT_RDWR);
}

static void expire(struct conn *c, enum deadline d)
{
  switch (d) {
  case DEADLINE_HEAD:
  case DEADLINE_IDLE:
  case DEADLINE_SPARE:
    hang_up(c);
    return;
  case DEADLINE_BODY:
    if (c->request)
      body_timeout(c->request);
    return;
  case DEADLINE_STALL:
  case DEADLINE_CLOSE:
    if (c->request)
      request_die(c->request, HTTP_END_TIMEOUT);
    conn_reset(c);
    return;
  case DEADLINE_WATCH:
    conn_watch_away(c, 0);
    return;
  case DEADLINE_NONE:
  case DEADLINE_COUNT:
    return;
  }
}

static void expire_slow_bodies(struct http_server *s, int64_t now)
{
  for (struct conn *c = s->first[DEADLINE_BODY], *next; c; c = next) {
    next = c->later;
    if (c->request && body_too_slow(c->request, now)) {
      unlink_deadline(c);
      expire(c, DEADLINE_BODY);
    }
  }
}

static void on_tick(struct timer *t)
{
  struct http_server *s = container_of(t, struct http_server, tick);
  int64_t now = loop_now_ms(s->loop), next = INT64_MAX;
  expire_slow_bodies(s, now);
  for (int d = 1; d < DEADLINE_COUNT; d++) {
    struct conn *c;
    while ((c = s->first[d]) && c->due_ms <= now) {
      unlink_deadline(c);
      expire(c, (enum deadline)d);
    }
    if (c && c->due_ms < next)
      next = c->due_ms;
  }
  if (s->first[DEADLINE_BODY] && next > now + RATE_TICK_MS)
    next = now + RATE_TICK_MS;
  if (next != INT64_MAX)
    arm(s, next);
  server_wake(s);
}

void deadlines_init(struct http_server *s)
{
  s->tick.fire = on_tick;
  s->deadline_ms[DEADLINE_HEAD] = s->options.header_timeout_ms;
  s->deadline_ms[DEADLINE_BODY] = s->options.body_timeout_ms;
  s->deadline_ms[DEADLINE_IDLE] = s->options.keepalive_timeout_ms;
  s->deadline_ms[DEADLINE_STALL] = s->options.stall_timeout_ms;
  s->deadline_ms[DEADLINE_SPARE] = SPARE_MS;
  s->deadline_ms[DEADLINE_CLOSE] = LIMIT_LINGER_MS;
  s->deadline_ms[DEADLINE_WATCH] = WATCH_AFTER_MS;
}

void deadlines_done(struct http_server *s)
{
  loop_timer_stop(s->loop, &s->tick);
}
