/* Key sets, PEM files and secrets (rows 2, 16, 25): whatever comes in, what comes out is keys that
 * may be used, each name once, and a set from the network holds no secret. */
#include <stdlib.h>
#include <string.h>

#include "auth/jws.h"
#include "util/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_name(const struct jwk *a, const struct jwk *b)
{
  return a->kid && b->kid && a->kid_n == b->kid_n && memcmp(a->kid, b->kid, a->kid_n) == 0;
}

static void check_key(const struct jwk *k, bool oct)
{
  unsigned fits = 0;
  if ((k->shared != NULL) != oct || (k->key != NULL) == oct)
    abort();
  if (k->kid && (k->kid_n > LIMIT_KID || k->kid[k->kid_n]))
    abort();
  for (int alg = ALG_RS256; alg < ALG_COUNT; alg++)
    fits += jwk_fits(k, (enum jwt_alg)alg);
  if (fits == 0 || jwk_fits(k, ALG_NONE))
    abort();
  if (k->key && EVP_PKEY_get_base_id(k->key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(k->key) < 2048)
    abort();
}

static void check_set(struct jwks *s, bool oct, const struct err *e)
{
  struct err why = {""};
  if (s == NULL) {
    if (e->text[0] == 0)
      abort();
    return;
  }
  if (s->n == 0 || s->n > LIMIT_JWKS_KEYS)
    abort();
  for (size_t i = 0; i < s->n; i++) {
    check_key(&s->keys[i], oct);
    for (size_t j = 0; j < i; j++)
      if (same_name(&s->keys[i], &s->keys[j]))
        abort();
  }
  /* an unsigned token must not pass by any of them */
  if (jws_verify(
          STR("eyJhbGciOiJFUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
          s, &why) == JWT_VALID)
    abort();
  jwks_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct err e[4] = {{""}, {""}, {""}, {""}};
  struct str text = {(const char *)data, size};
  check_set(jwks_parse(text, false, &e[0]), false, &e[0]);
  check_set(jwks_parse(text, true, &e[1]), true, &e[1]);
  check_set(jwks_parse_pem(text, &e[2]), false, &e[2]);
  check_set(jwks_of_secret(text, &e[3]), true, &e[3]);
  return 0;
}
