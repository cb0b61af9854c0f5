/* Algorithms and single keys; see jwk.h.  What a key may be is decided here, once, when it is read:
 * jws.c then trusts struct jwk. */
#include "auth/jwk.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

enum { NUMBER_MAX = LIMIT_RSA_MAX_BITS / 8 + 1 };

/* ------------------------------------------------------------------ algorithms */

enum family { FAMILY_RSA = 1, FAMILY_EC, FAMILY_ED, FAMILY_OCT };

static const struct {
  const char *name;
  enum family family;
  enum jwk_type type; /* of EC keys */
  size_t bits;        /* of the digest */
} algs[ALG_COUNT] = {
    [ALG_RS256] = {"RS256", FAMILY_RSA, JWK_RSA, 256},
    [ALG_RS384] = {"RS384", FAMILY_RSA, JWK_RSA, 384},
    [ALG_RS512] = {"RS512", FAMILY_RSA, JWK_RSA, 512},
    [ALG_PS256] = {"PS256", FAMILY_RSA, JWK_RSA, 256},
    [ALG_PS384] = {"PS384", FAMILY_RSA, JWK_RSA, 384},
    [ALG_PS512] = {"PS512", FAMILY_RSA, JWK_RSA, 512},
    [ALG_ES256] = {"ES256", FAMILY_EC, JWK_P256, 256},
    [ALG_ES384] = {"ES384", FAMILY_EC, JWK_P384, 384},
    [ALG_ES512] = {"ES512", FAMILY_EC, JWK_P521, 512},
    [ALG_EDDSA] = {"EdDSA", FAMILY_ED, JWK_ED25519, 0},
    [ALG_HS256] = {"HS256", FAMILY_OCT, JWK_OCT, 256},
    [ALG_HS384] = {"HS384", FAMILY_OCT, JWK_OCT, 384},
    [ALG_HS512] = {"HS512", FAMILY_OCT, JWK_OCT, 512},
};

enum jwt_alg jwt_alg_parse(struct str name)
{
  for (int i = ALG_NONE + 1; i < ALG_COUNT; i++)
    if (str_is(name, algs[i].name))
      return (enum jwt_alg)i;
  return ALG_NONE;
}

const char *jwt_alg_name(enum jwt_alg alg)
{
  return alg > ALG_NONE && alg < ALG_COUNT ? algs[alg].name : "none";
}

const EVP_MD *jwt_alg_digest(enum jwt_alg alg)
{
  switch (algs[alg].bits) {
  case 256:
    return EVP_sha256();
  case 384:
    return EVP_sha384();
  case 512:
    return EVP_sha512();
  }
  return NULL;
}

bool jwk_fits(const struct jwk *key, enum jwt_alg alg)
{
  if (alg <= ALG_NONE || alg >= ALG_COUNT || key->type != algs[alg].type)
    return false;
  if (key->alg != ALG_NONE && key->alg != alg)
    return false;
  /* RFC 7518 section 3.2: the secret is at least as long as the digest. */
  return key->type != JWK_OCT || secret_expose(key->shared).n * 8 >= algs[alg].bits;
}

/* ------------------------------------------------------------------ judging keys */

/* Primes whose power residues give away keys of a broken smart-card library (ROCA,
 * CVE-2017-15361): its primes are 65537^a mod their product, and so are the moduli. */
static const unsigned char roca_primes[] = {
    3,  5,  7,  11, 13, 17,  19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,  71,
    73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};

static bool is_power_of_65537(unsigned n, unsigned p)
{
  unsigned x = 1;
  do {
    if (x == n)
      return true;
    x = x * (65537 % p) % p;
  } while (x != 1);
  return false;
}

static bool is_roca(const BIGNUM *n)
{
  for (size_t i = 0; i < sizeof roca_primes; i++)
    if (!is_power_of_65537((unsigned)BN_mod_word(n, roca_primes[i]), roca_primes[i]))
      return false;
  return true;
}

static int judge_rsa_numbers(const BIGNUM *n, const BIGNUM *exponent, struct err *e)
{
  int bits = BN_num_bits(n);
  if (bits < LIMIT_RSA_MIN_BITS || bits > LIMIT_RSA_MAX_BITS)
    return err_set(e, "RSA of %d bits (%d to %d)", bits, LIMIT_RSA_MIN_BITS, LIMIT_RSA_MAX_BITS);
  if (!BN_is_odd(n))
    return err_set(e, "even RSA modulus");
  if (!BN_is_odd(exponent) || BN_is_one(exponent) || BN_num_bits(exponent) > 64)
    return err_set(e, "unusable RSA exponent");
  if (is_roca(n))
    return err_set(e, "RSA key made by a broken library (CVE-2017-15361)");
  return 0;
}

static enum jwk_type judge_rsa(EVP_PKEY *key, struct err *e)
{
  BIGNUM *n = NULL, *exponent = NULL;
  int bad = -1;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) &&
      EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent))
    bad = judge_rsa_numbers(n, exponent, e);
  else
    err_set(e, "unreadable RSA key");
  BN_free(n);
  BN_free(exponent);
  return bad ? 0 : JWK_RSA;
}

static const struct curve {
  const char *jwk, *openssl;
  enum jwk_type type;
  size_t bytes; /* of a coordinate */
} curves[] = {
    {"P-256", SN_X9_62_prime256v1, JWK_P256, 32},
    {"P-384", SN_secp384r1, JWK_P384, 48},
    {"P-521", SN_secp521r1, JWK_P521, 66},
};

static enum jwk_type judge_ec(EVP_PKEY *key, struct err *e)
{
  char group[64] = "";
  size_t n;
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
  bool sound = ctx && EVP_PKEY_public_check(ctx) == 1;
  EVP_PKEY_CTX_free(ctx);
  if (!sound) {
    err_set(e, "not a point of its curve");
    return 0;
  }
  EVP_PKEY_get_group_name(key, group, sizeof group, &n);
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
    if (strcmp(curves[i].openssl, group) == 0)
      return curves[i].type;
  err_set(e, "curve '%s'", group);
  return 0;
}

/* Points of small order make signatures that fit every message.  All encodings of y, without the
 * sign bit. */
static const char *const small_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static enum jwk_type judge_ed25519(EVP_PKEY *key, struct err *e)
{
  unsigned char y[32], weak[32];
  size_t n = sizeof y;
  if (!EVP_PKEY_get_raw_public_key(key, y, &n) || n != sizeof y) {
    err_set(e, "unreadable Ed25519 key");
    return 0;
  }
  y[31] &= 0x7f;
  for (size_t i = 0; i < ARRAY_SIZE(small_order); i++)
    if (hex_decode(str_of(small_order[i]), weak, sizeof weak, &n) == 0 &&
        memcmp(weak, y, sizeof y) == 0) {
      err_set(e, "Ed25519 point of small order");
      return 0;
    }
  return JWK_ED25519;
}

enum jwk_type jwk_judge(EVP_PKEY *key, struct err *e)
{
  switch (EVP_PKEY_get_base_id(key)) {
  case EVP_PKEY_RSA:
    return judge_rsa(key, e);
  case EVP_PKEY_EC:
    return judge_ec(key, e);
  case EVP_PKEY_ED25519:
    return judge_ed25519(key, e);
  }
  err_set(e, "a kind of key that is not used for signatures here");
  return 0;
}

/* ------------------------------------------------------------------ one JWK */

static int decode(const json_t *o, const char *name, unsigned char *out, size_t cap, size_t *ret_n,
                  struct err *e)
{
  struct str text = json_str(o, name);
  if (text.p == NULL)
    return err_set(e, "'%s' is missing or no string", name);
  if (base64url_decode(text, out, cap, ret_n) < 0 || *ret_n == 0)
    return err_set(e, "'%s' is empty, too long or not base64url", name);
  return 0;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
  EVP_PKEY *key = NULL;
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
      EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
    key = NULL;
  EVP_PKEY_CTX_free(ctx);
  OSSL_PARAM_free(params);
  return key;
}

static EVP_PKEY *read_rsa(const json_t *o, struct err *e)
{
  unsigned char n[NUMBER_MAX], x[NUMBER_MAX];
  size_t n_len, x_len;
  if (decode(o, "n", n, sizeof n, &n_len, e) < 0 || decode(o, "e", x, sizeof x, &x_len, e) < 0)
    return NULL;
  BIGNUM *modulus = BN_bin2bn(n, (int)n_len, NULL), *exponent = BN_bin2bn(x, (int)x_len, NULL);
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  EVP_PKEY *key = NULL;
  if (modulus == NULL || exponent == NULL || build == NULL ||
      !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) ||
      !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
    err_set(e, "out of memory");
  else if (judge_rsa_numbers(modulus, exponent, e) == 0)
    key = from_params("RSA", build);
  OSSL_PARAM_BLD_free(build);
  BN_free(modulus);
  BN_free(exponent);
  return key;
}

static const struct curve *find_curve(struct str name)
{
  for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
    if (str_is(name, curves[i].jwk))
      return &curves[i];
  return NULL;
}

/* RFC 7518 section 6.2.1: coordinates have the full length of the field. */
static EVP_PKEY *read_ec(const json_t *o, struct err *e)
{
  unsigned char point[1 + 2 * 66] = {4};
  size_t nx, ny;
  const struct curve *c = find_curve(json_str(o, "crv"));
  if (c == NULL) {
    err_set(e, "unknown curve");
    return NULL;
  }
  if (decode(o, "x", point + 1, c->bytes, &nx, e) < 0 ||
      decode(o, "y", point + 1 + c->bytes, c->bytes, &ny, e) < 0)
    return NULL;
  if (nx != c->bytes || ny != c->bytes) {
    err_set(e, "coordinates of %zu and %zu bytes on %s", nx, ny, c->jwk);
    return NULL;
  }
  EVP_PKEY *key = NULL;
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  if (build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, c->openssl, 0) &&
      OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * c->bytes))
    key = from_params("EC", build);
  OSSL_PARAM_BLD_free(build);
  if (key == NULL)
    err_set(e, "not a point of %s", c->jwk);
  return key;
}

static EVP_PKEY *read_okp(const json_t *o, struct err *e)
{
  unsigned char x[32];
  size_t n;
  if (!str_is(json_str(o, "crv"), "Ed25519")) {
    err_set(e, "unknown curve");
    return NULL;
  }
  if (decode(o, "x", x, sizeof x, &n, e) < 0)
    return NULL;
  if (n != sizeof x) {
    err_set(e, "Ed25519 key of %zu bytes", n);
    return NULL;
  }
  return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, n);
}

static int read_oct(const json_t *o, struct jwk *ret, struct err *e)
{
  unsigned char k[JWK_SECRET_MAX];
  size_t n;
  if (decode(o, "k", k, sizeof k, &n, e) < 0)
    return -1;
  if (n < JWK_SECRET_MIN)
    err_set(e, "secret of %zu bytes (at least %d)", n, JWK_SECRET_MIN);
  else if ((ret->shared = secret_new((struct str){(char *)k, n})) == NULL)
    err_set(e, "out of memory");
  OPENSSL_cleanse(k, sizeof k);
  ret->type = JWK_OCT;
  return ret->shared ? 0 : -1;
}

static int read_public(const json_t *o, struct jwk *ret, struct err *e)
{
  struct str kty = json_str(o, "kty");
  if (json_object_get(o, "d") || json_object_get(o, "k"))
    return err_set(e, "a private or shared key among public ones");
  if (str_is(kty, "RSA"))
    ret->key = read_rsa(o, e);
  else if (str_is(kty, "EC"))
    ret->key = read_ec(o, e);
  else if (str_is(kty, "OKP"))
    ret->key = read_okp(o, e);
  else
    return err_set(e, "unknown kty");
  if (ret->key == NULL)
    return e->text[0] ? -1 : err_set(e, "refused by OpenSSL");
  ret->type = jwk_judge(ret->key, e);
  return ret->type ? 0 : -1;
}

static bool ops_verify(const json_t *ops)
{
  size_t i;
  json_t *op;
  json_array_foreach(ops, i, op) if (str_is(json_text(op), "verify")) return true;
  return ops == NULL;
}

/* RFC 7517 sections 4.2 to 4.5. */
static int read_uses(const json_t *o, struct jwk *ret, struct err *e)
{
  const json_t *use = json_object_get(o, "use"), *kid = json_object_get(o, "kid");
  const json_t *alg = json_object_get(o, "alg");
  if (use && !str_is(json_text(use), "sig"))
    return err_set(e, "not for signatures (use)");
  if (!ops_verify(json_object_get(o, "key_ops")))
    return err_set(e, "not for verifying (key_ops)");
  if (alg && (ret->alg = jwt_alg_parse(json_text(alg))) == ALG_NONE)
    return err_set(e, "unknown alg");
  if (kid == NULL)
    return 0;
  struct str text = json_text(kid);
  if (text.p == NULL || text.n > LIMIT_KID)
    return err_set(e, "kid is no string or longer than %d bytes", LIMIT_KID);
  ret->kid_n = text.n;
  ret->kid = malloc(text.n + 1);
  if (ret->kid == NULL)
    return err_set(e, "out of memory");
  memcpy(ret->kid, text.p, text.n + 1); /* jansson ends strings with a NUL */
  return 0;
}

int jwk_read(const json_t *o, bool oct, struct jwk *ret, struct err *e)
{
  if (!json_is_object(o))
    return err_set(e, "no object");
  if (read_uses(o, ret, e) < 0)
    return -1;
  if (oct ? read_oct(o, ret, e) < 0 : read_public(o, ret, e) < 0)
    return -1;
  if (ret->alg != ALG_NONE && !jwk_fits(ret, ret->alg))
    return err_set(e, "alg %s does not fit the key", jwt_alg_name(ret->alg));
  jwk_set_up(ret);
  return 0;
}

/* ------------------------------------------------------------------ verifying */

static EVP_MD_CTX *make_verifier(const struct jwk *k, enum jwt_alg alg)
{
  EVP_PKEY_CTX *pc = NULL;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool pss = alg >= ALG_PS256 && alg <= ALG_PS512;
  if (ctx && EVP_DigestVerifyInit(ctx, &pc, jwt_alg_digest(alg), NULL, k->key) == 1 &&
      (!pss || (EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) == 1)))
    return ctx;
  EVP_MD_CTX_free(ctx);
  return NULL;
}

/* What a key that does not say is used for; Ed25519 has nothing worth keeping. */
static enum jwt_alg usual(const struct jwk *k)
{
  switch (k->type) {
  case JWK_RSA:
    return k->alg != ALG_NONE ? k->alg : ALG_RS256;
  case JWK_P256:
    return ALG_ES256;
  case JWK_P384:
    return ALG_ES384;
  case JWK_P521:
    return ALG_ES512;
  case JWK_ED25519:
  case JWK_OCT:
    break;
  }
  return ALG_NONE;
}

void jwk_set_up(struct jwk *k)
{
  k->usual = usual(k);
  if (k->usual != ALG_NONE)
    k->verifier = make_verifier(k, k->usual);
  ERR_clear_error();
}

EVP_MD_CTX *jwk_verifier(const struct jwk *k, enum jwt_alg alg)
{
  if (k->verifier == NULL || k->usual != alg)
    return make_verifier(k, alg);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  if (ctx && EVP_MD_CTX_copy_ex(ctx, k->verifier) == 1)
    return ctx;
  EVP_MD_CTX_free(ctx);
  return NULL;
}

void jwk_done(struct jwk *k)
{
  free(k->kid);
  EVP_MD_CTX_free(k->verifier);
  EVP_PKEY_free(k->key);
  secret_free(k->shared);
  *k = (struct jwk){0};
}
