/* Signers for tests; see jose.h. */
#include "jose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

struct signer signer_make(enum jwt_alg alg, const char *kid)
{
  struct signer s = {.alg = alg, .kid = kid};
  switch (alg) {
  case ALG_ES256:
    s.key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    break;
  case ALG_ES384:
    s.key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    break;
  case ALG_ES512:
    s.key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
    break;
  case ALG_EDDSA:
    s.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    break;
  case ALG_HS256:
  case ALG_HS384:
  case ALG_HS512:
    s.secret = STR("a secret of sixty-four bytes, for tests and for nothing else, ok");
    return s;
  default:
    s.key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
  }
  assert_non_null(s.key);
  return s;
}

void signer_done(struct signer *s)
{
  EVP_PKEY_free(s->key);
  s->key = NULL;
}

char *signers_jwks(const struct signer *s, size_t n)
{
  json_t *keys = json_array();
  for (size_t i = 0; i < n; i++) {
    json_t *jwk = jwt_jwk_of(s[i].key, false, NULL);
    assert_non_null(jwk);
    if (s[i].kid)
      json_object_set_new(jwk, "kid", json_string(s[i].kid));
    json_array_append_new(keys, jwk);
  }
  json_t *doc = json_pack("{so}", "keys", keys);
  char *text = json_dumps(doc, JSON_COMPACT);
  json_decref(doc);
  return text;
}

char *signer_raw(const struct signer *s, enum jwt_alg alg, struct str header, struct str payload)
{
  struct buf b;
  struct err e = {""};
  buf_init(&b, 1 << 20);
  if (jws_compact(alg, s->key, s->secret, header, payload, &b, &e) < 0)
    fail_msg("cannot sign: %s", e.text);
  return b.p;
}

char *signer_token(const struct signer *s, const char *payload)
{
  char header[512];
  if (s->kid)
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
             jwt_alg_name(s->alg), s->kid);
  else
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"at+jwt\"}", jwt_alg_name(s->alg));
  return signer_raw(s, s->alg, str_of(header), str_of(payload));
}
