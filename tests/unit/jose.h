/* Signers for tests of tokens and keys. */
#ifndef TESTS_UNIT_JOSE_H
#define TESTS_UNIT_JOSE_H

#include "auth/jws_sign.h"
#include "cli/jwt.h"

struct signer {
  enum jwt_alg alg;
  const char *kid; /* NULL: none */
  EVP_PKEY *key;
  struct str secret; /* of HS* */
};

/* Fails the test when it cannot. */
struct signer signer_make(enum jwt_alg alg, const char *kid);
void signer_done(struct signer *s);
/* {"keys":[…]} of N signers, to be freed. */
char *signers_jwks(const struct signer *s, size_t n);
/* A token of HEADER and PAYLOAD as they are, signed by S with ALG; to be freed. */
char *signer_raw(const struct signer *s, enum jwt_alg alg, struct str header, struct str payload);
/* The same with the usual header: alg, typ at+jwt, kid. */
char *signer_token(const struct signer *s, const char *payload);

#endif
