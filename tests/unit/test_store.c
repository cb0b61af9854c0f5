/* Every object of the store, one connection. */
#include "store_support.h"
#include "util/limits.h"

static struct store_db db;
static struct arena *arena;

static int setup(void **state)
{
  clock_freeze(1800000000000, 1000000);
  if (make_dir(state) < 0)
    return -1;
  open_db(&db);
  arena = arena_new(4096 * 1024);
  return arena ? 0 : -1;
}

static int teardown(void **state)
{
  arena_free(arena);
  db_close(&db);
  clock_freeze(-1, -1);
  return remove_dir(state);
}

static void later(int64_t seconds)
{
  clock_freeze(clock_wall_ms() + seconds * 1000, clock_mono_ms() + seconds * 1000);
}

/* ---- clients */

static const struct store_client_limits limits = {.total = 5, .per_source = 2, .unused_s = 86400};

static enum store_result add_client(const char *id, const char *source)
{
  struct store_client c = {.id = str_of(id),
                           .name = STR("Cursor"),
                           .registration = STR("{\"redirect_uris\":[\"cursor://x/cb\"]}"),
                           .source = str_of(source)};
  return TX(&db, store_client_add(&db, &c, &limits));
}

static enum store_result get_client(const char *id, struct store_client *ret)
{
  return TX(&db, store_client_get(&db, str_of(id), arena, ret));
}

static void test_a_registration_comes_back_as_it_was(void **state)
{
  (void)state;
  struct store_client c;
  assert_int_equal(add_client("c1", "192.0.2.0/24"), STORE_OK);
  assert_int_equal(get_client("c1", &c), STORE_OK);
  assert_true(str_is(c.registration, "{\"redirect_uris\":[\"cursor://x/cb\"]}"));
  assert_true(str_is(c.name, "Cursor"));
  assert_int_equal(c.created_at, 1800000000);
  assert_int_equal(c.used_at, 0);
  assert_false(c.approved);
  assert_int_equal(get_client("c2", &c), STORE_NONE);
  assert_int_equal(add_client("c1", "x"), STORE_CONFLICT);
}

/* row 105 */
static void test_one_source_cannot_fill_the_store_and_all_together_neither(void **state)
{
  (void)state;
  assert_int_equal(add_client("a1", "a"), STORE_OK);
  assert_int_equal(add_client("a2", "a"), STORE_OK);
  assert_int_equal(add_client("a3", "a"), STORE_LIMIT);
  assert_int_equal(add_client("b1", "b"), STORE_OK);
  assert_int_equal(add_client("c1", "c"), STORE_OK);
  assert_int_equal(add_client("d1", "d"), STORE_OK);
  assert_int_equal(add_client("e1", "e"), STORE_FULL);
}

/* row 105 */
static void test_a_used_client_is_never_evicted_an_unused_one_after_a_day(void **state)
{
  (void)state;
  struct store_client c;
  assert_int_equal(add_client("used", "a"), STORE_OK);
  assert_int_equal(add_client("unused", "a"), STORE_OK);
  assert_int_equal(TX(&db, store_client_used(&db, STR("used"))), STORE_OK);
  later(86401);
  for (const char *id = "12345"; *id; id++)
    add_client((char[]){*id, 0}, (char[]){'s', *id, 0});
  assert_int_equal(get_client("used", &c), STORE_OK);
  assert_int_equal(c.used_at, 1800000000);
  assert_int_equal(get_client("unused", &c), STORE_NONE);
}

static void test_removing_a_client_ends_its_grants_consents_and_codes(void **state)
{
  (void)state;
  struct store_grant g = sample_grant("g1");
  struct store_code code = sample_code("code-1", "g2"), back;
  struct store_consent consent = {g.issuer,  g.subject, g.client, code.redirect,
                                  g.service, g.scopes,  0};
  unsigned grants = 0;
  assert_int_equal(add_client("client-1", "a"), STORE_OK);
  assert_int_equal(TX(&db, store_grant_add(&db, &g)), STORE_OK);
  assert_int_equal(TX(&db, store_code_put(&db, &code)), STORE_OK);
  assert_int_equal(TX(&db, store_consent_put(&db, &consent)), STORE_OK);
  assert_int_equal(TX(&db, store_client_remove(&db, STR("client-1"), &grants)), STORE_OK);
  assert_int_equal(grants, 1);
  assert_int_equal(TX(&db, store_grant_get(&db, STR("g1"), arena, &g)), STORE_REVOKED);
  assert_int_equal(TX(&db, store_consent_covers(&db, &consent)), STORE_NONE);
  assert_int_equal(TX(&db, store_code_take(&db, STR("code-1"), arena, &back)), STORE_NONE);
  assert_int_equal(TX(&db, store_client_remove(&db, STR("client-1"), &grants)), STORE_NONE);
}

/* ---- documents and marks */

static void test_a_document_is_kept_until_it_is_fetched_again(void **state)
{
  (void)state;
  struct store_document d = {STR("https://app.example/client.json"), STR("{}"), 1, 2}, back;
  assert_int_equal(TX(&db, store_document_get(&db, d.url, arena, &back)), STORE_NONE);
  assert_int_equal(TX(&db, store_document_put(&db, &d)), STORE_OK);
  d.body = STR("");
  d.expires_at = 60;
  assert_int_equal(TX(&db, store_document_put(&db, &d)), STORE_OK);
  assert_int_equal(TX(&db, store_document_get(&db, d.url, arena, &back)), STORE_OK);
  assert_int_equal(back.body.n, 0);
  assert_int_equal(back.expires_at, 60);
}

/* rows 100, 111 */
static void test_a_mark_can_be_set_once(void **state)
{
  (void)state;
  int64_t then = clock_wall() + 600;
  assert_int_equal(TX(&db, store_marked(&db, "state", STR("abc"))), STORE_NONE);
  assert_int_equal(TX(&db, store_mark(&db, "state", STR("abc"), then)), STORE_OK);
  assert_int_equal(TX(&db, store_mark(&db, "state", STR("abc"), then)), STORE_USED);
  assert_int_equal(TX(&db, store_mark(&db, "jti", STR("abc"), then)), STORE_OK);
  assert_int_equal(TX(&db, store_marked(&db, "state", STR("abc"))), STORE_OK);
  assert_int_equal(TX(&db, store_mark(&db, "state", STR("old"), clock_wall())), STORE_EXPIRED);
}

/* ---- consents: row 93 */

static void test_a_consent_covers_what_was_agreed_to_and_nothing_else(void **state)
{
  (void)state;
  struct store_consent c = {
      STR("iss"), STR("ann"), STR("client"), STR("http://localhost/cb"), STR("notes"),
      STR("a b"), 0};
  assert_int_equal(TX(&db, store_consent_covers(&db, &c)), STORE_NONE);
  assert_int_equal(TX(&db, store_consent_put(&db, &c)), STORE_OK);
  assert_int_equal(TX(&db, store_consent_covers(&db, &c)), STORE_OK);
  struct store_consent narrower = c, wider = c;
  narrower.scopes = STR("b");
  wider.scopes = STR("a b c");
  assert_int_equal(TX(&db, store_consent_covers(&db, &narrower)), STORE_OK);
  assert_int_equal(TX(&db, store_consent_covers(&db, &wider)), STORE_NONE);
  struct str *const parts[] = {&c.issuer, &c.subject, &c.client, &c.redirect, &c.service};
  for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
    struct str was = *parts[i];
    *parts[i] = STR("other");
    assert_int_equal(TX(&db, store_consent_covers(&db, &c)), STORE_NONE);
    *parts[i] = was;
  }
}

static void test_consents_add_up_and_can_be_taken_back(void **state)
{
  (void)state;
  struct store_consent c = {
      STR("iss"), STR("ann"), STR("client"), STR("http://localhost/cb"), STR("notes"), STR("a"), 0};
  assert_int_equal(TX(&db, store_consent_put(&db, &c)), STORE_OK);
  c.scopes = STR("b");
  assert_int_equal(TX(&db, store_consent_put(&db, &c)), STORE_OK);
  c.scopes = STR("a b");
  assert_int_equal(TX(&db, store_consent_covers(&db, &c)), STORE_OK);
  assert_int_equal(TX(&db, store_consent_forget(&db, STR("iss"), STR("ann"), STR("x"))),
                   STORE_NONE);
  assert_int_equal(TX(&db, store_consent_forget(&db, STR("iss"), STR("ann"), STR(""))), STORE_OK);
  assert_int_equal(TX(&db, store_consent_covers(&db, &c)), STORE_NONE);
}

/* ---- grants */

static void add_grant(const char *id)
{
  struct store_grant g = sample_grant(id);
  assert_int_equal(TX(&db, store_grant_add(&db, &g)), STORE_OK);
}

static enum store_result get_grant(const char *id, struct store_grant *ret)
{
  return TX(&db, store_grant_get(&db, str_of(id), arena, ret));
}

static void test_a_grant_comes_back_as_it_was(void **state)
{
  (void)state;
  struct store_grant g;
  add_grant("g1");
  assert_int_equal(get_grant("g1", &g), STORE_OK);
  assert_true(str_is(g.subject, "ann"));
  assert_true(str_is(g.principal, "{\"email\":\"ann@example.com\"}"));
  assert_int_equal(g.checked_at, 1800000000);
  assert_int_equal(g.revoked_at, 0);
  assert_int_equal(get_grant("g2", &g), STORE_NONE);
}

static void test_a_grant_ends_at_its_time(void **state)
{
  (void)state;
  struct store_grant g = sample_grant("g1");
  g.expires_at = clock_wall() + 10;
  assert_int_equal(TX(&db, store_grant_add(&db, &g)), STORE_OK);
  assert_int_equal(TX(&db, store_grant_add(&db, &g)), STORE_CONFLICT);
  later(10);
  assert_int_equal(get_grant("g1", &g), STORE_EXPIRED);
  assert_int_equal(TX(&db, store_grant_checked(&db, g.id, STR("{}"), g.scopes)), STORE_EXPIRED);
}

static void test_a_check_at_the_provider_renews_claims_and_scopes(void **state)
{
  (void)state;
  struct store_grant g;
  add_grant("g1");
  later(100);
  struct str as_before = {NULL, 0};
  assert_int_equal(TX(&db, store_grant_checked(&db, STR("g1"), as_before, as_before)), STORE_OK);
  assert_int_equal(get_grant("g1", &g), STORE_OK);
  assert_int_equal(g.checked_at, 1800000100);
  assert_true(str_is(g.principal, "{\"email\":\"ann@example.com\"}"));
  assert_int_equal(TX(&db, store_grant_checked(&db, STR("g1"), STR("{}"), STR("notes:read"))),
                   STORE_OK);
  assert_int_equal(get_grant("g1", &g), STORE_OK);
  assert_true(str_is(g.principal, "{}"));
  assert_true(str_is(g.scopes, "notes:read"));
}

static void test_the_newest_word_about_a_person_is_of_a_live_grant_and_young(void **state)
{
  (void)state;
  struct store_grant g;
  const struct store_grant like = sample_grant("g1");
  add_grant("g1");
  later(100);
  add_grant("g2");
  later(100);
  struct str as_before = {NULL, 0};
  assert_int_equal(TX(&db, store_grant_checked(&db, STR("g1"), STR("{\"a\":1}"), as_before)),
                   STORE_OK);
#define NEWEST(service, since)                                                                     \
  TX(&db,                                                                                          \
     store_grant_newest(&db, like.provider, like.issuer, like.subject, service, since, arena, &g))
  assert_int_equal(NEWEST(like.service, 1800000200), STORE_OK);
  assert_true(str_is(g.id, "g1") && str_is(g.principal, "{\"a\":1}"));
  assert_int_equal(NEWEST(like.service, 1800000201), STORE_NONE);
  assert_int_equal(NEWEST(STR("another"), 0), STORE_NONE);
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g1"), "test")), STORE_OK);
  assert_int_equal(NEWEST(like.service, 1800000100), STORE_OK);
  assert_true(str_is(g.id, "g2"));
  assert_int_equal(NEWEST(like.service, 1800000101), STORE_NONE);
#undef NEWEST
}

static void count_grant(void *arg, const struct store_grant *g)
{
  unsigned *n = arg;
  assert_true(str_is(g->issuer, "https://idp.example"));
  ++*n;
}

static unsigned count_grants(struct store_grant_filter f)
{
  unsigned n = 0;
  assert_int_equal(TX(&db, store_grant_each(&db, &f, count_grant, &n)), STORE_OK);
  return n;
}

static void test_grants_are_listed_by_what_is_asked_for(void **state)
{
  (void)state;
  add_grant("g1");
  add_grant("g2");
  struct store_grant bob = sample_grant("g3");
  bob.subject = STR("bob");
  assert_int_equal(TX(&db, store_grant_add(&db, &bob)), STORE_OK);
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g2"), "asked")), STORE_OK);
  assert_int_equal(count_grants((struct store_grant_filter){.dead = false}), 2);
  assert_int_equal(count_grants((struct store_grant_filter){.dead = true}), 3);
  assert_int_equal(count_grants((struct store_grant_filter){.subject = STR("bob")}), 1);
  assert_int_equal(count_grants((struct store_grant_filter){.service = STR("mail")}), 0);
}

static void test_a_revoked_grant_stays_revoked(void **state)
{
  (void)state;
  struct store_grant g;
  add_grant("g1");
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g1"), "asked")), STORE_OK);
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g1"), "again")), STORE_USED);
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g2"), "asked")), STORE_NONE);
  assert_int_equal(get_grant("g1", &g), STORE_REVOKED);
  assert_true(str_is(g.why, "asked"));
  assert_null(g.principal.p);
  assert_int_equal(TX(&db, store_grant_checked(&db, STR("g1"), STR("{}"), STR(""))), STORE_REVOKED);
}

/* ---- codes */

static enum store_result put_code(const char *code, const char *grant)
{
  struct store_code c = sample_code(code, grant);
  return TX(&db, store_code_put(&db, &c));
}

static enum store_result take_code(const char *code, struct store_code *ret)
{
  return TX(&db, store_code_take(&db, str_of(code), arena, ret));
}

static void test_a_code_brings_back_all_that_it_is_bound_to(void **state)
{
  (void)state;
  struct store_code c;
  assert_int_equal(put_code("code-1", "g1"), STORE_OK);
  assert_int_equal(put_code("code-1", "g2"), STORE_CONFLICT);
  assert_int_equal(take_code("code-1", &c), STORE_OK);
  assert_true(str_is(c.grant.id, "g1"));
  assert_true(str_is(c.grant.client, "client-1"));
  assert_true(str_is(c.grant.principal, "{\"email\":\"ann@example.com\"}"));
  assert_true(str_is(c.redirect, "http://127.0.0.1:7777/callback"));
  assert_true(str_is(c.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
  assert_true(str_is(c.data, "{\"resource\":\"https://mcp.example/notes\"}"));
  assert_int_equal(take_code("code-2", &c), STORE_NONE);
}

/* row 90 */
static void test_a_code_that_comes_again_ends_its_grant(void **state)
{
  (void)state;
  struct store_code c;
  struct store_grant g;
  assert_int_equal(put_code("code-1", "g1"), STORE_OK);
  assert_int_equal(take_code("code-1", &c), STORE_OK);
  add_grant("g1");
  assert_int_equal(take_code("code-1", &c), STORE_USED);
  assert_true(str_is(c.grant.id, "g1"));
  assert_true(str_is(c.grant.subject, "ann"));
  assert_int_equal(get_grant("g1", &g), STORE_REVOKED);
}

/* row 90 */
static void test_a_code_that_comes_again_also_ends_a_grant_that_is_still_being_made(void **state)
{
  (void)state;
  struct store_code c;
  assert_int_equal(put_code("code-1", "g1"), STORE_OK);
  assert_int_equal(take_code("code-1", &c), STORE_OK);
  assert_int_equal(take_code("code-1", &c), STORE_USED);
  struct store_grant g = sample_grant("g1");
  assert_int_equal(TX(&db, store_grant_add(&db, &g)), STORE_REVOKED);
  assert_int_equal(get_grant("g1", &g), STORE_NONE);
}

/* row 91 */
static void test_a_code_is_good_for_its_time_only(void **state)
{
  (void)state;
  struct store_code c;
  assert_int_equal(put_code("code-1", "g1"), STORE_OK);
  later(60);
  assert_int_equal(take_code("code-1", &c), STORE_EXPIRED);
  assert_int_equal(take_code("code-1", &c), STORE_USED);
}

/* row 184 */
static void test_a_clock_that_is_set_back_revives_no_code(void **state)
{
  (void)state;
  struct store_code c;
  assert_int_equal(put_code("code-1", "g1"), STORE_OK);
  later(61);
  assert_int_equal(TX(&db, db_judge_clock(&db)), true);
  clock_freeze(1800000000000, clock_mono_ms());
  assert_int_equal(take_code("code-1", &c), STORE_EXPIRED);
  db_close(&db);
  open_db(&db); /* a restart knows it too */
  assert_int_equal(put_code("code-2", "g1"), STORE_OK);
  assert_int_equal(store_time(&db), 1800000061);
}

/* row 185 */
static void test_a_clock_that_jumps_ahead_takes_nothing_with_it(void **state)
{
  (void)state;
  struct store_code c;
  assert_int_equal(put_code("code-1", "g1"), STORE_OK);
  clock_freeze(1800000000000 + 315360000000, clock_mono_ms());
  assert_int_equal(TX(&db, db_judge_clock(&db)), false);
  clock_freeze(1800000000000, clock_mono_ms());
  assert_int_equal(TX(&db, db_judge_clock(&db)), true);
  assert_int_equal(take_code("code-1", &c), STORE_OK);
}

/* row 186 */
static void test_times_past_2038_are_times(void **state)
{
  (void)state;
  struct store_code c;
  struct store_grant g;
  clock_freeze(INT64_C(4102444800000), clock_mono_ms()); /* 2100 */
  db_close(&db);
  open_db(&db);
  assert_int_equal(put_code("code-1", "g1"), STORE_OK);
  add_grant("g1");
  assert_int_equal(get_grant("g1", &g), STORE_OK);
  assert_int_equal(g.created_at, INT64_C(4102444800));
  later(59);
  assert_int_equal(take_code("code-1", &c), STORE_OK);
}

/* ---- refresh tokens: row 102 */

enum { GRACE = 120, MONTH = 30 * 86400 };

static void add_family(void)
{
  add_grant("g1");
  assert_int_equal(
      TX(&db, store_refresh_add(&db, STR("g1"), STR("refresh-token-n0"), clock_wall() + MONTH)),
      STORE_OK);
}

static enum store_result rotate_as(const char *client, const char *token, const char *successor,
                                   const char *expected)
{
  struct str got = {NULL, 0};
  enum store_result r =
      TX(&db, store_refresh_rotate(&db, str_of(token), str_of(client), str_of(successor),
                                   clock_wall() + MONTH, GRACE, arena, &got));
  if (expected)
    assert_true(str_is(got, expected));
  else
    assert_null(got.p);
  return r;
}

static enum store_result rotate(const char *token, const char *successor, const char *expected)
{
  return rotate_as("client-1", token, successor, expected);
}

static void test_a_refresh_token_is_exchanged_for_the_next(void **state)
{
  (void)state;
  struct store_refresh t;
  add_family();
  later(1000);
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", "refresh-token-n1"), STORE_OK);
  assert_int_equal(TX(&db, store_refresh_peek(&db, STR("refresh-token-n1"), GRACE, arena, &t)),
                   STORE_OK);
  assert_int_equal(t.generation, 1);
  assert_int_equal(t.used_at, 0);
  assert_true(str_is(t.grant.id, "g1"));
  assert_int_equal(t.grant.used_at, 1800001000);
  assert_int_equal(TX(&db, store_refresh_peek(&db, STR("refresh-token-n0"), GRACE, arena, &t)),
                   STORE_OK);
  assert_true(t.in_grace);
  assert_int_equal(rotate("refresh-token-n9", "x", NULL), STORE_NONE);
}

static void test_a_lost_answer_is_given_again_within_the_grace(void **state)
{
  (void)state;
  add_family();
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", "refresh-token-n1"), STORE_OK);
  later(GRACE);
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-nx", "refresh-token-n1"), STORE_AGAIN);
  assert_int_equal(rotate("refresh-token-nx", "y", NULL), STORE_NONE);
}

static void test_it_is_given_again_also_when_it_has_been_used(void **state)
{
  (void)state;
  add_family();
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", "refresh-token-n1"), STORE_OK);
  assert_int_equal(rotate("refresh-token-n1", "refresh-token-n2", "refresh-token-n2"), STORE_OK);
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-nx", "refresh-token-n1"), STORE_AGAIN);
  assert_int_equal(rotate("refresh-token-n1", "refresh-token-nx", "refresh-token-n2"), STORE_AGAIN);
}

static void test_a_replay_after_the_grace_ends_the_family(void **state)
{
  (void)state;
  struct store_grant g;
  add_family();
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", "refresh-token-n1"), STORE_OK);
  later(GRACE + 1);
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-nx", NULL), STORE_REPLAYED);
  assert_int_equal(rotate("refresh-token-n1", "refresh-token-n2", NULL), STORE_REVOKED);
  assert_int_equal(get_grant("g1", &g), STORE_REVOKED);
}

/* row 103 */
static void test_another_client_cannot_use_it_and_does_it_no_harm(void **state)
{
  (void)state;
  add_family();
  assert_int_equal(rotate_as("client-2", "refresh-token-n0", "x", NULL), STORE_CONFLICT);
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", "refresh-token-n1"), STORE_OK);
  assert_int_equal(rotate_as("client-2", "refresh-token-n0", "x", NULL), STORE_CONFLICT);
  later(GRACE + 1);
  assert_int_equal(rotate_as("client-2", "refresh-token-n0", "x", NULL), STORE_CONFLICT);
  assert_int_equal(rotate("refresh-token-n1", "refresh-token-n2", "refresh-token-n2"), STORE_OK);
}

static void test_a_refresh_token_expires_when_it_is_not_used(void **state)
{
  (void)state;
  struct store_refresh t;
  add_family();
  later(MONTH);
  assert_int_equal(TX(&db, store_refresh_peek(&db, STR("refresh-token-n0"), GRACE, arena, &t)),
                   STORE_EXPIRED);
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", NULL), STORE_EXPIRED);
}

static void test_no_refresh_token_outlives_its_grant(void **state)
{
  (void)state;
  struct store_refresh t;
  struct store_grant g = sample_grant("g1");
  g.expires_at = clock_wall() + 1000;
  assert_int_equal(TX(&db, store_grant_add(&db, &g)), STORE_OK);
  assert_int_equal(
      TX(&db, store_refresh_add(&db, STR("g1"), STR("refresh-token-n0"), g.expires_at)), STORE_OK);
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", "refresh-token-n1"), STORE_OK);
  assert_int_equal(TX(&db, store_refresh_peek(&db, STR("refresh-token-n1"), GRACE, arena, &t)),
                   STORE_OK);
  assert_int_equal(t.expires_at, g.expires_at);
  later(1000);
  assert_int_equal(rotate("refresh-token-n1", "refresh-token-n2", NULL), STORE_EXPIRED);
}

/* What is remembered is bounded, and the bound is no way to make a replay forgotten. */
static void test_a_grant_that_is_refreshed_too_often_ends(void **state)
{
  (void)state;
  struct store_grant g;
  add_family();
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", "refresh-token-n1"), STORE_OK);
  assert_int_equal(TX(&db, RUN(&db, "UPDATE refresh SET generation = ? WHERE generation = 1",
                               INT(LIMIT_FAMILY / 256 * 256 - 1))),
                   1);
  assert_int_equal(rotate("refresh-token-n1", "refresh-token-n2", "refresh-token-n2"), STORE_OK);
  assert_int_equal(TX(&db, RUN(&db, "UPDATE refresh SET generation = ? WHERE used_at = 0",
                               INT(LIMIT_FAMILY / 256 * 256 + 255))),
                   1);
  assert_int_equal(rotate("refresh-token-n2", "refresh-token-n3", NULL), STORE_REVOKED);
  assert_int_equal(get_grant("g1", &g), STORE_REVOKED);
}

static void test_a_revoked_grant_refreshes_no_more(void **state)
{
  (void)state;
  struct store_refresh t;
  add_family();
  assert_int_equal(rotate("refresh-token-n0", "refresh-token-n1", "refresh-token-n1"), STORE_OK);
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g1"), "asked")), STORE_OK);
  assert_int_equal(rotate("refresh-token-n0", "x", NULL), STORE_REVOKED);
  assert_int_equal(rotate("refresh-token-n1", "x", NULL), STORE_REVOKED);
  assert_int_equal(TX(&db, store_refresh_peek(&db, STR("refresh-token-n1"), GRACE, arena, &t)),
                   STORE_REVOKED);
}

/* ---- tokens upstream */

static const struct store_link ann = {STR_INIT("google"), STR_INIT("https://idp.example"),
                                      STR_INIT("ann")};
static const struct store_upstream tokens = {.access_token = STR_INIT("ya29.canary"),
                                             .refresh_token = STR_INIT("1//canary"),
                                             .extra = STR_INIT("{}"),
                                             .access_expires_at = 1800003600};

static void test_tokens_upstream_come_back_and_change_by_version(void **state)
{
  (void)state;
  struct store_upstream u;
  assert_int_equal(TX(&db, store_upstream_get(&db, &ann, arena, &u)), STORE_NONE);
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &tokens, 1)), STORE_CONFLICT);
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &tokens, 0)), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &tokens, 0)), STORE_CONFLICT);
  assert_int_equal(TX(&db, store_upstream_get(&db, &ann, arena, &u)), STORE_OK);
  assert_int_equal(u.version, 1);
  assert_true(str_is(u.access_token, "ya29.canary"));
  assert_true(str_is(u.refresh_token, "1//canary"));
  assert_true(str_is(u.extra, "{}"));
  u.refresh_token = STR("next");
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &u, 1)), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &u, 1)), STORE_CONFLICT);
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &u, -1)), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_get(&db, &ann, arena, &u)), STORE_OK);
  assert_int_equal(u.version, 3);
}

/* row 126 */
static void test_one_caller_alone_may_refresh_upstream(void **state)
{
  (void)state;
  assert_int_equal(TX(&db, store_upstream_lease(&db, &ann, 1, 30)), STORE_NONE);
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &tokens, 0)), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_lease(&db, &ann, 1, 30)), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_lease(&db, &ann, 1, 30)), STORE_CONFLICT);
  later(30);
  assert_int_equal(TX(&db, store_upstream_lease(&db, &ann, 1, 30)), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &tokens, 1)), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_lease(&db, &ann, 1, 30)), STORE_CONFLICT);
  assert_int_equal(TX(&db, store_upstream_lease(&db, &ann, 2, 30)), STORE_OK);
}

static void test_tokens_upstream_go_with_the_last_grant(void **state)
{
  (void)state;
  struct store_upstream u;
  add_grant("g1");
  add_grant("g2");
  assert_int_equal(TX(&db, store_upstream_put(&db, &ann, &tokens, 0)), STORE_OK);
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g1"), "asked")), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_get(&db, &ann, arena, &u)), STORE_OK);
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g2"), "asked")), STORE_OK);
  assert_int_equal(TX(&db, store_upstream_get(&db, &ann, arena, &u)), STORE_NONE);
}

/* ---- all tables */

/* row 123 */
static void test_text_is_text_whatever_stands_in_it(void **state)
{
  (void)state;
  static const char evil[] = "'\";--\0/*' OR 1=1";
  struct str s = {evil, sizeof evil - 1};
  struct store_grant g = {s, s, s, s, s, s, s, s, s, 0, 0, 0, 0, 0, {NULL, 0}}, back;
  assert_int_equal(TX(&db, store_grant_add(&db, &g)), STORE_OK);
  add_grant("g1");
  assert_int_equal(TX(&db, store_grant_get(&db, s, arena, &back)), STORE_OK);
  assert_true(str_eq(back.subject, s));
  assert_true(str_eq(back.principal, s));
  assert_int_equal(TX(&db, store_grant_revoke(&db, s, evil)), STORE_OK);
  assert_int_equal(get_grant("g1", &back), STORE_OK);
}

static void test_sweeping_takes_out_what_is_over_a_portion_at_a_time(void **state)
{
  (void)state;
  unsigned n;
  char name[16];
  for (int i = 0; i < 30; i++) {
    snprintf(name, sizeof name, "code-%d", i);
    assert_int_equal(put_code(name, name), STORE_OK);
  }
  add_family();
  later(60 + 3601);
  assert_int_equal(TX(&db, store_sweep(&db, 20, &n)), STORE_OK);
  assert_int_equal(n, 20);
  assert_int_equal(TX(&db, store_sweep(&db, 20, &n)), STORE_OK);
  assert_int_equal(n, 10);
  assert_int_equal(TX(&db, store_sweep(&db, 20, &n)), STORE_OK);
  assert_int_equal(n, 0);
  struct store_grant g;
  assert_int_equal(get_grant("g1", &g), STORE_OK);
  later(MONTH - 3661);
  assert_int_equal(TX(&db, store_sweep(&db, 20, &n)), STORE_OK);
  assert_int_equal(get_grant("g1", &g), STORE_OK); /* its last refresh token was good until now */
  later(2 * 86400);
  assert_int_equal(TX(&db, store_sweep(&db, 20, &n)), STORE_OK);
  assert_int_equal(get_grant("g1", &g), STORE_NONE);
}

static void put_document(const char *url, int64_t expires_at)
{
  struct store_document d = {str_of(url), STR("{}"), clock_wall(), expires_at};
  assert_int_equal(TX(&db, store_document_put(&db, &d)), STORE_OK);
}

static enum store_result get_document(const char *url)
{
  struct store_document d;
  return TX(&db, store_document_get(&db, str_of(url), arena, &d));
}

static void test_a_document_stays_while_somebody_is_logged_in_through_it(void **state)
{
  (void)state;
  unsigned n;
  add_family(); /* of client-1 */
  put_document("client-1", clock_wall() + 60);
  put_document("client-2", clock_wall() + 60);
  later(60 + 8 * 86400);
  assert_int_equal(TX(&db, store_sweep(&db, 20, &n)), STORE_OK);
  assert_int_equal(get_document("client-1"), STORE_OK);
  assert_int_equal(get_document("client-2"), STORE_NONE);
  assert_int_equal(TX(&db, store_grant_revoke(&db, STR("g1"), "test")), STORE_OK);
  assert_int_equal(TX(&db, store_sweep(&db, 20, &n)), STORE_OK);
  assert_int_equal(get_document("client-1"), STORE_NONE);
}

static void test_documents_make_room_last_where_somebody_is_logged_in(void **state)
{
  (void)state;
  char url[32];
  add_grant("g1");
  put_document("client-1", clock_wall() + 1); /* the first to expire */
  for (int i = 0; i < LIMIT_DOCUMENTS + 5; i++) {
    snprintf(url, sizeof url, "https://%d.example/c", i);
    put_document(url, clock_wall() + 60 + i);
  }
  assert_int_equal(get_document("client-1"), STORE_OK);
  assert_int_equal(get_document("https://0.example/c"), STORE_NONE);
  assert_int_equal(get_document(url), STORE_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_a_registration_comes_back_as_it_was),
      T(test_one_source_cannot_fill_the_store_and_all_together_neither),
      T(test_a_used_client_is_never_evicted_an_unused_one_after_a_day),
      T(test_removing_a_client_ends_its_grants_consents_and_codes),
      T(test_a_document_is_kept_until_it_is_fetched_again),
      T(test_a_document_stays_while_somebody_is_logged_in_through_it),
      T(test_documents_make_room_last_where_somebody_is_logged_in),
      T(test_a_mark_can_be_set_once),
      T(test_a_consent_covers_what_was_agreed_to_and_nothing_else),
      T(test_consents_add_up_and_can_be_taken_back),
      T(test_a_grant_comes_back_as_it_was),
      T(test_a_grant_ends_at_its_time),
      T(test_a_check_at_the_provider_renews_claims_and_scopes),
      T(test_the_newest_word_about_a_person_is_of_a_live_grant_and_young),
      T(test_grants_are_listed_by_what_is_asked_for),
      T(test_a_revoked_grant_stays_revoked),
      T(test_a_code_brings_back_all_that_it_is_bound_to),
      T(test_a_code_that_comes_again_ends_its_grant),
      T(test_a_code_that_comes_again_also_ends_a_grant_that_is_still_being_made),
      T(test_a_code_is_good_for_its_time_only),
      T(test_a_clock_that_is_set_back_revives_no_code),
      T(test_a_clock_that_jumps_ahead_takes_nothing_with_it),
      T(test_times_past_2038_are_times),
      T(test_a_refresh_token_is_exchanged_for_the_next),
      T(test_a_lost_answer_is_given_again_within_the_grace),
      T(test_it_is_given_again_also_when_it_has_been_used),
      T(test_a_replay_after_the_grace_ends_the_family),
      T(test_another_client_cannot_use_it_and_does_it_no_harm),
      T(test_a_refresh_token_expires_when_it_is_not_used),
      T(test_no_refresh_token_outlives_its_grant),
      T(test_a_grant_that_is_refreshed_too_often_ends),
      T(test_a_revoked_grant_refreshes_no_more),
      T(test_tokens_upstream_come_back_and_change_by_version),
      T(test_one_caller_alone_may_refresh_upstream),
      T(test_tokens_upstream_go_with_the_last_grant),
      T(test_text_is_text_whatever_stands_in_it),
      T(test_sweeping_takes_out_what_is_over_a_portion_at_a_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
