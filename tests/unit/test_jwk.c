/* Keys that must not be used (rows 2, 16, 25): sets from the network, PEM, secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwk.h"
#include "jose.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/limits.h"

static struct signer rsa, ec, ed;

static json_t *jwk_of(const struct signer *s)
{
  json_t *o = jwt_jwk_of(s->key, false, NULL);
  assert_non_null(o);
  json_object_set_new(o, "kid", json_string("k"));
  return o;
}

static struct jwks *parse(json_t *doc, bool oct, struct err *e)
{
  AUTO_FREE char *text = json_dumps(doc, 0);
  return jwks_parse(str_of(text), oct, e);
}

/* KEY (consumed) in a set beside a good key: the good one must be all that is left, and the log
 * must say why. */
static void assert_left_out(json_t *key, const char *why)
{
  struct err e = {""};
  json_t *fine = jwk_of(&ec);
  json_object_set_new(fine, "kid", json_string("good"));
  json_t *doc = json_pack("{s[oo]}", "keys", key, fine);
  struct jwks *s = parse(doc, false, &e);
  json_decref(doc);
  assert_non_null(s);
  if (s->n != 1 || strcmp(s->keys[0].kid, "good") != 0 || strstr(s->skipped, why) == NULL)
    fail_msg("%zu keys are left; '%s' does not say '%s'", s->n, s->skipped, why);
  jwks_free(s);
}

/* NAME replaced by the JSON text VALUE. */
static json_t *with(json_t *key, const char *name, const char *value)
{
  json_error_t je;
  json_t *v = json_loads(value, JSON_DECODE_ANY, &je);
  assert_non_null(v);
  json_object_set_new(key, name, v);
  return key;
}

static json_t *without(json_t *key, const char *name)
{
  json_object_del(key, name);
  return key;
}

static void good_keys_of_every_kind_are_used(void **state)
{
  (void)state;
  const struct signer all[] = {rsa, ec, ed};
  struct err e = {""};
  AUTO_FREE char *text = signers_jwks(all, 3);
  struct jwks *s = jwks_parse(str_of(text), false, &e);
  assert_non_null(s);
  assert_int_equal(s->n, 3);
  assert_string_equal(s->skipped, "");
  jwks_free(s);
}

static void one_jwk_is_a_set_of_one(void **state)
{
  (void)state;
  struct err e = {""};
  json_t *key = jwk_of(&ed);
  struct jwks *s = parse(key, false, &e);
  assert_non_null(s);
  assert_int_equal(s->n, 1);
  jwks_free(s);
  json_decref(key);
}

/* row 16 */
static void keys_for_other_uses_are_left_out(void **state)
{
  (void)state;
  assert_left_out(with(jwk_of(&rsa), "use", "\"enc\""), "use");
  assert_left_out(with(jwk_of(&rsa), "use", "[\"sig\"]"), "use");
  assert_left_out(with(jwk_of(&rsa), "use", "null"), "use");
  assert_left_out(with(jwk_of(&rsa), "key_ops", "[\"encrypt\"]"), "key_ops");
  assert_left_out(with(jwk_of(&rsa), "key_ops", "[\"sign\"]"), "key_ops");
  assert_left_out(with(jwk_of(&rsa), "key_ops", "[]"), "key_ops");
  assert_left_out(with(jwk_of(&rsa), "key_ops", "\"verify\""), "key_ops");
  assert_left_out(with(jwk_of(&rsa), "alg", "\"RSA-OAEP\""), "alg");
  assert_left_out(with(jwk_of(&rsa), "alg", "\"none\""), "alg");
  assert_left_out(with(jwk_of(&rsa), "alg", "\"HS256\""), "alg");
  assert_left_out(with(jwk_of(&rsa), "alg", "\"ES256\""), "alg");
  assert_left_out(with(jwk_of(&rsa), "alg", "1"), "alg");
  assert_left_out(with(jwk_of(&ec), "alg", "\"ES384\""), "alg");
  assert_left_out(with(jwk_of(&ed), "alg", "\"ES256\""), "alg");
}

static void private_and_shared_keys_are_left_out(void **state)
{
  (void)state;
  json_t *private = jwt_jwk_of(rsa.key, true, NULL);
  assert_left_out(private, "private");
  assert_left_out(with(jwk_of(&ec), "d", "\"AAAA\""), "private");
  assert_left_out(json_pack("{ssss}", "kty", "oct", "k",
                            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                  "shared");
  assert_left_out(with(jwk_of(&rsa), "k", "\"AAAA\""), "shared");
}

static void kids_that_are_no_names_are_left_out(void **state)
{
  (void)state;
  char kid[LIMIT_KID + 4];
  assert_left_out(with(jwk_of(&rsa), "kid", "1"), "kid");
  assert_left_out(with(jwk_of(&rsa), "kid", "null"), "kid");
  assert_left_out(with(jwk_of(&rsa), "kid", "[\"k\"]"), "kid");
  snprintf(kid, sizeof kid, "\"%0*d\"", LIMIT_KID + 1, 0);
  assert_left_out(with(jwk_of(&rsa), "kid", kid), "kid");
}

/* row 16: neither of two keys of one name, even when one of them cannot be read. */
static void keys_of_one_kid_are_all_left_out(void **state)
{
  (void)state;
  struct err e = {""};
  json_t *doc = json_pack("{s[ooo]}", "keys", jwk_of(&rsa), jwk_of(&ec),
                          with(jwk_of(&ed), "kid", "\"other\""));
  struct jwks *s = parse(doc, false, &e);
  assert_int_equal(s->n, 1);
  assert_string_equal(s->keys[0].kid, "other");
  jwks_free(s);
  json_decref(doc);
  doc = json_pack("{s[oo]}", "keys", jwk_of(&rsa), with(jwk_of(&ec), "x", "\"AA\""));
  assert_null(parse(doc, false, &e));
  json_decref(doc);
}

/* An encryption key may share its name with a signature key (RFC 7517 section 4.5). */
static void a_key_for_encryption_does_not_spoil_its_namesake(void **state)
{
  (void)state;
  struct err e = {""};
  json_t *doc = json_pack("{s[oo]}", "keys", jwk_of(&rsa), with(jwk_of(&ec), "use", "\"enc\""));
  struct jwks *s = parse(doc, false, &e);
  assert_non_null(s);
  assert_int_equal(s->n, 1);
  assert_int_equal(s->keys[0].type, JWK_RSA);
  jwks_free(s);
  json_decref(doc);
}

static char *base64url_of(size_t n, unsigned char first, unsigned char last)
{
  unsigned char *p = malloc(n);
  memset(p, 0xa5, n);
  p[0] = first;
  p[n - 1] = last;
  struct buf b;
  buf_init(&b, 1 << 16);
  buf_putc(&b, '"');
  base64url_encode(&b, (struct str){(char *)p, n});
  buf_putc(&b, '"');
  free(p);
  return b.p;
}

static void assert_modulus_left_out(size_t bytes, unsigned char first, unsigned char last,
                                    const char *why)
{
  AUTO_FREE char *n = base64url_of(bytes, first, last);
  assert_left_out(with(jwk_of(&rsa), "n", n), why);
}

/* row 16 */
static void weak_rsa_keys_are_left_out(void **state)
{
  (void)state;
  assert_modulus_left_out(64, 0xff, 0x01, "512 bits");
  assert_modulus_left_out(128, 0xff, 0x01, "1024 bits");
  assert_modulus_left_out(256, 0x7f, 0x01, "2047 bits");
  assert_modulus_left_out(1025, 0x01, 0x01, "8193 bits");
  assert_modulus_left_out(2048, 0xff, 0x01, "too long");
  assert_modulus_left_out(20000, 0xff, 0x01, "too long");
  assert_modulus_left_out(256, 0xff, 0x02, "even");
  assert_left_out(with(jwk_of(&rsa), "e", "\"AQ\""), "exponent");
  assert_left_out(with(jwk_of(&rsa), "e", "\"Ag\""), "exponent");
  assert_left_out(with(jwk_of(&rsa), "e", "\"AA\""), "exponent");
  assert_left_out(with(jwk_of(&rsa), "e", "\"AQAAAAAAAAAAAAAAAQ\""), "exponent");
  assert_left_out(with(jwk_of(&rsa), "e", "\"\""), "'e'");
  assert_left_out(with(jwk_of(&rsa), "e", "65537"), "'e'");
  assert_left_out(with(jwk_of(&rsa), "e", "\"AQAB=\""), "'e'");
  assert_left_out(with(jwk_of(&rsa), "n", "\"!!\""), "'n'");
  assert_left_out(without(jwk_of(&rsa), "n"), "'n'");
  assert_left_out(without(jwk_of(&rsa), "e"), "'e'");
  assert_left_out(with(jwk_of(&rsa), "kty", "\"rsa\""), "kty");
  assert_left_out(without(jwk_of(&rsa), "kty"), "kty");
}

/* row 16: a modulus with the mark of CVE-2017-15361, which is a power of 65537 modulo each of the
 * primes from 3 to 167. */
static void keys_of_the_broken_card_library_are_left_out(void **state)
{
  (void)state;
  unsigned char bytes[256];
  BN_CTX *ctx = BN_CTX_new();
  BIGNUM *product = BN_new(), *n = BN_new(), *power = BN_new(), *top = BN_new();
  BN_one(product);
  for (unsigned p = 3; p <= 167; p += 2) {
    bool prime = true;
    for (unsigned d = 3; d * d <= p; d += 2)
      prime &= p % d != 0;
    if (prime)
      BN_mul_word(product, p);
  }
  BN_set_word(power, 65537);
  BN_set_word(top, 12345);
  BN_mod_exp(n, power, top, product, ctx);
  BN_zero(top);
  BN_set_bit(top, 2047);
  BN_set_bit(top, 2046);
  BN_div(power, NULL, top, product, ctx);
  BN_mul(power, power, product, ctx);
  BN_add(n, n, power);
  if (!BN_is_odd(n))
    BN_add(n, n, product);
  assert_int_equal(BN_num_bits(n), 2048);
  assert_int_equal(BN_bn2bin(n, bytes), sizeof bytes);
  struct buf b;
  buf_init(&b, 1024);
  buf_putc(&b, '"');
  base64url_encode(&b, (struct str){(char *)bytes, sizeof bytes});
  buf_putc(&b, '"');
  assert_left_out(with(jwk_of(&rsa), "n", b.p), "broken library");
  buf_done(&b);
  BN_free(product);
  BN_free(n);
  BN_free(power);
  BN_free(top);
  BN_CTX_free(ctx);
}

/* row 16 */
static void odd_ec_keys_are_left_out(void **state)
{
  (void)state;
  const char *zeros = "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"";
  const char *ones = "\"__________________________________________8\"";
  assert_left_out(with(jwk_of(&ec), "x", zeros), "point");
  assert_left_out(with(jwk_of(&ec), "y", zeros), "point");
  assert_left_out(with(jwk_of(&ec), "x", ones), "point");
  assert_left_out(with(with(jwk_of(&ec), "x", zeros), "y", zeros), "point");
  assert_left_out(with(jwk_of(&ec), "x", "\"AA\""), "coordinates");
  assert_left_out(with(jwk_of(&ec), "y", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""),
                  "too long");
  assert_left_out(with(jwk_of(&ec), "crv", "\"P-384\""), "coordinates");
  assert_left_out(with(jwk_of(&ec), "crv", "\"secp256k1\""), "curve");
  assert_left_out(with(jwk_of(&ec), "crv", "\"P-224\""), "curve");
  assert_left_out(with(jwk_of(&ec), "crv", "null"), "curve");
  assert_left_out(without(jwk_of(&ec), "crv"), "curve");
  assert_left_out(without(jwk_of(&ec), "y"), "'y'");
  assert_left_out(with(jwk_of(&ec), "kty", "\"OKP\""), "curve");
}

static void odd_ed25519_keys_are_left_out(void **state)
{
  (void)state;
  assert_left_out(with(jwk_of(&ed), "crv", "\"Ed448\""), "curve");
  assert_left_out(with(jwk_of(&ed), "crv", "\"X25519\""), "curve");
  assert_left_out(with(jwk_of(&ed), "x", "\"AA\""), "1 bytes");
  assert_left_out(without(jwk_of(&ed), "x"), "'x'");
  /* points of small order: 0, 1, and 1 with the sign bit */
  assert_left_out(with(jwk_of(&ed), "x", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""),
                  "order");
  assert_left_out(with(jwk_of(&ed), "x", "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""),
                  "order");
  assert_left_out(with(jwk_of(&ed), "x", "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA\""),
                  "order");
}

static void things_that_are_no_keys_are_left_out(void **state)
{
  (void)state;
  assert_left_out(json_null(), "object");
  assert_left_out(json_integer(1), "object");
  assert_left_out(json_array(), "object");
  assert_left_out(json_object(), "kty");
}

static void documents_that_are_no_set_are_refused(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "",
      "x",
      "[]",
      "null",
      "1",
      "\"keys\"",
      "{}",
      "{\"keys\":null}",
      "{\"keys\":{}}",
      "{\"keys\":[]}",
      "{\"Keys\":[]}",
      "{\"keys\":[{}]}",
      "{\"keys\":[],\"keys\":[]}",
      "\xef\xbb\xbf{\"keys\":[]}",
      "{\"keys\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}",
  };
  for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
    struct err e = {""};
    assert_null(jwks_parse(str_of(texts[i]), false, &e));
    assert_true(e.text[0]);
  }
}

/* row 25 */
static void sets_have_a_hundred_keys_at_most(void **state)
{
  (void)state;
  for (int n = 100; n <= 101; n++) {
    struct err e = {""};
    json_t *keys = json_array();
    for (int i = 0; i < n; i++) {
      char kid[16];
      json_t *k = jwk_of(&ed);
      snprintf(kid, sizeof kid, "k%d", i);
      json_object_set_new(k, "kid", json_string(kid));
      json_array_append_new(keys, k);
    }
    json_t *doc = json_pack("{so}", "keys", keys);
    struct jwks *s = parse(doc, false, &e);
    assert_int_equal(s != NULL, n == 100);
    jwks_free(s);
    json_decref(doc);
  }
}

/* row 25 */
static void sets_have_256_kib_at_most(void **state)
{
  (void)state;
  AUTO_FREE char *set = signers_jwks(&ec, 1);
  size_t n = strlen(set);
  for (size_t total = LIMIT_JWKS_BYTES; total <= LIMIT_JWKS_BYTES + 1; total++) {
    struct err e = {""};
    AUTO_FREE char *text = malloc(total);
    memcpy(text, set, n);
    memset(text + n, ' ', total - n);
    struct jwks *s = jwks_parse((struct str){text, total}, false, &e);
    assert_int_equal(s != NULL, total == LIMIT_JWKS_BYTES);
    jwks_free(s);
  }
}

static void secrets_and_public_keys_do_not_mix(void **state)
{
  (void)state;
  struct err e = {""};
  json_t *doc = json_pack("{s[o{ssss}]}", "keys", jwk_of(&ec), "kty", "oct", "k",
                          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
  assert_null(parse(doc, true, &e));
  json_decref(doc);
}

/* ------------------------------------------------------------------ PEM */

static char *pem_of(EVP_PKEY *key, bool private)
{
  char *p;
  BIO *bio = BIO_new(BIO_s_mem());
  if (private)
    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
  else
    PEM_write_bio_PUBKEY(bio, key);
  long n = BIO_get_mem_data(bio, &p);
  char *text = strndup(p, (size_t)n);
  BIO_free(bio);
  return text;
}

static void pem_files_hold_several_public_keys(void **state)
{
  (void)state;
  struct err e = {""};
  AUTO_FREE char *a = pem_of(rsa.key, false);
  AUTO_FREE char *b = pem_of(ec.key, false);
  char all[8192];
  snprintf(all, sizeof all, "first\n%s\nsecond\n%s", a, b);
  struct jwks *s = jwks_parse_pem(str_of(all), &e);
  assert_non_null(s);
  assert_int_equal(s->n, 2);
  assert_null(s->keys[0].kid);
  jwks_free(s);
}

static void a_private_pem_is_refused(void **state)
{
  (void)state;
  struct err e = {""};
  AUTO_FREE char *pem = pem_of(ec.key, true);
  assert_null(jwks_parse_pem(str_of(pem), &e));
  assert_non_null(strstr(e.text, "private"));
}

static void weak_pem_keys_are_refused(void **state)
{
  (void)state;
  EVP_PKEY *weak[] = {EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024),
                      EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"),
                      EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
                      EVP_PKEY_Q_keygen(NULL, NULL, "ED448")};
  for (size_t i = 0; i < ARRAY_SIZE(weak); i++) {
    struct err e = {""};
    AUTO_FREE char *pem = pem_of(weak[i], false);
    assert_null(jwks_parse_pem(str_of(pem), &e));
    EVP_PKEY_free(weak[i]);
  }
}

static void texts_that_are_no_pem_are_refused(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "",
      "x",
      "-----BEGIN PUBLIC KEY-----\n",
      "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  };
  for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
    struct err e = {""};
    assert_null(jwks_parse_pem(str_of(texts[i]), &e));
    assert_true(e.text[0]);
  }
}

/* ------------------------------------------------------------------ secrets */

/* row 2 */
static void secrets_are_long_and_no_key_files(void **state)
{
  (void)state;
  struct err e = {""};
  AUTO_FREE char *pem = pem_of(rsa.key, false);
  assert_null(jwks_of_secret(STR(""), &e));
  assert_null(jwks_of_secret(STR("0123456789012345678901234567890"), &e)); /* 31 */
  assert_null(jwks_of_secret(str_of(pem), &e));
  struct jwks *s = jwks_of_secret(STR("01234567890123456789012345678901"), &e);
  assert_non_null(s);
  assert_true(jwk_fits(&s->keys[0], ALG_HS256));
  assert_false(jwk_fits(&s->keys[0], ALG_HS384)); /* RFC 7518 section 3.2 */
  assert_false(jwk_fits(&s->keys[0], ALG_RS256));
  jwks_free(s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_keys_of_every_kind_are_used),
      cmocka_unit_test(one_jwk_is_a_set_of_one),
      cmocka_unit_test(keys_for_other_uses_are_left_out),
      cmocka_unit_test(private_and_shared_keys_are_left_out),
      cmocka_unit_test(kids_that_are_no_names_are_left_out),
      cmocka_unit_test(keys_of_one_kid_are_all_left_out),
      cmocka_unit_test(a_key_for_encryption_does_not_spoil_its_namesake),
      cmocka_unit_test(weak_rsa_keys_are_left_out),
      cmocka_unit_test(keys_of_the_broken_card_library_are_left_out),
      cmocka_unit_test(odd_ec_keys_are_left_out),
      cmocka_unit_test(odd_ed25519_keys_are_left_out),
      cmocka_unit_test(things_that_are_no_keys_are_left_out),
      cmocka_unit_test(documents_that_are_no_set_are_refused),
      cmocka_unit_test(sets_have_a_hundred_keys_at_most),
      cmocka_unit_test(sets_have_256_kib_at_most),
      cmocka_unit_test(secrets_and_public_keys_do_not_mix),
      cmocka_unit_test(pem_files_hold_several_public_keys),
      cmocka_unit_test(a_private_pem_is_refused),
      cmocka_unit_test(weak_pem_keys_are_refused),
      cmocka_unit_test(texts_that_are_no_pem_are_refused),
      cmocka_unit_test(secrets_are_long_and_no_key_files),
  };
  rsa = signer_make(ALG_RS256, "rsa");
  ec = signer_make(ALG_ES256, "ec");
  ed = signer_make(ALG_EDDSA, "ed");
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  signer_done(&rsa);
  signer_done(&ec);
  signer_done(&ed);
  return failed;
}
