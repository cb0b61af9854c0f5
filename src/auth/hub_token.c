/* Tokens of the hub itself; see hub_token.h. */
#include "auth/hub_token.h"

#include <stdlib.h>
#include <string.h>

#include "auth/jwt.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/limits.h"

enum { LEEWAY_S = 30, REUSE_MS = 300 * 1000 };

struct hub_token_run {
  struct arena *arena; /* holds this */
  const struct hub_tokens *tokens;
  const struct config_service *service;
  const struct config_provider *provider;
  struct hub_token token;
  hub_token_fn *done;
  void *arg;
  struct store_task *task;
  /* from the store */
  enum store_result result;
  struct store_grant grant;
};

bool hub_token_is(const struct hub_tokens *t, struct str token)
{
  char issuer[LIMIT_ISSUER + 1];
  return t->keys && t->store && jwt_issuer(token, issuer, sizeof issuer) == 0 &&
         strcmp(issuer, t->config->public_url) == 0;
}

/* ---- what is in it */

static bool take_time(const json_t *claims, const char *key, int64_t *ret)
{
  const json_t *v = json_object_get(claims, key);
  *ret = json_integer_value(v);
  return json_is_integer(v) && *ret > 0;
}

/* "PROVIDER:SUBJECT" */
static bool take_subject(struct hub_token *t)
{
  struct str sub = json_str(t->claims, "sub");
  const json_t *idp = json_object_get(t->claims, "idp");
  t->provider = json_str(idp, "provider");
  t->issuer = json_str(idp, "issuer");
  t->subject = str_slice(sub, t->provider.n + 1, sub.n);
  return t->provider.n && t->issuer.n && t->subject.n && sub.p[t->provider.n] == ':' &&
         str_eq(str_slice(sub, 0, t->provider.n), t->provider);
}

int hub_token_read(const struct hub_tokens *t, struct str token, struct hub_token *ret,
                   const char **ret_reason)
{
  struct hub_token h = {.claims = NULL};
  *ret_reason = "hub token: not signed by this hub";
  if (t->keys == NULL || keyring_verify(t->keys, token, "at+jwt", &h.claims, NULL) < 0)
    return -1;
  h.client = json_str(h.claims, "client_id");
  h.scope = json_str(h.claims, "scope");
  h.audience = json_str(h.claims, "aud");
  h.jti = json_str(h.claims, "jti");
  h.grant = json_str(h.claims, "grant");
  bool good = take_subject(&h) && take_time(h.claims, "iat", &h.issued_at) &&
              take_time(h.claims, "exp", &h.expires_at) && h.client.n && h.scope.p && h.jti.n &&
              h.audience.n && str_is(json_str(h.claims, "iss"), t->config->public_url);
  if (!good) {
    *ret_reason = "hub token: claims are missing or of another issuer";
    json_decref(h.claims);
    return -1;
  }
  *ret = h;
  return 0;
}

void hub_token_done(struct hub_token *t)
{
  json_decref(t->claims);
  t->claims = NULL;
}

/* ---- the principal */

static int add_claims(struct principal *p, struct str text, struct err *e)
{
  if (text.n == 0)
    return 0;
  json_t *claims = json_parse(text, LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, e);
  if (!json_is_object(claims)) {
    json_decref(claims);
    return err_set(e, "its claims cannot be read");
  }
  json_decref(p->claims);
  p->claims = claims;
  return 0;
}

static size_t split(struct str text, struct arena *a, const char **v)
{
  struct str word;
  size_t n = 0;
  while (n < LIMIT_SCOPES && str_next(&text, ' ', &word))
    if (word.n && (v[n] = arena_dup(a, word)) != NULL)
      n++;
  return n;
}

struct principal *hub_principal(const struct config_provider *provider, const struct hub_person *of,
                                struct err *e)
{
  const char *scopes[LIMIT_SCOPES];
  struct arena *a = arena_new(MIB(1));
  if (a == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  const struct mcpauth_principal from = {
      .issuer = arena_dup(a, of->issuer),
      .subject = arena_dup(a, of->subject),
      .client = of->client.n ? arena_dup(a, of->client) : NULL,
      .scopes = {split(of->scope, a, scopes), scopes},
      .expires_at = of->expires_at,
      .reuse_ms = of->reuse_ms,
  };
  struct principal *p = principal_new(provider, &from, e);
  arena_free(a);
  if (p && add_claims(p, of->claims, e) < 0) {
    principal_unref(p);
    return NULL;
  }
  return p;
}

/* ---- judging */

static void answer(struct hub_token_run *r, enum mcpauth_result result, enum mcpauth_why why,
                   const char *reason)
{
  const struct hub_token_answer a = {
      .result = result, .why = why, .reason = reason, .provider = r->provider};
  r->done(r->arg, &a);
}

static void invalid(struct hub_token_run *r, const char *reason)
{
  answer(r, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, reason);
}

static void accept_token(struct hub_token_run *r)
{
  struct err e = {""};
  const struct hub_person of = {
      .issuer = r->token.issuer,
      .subject = r->token.subject,
      .client = r->token.client,
      .scope = r->token.scope,
      .claims = r->grant.principal,
      .expires_at = r->token.expires_at,
      .reuse_ms = REUSE_MS,
  };
  struct hub_token_answer a = {.result = MCPAUTH_OK, .reason = "", .provider = r->provider};
  a.who = hub_principal(r->provider, &of, &e);
  if (a.who == NULL)
    answer(r, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "hub token: its principal cannot be made");
  else
    r->done(r->arg, &a);
  principal_unref(a.who);
}

static const struct config_client *configured_client(const struct config *c, struct str id)
{
  for (size_t i = 0; i < c->n_clients; i++)
    if (str_is(id, c->clients[i].name))
      return &c->clients[i];
  return NULL;
}

/* A client's own token has no grant, and names the line `clients`; any other has one. */
static const char *kind_misfit(const struct hub_token_run *r)
{
  const struct hub_token *t = &r->token;
  bool own = config_is_clients(r->provider);
  const struct config_client *c = configured_client(r->tokens->config, t->client);
  if (own != (t->grant.n == 0))
    return "hub token: of another kind than its line";
  if (own && (!str_eq(t->subject, t->client) || !c || !(c->grants & GRANT_CLIENT_CREDENTIALS)))
    return "hub token: the client is not configured any more";
  if (!config_client_serves(c, r->service))
    return "hub token: the client may not use this service any more";
  return NULL;
}

/* false: answered. */
static bool judge(struct hub_token_run *r)
{
  const struct hub_token *t = &r->token;
  int64_t now = clock_wall();
  const char *misfit;
  if (!str_is(t->audience, r->service->resource))
    answer(r, MCPAUTH_INVALID, MCPAUTH_WHY_WRONG_AUDIENCE, "hub token: for another service");
  else if (t->expires_at <= now)
    answer(r, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED, "hub token: expired");
  else if (t->issued_at > now + LEEWAY_S)
    answer(r, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_YET_VALID, "hub token: issued in the future");
  else if ((r->provider = config_find_line(r->service, t->provider)) == NULL)
    invalid(r, "hub token: its provider is not in this stack");
  else if ((misfit = kind_misfit(r)) != NULL)
    invalid(r, misfit);
  else
    return true;
  return false;
}

/* ---- the store */

/* Whoever it was issued to, for which service, through which provider. */
static bool same_grant(const struct hub_token *t, const struct store_grant *g,
                       const struct config_service *s)
{
  return str_eq(t->issuer, g->issuer) && str_eq(t->subject, g->subject) &&
         str_eq(t->client, g->client) && str_eq(t->provider, g->provider) &&
         str_is(g->service, s->name);
}

static int look(void *arg, struct store_db *db)
{
  struct hub_token_run *r = arg;
  if (r->token.expires_at <= store_time(db)) {
    r->result = STORE_EXPIRED; /* although our clock was set back (row 184) */
    return 0;
  }
  enum store_result marked = store_marked(db, HUB_TOKEN_REVOKED, r->token.jti);
  if (marked != STORE_NONE) {
    r->result = marked == STORE_OK ? STORE_REVOKED : STORE_FAILED;
    return r->result == STORE_FAILED ? -1 : 0;
  }
  r->result =
      r->token.grant.n ? store_grant_get(db, r->token.grant, r->arena, &r->grant) : STORE_OK;
  return r->result == STORE_FAILED ? -1 : 0;
}

static void unavailable(struct hub_token_run *r)
{
  answer(r, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "hub token: the store cannot be asked");
}

static void looked(void *arg, bool stored)
{
  struct hub_token_run *r = arg;
  r->task = NULL;
  if (!stored)
    unavailable(r);
  else if (r->result == STORE_OK && r->token.grant.n &&
           !same_grant(&r->token, &r->grant, r->service))
    invalid(r, "hub token: not of its grant");
  else if (r->result == STORE_OK)
    accept_token(r);
  else if (r->result == STORE_EXPIRED)
    answer(r, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED, "hub token: its grant is over");
  else if (r->result == STORE_BROKEN)
    unavailable(r);
  else
    invalid(r, "hub token: revoked");
}

static void release(void *arg)
{
  struct hub_token_run *r = arg;
  hub_token_done(&r->token);
  arena_free(r->arena);
}

static struct hub_token_run *run_new(const struct hub_tokens *t, const struct config_service *s,
                                     hub_token_fn *done, void *arg)
{
  struct arena *a = arena_new(MIB(1));
  struct hub_token_run *r = a ? arena_new_of(a, struct hub_token_run) : NULL;
  if (r == NULL) {
    arena_free(a);
    return NULL;
  }
  *r = (struct hub_token_run){.arena = a, .tokens = t, .service = s, .done = done, .arg = arg};
  return r;
}

struct hub_token_run *hub_token_verify(const struct hub_tokens *t, const struct config_service *s,
                                       struct str token, hub_token_fn *done, void *arg)
{
  const char *reason;
  struct hub_token_run *r = run_new(t, s, done, arg);
  if (r == NULL) {
    const struct hub_token_answer a = {.result = MCPAUTH_ERROR, .reason = "out of memory"};
    done(arg, &a);
    return NULL;
  }
  if (hub_token_read(t, token, &r->token, &reason) < 0)
    invalid(r, reason);
  else if (judge(r)) {
    r->task = store_submit(t->store, STORE_READ, look, looked, release, r);
    if (r->task)
      return r;
    unavailable(r);
  }
  release(r);
  return NULL;
}

void hub_token_cancel(struct hub_token_run *r)
{
  if (r)
    store_cancel(r->task);
}
