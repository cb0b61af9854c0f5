/* What a client says about itself (RFC 7591 section 2), whether it registers or describes itself in
 * a document: judged once, kept in a normal form, read back.  Pure. */
#ifndef OAUTH_CLIENT_METADATA_H
#define OAUTH_CLIENT_METADATA_H

#include <jansson.h>

#include "oauth/client.h"
#include "util/redirect.h"

struct client_metadata {
  struct str name; /* "" when it has none; at most LIMIT_CLIENT_NAME bytes */
  struct config_words redirect_uris;
  enum client_auth auth;
  bool post;           /* client_secret_post was asked for: what the reply says */
  struct str keys;     /* of CLIENT_AUTH_KEY: a JWK Set as text, or "" and */
  struct str keys_uri; /* where it is: any text, for the caller to judge before it is fetched */
  struct str secret;   /* hex of the SHA-256 of the secret of CLIENT_AUTH_SECRET */
  unsigned grants;     /* GRANT_CODE, GRANT_REFRESH */
  struct str scope;    /* what it registered for; "" no bound */
};

/* An error of RFC 7591 section 3.2.2. */
struct metadata_error {
  const char *error; /* invalid_redirect_uri or invalid_client_metadata */
  char text[200];    /* one sentence */
};

/* DOCUMENT: it is a Client ID Metadata Document, which knows no shared secrets.  Of several
 * redirect URIs those that are acceptable are kept; -1 when none is left, and for anything else
 * that cannot be granted.  In ARENA. */
int client_metadata_judge(const struct redirect_policy *policy, const json_t *from, bool document,
                          struct arena *a, struct client_metadata *ret, struct metadata_error *e);
/* The normal form, as JSON. */
int client_metadata_put(const struct client_metadata *m, struct buf *out);
/* -1: not of that form. */
int client_metadata_read(struct str text, struct arena *a, struct client_metadata *ret);

#endif
