/* The texts that the host makes for providers, against the examples of their specifications. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "auth/call.h"
#include "auth/jws.h"
#include "util/base64url.h"
#include "util/cleanup.h"

static struct mcpauth_request rq;

static int set_up(void **state)
{
  (void)state;
  rq.arena = arena_new(1 << 16);
  return rq.arena ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  arena_free(rq.arena);
  return 0;
}

static const struct mcpauth_secret *as_secret(struct secret *s)
{
  return (const struct mcpauth_secret *)(void *)s;
}

static void test_text_becomes_one_line_of_json(void **state)
{
  (void)state;
  static const char odd[] = "a\"b\\\n\0\x7f";
  const char *json = host_json_text(&rq, (struct mcpauth_bytes){odd, sizeof odd - 1});
  assert_string_equal(json, "\"a\\\"b\\\\\\n\\u0000\\u007f\"");
}

/* RFC 4231, test case 2. */
static void test_hmac_is_that_of_the_rfc(void **state)
{
  (void)state;
  unsigned char mac[32];
  CLEANUP(buf_done) struct buf hex;
  buf_init(&hex, 128);
  host_hmac_sha256((struct mcpauth_bytes){"Jefe", 4},
                   (struct mcpauth_bytes){"what do ya want for nothing?", 28}, mac);
  hex_encode(&hex, (struct str){(char *)mac, 32});
  assert_string_equal(hex.p, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void test_hmac_of_nothing_is_no_crash(void **state)
{
  (void)state;
  unsigned char mac[32] = {0}, zero[32] = {0};
  host_hmac_sha256((struct mcpauth_bytes){NULL, 0}, (struct mcpauth_bytes){NULL, 0}, mac);
  assert_memory_not_equal(mac, zero, 32);
}

/* RFC 6749 section 2.3.1. */
static void test_basic_is_that_of_the_rfc(void **state)
{
  (void)state;
  struct secret *s = secret_new(STR("7Fjfp0ZBr1KtDRbnfVdmIw"));
  assert_string_equal(host_basic(&rq, "s6BhdRkqt3", as_secret(s)),
                      "Authorization: Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
  secret_free(s);
}

static void test_a_colon_in_a_client_id_is_encoded(void **state)
{
  (void)state;
  struct secret *s = secret_new(STR("s"));
  unsigned char text[64] = {0};
  const char *line = host_basic(&rq, "a:b", as_secret(s));
  EVP_DecodeBlock(text, (const unsigned char *)line + 21, (int)strlen(line + 21));
  assert_string_equal((char *)text, "a%3Ab:s");
  secret_free(s);
}

static struct secret *pem_of(EVP_PKEY *key)
{
  BIO *out = BIO_new(BIO_s_mem());
  char *p;
  assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
  long n = BIO_get_mem_data(out, &p);
  struct secret *s = secret_new((struct str){p, (size_t)n});
  BIO_free(out);
  return s;
}

/* Whether TOKEN is `header.payload.signature`, signed by KEY. */
static void assert_signed(const char *token, EVP_PKEY *key)
{
  struct str all = str_of(token);
  const char *dot = strrchr(token, '.');
  unsigned char sig[64], der[128], *to = der;
  size_t n;
  assert_int_equal(base64url_decode(str_of(dot + 1), sig, sizeof sig, &n), 0);
  assert_int_equal(n, 64);
  ECDSA_SIG *pair = ECDSA_SIG_new();
  ECDSA_SIG_set0(pair, BN_bin2bn(sig, 32, NULL), BN_bin2bn(sig + 32, 32, NULL));
  int length = i2d_ECDSA_SIG(pair, &to);
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  assert_int_equal(EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, key), 1);
  assert_int_equal(
      EVP_DigestVerify(c, der, (size_t)length, (const unsigned char *)all.p, (size_t)(dot - token)),
      1);
  EVP_MD_CTX_free(c);
  ECDSA_SIG_free(pair);
}

static void test_an_assertion_is_signed_by_the_key_and_names_it(void **state)
{
  (void)state;
  EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
  struct secret *pem = pem_of(key);
  const char *token = host_jwt_sign(&rq, as_secret(pem), "k1", "{\"iss\":\"hub\"}");
  assert_non_null(token);
  char header[128] = "";
  size_t n;
  assert_int_equal(base64url_decode(str_slice(str_of(token), 0, str_chr(str_of(token), '.')),
                                    header, sizeof header, &n),
                   0);
  assert_string_equal(header, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
  assert_signed(token, key);
  secret_free(pem);
  EVP_PKEY_free(key);
}

static void test_what_is_no_private_key_cannot_sign(void **state)
{
  (void)state;
  struct secret *s = secret_new(STR("a shared secret, no key"));
  assert_null(host_jwt_sign(NULL, as_secret(s), NULL, NULL));
  assert_null(host_jwt_sign(&rq, as_secret(s), NULL, "{}"));
  secret_free(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_text_becomes_one_line_of_json),
      TEST(test_hmac_is_that_of_the_rfc),
      TEST(test_hmac_of_nothing_is_no_crash),
      TEST(test_basic_is_that_of_the_rfc),
      TEST(test_a_colon_in_a_client_id_is_encoded),
      TEST(test_an_assertion_is_signed_by_the_key_and_names_it),
      TEST(test_what_is_no_private_key_cannot_sign),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
