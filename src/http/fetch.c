/* Small replies from identity providers and key sets; see fetch.h.  The hub's stacks (through the
 * provider host) and its key sets call this. */
#include "http/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "http/curl.h"
#include "http/reply.h"
#include "util/cleanup.h"
#include "util/url.h"

enum { CONNECT_MS = 3000, TOTAL_MS = 5000, KEPT = 64 };

struct fetcher {
  struct loop *loop;
  struct hcurl *curl;
  struct fetch *first; /* all that run */
};

struct fetch {
  struct fetcher *fetcher;
  struct hcurl_transfer transfer;
  struct timer deadline;
  int64_t timeout_ms;
  struct reply head;
  struct buf body, sent; /* SENT: our copy of the request's body */
  const char *why;       /* our own reason for ending it */
  fetch_done_fn *done;
  void *arg;
  struct fetch *next, *prev;
};

/* ---- life */

static void link_fetch(struct fetch *x)
{
  x->next = x->fetcher->first;
  if (x->next)
    x->next->prev = x;
  x->fetcher->first = x;
}

static void unlink_fetch(struct fetch *x)
{
  if (x->next)
    x->next->prev = x->prev;
  if (x->prev)
    x->prev->next = x->next;
  else
    x->fetcher->first = x->next;
  x->next = x->prev = NULL;
}

static void free_fetch(struct fetch *x)
{
  loop_timer_stop(x->fetcher->loop, &x->deadline);
  hcurl_transfer_done(&x->transfer);
  reply_done(&x->head);
  buf_wipe(&x->body); /* tokens, client secrets */
  buf_wipe(&x->sent);
  free(x);
}

static struct fetch *of(struct hcurl_transfer *t)
{
  return container_of(t, struct fetch, transfer);
}

/* ---- what the reply says */

/* The first max-age of Cache-Control; no-store and no-cache count as 0. */
static int64_t max_age(struct str value)
{
  struct str directive;
  while (str_next(&value, ',', &directive)) {
    uint64_t n;
    directive = str_trim(directive);
    size_t eq = str_chr(directive, '=');
    struct str name = str_slice(directive, 0, eq), arg = str_slice(directive, eq + 1, directive.n);
    if (str_iis(name, "no-store") || str_iis(name, "no-cache"))
      return 0;
    if (arg.n >= 2 && arg.p[0] == '"' && arg.p[arg.n - 1] == '"')
      arg = str_slice(arg, 1, arg.n - 1);
    if (str_iis(name, "max-age") && str_u64(arg, INT32_MAX, &n))
      return (int64_t)n;
  }
  return -1;
}

/* Ends X with what is there and calls back.  NUL-terminates the media type in a copy. */
static void finish(struct fetch *x, const char *error)
{
  struct http_header fields[LIMIT_HEADERS];
  char media_type[256] = "";
  struct fetch_reply reply = {.error = error, .content_type = media_type, .max_age_s = -1};
  if (error[0] == 0) {
    reply.status = x->head.status;
    reply.body = buf_view(&x->body);
    size_t n = reply_fields(&x->head, fields);
    for (size_t i = 0; i < n; i++) {
      if (str_iis(fields[i].name, "Cache-Control") && reply.max_age_s < 0)
        reply.max_age_s = max_age(fields[i].value);
      if (str_iis(fields[i].name, "Content-Type") && fields[i].value.n < sizeof media_type)
        memcpy(media_type, fields[i].value.p, fields[i].value.n);
    }
  }
  unlink_fetch(x);
  x->done(x->arg, &reply);
  free_fetch(x);
}

/* ---- the transfer's events */

static enum hcurl_take refuse(struct fetch *x, const char *why)
{
  if (x->why == NULL)
    x->why = why;
  return HCURL_STOP;
}

static enum hcurl_take on_header(struct hcurl_transfer *t, struct str line)
{
  struct fetch *x = of(t);
  const char *why = NULL;
  if (reply_line(&x->head, line, &why) == REPLY_BAD)
    return refuse(x, why);
  if (x->head.complete && x->head.length > 0 && (uint64_t)x->head.length > x->body.max)
    return refuse(x, "the reply is too large");
  return HCURL_TAKEN;
}

static enum hcurl_take on_body(struct hcurl_transfer *t, struct str bytes)
{
  struct fetch *x = of(t);
  return buf_str(&x->body, bytes) < 0 ? refuse(x, "the reply is too large") : HCURL_TAKEN;
}

static void on_done(struct hcurl_transfer *t, CURLcode rc)
{
  struct fetch *x = of(t);
  if (rc == CURLE_OK && x->head.complete)
    finish(x, "");
  else if (t->vetoed)
    finish(x, "its address is not one that may be reached");
  else
    finish(x, x->why ? x->why : t->error[0] ? t->error : curl_easy_strerror(rc));
}

static void on_released(struct hcurl_transfer *t)
{
  struct fetch *x = of(t);
  if (x->why)
    finish(x, x->why);
  else
    free_fetch(x);
}

static void on_deadline(struct timer *timer)
{
  struct fetch *x = container_of(timer, struct fetch, deadline);
  x->why = x->transfer.sent ? "no whole answer in time" : "no connection in time";
  hcurl_stop(&x->transfer);
}

static const struct hcurl_events events = {
    .header = on_header, .body = on_body, .done = on_done, .released = on_released};

/* ---- starting */

/* Whether HOST, which a proxy is to connect to, is an address that POLICY allows, or can be a name
 * of the public DNS: two labels or more, the last of which is no number (of an address in a form
 * that only some readers take for one). */
static bool proxied_host_allowed(struct str host, enum reach policy)
{
  char text[INET6_ADDRSTRLEN];
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(443)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
  size_t last = host.n;
  if (host.n < sizeof text) {
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
      return reach_allows(policy, (const struct sockaddr *)&v4);
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
      return reach_allows(policy, (const struct sockaddr *)&v6);
  }
  while (last && host.p[last - 1] != '.')
    last--;
  return last > 1 && last < host.n && !(host.p[last] >= '0' && host.p[last] <= '9');
}

/* https, or http to this machine; what may be reached follows from who wrote the URL. */
static int judge_url(const struct fetch_request *rq, struct hcurl_options *o, struct err *e)
{
  struct url u;
  if (url_parse(str_of(rq->url), &u, e) < 0)
    return err_prefix(e, "URL");
  bool local = url_loopback(&u);
  if (!u.https && (!local || (rq->public_only && !rq->loopback_too)))
    return err_set(e, "URL must begin with https://");
  o->https_only = u.https;
  o->egress_proxy = local ? NULL : rq->egress_proxy;
  if (rq->public_only)
    o->reach = rq->loopback_too ? REACH_PUBLIC_OR_LOOPBACK : REACH_PUBLIC;
  else
    o->reach = u.https ? REACH_ANY : REACH_LOOPBACK;
  if (rq->public_only && o->egress_proxy &&
      (u.port != 443 || !proxied_host_allowed(u.host, o->reach)))
    return err_set(e, "its address is not one that may be reached");
  return 0;
}

/* "Name: value" lines to fields; what they point to is RQ's. */
static int split_headers(const struct fetch_request *rq, struct http_header *out, size_t *ret_n,
                         struct err *e)
{
  size_t n = 0;
  for (const char *const *h = rq->headers; h && *h; h++) {
    struct str line = str_of(*h);
    size_t colon = str_chr(line, ':');
    if (n == LIMIT_HEADERS || colon == line.n)
      return err_set(e, "malformed header field, or too many");
    out[n++] = (struct http_header){str_slice(line, 0, colon),
                                    str_trim(str_slice(line, colon + 1, line.n))};
  }
  *ret_n = n;
  return 0;
}

static int start(struct fetch *x, const struct fetch_request *rq, struct err *e)
{
  struct http_header fields[LIMIT_HEADERS];
  struct hcurl_request out = {
      .url = rq->url, .method = str_of(rq->method ? rq->method : "GET"), .headers = fields};
  out.repeatable = str_is(out.method, "GET");
  if (split_headers(rq, fields, &out.n_headers, e) < 0)
    return -1;
  if (buf_str(&x->sent, rq->body) < 0)
    return err_set(e, "the request's body is too large");
  out.body = buf_view(&x->sent);
  if (loop_timer_set(x->fetcher->loop, &x->deadline, x->timeout_ms) < 0)
    return err_set(e, "out of memory");
  return hcurl_start(x->fetcher->curl, &x->transfer, &out, e);
}

struct fetch *fetch_start(struct fetcher *f, const struct fetch_request *rq, fetch_done_fn *done,
                          void *arg, struct err *e)
{
  struct hcurl_options o = {.ca_file = rq->ca_file};
  if (judge_url(rq, &o, e) < 0)
    return NULL;
  struct fetch *x = calloc(1, sizeof *x);
  if (x == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  x->fetcher = f;
  x->deadline.fire = on_deadline;
  x->timeout_ms = rq->timeout_ms > 0 ? rq->timeout_ms : TOTAL_MS;
  x->done = done;
  x->arg = arg;
  reply_init(&x->head);
  buf_init(&x->body, rq->max_reply);
  buf_init(&x->sent, LIMIT_IDP_REPLY);
  o.connect_timeout_ms = x->timeout_ms < CONNECT_MS ? x->timeout_ms : CONNECT_MS;
  if (hcurl_transfer_init(&x->transfer, &o, &events, e) < 0 || start(x, rq, e) < 0) {
    free_fetch(x);
    return NULL;
  }
  link_fetch(x);
  return x;
}

void fetch_cancel(struct fetch *x)
{
  if (x == NULL || !x->transfer.running)
    return; /* in its own done(): freed behind it */
  unlink_fetch(x);
  loop_timer_stop(x->fetcher->loop, &x->deadline);
  x->why = NULL;
  hcurl_stop(&x->transfer);
}

struct fetcher *fetcher_new(struct loop *l, struct err *e)
{
  struct fetcher *f = calloc(1, sizeof *f);
  if (f == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  f->loop = l;
  f->curl = hcurl_new(l, KEPT, e);
  if (f->curl == NULL) {
    free(f);
    return NULL;
  }
  return f;
}

void fetcher_free(struct fetcher *f)
{
  if (f == NULL)
    return;
  while (f->first)
    fetch_cancel(f->first);
  hcurl_free(f->curl);
  free(f);
}
