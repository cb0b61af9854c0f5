/* Making signatures, the other direction of jws.h: for `mcpauth jwt`, tests, and tokens that the
 * hub issues itself.  Pure but for OpenSSL. */
#ifndef AUTH_JWS_SIGN_H
#define AUTH_JWS_SIGN_H

#include "auth/jwk.h"
#include "util/buf.h"

/* Appends the raw signature (RFC 7518: r and s of fixed length for ECDSA) over DATA to OUT.  KEY is
 * for asymmetric algorithms, SECRET for HS*.  -1 with E when they do not fit ALG. */
int jws_sign(enum jwt_alg alg, EVP_PKEY *key, struct str secret, struct str data, struct buf *out,
             struct err *e);
/* Appends the compact JWS of HEADER and PAYLOAD (not encoded yet). */
int jws_compact(enum jwt_alg alg, EVP_PKEY *key, struct str secret, struct str header,
                struct str payload, struct buf *out, struct err *e);

#endif
