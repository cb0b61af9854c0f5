/* Logins through a provider: what its callbacks are told, what of their answers counts, deadlines,
 * cancellation, misuse (rows 133, 134). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/loader.h"
#include "auth/login.h"
#include "fakes.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

static const struct mcpauth_host *const host = &host_functions;
static struct world w;

/* What the provider does, and what it saw. */
static struct {
  struct fake fake; /* its answer, principal and claims */
  const char *url;
  const struct mcpauth_tokens *tokens;
  bool waits, sleeps, twice, tokens_first;
  char seen[512];
  int calls;
} script;

static void note_login(struct mcpauth_request *rq, const char *what)
{
  const struct mcpauth_login *l = host->login(rq);
  const struct mcpauth_tokens *t = host->tokens(rq);
  const struct mcpauth_principal *p = host->principal(rq);
  const char *parameter = l->parameters.n == 2 ? l->parameters.v[1] : "-";
  snprintf(script.seen, sizeof script.seen, "%s %s %s %s %s %s%s %s %s %s | %s %s %s | %s %s", what,
           l->callback, l->state, l->nonce, l->code_challenge, l->login_hint ? l->login_hint : "-",
           l->again ? " again" : "", l->code ? l->code : "-",
           l->code_verifier ? l->code_verifier : "-", parameter,
           t && t->access_token ? t->access_token : "-",
           t && t->refresh_token ? t->refresh_token : "-", t && t->extra ? t->extra : "-",
           p ? p->subject : "-", host->credential(rq) ? "credential" : "no credential");
}

static enum mcpauth_result answer(struct mcpauth_request *rq)
{
  struct fake *f = &script.fake;
  if (script.url)
    host->login_redirect(rq, script.url);
  if (script.tokens && !script.tokens_first)
    host->set_tokens(rq, script.tokens);
  if (f->subject) {
    struct mcpauth_principal p = {.issuer = "https://idp", .subject = f->subject};
    host->set_principal(rq, &p);
  }
  if (f->claim_pointer)
    host->set_claim(rq, f->claim_pointer, f->claim_json);
  if (f->reason)
    return host->refuse(rq, f->result, f->why, "%s", f->reason);
  return f->result;
}

static enum mcpauth_result later(struct mcpauth_request *rq, void *arg)
{
  (void)arg;
  return answer(rq);
}

static enum mcpauth_result act(struct mcpauth_request *rq, const char *what)
{
  script.calls++;
  note_login(rq, what);
  if (script.tokens && script.tokens_first)
    host->set_tokens(rq, script.tokens);
  if (script.sleeps)
    nanosleep(&(struct timespec){0, 20000000}, NULL);
  if (script.twice)
    host->timer(rq, 1, later, NULL);
  if (script.waits || script.twice)
    return host->timer(rq, script.fake.way == FAKE_NEVER ? 1000000 : 1, later, NULL);
  return answer(rq);
}

static enum mcpauth_result begin(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  (void)state;
  return act(rq, "begin");
}

static enum mcpauth_result finish(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  (void)state;
  return act(rq, "finish");
}

static enum mcpauth_result refresh(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  (void)state;
  return act(rq, "refresh");
}

/* ---- a login */

static struct outcome {
  bool done;
  enum mcpauth_result result;
  char redirect[64], subject[64], claims[128], reason[128];
  bool has_tokens;
  char access[32], refresh[32], extra[64];
  int64_t expires_at;
  struct login_run *run;
  struct arena *arena;
} out;

static void keep(char *to, size_t size, struct str s)
{
  assert_true(s.n < size);
  if (s.n)
    memcpy(to, s.p, s.n);
  to[s.n] = 0;
}

static void on_done(void *arg, const struct login_outcome *o)
{
  assert_ptr_equal(arg, &out);
  assert_false(out.done); /* once */
  out.done = true;
  out.result = o->result;
  keep(out.redirect, sizeof out.redirect, str_of(o->redirect));
  keep(out.subject, sizeof out.subject, str_of(o->who ? o->who->subject : ""));
  keep(out.reason, sizeof out.reason, str_of(o->reason));
  char *claims = o->who ? json_dumps(o->who->claims, JSON_COMPACT) : NULL;
  keep(out.claims, sizeof out.claims, str_of(claims));
  free(claims);
  out.has_tokens = o->has_tokens;
  keep(out.access, sizeof out.access, o->tokens.access_token);
  keep(out.refresh, sizeof out.refresh, o->tokens.refresh_token);
  keep(out.extra, sizeof out.extra, o->tokens.extra);
  out.expires_at = o->tokens.access_expires_at;
}

static struct login_request request(void)
{
  arena_free(out.arena);
  memset(&out, 0, sizeof out);
  out.arena = arena_new(LIMIT_REQUEST_ARENA);
  assert_non_null(out.arena);
  return (struct login_request){
      .provider = &w.providers[0],
      .facts = {.request_id = "r1"},
      .login = {.callback = "https://hub/cb", .state = "st", .nonce = "no", .code_challenge = "ch"},
      .arena = out.arena,
  };
}

static void settle(struct login_run *run)
{
  assert_true(out.done == (run == NULL));
  for (int turns = 0; !out.done && turns < 2000; turns++)
    turn_for(&w, 5);
  assert_true(out.done);
}

static void do_begin(void)
{
  struct login_request rq = request();
  settle(login_begin(w.auth, &rq, on_done, &out));
}

static void do_finish(void)
{
  struct login_request rq = request();
  rq.login.code = "co";
  rq.login.code_verifier = "ve";
  rq.login.parameters = (struct mcpauth_list){2, (const char *const[]){"iss", "me"}};
  settle(login_finish(w.auth, &rq, on_done, &out));
}

static struct principal *person(const char *subject)
{
  struct err e = {""};
  struct mcpauth_principal p = {.issuer = "https://idp", .subject = subject};
  struct principal *who = principal_new(&w.providers[0], &p, &e);
  assert_non_null(who);
  json_object_set_new(who->claims, "role", json_string("old"));
  return who;
}

static void do_refresh(const char *subject)
{
  static const struct login_tokens old = {STR_INIT("at"), STR_INIT("rt"), 7, STR_INIT("{\"a\":1}")};
  struct login_request rq = request();
  struct principal *who = subject ? person(subject) : NULL;
  rq.who = who;
  settle(login_refresh(w.auth, &rq, &old, on_done, &out));
  principal_unref(who);
}

static int set_up(void **state)
{
  (void)state;
  memset(&script, 0, sizeof script);
  script.fake.result = MCPAUTH_OK;
  world_init(&w);
  world_provider(&w, 0, 0);
  w.tables[0].login_begin = begin;
  w.tables[0].login_finish = finish;
  w.tables[0].refresh = refresh;
  world_auth_line(&w, CONTROL_SUFFICIENT, 0);
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  arena_free(out.arena);
  memset(&out, 0, sizeof out);
  world_done(&w);
  return 0;
}

/* ---- begin */

static void begin_says_where_the_browser_goes(void **state)
{
  (void)state;
  script.url = "https://idp/authorize?x=1";
  world_start(&w);
  do_begin();
  assert_int_equal(out.result, MCPAUTH_OK);
  assert_string_equal(out.redirect, script.url);
  assert_string_equal(out.subject, "");
  assert_string_equal(script.seen,
                      "begin https://hub/cb st no ch - - - - | - - - | - no credential");
}

static void hint_and_again_are_passed_on(void **state)
{
  (void)state;
  script.url = "https://idp/authorize";
  world_start(&w);
  struct login_request rq = request();
  rq.login.login_hint = "ann@example.com";
  rq.login.again = true;
  settle(login_begin(w.auth, &rq, on_done, &out));
  assert_non_null(strstr(script.seen, " ann@example.com again "));
}

static void a_begin_without_a_good_url_is_an_error(void **state)
{
  (void)state;
  static char longest[LIMIT_LOGIN_URL + 2];
  memset(longest, 'a', sizeof longest - 1);
  memcpy(longest, "https://a/", 10);
  const char *const bad[] = {NULL,
                             "",
                             "idp/authorize",
                             "javascript:alert(1)",
                             "http://idp.example/authorize",
                             "https://ann@idp/authorize",
                             "https://idp/a\r\nSet-Cookie: a=b",
                             "https://idp/a b",
                             "https://idp/#fragment",
                             longest};
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    script.url = bad[i];
    do_begin();
    assert_int_equal(out.result, MCPAUTH_ERROR);
    assert_string_equal(out.redirect, "");
  }
}

static void plain_http_is_for_loopback(void **state)
{
  (void)state;
  script.url = "http://127.0.0.1:8080/authorize";
  world_start(&w);
  do_begin();
  assert_int_equal(out.result, MCPAUTH_OK);
}

static void a_begin_names_nobody(void **state)
{
  (void)state;
  script.url = "https://idp/authorize";
  script.fake.subject = "ann";
  world_start(&w);
  do_begin();
  assert_int_equal(out.result, MCPAUTH_ERROR);
  assert_string_equal(out.subject, "");
}

/* ---- finish */

static const struct mcpauth_tokens tokens = {"at2", "rt2", 99, "{\"b\":2}"};

static void finish_names_the_person(void **state)
{
  (void)state;
  script.fake.subject = "ann";
  script.fake.claim_pointer = "/role";
  script.fake.claim_json = "\"admin\"";
  script.tokens = &tokens;
  world_start(&w);
  do_finish();
  assert_int_equal(out.result, MCPAUTH_OK);
  assert_string_equal(out.subject, "ann");
  assert_string_equal(out.claims, "{\"role\":\"admin\"}");
  assert_true(out.has_tokens);
  assert_string_equal(out.access, "at2");
  assert_string_equal(out.refresh, "rt2");
  assert_string_equal(out.extra, "{\"b\":2}");
  assert_int_equal(out.expires_at, 99);
  assert_string_equal(script.seen,
                      "finish https://hub/cb st no ch - co ve me | - - - | - no credential");
}

static void finish_may_wait(void **state)
{
  (void)state;
  script.fake.subject = "ann";
  script.waits = true;
  world_start(&w);
  do_finish();
  assert_int_equal(out.result, MCPAUTH_OK);
  assert_string_equal(out.subject, "ann");
}

static void a_finish_without_a_person_is_an_error(void **state) /* row 134 */
{
  (void)state;
  world_start(&w);
  do_finish();
  assert_int_equal(out.result, MCPAUTH_ERROR);
}

static void each_result_of_a_login_is_one_of_five(void **state) /* row 134 */
{
  (void)state;
  static const struct {
    int said, counts;
  } cases[] = {{1, MCPAUTH_OK},    {2, MCPAUTH_ERROR},   {3, MCPAUTH_ERROR}, {4, MCPAUTH_INVALID},
               {5, MCPAUTH_DENY},  {6, MCPAUTH_UNAVAIL}, {7, MCPAUTH_ERROR}, {8, MCPAUTH_ERROR},
               {0, MCPAUTH_ERROR}, {-1, MCPAUTH_ERROR},  {99, MCPAUTH_ERROR}};
  script.fake.subject = "ann";
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    script.fake.result = (enum mcpauth_result)cases[i].said;
    do_finish();
    assert_int_equal(out.result, cases[i].counts);
    assert_string_equal(out.subject, cases[i].counts == MCPAUTH_OK ? "ann" : "");
  }
}

static void the_reason_comes_along(void **state)
{
  (void)state;
  script.fake.result = MCPAUTH_DENY;
  script.fake.reason = "not in the organisation";
  world_start(&w);
  do_finish();
  assert_int_equal(out.result, MCPAUTH_DENY);
  assert_string_equal(out.reason, "not in the organisation");
}

static void bad_tokens_are_an_error(void **state) /* row 134 */
{
  (void)state;
  static char longest[LIMIT_LOGIN_TOKEN + 2], extra[LIMIT_LOGIN_EXTRA + 16];
  memset(longest, 'a', sizeof longest - 1);
  memset(extra, ' ', sizeof extra - 1);
  memcpy(extra, "{}", 2);
  const struct mcpauth_tokens bad[] = {{.access_token = ""},
                                       {.access_token = "a\nb"},
                                       {.refresh_token = "caf\xc3\xa9"},
                                       {.access_token = longest},
                                       {.access_expires_at = -1},
                                       {.extra = "[]"},
                                       {.extra = "{\"a\":1,\"a\":1}"},
                                       {.extra = "{"},
                                       {.extra = extra}};
  script.fake.subject = "ann";
  world_start(&w);
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
    script.tokens = &bad[i];
    do_finish();
    assert_int_equal(out.result, MCPAUTH_ERROR);
    assert_false(out.has_tokens);
  }
}

/* ---- refresh */

static void refresh_is_told_what_is_kept(void **state)
{
  (void)state;
  script.fake.subject = "ann";
  world_start(&w);
  do_refresh("ann");
  assert_int_equal(out.result, MCPAUTH_OK);
  assert_string_equal(
      script.seen, "refresh https://hub/cb st no ch - - - - | at rt {\"a\":1} | ann no credential");
  assert_false(out.has_tokens);
}

static void a_refresh_that_names_nobody_keeps_the_person(void **state)
{
  (void)state;
  world_start(&w);
  do_refresh("ann");
  assert_int_equal(out.result, MCPAUTH_OK);
  assert_string_equal(out.subject, "ann");
  assert_string_equal(out.claims, "{\"role\":\"old\"}");
}

static void a_refresh_that_names_her_replaces_her_claims(void **state)
{
  (void)state;
  script.fake.subject = "ann";
  script.fake.claim_pointer = "/groups";
  script.fake.claim_json = "[]";
  world_start(&w);
  do_refresh("ann");
  assert_int_equal(out.result, MCPAUTH_OK);
  assert_string_equal(out.claims, "{\"groups\":[]}");
}

static void a_refresh_that_names_another_person_is_an_error(void **state) /* row 115 */
{
  (void)state;
  script.fake.subject = "bob";
  world_start(&w);
  do_refresh("ann");
  assert_int_equal(out.result, MCPAUTH_ERROR);
  assert_string_equal(out.subject, "");
}

static void claims_without_a_person_are_an_error(void **state)
{
  (void)state;
  script.fake.claim_pointer = "/groups";
  script.fake.claim_json = "[]";
  world_start(&w);
  do_refresh("ann");
  assert_int_equal(out.result, MCPAUTH_ERROR);
}

static void a_refresh_token_that_does_not_come_again_is_kept(void **state)
{
  (void)state;
  static const struct mcpauth_tokens new = {.access_token = "at3"};
  script.tokens = &new;
  world_start(&w);
  do_refresh("ann");
  assert_string_equal(out.access, "at3");
  assert_string_equal(out.refresh, "rt");
  assert_string_equal(out.extra, "{\"a\":1}");
}

/* Else a provider's hiccup behind a rotation would end the grant. */
static void rotated_tokens_count_whatever_the_answer(void **state)
{
  (void)state;
  script.tokens = &tokens;
  script.tokens_first = true;
  script.fake.result = MCPAUTH_UNAVAIL;
  world_start(&w);
  do_refresh("ann");
  assert_int_equal(out.result, MCPAUTH_UNAVAIL);
  assert_true(out.has_tokens);
  assert_string_equal(out.refresh, "rt2");
}

static void rotated_tokens_count_when_the_time_is_over(void **state)
{
  (void)state;
  script.tokens = &tokens;
  script.tokens_first = true;
  script.waits = true;
  script.fake.way = FAKE_NEVER;
  w.providers[0].deadline_ms = 20;
  world_start(&w);
  do_refresh("ann");
  assert_int_equal(out.result, MCPAUTH_UNAVAIL);
  assert_string_equal(out.refresh, "rt2");
}

/* ---- the same rules as for a line */

static void a_login_that_hangs_is_unavailable(void **state) /* row 133 */
{
  (void)state;
  script.waits = true;
  script.fake.way = FAKE_NEVER;
  w.providers[0].deadline_ms = 20;
  world_start(&w);
  do_finish();
  assert_int_equal(out.result, MCPAUTH_UNAVAIL);
  assert_string_equal(out.reason, "timed out after 20 ms");
}

static void two_questions_at_once_are_an_error(void **state) /* row 134 */
{
  (void)state;
  script.fake.subject = "ann";
  script.twice = true;
  world_start(&w);
  do_finish();
  assert_int_equal(out.result, MCPAUTH_ERROR);
}

static void a_cancelled_login_is_never_answered(void **state)
{
  (void)state;
  script.fake.subject = "ann";
  script.waits = true;
  world_start(&w);
  struct login_request rq = request();
  struct login_run *run = login_finish(w.auth, &rq, on_done, &out);
  assert_non_null(run);
  login_cancel(run);
  turn_for(&w, 20);
  assert_false(out.done);
}

static void a_blocking_provider_does_not_hold_the_loop(void **state)
{
  (void)state;
  w.tables[0].flags = MCPAUTH_BLOCKING;
  script.sleeps = true;
  script.fake.subject = "ann";
  script.tokens = &tokens;
  world_start(&w);
  struct login_request rq = request();
  struct login_run *run = login_finish(w.auth, &rq, on_done, &out);
  assert_non_null(run); /* not asleep in here */
  settle(run);
  assert_int_equal(out.result, MCPAUTH_OK);
  assert_string_equal(out.refresh, "rt2");
}

static void set_tokens_belongs_to_logins(void **state) /* row 134 */
{
  (void)state;
  script.url = "https://idp/authorize";
  script.tokens = &tokens;
  world_start(&w);
  do_begin();
  assert_int_equal(out.result, MCPAUTH_ERROR);
}

static void only_logins_redirect(void **state) /* row 134 */
{
  (void)state;
  script.url = "https://idp/authorize";
  script.fake.subject = "ann";
  world_start(&w);
  do_finish();
  assert_int_equal(out.result, MCPAUTH_ERROR);
}

static void a_login_only_provider_ignores_credentials(void **state)
{
  (void)state;
  w.tables[0].verify = NULL;
  w.tables[0].claims = NULL;
  world_start(&w);
  struct asked a;
  ask(&w, &a, "t");
  assert_string_equal(told(&a), "401 p0:IGNORE-");
  asked_done(&a);
}

static void capable_is_who_can_begin(void **state)
{
  (void)state;
  world_start(&w);
  assert_true(login_capable(&w.providers[0]));
  w.tables[0].login_begin = NULL;
  assert_false(login_capable(&w.providers[0]));
}

/* ---- forms */

static char formed[256];

static enum mcpauth_result form(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  (void)state;
  static const char *const v[] = {"scope", "a b+c", "x&y", "1=2",
                                  "none",  NULL,    "u",   "caf\xc3\xa9~"};
  static const char *const odd[] = {"a"}, *const nameless[] = {NULL, "a"};
  const char *text = host->form(rq, &(struct mcpauth_list){8, v});
  snprintf(formed, sizeof formed, "%s", text ? text : "NULL");
  assert_null(host->form(rq, &(struct mcpauth_list){1, odd}));
  assert_null(host->form(rq, &(struct mcpauth_list){2, nameless}));
  assert_null(host->form(rq, NULL));
  assert_string_equal(host->form(rq, &(struct mcpauth_list){0, NULL}), "");
  return MCPAUTH_ERROR;
}

static void forms_are_encoded(void **state)
{
  (void)state;
  w.tables[0].login_begin = form;
  world_start(&w);
  do_begin();
  assert_string_equal(formed, "scope=a+b%2Bc&x%26y=1%3D2&u=caf%C3%A9%7E");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(begin_says_where_the_browser_goes),
      T(hint_and_again_are_passed_on),
      T(a_begin_without_a_good_url_is_an_error),
      T(plain_http_is_for_loopback),
      T(a_begin_names_nobody),
      T(finish_names_the_person),
      T(finish_may_wait),
      T(a_finish_without_a_person_is_an_error),
      T(each_result_of_a_login_is_one_of_five),
      T(the_reason_comes_along),
      T(bad_tokens_are_an_error),
      T(refresh_is_told_what_is_kept),
      T(a_refresh_that_names_nobody_keeps_the_person),
      T(a_refresh_that_names_her_replaces_her_claims),
      T(a_refresh_that_names_another_person_is_an_error),
      T(claims_without_a_person_are_an_error),
      T(a_refresh_token_that_does_not_come_again_is_kept),
      T(rotated_tokens_count_whatever_the_answer),
      T(rotated_tokens_count_when_the_time_is_over),
      T(a_login_that_hangs_is_unavailable),
      T(two_questions_at_once_are_an_error),
      T(a_cancelled_login_is_never_answered),
      T(a_blocking_provider_does_not_hold_the_loop),
      T(set_tokens_belongs_to_logins),
      T(only_logins_redirect),
      T(a_login_only_provider_ignores_credentials),
      T(capable_is_who_can_begin),
      T(forms_are_encoded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
