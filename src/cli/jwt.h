/* What the files of `mcpauth jwt` share: keys of both kinds, files, tokens. */
#ifndef CLI_JWT_H
#define CLI_JWT_H

#include <jansson.h>

#include "auth/jwk.h"
#include "cli/cli.h"
#include "util/buf.h"

/* A key that signs; exactly one of the two. */
struct jwt_key {
  EVP_PKEY *key;
  struct secret *secret;
  char *kid;        /* of the JWK, or the thumbprint (RFC 7638); NULL for a secret */
  enum jwt_alg alg; /* of the JWK, or the usual one for the key */
};

void jwt_key_done(struct jwt_key *k);
int jwt_key_make(enum jwt_alg alg, const char *kid, struct jwt_key *ret, struct err *e);
/* PKCS #8 or traditional PEM, a private JWK, or anything else as a shared secret without its last
 * newline.  The file must be ours and not readable by others. */
int jwt_key_read(const char *path, struct jwt_key *ret, struct err *e);
/* Private text: PEM, a JWK, or the secret.  Public text: PEM or a JWKS. */
int jwt_key_private(const struct jwt_key *k, bool pem, struct buf *out, struct err *e);
int jwt_key_public(const struct jwt_key *k, bool pem, struct buf *out, struct err *e);
/* Keys to verify with, from a file of any of these forms, private ones included. */
struct jwks *jwt_keys_read(const char *path, struct err *e);

/* JWK of KEY (without kid and alg); with its private members when PRIVATE.  NULL with E. */
json_t *jwt_jwk_of(EVP_PKEY *key, bool private, struct err *e);
/* The key in a private JWK. */
EVP_PKEY *jwt_jwk_private(const json_t *jwk, struct err *e);
/* Base64url of SHA-256 of the members that make the key (RFC 7638); NULL when out of memory. */
char *jwt_thumbprint(const json_t *jwk);

/* "1h", "90s", "-5m": seconds. */
int jwt_duration(const char *text, int64_t *ret, struct err *e);
/* One token from FILE, or from standard input when it is NULL; blanks around it are cut. */
int jwt_read_token(const char *file, struct buf *out, struct err *e);

/* The subcommands; argv[0] is their name.  All return the exit status. */
int jwt_keygen(int argc, char **argv);
int jwt_mint(int argc, char **argv);
int jwt_decode(int argc, char **argv);
int jwt_verify_command(int argc, char **argv);

#endif
