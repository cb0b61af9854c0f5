/* Who is calling, as established by a line: immutable once a stack has granted, reference-counted,
 * shared by the identity cache and requests of one worker. */
#ifndef AUTH_PRINCIPAL_H
#define AUTH_PRINCIPAL_H

#include <jansson.h>

#include "config/config.h"

struct principal {
  unsigned refs;
  const struct config_provider *provider; /* the line's */
  char *issuer, *subject, *client;        /* client may be NULL */
  struct config_words scopes;             /* sorted, no duplicates */
  json_t *claims;                         /* object; never NULL */
  int64_t expires_at;                     /* 0: never */
  int64_t reuse_ms;
  struct mcpauth_principal view; /* the same, for the ABI */
};

/* Validates (lengths, control characters, UTF-8, scope syntax of RFC 6749 section 3.3) and copies;
 * the scopes that PROVIDER's configuration gives to everybody it recognises are added.  The claims
 * are empty.  NULL with E.  Any thread. */
struct principal *principal_new(const struct config_provider *provider,
                                const struct mcpauth_principal *from, struct err *e);
/* The same principal, sharing its claims, with another end; NULL when memory is short. */
struct principal *principal_until(struct principal *p, int64_t expires_at);
struct principal *principal_ref(struct principal *p);
void principal_unref(struct principal *p); /* NULL is fine */
/* Same issuer and subject. */
bool principal_same(const struct principal *a, const struct principal *b);
/* Whether the principal holds SCOPE, itself or through a scope that implies it. */
bool principal_has_scope(const struct principal *p, const struct config *c,
                         const struct config_scope *scope);

#endif
