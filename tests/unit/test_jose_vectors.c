/* Third-party vectors through jwk.c and jws.c: Wycheproof (JWS, JWK, key sets, raw signatures) and
 * the JOSE cookbook (RFC 7520, 8037, 7797).  They are found through MCPAUTH_VECTORS or beside the
 * checkout, and skipped where absent.  Rows 1, 2, 5, 6, 14, 16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/jws.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

static char folder[512];

static int find_vectors(void)
{
  const char *env = getenv("MCPAUTH_VECTORS"), *src = getenv("srcdir");
  struct stat st;
  if (env)
    snprintf(folder, sizeof folder, "%s", env);
  else
    snprintf(folder, sizeof folder, "%s/../shared/vectors", src ? src : ".");
  return stat(folder, &st);
}

static json_t *load(const char *name)
{
  char path[700];
  json_error_t je;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  json_t *j = json_load_file(path, 0, &je);
  if (j == NULL)
    fail_msg("%s: %s", path, je.text);
  return j;
}

static const char *text_of(const json_t *o, const char *name)
{
  const char *s = json_string_value(json_object_get(o, name));
  return s ? s : "";
}

/* What a case is, after the exceptions: 1 valid, 0 invalid, -1 not judged. */
static int expected(const json_t *test, const json_t *exceptions)
{
  size_t i;
  json_t *x;
  json_array_foreach(exceptions, i, x)
  {
    if (!json_equal(json_object_get(x, "tcId"), json_object_get(test, "tcId")))
      continue;
    return strncmp(text_of(x, "do"), "skip", 4) == 0 ? -1 : 0;
  }
  if (strcmp(text_of(test, "result"), "acceptable") == 0)
    return -1;
  return strcmp(text_of(test, "result"), "valid") == 0;
}

static json_t *key_of(const json_t *group)
{
  json_t *k = json_object_get(group, "public");
  return k ? k : json_object_get(group, "private");
}

static bool is_oct(const json_t *keys)
{
  json_t *first = json_array_get(keys, 0);
  return strcmp(text_of(first ? first : keys, "kty"), "oct") == 0;
}

/* KEYS: a JWK, an array of them, or a set. */
static struct jwks *read_keys(json_t *keys)
{
  struct err e = {""};
  json_t *inner = json_object_get(keys, "keys");
  json_t *doc = json_is_array(keys) ? json_pack("{sO}", "keys", keys) : json_incref(keys);
  AUTO_FREE char *text = json_dumps(doc, 0);
  json_decref(doc);
  return jwks_parse(str_of(text), is_oct(inner ? inner : keys), &e);
}

struct count {
  unsigned accepted, refused, skipped, wrong;
};

static void judge(struct count *c, const char *what, const json_t *test, int want, bool got)
{
  if (want < 0)
    c->skipped++;
  else if (want != (int)got) {
    c->wrong++;
    print_error("%s tcId %lld (%s): %s\n", what,
                (long long)json_integer_value(json_object_get(test, "tcId")),
                text_of(test, "comment"), got ? "accepted" : "refused");
  } else if (got)
    c->accepted++;
  else
    c->refused++;
}

static void report(const char *what, const struct count *c)
{
  print_message("%s: %u accepted, %u refused, %u not judged, %u wrong\n", what, c->accepted,
                c->refused, c->skipped, c->wrong);
  assert_int_equal(c->wrong, 0);
  assert_true(c->accepted > 0 && c->refused > 0);
}

static void run_jws(const char *file, const char *exceptions_file)
{
  struct count c = {0};
  json_t *doc = load(file), *exceptions = exceptions_file ? load(exceptions_file) : NULL;
  json_t *group, *test;
  size_t i, j;
  json_array_foreach(json_object_get(doc, "testGroups"), i, group)
  {
    if (strncmp(text_of(group, "comment"), "jwe", 3) == 0)
      continue;
    struct jwks *keys = read_keys(key_of(group));
    json_array_foreach(json_object_get(group, "tests"), j, test)
    {
      int want = expected(test, json_object_get(exceptions, "skip_or_special"));
      const char *jws = json_string_value(json_object_get(test, "jws"));
      /* Some tokens are JSON objects: the JSON serialization, which has no place in a header. */
      AUTO_FREE char *dump = jws ? NULL : json_dumps(json_object_get(test, "jws"), 0);
      struct err e = {""};
      bool got = keys && jws_verify(str_of(jws ? jws : dump), keys, &e) == JWT_VALID;
      judge(&c, file, test, want, got);
    }
    jwks_free(keys);
  }
  json_decref(doc);
  json_decref(exceptions);
  report(file, &c);
}

static void wycheproof_jws(void **state)
{
  (void)state;
  run_jws("wycheproof/json_web_signature_test.json", "wycheproof-jws-exceptions.json");
}

static void wycheproof_keys(void **state)
{
  (void)state;
  run_jws("wycheproof/json_web_key_test.json", NULL);
}

static void wycheproof_key_sets(void **state)
{
  (void)state;
  run_jws("wycheproof/json_web_crypto_test.json", NULL);
}

/* ------------------------------------------------------------------ raw signatures */

static bool raw_check(struct jwk *key, enum jwt_alg alg, const json_t *test, const char *sig_name)
{
  unsigned char msg[65536], sig[4096];
  size_t n_msg, n_sig;
  struct buf b;
  struct err e = {""};
  assert_int_equal(hex_decode(str_of(text_of(test, "msg")), msg, sizeof msg, &n_msg), 0);
  assert_int_equal(hex_decode(str_of(text_of(test, sig_name)), sig, sizeof sig, &n_sig), 0);
  buf_init(&b, 8192);
  base64url_encode(&b, (struct str){(char *)sig, n_sig});
  struct jws s = {.alg = alg, .signed_part = {(char *)msg, n_msg}, .signature64 = buf_view(&b)};
  bool good = jwk_fits(key, alg) && jws_check(&s, key, &e) == JWT_VALID;
  buf_done(&b);
  return good;
}

static void run_raw(const char *file, enum jwt_alg alg)
{
  struct count c = {0};
  json_t *doc = load(file), *group, *test;
  size_t i, j;
  json_array_foreach(json_object_get(doc, "testGroups"), i, group)
  {
    struct err e = {""};
    struct jwks *keys = jwks_parse_pem(str_of(text_of(group, "publicKeyPem")), &e);
    if (keys == NULL)
      fail_msg("%s group %zu: %s", file, i, e.text);
    json_array_foreach(json_object_get(group, "tests"), j, test)
        judge(&c, file, test, expected(test, NULL), raw_check(&keys->keys[0], alg, test, "sig"));
    jwks_free(keys);
  }
  json_decref(doc);
  report(file, &c);
}

static void wycheproof_rs256(void **state)
{
  (void)state;
  run_raw("wycheproof/rsa_signature_2048_sha256_test.json", ALG_RS256);
}

static void wycheproof_ps256(void **state)
{
  (void)state;
  run_raw("wycheproof/rsa_pss_2048_sha256_mgf1_32_test.json", ALG_PS256);
}

static void wycheproof_es256(void **state)
{
  (void)state;
  run_raw("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json", ALG_ES256);
}

static void wycheproof_ed25519(void **state)
{
  (void)state;
  run_raw("wycheproof/ed25519_test.json", ALG_EDDSA);
}

/* Short keys cannot be made into a key of ours; truncated tags are what HS256 does not have. */
static void wycheproof_hs256(void **state)
{
  (void)state;
  struct count c = {0};
  json_t *doc = load("wycheproof/hmac_sha256_test.json"), *group, *test;
  size_t i, j;
  json_array_foreach(json_object_get(doc, "testGroups"), i, group)
  {
    bool usable = json_integer_value(json_object_get(group, "keySize")) >= 256 &&
                  json_integer_value(json_object_get(group, "tagSize")) == 256;
    json_array_foreach(json_object_get(group, "tests"), j, test)
    {
      unsigned char k[256];
      size_t n;
      struct err e = {""};
      assert_int_equal(hex_decode(str_of(text_of(test, "key")), k, sizeof k, &n), 0);
      struct jwks *keys = jwks_of_secret((struct str){(char *)k, n}, &e);
      bool got = keys && raw_check(&keys->keys[0], ALG_HS256, test, "tag");
      judge(&c, "hmac", test, usable ? expected(test, NULL) : 0, got);
      jwks_free(keys);
    }
  }
  json_decref(doc);
  report("wycheproof/hmac_sha256_test.json", &c);
}

/* ------------------------------------------------------------------ the cookbook */

static enum jwt_status cookbook(const char *file)
{
  struct err e = {""};
  json_t *doc = load(file), *key = json_object_get(json_object_get(doc, "input"), "key");
  const char *const private[] = {"d", "p", "q", "dp", "dq", "qi"};
  for (size_t i = 0; i < ARRAY_SIZE(private); i++)
    json_object_del(key, private[i]);
  struct jwks *keys = read_keys(key);
  assert_non_null(keys);
  const char *compact = text_of(json_object_get(doc, "output"), "compact");
  assert_true(*compact);
  enum jwt_status status = jws_verify(str_of(compact), keys, &e);
  jwks_free(keys);
  json_decref(doc);
  return status;
}

static void cookbook_signatures_verify(void **state)
{
  (void)state;
  static const char *const files[] = {"jose-cookbook/jws/4_1.rsa_v15_signature.json",
                                      "jose-cookbook/jws/4_2.rsa-pss_signature.json",
                                      "jose-cookbook/jws/4_3.ecdsa_signature.json",
                                      "jose-cookbook/jws/4_4.hmac-sha2_integrity_protection.json",
                                      "jose-cookbook/curve25519/jws.json"};
  for (size_t i = 0; i < ARRAY_SIZE(files); i++)
    assert_int_equal(cookbook(files[i]), JWT_VALID);
}

static void cookbook_detached_and_unencoded_content_is_refused(void **state)
{
  (void)state;
  assert_int_equal(cookbook("jose-cookbook/jws/4_5.signature_with_detached_content.json"),
                   JWT_BAD_SIGNATURE);
  assert_int_equal(cookbook("jose-cookbook/rfc7797/hmac-sha2_b64_false.json"), JWT_MALFORMED);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wycheproof_jws),
      cmocka_unit_test(wycheproof_keys),
      cmocka_unit_test(wycheproof_key_sets),
      cmocka_unit_test(wycheproof_rs256),
      cmocka_unit_test(wycheproof_ps256),
      cmocka_unit_test(wycheproof_es256),
      cmocka_unit_test(wycheproof_ed25519),
      cmocka_unit_test(wycheproof_hs256),
      cmocka_unit_test(cookbook_signatures_verify),
      cmocka_unit_test(cookbook_detached_and_unencoded_content_is_refused),
  };
  if (find_vectors() < 0) {
    printf("skipped: no vectors in %s (set MCPAUTH_VECTORS)\n", folder);
    return 77;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
