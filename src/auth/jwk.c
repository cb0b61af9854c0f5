/* JSON Web Keys, PEM keys and secrets; see jwk.h.  What a key may be is decided here, once, when it
 * is read: jws.c then trusts struct jwk. */
#include <config.h> /* memmem */

#include "auth/jwk.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

enum { SECRET_MIN = 32, SECRET_MAX = 4096, NUMBER_MAX = LIMIT_RSA_MAX_BITS / 8 + 1 };

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
  unsigned char k[SECRET_MAX];
  size_t n;
  if (decode(o, "k", k, sizeof k, &n, e) < 0)
    return -1;
  if (n < SECRET_MIN)
    err_set(e, "secret of %zu bytes (at least %d)", n, SECRET_MIN);
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

static int read_key(const json_t *o, bool oct, struct jwk *ret, struct err *e)
{
  if (!json_is_object(o))
    return err_set(e, "no object");
  if (read_uses(o, ret, e) < 0)
    return -1;
  if (oct ? read_oct(o, ret, e) < 0 : read_public(o, ret, e) < 0)
    return -1;
  if (ret->alg != ALG_NONE && !jwk_fits(ret, ret->alg))
    return err_set(e, "alg %s does not fit the key", jwt_alg_name(ret->alg));
  return 0;
}

/* ------------------------------------------------------------------ sets */

static void key_done(struct jwk *k)
{
  free(k->kid);
  EVP_PKEY_free(k->key);
  secret_free(k->shared);
  *k = (struct jwk){0};
}

void jwks_free(struct jwks *s)
{
  if (s == NULL)
    return;
  for (size_t i = 0; i < s->n; i++)
    key_done(&s->keys[i]);
  free(s->keys);
  free(s);
}

static struct jwks *set_new(size_t n, struct err *e)
{
  struct jwks *s = calloc(1, sizeof *s);
  if (s && (s->keys = calloc(n ? n : 1, sizeof *s->keys)))
    return s;
  free(s);
  err_set(e, "out of memory");
  return NULL;
}

static void skip(struct jwks *s, size_t index, struct str kid, const char *why)
{
  size_t n = strlen(s->skipped);
  snprintf(s->skipped + n, sizeof s->skipped - n, "%skey %zu%s%.*s: %s", n ? "; " : "", index + 1,
           kid.n ? " kid " : "", (int)(kid.n > 40 ? 40 : kid.n), kid.n ? kid.p : "", why);
}

static bool same_kid(const struct jwk *a, const struct jwk *b)
{
  return a->kid && b->kid && a->kid_n == b->kid_n && memcmp(a->kid, b->kid, a->kid_n) == 0;
}

/* Which of two keys of one kid the issuer means, nobody can tell: neither is used.  Keys without a
 * type are those that could not be read; their names count. */
static void drop_duplicates(struct jwks *s)
{
  bool twice[LIMIT_JWKS_KEYS] = {false};
  size_t kept = 0;
  for (size_t i = 0; i < s->n; i++)
    for (size_t j = 0; j < i; j++)
      if (same_kid(&s->keys[i], &s->keys[j]))
        twice[i] = twice[j] = true;
  for (size_t i = 0; i < s->n; i++) {
    struct jwk *k = &s->keys[i];
    if (twice[i] && k->type)
      skip(s, i, (struct str){k->kid, k->kid_n}, "kid stands more than once");
    if (twice[i] || k->type == 0)
      key_done(k);
    else
      s->keys[kept++] = *k;
  }
  s->n = kept;
}

/* S, or NULL with E when nothing is left in it. */
static struct jwks *finish(struct jwks *s, struct err *e)
{
  drop_duplicates(s);
  if (s->n > 0)
    return s;
  err_set(e, "no usable key%s%s", s->skipped[0] ? ": " : "", s->skipped);
  jwks_free(s);
  return NULL;
}

static struct jwks *read_set(const json_t *keys, bool oct, struct err *e)
{
  size_t i;
  json_t *o;
  struct jwks *s = set_new(json_array_size(keys), e);
  if (s == NULL)
    return NULL;
  json_array_foreach(keys, i, o)
  {
    struct err why = {""};
    struct jwk *k = &s->keys[s->n++];
    if (read_key(o, oct, k, &why) < 0) {
      k->type = 0;
      skip(s, i, json_str(o, "kid"), why.text);
    }
  }
  ERR_clear_error();
  return finish(s, e);
}

/* Secrets beside public keys would let a token choose between being signed and being keyed. */
static int mixed(const json_t *keys, bool oct, struct err *e)
{
  size_t i;
  json_t *o;
  json_array_foreach(keys, i, o) if (oct && !str_is(json_str(o, "kty"), "oct")) return err_set(
      e, "key %zu is no shared secret: a set has one kind", i + 1);
  return 0;
}

struct jwks *jwks_parse(struct str text, bool oct, struct err *e)
{
  if (text.n > LIMIT_JWKS_BYTES) {
    err_set(e, "%zu bytes of keys (at most %d)", text.n, LIMIT_JWKS_BYTES);
    return NULL;
  }
  CLEANUP(json_drop) json_t *doc = json_parse(text, LIMIT_JWT_DEPTH, LIMIT_JSON_VALUES, e);
  if (doc == NULL)
    return NULL;
  json_t *keys = json_object_get(doc, "keys");
  CLEANUP(json_drop) json_t *one = NULL;
  if (keys == NULL && json_object_get(doc, "kty"))
    keys = one = json_pack("[O]", doc);
  if (!json_is_array(keys)) {
    err_set(e, "neither a JWK Set nor a JWK");
    return NULL;
  }
  if (json_array_size(keys) > LIMIT_JWKS_KEYS) {
    err_set(e, "%zu keys (at most %d)", json_array_size(keys), LIMIT_JWKS_KEYS);
    return NULL;
  }
  if (mixed(keys, oct, e) < 0)
    return NULL;
  return read_set(keys, oct, e);
}

/* ------------------------------------------------------------------ PEM */

static EVP_PKEY *read_block(const char *name, const unsigned char *der, long n)
{
  const unsigned char *p = der;
  EVP_PKEY *key = NULL;
  if (strcmp(name, PEM_STRING_PUBLIC) == 0)
    return d2i_PUBKEY(NULL, &p, n);
  if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0)
    return d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, n);
  if (strcmp(name, PEM_STRING_X509) == 0) {
    X509 *cert = d2i_X509(NULL, &p, n);
    key = cert ? X509_get_pubkey(cert) : NULL;
    X509_free(cert);
  }
  return key;
}

/* One block into S; -1 with E ends the reading. */
static int add_block(struct jwks *s, size_t index, const char *name, const unsigned char *der,
                     long n, struct err *e)
{
  struct err why = {"not a public key or certificate"};
  if (strstr(name, "PRIVATE"))
    return err_set(e, "there is a private key: give the public one");
  if (index >= LIMIT_JWKS_KEYS)
    return err_set(e, "more than %d keys", LIMIT_JWKS_KEYS);
  EVP_PKEY *key = read_block(name, der, n);
  enum jwk_type type = key ? jwk_judge(key, &why) : 0;
  if (type) {
    s->keys[s->n++] = (struct jwk){.type = type, .key = key};
    return 0;
  }
  EVP_PKEY_free(key);
  skip(s, index, (struct str){NULL, 0}, why.text);
  return 0;
}

static int add_blocks(struct jwks *s, BIO *in, struct err *e)
{
  for (size_t index = 0;; index++) {
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long n;
    if (PEM_read_bio(in, &name, &header, &der, &n) != 1)
      return 0; /* the end, or nothing that looks like PEM */
    int bad = add_block(s, index, name, der, n, e);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    if (bad)
      return -1;
  }
}

struct jwks *jwks_parse_pem(struct str text, struct err *e)
{
  if (text.n > LIMIT_JWKS_BYTES) {
    err_set(e, "%zu bytes of keys (at most %d)", text.n, LIMIT_JWKS_BYTES);
    return NULL;
  }
  struct jwks *s = set_new(LIMIT_JWKS_KEYS, e);
  BIO *in = BIO_new_mem_buf(text.p, (int)text.n);
  int bad = s && in ? add_blocks(s, in, e) : -1;
  BIO_free(in);
  ERR_clear_error();
  if (bad) {
    jwks_free(s);
    return NULL;
  }
  return finish(s, e);
}

/* ------------------------------------------------------------------ secrets */

/* A public key used as a secret is known to everybody. */
static bool looks_public(struct str bytes)
{
  const unsigned char *p = (const unsigned char *)bytes.p;
  EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)bytes.n);
  X509 *cert = NULL;
  p = (const unsigned char *)bytes.p;
  if (key == NULL)
    cert = d2i_X509(NULL, &p, (long)bytes.n);
  bool public = key || cert;
  EVP_PKEY_free(key);
  X509_free(cert);
  ERR_clear_error();
  return public || memmem(bytes.p, bytes.n, "-----BEGIN ", 11) ||
         memmem(bytes.p, bytes.n, "\"kty\"", 5);
}

struct jwks *jwks_of_secret(struct str bytes, struct err *e)
{
  if (bytes.n < SECRET_MIN || bytes.n > SECRET_MAX) {
    err_set(e, "a shared secret has %d to %d bytes, not %zu", SECRET_MIN, SECRET_MAX, bytes.n);
    return NULL;
  }
  if (looks_public(bytes)) {
    err_set(e, "this is a key file, not a shared secret");
    return NULL;
  }
  struct jwks *s = set_new(1, e);
  struct secret *copy = s ? secret_new(bytes) : NULL;
  if (copy == NULL) {
    jwks_free(s);
    err_set(e, "out of memory");
    return NULL;
  }
  s->keys[s->n++] = (struct jwk){.type = JWK_OCT, .shared = copy};
  return s;
}
