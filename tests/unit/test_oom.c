/* Stacks without memory: the n-th allocation fails, for every n.  Whatever fails, the request gets
 * exactly one answer, a refusal never becomes a grant, and a grant that comes is whole (row 19). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fakes.h"

/* Counts down in the loop's thread while a request is at work; 0: the allocation fails. */
static bool counting;
static int left;
static pthread_t loop_thread;

static bool fails(void)
{
  return pthread_equal(loop_thread, pthread_self()) && counting && left-- == 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
  return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
  return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
  return fails() ? NULL : __real_realloc(p, n);
}

static struct world w;

/* Two lines and an account line; each scenario bends them. */
static void make_world(enum fake_way way, uint32_t flags, enum mcpauth_result second)
{
  world_init(&w);
  struct fake *f = world_provider(&w, 0, flags);
  *f = (struct fake){.result = MCPAUTH_OK,
                     .subject = "ann",
                     .reuse_ms = 1000,
                     .way = way,
                     .delay_ms = 1,
                     .scope = "a",
                     .claim_pointer = "/role",
                     .claim_json = "\"x\"",
                     .expires_at = 4000000000};
  world_auth_line(&w, CONTROL_REQUIRED, 0);
  f = world_provider(&w, 1, 0);
  *f = (struct fake){.result = second, .subject = "ann", .expires_at = 3000000000, .reason = "no"};
  world_auth_line(&w, CONTROL_REQUIRED, 1);
  f = world_provider(&w, 2, 0);
  *f = (struct fake){.result = MCPAUTH_PASS, .claim_pointer = "/g", .claim_json = "[1]"};
  world_account_line(&w, 2);
  world_start(&w);
}

static void check_grant(const struct asked *a)
{
  const struct principal *p = grant_principal(a->outcome.grant);
  assert_string_equal(p->subject, "ann");
  assert_int_equal(p->scopes.n, 1);
  assert_int_equal(p->expires_at, 3000000000);
  json_t *account = json_object_get(grant_claims(a->outcome.grant), "account");
  assert_non_null(json_object_get(json_object_get(account, "p2"), "g"));
  assert_non_null(json_object_get(grant_claims(a->outcome.grant), "role"));
}

/* Returns the status when allocation N fails; *RET_REACHED tells whether there was one. */
static int run(int n, bool *ret_reached)
{
  struct asked a;
  static char credential[] = "t0";
  credential[1]++; /* never a cached one */
  left = n;
  ask_while(&w, &a, credential, &counting);
  counting = true;
  if (!a.done)
    wait_for(&w, &a, 1);
  counting = false;
  *ret_reached = left < 0;
  int status = a.outcome.status;
  assert_true((a.outcome.grant != NULL) == (status == 200));
  if (status == 200)
    check_grant(&a);
  asked_done(&a);
  return status;
}

static void sweep(enum fake_way way, uint32_t flags, enum mcpauth_result second, int expected)
{
  bool reached = true;
  loop_thread = pthread_self();
  make_world(way, flags, second);
  int n = 0, status = 0;
  for (; reached; n++) {
    assert_true(n < 200);
    status = run(n, &reached);
    assert_true(status == expected || status == 500 || status == 503);
  }
  assert_true(n > 3); /* something did fail on the way */
  assert_int_equal(status, expected);
  world_done(&w);
}

static void at_once(void **state)
{
  (void)state;
  sweep(FAKE_AT_ONCE, 0, MCPAUTH_OK, 200);
  sweep(FAKE_AT_ONCE, 0, MCPAUTH_DENY, 403);
  sweep(FAKE_AT_ONCE, 0, MCPAUTH_INVALID, 401);
}

static void after_a_timer(void **state)
{
  (void)state;
  sweep(FAKE_TIMER, 0, MCPAUTH_OK, 200);
  sweep(FAKE_TIMER, 0, MCPAUTH_DENY, 403);
}

static void after_a_job(void **state)
{
  (void)state;
  sweep(FAKE_JOB, 0, MCPAUTH_OK, 200);
  sweep(FAKE_JOB, 0, MCPAUTH_INVALID, 401);
}

static void in_a_job_thread(void **state)
{
  (void)state;
  sweep(FAKE_SLEEP, MCPAUTH_BLOCKING, MCPAUTH_OK, 200);
  sweep(FAKE_SLEEP, MCPAUTH_BLOCKING, MCPAUTH_DENY, 403);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(at_once),
      cmocka_unit_test(after_a_timer),
      cmocka_unit_test(after_a_job),
      cmocka_unit_test(in_a_job_thread),
  };
  json_set_alloc_funcs(__wrap_malloc, free);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
