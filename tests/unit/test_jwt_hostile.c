/* Hostile tokens: their form, their signatures, keys where none belong (rows 2, 3, 4, 6, 12, 14),
 * and the issuer that is read before anything is verified. */
#include <config.h> /* asprintf */

#include "jwt_world.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ------------------------------------------------------------------ form */

static char *parts(const char *header, const char *payload, const char *signature)
{
  char *t;
  if (asprintf(&t, "%s.%s.%s", header, payload, signature) < 0)
    fail();
  return t;
}

static void texts_that_are_no_jwt(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "", ".", "..", "...", "....", "a", "a.b", "a.b.c.d", "a.b.c.d.e", ".b.c", "..c", ".b.",
  };
  for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
    struct err e = {""};
    assert_int_equal(verify_with(texts[i], keys, &policy, NOW, &e), JWT_NOT_A_JWT);
  }
}

/* The parts of one good token, to be spoilt. */
static char good[4096];
static char *head, *body, *sig;

static void split_good(const struct signer *s)
{
  char *t = signer_token(s, GOOD);
  snprintf(good, sizeof good, "%s", t);
  free(t);
  head = good;
  body = strchr(head, '.');
  *body++ = 0;
  sig = strchr(body, '.');
  *sig++ = 0;
}

/* row 14: one value, one spelling, in every part. */
static void other_spellings_of_base64_are_malformed(void **state)
{
  (void)state;
  static const char *const appended[] = {"=", "==", " ", "\n", "\r\n", "\t",
                                         "A", "!",  "?", "/",  "+"};
  split_good(&rsa);
  for (int part = 0; part < 3; part++)
    for (size_t i = 0; i < ARRAY_SIZE(appended); i++)
      for (int front = 0; front < 2; front++) {
        char spoilt[2048], *p[3] = {head, body, sig};
        snprintf(spoilt, sizeof spoilt, "%s%s", front ? appended[i] : p[part],
                 front ? p[part] : appended[i]);
        p[part] = spoilt;
        AUTO_FREE char *t = parts(p[0], p[1], p[2]);
        struct err e = {""};
        assert_int_not_equal(verify_with(t, keys, &policy, NOW, &e), JWT_VALID);
      }
}

/* row 14: the bits that the last character has too many must be zero. */
static void stray_bits_are_malformed(void **state)
{
  (void)state;
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned tried = 0;
  split_good(&rsa);
  for (int part = 0; part < 3; part++) {
    char *p[3] = {head, body, sig}, *last = p[part] + strlen(p[part]) - 1, was = *last;
    size_t over = strlen(p[part]) % 4; /* 2: four stray bits; 3: two; 0: none */
    int place = (int)(strchr(alphabet, was) - alphabet), stray = over == 2 ? 16 : over == 3 ? 4 : 1;
    for (int bits = 1; bits < stray; bits++) {
      *last = alphabet[place | bits];
      AUTO_FREE char *t = parts(p[0], p[1], p[2]);
      expect(14, "stray bits", t, JWT_MALFORMED);
      tried++;
    }
    *last = was;
  }
  assert_true(tried >= 3);
}

/* Every single character of a token matters. */
static void no_character_can_be_changed(void **state)
{
  (void)state;
  AUTO_FREE char *t = signer_token(&ec, GOOD);
  for (size_t i = 0; t[i]; i++) {
    struct err e = {""};
    char was = t[i];
    t[i] = was == 'A' ? 'B' : 'A';
    assert_int_not_equal(verify_with(t, keys, &policy, NOW, &e), JWT_VALID);
    t[i] = was;
  }
  expect(0, "unchanged", t, JWT_VALID);
}

static void a_token_past_8_kib_is_malformed(void **state)
{
  (void)state;
  for (size_t n = 5000; n < 7000; n += 100) {
    struct buf payload;
    buf_init(&payload, 20000);
    buf_puts(&payload, "{" BASE "," EXP ",\"x\":\"");
    for (size_t i = 0; i < n; i++)
      buf_putc(&payload, 'x');
    buf_puts(&payload, "\"}");
    AUTO_FREE char *t = signer_token(&ec, payload.p);
    expect(12, "length", t, strlen(t) <= LIMIT_CREDENTIAL ? JWT_VALID : JWT_MALFORMED);
    buf_done(&payload);
  }
}

/* rows 12 and 161: many small values. */
static void too_many_values_are_malformed(void **state)
{
  (void)state;
  struct buf payload;
  buf_init(&payload, 20000);
  buf_puts(&payload, "{" BASE "," EXP ",\"x\":[0");
  for (int i = 0; i < 2500; i++)
    buf_puts(&payload, ",0");
  buf_puts(&payload, "]}");
  AUTO_FREE char *t = signer_token(&ec, payload.p);
  assert_true(strlen(t) <= LIMIT_CREDENTIAL);
  expect(12, "values", t, JWT_MALFORMED);
  buf_done(&payload);
}

/* ------------------------------------------------------------------ signatures */

static char *with_signature(const struct signer *s, const void *bytes, size_t n)
{
  struct buf b;
  buf_init(&b, 64 * 1024);
  base64url_encode(&b, (struct str){bytes, n});
  split_good(s);
  char *t = parts(head, body, b.p ? b.p : "");
  buf_done(&b);
  return t;
}

/* row 6: every length from 0 to 24 KiB, for every kind of key; only memory checkers see more. */
static void signatures_of_every_length_are_refused(void **state)
{
  (void)state;
  static unsigned char bytes[24 * 1024];
  const struct signer *const signers[] = {&rsa, &ec, &ed};
  memset(bytes, 0x55, sizeof bytes);
  for (size_t k = 0; k < ARRAY_SIZE(signers); k++) {
    AUTO_FREE char *all = with_signature(signers[k], bytes, sizeof bytes);
    size_t dot = (size_t)(strrchr(all, '.') - all) + 1, end = strlen(all);
    for (size_t n = 0; dot + n <= end; n++) {
      struct err e = {""};
      char was = all[dot + n];
      all[dot + n] = 0;
      enum jwt_status got = verify_with(all, keys, &policy, NOW, &e);
      assert_true(got == JWT_BAD_SIGNATURE || got == JWT_MALFORMED);
      all[dot + n] = was;
    }
  }
}

/* row 6: special values of r and s, and the DER form. */
static void special_ecdsa_values_are_refused(void **state)
{
  (void)state;
  static const char n_hex[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
  static const char p_hex[] = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
  unsigned char values[6][32] = {{0}};
  size_t len;
  values[1][31] = 1;
  hex_decode(str_of(n_hex), values[2], 32, &len);
  memcpy(values[3], values[2], 32);
  values[3][31]--; /* n - 1 */
  hex_decode(str_of(p_hex), values[4], 32, &len);
  memset(values[5], 0xff, 32);
  for (int r = 0; r < 6; r++)
    for (int s = 0; s < 6; s++) {
      unsigned char both[64];
      memcpy(both, values[r], 32);
      memcpy(both + 32, values[s], 32);
      AUTO_FREE char *t = with_signature(&ec, both, sizeof both);
      expect(6, "r and s", t, JWT_BAD_SIGNATURE);
    }
}

static void der_signatures_are_refused(void **state)
{
  (void)state;
  unsigned char der[256];
  size_t n = sizeof der;
  split_good(&ec);
  AUTO_FREE char *data = NULL;
  assert_true(asprintf(&data, "%s.%s", head, body) > 0);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, ec.key), 1);
  assert_int_equal(EVP_DigestSign(ctx, der, &n, (unsigned char *)data, strlen(data)), 1);
  EVP_MD_CTX_free(ctx);
  struct buf b;
  buf_init(&b, 1024);
  base64url_encode(&b, (struct str){(char *)der, n});
  AUTO_FREE char *t = parts(head, body, b.p);
  expect(6, "DER", t, JWT_BAD_SIGNATURE);
  buf_done(&b);
}

/* row 6: a good signature whose r and s have a zero byte more in front. */
static void padded_ecdsa_signatures_are_refused(void **state)
{
  (void)state;
  unsigned char raw[64], padded[66] = {0};
  size_t n;
  split_good(&ec);
  assert_int_equal(base64url_decode(str_of(sig), raw, sizeof raw, &n), 0);
  memcpy(padded + 1, raw, 32);
  memcpy(padded + 34, raw + 32, 32);
  struct buf b;
  buf_init(&b, 256);
  base64url_encode(&b, (struct str){(char *)padded, sizeof padded});
  AUTO_FREE char *t = parts(head, body, b.p);
  expect(6, "padded", t, JWT_BAD_SIGNATURE);
  AUTO_FREE char *fine = parts(head, body, sig);
  expect(6, "not padded", fine, JWT_VALID);
  buf_done(&b);
}

/* row 2: what the key says of itself binds too. */
static void the_alg_of_a_key_binds(void **state)
{
  (void)state;
  static const struct {
    const char *alg;
    enum jwt_status want;
  } cases[] = {
      {"RS256", JWT_VALID}, {"RS512", JWT_WRONG_ALGORITHM}, {"PS256", JWT_WRONG_ALGORITHM}};
  AUTO_FREE char *t = signer_token(&rsa, GOOD);
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    struct err e = {""};
    json_t *jwk = jwt_jwk_of(rsa.key, false, NULL);
    json_object_set_new(jwk, "alg", json_string(cases[i].alg));
    json_object_set_new(jwk, "kid", json_string("rsa"));
    AUTO_FREE char *text = json_dumps(jwk, 0);
    struct jwks *one = jwks_parse(str_of(text), false, &e);
    assert_int_equal(verify_with(t, one, &policy, NOW, &e), cases[i].want);
    jwks_free(one);
    json_decref(jwk);
  }
}

/* row 2: HS256 keyed with the public key, in every form that it can be had. */
static void the_public_key_is_no_secret(void **state)
{
  (void)state;
  struct str forms[4];
  char *pem = NULL, *modulus = NULL;
  unsigned char *der = NULL;
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, rsa.key);
  long pem_n = BIO_get_mem_data(bio, &pem);
  int der_n = i2d_PUBKEY(rsa.key, &der);
  json_t *jwk = jwt_jwk_of(rsa.key, false, NULL);
  AUTO_FREE char *jwk_text = json_dumps(jwk, JSON_COMPACT);
  modulus = strdup(json_string_value(json_object_get(jwk, "n")));
  forms[0] = (struct str){pem, (size_t)pem_n};
  forms[1] = (struct str){(char *)der, (size_t)der_n};
  forms[2] = str_of(jwk_text);
  forms[3] = str_of(modulus);
  for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
    for (int named = 0; named < 2; named++) {
      struct signer s = {.alg = ALG_HS256, .kid = named ? "rsa" : NULL, .secret = forms[i]};
      AUTO_FREE char *t = signer_token(&s, GOOD);
      struct err e = {""};
      expect(2, "confusion", t, JWT_WRONG_ALGORITHM);
      /* and it cannot be configured as a secret: the modulus alone looks like one */
      if (i < 3)
        assert_null(jwks_of_secret(forms[i], &e));
    }
  free(modulus);
  json_decref(jwk);
  OPENSSL_free(der);
  BIO_free(bio);
}

static void secrets_take_hs_and_nothing_else(void **state)
{
  (void)state;
  const struct signer *const signers[] = {&rsa, &ec, &ed};
  struct err e = {""};
  for (int alg = ALG_HS256; alg <= ALG_HS512; alg++) {
    struct signer s = {.alg = (enum jwt_alg)alg, .secret = hs.secret};
    AUTO_FREE char *t = signer_token(&s, GOOD);
    assert_int_equal(verify_with(t, secret, &policy, NOW, &e), JWT_VALID);
    assert_int_equal(verify_with(t, keys, &policy, NOW, &e), JWT_WRONG_ALGORITHM);
  }
  for (size_t i = 0; i < ARRAY_SIZE(signers); i++) {
    AUTO_FREE char *t = signer_token(signers[i], GOOD);
    assert_int_equal(verify_with(t, secret, &policy, NOW, &e), JWT_WRONG_ALGORITHM);
  }
}

/* row 2: every algorithm against every key: only its own. */
static void algorithms_are_bound_to_keys(void **state)
{
  (void)state;
  const struct signer *const signers[] = {&rsa, &ec, &ed};
  for (size_t k = 0; k < ARRAY_SIZE(signers); k++)
    for (int alg = ALG_RS256; alg < ALG_COUNT; alg++) {
      char header[128];
      struct err e = {""};
      snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}",
               jwt_alg_name((enum jwt_alg)alg), signers[k]->kid);
      AUTO_FREE char *t = signer_raw(signers[k], signers[k]->alg, str_of(header), str_of(GOOD));
      enum jwt_status got = verify_with(t, keys, &policy, NOW, &e);
      assert_int_equal(got == JWT_VALID, alg == (int)signers[k]->alg);
    }
}

/* row 4: the kid of another issuer's set means nothing here. */
static void kids_do_not_cross_sets(void **state)
{
  (void)state;
  struct signer other = signer_make(ALG_ES256, "ec");
  AUTO_FREE char *t = signer_token(&other, GOOD);
  expect(4, "same kid, other set", t, JWT_BAD_SIGNATURE);
  signer_done(&other);
}

static void a_key_in_the_header_is_not_used(void **state)
{
  (void)state;
  struct signer own = signer_make(ALG_ES256, NULL);
  json_t *jwk = jwt_jwk_of(own.key, false, NULL);
  static const char *const kids[] = {NULL, "ec", "own"};
  static const enum jwt_status wants[] = {JWT_BAD_SIGNATURE, JWT_BAD_SIGNATURE, JWT_UNKNOWN_KEY};
  for (size_t i = 0; i < ARRAY_SIZE(kids); i++) {
    json_t *h = json_pack("{sssOss*}", "alg", "ES256", "jwk", jwk, "kid", kids[i]);
    AUTO_FREE char *header = json_dumps(h, 0);
    AUTO_FREE char *t = signer_raw(&own, ALG_ES256, str_of(header), str_of(GOOD));
    expect(3, "jwk in the header", t, wants[i]);
    json_decref(h);
  }
  json_decref(jwk);
  signer_done(&own);
}

static void without_a_kid_several_keys_are_too_many(void **state)
{
  (void)state;
  struct signer two[] = {signer_make(ALG_ES256, "a"), signer_make(ALG_ES256, "b")};
  AUTO_FREE char *text = signers_jwks(two, 2);
  struct err e = {""};
  struct jwks *both = jwks_parse(str_of(text), false, &e);
  two[0].kid = NULL;
  AUTO_FREE char *t = signer_token(&two[0], GOOD);
  assert_int_equal(verify_with(t, both, &policy, NOW, &e), JWT_MALFORMED);
  jwks_free(both);
  signer_done(&two[0]);
  signer_done(&two[1]);
}

/* ------------------------------------------------------------------ the unverified issuer */

static void the_issuer_that_is_peeked_at_is_the_one_that_is_parsed(void **state)
{
  (void)state;
  static const struct {
    const char *payload, *want;
  } cases[] = {
      {GOOD, ISS},
      {"{\"x\":\"iss\",\"iss\":\"a\"}", "a"},
      {"{\"x\":{\"iss\":\"no\"},\"y\":[\"}\",{\"iss\":\"no\"}],\"iss\":\"a\"}", "a"},
      {"{\"x\":\"\\\",\\\"iss\\\":\\\"no\",\"iss\":\"a\"}", "a"},
      {"{ \"iss\" :\t\"a\" }", "a"},
      {"{\"\\u0069ss\":\"a\"}", "a"},
      {"{\"iss\":\"\\u0061\"}", "a"},
      {"{\"iss\":\"\"}", NULL},
      {"{\"iss\":1}", NULL},
      {"{\"iss\":[\"a\"]}", NULL},
      {"{\"ISS\":\"a\"}", NULL},
      {"{}", NULL},
      {"[\"iss\",\"a\"]", NULL},
      {"\"iss\"", NULL},
      {"{\"iss\"", NULL},
      {"{\"iss\":", NULL},
      {"{\"iss\":\"a", NULL},
      {"{\"x\":{", NULL},
      {"", NULL},
  };
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    char out[64] = "";
    AUTO_FREE char *t = signer_token(&ec, cases[i].payload);
    int got = jwt_issuer(str_of(t), out, sizeof out);
    if ((got == 0) != (cases[i].want != NULL) || (cases[i].want && strcmp(out, cases[i].want) != 0))
      fail_msg("%s: %d '%s'", cases[i].payload, got, out);
  }
}

static void an_issuer_that_does_not_fit_is_none(void **state)
{
  (void)state;
  char out[sizeof ISS];
  AUTO_FREE char *t = signer_token(&ec, GOOD);
  assert_int_equal(jwt_issuer(str_of(t), out, sizeof out), 0);
  assert_int_equal(jwt_issuer(str_of(t), out, sizeof out - 1), -1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_that_are_no_jwt),
      cmocka_unit_test(other_spellings_of_base64_are_malformed),
      cmocka_unit_test(stray_bits_are_malformed),
      cmocka_unit_test(no_character_can_be_changed),
      cmocka_unit_test(a_token_past_8_kib_is_malformed),
      cmocka_unit_test(too_many_values_are_malformed),
      cmocka_unit_test(signatures_of_every_length_are_refused),
      cmocka_unit_test(special_ecdsa_values_are_refused),
      cmocka_unit_test(der_signatures_are_refused),
      cmocka_unit_test(padded_ecdsa_signatures_are_refused),
      cmocka_unit_test(the_alg_of_a_key_binds),
      cmocka_unit_test(the_public_key_is_no_secret),
      cmocka_unit_test(secrets_take_hs_and_nothing_else),
      cmocka_unit_test(algorithms_are_bound_to_keys),
      cmocka_unit_test(kids_do_not_cross_sets),
      cmocka_unit_test(a_key_in_the_header_is_not_used),
      cmocka_unit_test(without_a_kid_several_keys_are_too_many),
      cmocka_unit_test(the_issuer_that_is_peeked_at_is_the_one_that_is_parsed),
      cmocka_unit_test(an_issuer_that_does_not_fit_is_none),
  };
  return jwt_world_run(tests);
}
