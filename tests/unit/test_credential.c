/* src/auth/credential.c: one credential, from listed places only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "auth/credential.h"
#include "util/cleanup.h"
#include "util/limits.h"

static struct config_accept bearer_only[] = {{ACCEPT_BEARER, NULL}};
static struct config_accept every_kind[] = {{ACCEPT_BEARER, NULL},
                                            {ACCEPT_BASIC, NULL},
                                            {ACCEPT_HEADER, "X-API-Key"},
                                            {ACCEPT_QUERY, "token"}};
static struct config_accept key_only[] = {{ACCEPT_HEADER, "X-API-Key"}};
static struct arena *arena;
static struct mcpauth_credential got;

static enum credential_status find(struct config_accept *accept, size_t n_accept,
                                   const char *const *fields, const char *query)
{
  struct config_service s = {.accept = accept, .n_accept = n_accept};
  struct http_header headers[8];
  size_t n = 0;
  for (; fields[2 * n]; n++)
    headers[n] = (struct http_header){str_of(fields[2 * n]), str_of(fields[2 * n + 1])};
  memset(&got, 0, sizeof got);
  return credential_find(&s, headers, n, str_of(query), arena, &got);
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL, NULL})
#define NO_FIELDS   ((const char *const[]){NULL, NULL})

/* row 27 */
static void test_authorization_is_one_scheme_one_space_one_token(void **state)
{
  static const struct {
    const char *value;
    enum credential_status want;
  } rows[] = {
      {"Bearer abc", CREDENTIAL_FOUND},
      {"bearer abc", CREDENTIAL_FOUND},
      {"BEARER a.b-c_d~e+f/g==", CREDENTIAL_FOUND},
      {"Bearer", CREDENTIAL_MALFORMED},
      {"Bearer ", CREDENTIAL_MALFORMED},
      {"Bearer  abc", CREDENTIAL_MALFORMED},
      {"Bearer abc ", CREDENTIAL_MALFORMED},
      {"Bearer a b", CREDENTIAL_MALFORMED},
      {"Bearer a, Bearer b", CREDENTIAL_MALFORMED},
      {"Bearer a,b", CREDENTIAL_MALFORMED},
      {"Bearer =", CREDENTIAL_MALFORMED},
      {"Bearer a=b", CREDENTIAL_MALFORMED},
      {"Bearer \"abc\"", CREDENTIAL_MALFORMED},
      {"Bearer a\tb", CREDENTIAL_MALFORMED},
      {"Bearer\tabc", CREDENTIAL_FOREIGN},
      {"Bearerabc", CREDENTIAL_FOREIGN},
      {"Basic dXNlcjpwdw==", CREDENTIAL_FOREIGN},
      {"DPoP abc", CREDENTIAL_FOREIGN},
      {"Bearer t\xc3\xb6k", CREDENTIAL_MALFORMED},
      {"abc", CREDENTIAL_FOREIGN},
      {"", CREDENTIAL_FOREIGN},
  };
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
    enum credential_status s = find(bearer_only, 1, FIELDS("Authorization", rows[i].value), NULL);
    if (s != rows[i].want)
      fail_msg("'%s' gave %d", rows[i].value, s);
  }
}

/* row 26 */
static void test_two_authorization_fields_are_refused(void **state)
{
  (void)state;
  assert_int_equal(
      find(bearer_only, 1, FIELDS("Authorization", "Bearer a", "authorization", "Bearer b"), NULL),
      CREDENTIAL_SEVERAL);
  assert_int_equal(
      find(bearer_only, 1, FIELDS("Authorization", "Bearer a", "Authorization", "Bearer a"), NULL),
      CREDENTIAL_SEVERAL);
}

/* row 29 */
static void test_two_listed_places_at_once_are_refused(void **state)
{
  (void)state;
  assert_int_equal(find(every_kind, 4, FIELDS("Authorization", "Bearer a", "X-API-Key", "b"), NULL),
                   CREDENTIAL_SEVERAL);
  assert_int_equal(find(every_kind, 4, FIELDS("Authorization", "Bearer a"), "token=b"),
                   CREDENTIAL_SEVERAL);
  assert_int_equal(find(every_kind, 4, FIELDS("X-API-Key", "a"), "token=b"), CREDENTIAL_SEVERAL);
  assert_int_equal(find(every_kind, 4, NO_FIELDS, "token=a&token=a"), CREDENTIAL_SEVERAL);
  assert_int_equal(find(every_kind, 4, FIELDS("X-API-Key", "a", "x-api-key", "a"), NULL),
                   CREDENTIAL_SEVERAL);
}

static void test_a_place_that_the_service_does_not_list_is_no_credential(void **state)
{
  (void)state;
  assert_int_equal(find(bearer_only, 1, FIELDS("X-API-Key", "abc"), "token=abc&access_token=d"),
                   CREDENTIAL_NONE);
  assert_int_equal(find(key_only, 1, FIELDS("Authorization", "Bearer a", "X-API-Key", "k"), NULL),
                   CREDENTIAL_FOUND);
  assert_int_equal(got.source, MCPAUTH_FROM_HEADER);
  assert_int_equal(find(key_only, 1, FIELDS("Authorization", "Bearer a"), NULL),
                   CREDENTIAL_FOREIGN);
}

/* row 31 */
static void test_a_cookie_is_never_a_credential(void **state)
{
  (void)state;
  assert_int_equal(find(every_kind, 4, FIELDS("Cookie", "token=abc; session=d"), NULL),
                   CREDENTIAL_NONE);
}

static void test_basic_is_decoded_to_user_and_password(void **state)
{
  (void)state;
  assert_int_equal(find(every_kind, 4, FIELDS("Authorization", "Basic dXNlcjpwYTpzcw=="), NULL),
                   CREDENTIAL_FOUND);
  assert_int_equal(got.source, MCPAUTH_FROM_BASIC);
  assert_int_equal(got.value.n, 10);
  assert_memory_equal(got.value.p, "user:pa:ss", 10);
  assert_int_equal(find(every_kind, 4, FIELDS("Authorization", "Basic dXNlcg=="), NULL),
                   CREDENTIAL_MALFORMED);
  assert_int_equal(find(every_kind, 4, FIELDS("Authorization", "Basic dXNlcjpwdw"), NULL),
                   CREDENTIAL_MALFORMED);
  assert_int_equal(find(every_kind, 4, FIELDS("Authorization", "Basic dXNlcjoA"), NULL),
                   CREDENTIAL_MALFORMED);
}

/* row 27 */
static void test_basic_has_one_spelling(void **state)
{
  (void)state;
  static const char *const spellings[] = {
      "Basic dTpw----", "Basic dTpw-", "Basic dTq=", "Basic dTo9=", "Basic dTp=", "Basic d-pw"};
  assert_int_equal(find(every_kind, 4, FIELDS("Authorization", "Basic dTpw"), NULL),
                   CREDENTIAL_FOUND);
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
    assert_int_equal(find(every_kind, 4, FIELDS("Authorization", spellings[i]), NULL),
                     CREDENTIAL_MALFORMED);
}

static void test_a_named_header_takes_visible_characters_only(void **state)
{
  (void)state;
  assert_int_equal(find(key_only, 1, FIELDS("x-api-key", "k!\"#123"), NULL), CREDENTIAL_FOUND);
  assert_int_equal(find(key_only, 1, FIELDS("X-API-Key", "a b"), NULL), CREDENTIAL_MALFORMED);
  assert_int_equal(find(key_only, 1, FIELDS("X-API-Key", ""), NULL), CREDENTIAL_MALFORMED);
}

static void test_a_credential_over_the_limit_is_malformed(void **state)
{
  static char value[LIMIT_CREDENTIAL + 16] = "Bearer ";
  (void)state;
  memset(value + 7, 'a', LIMIT_CREDENTIAL);
  assert_int_equal(find(bearer_only, 1, FIELDS("Authorization", value), NULL), CREDENTIAL_FOUND);
  value[7 + LIMIT_CREDENTIAL] = 'a';
  assert_int_equal(find(bearer_only, 1, FIELDS("Authorization", value), NULL),
                   CREDENTIAL_MALFORMED);
}

/* row 28 */
static void test_the_query_goes_on_only_as_listed_and_never_with_a_credential(void **state)
{
  const char *names[] = {"lang", "token"};
  struct config_service s = {.accept = every_kind, .n_accept = 4, .forward_query = {2, names}};
  (void)state;
  struct str q =
      credential_forward_query(&s, STR("token=abc&lang=de&access_token=x&lang=en&y"), arena);
  assert_int_equal(q.n, strlen("lang=de&lang=en"));
  assert_memory_equal(q.p, "lang=de&lang=en", q.n);
  s.forward_query.n = 0;
  assert_int_equal(credential_forward_query(&s, STR("lang=de"), arena).n, 0);
}

static int set_up(void **state)
{
  (void)state;
  arena = arena_new(MIB(1));
  return arena ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  arena_free(arena);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_authorization_is_one_scheme_one_space_one_token),
      cmocka_unit_test(test_two_authorization_fields_are_refused),
      cmocka_unit_test(test_two_listed_places_at_once_are_refused),
      cmocka_unit_test(test_a_place_that_the_service_does_not_list_is_no_credential),
      cmocka_unit_test(test_a_cookie_is_never_a_credential),
      cmocka_unit_test(test_basic_is_decoded_to_user_and_password),
      cmocka_unit_test(test_basic_has_one_spelling),
      cmocka_unit_test(test_a_named_header_takes_visible_characters_only),
      cmocka_unit_test(test_a_credential_over_the_limit_is_malformed),
      cmocka_unit_test(test_the_query_goes_on_only_as_listed_and_never_with_a_credential),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
