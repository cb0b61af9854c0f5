/* The exchange with the upstream.  Both directions are rebuilt from allow-lists (rows 42, 45): what
 * is not named here or in the configuration does not pass.  Never retried (row 172). */
#include "hub/hub.h"

#include <string.h>

#include "ops/callers.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

enum { SMALL_REPLY = 32768, DROPPED_MAX = 65536 };

static bool listed(const struct config_words *w, struct str name)
{
  for (size_t i = 0; i < w->n; i++)
    if (str_iis(name, w->v[i]))
      return true;
  return false;
}

static bool mcp_header(struct str name)
{
  return name.n > 4 && str_iis(str_slice(name, 0, 4), "mcp-");
}

/* A field that carries a credential of this service never passes, whatever forward_header says. */
static bool credential_header(const struct config_service *s, struct str name)
{
  static const char *const never[] = {"Authorization", "Proxy-Authorization", "Cookie", "DPoP"};
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
    if (str_iis(name, never[i]))
      return true;
  for (size_t i = 0; i < s->n_accept; i++)
    if (s->accept[i].kind == ACCEPT_HEADER && str_iis(name, s->accept[i].name))
      return true;
  return false;
}

/* What only the hub says. */
static bool identity_header(struct str name)
{
  struct str prefix = STR("X-Mcpauth-");
  return str_ieq(str_slice(name, 0, prefix.n), prefix);
}

static bool request_header(const struct config_service *s, struct str name)
{
  static const char *const always[] = {"Accept",      "Content-Type", "Last-Event-ID",
                                       "traceparent", "tracestate",   "User-Agent"};
  if (credential_header(s, name) || identity_header(name))
    return false;
  for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
    if (str_iis(name, always[i]))
      return true;
  return mcp_header(name) || listed(&s->forward_header, name);
}

/* Upstream requests are ASCII (row 44); a caller whose own words are not is told so. */
bool forward_sendable(const struct exchange *x)
{
  for (size_t i = 0; i < x->rq->n_headers; i++) {
    const struct http_header *h = &x->rq->headers[i];
    if (!str_ascii(h->value) && request_header(x->service->config, h->name))
      return false;
  }
  return true;
}

/* Whether the client's Connection names the field: then it was for this hop only (row 43).  The
 * type of the body is not: the upstream reads the body as what it was judged to be here (row 54).
 */
static bool hop_by_hop(const struct http_request *rq, struct str name)
{
  if (str_iis(name, "Content-Type"))
    return false;
  for (size_t i = 0; i < rq->n_headers; i++) {
    if (!str_iis(rq->headers[i].name, "Connection"))
      continue;
    struct str rest = rq->headers[i].value, word;
    while (str_next(&rest, ',', &word))
      if (str_ieq(str_trim(word), name))
        return true;
  }
  return false;
}

/* What belongs to a session passes only with one that is the caller's own (row 79). */
static bool session_field(struct str name)
{
  return str_iis(name, "Mcp-Session-Id") || str_iis(name, "Last-Event-ID");
}

static struct http_header *request_headers(struct exchange *x, size_t *ret_n)
{
  const struct http_request *rq = x->rq;
  struct http_header *out =
      arena_array(rq->arena, rq->n_headers + 4 + IDENTITY_HEADERS_MOST, sizeof *out);
  size_t n = 0;
  if (out == NULL || identity_headers(x, out, &n) < 0)
    return NULL;
  if (x->service->upstream_auth)
    out[n++] = *x->service->upstream_auth;
  if (x->own_token.p)
    out[n++] = (struct http_header){STR("Authorization"), x->own_token};
  for (size_t i = 0; i < rq->n_headers; i++) {
    struct str name = rq->headers[i].name;
    if (x->service->upstream_auth && str_ieq(name, x->service->upstream_auth->name))
      continue;
    if (request_header(x->service->config, name) && !hop_by_hop(rq, name) && !session_field(name))
      out[n++] = rq->headers[i];
  }
  struct str resume = http_header(rq, "Last-Event-ID");
  if (x->session_id.p) {
    out[n++] = (struct http_header){STR("Mcp-Session-Id"), x->session_id};
    if (resume.p)
      out[n++] = (struct http_header){STR("Last-Event-ID"), resume};
  }
  *ret_n = n;
  return out;
}

/* ---- where to */

/* scheme://authority of the upstream with another path and query behind it. */
static const char *with_path(struct exchange *x, struct str path)
{
  const struct config_upstream *u = &x->service->config->upstream;
  return arena_printf(x->rq->arena, "%s%.*s%.*s", u->parts.https ? "https://" : "http://",
                      STR_ARG(u->parts.authority), STR_ARG(path));
}

static const char *with_query(struct exchange *x, struct str query)
{
  const struct config_upstream *u = &x->service->config->upstream;
  const char *url = x->service->target.url;
  if (query.n == 0)
    return url;
  return arena_printf(x->rq->arena, "%s%c%.*s", url, u->parts.query.p ? '&' : '?', STR_ARG(query));
}

static const char *destination(struct exchange *x)
{
  if (x->session_endpoint.p)
    return with_path(x, x->session_endpoint);
  return with_query(x, credential_forward_query(x->service->config, x->target.query, x->rq->arena));
}

/* ---- the reply */

static bool media_type(struct str value, const char *type)
{
  return str_iis(str_trim(str_slice(value, 0, str_chr(value, ';'))), type);
}

static struct str find(const struct http_header *h, size_t n, const char *name)
{
  for (size_t i = 0; i < n; i++)
    if (str_iis(h[i].name, name))
      return h[i].value;
  return (struct str){NULL, 0};
}

static bool reply_header(const struct config_service *s, struct str name, bool body)
{
  static const char *const never[] = {"Set-Cookie", "WWW-Authenticate", "Connection",
                                      "Transfer-Encoding", "Content-Length"};
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
    if (str_iis(name, never[i]))
      return false;
  if (str_iis(name, "Content-Type"))
    return body;
  return mcp_header(name) || str_iis(name, "Retry-After") || listed(&s->return_header, name);
}

/* Copies what may pass to the request's arena, session ids sealed, with CORS and, for streams,
 * X-Accel-Buffering. */
static int reply_headers(struct exchange *x, const struct http_header *h, size_t n, bool body)
{
  struct arena *a = x->rq->arena;
  struct http_header *out = arena_array(a, n + ORIGIN_HEADERS + 1, sizeof *out);
  size_t k = 0;
  if (out == NULL)
    return -1;
  for (size_t i = 0; i < n; i++) {
    bool session = str_iis(h[i].name, "Mcp-Session-Id");
    if (!reply_header(x->service->config, h[i].name, body) || (session && x->op.era == ERA_MODERN))
      continue;
    out[k] = (struct http_header){arena_str(a, h[i].name), session ? session_header(x, h[i].value)
                                                                   : arena_str(a, h[i].value)};
    if (out[k].name.p == NULL || out[k].value.p == NULL)
      return -1;
    k++;
  }
  if (x->streaming)
    out[k++] = (struct http_header){STR("X-Accel-Buffering"), STR("no")};
  k += origin_headers(x, out + k);
  x->answer_headers = out;
  x->n_answer_headers = k;
  return 0;
}

static void fail(struct exchange *x, int status, const char *why)
{
  x->upstream_error = why;
  metric_add(METRIC_UPSTREAM_ERRORS, 1);
  if (status == 504)
    refuse(x, 504, "upstream_timeout", "The service did not answer in time.");
  else
    refuse(x, 502, "upstream_failed", "The service could not be reached or answered nonsense.");
}

/* What the upstream said about itself instead of the call. */
static const char *unusable(int status)
{
  if (status == 401 || status == 407)
    return "the upstream refused the hub's own credential";
  if (status >= 300 && status < 400)
    return "the upstream redirected; redirects are never followed";
  return status < 200 ? "the upstream sent no final status" : NULL;
}

static void stop_call(struct exchange *x)
{
  if (x->call) {
    upstream_cancel(x->call);
    x->call = NULL;
  }
}

void break_off(struct exchange *x, const char *why)
{
  log_warn("service %s: %s (request %s)", x->service->config->name, why, x->rq->id);
  x->upstream_error = why;
  stop_call(x);
  http_abort(x->rq);
}

/* Small replies are answered whole, when they are whole.  So is one of unknown length that may tell
 * of a task, for as long as it is small. */
static bool held_back(const struct exchange *x, int64_t length)
{
  if (x->streaming || x->dropping)
    return x->dropping;
  return length < 0 ? task_learns(x) : length <= SMALL_REPLY;
}

static void begin_answer(struct exchange *x, int64_t length)
{
  x->begun = true;
  http_stream(x->rq, x->upstream_status, x->answer_headers, x->n_answer_headers,
              x->streaming || x->list ? -1 : length);
}

static void on_head(void *arg, int status, const struct http_header *h, size_t n, int64_t length)
{
  struct exchange *x = arg;
  const char *bad = unusable(status);
  struct str type = find(h, n, "Content-Type");
  x->upstream_status = status;
  x->streaming = media_type(type, "text/event-stream");
  x->dropping = !x->streaming && !media_type(type, "application/json");
  if (bad == NULL && reply_headers(x, h, n, !x->dropping) < 0)
    bad = "the reply's headers are too large";
  if (bad == NULL && !x->dropping && filter_begin(x) < 0)
    bad = "out of memory";
  if (bad) {
    log_warn("service %s: %s (status %d, request %s)", x->service->config->name, bad, status,
             x->rq->id);
    stop_call(x);
    fail(x, 502, bad);
    return;
  }
  if (held_back(x, length)) {
    buf_init(&x->held, SMALL_REPLY);
    return;
  }
  begin_answer(x, length);
  if (x->streaming)
    stream_begin(x);
}

/* Part of a reply in JSON, too long to be held. */
static bool pass(struct exchange *x, struct str bytes)
{
  if (x->list && list_feed(x->list, bytes, &bytes) < 0) {
    break_off(x, x->list->what);
    return true;
  }
  return bytes.n == 0 || http_write(x->rq, bytes);
}

/* Part of a reply that is held back; one that turns out too long for that is passed on. */
static bool hold(struct exchange *x, struct str bytes)
{
  if (x->held.failed || bytes.n <= SMALL_REPLY - x->held.n) {
    buf_str(&x->held, bytes);
    return true;
  }
  begin_answer(x, -1);
  bool room = pass(x, buf_view(&x->held));
  buf_done(&x->held);
  return x->call ? pass(x, bytes) : room;
}

static bool on_data(void *arg, struct str bytes)
{
  struct exchange *x = arg;
  if (x->streaming)
    return stream_bytes(x, bytes);
  if (x->begun)
    return pass(x, bytes);
  if (!x->dropping)
    return hold(x, bytes);
  x->held.n += bytes.n; /* only counted: nothing of it is kept */
  if (x->held.n > DROPPED_MAX) {
    x->held.n = 0;
    stop_call(x);
    http_respond(x->rq, x->upstream_status, x->answer_headers, x->n_answer_headers, STR(""));
  }
  return true;
}

static void answer_whole(struct exchange *x)
{
  struct str reply = filter_whole(x, buf_view(&x->held));
  if (x->held.n && reply.p == NULL) {
    log_warn("service %s: %s (request %s)", x->service->config->name, x->list->what, x->rq->id);
    fail(x, 502, x->list->what);
    return;
  }
  if (task_learns(x))
    task_learn(x, reply);
  http_respond(x->rq, x->upstream_status, x->answer_headers, x->n_answer_headers, reply);
}

static void on_whole(struct exchange *x)
{
  if (x->streaming)
    stream_end(x);
  else if (x->begun && x->list && list_end(x->list) < 0)
    break_off(x, x->list->what);
  else if (x->begun)
    http_end(x->rq);
  else if (x->dropping)
    http_respond(x->rq, x->upstream_status, x->answer_headers, x->n_answer_headers, STR(""));
  else if (x->held.failed)
    fail(x, 502, "the reply is longer than it said");
  else
    answer_whole(x);
}

static void on_done(void *arg, enum upstream_end end, const char *error)
{
  struct exchange *x = arg;
  x->call = NULL;
  if (end == UPSTREAM_COMPLETE) {
    on_whole(x);
    return;
  }
  x->upstream_error = arena_dup(x->rq->arena, str_of(error));
  log_warn("service %s: upstream: %s (request %s)", x->service->config->name, error, x->rq->id);
  if (!x->begun)
    fail(x, end == UPSTREAM_TIMEOUT ? 504 : 502, x->upstream_error);
  else if (end == UPSTREAM_TIMEOUT && x->streaming && sse_at_boundary(&x->sse))
    stream_end(x); /* too old, not broken */
  else
    http_abort(x->rq);
}

static void start_call(struct exchange *x)
{
  static const struct upstream_events events = {on_head, on_data, on_done};
  const struct config_service *s = x->service->config;
  size_t n = 0;
  struct err e = {""};
  const char *url = destination(x);
  struct http_header *headers = request_headers(x, &n);
  struct upstream_request rq = {
      .target = &x->service->target,
      .url = url,
      .method = x->rq->method,
      .headers = headers,
      .n_headers = n,
      .body = buf_view(&x->rq->body),
      .stands_open = x->op.standing,
      .total_timeout_ms = x->op.standing ? s->stream_max_age_ms : s->call_limit_ms,
  };
  metric_add(METRIC_UPSTREAM_CALLS, 1);
  x->asked = x->session_endpoint.p && x->gate.kind == GATE_REQUEST;
  if (x->asked)
    caller_session_asked(x->hub->shm, x->session);
  x->call = headers && url ? upstream_start(x->hub->pool, &rq, &events, x, &e) : NULL;
  if (x->call == NULL) {
    log_warn("service %s: upstream: %s (request %s)", s->name, e.text, x->rq->id);
    fail(x, 502, arena_dup(x->rq->arena, str_of(e.text)));
  }
}

/* ---- the caller's own token (upstream_auth user_token) */

static void token_missing(struct exchange *x, enum user_token_result result, const char *why)
{
  x->upstream_error = arena_dup(x->rq->arena, str_of(why));
  if (result == USER_TOKEN_UNAVAILABLE)
    refuse(x, 503, "temporarily_unavailable", "Your identity provider cannot be asked now.");
  else
    refuse(x, 403, "login_required",
           "This service acts for you at your identity provider: log in through it again.");
}

static void on_token(void *arg, enum user_token_result result, struct str token, const char *why)
{
  struct exchange *x = arg;
  x->user_token = NULL;
  if (result != USER_TOKEN_OK) {
    log_warn("service %s: no token of the caller's own: %s (request %s)", x->service->config->name,
             why, x->rq->id);
    token_missing(x, result, why);
    return;
  }
  arena_wipes(x->rq->arena);
  x->own_token = str_of(arena_printf(x->rq->arena, "Bearer %.*s", STR_ARG(token)));
  if (x->own_token.p)
    start_call(x);
  else
    fail(x, 502, "out of memory");
}

/* Whoever came in another way than through this provider has no token of it. */
static void fetch_token(struct exchange *x, const struct config_provider *provider)
{
  struct principal *who = x->grant ? grant_principal(x->grant) : NULL;
  if (who == NULL || who->provider != provider || x->hub->oauth == NULL) {
    token_missing(x, USER_TOKEN_NONE, "the caller did not come in through this provider");
    return;
  }
  const struct user_token_request rq = {.provider = provider,
                                        .service = x->service->config,
                                        .who = who,
                                        .request_id = x->rq->id,
                                        .address = x->client,
                                        .tls = x->rq->tls};
  x->user_token = user_token_start(x->hub->oauth, &rq, on_token, x);
  if (x->user_token == NULL)
    token_missing(x, USER_TOKEN_UNAVAILABLE, "the store is busy");
}

void forward(struct exchange *x)
{
  const struct config_upstream *u = &x->service->config->upstream;
  if (u->auth == UPSTREAM_AUTH_USER_TOKEN)
    fetch_token(x, u->auth_provider);
  else
    start_call(x);
}

void forward_drained(struct exchange *x)
{
  if (x->call)
    upstream_resume(x->call);
}

void forward_stop(struct exchange *x)
{
  stop_call(x);
  if (x->streaming && x->begun)
    stream_end(x);
}
