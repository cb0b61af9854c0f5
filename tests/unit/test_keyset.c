/* Key sets from the network over days of simulated time: arriving, staying fresh, outages, unknown
 * keys.  Rows 4, 16, 25, 163, 185 and reliability R8. */
#include "keyset_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "util/clock.h"

/* ------------------------------------------------------------------ arriving */

static void the_first_caller_waits_for_the_first_keys(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_uri();
  ask(ks, &old_key, &x);
  assert_non_null(x.wait);
  assert_string_equal(world_fetch()->url, URI);
  world_reply(200, old_keys, -1);
  assert_int_equal(x.result, MCPAUTH_OK);
  assert_string_equal(x.subject, "ann");
  keyset_free(ks);
}

static void without_any_keys_the_answer_is_unavailable(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_uri();
  ask(ks, &old_key, &x);
  world_reply(0, "", -1);
  assert_int_equal(x.result, MCPAUTH_UNAVAIL);
  assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

/* row 163: unknown issuers cause no fetch and need no keys. */
static void a_foreign_issuer_is_invalid_without_keys_or_a_wait(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_uri();
  AUTO_FREE char *token = token_for(&old_key, "https://other.example");
  ask_text(ks, token, &x);
  assert_int_equal(x.result, MCPAUTH_INVALID);
  assert_int_equal(world_fetches, 1);
  keyset_free(ks);
}

static void what_is_no_jwt_is_ignored(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_uri();
  ask_text(ks, "mcpa_opaque", &x);
  assert_int_equal(x.result, MCPAUTH_IGNORE);
  keyset_free(ks);
}

static void a_wait_that_is_cancelled_is_not_answered(void **state)
{
  (void)state;
  struct asked x, y;
  struct keyset *ks = open_uri();
  ask(ks, &old_key, &x);
  ask(ks, &old_key, &y);
  keyset_cancel(x.wait);
  world_reply(200, old_keys, -1);
  assert_int_equal(x.result, 0);
  assert_int_equal(y.result, MCPAUTH_OK);
  keyset_free(ks);
}

static void documents_that_are_no_keys_are_failures(void **state)
{
  (void)state;
  static const char *const bodies[] = {"",
                                       "<html>",
                                       "{}",
                                       "{\"keys\":[]}",
                                       "[]",
                                       "{\"keys\":{}}",
                                       "{\"keys\":[{\"kty\":\"RSA\"}]}",
                                       "{\"keys\":[1]}"};
  struct keyset *ks = open_filled();
  for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
    world_pass(i == 0 ? 8 * MINUTE : 10 * SECOND);
    assert_non_null(world_fetch());
    world_reply(200, bodies[i], -1);
    assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  }
  keyset_free(ks);
}

/* ------------------------------------------------------------------ staying fresh */

static int64_t refreshed_after(int64_t max_age_s)
{
  struct keyset *ks = open_uri();
  world_reply(200, old_keys, max_age_s);
  int64_t from = world_ms;
  while (world_fetch() == NULL && world_ms - from < 48 * HOUR)
    world_pass(SECOND);
  int64_t took = world_ms - from;
  keyset_free(ks);
  world_set_time(world_ms + 72 * HOUR); /* what is stored is of no use to the next */
  return took;
}

/* R8: three quarters of the lifetime, a twentieth either way. */
static void keys_are_refreshed_before_they_are_old(void **state)
{
  (void)state;
  static const struct {
    int64_t max_age_s, lifetime_ms;
  } cases[] = {{-1, 10 * MINUTE}, {0, MINUTE},         {59, MINUTE},
               {120, 2 * MINUTE}, {864000, 24 * HOUR}, {INT64_MAX, 24 * HOUR}};
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    int64_t took = refreshed_after(cases[i].max_age_s);
    assert_in_range(took, cases[i].lifetime_ms * 69 / 100,
                    cases[i].lifetime_ms * 81 / 100 + SECOND);
  }
}

static void a_refresh_makes_nobody_wait(void **state)
{
  (void)state;
  struct keyset *ks = open_filled();
  world_pass(9 * MINUTE);
  assert_non_null(world_fetch());
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

/* R8: 0 failed requests for known keys during 30 minutes without the issuer. */
static void known_keys_serve_through_an_outage(void **state)
{
  (void)state;
  struct keyset *ks = open_filled();
  for (int64_t end = world_ms + 40 * MINUTE; world_ms < end;) {
    world_pass(5 * SECOND);
    if (world_fetch())
      world_reply(503, "", -1);
    assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
    if (world_ms > 9 * MINUTE) /* whether there is a new key, nobody can tell */
      assert_int_equal(now(ks, &new_key), MCPAUTH_UNAVAIL);
  }
  keyset_free(ks);
}

static void keys_are_given_up_a_day_after_they_were_old(void **state)
{
  (void)state;
  struct keyset *ks = open_filled();
  for (int64_t end = world_ms + 24 * HOUR + 9 * MINUTE; world_ms < end;) {
    world_pass(MINUTE);
    if (world_fetch())
      world_reply(0, "", -1);
  }
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  for (int i = 0; i < 3; i++) {
    world_pass(MINUTE);
    if (world_fetch())
      world_reply(0, "", -1);
  }
  assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

/* R8: the breaker opens after 5 failures, probes every 10 s, closes within 15 s. */
static void a_dead_source_is_probed_every_ten_seconds(void **state)
{
  (void)state;
  struct keyset *ks = open_uri();
  for (int i = 0; i < 5; i++) {
    while (world_fetch() == NULL)
      world_pass(100);
    world_reply(0, "", -1);
  }
  unsigned before = world_fetches;
  for (int64_t end = world_ms + MINUTE; world_ms < end;) {
    world_pass(100);
    assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL); /* nobody waits */
    if (world_fetch())
      world_reply(0, "", -1);
  }
  assert_in_range(world_fetches - before, 5, 7);
  int64_t back = world_ms;
  while (world_fetch() == NULL)
    world_pass(100);
  world_reply(200, old_keys, -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  assert_true(world_ms - back <= 15 * SECOND);
  keyset_free(ks);
}

/* row 185: a clock that jumps ten years ahead costs one fetch. */
static void a_jump_of_the_clock_causes_no_storm(void **state)
{
  (void)state;
  struct keyset *ks = open_filled();
  unsigned before = world_fetches;
  clock_freeze(begin_wall + 315360000000, begin_mono + world_ms);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  assert_true(world_fetches - before <= 1);
  keyset_free(ks);
}

/* ------------------------------------------------------------------ unknown keys */

static void a_rotation_is_followed_with_one_fetch(void **state)
{
  (void)state;
  struct asked x[50];
  struct keyset *ks = open_filled();
  for (size_t i = 0; i < ARRAY_SIZE(x); i++)
    ask(ks, &new_key, &x[i]);
  assert_int_equal(world_fetches, 2);
  world_reply(200, new_keys, -1);
  for (size_t i = 0; i < ARRAY_SIZE(x); i++)
    assert_int_equal(x[i].result, MCPAUTH_OK);
  keyset_free(ks);
}

static void a_kid_that_nobody_knows_is_invalid_after_one_fetch(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_filled();
  ask(ks, &new_key, &x);
  assert_non_null(x.wait);
  world_reply(200, old_keys, -1);
  assert_int_equal(x.result, MCPAUTH_INVALID);
  assert_int_equal(now(ks, &new_key), MCPAUTH_INVALID);
  assert_int_equal(world_fetches, 2);
  keyset_free(ks);
}

/* row 163: 100,000 random kids in 30 s: at most 2 fetches. */
static void a_flood_of_unknown_kids_costs_two_fetches(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_filled();
  unsigned before = world_fetches;
  char kid[32];
  for (int i = 0; i < 2000; i++) {
    struct signer s = new_key;
    snprintf(kid, sizeof kid, "kid-%d", i);
    s.kid = kid;
    AUTO_FREE char *token = token_for(&s, ISSUER);
    for (int again = 0; again < 50; again++) {
      ask_text(ks, token, &x);
      if (x.wait)
        world_reply(200, old_keys, -1);
      assert_int_equal(x.result, MCPAUTH_INVALID);
    }
    world_pass(14);
  }
  assert_true(world_ms <= 30 * SECOND);
  assert_true(world_fetches - before <= 2);
  keyset_free(ks);
}

static void a_forced_fetch_that_fails_is_unavailable(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_filled();
  ask(ks, &new_key, &x);
  world_reply(500, "", -1);
  assert_int_equal(x.result, MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

/* The first worker fetches; the other, which may not, takes what it has stored. */
static void workers_share_one_fetch(void **state)
{
  (void)state;
  struct asked x, y;
  struct keyset *a = open_filled(), *b = open_uri(); /* b reads what a has stored */
  assert_null(world_fetch());
  assert_int_equal(now(b, &old_key), MCPAUTH_OK);
  world_pass(SECOND);
  ask(a, &new_key, &x);
  ask(b, &new_key, &y);
  assert_non_null(y.wait);
  world_pass(SECOND);
  assert_int_equal(world_fetches, 2);
  world_reply(200, new_keys, -1);
  assert_int_equal(x.result, MCPAUTH_OK);
  world_pass(SECOND);
  assert_int_equal(y.result, MCPAUTH_OK);
  assert_int_equal(world_fetches, 2);
  keyset_free(a);
  keyset_free(b);
}

static void a_worker_that_may_not_fetch_waits_three_seconds_at_most(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_filled();
  world_mark_ms = world_ms; /* somebody has just fetched */
  ask(ks, &new_key, &x);
  assert_non_null(x.wait);
  world_pass(3500);
  assert_int_equal(x.result, MCPAUTH_INVALID);
  assert_int_equal(now(ks, &new_key), MCPAUTH_INVALID);
  keyset_free(ks);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(the_first_caller_waits_for_the_first_keys),
      TEST(without_any_keys_the_answer_is_unavailable),
      TEST(a_foreign_issuer_is_invalid_without_keys_or_a_wait),
      TEST(what_is_no_jwt_is_ignored),
      TEST(a_wait_that_is_cancelled_is_not_answered),
      TEST(documents_that_are_no_keys_are_failures),
      TEST(keys_are_refreshed_before_they_are_old),
      TEST(a_refresh_makes_nobody_wait),
      TEST(known_keys_serve_through_an_outage),
      TEST(keys_are_given_up_a_day_after_they_were_old),
      TEST(a_dead_source_is_probed_every_ten_seconds),
      TEST(a_jump_of_the_clock_causes_no_storm),
      TEST(a_rotation_is_followed_with_one_fetch),
      TEST(a_kid_that_nobody_knows_is_invalid_after_one_fetch),
      TEST(a_flood_of_unknown_kids_costs_two_fetches),
      TEST(a_forced_fetch_that_fails_is_unavailable),
      TEST(workers_share_one_fetch),
      TEST(a_worker_that_may_not_fetch_waits_three_seconds_at_most),
  };
  return world_run(tests);
}
