/* What the store knows of the person who signed in last in a browser (transaction.h), before she
 * signs in again: whether she has agreed to the same before (row 95), and what her provider said
 * about her lately, so that the consent page offers what she may have (row 117).  For /authorize,
 * which asks whatever goes wrong here. */
#ifndef OAUTH_KNOWN_H
#define OAUTH_KNOWN_H

#include "auth/principal.h"
#include "oauth/transaction.h"

struct known_question {
  const struct person *person;
  const struct config_provider *provider; /* the person's */
  const struct transaction *transaction;  /* client, redirect URI, service, scopes */
  bool consent;                           /* her earlier consent counts */
};

/* AGREED: to all of the scopes, before.  WHO: what the provider said of her, at most as long ago
 * as an access token would still say it; NULL: unknown.  Valid during the call. */
typedef void known_fn(void *arg, bool agreed, const struct principal *who);

struct known;
/* Copies what it is given; never calls DONE before it returns.  NULL: too much waits. */
struct known *known_find(struct oauth *o, const struct known_question *q, known_fn *done,
                         void *arg);
void known_cancel(struct known *k); /* DONE will not be called */

#endif
