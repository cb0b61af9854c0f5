/* Compact JWS; see jws.h. */
#include "auth/jws.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "util/base64url.h"
#include "util/json.h"
#include "util/limits.h"

enum { SIGNATURE_MAX = LIMIT_RSA_MAX_BITS / 8 };

/* ------------------------------------------------------------------ parts and header */

static enum jwt_status split(struct str token, size_t most, struct jws *ret, struct err *e)
{
  struct str rest = token, extra;
  if (token.n > most) {
    err_set(e, "token of more than %zu bytes", most);
    return JWT_MALFORMED;
  }
  if (!str_next(&rest, '.', &ret->header64) || !str_next(&rest, '.', &ret->payload64) ||
      !str_next(&rest, '.', &ret->signature64) || str_next(&rest, '.', &extra) ||
      ret->header64.n == 0) {
    err_set(e, "not three parts");
    return JWT_NOT_A_JWT;
  }
  ret->signed_part = (struct str){token.p, ret->header64.n + 1 + ret->payload64.n};
  return JWT_VALID;
}

/* Members that change what the signature covers, or that must be understood. */
static const char *const refused[] = {"crit", "b64", "zip", "enc"};

static enum jwt_status read_header(struct jws *s, struct err *e)
{
  const json_t *kid = json_object_get(s->header, "kid");
  struct str alg = json_str(s->header, "alg");
  if (!json_is_object(s->header)) {
    err_set(e, "the header is no JSON object");
    return JWT_MALFORMED;
  }
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    if (json_object_get(s->header, refused[i])) {
      err_set(e, "header member '%s'", refused[i]);
      return JWT_MALFORMED;
    }
  s->kid = json_text(kid);
  if (kid && (s->kid.p == NULL || s->kid.n > LIMIT_KID)) {
    err_set(e, "kid is no string or longer than %d bytes", LIMIT_KID);
    return JWT_MALFORMED;
  }
  s->alg = jwt_alg_parse(alg);
  if (s->alg == ALG_NONE) {
    err_set(e, "alg is missing or unknown");
    return JWT_WRONG_ALGORITHM;
  }
  return JWT_VALID;
}

static enum jwt_status decode_parts(struct jws *s, struct err *e)
{
  /* Three quarters of the token hold both. */
  char *bytes = s->bytes = malloc(s->signed_part.n);
  size_t n;
  if (bytes == NULL) {
    err_set(e, "out of memory");
    return JWT_MALFORMED;
  }
  if (base64url_decode(s->header64, bytes, s->signed_part.n, &n) < 0) {
    err_set(e, "the header is not canonical base64url");
    return JWT_MALFORMED;
  }
  s->header = json_parse((struct str){bytes, n}, LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, e);
  if (s->header == NULL) {
    err_prefix(e, "header");
    return JWT_MALFORMED;
  }
  if (base64url_decode(s->payload64, bytes, s->signed_part.n, &n) < 0) {
    err_set(e, "the payload is not canonical base64url");
    return JWT_MALFORMED;
  }
  s->payload = (struct str){bytes, n};
  return JWT_VALID;
}

enum jwt_status jws_parse(struct str token, size_t most, struct jws *ret, struct err *e)
{
  struct jws s = {.header = NULL};
  enum jwt_status status = split(token, most, &s, e);
  if (status == JWT_VALID)
    status = decode_parts(&s, e);
  if (status == JWT_VALID)
    status = read_header(&s, e);
  if (status == JWT_VALID)
    *ret = s;
  else
    jws_done(&s);
  return status;
}

void jws_done(struct jws *s)
{
  json_decref(s->header);
  free(s->bytes);
  s->header = NULL;
  s->bytes = NULL;
}

/* ------------------------------------------------------------------ which key */

static bool has_names(const struct jwks *keys)
{
  for (size_t i = 0; i < keys->n; i++)
    if (keys->keys[i].kid)
      return true;
  return false;
}

static enum jwt_status key_by_kid(const struct jws *s, const struct jwks *keys,
                                  const struct jwk **ret, struct err *e)
{
  for (size_t i = 0; i < keys->n; i++) {
    const struct jwk *k = &keys->keys[i];
    if (k->kid == NULL || !str_eq((struct str){k->kid, k->kid_n}, s->kid))
      continue;
    if (!jwk_fits(k, s->alg)) {
      err_set(e, "the key of this kid is not for %s", jwt_alg_name(s->alg));
      return JWT_WRONG_ALGORITHM;
    }
    *ret = k;
    return JWT_VALID;
  }
  err_set(e, "no key has this kid");
  return JWT_UNKNOWN_KEY;
}

static enum jwt_status only_key(const struct jws *s, const struct jwks *keys,
                                const struct jwk **ret, struct err *e)
{
  const struct jwk *found = NULL;
  size_t n = 0;
  for (size_t i = 0; i < keys->n; i++)
    if (jwk_fits(&keys->keys[i], s->alg)) {
      found = &keys->keys[i];
      n++;
    }
  if (n == 1) {
    *ret = found;
    return JWT_VALID;
  }
  err_set(e, "the token names no key, and %zu keys are for %s", n, jwt_alg_name(s->alg));
  return n ? JWT_MALFORMED : JWT_WRONG_ALGORITHM;
}

enum jwt_status jws_key(const struct jws *s, const struct jwks *keys, const struct jwk **ret,
                        struct err *e)
{
  if (keys->n == 0) {
    err_set(e, "there are no keys");
    return JWT_UNKNOWN_KEY;
  }
  /* Keys from PEM and secrets have no names: then the token's name says nothing. */
  if (s->kid.p && has_names(keys))
    return key_by_kid(s, keys, ret, e);
  return only_key(s, keys, ret, e);
}

/* ------------------------------------------------------------------ signatures */

static bool digest_verify(const struct jws *s, const struct jwk *key, const unsigned char *sig,
                          size_t n)
{
  EVP_MD_CTX *ctx = jwk_verifier(key, s->alg);
  bool good = ctx && EVP_DigestVerify(ctx, sig, n, (const unsigned char *)s->signed_part.p,
                                      s->signed_part.n) == 1;
  EVP_MD_CTX_free(ctx);
  return good;
}

/* r and s of equal length, as JOSE has them, to what OpenSSL reads. */
static bool ecdsa_verify(const struct jws *s, const struct jwk *key, const unsigned char *sig,
                         size_t n)
{
  unsigned char *der = NULL;
  BIGNUM *r = BN_bin2bn(sig, (int)(n / 2), NULL);
  BIGNUM *t = BN_bin2bn(sig + n / 2, (int)(n / 2), NULL);
  ECDSA_SIG *pair = ECDSA_SIG_new();
  if (r == NULL || t == NULL || pair == NULL || ECDSA_SIG_set0(pair, r, t) != 1) {
    BN_free(r);
    BN_free(t);
    ECDSA_SIG_free(pair);
    return false;
  }
  int len = i2d_ECDSA_SIG(pair, &der);
  ECDSA_SIG_free(pair);
  bool good = len > 0 && digest_verify(s, key, der, (size_t)len);
  OPENSSL_free(der);
  return good;
}

static bool hmac_verify(const struct jws *s, const struct jwk *key, const unsigned char *sig,
                        size_t n)
{
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned len = sizeof mac;
  struct str k = secret_expose(key->shared);
  if (HMAC(jwt_alg_digest(s->alg), k.p, (int)k.n, (const unsigned char *)s->signed_part.p,
           s->signed_part.n, mac, &len) == NULL)
    return false;
  return bytes_eq((struct str){(char *)mac, len}, (struct str){(const char *)sig, n});
}

/* The only length that a signature of this key can have. */
static size_t signature_size(const struct jwk *key, enum jwt_alg alg)
{
  switch (key->type) {
  case JWK_RSA:
    return (size_t)EVP_PKEY_get_size(key->key);
  case JWK_P256:
  case JWK_ED25519:
    return 64;
  case JWK_P384:
    return 96;
  case JWK_P521:
    return 132;
  case JWK_OCT:
    return (size_t)EVP_MD_get_size(jwt_alg_digest(alg));
  }
  return SIZE_MAX;
}

static bool verify(const struct jws *s, const struct jwk *key, const unsigned char *sig, size_t n)
{
  switch (key->type) {
  case JWK_P256:
  case JWK_P384:
  case JWK_P521:
    return ecdsa_verify(s, key, sig, n);
  case JWK_RSA:
  case JWK_ED25519:
    return digest_verify(s, key, sig, n);
  case JWK_OCT:
    return hmac_verify(s, key, sig, n);
  }
  return false;
}

enum jwt_status jws_check(const struct jws *s, const struct jwk *key, struct err *e)
{
  unsigned char sig[SIGNATURE_MAX];
  size_t n;
  if (!jwk_fits(key, s->alg)) {
    err_set(e, "the key is not for %s", jwt_alg_name(s->alg));
    return JWT_WRONG_ALGORITHM;
  }
  if (base64url_decode(s->signature64, sig, sizeof sig, &n) < 0) {
    err_set(e, "the signature is too long or not canonical base64url");
    return JWT_MALFORMED;
  }
  if (n != signature_size(key, s->alg) || !verify(s, key, sig, n)) {
    ERR_clear_error();
    err_set(e, "the signature is wrong");
    return JWT_BAD_SIGNATURE;
  }
  return JWT_VALID;
}

enum jwt_status jws_verify(struct str token, const struct jwks *keys, struct err *e)
{
  struct jws s;
  const struct jwk *key = NULL;
  enum jwt_status status = jws_parse(token, LIMIT_CREDENTIAL, &s, e);
  if (status != JWT_VALID)
    return status;
  status = jws_key(&s, keys, &key, e);
  if (status == JWT_VALID)
    status = jws_check(&s, key, e);
  jws_done(&s);
  return status;
}
