/* WWW-Authenticate: Bearer (RFC 6750 section 3, RFC 9728 section 5.1), deterministic, parameters in
 * the order error, scope, resource_metadata.  Pure. */
#ifndef HTTP_CHALLENGE_H
#define HTTP_CHALLENGE_H

#include "util/buf.h"

struct challenge {
  const char *error;         /* NULL, "invalid_token", "insufficient_scope" */
  const char *const *scopes; /* sorted; may be NULL */
  size_t n_scopes;
  const char *resource_metadata; /* URL or NULL */
};

/* Appends the header's value.  Values that cannot stand in a quoted-string are left out whole. */
int challenge_format(struct buf *out, const struct challenge *c);

#endif
