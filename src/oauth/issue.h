/* Access tokens of the hub (RFC 9068): what is in one, and making it.  src/auth/hub_token.c reads
 * them.  Any thread. */
#ifndef OAUTH_ISSUE_H
#define OAUTH_ISSUE_H

#include "oauth/exchange.h"
#include "store/store.h"

/* For whom and what. */
struct issue {
  const struct config_service *service;
  struct str provider;        /* instance of the line that it satisfies */
  struct str issuer, subject; /* the principal that the provider established */
  struct str client;
  struct str scope;
  struct str grant;   /* id; "" for a configured client's own */
  struct str claims;  /* of the principal, a JSON object or "": some may be shown (token_claims) */
  int64_t not_beyond; /* seconds since 1970; 0: no bound but its own lifetime */
};

struct issued {
  struct str token, jti;
  int64_t expires_in; /* seconds */
};

/* -1 with E: it is too long, cannot be signed, or memory is short. */
int issue_token(const struct oauth *o, const struct issue *i, struct arena *a, struct issued *ret,
                struct err *e);
/* Of the grant G, with SCOPE of its scopes; CLAIMS: what the provider says now.  -1 is logged. */
int issue_of_grant(const struct oauth *o, const struct config_service *s,
                   const struct store_grant *g, struct str scope, struct str claims,
                   struct arena *a, struct issued *ret);

#endif
