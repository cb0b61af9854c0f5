/* Sealed login state: each of its forms opens as itself alone, for its time, in its hub. */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "oauth/transaction.h"
#include "store/keyring.h"
#include "util/base64url.h"
#include "util/clock.h"

static char dir[] = "/tmp/mcpauth-transaction-XXXXXX";
static struct config config = {.public_url = "https://mcp.example.com"};
static struct oauth oauth;
static struct arena *arena;

static int make_world(void **state)
{
  struct err e = {""};
  (void)state;
  arena = arena_new(MIB(8));
  if (arena == NULL || mkdtemp(dir) == NULL ||
      url_parse(str_of(config.public_url), &config.public_parts, NULL) < 0)
    return -1;
  oauth = (struct oauth){.o = {.config = &config, .keys = keyring_load(dir, true, &e)},
                         .issuer = config.public_url};
  return oauth.o.keys ? 0 : -1;
}

static int drop_world(void **state)
{
  char command[sizeof dir + 16];
  (void)state;
  keyring_free(oauth.o.keys);
  arena_free(arena);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command);
}

static struct transaction sample(void)
{
  struct transaction t = {
      .client = STR("https://c.example/client.json"),
      .digest = STR("0123456789abcdef0123456789abcdef"),
      .redirect = STR("http://localhost:1/cb"),
      .registered = STR("http://localhost/cb"),
      .challenge = STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
      .service = STR("notes"),
      .scopes = STR("notes:read notes:write"),
      .provider = STR("google"),
      .issuer = STR(""),
      .subject = STR(""),
      .refused = STR(""),
      .remember = true,
  };
  assert_int_equal(transaction_id(arena, &t.id), 0);
  return t;
}

static struct str seal(enum transaction_kind kind, const struct transaction *t)
{
  struct buf b;
  buf_init(&b, 16384);
  assert_int_equal(transaction_seal(&oauth, kind, t, &b, NULL), 0);
  struct str text = arena_str(arena, buf_view(&b));
  buf_done(&b);
  return text;
}

static void test_what_was_sealed_comes_back(void **state)
{
  struct transaction t = sample(), r;
  (void)state;
  struct str text = seal(TRANSACTION_STATE, &t);
  assert_int_equal(transaction_open(&oauth, TRANSACTION_STATE, text, arena, &r), TRANSACTION_GOOD);
  assert_true(str_eq(r.id, t.id) && str_eq(r.client, t.client) && str_eq(r.redirect, t.redirect));
  assert_true(str_eq(r.registered, t.registered) && str_eq(r.scopes, t.scopes));
  assert_true(str_eq(r.provider, t.provider) && str_eq(r.challenge, t.challenge));
  assert_true(r.remember && !r.again && !r.denied);
  assert_null(r.state.p); /* the client sent none: not an empty one */
  assert_null(r.resource.p);
}

static void test_its_size_is_known_beforehand(void **state)
{
  struct transaction t = sample();
  (void)state;
  for (int i = 0; i < 5; i++) {
    t.state = str_slice(STR("abcde"), 0, (size_t)i);
    assert_int_equal(seal(TRANSACTION_STATE, &t).n, transaction_size(&t));
  }
}

static void test_nothing_of_it_can_be_read(void **state)
{
  struct transaction t = sample();
  (void)state;
  struct str text = seal(TRANSACTION_STATE, &t);
  char raw[4096];
  size_t n;
  assert_int_equal(base64url_decode(text, raw, sizeof raw, &n), 0);
  assert_null(memmem(raw, n, "notes", 5));
  assert_null(memmem(raw, n, "localhost", 9));
}

static void test_a_form_is_no_state_and_a_state_no_form(void **state) /* row 93 */
{
  struct transaction t = sample(), r;
  (void)state;
  assert_int_equal(
      transaction_open(&oauth, TRANSACTION_STATE, seal(TRANSACTION_FORM, &t), arena, &r),
      TRANSACTION_BAD);
  assert_int_equal(
      transaction_open(&oauth, TRANSACTION_FORM, seal(TRANSACTION_STATE, &t), arena, &r),
      TRANSACTION_BAD);
}

static void test_no_byte_of_it_can_be_changed(void **state) /* row 87 */
{
  struct transaction t = sample(), r;
  (void)state;
  struct str text = seal(TRANSACTION_STATE, &t);
  for (size_t i = 0; i < text.n; i++) {
    char *changed = arena_dup(arena, text);
    assert_non_null(changed);
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    if (transaction_open(&oauth, TRANSACTION_STATE, (struct str){changed, text.n}, arena, &r) !=
        TRANSACTION_BAD)
      fail_msg("byte %zu", i);
  }
  for (size_t n = 0; n < text.n; n++)
    assert_int_equal(transaction_open(&oauth, TRANSACTION_STATE, str_slice(text, 0, n), arena, &r),
                     TRANSACTION_BAD);
}

static void test_it_expires(void **state) /* row 100 */
{
  struct transaction t = sample(), r;
  int64_t now = clock_wall_ms();
  (void)state;
  clock_freeze(now, 1000);
  struct str text = seal(TRANSACTION_STATE, &t);
  clock_freeze(now + (TRANSACTION_STATE_S - 1) * 1000, 1000);
  assert_int_equal(transaction_open(&oauth, TRANSACTION_STATE, text, arena, &r), TRANSACTION_GOOD);
  clock_freeze(now + TRANSACTION_STATE_S * 1000, 1000);
  assert_int_equal(transaction_open(&oauth, TRANSACTION_STATE, text, arena, &r),
                   TRANSACTION_EXPIRED);
  clock_freeze(-1, -1);
}

static void test_another_hub_does_not_open_it(void **state)
{
  struct transaction t = sample(), r;
  struct oauth other = oauth;
  (void)state;
  other.issuer = "https://other.example.com";
  assert_int_equal(
      transaction_open(&other, TRANSACTION_STATE, seal(TRANSACTION_STATE, &t), arena, &r),
      TRANSACTION_BAD);
}

static void test_what_the_provider_sees_belongs_together(void **state) /* row 101 */
{
  struct transaction t = sample(), u = sample();
  char nonce[TRANSACTION_DERIVED], verifier[TRANSACTION_DERIVED], challenge[TRANSACTION_DERIVED],
      other[TRANSACTION_DERIVED];
  (void)state;
  transaction_nonce(&t, nonce);
  transaction_verifier(&t, verifier);
  transaction_challenge(&t, challenge);
  transaction_verifier(&u, other);
  assert_int_equal(strlen(verifier), 43);
  assert_int_equal(strlen(challenge), 43);
  assert_string_not_equal(verifier, challenge);
  assert_string_not_equal(verifier, nonce);
  assert_string_not_equal(verifier, other);
}

static bool shown(const char *set_cookie, const struct transaction *t)
{
  /* "name=value; Path=/…" is sent back as "name=value" */
  struct str pair = str_slice(str_of(set_cookie), 0, str_chr(str_of(set_cookie), ';'));
  struct http_header cookie = {STR("Cookie"), pair};
  struct http_request rq = {.arena = arena, .headers = &cookie, .n_headers = 1};
  struct oauth_exchange x = {.oauth = &oauth, .rq = &rq};
  return transaction_has_cookie(&x, t);
}

static void test_a_cookie_belongs_to_one_login(void **state) /* row 94 */
{
  struct transaction t = sample(), u = sample();
  (void)state;
  const char *one = transaction_cookie(&oauth, &t, arena),
             *two = transaction_cookie(&oauth, &u, arena);
  assert_true(shown(one, &t));
  assert_false(shown(one, &u));
  assert_false(shown(two, &t));
  assert_false(shown("", &t));
  /* the other login's value under this login's name */
  struct str name = str_slice(str_of(one), 0, str_chr(str_of(one), '='));
  struct str value = str_slice(str_of(two), str_chr(str_of(two), '='), strlen(two));
  assert_false(shown(arena_printf(arena, "%.*s%.*s", STR_ARG(name), STR_ARG(value)), &t));
}

static void test_cookies_are_host_bound_and_not_for_scripts(void **state) /* row 94 */
{
  struct transaction t = sample();
  const char *cookie = transaction_cookie(&oauth, &t, arena);
  (void)state;
  assert_true(str_starts(str_of(cookie), "__Host-"));
  assert_non_null(strstr(cookie, "; Path=/;"));
  assert_non_null(strstr(cookie, "; HttpOnly"));
  assert_non_null(strstr(cookie, "; SameSite=Lax"));
  assert_non_null(strstr(cookie, "; Secure"));
  assert_null(strstr(cookie, "Domain"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_was_sealed_comes_back),
      cmocka_unit_test(test_its_size_is_known_beforehand),
      cmocka_unit_test(test_nothing_of_it_can_be_read),
      cmocka_unit_test(test_a_form_is_no_state_and_a_state_no_form),
      cmocka_unit_test(test_no_byte_of_it_can_be_changed),
      cmocka_unit_test(test_it_expires),
      cmocka_unit_test(test_another_hub_does_not_open_it),
      cmocka_unit_test(test_what_the_provider_sees_belongs_together),
      cmocka_unit_test(test_a_cookie_belongs_to_one_login),
      cmocka_unit_test(test_cookies_are_host_bound_and_not_for_scripts),
  };
  return cmocka_run_group_tests(tests, make_world, drop_world);
}
