/* grant_type jwt-bearer (RFC 7523) for assertions of an enterprise's identity provider (ID-JAG, MCP
 * enterprise-managed authorization): the administrator trusts the issuer (`assertion_issuer`), the
 * assertion names this hub, this client and one of our services, and is used once.  The token
 * satisfies the line that the administrator has named; there is no refresh token. */
#include <string.h>

#include "auth/hub_token.h"
#include "auth/jwt.h"
#include "auth/keyset.h"
#include "oauth/scopes.h"
#include "oauth/token.h"
#include "oauth/token_text.h"
#include "util/json.h"

enum { LEEWAY_MS = 30 * 1000, LIFETIME_MS = 3600 * 1000 };

struct assertion {
  struct work work; /* its arena holds this */
  struct token_run *run;
  const struct config_assertion_issuer *issuer;
  struct keyset_wait *keys;
  const struct config_service *service;
  struct store_grant grant;
  struct str mark;
  int64_t lifetime_s;
  struct issued access;
};

/* ---- key sets, a worker's */

int assertions_init(struct oauth *o, struct err *e)
{
  const struct config_oauth *c = &o->o.config->oauth;
  const struct keyset_env env = {
      .loop = o->o.loop,
      .fetcher = o->o.fetcher,
      .shm = o->o.shm,
      .lane = c->n_assertion_issuers ? lane_new(o->o.jobs, "assertion keys") : NULL,
      .state_dir = o->o.config->state_dir,
  };
  o->assertion_keys = arena_array(o->arena, c->n_assertion_issuers + 1, sizeof(struct keyset *));
  if (o->assertion_keys == NULL)
    return err_set(e, "out of memory");
  for (size_t i = 0; i < c->n_assertion_issuers; i++) {
    const struct config_assertion_issuer *from = &c->assertion_issuers[i];
    const struct keyset_source source = {
        .jwks_uri = from->jwks_uri,
        .issuer = from->jwks_uri ? NULL : from->issuer,
        .ca_file = o->o.config->ca_file,
        .egress_proxy = o->o.config->egress_proxy,
    };
    o->assertion_keys[i] = keyset_open(&env, from->issuer, &source, e);
    if (o->assertion_keys[i] == NULL)
      return -1;
  }
  return 0;
}

void assertions_free(struct oauth *o)
{
  for (size_t i = 0; o->assertion_keys && i < o->o.config->oauth.n_assertion_issuers; i++)
    keyset_free(o->assertion_keys[i]);
  o->assertion_keys = NULL;
}

/* ---- the store */

static int keep(void *arg, struct store_db *db)
{
  struct assertion *a = arg;
  int64_t until = store_time(db) + (LIFETIME_MS + 2 * LEEWAY_MS) / 1000;
  enum store_result result = store_mark(db, "id_jag", a->mark, until);
  if (result != STORE_OK)
    return work_end(&a->work, result);
  a->grant.expires_at = store_time(db) + a->lifetime_s;
  const struct store_grant *g = &a->grant;
  result = store_grant_add(db, g);
  if (result == STORE_OK && issue_of_grant(a->work.oauth, a->service, g, g->scopes, g->principal,
                                           a->work.arena, &a->access) < 0)
    result = STORE_FAILED;
  return work_end(&a->work, result);
}

static void kept(void *arg, bool stored)
{
  struct assertion *a = arg;
  struct token_run *r = a->run;
  const struct store_grant *g = &a->grant;
  r->task = NULL;
  if (!stored || a->work.result == STORE_FULL)
    token_unavailable(r, "the store cannot be written");
  else if (a->work.result != STORE_OK)
    token_invalid_grant(r, "the assertion was used before");
  else
    token_answer(r, &(struct token_success){.access = a->access,
                                            .scope = g->scopes,
                                            .service = a->service,
                                            .provider = g->provider,
                                            .issuer = g->issuer,
                                            .subject = g->subject,
                                            .grant = g->id});
}

/* ---- what the assertion says */

/* What is about the person and not about the assertion. */
static struct str person_claims(const json_t *claims, struct arena *a)
{
  static const char *const protocol[] = {"iss", "aud", "exp",       "nbf",      "iat",
                                         "jti", "sub", "client_id", "resource", "scope"};
  json_t *copy = json_copy((json_t *)(uintptr_t)claims);
  for (size_t i = 0; copy && i < ARRAY_SIZE(protocol); i++)
    json_object_del(copy, protocol[i]);
  char *text = copy ? json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
  struct str s = text ? arena_str(a, str_of(text)) : (struct str){NULL, 0};
  free(text);
  json_decref(copy);
  return s;
}

/* The service that assertion and request agree on; NULL. */
static const struct config_service *service_of(struct token_run *r, const json_t *claims)
{
  struct str named = json_str(claims, "resource");
  if (json_object_get(claims, "resource") == NULL)
    return token_resource(r);
  const struct config *c = r->x->oauth->o.config;
  for (size_t i = 0; named.p && i < c->n_services; i++)
    if (resource_is(named, &c->services[i]))
      return token_resource_is(r, &c->services[i]) ? token_service(r, str_of(c->services[i].name))
                                                   : NULL;
  return NULL;
}

/* Of what was asked for, what the assertion allows and the person may have. */
static int choose_scopes(struct assertion *a, const json_t *claims)
{
  struct token_run *r = a->run;
  struct arena *arena = a->work.arena;
  const struct config *c = r->x->oauth->o.config;
  struct str allowed = json_str(claims, "scope");
  struct scope_set asked, bound;
  const struct hub_person of = {.issuer = a->grant.issuer,
                                .subject = a->grant.subject,
                                .client = a->grant.client,
                                .scope = STR(""),
                                .claims = a->grant.principal};
  struct principal *who = hub_principal(a->issuer->provider, &of, NULL);
  int rc = who ? scopes_granted(c, a->service, &r->client->scopes, params_get(&r->params, "scope"),
                                who, r->x->address, arena, &asked)
               : -1;
  if (rc == 0 && allowed.p &&
      (scopes_parse(c, allowed, arena, &bound) < 0 ||
       scopes_both(&asked, &bound, arena, &asked) < 0))
    rc = -1;
  if (rc == 0)
    a->grant.scopes = scopes_text(&asked, arena);
  principal_unref(who);
  return rc == 0 && a->grant.scopes.p ? 0 : -1;
}

static int fill(struct assertion *a, const json_t *claims)
{
  struct token_run *r = a->run;
  struct work *w = &a->work;
  struct str jti = json_str(claims, "jti");
  a->grant.id = grant_id(w->arena);
  a->grant.issuer = work_str(w, str_of(a->issuer->issuer));
  a->grant.subject = work_str(w, json_str(claims, "sub"));
  a->grant.provider = work_str(w, str_of(a->issuer->provider->name));
  a->grant.client = work_str(w, str_of(r->client->id));
  a->grant.client_name = work_str(w, str_of(r->client->name));
  a->grant.service = work_str(w, str_of(a->service->name));
  a->grant.principal = person_claims(claims, w->arena);
  a->mark = str_of(arena_printf(w->arena, "%s\n%.*s", a->issuer->issuer, STR_ARG(jti)));
  a->lifetime_s = r->x->oauth->o.config->oauth.access_token_lifetime_ms / 1000;
  return a->grant.id.p && a->grant.issuer.p && a->grant.subject.p && a->grant.provider.p &&
                 a->grant.client.p && a->grant.client_name.p && a->grant.service.p &&
                 a->grant.principal.p && a->mark.p
             ? choose_scopes(a, claims)
             : -1;
}

/* true: on its way. */
static bool go_on(struct assertion *a, const json_t *claims)
{
  struct token_run *r = a->run;
  struct str jti = json_str(claims, "jti");
  if (!str_is(json_str(claims, "client_id"), r->client->id))
    token_invalid_grant(r, "the assertion is for another client");
  else if (jti.n == 0 || jti.n > LIMIT_CLIENT)
    token_invalid_grant(r, "the assertion has no jti");
  else if (json_object_get(claims, "scope") && json_str(claims, "scope").p == NULL)
    token_invalid_grant(r, "the scope of the assertion is no text");
  else if ((a->service = service_of(r, claims)) == NULL ||
           !config_find_line(a->service, str_of(a->issuer->provider->name)))
    token_invalid_grant(r, "the assertion is for no service that it could open");
  else if (fill(a, claims) < 0)
    token_unavailable(r, "out of memory");
  else if ((r->task = store_submit(r->x->oauth->o.store, STORE_WRITE, keep, kept, work_free, a)))
    return true;
  else
    token_unavailable(r, "the store is busy");
  return false;
}

static void verified(void *arg, const struct keyset_answer *answer)
{
  struct assertion *a = arg;
  struct token_run *r = a->run;
  a->keys = NULL;
  r->own = NULL;
  bool on_its_way = false;
  if (answer->result == MCPAUTH_OK)
    on_its_way = go_on(a, answer->claims);
  else if (answer->result == MCPAUTH_UNAVAIL)
    token_unavailable(r, answer->reason);
  else
    token_invalid_grant(r, "the assertion is not good");
  if (!on_its_way)
    work_free(a);
}

/* ---- the request */

static void cancel(struct token_run *r)
{
  struct assertion *a = r->own;
  if (a) {
    keyset_cancel(a->keys);
    work_free(a);
  } else if (r->task)
    store_cancel(r->task);
}

static size_t find_issuer(const struct oauth *o, struct str assertion)
{
  char issuer[LIMIT_ISSUER + 1];
  const struct config_oauth *c = &o->o.config->oauth;
  size_t i = 0;
  if (jwt_issuer(assertion, issuer, sizeof issuer) < 0)
    return c->n_assertion_issuers;
  while (i < c->n_assertion_issuers && strcmp(c->assertion_issuers[i].issuer, issuer) != 0)
    i++;
  return i;
}

static void verify(struct assertion *a, struct keyset *keys, struct str text)
{
  const char *issuers[] = {a->issuer->issuer}, *audiences[] = {a->work.oauth->issuer};
  static const char *const types[] = {"oauth-id-jag+jwt"};
  const struct mcpauth_jwt_policy policy = {
      .issuers = {1, issuers},
      .audiences = {1, audiences},
      .types = {1, types},
      .leeway_ms = LEEWAY_MS,
      .max_lifetime_ms = LIFETIME_MS,
      .require_iat = true,
      .require_sub = true,
  };
  struct token_run *r = a->run;
  r->own = a;
  struct keyset_wait *wait = keyset_verify(keys, text, &policy, verified, a);
  if (wait)
    a->keys = wait;
}

static void run(struct token_run *r)
{
  struct oauth *o = r->x->oauth;
  struct str text = params_get(&r->params, "assertion");
  if (text.p == NULL) {
    token_refuse(r, 400, "invalid_request", "The assertion is missing.", "parameters");
    return;
  }
  size_t i = find_issuer(o, text);
  if (i == o->o.config->oauth.n_assertion_issuers) {
    token_invalid_grant(r, "nobody trusts the issuer of this assertion");
    return;
  }
  struct assertion *a = work_new_of(o, struct assertion);
  if (a == NULL) {
    token_unavailable(r, "out of memory");
    return;
  }
  a->run = r;
  a->issuer = &o->o.config->oauth.assertion_issuers[i];
  verify(a, o->assertion_keys[i], text);
}

const struct token_grant token_assertion = {
    .name = "urn:ietf:params:oauth:grant-type:jwt-bearer",
    .grant = GRANT_ASSERTION,
    .run = run,
    .cancel = cancel,
};
