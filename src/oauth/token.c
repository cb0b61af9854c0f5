/* /token; see token.h. */
#include "oauth/token.h"

#include "oauth/json_text.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

static const struct token_grant *const grants[] = {&token_code, &token_refresh, &token_client,
                                                   &token_assertion};

/* ---- refusals */

static void record_refusal(struct token_run *r, int status, const char *why)
{
  struct buf b;
  exchange_record_begin(r->x, &b);
  record_member(&b, "grant_type", str_of(r->grant ? r->grant->name : ""));
  if (r->client)
    record_member(&b, "client", str_of(r->client->id));
  buf_printf(&b, ",\"status\":%d", status);
  record_member(&b, "why", str_of(why));
  if (!b.failed)
    audit_refused(r->x->oauth->o.audit, r->x->rq->id, buf_view(&b));
  buf_done(&b);
}

void token_refuse(struct token_run *r, int status, const char *error, const char *description,
                  const char *why)
{
  r->own = NULL;
  metric_add(status == 503 ? METRIC_TOKENS_UNDECIDED : METRIC_TOKENS_REFUSED, 1);
  exchange_waited(r->x);
  record_refusal(r, status, why);
  exchange_error(r->x, status, error, description);
}

void token_unavailable(struct token_run *r, const char *why)
{
  token_refuse(r, 503, "temporarily_unavailable", "This cannot be decided now. Try again soon.",
               why);
}

void token_invalid_grant(struct token_run *r, const char *why)
{
  token_refuse(r, 400, "invalid_grant", "This code or token is not valid, or not any more.", why);
}

void token_record_replay(struct oauth *o, struct str request_id, struct str address,
                         const struct store_grant *g)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, LIMIT_AUDIT_RECORD);
  buf_puts(&b, "\"endpoint\":\"token\"");
  record_member(&b, "address", address);
  record_member(&b, "what", STR("code"));
  record_member(&b, "grant", g->id);
  record_member(&b, "client", g->client);
  record_member(&b, "issuer", g->issuer);
  record_member(&b, "subject", g->subject);
  record_member(&b, "service", g->service);
  if (b.failed || audit_put(o->o.audit, "grant_replayed", request_id.p, buf_view(&b), NULL) < 0)
    log_error("the end of grant %.*s could not be recorded", STR_ARG(g->id));
  metric_add(METRIC_GRANTS_REPLAYED, 1);
  if (o->o.shm)
    shm_revoke(o->o.shm, g->issuer, g->subject);
}

/* ---- success */

static int put_body(struct buf *b, const struct token_success *s)
{
  members_begin(b);
  member_text(b, "access_token", s->access.token);
  member_text(b, "token_type", STR("Bearer"));
  member_number(b, "expires_in", s->access.expires_in);
  if (s->refresh.n)
    member_text(b, "refresh_token", s->refresh);
  member_text(b, "scope", s->scope);
  return members_end(b);
}

static int put_record(struct token_run *r, const struct token_success *s, struct buf *b)
{
  exchange_record_begin(r->x, b);
  record_member(b, "grant_type", str_of(r->grant->name));
  record_member(b, "client", str_of(r->client->id));
  record_member(b, "service", str_of(s->service->name));
  record_member(b, "provider", s->provider);
  record_member(b, "issuer", s->issuer);
  record_member(b, "subject", s->subject);
  record_member(b, "scope", s->scope);
  record_member(b, "jti", s->access.jti);
  if (s->grant.n)
    record_member(b, "grant", s->grant);
  return b->failed ? -1 : 0;
}

static void written(struct audit_ticket *t, bool ok)
{
  struct token_run *r = container_of(t, struct token_run, ticket);
  r->recording = false;
  exchange_waited(r->x);
  metric_add(ok ? METRIC_TOKENS_ISSUED : METRIC_TOKENS_UNDECIDED, 1);
  if (ok)
    exchange_json(r->x, 200, r->body);
  else
    exchange_error(r->x, 503, "temporarily_unavailable", "The audit log cannot be written.");
}

static void cancel(void *run);

void token_answer(struct token_run *r, const struct token_success *s)
{
  CLEANUP(buf_wipe) struct buf body, record;
  buf_init(&body, KIB(64));
  bool bad = put_record(r, s, &record) < 0;
  bad = put_body(&body, s) < 0 || bad;
  r->body = arena_str(r->x->rq->arena, buf_view(&body));
  r->own = NULL;
  r->ticket.written = written;
  exchange_wait(r->x, cancel, r);
  if (bad || r->body.p == NULL ||
      audit_put(r->x->oauth->o.audit, "token", r->x->rq->id, buf_view(&record), &r->ticket) < 0)
    token_unavailable(r, "the audit log cannot be written");
  else
    r->recording = true;
}

/* ---- services */

static bool may_use(const struct token_run *r, const struct config_service *s)
{
  return config_client_serves(client_impl(r->client)->configured, s);
}

const struct config_service *token_service(const struct token_run *r, struct str name)
{
  const struct config_service *s = config_find_service(r->x->oauth->o.config, name);
  return s && may_use(r, s) ? s : NULL;
}

bool token_resource_is(const struct token_run *r, const struct config_service *s)
{
  struct str resource = params_get(&r->params, "resource");
  return resource.p == NULL || resource_is(resource, s);
}

/* Without the parameter: the only one that the client may use, or the administrator's choice. */
static const struct config_service *implied(const struct token_run *r)
{
  const struct config *c = r->x->oauth->o.config;
  const struct config_service *only = NULL;
  if (c->oauth.default_service)
    return may_use(r, c->oauth.default_service) ? c->oauth.default_service : NULL;
  for (size_t i = 0; i < c->n_services; i++) {
    if (!may_use(r, &c->services[i]))
      continue;
    if (only)
      return NULL;
    only = &c->services[i];
  }
  return only;
}

const struct config_service *token_resource(const struct token_run *r)
{
  const struct config *c = r->x->oauth->o.config;
  struct str resource = params_get(&r->params, "resource");
  if (resource.p == NULL)
    return implied(r);
  for (size_t i = 0; i < c->n_services; i++)
    if (resource_is(resource, &c->services[i]))
      return may_use(r, &c->services[i]) ? &c->services[i] : NULL;
  return NULL;
}

/* ---- the request */

static void cancel(void *run)
{
  struct token_run *r = run;
  client_auth_cancel(r->proof);
  if (r->recording)
    audit_forget(r->x->oauth->o.audit, &r->ticket);
  else if (r->grant && r->grant->cancel)
    r->grant->cancel(r);
  else if (r->task)
    store_cancel(r->task);
}

static void proved(void *arg, const struct client_verdict *v)
{
  struct token_run *r = arg;
  r->proof = NULL;
  r->client = v->client;
  if (v->error)
    token_refuse(r, v->status, v->error, v->description, v->description);
  else if (!(client_impl(v->client)->grants & r->grant->grant))
    token_refuse(r, 400, "unauthorized_client", "This client may not use this grant type.",
                 "grant type");
  else
    r->grant->run(r);
}

static const struct token_grant *find_grant(struct str name)
{
  for (size_t i = 0; i < ARRAY_SIZE(grants); i++)
    if (str_is(name, grants[i]->name))
      return grants[i];
  return NULL;
}

static void run(struct oauth_exchange *x)
{
  static const char *const once[] = {"grant_type",    "code",  "redirect_uri", "code_verifier",
                                     "refresh_token", "scope", "assertion",    NULL};
  struct token_run *r = arena_new_of(x->rq->arena, struct token_run);
  if (r == NULL) {
    exchange_error(x, 503, "temporarily_unavailable", "Out of memory.");
    return;
  }
  r->x = x;
  exchange_wait(x, cancel, r);
  /* Nothing could be handed out, and codes, refresh tokens and assertions would be used up: who
   * comes back with one when the log works again would be taken for a thief. */
  if (!audit_healthy(x->oauth->o.audit)) {
    token_unavailable(r, "the audit log cannot be written");
    return;
  }
  if (exchange_params(x, &r->params) < 0 || params_twice(&r->params, once)) {
    token_refuse(r, 400, "invalid_request", "The body is malformed, or a parameter stands twice.",
                 "parameters");
    return;
  }
  if (params_count(&r->params, "resource") > 1) {
    token_refuse(r, 400, "invalid_target", "One resource a token.", "resource");
    return;
  }
  struct str name = params_get(&r->params, "grant_type");
  r->grant = find_grant(name);
  if (r->grant == NULL) {
    token_refuse(r, 400, name.p ? "unsupported_grant_type" : "invalid_request",
                 name.p ? "This grant type is not known here." : "The grant_type is missing.",
                 "grant type");
    return;
  }
  r->proof = client_authenticate(x, &r->params, proved, r);
}

const struct endpoint endpoint_token = {
    .name = "token",
    .path = "/token",
    .match = MATCH_EXACT,
    .post = true,
    .open = true,
    .max_body = LIMIT_FORM,
    .run = run,
};
