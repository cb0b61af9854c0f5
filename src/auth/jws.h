/* Signatures of compact JWS (RFC 7515, 7518, 8037): parts, header rules, choice of the key, and the
 * signature over whatever the payload is.  Canonical base64url only, exact signature lengths before
 * any arithmetic (row 6), no crit, b64, zip; jwk, jku, x5u and x5c say nothing about the key (row
 * 3).  Pure but for OpenSSL.  jwt.c adds the claims; tools and vectors use it bare. */
#ifndef AUTH_JWS_H
#define AUTH_JWS_H

#include <jansson.h>

#include "auth/jwk.h"
#include "auth/jwt.h"

struct jws {
  struct str header64, payload64, signature64; /* point into the token */
  struct str signed_part;                      /* header64 "." payload64 */
  json_t *header;                              /* ours: jws_done */
  char *bytes;                                 /* likewise */
  struct str payload;                          /* decoded; in bytes */
  enum jwt_alg alg;
  struct str kid; /* .p NULL when there is none; points into header */
};

/* JWT_VALID, JWT_NOT_A_JWT, JWT_MALFORMED (more than MOST bytes, among other things) or
 * JWT_WRONG_ALGORITHM (an alg that we do not know, "none" included); *RET is to be jws_done only
 * after JWT_VALID. */
enum jwt_status jws_parse(struct str token, size_t most, struct jws *ret, struct err *e);
void jws_done(struct jws *s);

/* The one key of KEYS that may have signed: that of its kid, or without a kid the only one that
 * fits its algorithm.  JWT_VALID and *RET; JWT_UNKNOWN_KEY; JWT_WRONG_ALGORITHM when the kid's key
 * is for another algorithm (rows 2, 4). */
enum jwt_status jws_key(const struct jws *s, const struct jwks *keys, const struct jwk **ret,
                        struct err *e);
/* JWT_VALID, JWT_BAD_SIGNATURE or JWT_MALFORMED. */
enum jwt_status jws_check(const struct jws *s, const struct jwk *key, struct err *e);
/* All three on a token. */
enum jwt_status jws_verify(struct str token, const struct jwks *keys, struct err *e);

#endif
