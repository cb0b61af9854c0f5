/* The transport on libcurl: TLS, HTTP/2, names, proxies; see upstream_inside.h.  A prepared call
 * keeps its libcurl handle, so that a request sets only what differs from the one before.  Streams
 * that stand open have a multi handle of their own: libcurl walks all connections of a multi handle
 * at each request's end, and calls must not pay for streams. */
#include <stdlib.h>

#include "http/curl.h"
#include "http/upstream_inside.h"
#include "util/cleanup.h"

/* Connections in use count too: never so few that calls close each other's. */
enum { KEPT = 16384 };

struct curl_call {
  struct upstream_call call;
  struct hcurl_transfer transfer;
};

static struct curl_call *of(struct hcurl_transfer *t)
{
  return container_of(t, struct curl_call, transfer);
}

static struct hcurl_transfer *transfer_of(struct upstream_call *c)
{
  return &container_of(c, struct curl_call, call)->transfer;
}

/* ---- the transfer's events */

static void on_sending(struct hcurl_transfer *t)
{
  upstream_call_sending(&of(t)->call);
}

static enum hcurl_take on_header(struct hcurl_transfer *t, struct str line)
{
  struct upstream_call *c = &of(t)->call;
  switch (reply_line(&c->head, line, &c->why)) {
  case REPLY_MORE:
    return HCURL_TAKEN;
  case REPLY_HEAD:
    return upstream_call_head(c) ? HCURL_TAKEN : HCURL_STOP;
  case REPLY_BAD:
    break;
  }
  return HCURL_STOP;
}

static enum hcurl_take on_body(struct hcurl_transfer *t, struct str bytes)
{
  struct upstream_call *c = &of(t)->call;
  if (c->held)
    return HCURL_PAUSE;
  return upstream_call_data(c, bytes) ? HCURL_TAKEN : HCURL_STOP;
}

static enum upstream_end end_of(const struct upstream_call *c, bool sent, CURLcode rc)
{
  if (rc == CURLE_OK && c->head.complete)
    return UPSTREAM_COMPLETE;
  if (rc == CURLE_OPERATION_TIMEDOUT)
    return UPSTREAM_TIMEOUT;
  return sent ? UPSTREAM_BROKEN : UPSTREAM_UNREACHABLE;
}

static void on_done(struct hcurl_transfer *t, CURLcode rc)
{
  struct upstream_call *c = &of(t)->call;
  enum upstream_end end = end_of(c, t->sent, rc);
  const char *error = "";
  if (end != UPSTREAM_COMPLETE)
    error = c->why ? c->why : t->error[0] ? t->error : curl_easy_strerror(rc);
  if (end == UPSTREAM_BROKEN && c->head.bytes == 0 && c->why == NULL)
    error = "closed the connection without an answer";
  upstream_call_over(c, end, error);
}

static void on_released(struct hcurl_transfer *t)
{
  upstream_call_released(&of(t)->call);
}

static const struct hcurl_events transfer_events = {.sending = on_sending,
                                                    .header = on_header,
                                                    .body = on_body,
                                                    .done = on_done,
                                                    .released = on_released};

/* ---- calls */

static struct upstream_call *new_call(struct upstream_site *s, struct err *e)
{
  const struct upstream_target *target = s->target;
  struct curl_call *c = calloc(1, sizeof *c);
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
  if (hcurl_transfer_init(&c->transfer, &o, &transfer_events, e) < 0) {
    free(c);
    return NULL;
  }
  return &c->call;
}

static void free_call(struct upstream_call *c)
{
  hcurl_transfer_done(transfer_of(c));
  free(container_of(c, struct curl_call, call));
}

static int start(struct upstream_call *c, const struct upstream_request *rq, struct err *e)
{
  const struct hcurl_request out = {.url = rq->url,
                                    .method = rq->method,
                                    .headers = rq->headers,
                                    .n_headers = rq->n_headers,
                                    .body = rq->body};
  return hcurl_start(rq->stands_open ? c->pool->streams : c->pool->calls, transfer_of(c), &out, e);
}

static void resume(struct upstream_call *c)
{
  hcurl_resume(transfer_of(c));
}

static void stop(struct upstream_call *c)
{
  hcurl_stop(transfer_of(c));
}

const struct upstream_transport upstream_curl = {
    .new_call = new_call, .free_call = free_call, .start = start, .resume = resume, .stop = stop};

/* ---- the pool's part */

int upstream_curl_init(struct upstream_pool *p, struct err *e)
{
  p->calls = hcurl_new(p->loop, KEPT, e);
  p->streams = p->calls ? hcurl_new(p->loop, KEPT, e) : NULL;
  return p->streams ? 0 : -1;
}

void upstream_curl_done(struct upstream_pool *p)
{
  hcurl_free(p->calls);
  hcurl_free(p->streams);
}
