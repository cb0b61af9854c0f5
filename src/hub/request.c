/* The way of one request; see hub.h.  One function a step, in the order of design section 8. */
#include "hub/hub.h"

#include <stdio.h>
#include <string.h>

#include "ops/callers.h"
#include "http/address.h"
#include "http/client_cert.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"
#include "util/clock.h"

/* ---- step 8: the record is written, forward */

static void on_written(struct audit_ticket *t, bool ok)
{
  struct exchange *x = container_of(t, struct exchange, ticket);
  x->ticket_waiting = false;
  if (ok)
    forward(x);
  else
    refuse(x, 503, "audit_unavailable", "The request could not be recorded and was not forwarded.");
}

void record_and_forward(struct exchange *x)
{
  x->ticket = (struct audit_ticket){.written = on_written};
  const char *decision = x->anonymous ? "anonymous" : "grant";
  if (record_decision(x, x->anonymous ? NULL : &x->outcome, decision, 200, NULL, true) < 0)
    refuse(x, 503, "audit_unavailable", "The request could not be recorded and was not forwarded.");
}

/* ---- steps 5 to 7: the stack has answered */

static void refuse_outcome(struct exchange *x, const struct auth_outcome *o)
{
  switch (o->status) {
  case 403:
    refuse(x, 403, "access_denied", "This caller may not use this service.");
    return;
  case 503:
    refuse(x, 503, "temporarily_unavailable",
           "Who is calling cannot be decided now; the credential was not judged.");
    return;
  case 401:
    refuse_unauthorized(x, x->has_credential, o->why);
    return;
  default:
    refuse(x, 500, "server_error", "A provider of this service failed.");
  }
}

/* Whether somebody was recognised and refused: such decisions are never only counted. */
static bool recognised(const struct auth_outcome *o)
{
  for (size_t i = 0; i < o->n_trace; i++)
    if (o->trace[i].result == MCPAUTH_DENY || o->trace[i].result == MCPAUTH_OK)
      return true;
  return false;
}

/* Only a POST has a body that anybody judges. */
static void want_body(struct exchange *x)
{
  size_t most = x->service->config->max_body;
  if (x->anonymous && !x->service->config->anonymous && most > LIMIT_ANONYMOUS_BODY)
    most = LIMIT_ANONYMOUS_BODY;
  x->awaits_body = true;
  http_read_body(x->rq, str_is(x->rq->method, "POST") ? most : 0);
}

/* Takes what the stack said; false: refused. */
static bool granted(struct exchange *x, const struct auth_outcome *o)
{
  x->auth = NULL;
  x->outcome = *o;
  x->outcome.who = NULL;
  x->grant = o->grant;
  if (o->verdict == VERDICT_GRANT && x->grant) {
    ends_granted(x);
    return true;
  }
  metric_add(o->verdict == VERDICT_UNAVAILABLE ? METRIC_UNAVAILABLE : METRIC_DENIED, 1);
  limit_failed(x, o);
  const char *decision = o->verdict == VERDICT_UNAVAILABLE ? "unavailable" : "deny";
  if (!recognised(o) || record_decision(x, o, decision, o->status, "stack", false) < 0)
    record_refused(x, o, o->status, x->has_credential ? "stack" : "no credential");
  refuse_outcome(x, o);
  return false;
}

static void on_auth(void *arg, const struct auth_outcome *o)
{
  struct exchange *x = arg;
  if (!granted(x, o))
    return;
  metric_add(METRIC_GRANTED, 1);
  if (limit_caller(x))
    want_body(x);
}

static void judge(struct exchange *x)
{
  if (understand(x))
    decide(x);
}

static void on_auth_again(void *arg, const struct auth_outcome *o)
{
  struct exchange *x = arg;
  if (granted(x, o))
    judge(x);
}

/* Of the connection, or what a trusted proxy says of its own: then the connection's is the proxy's,
 * and nobody's who calls through it.  A header of anybody else is nothing. */
static const struct mcpauth_certificate *client_certificate(const struct exchange *x,
                                                            struct arena *arena)
{
  const char *header = x->hub->config->client_certificate_header;
  struct str der = http_client_certificate(x->rq);
  bool passed_on = header && networks_have(&x->hub->proxies, (const struct sockaddr *)&x->rq->peer);
  if (!passed_on)
    return der.n ? client_cert_parse(der, arena) : NULL;
  if (http_header_count(x->rq, header) != 1)
    return NULL;
  return client_cert_header(http_header(x->rq, header), arena);
}

void auth_request_of(struct exchange *x, struct arena *arena, struct auth_request *ret)
{
  const struct config_service *s = x->service->config;
  *ret = (struct auth_request){
      .service = s,
      .credential = x->has_credential ? &x->credential : NULL,
      .digest = x->has_digest ? x->digest : NULL,
      .facts = {.request_id = x->rq->id,
                .service = s->name,
                .resource = s->resource,
                .address = x->client,
                .method = arena_dup(arena, x->rq->method),
                .tls = x->rq->tls,
                .certificate = client_certificate(x, arena)},
      .arena = arena,
  };
}

static void authenticate(struct exchange *x, auth_done_fn *done)
{
  struct auth_request rq;
  auth_request_of(x, x->rq->arena, &rq);
  ends_before_auth(x);
  struct auth_run *run = auth_start(x->hub->auth, &rq, done, x);
  if (run)
    x->auth = run;
}

/* ---- steps 1 to 3: headers */

/* application/json, in UTF-8: nothing else can be judged by anybody behind (row 54). */
static bool json_content(const struct http_request *rq)
{
  struct str value = http_header(rq, "Content-Type"), rest = value, part;
  if (value.p == NULL || !str_next(&rest, ';', &part) ||
      !str_iis(str_trim(part), "application/json"))
    return false;
  while (str_next(&rest, ';', &part)) {
    part = str_trim(part);
    if (!str_iis(part, "charset=utf-8") && !str_iis(part, "charset=\"utf-8\""))
      return false;
  }
  return true;
}

static void refuse_early(struct exchange *x, int status, const char *error, const char *why)
{
  record_refused(x, NULL, status, why);
  refuse(x, status, error, why);
}

/* Method, type, size and bytes: what needs no credential to be wrong.  false: refused. */
static bool acceptable(struct exchange *x)
{
  const struct http_request *rq = x->rq;
  bool post = str_is(rq->method, "POST");
  if (!post && !str_is(rq->method, "GET") && !str_is(rq->method, "DELETE"))
    refuse_early(x, 405, "method_not_allowed", "Services answer GET, POST and DELETE.");
  else if (post && !json_content(rq))
    refuse_early(x, 415, "unsupported_media_type", "The body must be application/json in UTF-8.");
  else if (rq->content_length > (int64_t)x->service->config->max_body)
    refuse_early(x, 413, "content_too_large", "The body is larger than this service takes.");
  else if (!forward_sendable(x))
    refuse_early(x, 400, "invalid_request",
                 "A header field that the service would be sent has bytes that are not ASCII.");
  else
    return true;
  return false;
}

/* Whether a request without a credential is looked at: only the body says what it asks. */
static void take_credential(struct exchange *x, enum credential_status status)
{
  const struct config_service *s = x->service->config;
  bool post = str_is(x->rq->method, "POST");
  if (status == CREDENTIAL_FOUND) {
    x->has_credential = true;
    struct str value = {x->credential.value.p, x->credential.value.n};
    x->has_digest = sha256(value, x->digest) == 0;
    digest_fingerprint(x->digest, x->fingerprint);
  }
  x->anonymous = status == CREDENTIAL_NONE && (s->anonymous || (s->anonymous_methods.n && post));
}

static void start_service(struct exchange *x)
{
  enum credential_status status =
      credential_find(x->service->config, x->rq->headers, x->rq->n_headers, x->target.query,
                      x->rq->arena, &x->credential);
  switch (status) {
  case CREDENTIAL_SEVERAL:
    refuse_early(x, 400, "invalid_request", "The request carries more than one credential.");
    return;
  case CREDENTIAL_MALFORMED:
    refuse_early(x, 400, "invalid_request", "The credential is malformed.");
    return;
  case CREDENTIAL_FOREIGN:
    record_refused(x, NULL, 401, "a kind of credential that the service does not take");
    refuse_foreign(x);
    return;
  case CREDENTIAL_NONE:
  case CREDENTIAL_FOUND:
    break;
  }
  take_credential(x, status);
  if (x->anonymous)
    want_body(x);
  else if (limit_guessing(x))
    authenticate(x, on_auth);
}

static void preflight(struct exchange *x)
{
  struct http_header *headers = arena_array(x->rq->arena, PREFLIGHT_HEADERS, sizeof *headers);
  if (headers == NULL)
    refuse(x, 503, "temporarily_unavailable", "Out of memory.");
  else
    answer(x, 204, headers, origin_preflight(x, headers), STR(""));
}

static void service(struct exchange *x)
{
  if (!origin_allowed(x)) {
    refuse_early(x, 403, "forbidden_origin", "This origin may not talk to this service.");
    return;
  }
  if (str_is(x->rq->method, "OPTIONS"))
    preflight(x);
  else if (acceptable(x) && limit_address(x))
    start_service(x);
}

void answer(struct exchange *x, int status, const struct http_header *headers, size_t n,
            struct str body)
{
  x->answer_status = status;
  x->answer_headers = headers;
  x->n_answer_headers = n;
  x->answer_body = body;
  http_read_body(x->rq, 0);
}

/* Public documents: GET by anybody from anywhere, cached for a while. */
static void document(struct exchange *x, const struct resource_document *d)
{
  static const struct http_header headers[] = {
      {STR_INIT("Content-Type"), STR_INIT("application/json")},
      {STR_INIT("Access-Control-Allow-Origin"), STR_INIT("*")},
      {STR_INIT("Cache-Control"), STR_INIT("public, max-age=300")},
      {STR_INIT("Access-Control-Allow-Methods"), STR_INIT("GET")},
      {STR_INIT("Access-Control-Allow-Headers"), STR_INIT("MCP-Protocol-Version, Content-Type")},
  };
  if (str_is(x->rq->method, "OPTIONS"))
    answer(x, 204, headers + 1, 4, STR(""));
  else if (str_is(x->rq->method, "GET"))
    answer(x, 200, headers, 3, d->json);
  else
    refuse(x, 405, "method_not_allowed", "Documents are read with GET.");
}

/* Alive, or ready to serve: no detail for whoever asks. */
static void health(struct exchange *x, bool well)
{
  static const struct http_header text = {STR_INIT("Content-Type"), STR_INIT("text/plain")};
  if (!str_is(x->rq->method, "GET"))
    refuse(x, 405, "method_not_allowed", "Health is read with GET.");
  else
    answer(x, well ? 200 : 503, &text, 1, well ? STR("ok\n") : STR("not ready\n"));
}

static void on_headers(void *self, struct http_request *rq)
{
  struct exchange *x = arena_new_of(rq->arena, struct exchange);
  const struct resource_document *d;
  if (x == NULL) {
    http_abort(rq);
    return;
  }
  x->hub = self;
  x->rq = rq;
  rq->user = x;
  client_address(rq, &x->hub->proxies, x->client, sizeof x->client);
  if (target_parse(rq->raw_target, &x->target) != TARGET_OK) {
    refuse_early(x, 400, "invalid_request", "The request target is malformed.");
    return;
  }
  switch (route_find(x, &d)) {
  case ROUTE_SERVICE:
    service(x);
    return;
  case ROUTE_HEALTH:
    health(x, true);
    return;
  case ROUTE_READY:
    health(x, x->hub->state_writable && audit_healthy(x->hub->audit) &&
                  shm_total(x->hub->shm, METRIC_STORE_FAILING) == 0);
    return;
  case ROUTE_DOCUMENT:
    document(x, d);
    return;
  case ROUTE_OAUTH:
    x->oauth = oauth_headers(x->hub->oauth, rq, &x->target, x->client);
    return;
  case ROUTE_MISDIRECTED:
    refuse_early(x, 421, "misdirected_request", "This host is not served here.");
    return;
  case ROUTE_NOT_FOUND:
    refuse_early(x, 404, "not_found", "There is no such service or document.");
    return;
  }
}

/* ---- step 6: the body is there */

/* A body may take a minute.  Was anybody revoked since its head was there, then the caller is
 * looked at again: it may have been her (row 187). */
static void ask_again(struct exchange *x)
{
  grant_free(steal_ptr(&x->grant));
  authenticate(x, on_auth_again);
}

static void on_body(void *self, struct http_request *rq)
{
  struct exchange *x = rq->user;
  (void)self;
  x->awaits_body = false;
  metric_add(METRIC_BYTES_IN, rq->body.n);
  if (x->oauth)
    oauth_body(x->oauth);
  else if (x->answer_status)
    http_respond(rq, x->answer_status, x->answer_headers, x->n_answer_headers, x->answer_body);
  else if (x->grant && ends_outdated(x))
    ask_again(x);
  else if (x->grant || x->anonymous)
    judge(x);
  else
    refuse(x, 500, "server_error", "The request has no grant.");
}

static void on_drained(void *self, struct http_request *rq)
{
  (void)self;
  forward_drained(rq->user);
}

/* ---- the end */

/* The body was too large, malformed, too slow, or never came: the server has answered. */
static void record_without_body(struct exchange *x)
{
  int status = x->rq->status;
  if (x->grant == NULL) {
    if (status >= 400)
      record_refused(x, NULL, status, "the body was not taken");
  } else if (record_decision(x, &x->outcome, "grant", status, "the body was not taken", false) <
             0) {
    log_error("request %s: ended before its body was there, but not recorded", x->rq->id);
  }
}

static void on_finished(void *self, struct http_request *rq)
{
  struct exchange *x = rq->user;
  (void)self;
  if (x == NULL)
    return;
  oauth_finished(x->oauth);
  if (x->auth)
    auth_cancel(x->auth);
  if (x->ticket_waiting)
    audit_forget(x->hub->audit, &x->ticket);
  user_token_cancel(x->user_token);
  if (x->call)
    upstream_cancel(x->call);
  if (x->streaming && x->begun)
    stream_forget(x);
  buf_done(&x->held);
  filter_done(x);
  if (x->awaits_body)
    record_without_body(x);
  if (x->recorded)
    record_done(x);
  metric_add(METRIC_BYTES_OUT, rq->bytes_out);
  if (rq->status >= 200 && rq->status < 600)
    metric_add(METRIC_ANSWERS_2XX + (enum metric)(rq->status / 100 - 2), 1);
  if (x->asked && (x->upstream_status < 200 || x->upstream_status >= 300))
    caller_session_answered(x->hub->shm, x->session); /* it was not taken: no reply will come */
  limit_closed(x);
  grant_free(x->grant);
  rq->user = NULL;
}

/* Admission refused it: there is no exchange, but there is a record. */
static void on_refused(void *self, struct http_request *rq, int status, const char *why)
{
  struct exchange x = {.hub = self, .rq = rq};
  if (target_parse(rq->raw_target, &x.target) != TARGET_OK)
    x.target.path = STR("");
  snprintf(x.client, sizeof x.client, "%s", rq->peer_address);
  record_refused(&x, NULL, status, why);
  metric_add(METRIC_ADMISSION_REFUSED, 1);
}

const struct http_handler hub_handler = {
    .headers = on_headers,
    .body = on_body,
    .drained = on_drained,
    .finished = on_finished,
    .refused = on_refused,
};
