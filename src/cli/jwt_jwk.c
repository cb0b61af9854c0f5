/* JWKs of keys that we hold ourselves (RFC 7517, 7518, 8037), both ways, and thumbprints. */
#include "cli/jwt.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/json.h"
#include "util/limits.h"

enum { NUMBER_MAX = LIMIT_RSA_MAX_BITS / 8 + 1 };

/* A JWK member and the parameter of OpenSSL. */
struct number {
  const char *jwk, *openssl;
  bool private;
};

static const struct number rsa_numbers[] = {
    {"n", OSSL_PKEY_PARAM_RSA_N, false},         {"e", OSSL_PKEY_PARAM_RSA_E, false},
    {"d", OSSL_PKEY_PARAM_RSA_D, true},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1, true},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2, true},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, true},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, true}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, true},
};

static const struct number ec_numbers[] = {
    {"x", OSSL_PKEY_PARAM_EC_PUB_X, false},
    {"y", OSSL_PKEY_PARAM_EC_PUB_Y, false},
    {"d", OSSL_PKEY_PARAM_PRIV_KEY, true},
};

static const struct {
  const char *jwk, *openssl;
  enum jwk_type type;
  size_t bytes;
} curves[] = {
    {"P-256", SN_X9_62_prime256v1, JWK_P256, 32},
    {"P-384", SN_secp384r1, JWK_P384, 48},
    {"P-521", SN_secp521r1, JWK_P521, 66},
};

/* ------------------------------------------------------------------ key to JWK */

static int put_bytes(json_t *o, const char *name, const unsigned char *p, size_t n)
{
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, 2 * NUMBER_MAX);
  if (base64url_encode(&text, (struct str){(const char *)p, n}) < 0)
    return -1;
  return json_object_set_new(o, name, json_string(text.p));
}

/* BYTES 0: as many as it needs. */
static int put_number(json_t *o, EVP_PKEY *key, const struct number *number, size_t bytes)
{
  unsigned char raw[NUMBER_MAX];
  BIGNUM *bn = NULL;
  if (!EVP_PKEY_get_bn_param(key, number->openssl, &bn))
    return -1;
  int n = bytes ? (int)bytes : BN_num_bytes(bn);
  int bad = n > (int)sizeof raw || BN_bn2binpad(bn, raw, n) != n ||
            put_bytes(o, number->jwk, raw, (size_t)n) < 0;
  BN_clear_free(bn);
  OPENSSL_cleanse(raw, sizeof raw);
  return bad ? -1 : 0;
}

static int put_numbers(json_t *o, EVP_PKEY *key, const struct number *numbers, size_t n,
                       size_t bytes, bool private)
{
  for (size_t i = 0; i < n; i++)
    if ((private || !numbers[i].private) && put_number(o, key, &numbers[i], bytes) < 0)
      return -1;
  return 0;
}

static int put_ec(json_t *o, EVP_PKEY *key, enum jwk_type type, bool private)
{
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
    if (curves[i].type == type)
      return json_object_set_new(o, "kty", json_string("EC")) |
             json_object_set_new(o, "crv", json_string(curves[i].jwk)) |
             put_numbers(o, key, ec_numbers, ARRAY_SIZE(ec_numbers), curves[i].bytes, private);
  return -1;
}

static int put_ed25519(json_t *o, EVP_PKEY *key, bool private)
{
  unsigned char x[32], d[32];
  size_t n = sizeof x, m = sizeof d;
  int bad = json_object_set_new(o, "kty", json_string("OKP")) |
            json_object_set_new(o, "crv", json_string("Ed25519"));
  if (!EVP_PKEY_get_raw_public_key(key, x, &n) || put_bytes(o, "x", x, n) < 0)
    return -1;
  if (private && (!EVP_PKEY_get_raw_private_key(key, d, &m) || put_bytes(o, "d", d, m) < 0))
    bad = -1;
  OPENSSL_cleanse(d, sizeof d);
  return bad;
}

static int put_key(json_t *o, EVP_PKEY *key, enum jwk_type type, bool private)
{
  switch (type) {
  case JWK_RSA:
    return json_object_set_new(o, "kty", json_string("RSA")) |
           put_numbers(o, key, rsa_numbers, ARRAY_SIZE(rsa_numbers), 0, private);
  case JWK_P256:
  case JWK_P384:
  case JWK_P521:
    return put_ec(o, key, type, private);
  case JWK_ED25519:
    return put_ed25519(o, key, private);
  case JWK_OCT:
    break;
  }
  return -1;
}

json_t *jwt_jwk_of(EVP_PKEY *key, bool private, struct err *e)
{
  enum jwk_type type = jwk_judge(key, e);
  if (type == 0)
    return NULL;
  json_t *o = json_object();
  if (o && put_key(o, key, type, private) == 0)
    return o;
  json_decref(o);
  err_set(e, "the key has no JWK form");
  return NULL;
}

/* Members in lexical order, no blanks: what jansson makes of a sorted compact dump. */
char *jwt_thumbprint(const json_t *jwk)
{
  static const char *const members[] = {"crv", "e", "kty", "n", "x", "y"};
  unsigned char sum[SHA256_SIZE];
  CLEANUP(buf_done) struct buf text;
  CLEANUP(json_drop) json_t *o = json_object();
  buf_init(&text, 64);
  for (size_t i = 0; i < ARRAY_SIZE(members); i++)
    if (json_object_get(jwk, members[i]))
      json_object_set(o, members[i], json_object_get(jwk, members[i]));
  AUTO_FREE char *dump = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
  if (dump == NULL || sha256(str_of(dump), sum) < 0 ||
      base64url_encode(&text, (struct str){(char *)sum, sizeof sum}) < 0)
    return NULL;
  return strdup(text.p);
}

/* ------------------------------------------------------------------ JWK to key */

static int push_number(OSSL_PARAM_BLD *build, const json_t *o, const struct number *number,
                       BIGNUM **keep)
{
  unsigned char raw[NUMBER_MAX];
  size_t n;
  if (base64url_decode(json_str(o, number->jwk), raw, sizeof raw, &n) < 0 || n == 0)
    return -1;
  *keep = BN_bin2bn(raw, (int)n, NULL);
  OPENSSL_cleanse(raw, sizeof raw);
  return *keep && OSSL_PARAM_BLD_push_BN(build, number->openssl, *keep) ? 0 : -1;
}

static EVP_PKEY *build_key(const char *type, OSSL_PARAM_BLD *build)
{
  EVP_PKEY *key = NULL;
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
      EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
    key = NULL;
  EVP_PKEY_CTX_free(ctx);
  OSSL_PARAM_free(params);
  return key;
}

static EVP_PKEY *private_rsa(const json_t *o)
{
  BIGNUM *keep[ARRAY_SIZE(rsa_numbers)] = {NULL};
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  bool good = build != NULL;
  for (size_t i = 0; good && i < ARRAY_SIZE(rsa_numbers); i++)
    good = push_number(build, o, &rsa_numbers[i], &keep[i]) == 0;
  EVP_PKEY *key = good ? build_key("RSA", build) : NULL;
  OSSL_PARAM_BLD_free(build);
  for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
    BN_clear_free(keep[i]);
  return key;
}

static EVP_PKEY *private_ec(const json_t *o)
{
  unsigned char point[1 + 2 * 66] = {4};
  size_t side = 0, nx = 0, ny = 0;
  const char *group = "";
  BIGNUM *d = NULL;
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
    if (str_is(json_str(o, "crv"), curves[i].jwk)) {
      side = curves[i].bytes;
      group = curves[i].openssl;
    }
  if (side == 0 || base64url_decode(json_str(o, "x"), point + 1, side, &nx) < 0 ||
      base64url_decode(json_str(o, "y"), point + 1 + side, side, &ny) < 0 || nx != side ||
      ny != side)
    return NULL;
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  EVP_PKEY *key = NULL;
  if (build && push_number(build, o, &ec_numbers[2], &d) == 0 &&
      OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) &&
      OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * side))
    key = build_key("EC", build);
  OSSL_PARAM_BLD_free(build);
  BN_clear_free(d);
  return key;
}

static EVP_PKEY *private_ed25519(const json_t *o)
{
  unsigned char d[32];
  size_t n;
  if (!str_is(json_str(o, "crv"), "Ed25519") ||
      base64url_decode(json_str(o, "d"), d, sizeof d, &n) < 0 || n != sizeof d)
    return NULL;
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, d, n);
  OPENSSL_cleanse(d, sizeof d);
  return key;
}

EVP_PKEY *jwt_jwk_private(const json_t *jwk, struct err *e)
{
  struct str kty = json_str(jwk, "kty");
  EVP_PKEY *key = str_is(kty, "RSA")   ? private_rsa(jwk)
                  : str_is(kty, "EC")  ? private_ec(jwk)
                  : str_is(kty, "OKP") ? private_ed25519(jwk)
                                       : NULL;
  ERR_clear_error();
  if (key == NULL)
    err_set(e, "not a private JWK that can be used");
  return key;
}
