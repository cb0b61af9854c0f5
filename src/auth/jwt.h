/* JWT verification (RFC 7519, 8725, 9068) on top of jws.h, strict: exactly one JSON object in
 * header and payload without duplicates, algorithm decided by the key and the policy and never by
 * the token alone, every time checked, tokens meant for something else refused.  Pure but for
 * OpenSSL; time is an argument. */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include <jansson.h>
#include <mcpauth/provider.h>

#include "auth/jwk.h"

struct jwt;

enum jwt_status {
  JWT_VALID = 1,
  JWT_NOT_A_JWT, /* not three non-empty parts: IGNORE or INVALID, the caller's choice */
  JWT_MALFORMED,
  JWT_WRONG_ALGORITHM,
  JWT_WRONG_TYPE,  /* typ, or the claims of an ID token or logout token */
  JWT_UNKNOWN_KEY, /* no key of that kid: keys may have to be fetched again */
  JWT_BAD_SIGNATURE,
  JWT_WRONG_ISSUER,
  JWT_WRONG_AUDIENCE,
  JWT_EXPIRED,
  JWT_NOT_YET_VALID,
  JWT_BAD_CLAIM, /* required claim missing or of the wrong type, too old, too long-lived */
};

/* Splits and parses without judging the signature.  Header and payload are unverified before
 * jwt_verify has said JWT_VALID.  NULL with *RET_STATUS and E.  The parts are copied. */
struct jwt *jwt_parse(struct str token, enum jwt_status *ret_status, struct err *e);
/* The same of what is to be an ID token (OpenID Connect Core section 2) and not an access token.
 * It comes from a token endpoint and never in a header, so it may be longer: Entra names up to 200
 * groups.  What binds it to a login (nonce, azp, at_hash) is the caller's to look at. */
struct jwt *jwt_parse_id_token(struct str token, enum jwt_status *ret_status, struct err *e);
void jwt_free(struct jwt *t);             /* NULL is fine */
json_t *jwt_header(const struct jwt *t);  /* borrowed */
json_t *jwt_payload(const struct jwt *t); /* borrowed */

/* Everything.  The cheap checks come first (algorithm, type, claims), so that a forged token costs
 * no signature and JWT_UNKNOWN_KEY is said only of tokens that are right in all other respects.
 * NOW is seconds since 1970.  E has the reason for the audit record; it never quotes more of the
 * token than names and numbers. */
enum jwt_status jwt_verify(const struct jwt *t, const struct jwks *keys,
                           const struct mcpauth_jwt_policy *policy, int64_t now, struct err *e);

/* The unverified `iss` of TOKEN into OUT; -1 when it has not the form of a JWT, states none, or one
 * that does not fit.  Cheap: asked of every credential by every line (mcpauth_host.jwt_issuer). */
int jwt_issuer(struct str token, char *out, size_t size);

/* `typ` of what the hub tells upstreams about callers: never a credential. */
#define ASSERTION_TYPE "mcpauth-assertion+jwt"

#endif
