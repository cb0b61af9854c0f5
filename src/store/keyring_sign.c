/* ES256 by keys of the ring: generation, public form (RFC 7517, kid by RFC 7638), compact JWTs and
 * their verification (RFC 7515, 7518 section 3.4); see keyring.h.  Below src/auth, which judges
 * tokens of others. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>

#include "store/keyring_impl.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

enum { SIDE = 32, DER_SIGNATURE = 80 };

/* ---- keys */

struct secret *sign_key_generate(struct err *e)
{
  EVP_PKEY *key = EVP_EC_gen("P-256");
  unsigned char *der = NULL;
  int n = key ? i2d_PrivateKey(key, &der) : -1;
  struct secret *s = n > 0 ? secret_new((struct str){(char *)der, (size_t)n}) : NULL;
  OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
  EVP_PKEY_free(key);
  if (s == NULL)
    err_set(e, "a signing key could not be made");
  return s;
}

static int encode(struct str bytes, char ret[KEYRING_KID])
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, KEYRING_KID + 4);
  if (base64url_encode(&b, bytes) < 0 || b.n != KEYRING_KID - 1)
    return -1;
  memcpy(ret, b.p, KEYRING_KID);
  return 0;
}

static int coordinate(EVP_PKEY *key, const char *name, char ret[KEYRING_KID])
{
  unsigned char bytes[SIDE];
  BIGNUM *n = NULL;
  int r = EVP_PKEY_get_bn_param(key, name, &n) == 1 && BN_bn2binpad(n, bytes, SIDE) == SIDE
              ? encode((struct str){(char *)bytes, SIDE}, ret)
              : -1;
  BN_free(n);
  return r;
}

/* RFC 7638: the required members in the order of their names, no blanks. */
static int thumbprint(struct sign_key *s)
{
  CLEANUP(buf_done) struct buf b;
  unsigned char hash[SHA256_DIGEST_LENGTH];
  buf_init(&b, 256);
  buf_printf(&b, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", s->x, s->y);
  if (b.failed)
    return -1;
  SHA256((unsigned char *)b.p, b.n, hash);
  return encode((struct str){(char *)hash, sizeof hash}, s->kid);
}

static bool set_up(struct sign_key *s)
{
  s->signer = EVP_MD_CTX_new();
  s->verifier = EVP_MD_CTX_new();
  return s->signer && s->verifier &&
         EVP_DigestSignInit(s->signer, NULL, EVP_sha256(), NULL, s->key) == 1 &&
         EVP_DigestVerifyInit(s->verifier, NULL, EVP_sha256(), NULL, s->key) == 1;
}

void sign_key_done(struct sign_key *s)
{
  EVP_MD_CTX_free(s->signer);
  EVP_MD_CTX_free(s->verifier);
  EVP_PKEY_free(s->key);
  secret_free(s->der);
  *s = (struct sign_key){.der = NULL};
}

int sign_key_derive(struct sign_key *s, struct err *e)
{
  struct str der = secret_expose(s->der);
  const unsigned char *p = (const unsigned char *)der.p;
  s->key = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
  char curve[32];
  bool good =
      s->key && EVP_PKEY_get_group_name(s->key, curve, sizeof curve, NULL) == 1 &&
      strcmp(curve, "prime256v1") == 0 && coordinate(s->key, OSSL_PKEY_PARAM_EC_PUB_X, s->x) == 0 &&
      coordinate(s->key, OSSL_PKEY_PARAM_EC_PUB_Y, s->y) == 0 && thumbprint(s) == 0 && set_up(s);
  ERR_clear_error();
  return good ? 0 : err_set(e, "a signing key of the key ring is damaged");
}

int ring_publish(struct ring *r, struct err *e)
{
  buf_init(&r->jwks, LIMIT_JWKS_BYTES);
  buf_puts(&r->jwks, "{\"keys\":[");
  for (size_t i = 0; i < r->n_sign; i++) {
    const struct sign_key *s = &r->sign[i];
    buf_printf(&r->jwks,
               "%s{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\",\"use\":\"sig\","
               "\"alg\":\"ES256\",\"kid\":\"%s\"}",
               i ? "," : "", s->x, s->y, s->kid);
  }
  buf_puts(&r->jwks, "]}");
  return r->jwks.failed ? err_set(e, "out of memory") : 0;
}

/* ---- signatures: r and s, 32 bytes each */

static int sign(const struct sign_key *key, struct str data, unsigned char ret[2 * SIDE])
{
  unsigned char der[DER_SIGNATURE];
  const unsigned char *p = der;
  size_t n = sizeof der;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool good = ctx && EVP_MD_CTX_copy_ex(ctx, key->signer) == 1 &&
              EVP_DigestSign(ctx, der, &n, (const unsigned char *)data.p, data.n) == 1;
  EVP_MD_CTX_free(ctx);
  ECDSA_SIG *pair = good ? d2i_ECDSA_SIG(NULL, &p, (long)n) : NULL;
  good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret, SIDE) == SIDE &&
         BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret + SIDE, SIDE) == SIDE;
  ECDSA_SIG_free(pair);
  return good ? 0 : -1;
}

static int to_der(const unsigned char raw[2 * SIDE], unsigned char *ret, size_t size)
{
  ECDSA_SIG *pair = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(raw, SIDE, NULL), *s = BN_bin2bn(raw + SIDE, SIDE, NULL);
  int n = -1;
  if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
    r = s = NULL; /* the pair's */
    if (i2d_ECDSA_SIG(pair, NULL) <= (int)size)
      n = i2d_ECDSA_SIG(pair, &ret);
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(pair);
  return n;
}

static bool verify(const struct sign_key *key, struct str data, const unsigned char raw[2 * SIDE])
{
  unsigned char der[DER_SIGNATURE];
  int n = to_der(raw, der, sizeof der);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool good = n > 0 && ctx && EVP_MD_CTX_copy_ex(ctx, key->verifier) == 1 &&
              EVP_DigestVerify(ctx, der, (size_t)n, (const unsigned char *)data.p, data.n) == 1;
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return good;
}

/* ---- tokens */

static void header(struct buf *b, const char *kid, const char *typ)
{
  buf_printf(b, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"%s\"}", kid, typ);
}

int keyring_sign(const struct keyring *k, struct str claims, const char *typ, struct buf *out,
                 struct err *e)
{
  const struct sign_key *s = ring_signing(atomic_load(&k->now));
  CLEANUP(buf_done) struct buf head;
  unsigned char raw[2 * SIDE];
  size_t from = out->n;
  buf_init(&head, 256);
  header(&head, s->kid, typ);
  base64url_encode(out, buf_view(&head));
  buf_putc(out, '.');
  base64url_encode(out, claims);
  if (head.failed || out->failed)
    return err_set(e, "the token does not fit");
  if (sign(s, (struct str){out->p + from, out->n - from}, raw) < 0)
    return err_set(e, "a token could not be signed");
  buf_putc(out, '.');
  base64url_encode(out, (struct str){(char *)raw, sizeof raw});
  return out->failed ? err_set(e, "the token does not fit") : 0;
}

/* The key that a header names, when it is just what we write. */
static const struct sign_key *key_of(const struct ring *r, struct str head64, const char *typ)
{
  char text[256];
  size_t n;
  if (base64url_decode(head64, text, sizeof text, &n) < 0)
    return NULL;
  for (size_t i = 0; i < r->n_sign; i++) {
    CLEANUP(buf_done) struct buf ours;
    buf_init(&ours, 256);
    header(&ours, r->sign[i].kid, typ);
    if (!ours.failed && str_eq(buf_view(&ours), (struct str){text, n}))
      return &r->sign[i];
  }
  return NULL;
}

static json_t *claims_of(struct str claims64, struct err *e)
{
  CLEANUP(buf_done) struct buf b;
  size_t n;
  buf_init(&b, LIMIT_CREDENTIAL + 1);
  char *to = buf_reserve(&b, claims64.n + 1);
  if (to == NULL || base64url_decode(claims64, to, claims64.n, &n) < 0) {
    err_set(e, "the token is not base64url, or too long");
    return NULL;
  }
  json_t *j = json_parse((struct str){to, n}, LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, e);
  if (j == NULL || json_is_object(j))
    return j;
  json_decref(j);
  err_set(e, "the token's claims are not an object");
  return NULL;
}

int keyring_verify(const struct keyring *k, struct str token, const char *typ, json_t **ret_claims,
                   struct err *e)
{
  struct str rest = token, head, claims, sig;
  unsigned char raw[2 * SIDE];
  size_t n;
  if (token.n > LIMIT_CREDENTIAL || !str_next(&rest, '.', &head) ||
      !str_next(&rest, '.', &claims) || !str_next(&rest, '.', &sig) || rest.p != NULL)
    return err_set(e, "not a token of ours");
  const struct sign_key *s = key_of(atomic_load(&k->now), head, typ);
  if (s == NULL)
    return err_set(e, "the token's header is not one of ours, or its key is gone");
  struct str data = {token.p, head.n + 1 + claims.n};
  if (base64url_decode(sig, raw, sizeof raw, &n) < 0 || n != sizeof raw || !verify(s, data, raw))
    return err_set(e, "the token's signature is wrong");
  json_t *j = claims_of(claims, e);
  if (j == NULL)
    return -1;
  *ret_claims = j;
  return 0;
}
