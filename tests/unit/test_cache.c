/* The identity cache: what is kept, for how long, and that it stays bounded (row 18). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "auth/cache.h"

static const struct config_provider plain = {.name = "plain"};
static const struct cache_mark now = {7, 3};

static struct principal *ann(int64_t expires_at)
{
  struct mcpauth_principal from = {.issuer = "i", .subject = "ann", .expires_at = expires_at};
  return principal_new(&plain, &from, NULL);
}

static struct cache_key key_of(uint32_t service, uint32_t provider, uint32_t credential)
{
  struct cache_key k = {service, provider, {0}};
  memcpy(k.digest, &credential, sizeof credential);
  return k;
}

static void put(struct cache *c, struct cache_key k, int64_t expires_at, int64_t until)
{
  struct principal *p = ann(expires_at);
  cache_put(c, &k, p, now, until);
  principal_unref(p);
}

static bool has(struct cache *c, struct cache_key k, int64_t mono, int64_t wall)
{
  struct cache_found f;
  return cache_get(c, &k, mono, wall, &f);
}

static void finds_what_was_put_with_its_mark(void **state)
{
  (void)state;
  struct cache *c = cache_new(10);
  struct cache_key k = key_of(1, 2, 3);
  put(c, k, 0, 1000);
  struct cache_found f;
  assert_true(cache_get(c, &k, 999, 1, &f));
  assert_string_equal(f.principal->subject, "ann");
  assert_int_equal(f.mark.revocations, 7);
  assert_int_equal(f.mark.files, 3);
  cache_free(c);
}

/* row 18 */
static void another_service_provider_or_credential_is_another_entry(void **state)
{
  (void)state;
  struct cache *c = cache_new(10);
  put(c, key_of(1, 2, 3), 0, 1000);
  assert_false(has(c, key_of(0, 2, 3), 0, 0));
  assert_false(has(c, key_of(2, 1, 3), 0, 0));
  assert_false(has(c, key_of(1, 3, 3), 0, 0));
  assert_false(has(c, key_of(1, 2, 4), 0, 0));
  assert_true(has(c, key_of(1, 2, 3), 0, 0));
  cache_free(c);
}

static void forgets_at_the_lifetime(void **state)
{
  (void)state;
  struct cache *c = cache_new(10);
  put(c, key_of(1, 2, 3), 0, 1000);
  assert_true(has(c, key_of(1, 2, 3), 999, 0));
  assert_false(has(c, key_of(1, 2, 3), 1000, 0));
  assert_int_equal(cache_count(c), 0);
  cache_free(c);
}

static void forgets_at_the_expiry_whatever_the_lifetime(void **state)
{
  (void)state;
  struct cache *c = cache_new(10);
  put(c, key_of(1, 2, 3), 500, 1000000);
  assert_true(has(c, key_of(1, 2, 3), 0, 499));
  assert_false(has(c, key_of(1, 2, 3), 0, 500));
  cache_free(c);
}

static void stays_bounded_and_drops_the_least_recently_used(void **state)
{
  (void)state;
  enum { MAX = 1000, ALL = 5000 };
  struct cache *c = cache_new(MAX);
  for (uint32_t i = 0; i < ALL; i++) {
    put(c, key_of(0, 0, i), 0, 1000);
    assert_true(has(c, key_of(0, 0, 0), 0, 0)); /* used all the time */
    assert_true(cache_count(c) <= MAX);
  }
  assert_int_equal(cache_count(c), MAX);
  assert_false(has(c, key_of(0, 0, ALL - MAX - 1), 0, 0));
  for (uint32_t i = ALL - MAX + 1; i < ALL; i++)
    assert_true(has(c, key_of(0, 0, i), 0, 0));
  cache_free(c);
}

static void a_second_put_replaces_the_first(void **state)
{
  (void)state;
  struct cache *c = cache_new(10);
  put(c, key_of(1, 2, 3), 0, 1000);
  put(c, key_of(1, 2, 3), 0, 2000);
  assert_int_equal(cache_count(c), 1);
  assert_true(has(c, key_of(1, 2, 3), 1500, 0));
  cache_free(c);
}

static void dropped_is_gone(void **state)
{
  (void)state;
  struct cache *c = cache_new(10);
  struct cache_key k = key_of(1, 2, 3);
  put(c, k, 0, 1000);
  cache_drop(c, &k);
  cache_drop(c, &k);
  assert_false(has(c, k, 0, 0));
  cache_free(c);
}

static void a_cache_of_none_keeps_nothing(void **state)
{
  (void)state;
  struct cache *c = cache_new(0);
  put(c, key_of(1, 2, 3), 0, 1000);
  assert_false(has(c, key_of(1, 2, 3), 0, 0));
  cache_free(c);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_what_was_put_with_its_mark),
      cmocka_unit_test(another_service_provider_or_credential_is_another_entry),
      cmocka_unit_test(forgets_at_the_lifetime),
      cmocka_unit_test(forgets_at_the_expiry_whatever_the_lifetime),
      cmocka_unit_test(stays_bounded_and_drops_the_least_recently_used),
      cmocka_unit_test(a_second_put_replaces_the_first),
      cmocka_unit_test(dropped_is_gone),
      cmocka_unit_test(a_cache_of_none_keeps_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
