/* Tokens that the hub itself issued for its services (design section 10; src/oauth/issue.c makes
 * them): the host verifies them before the stack runs, and the line of the provider that the token
 * names answers OK with the principal that the provider had established.  Signature, issuer,
 * audience and times come from the token; that the grant behind it is alive, and what the provider
 * said about the person, from the store.  Private to src/auth, but for hub_principal. */
#ifndef AUTH_HUB_TOKEN_H
#define AUTH_HUB_TOKEN_H

#include "auth/principal.h"
#include "store/store.h"
#include "util/arena.h"

/* What a worker lends; KEYS or STORE NULL: there are no tokens of ours. */
struct hub_tokens {
  const struct config *config;
  const struct keyring *keys;
  struct store *store;
};

struct hub_token_answer {
  enum mcpauth_result result; /* OK, INVALID, UNAVAIL, ERROR */
  enum mcpauth_why why;
  const char *reason;                     /* static, "" for OK */
  const struct config_provider *provider; /* whose line is concerned; NULL: not known */
  struct principal *who;                  /* of an OK: borrowed, take a reference to keep it */
};

typedef void hub_token_fn(void *arg, const struct hub_token_answer *a);

/* Whether TOKEN says of itself that we issued it: it is then nobody else's.  Nothing is verified.
 */
bool hub_token_is(const struct hub_tokens *t, struct str token);

struct hub_token_run;
/* DONE may be called before this returns (then NULL is returned). */
struct hub_token_run *hub_token_verify(const struct hub_tokens *t, const struct config_service *s,
                                       struct str token, hub_token_fn *done, void *arg);
void hub_token_cancel(struct hub_token_run *r);

/* What an access token says, once its signature is good: for /introspect and /revoke too. */
struct hub_token {
  json_t *claims;                       /* ours: hub_token_done */
  struct str issuer, subject, provider; /* of the principal */
  struct str client, scope, audience, jti;
  struct str grant; /* "" for a configured client's own */
  int64_t issued_at, expires_at;
};
/* -1 with *RET_REASON: not an access token that we signed.  Times and audience are not judged. */
int hub_token_read(const struct hub_tokens *t, struct str token, struct hub_token *ret,
                   const char **ret_reason);
void hub_token_done(struct hub_token *t);
/* The kind of mark (store_mark) of single tokens that were revoked before they expired; its value
 * is the jti. */
#define HUB_TOKEN_REVOKED "revoked"

/* A principal of PROVIDER with CLAIMS (a JSON object as text, or ""); SCOPE with spaces between.
 * NULL with E. */
struct hub_person {
  struct str issuer, subject, client, scope, claims;
  int64_t expires_at, reuse_ms;
};
struct principal *hub_principal(const struct config_provider *provider, const struct hub_person *of,
                                struct err *e);

#endif
