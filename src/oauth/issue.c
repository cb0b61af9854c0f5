/* Making access tokens; see issue.h. */
#include "oauth/issue.h"

#include <jansson.h>

#include "oauth/json_text.h"
#include "oauth/token_text.h"
#include "ops/log.h"
#include "store/keyring.h"
#include "util/clock.h"
#include "util/json.h"

enum { JTI_BYTES = 16 };

/* "claims":{...} with those of the principal's that the administrator has chosen. */
static int chosen_claims(struct buf *b, const struct config_words *names, struct str claims,
                         struct err *e)
{
  CLEANUP(json_drop) json_t *chosen = json_object();
  CLEANUP(json_drop) json_t *all = json_parse(claims, LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, e);
  if (all == NULL || chosen == NULL)
    return -1;
  for (size_t i = 0; i < names->n; i++) {
    json_t *v = json_object_get(all, names->v[i]);
    if (v && json_object_set(chosen, names->v[i], v) < 0)
      return err_set(e, "out of memory");
  }
  AUTO_FREE char *text = json_dumps(chosen, JSON_COMPACT);
  if (text == NULL)
    return err_set(e, "out of memory");
  buf_puts(b, ",\"claims\":");
  buf_puts(b, text);
  return 0;
}

static int64_t lifetime(const struct oauth *o, const struct issue *i, int64_t now)
{
  int64_t s = o->o.config->oauth.access_token_lifetime_ms / 1000;
  return i->not_beyond && i->not_beyond - now < s ? i->not_beyond - now : s;
}

static void put_claims(struct buf *b, const struct oauth *o, const struct issue *i,
                       const struct issued *made, int64_t now)
{
  members_begin(b);
  member_text(b, "iss", str_of(o->issuer));
  /* One name a person, also where two providers count from 1 (RFC 7519 section 4.1.2). */
  buf_puts(b, ",\"sub\":");
  CLEANUP(buf_done) struct buf sub;
  buf_init(&sub, 2048);
  buf_str(&sub, i->provider);
  buf_putc(&sub, ':');
  buf_str(&sub, i->subject);
  b->failed = b->failed || sub.failed;
  buf_json(b, buf_view(&sub));
  member_text(b, "aud", str_of(i->service->resource));
  member_text(b, "client_id", i->client);
  member_text(b, "scope", i->scope);
  member_number(b, "iat", now);
  member_number(b, "exp", now + made->expires_in);
  member_text(b, "jti", made->jti);
  if (i->grant.n)
    member_text(b, "grant", i->grant);
  buf_puts(b, ",\"idp\":{");
  member_text(b, "provider", i->provider);
  member_text(b, "issuer", i->issuer);
  buf_putc(b, '}');
}

int issue_token(const struct oauth *o, const struct issue *i, struct arena *a, struct issued *ret,
                struct err *e)
{
  CLEANUP(buf_wipe) struct buf claims, token;
  int64_t now = clock_wall();
  struct issued made = {.jti = random_text(a, "", JTI_BYTES), .expires_in = lifetime(o, i, now)};
  const struct config_words *shown = &o->o.config->oauth.token_claims;
  buf_init(&claims, LIMIT_CREDENTIAL);
  buf_init(&token, LIMIT_CREDENTIAL);
  if (made.jti.p == NULL)
    return err_set(e, "no random numbers, or no memory");
  if (made.expires_in <= 0)
    return err_set(e, "the grant is over");
  put_claims(&claims, o, i, &made, now);
  if (shown->n && i->claims.n && chosen_claims(&claims, shown, i->claims, e) < 0)
    return -1;
  if (members_end(&claims) < 0)
    return err_set(e, "the token does not fit in %d bytes: token_claims may be too many",
                   LIMIT_CREDENTIAL);
  if (keyring_sign(o->o.keys, buf_view(&claims), "at+jwt", &token, e) < 0)
    return -1;
  made.token = arena_str(a, buf_view(&token));
  if (made.token.p == NULL)
    return err_set(e, "out of memory");
  *ret = made;
  return 0;
}

int issue_of_grant(const struct oauth *o, const struct config_service *s,
                   const struct store_grant *g, struct str scope, struct str claims,
                   struct arena *a, struct issued *ret)
{
  struct err e = {""};
  const struct issue i = {
      .service = s,
      .provider = g->provider,
      .issuer = g->issuer,
      .subject = g->subject,
      .client = g->client,
      .scope = scope,
      .grant = g->id,
      .claims = claims,
      .not_beyond = g->expires_at,
  };
  if (issue_token(o, &i, a, ret, &e) == 0)
    return 0;
  log_error("no token could be issued: %s", e.text);
  return -1;
}
