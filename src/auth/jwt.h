/* JWT verification (RFC 7515, 7519, 8725, 9068), strict: compact form, canonical base64url, exactly
 * one JSON object in header and payload without duplicates, algorithm decided by the key and the
 * policy and never by the token alone, no crit, no b64=false, no embedded keys.  Pure but for
 * OpenSSL; time is an argument. */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include <jansson.h>
#include <mcpauth/provider.h>

#include "auth/jwk.h"

struct jwt;

enum jwt_status {
  JWT_VALID = 1,
  JWT_NOT_A_JWT,       /* not three base64url parts: IGNORE or INVALID, the caller's choice */
  JWT_MALFORMED,
  JWT_WRONG_ALGORITHM,
  JWT_WRONG_TYPE,
  JWT_UNKNOWN_KEY,     /* no key of that kid: keys may have to be fetched again */
  JWT_BAD_SIGNATURE,
  JWT_WRONG_ISSUER,
  JWT_WRONG_AUDIENCE,
  JWT_EXPIRED,
  JWT_NOT_YET_VALID,
  JWT_BAD_CLAIM,       /* required claim missing or of the wrong type, too old, too long-lived */
};

/* Splits and parses without judging the signature: for `claims`, for choosing keys.  The JSON of
 * header and payload is unverified: only iss, kid and alg may be looked at before jwt_verify. */
struct jwt *jwt_parse(struct str token, enum jwt_status *ret_status, struct err *e);
void jwt_free(struct jwt *t);
json_t *jwt_header(const struct jwt *t);  /* borrowed */
json_t *jwt_payload(const struct jwt *t); /* borrowed */

/* Everything: cheap checks first (algorithm, type, issuer, times), the signature, then the rest.
 * NOW is seconds since 1970. */
enum jwt_status jwt_verify(const struct jwt *t, const struct jwks *keys,
                           const struct mcpauth_jwt_policy *policy, int64_t now, struct err *e);
/* Only the signature, for tools and vectors. */
enum jwt_status jwt_verify_signature(const struct jwt *t, const struct jwks *keys, struct err *e);

#endif
