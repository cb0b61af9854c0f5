/* Stacks at work: who is called, what counts, which status comes out (rows 18, 19, 23, 133, 134).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "fakes.h"
#include "ops/shm.h"
#include "util/cleanup.h"
#include "util/clock.h"

static struct world w;

static int set_up(void **state)
{
  (void)state;
  world_init(&w);
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  clock_freeze(-1, -1);
  world_done(&w);
  return 0;
}

/* ---- one line */

static void an_ok_grants_with_its_principal(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->expires_at = 4000000000;
  f->claim_pointer = "/role";
  f->claim_json = "\"admin\"";
  world_start(&w);
  struct asked a;
  ask(&w, &a, "t");
  assert_string_equal(told(&a), "200 p0:OK");
  assert_string_equal(grant_principal(a.outcome.grant)->subject, "ann");
  assert_string_equal(grant_principal(a.outcome.grant)->issuer, "https://idp");
  assert_int_equal(grant_principal(a.outcome.grant)->expires_at, 4000000000);
  assert_string_equal(json_string_value(json_object_get(grant_claims(a.outcome.grant), "role")),
                      "admin");
  assert_ptr_equal(a.outcome.decided, &a.outcome.trace[0]);
  asked_done(&a);
}

static void each_result_has_its_status(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  static const struct {
    int result;
    const char *told;
  } cases[] = {
      {MCPAUTH_OK, "200 p0:OK"},
      {MCPAUTH_PASS, "401 p0:PASS"},
      {MCPAUTH_IGNORE, "401 p0:IGNORE"},
      {MCPAUTH_INVALID, "401 p0:INVALID"},
      {MCPAUTH_DENY, "403 p0:DENY"},
      {MCPAUTH_UNAVAIL, "503 p0:UNAVAIL"},
      {MCPAUTH_ERROR, "500 p0:ERROR"},
      {0, "500 p0:ERROR"},
      {-1, "500 p0:ERROR"},
      {999, "500 p0:ERROR"},
      {MCPAUTH_PENDING, "500 p0:ERROR"},
      {INT32_MIN, "500 p0:ERROR"},
  };
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) { /* rows 19, 134 */
    f->result = (enum mcpauth_result)cases[i].result;
    expect_told(&w, "t", cases[i].told);
  }
}

static void the_empty_stack_refuses(void **state)
{
  (void)state;
  world_start(&w);
  expect_told(&w, "t", "401");
  expect_told(&w, NULL, "401");
}

static void the_reason_and_why_are_in_the_trace(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){
      .result = MCPAUTH_INVALID, .why = MCPAUTH_WHY_EXPIRED, .reason = "expired at noon"};
  world_start(&w);
  struct asked a;
  ask(&w, &a, "t");
  assert_int_equal(a.outcome.why, MCPAUTH_WHY_EXPIRED);
  assert_string_equal(a.outcome.decided->reason, "expired at noon");
  asked_done(&a);
}

static void an_unknown_why_is_not_accepted(void **state) /* row 134 */
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  *f = (struct fake){.result = MCPAUTH_INVALID, .why = (enum mcpauth_why)77, .reason = "?"};
  world_start(&w);
  struct asked a;
  ask(&w, &a, "t");
  assert_int_equal(a.outcome.why, MCPAUTH_WHY_NOT_ACCEPTED);
  asked_done(&a);
}

/* ---- what the host does not believe (row 134) */

static void ok_without_a_principal_is_an_error(void **state)
{
  (void)state;
  world_one_line(&w, 0)->subject = NULL;
  world_start(&w);
  expect_told(&w, "t", "500 p0:ERROR");
}

static void a_bad_principal_is_an_error_whatever_the_answer(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  static const char *const bad[] = {"", "a\nb", "\xff", "caf\xe9"};
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    f->subject = bad[i];
    f->result = MCPAUTH_OK;
    expect_told(&w, "t", "500 p0:ERROR");
    f->result = MCPAUTH_INVALID;
    expect_told(&w, "t", "500 p0:ERROR");
  }
}

static void bad_claims_are_an_error(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  static char huge[100000];
  memset(huge, '1', sizeof huge - 1);
  const struct {
    const char *pointer, *json;
  } bad[] = {{"role", "1"},   {"/", "1"},       {"", "1"},
             {"/a/b", "1"},   {"/a~2", "1"},    {"/account", "{}"},
             {"/role", "{"},  {"/role", "1 2"}, {"/role", "{\"a\":1,\"a\":2}"},
             {"/role", ""},   {"/role", NULL},  {NULL, "1"},
             {"/role", huge}, {"/\xff", "1"}};
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    f->claim_pointer = bad[i].pointer ? bad[i].pointer : "//";
    f->claim_json = bad[i].json;
    expect_told(&w, "t", "500 p0:ERROR");
  }
}

static void a_guard_that_says_ok_is_an_error(void **state)
{
  (void)state;
  world_one_line(&w, MCPAUTH_GUARD);
  world_start(&w);
  expect_told(&w, "t", "500 p0:ERROR");
}

static void a_provider_without_the_callback_is_an_error(void **state)
{
  (void)state;
  world_one_line(&w, 0);
  w.tables[0].verify = NULL;
  world_start(&w);
  expect_told(&w, "t", "500 p0:ERROR");
}

static void waiting_in_a_wrong_way_is_an_error(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  static const enum fake_way ways[] = {FAKE_PENDING_BARE, FAKE_TWO_TIMERS, FAKE_TIMER_AND_ANSWER};
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
    f->way = ways[i];
    expect_told(&w, "t", "500 p0:ERROR");
  }
  turn_for(&w, 20); /* nothing comes later */
}

/* ---- who is called */

static void without_a_credential_only_guards_are_called(void **state)
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  struct fake *guard = world_provider(&w, 1, MCPAUTH_GUARD);
  guard->result = MCPAUTH_PASS;
  world_auth_line(&w, CONTROL_REQUIRED, 1);
  world_start(&w);
  expect_told(&w, NULL, "401 p0:IGNORE- p1:PASS");
  assert_int_equal(f->calls, 0);
  assert_int_equal(f->asked, 0);
  assert_int_equal(guard->calls, 1);
}

static void a_line_that_does_not_claim_is_not_called(void **state) /* row 23 */
{
  (void)state;
  struct fake *f = world_one_line(&w, 0);
  f->ignores = true;
  world_start(&w);
  expect_told(&w, "t", "401 p0:IGNORE-");
  assert_int_equal(f->calls, 0);
}

static void only_the_first_remote_claimant_gets_the_credential(void **state) /* row 23 */
{
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    struct fake *f = world_provider(&w, i, i == 2 ? 0 : MCPAUTH_REMOTE);
    f->result = MCPAUTH_INVALID;
    f->ignores = i == 0;
    world_auth_line(&w, CONTROL_SUFFICIENT, i);
  }
  world_start(&w);
  expect_told(&w, "t", "401 p0:IGNORE- p1:INVALID p2:INVALID p3:IGNORE-");
  assert_int_equal(w.fakes[0].calls, 0);
  assert_int_equal(w.fakes[3].calls, 0);
}

static void a_stack_that_is_decided_calls_nobody_more(void **state)
{
  (void)state;
  world_one_line(&w, 0);
  struct fake *f = world_provider(&w, 1, 0);
  f->result = MCPAUTH_DENY;
  world_auth_line(&w, CONTROL_REQUIRED, 1);
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK");
  assert_int_equal(f->calls, 0);
}

/* ---- principals of several lines */

static struct fake *second_line(enum control control, const char *subject)
{
  struct fake *f = world_provider(&w, 1, 0);
  f->result = MCPAUTH_OK;
  f->subject = subject;
  world_auth_line(&w, control, 1);
  return f;
}

static void another_principal_is_an_error(void **state) /* row 134 */
{
  (void)state;
  struct fake *f = world_provider(&w, 0, 0), *g;
  f->result = MCPAUTH_OK;
  f->subject = "ann";
  world_auth_line(&w, CONTROL_REQUIRED, 0);
  g = second_line(CONTROL_REQUIRED, "bob");
  world_start(&w);
  expect_told(&w, "t", "500 p0:OK p1:ERROR");
  g->subject = "ann";
  expect_told(&w, "t", "200 p0:OK p1:OK");
  g->issuer = "https://other";
  expect_told(&w, "t", "500 p0:OK p1:ERROR");
}

static void another_principal_on_an_optional_line_is_an_error_too(void **state)
{
  (void)state;
  struct fake *f = world_provider(&w, 0, 0);
  f->result = MCPAUTH_OK;
  f->subject = "ann";
  world_auth_line(&w, CONTROL_OPTIONAL, 0);
  second_line(CONTROL_REQUIRED, "bob");
  world_start(&w);
  expect_told(&w, "t", "500 p0:OK p1:ERROR");
}

static void the_principal_is_the_first_that_is_not_optional(void **state)
{
  (void)state;
  struct fake *f = world_provider(&w, 0, 0);
  *f = (struct fake){.result = MCPAUTH_OK, .subject = "ann", .scope = "from-optional"};
  world_auth_line(&w, CONTROL_OPTIONAL, 0);
  second_line(CONTROL_REQUIRED, "ann")->scope = "from-required";
  struct fake *g = world_provider(&w, 2, 0);
  *g = (struct fake){.result = MCPAUTH_OK, .subject = "ann", .scope = "from-later"};
  world_auth_line(&w, CONTROL_REQUIRED, 2);
  world_start(&w);
  struct asked a;
  ask(&w, &a, "t");
  const struct principal *p = grant_principal(a.outcome.grant);
  assert_int_equal(p->scopes.n, 1);
  assert_string_equal(p->scopes.v[0], "from-required");
  assert_ptr_equal(a.outcome.decided, &a.outcome.trace[1]);
  asked_done(&a);
}

static void a_later_ok_shortens_the_lifetime_and_never_lengthens_it(void **state)
{
  (void)state;
  struct fake *f = world_provider(&w, 0, 0);
  *f = (struct fake){.result = MCPAUTH_OK, .subject = "ann", .expires_at = 4000000000};
  world_auth_line(&w, CONTROL_REQUIRED, 0);
  struct fake *g = second_line(CONTROL_REQUIRED, "ann");
  world_start(&w);
  static const int64_t later[] = {0, 3000000000, 5000000000};
  static const int64_t result[] = {4000000000, 3000000000, 4000000000};
  for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
    struct asked a;
    g->expires_at = later[i];
    ask(&w, &a, "t");
    assert_int_equal(grant_principal(a.outcome.grant)->expires_at, result[i]);
    asked_done(&a);
  }
}

/* ---- account lines */

static void every_account_result_has_its_status(void **state)
{
  (void)state;
  world_one_line(&w, 0);
  struct fake *f = world_provider(&w, 1, 0);
  world_account_line(&w, 1);
  world_start(&w);
  static const struct {
    int result;
    const char *told;
  } cases[] = {
      {MCPAUTH_PASS, "200 p0:OK p1:PASS"},
      {MCPAUTH_OK, "500 p0:OK p1:ERROR"},
      {MCPAUTH_IGNORE, "500 p0:OK p1:IGNORE"},
      {MCPAUTH_INVALID, "401 p0:OK p1:INVALID"},
      {MCPAUTH_DENY, "403 p0:OK p1:DENY"},
      {MCPAUTH_UNAVAIL, "503 p0:OK p1:UNAVAIL"},
      {MCPAUTH_ERROR, "500 p0:OK p1:ERROR"},
      {0, "500 p0:OK p1:ERROR"},
      {999, "500 p0:OK p1:ERROR"},
  };
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    f->result = (enum mcpauth_result)cases[i].result;
    expect_told(&w, "t", cases[i].told);
  }
}

static void account_lines_run_in_order_until_the_first_refusal(void **state)
{
  (void)state;
  world_one_line(&w, 0);
  for (size_t i = 1; i < 4; i++) {
    world_provider(&w, i, 0)->result = i == 2 ? MCPAUTH_DENY : MCPAUTH_PASS;
    world_account_line(&w, i);
  }
  world_start(&w);
  expect_told(&w, "t", "403 p0:OK p1:PASS p2:DENY");
  assert_int_equal(w.fakes[3].calls, 0);
  w.fakes[2].result = MCPAUTH_PASS;
  expect_told(&w, "t", "200 p0:OK p1:PASS p2:PASS p3:PASS");
}

static void account_lines_see_the_principal_and_no_credential(void **state)
{
  (void)state;
  world_one_line(&w, 0);
  for (size_t i = 1; i < 3; i++) {
    struct fake *f = world_provider(&w, i, 0);
    f->result = MCPAUTH_PASS;
    f->claim_pointer = "/groups";
    f->claim_json = "[\"a\"]";
    world_account_line(&w, i);
  }
  world_start(&w);
  struct asked a;
  ask(&w, &a, "t");
  assert_string_equal(w.fakes[1].seen, "ann - no credential");
  assert_string_equal(w.fakes[2].seen, "ann {\"p1\":{\"groups\":[\"a\"]}} no credential");
  json_t *account = json_object_get(grant_claims(a.outcome.grant), "account");
  assert_int_equal(json_object_size(account), 2);
  /* The principal itself, which the cache shares, has not changed. */
  assert_null(json_object_get(grant_principal(a.outcome.grant)->claims, "account"));
  asked_done(&a);
}

static void an_account_line_that_names_a_principal_is_an_error(void **state) /* row 134 */
{
  (void)state;
  world_one_line(&w, 0);
  struct fake *f = world_provider(&w, 1, 0);
  f->result = MCPAUTH_PASS;
  f->subject = "root";
  world_account_line(&w, 1);
  world_start(&w);
  expect_told(&w, "t", "500 p0:OK p1:ERROR");
}

static void account_lines_run_on_every_request_cached_or_not(void **state) /* row 18 */
{
  (void)state;
  world_one_line(&w, 0)->reuse_ms = 60000;
  struct fake *f = world_provider(&w, 1, 0);
  f->result = MCPAUTH_PASS;
  world_account_line(&w, 1);
  world_start(&w);
  expect_told(&w, "t", "200 p0:OK p1:PASS");
  f->result = MCPAUTH_DENY;
  expect_told(&w, "t", "403 p0:OK* p1:DENY");
  f->result = MCPAUTH_PASS;
  expect_told(&w, "t", "200 p0:OK* p1:PASS");
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(an_ok_grants_with_its_principal),
      T(each_result_has_its_status),
      T(the_empty_stack_refuses),
      T(the_reason_and_why_are_in_the_trace),
      T(an_unknown_why_is_not_accepted),
      T(ok_without_a_principal_is_an_error),
      T(a_bad_principal_is_an_error_whatever_the_answer),
      T(bad_claims_are_an_error),
      T(a_guard_that_says_ok_is_an_error),
      T(a_provider_without_the_callback_is_an_error),
      T(waiting_in_a_wrong_way_is_an_error),
      T(without_a_credential_only_guards_are_called),
      T(a_line_that_does_not_claim_is_not_called),
      T(only_the_first_remote_claimant_gets_the_credential),
      T(a_stack_that_is_decided_calls_nobody_more),
      T(another_principal_is_an_error),
      T(another_principal_on_an_optional_line_is_an_error_too),
      T(the_principal_is_the_first_that_is_not_optional),
      T(a_later_ok_shortens_the_lifetime_and_never_lengthens_it),
      T(every_account_result_has_its_status),
      T(account_lines_run_in_order_until_the_first_refusal),
      T(account_lines_see_the_principal_and_no_credential),
      T(an_account_line_that_names_a_principal_is_an_error),
      T(account_lines_run_on_every_request_cached_or_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
