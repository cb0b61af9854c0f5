/* What a refresh does in the store; see refresh.h. */
#include "oauth/refresh.h"

#include "oauth/token_text.h"

enum { REFRESH_BYTES = 32 };

static int end(struct refresh *f, enum store_result result)
{
  f->result = result;
  return result == STORE_FAILED ? -1 : 0;
}

static int64_t seconds(int64_t ms)
{
  return ms / 1000;
}

int refresh_peek(void *refresh, struct store_db *db)
{
  struct refresh *f = refresh;
  int64_t grace = seconds(f->oauth->o.config->oauth.refresh_grace_ms);
  f->now = store_time(db);
  enum store_result result = store_refresh_peek(db, f->token, grace, f->arena, &f->found);
  if (result != STORE_OK)
    return end(f, result);
  const struct store_grant *g = &f->found.grant;
  f->link = (struct store_link){g->provider, g->issuer, g->subject};
  result = store_upstream_get(db, &f->link, f->arena, &f->upstream);
  f->has_upstream = result == STORE_OK;
  return end(f, result == STORE_FAILED ? STORE_FAILED : STORE_OK);
}

int refresh_lease(void *refresh, struct store_db *db)
{
  struct refresh *f = refresh;
  return end(f, store_upstream_lease(db, &f->link, f->upstream.version, REFRESH_LEASE_S));
}

/* Compare and swap: a login that came in between has newer ones.  What was leased is given back
 * this way also when nothing has changed. */
static enum store_result keep_tokens(struct refresh *f, struct store_db *db)
{
  if (!f->has_tokens && !f->leased)
    return STORE_OK;
  enum store_result result =
      store_upstream_put(db, &f->link, &f->upstream, f->has_upstream ? f->upstream.version : 0);
  return result == STORE_CONFLICT ? STORE_OK : result;
}

static int sign(struct refresh *f)
{
  const struct store_grant *g = &f->found.grant;
  struct str claims = f->principal.n ? f->principal : g->principal;
  return issue_of_grant(f->oauth, f->service, g, f->scope, claims, f->arena, &f->access);
}

static enum store_result rotate(struct refresh *f, struct store_db *db)
{
  const struct config_oauth *c = &f->oauth->o.config->oauth;
  struct str fresh = random_text(f->arena, "", REFRESH_BYTES);
  if (fresh.p == NULL)
    return STORE_FAILED;
  enum store_result result = store_refresh_rotate(
      db, f->token, f->client, fresh, store_time(db) + seconds(c->refresh_token_lifetime_ms),
      seconds(c->refresh_grace_ms), f->arena, &f->successor);
  if ((result == STORE_OK || result == STORE_AGAIN) && sign(f) < 0)
    return STORE_FAILED;
  return result;
}

int refresh_finish(void *refresh, struct store_db *db)
{
  struct refresh *f = refresh;
  const struct store_grant *g = &f->found.grant;
  struct str same = {NULL, 0};
  enum store_result result = keep_tokens(f, db);
  if (result == STORE_OK && f->ended)
    return end(f, store_grant_revoke(db, g->id, f->ended));
  if (result == STORE_OK && f->checked)
    result = store_grant_checked(db, g->id, f->principal, same);
  if (result == STORE_OK && f->rotate)
    result = rotate(f, db);
  return end(f, result);
}
