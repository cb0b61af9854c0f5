/* Principals: what the host accepts from a provider, and scopes (rows 17, 134). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "auth/principal.h"
#include "util/cleanup.h"
#include "util/limits.h"

static const struct config_provider plain = {.name = "plain"};

static struct principal *make(const char *issuer, const char *subject)
{
  struct mcpauth_principal from = {.issuer = issuer, .subject = subject};
  return principal_new(&plain, &from, NULL);
}

static void accepts_a_plain_principal(void **state)
{
  (void)state;
  static const char *const scopes[] = {"b", "a", "b"};
  struct mcpauth_principal from = {.issuer = "https://idp.example",
                                   .subject = "ann",
                                   .client = "cli",
                                   .scopes = {3, scopes},
                                   .expires_at = 99,
                                   .reuse_ms = 5};
  struct principal *p = principal_new(&plain, &from, NULL);
  assert_non_null(p);
  assert_string_equal(p->view.issuer, "https://idp.example");
  assert_string_equal(p->view.subject, "ann");
  assert_string_equal(p->view.client, "cli");
  assert_int_equal(p->view.scopes.n, 2);
  assert_string_equal(p->view.scopes.v[0], "a");
  assert_string_equal(p->view.scopes.v[1], "b");
  assert_int_equal(p->view.expires_at, 99);
  assert_int_equal(p->view.reuse_ms, 5);
  assert_true(json_is_object(p->claims));
  assert_int_equal(json_object_size(p->claims), 0);
  principal_unref(p);
}

static void refuses_bad_names(void **state) /* row 134 */
{
  (void)state;
  char longest[LIMIT_SUBJECT + 2];
  memset(longest, 'x', sizeof longest);
  longest[LIMIT_SUBJECT + 1] = 0;
  const char *bad[] = {NULL,
                       "",
                       "a\nb",
                       "a\x7f",
                       "\x01",
                       "caf\xe9",
                       "\xc2\x85",
                       "\xed\xa0\x80",
                       "\xf4\x90\x80\x80",
                       longest};
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    assert_null(make(bad[i], "ann"));
    assert_null(make("https://idp.example", bad[i]));
  }
  longest[LIMIT_SUBJECT] = 0;
  struct principal *p = make(longest, longest);
  assert_non_null(p);
  principal_unref(p);
  p = make("caf\xc3\xa9", "\xc2\xa0");
  assert_non_null(p);
  principal_unref(p);
}

static void refuses_no_principal_at_all(void **state) /* row 134 */
{
  (void)state;
  struct err e = {""};
  assert_null(principal_new(&plain, NULL, &e));
  assert_string_equal(e.text, "there is no principal");
}

static void refuses_negative_lifetimes(void **state) /* row 134 */
{
  (void)state;
  struct mcpauth_principal from = {.issuer = "i", .subject = "s", .expires_at = -1};
  assert_null(principal_new(&plain, &from, NULL));
  from.expires_at = 0;
  from.reuse_ms = -1;
  assert_null(principal_new(&plain, &from, NULL));
}

static void refuses_bad_scopes(void **state) /* rows 17, 134 */
{
  (void)state;
  char too_long[LIMIT_SCOPE + 2];
  memset(too_long, 'x', sizeof too_long);
  too_long[LIMIT_SCOPE + 1] = 0;
  const char *bad[] = {NULL, "", "a b", "a\tb", "a\"b", "a\\b", "\xc2\xa0", "a\x7f", too_long};
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    struct mcpauth_principal from = {.issuer = "i", .subject = "s", .scopes = {1, &bad[i]}};
    assert_null(principal_new(&plain, &from, NULL));
  }
}

static void refuses_too_many_scopes(void **state) /* row 134 */
{
  (void)state;
  const char *many[LIMIT_SCOPES + 1];
  for (size_t i = 0; i < ARRAY_SIZE(many); i++)
    many[i] = "x";
  struct mcpauth_principal from = {.issuer = "i", .subject = "s", .scopes = {LIMIT_SCOPES, many}};
  struct principal *p = principal_new(&plain, &from, NULL);
  assert_non_null(p);
  assert_int_equal(p->scopes.n, 1);
  principal_unref(p);
  from.scopes.n = LIMIT_SCOPES + 1;
  assert_null(principal_new(&plain, &from, NULL));
  from.scopes = (struct mcpauth_list){SIZE_MAX, many};
  assert_null(principal_new(&plain, &from, NULL));
  from.scopes = (struct mcpauth_list){1, NULL};
  assert_null(principal_new(&plain, &from, NULL));
}

static void adds_the_scopes_of_the_configuration(void **state)
{
  (void)state;
  const char *given[] = {"notes:read", "b"}, *said[] = {"b", "c"};
  struct config_provider provider = {.name = "p", .scopes = {2, given}};
  struct mcpauth_principal from = {.issuer = "i", .subject = "s", .scopes = {2, said}};
  struct principal *p = principal_new(&provider, &from, NULL);
  assert_non_null(p);
  assert_int_equal(p->scopes.n, 3);
  assert_string_equal(p->scopes.v[0], "b");
  assert_string_equal(p->scopes.v[1], "c");
  assert_string_equal(p->scopes.v[2], "notes:read");
  principal_unref(p);
}

static void same_means_issuer_and_subject(void **state) /* row 24 */
{
  (void)state;
  struct principal *a = make("i", "s"), *b = make("i", "s"), *c = make("i", "S"),
                   *d = make("is", "s");
  assert_true(principal_same(a, b));
  assert_false(principal_same(a, c));
  assert_false(principal_same(a, d));
  principal_unref(a);
  principal_unref(b);
  principal_unref(c);
  principal_unref(d);
}

static void a_broad_scope_satisfies_a_narrow_one(void **state)
{
  (void)state;
  struct config_scope read = {.name = "read"}, write = {.name = "write"}, admin = {.name = "admin"};
  const struct config_scope *of_admin[] = {&read, &write}, *of_write[] = {&read};
  admin.implied = of_admin;
  admin.n_implied = 2;
  write.implied = of_write;
  write.n_implied = 1;
  struct config_scope *all[] = {&admin, &read, &write};
  struct config c = {.scopes = all, .n_scopes = 3};
  const char *said[] = {"write"};
  struct mcpauth_principal from = {.issuer = "i", .subject = "s", .scopes = {1, said}};
  struct principal *p = principal_new(&plain, &from, NULL);
  assert_true(principal_has_scope(p, &c, &write));
  assert_true(principal_has_scope(p, &c, &read));
  assert_false(principal_has_scope(p, &c, &admin));
  principal_unref(p);
}

static void a_shortened_copy_differs_in_its_end_only(void **state)
{
  (void)state;
  const char *said[] = {"a", "b"};
  struct mcpauth_principal from = {
      .issuer = "i", .subject = "s", .scopes = {2, said}, .expires_at = 100, .reuse_ms = 7};
  struct principal *p = principal_new(&plain, &from, NULL), *q = principal_until(p, 50);
  assert_non_null(q);
  assert_ptr_equal(q->claims, p->claims);
  principal_unref(p);
  assert_int_equal(q->expires_at, 50);
  assert_int_equal(q->view.expires_at, 50);
  assert_int_equal(q->view.reuse_ms, 7);
  assert_string_equal(q->view.subject, "s");
  assert_null(q->view.client);
  assert_string_equal(q->view.scopes.v[1], "b");
  principal_unref(q);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepts_a_plain_principal),
      cmocka_unit_test(refuses_bad_names),
      cmocka_unit_test(refuses_no_principal_at_all),
      cmocka_unit_test(refuses_negative_lifetimes),
      cmocka_unit_test(refuses_bad_scopes),
      cmocka_unit_test(refuses_too_many_scopes),
      cmocka_unit_test(adds_the_scopes_of_the_configuration),
      cmocka_unit_test(same_means_issuer_and_subject),
      cmocka_unit_test(a_broad_scope_satisfies_a_narrow_one),
      cmocka_unit_test(a_shortened_copy_differs_in_its_end_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
