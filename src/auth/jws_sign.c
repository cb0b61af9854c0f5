/* Signing; see jws_sign.h. */
#include "auth/jws_sign.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "util/base64url.h"
#include "util/cleanup.h"

enum { SIGNATURE_MAX = 2048 };

static bool digest_sign(enum jwt_alg alg, EVP_PKEY *key, struct str data, unsigned char *sig,
                        size_t *n)
{
  EVP_PKEY_CTX *pc = NULL;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool pss = alg >= ALG_PS256 && alg <= ALG_PS512;
  bool good = ctx && EVP_DigestSignInit(ctx, &pc, jwt_alg_digest(alg), NULL, key) == 1 &&
              (!pss || (EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) == 1 &&
                        EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
              EVP_DigestSign(ctx, sig, n, (const unsigned char *)data.p, data.n) == 1;
  EVP_MD_CTX_free(ctx);
  return good;
}

/* What OpenSSL writes, to r and s of SIDE bytes each. */
static bool unpack(unsigned char *sig, size_t *n, size_t side)
{
  const unsigned char *p = sig;
  ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &p, (long)*n);
  bool good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, (int)side) >= 0 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + side, (int)side) >= 0;
  ECDSA_SIG_free(pair);
  *n = 2 * side;
  return good;
}

static bool asymmetric(enum jwt_alg alg, EVP_PKEY *key, struct str data, unsigned char *sig,
                       size_t *n)
{
  struct jwk as_jwk = {.type = jwk_judge(key, NULL), .key = key};
  if (!jwk_fits(&as_jwk, alg) || !digest_sign(alg, key, data, sig, n))
    return false;
  switch (as_jwk.type) {
  case JWK_P256:
    return unpack(sig, n, 32);
  case JWK_P384:
    return unpack(sig, n, 48);
  case JWK_P521:
    return unpack(sig, n, 66);
  case JWK_RSA:
  case JWK_ED25519:
    return true;
  case JWK_OCT:
    return false;
  }
  return false;
}

int jws_sign(enum jwt_alg alg, EVP_PKEY *key, struct str secret, struct str data, struct buf *out,
             struct err *e)
{
  unsigned char sig[SIGNATURE_MAX];
  size_t n = sizeof sig;
  unsigned len = 0;
  bool hmac = alg >= ALG_HS256 && alg <= ALG_HS512;
  if (hmac && secret.n < (size_t)EVP_MD_get_size(jwt_alg_digest(alg)))
    return err_set(e, "the secret is too short for %s", jwt_alg_name(alg));
  bool good = hmac ? HMAC(jwt_alg_digest(alg), secret.p, (int)secret.n,
                          (const unsigned char *)data.p, data.n, sig, &len) != NULL
                   : key && asymmetric(alg, key, data, sig, &n);
  ERR_clear_error();
  if (!good)
    return err_set(e, "the key does not sign %s", jwt_alg_name(alg));
  return buf_add(out, sig, hmac ? len : n) < 0 ? err_set(e, "the signature does not fit") : 0;
}

int jws_compact(enum jwt_alg alg, EVP_PKEY *key, struct str secret, struct str header,
                struct str payload, struct buf *out, struct err *e)
{
  CLEANUP(buf_done) struct buf sig;
  size_t from = out->n;
  buf_init(&sig, SIGNATURE_MAX);
  base64url_encode(out, header);
  buf_putc(out, '.');
  base64url_encode(out, payload);
  struct str data = {out->p + from, out->n - from};
  if (out->failed || jws_sign(alg, key, secret, data, &sig, e) < 0)
    return out->failed ? err_set(e, "the token does not fit") : -1;
  buf_putc(out, '.');
  base64url_encode(out, buf_view(&sig));
  return out->failed ? err_set(e, "the token does not fit") : 0;
}
