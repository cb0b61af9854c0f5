/* JSON Web Keys (RFC 7517, 7518, 8037) and PEM keys to OpenSSL keys that verify.  A key that is
 * weak, odd or not for signatures is left out with a reason (row 16).  Pure but for OpenSSL. */
#ifndef AUTH_JWK_H
#define AUTH_JWK_H

#include <jansson.h>
#include <openssl/evp.h>

#include "util/err.h"
#include "util/secret.h"

enum jwt_alg {
  ALG_NONE = 0,
  ALG_RS256,
  ALG_RS384,
  ALG_RS512,
  ALG_PS256,
  ALG_PS384,
  ALG_PS512,
  ALG_ES256,
  ALG_ES384,
  ALG_ES512,
  ALG_EDDSA,
  ALG_HS256,
  ALG_HS384,
  ALG_HS512,
  ALG_COUNT
};

/* Exact names only; ALG_NONE for every other text, "none" included. */
enum jwt_alg jwt_alg_parse(struct str name);
const char *jwt_alg_name(enum jwt_alg alg);

enum jwk_type { JWK_RSA = 1, JWK_P256, JWK_P384, JWK_P521, JWK_ED25519, JWK_OCT };

struct jwk {
  enum jwk_type type;
  char *kid; /* NULL when the key has none; compared byte for byte */
  size_t kid_n;
  enum jwt_alg alg;      /* ALG_NONE: any that fits the key's type */
  EVP_PKEY *key;         /* asymmetric */
  struct secret *shared; /* oct; exactly one of the two */
  EVP_MD_CTX *verifier;  /* set up once for USUAL, to be copied; NULL: there is none */
  enum jwt_alg usual;
};

enum { JWK_SECRET_MIN = 32, JWK_SECRET_MAX = 4096 }; /* bytes */

struct jwks {
  struct jwk *keys;
  size_t n;
  char skipped[512]; /* why keys were left out, for the log; "" when none was */
};

/* One JWK; OCT as below.  -1 with E when it must not be used; *RET is to be jwk_done in either
 * case, and names the key (kid) when it could be for signatures. */
int jwk_read(const json_t *o, bool oct, struct jwk *ret, struct err *e);
void jwk_done(struct jwk *k);
/* Fills verifier and usual of a key that is complete. */
void jwk_set_up(struct jwk *k);
/* A context for verifying a signature of ALG; NULL: OpenSSL fails. */
EVP_MD_CTX *jwk_verifier(const struct jwk *k, enum jwt_alg alg);

/* TEXT: a JWK Set, or one JWK.  OCT: it holds shared secrets and nothing else; otherwise (whatever
 * comes from the network) public keys and nothing else.  Keys of one kid are all left out, so are
 * private keys.  NULL with E when it is not JSON, too large, or has no usable key. */
struct jwks *jwks_parse(struct str text, bool oct, struct err *e);
/* PEM public keys or certificates, one or many; a private key is an error. */
struct jwks *jwks_parse_pem(struct str text, struct err *e);
/* At least 32 bytes, and not the text of a public key (row 2). */
struct jwks *jwks_of_secret(struct str bytes, struct err *e);
void jwks_free(struct jwks *s); /* NULL is fine */
/* The type of a key that may verify: 0 with E when it is weak or of another kind (row 16). */
enum jwk_type jwk_judge(EVP_PKEY *key, struct err *e);
/* The algorithm's digest; NULL for EdDSA. */
const EVP_MD *jwt_alg_digest(enum jwt_alg alg);
/* Whether KEY may verify a signature of ALG: type, curve, size, and its own alg. */
bool jwk_fits(const struct jwk *key, enum jwt_alg alg);

#endif
