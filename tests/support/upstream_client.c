/* See upstream_client.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "upstream_client.h"

static void on_head(void *arg, int status, const struct http_header *h, size_t n, int64_t length)
{
  struct call *c = arg;
  size_t at = 0;
  c->heads++;
  c->status = status;
  c->length = length;
  for (size_t i = 0; i < n; i++)
    at += (size_t)snprintf(c->headers + at, sizeof c->headers - at, "%.*s=%.*s;",
                           STR_ARG(h[i].name), STR_ARG(h[i].value));
  if (c->in_head)
    c->in_head(c);
}

static bool on_data(void *arg, struct str bytes)
{
  struct call *c = arg;
  buf_str(&c->body, bytes);
  if (c->in_data)
    c->in_data(c);
  c->since_pause += bytes.n;
  if (c->pause_every == 0 || c->since_pause < c->pause_every)
    return true;
  c->since_pause = 0;
  c->pauses++;
  loop_stop(c->loop);
  return false;
}

static void on_done(void *arg, enum upstream_end end, const char *error)
{
  struct call *c = arg;
  c->dones++;
  c->end = end;
  c->call = NULL;
  snprintf(c->error, sizeof c->error, "%s", error);
  if (c->left == NULL || --*c->left == 0)
    loop_stop(c->loop);
}

const struct upstream_events call_events = {on_head, on_data, on_done};

static void on_guard(struct timer *t)
{
  struct client *k = container_of(t, struct client, guard);
  k->late = true;
  loop_stop(k->loop);
}

void client_open(struct client *k, const char *url)
{
  struct err e = {""};
  memset(k, 0, sizeof *k);
  k->guard.fire = on_guard;
  snprintf(k->url, sizeof k->url, "%s", url);
  k->target = (struct upstream_target){
      .url = k->url, .connect_timeout_ms = 2000, .first_byte_timeout_ms = 5000};
  k->loop = loop_new(&e);
  assert_non_null(k->loop);
  k->pool = upstream_pool_new(k->loop, &e);
  assert_non_null(k->pool);
}

void client_close(struct client *k)
{
  upstream_pool_free(k->pool);
  loop_free(k->loop);
}

void open_to(struct client *k, const struct tiny_server *s)
{
  char url[64];
  snprintf(url, sizeof url, "http://" UPSTREAM_HOST ":%d/mcp", s->port);
  client_open(k, url);
}

/* Turns until somebody stops the loop; a test fails after 60 s. */
void client_run(struct client *k)
{
  loop_timer_set(k->loop, &k->guard, 60000);
  loop_run(k->loop);
  loop_timer_stop(k->loop, &k->guard);
  assert_false(k->late);
}

static void idle_out(struct timer *t)
{
  loop_stop(((struct client *)(void *)container_of(t, struct client, guard))->loop);
}

/* Turns for MS, whatever happens. */
void client_run_for(struct client *k, int64_t ms)
{
  k->guard.fire = idle_out;
  loop_timer_set(k->loop, &k->guard, ms);
  loop_run(k->loop);
  loop_timer_stop(k->loop, &k->guard);
  k->guard.fire = on_guard;
}

void begin_full(struct client *k, struct call *c, struct upstream_request rq)
{
  struct err e = {""};
  c->loop = k->loop;
  buf_init(&c->body, MIB(64));
  rq.target = &k->target;
  if (rq.url == NULL)
    rq.url = k->target.url;
  if (rq.method.n == 0)
    rq.method = STR("POST");
  c->call = upstream_start(k->pool, &rq, &call_events, c, &e);
  if (c->call == NULL)
    fail_msg("%s", e.text);
}

void begin(struct client *k, struct call *c, struct str body)
{
  begin_full(k, c, (struct upstream_request){.body = body});
}

void post(struct client *k, struct call *c, struct str body)
{
  begin(k, c, body);
  client_run(k);
}

void call_free(struct call *c)
{
  buf_done(&c->body);
}

void assert_complete(const struct call *c, int status, const char *body)
{
  if (c->end != UPSTREAM_COMPLETE)
    fail_msg("ended with %d: %s", c->end, c->error);
  assert_int_equal(c->heads, 1);
  assert_int_equal(c->dones, 1);
  assert_int_equal(c->status, status);
  assert_string_equal(c->body.p ? c->body.p : "", body);
}

/* ---- servers */

/* Every request on every connection gets the text in ARG. */
void serve_text(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  while (tiny_read(s, fd))
    tiny_write(fd, s->arg);
}

/* The text once, then the end of the connection. */
void serve_text_and_close(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  if (tiny_read(s, fd))
    tiny_write(fd, s->arg);
}
