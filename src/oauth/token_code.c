/* grant_type authorization_code (RFC 6749 section 4.1.3, RFC 7636): one transaction takes the code,
 * looks at what it is bound to, and makes the grant and its first refresh token.  A code that is
 * shown with the wrong client, redirect URI, verifier or resource is used up all the same (row 91);
 * one that is shown twice ends what came of it (row 90). */
#include <string.h>

#include "oauth/scopes.h"
#include "oauth/token.h"
#include "oauth/token_text.h"

enum { REFRESH_BYTES = 32, VERIFIER_LEAST = 43, VERIFIER_MOST = 128 };

struct exchange_code {
  struct work work;
  struct token_run *run; /* of the loop; NULL: the client has left */
  struct str request_id, address;
  struct str code, client, redirect, challenge;
  struct str resource; /* the parameter; "" none */
  bool registered;     /* the client is one that may be forgotten while nobody uses it */
  bool may_refresh;
  int64_t refresh_lifetime_s;
  struct config_words bound; /* the most that the client may have: the configuration's */

  struct store_code found;
  const char *misfit; /* why the code is of no use, or NULL */
  const struct config_service *service;
  struct issued access;
  struct str refresh;
};

/* ---- in the job thread */

/* NULL, or which of the bindings does not hold. */
static const char *misfit(const struct exchange_code *e)
{
  const struct store_code *c = &e->found;
  if (!str_eq(c->grant.client, e->client))
    return "the code is another client's";
  if (!str_eq(c->redirect, e->redirect))
    return "the redirect_uri is another than at /authorize";
  if (!bytes_eq(c->challenge, e->challenge))
    return "the code_verifier is not that of the challenge";
  if (e->service == NULL)
    return "the service is not configured any more";
  if (e->resource.n && !resource_is(e->resource, e->service))
    return "the code is for another resource";
  if (!config_find_line(e->service, c->grant.provider))
    return "the provider has left the service's stack";
  return NULL;
}

/* What the client may have may have become less since the login. */
static int limit(struct exchange_code *e)
{
  struct scope_set scopes;
  struct store_grant *g = &e->found.grant;
  if (scopes_parse(e->work.oauth->o.config, g->scopes, e->work.arena, &scopes) < 0)
    return -1;
  scopes_limit(&scopes, &e->bound);
  g->scopes = scopes_text(&scopes, e->work.arena);
  return g->scopes.p ? 0 : -1;
}

static enum store_result make_grant(struct exchange_code *e, struct store_db *db)
{
  enum store_result result = store_grant_add(db, &e->found.grant);
  if (result == STORE_OK && e->may_refresh) {
    e->refresh = random_text(e->work.arena, "", REFRESH_BYTES);
    result = e->refresh.p ? store_refresh_add(db, e->found.grant.id, e->refresh,
                                              store_time(db) + e->refresh_lifetime_s)
                          : STORE_FAILED;
  }
  if (result == STORE_OK && e->registered)
    result = store_client_used(db, e->client);
  return result;
}

static int sign(struct exchange_code *e)
{
  const struct store_grant *g = &e->found.grant;
  return issue_of_grant(e->work.oauth, e->service, g, g->scopes, g->principal, e->work.arena,
                        &e->access);
}

static int take(void *arg, struct store_db *db)
{
  struct exchange_code *e = arg;
  enum store_result result = store_code_take(db, e->code, e->work.arena, &e->found);
  if (result != STORE_OK)
    return work_end(&e->work, result);
  e->service = config_find_service(e->work.oauth->o.config, e->found.grant.service);
  e->misfit = misfit(e);
  if (e->misfit)
    return work_end(&e->work, STORE_OK);
  result = limit(e) < 0 ? STORE_FAILED : make_grant(e, db);
  if (result == STORE_OK && sign(e) < 0)
    result = STORE_FAILED;
  e->work.result = result;
  return result == STORE_OK ? 0 : -1; /* then the code is not used up either */
}

/* ---- in the loop */

static void succeed(struct token_run *r, const struct exchange_code *e)
{
  const struct store_grant *g = &e->found.grant;
  token_answer(r, &(struct token_success){
                      .access = e->access,
                      .refresh = e->refresh,
                      .scope = g->scopes,
                      .service = e->service,
                      .provider = g->provider,
                      .issuer = g->issuer,
                      .subject = g->subject,
                      .grant = g->id,
                  });
}

static void taken(void *arg, bool stored)
{
  struct exchange_code *e = arg;
  struct token_run *r = e->run;
  bool replayed = stored && e->work.result == STORE_USED;
  if (replayed)
    token_record_replay(e->work.oauth, e->request_id, e->address, &e->found.grant);
  if (r == NULL)
    return;
  r->task = NULL;
  if (!stored)
    token_unavailable(r, store_result_name(e->work.result));
  else if (replayed)
    token_invalid_grant(r, "the code was used before: what came of it has been revoked");
  else if (e->work.result != STORE_OK)
    token_invalid_grant(r, store_result_name(e->work.result));
  else if (e->misfit)
    token_invalid_grant(r, e->misfit);
  else
    succeed(r, e);
}

static bool verifier_form(struct str v)
{
  static const char marks[] = "-._~";
  for (size_t i = 0; i < v.n; i++) {
    char c = v.p[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
          (c && strchr(marks, c))))
      return false;
  }
  return v.n >= VERIFIER_LEAST && v.n <= VERIFIER_MOST;
}

static struct exchange_code *prepare(struct token_run *r, struct str verifier)
{
  struct oauth *o = r->x->oauth;
  struct exchange_code *e = work_new_of(o, struct exchange_code);
  if (e == NULL)
    return NULL;
  e->run = r;
  e->request_id = work_str(&e->work, str_of(r->x->rq->id));
  e->address = work_str(&e->work, str_of(r->x->address));
  e->code = work_str(&e->work, params_get(&r->params, "code"));
  e->client = work_str(&e->work, str_of(r->client->id));
  e->redirect = work_str(&e->work, params_get(&r->params, "redirect_uri"));
  e->resource = work_str(&e->work, params_get(&r->params, "resource"));
  e->challenge = hash_base64url(e->work.arena, verifier);
  e->bound = r->client->scopes;
  e->registered = r->client->kind == CLIENT_REGISTERED;
  e->may_refresh = client_impl(r->client)->grants & GRANT_REFRESH;
  e->refresh_lifetime_s = o->o.config->oauth.refresh_token_lifetime_ms / 1000;
  if (e->request_id.p && e->address.p && e->code.p && e->client.p && e->redirect.p &&
      e->resource.p && e->challenge.p)
    return e;
  work_free(e);
  return NULL;
}

static void run(struct token_run *r)
{
  struct str code = params_get(&r->params, "code");
  struct str verifier = params_get(&r->params, "code_verifier");
  struct str redirect = params_get(&r->params, "redirect_uri");
  if (code.p == NULL || redirect.p == NULL || verifier.p == NULL || !verifier_form(verifier)) {
    token_refuse(r, 400, "invalid_request",
                 "code, redirect_uri and code_verifier (43 to 128 characters) are needed.",
                 "parameters");
    return;
  }
  struct exchange_code *e = prepare(r, verifier);
  r->task = e ? store_submit(r->x->oauth->o.store, STORE_WRITE, take, taken, work_free, e) : NULL;
  r->own = r->task ? e : NULL;
  if (r->task)
    return;
  work_free(e);
  token_unavailable(r, "the store is busy");
}

/* What has begun may be ending a grant: that is recorded all the same. */
static void cancel(struct token_run *r)
{
  struct exchange_code *e = r->own;
  if (e && !store_withdraw(r->task))
    e->run = NULL;
}

const struct token_grant token_code = {
    .name = "authorization_code", .grant = GRANT_CODE, .run = run, .cancel = cancel};
