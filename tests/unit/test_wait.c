/* What a provider can wait for outside the hub: HTTP and verification keys (rows 133, 134). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/tiny_server.h"
#include "auth/loader.h"
#include "fakes.h"
#include "http/fetch.h"
#include "jose.h"

static const struct mcpauth_host *const host = &host_functions;
static struct world w;
static struct tiny_server server;
static struct fetcher *fetcher;
static char url[128];

/* What the provider under test asks, and what it saw. */
static struct {
  struct mcpauth_http_request request;
  int rounds; /* of HTTP, one after the other */
  int status;
  char body[64], error[256];
  int answers;
  const char *token, *issuer;
  bool twice;
} script;

static const char secret_text[] = "0123456789abcdef0123456789abcdef";
static struct secret *shared;

/* ---- a provider that asks over HTTP */

static enum mcpauth_result on_reply(struct mcpauth_request *rq, void *arg,
                                    const struct mcpauth_http_reply *reply)
{
  assert_ptr_equal(arg, &script);
  script.answers++;
  script.status = reply->status;
  snprintf(script.error, sizeof script.error, "%s", reply->error);
  snprintf(script.body, sizeof script.body, "%.*s", (int)reply->body.n,
           reply->body.p ? reply->body.p : "");
  if (--script.rounds > 0)
    return host->http(rq, &script.request, on_reply, arg);
  if (reply->status != 200)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "no answer");
  struct mcpauth_principal p = {.issuer = "https://idp", .subject = "ann"};
  host->set_principal(rq, &p);
  return MCPAUTH_OK;
}

static enum mcpauth_result verify_http(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  (void)state;
  if (script.twice)
    host->http(rq, &script.request, on_reply, &script);
  return host->http(rq, &script.request, on_reply, &script);
}

/* ---- a provider that verifies tokens */

static int start_keys(const struct mcpauth_host *h, struct mcpauth_instance *self,
                      const void *config, void **state)
{
  (void)config;
  struct mcpauth_keyset_source source = {.shared = (const struct mcpauth_secret *)(void *)shared};
  *state = h->keyset(self, &source);
  return *state ? 0 : -1;
}

static enum mcpauth_result on_claims(struct mcpauth_request *rq, void *arg,
                                     enum mcpauth_result result,
                                     const struct mcpauth_claims *claims)
{
  assert_ptr_equal(arg, &script);
  script.answers++;
  assert_true((claims != NULL) == (result == MCPAUTH_OK));
  if (result != MCPAUTH_OK)
    return result;
  struct mcpauth_value sub = host->claim(claims, "/sub");
  assert_int_equal(sub.type, MCPAUTH_TEXT);
  struct mcpauth_principal p = {.issuer = script.issuer, .subject = sub.text};
  host->set_principal(rq, &p);
  host->set_claim(rq, "/role", host->claim_json(rq, claims, "/role"));
  return MCPAUTH_OK;
}

static enum mcpauth_result verify_keys(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  const char *audience = host->facts(rq)->resource;
  struct mcpauth_jwt_policy policy = {.issuers = {1, &script.issuer}, .audiences = {1, &audience}};
  return host->jwt_verify(rq, state, &policy, host->credential(rq)->value, on_claims, &script);
}

/* ---- the server */

static void serve_ok(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  while (tiny_read(s, fd))
    tiny_write(fd,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

static void serve_nothing(struct tiny_server *s, int fd, int nth)
{
  (void)nth;
  if (tiny_read(s, fd))
    tiny_wait_close(fd, 5000);
}

static void start(tiny_serve_fn *serve)
{
  tiny_start(&server, serve, NULL, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d/introspect", server.port);
  script.request = (struct mcpauth_http_request){.method = "GET", .url = url};
  script.rounds = 1;
  world_start(&w);
}

static int set_up(void **state)
{
  (void)state;
  struct err e = {""};
  memset(&script, 0, sizeof script);
  world_init(&w);
  fetcher = fetcher_new(w.loop, &e);
  w.fetcher = fetcher;
  world_provider(&w, 0, 0);
  w.tables[0].verify = verify_http;
  world_auth_line(&w, CONTROL_REQUIRED, 0);
  shared = secret_new(STR("0123456789abcdef0123456789abcdef"));
  server.port = 0;
  return fetcher && shared ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  auth_free(w.auth);
  w.auth = NULL;
  fetcher_free(fetcher);
  if (server.port)
    tiny_stop(&server);
  secret_free(shared);
  world_done(&w);
  return 0;
}

static void expect(const char *text)
{
  struct asked a;
  ask(&w, &a, "t");
  wait_for(&w, &a, 1);
  assert_string_equal(told(&a), text);
  asked_done(&a);
}

/* ---- http */

static void a_reply_is_handed_to_the_continuation(void **state)
{
  (void)state;
  start(serve_ok);
  expect("200 p0:OK");
  assert_int_equal(script.status, 200);
  assert_string_equal(script.body, "{}");
  assert_string_equal(script.error, "");
}

static void a_continuation_may_ask_again(void **state)
{
  (void)state;
  start(serve_ok);
  script.rounds = 3;
  expect("200 p0:OK");
  assert_int_equal(tiny_requests(&server), 3);
}

static void what_cannot_be_asked_is_an_error(void **state) /* rows 107, 134 */
{
  (void)state;
  start(serve_ok);
  static const char *const injection[] = {"X-A: b\r\nX-C: d", NULL};
  const struct mcpauth_http_request bad[] = {
      {.method = "DELETE", .url = url},
      {.method = "GET", .url = "http://192.0.2.1/"}, /* plain, and not loopback */
      {.method = "GET", .url = "ftp://127.0.0.1/"},
      {.method = "GET", .url = NULL},
      {.method = NULL, .url = url},
      {.method = "GET", .url = url, .headers = injection},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    script.request = bad[i];
    expect("500 p0:ERROR");
  }
  assert_int_equal(script.answers, 0);
  assert_int_equal(tiny_requests(&server), 0);
}

static void two_questions_at_once_are_an_error(void **state) /* row 134 */
{
  (void)state;
  start(serve_ok);
  script.twice = true;
  expect("500 p0:ERROR");
  turn_for(&w, 50);
  assert_int_equal(script.answers, 0);
}

static void no_answer_in_time_is_told_to_the_continuation(void **state) /* row 133 */
{
  (void)state;
  start(serve_nothing);
  script.request.timeout_ms = 50;
  expect("503 p0:UNAVAIL");
  assert_int_equal(script.answers, 1);
  assert_int_equal(script.status, 0);
  assert_true(script.error[0] != 0);
}

/* The call's deadline is also the question's: whichever is first, the line is UNAVAIL. */
static void the_deadline_of_the_call_bounds_the_question(void **state) /* row 133 */
{
  (void)state;
  w.providers[0].deadline_ms = 50;
  start(serve_nothing);
  script.request.timeout_ms = 100000;
  expect("503 p0:UNAVAIL");
}

static void a_client_that_leaves_takes_the_question_back(void **state)
{
  (void)state;
  start(serve_nothing);
  struct asked a;
  ask(&w, &a, "t");
  for (int turns = 0; turns < 1000 && tiny_requests(&server) == 0; turns++)
    turn_for(&w, 10);
  assert_int_equal(tiny_requests(&server), 1);
  asked_done(&a);
  turn_for(&w, 50);
  assert_int_equal(script.answers, 0);
}

/* ---- keys */

static char *token_for(const char *audience, const char *expires)
{
  struct signer s = {.alg = ALG_HS256, .secret = {secret_text, sizeof secret_text - 1}};
  char payload[256];
  snprintf(payload, sizeof payload,
           "{\"iss\":\"https://idp\",\"sub\":\"ann\",\"aud\":\"%s\",\"exp\":%s,\"role\":[1]}",
           audience, expires);
  return signer_token(&s, payload);
}

static void start_with_keys(void)
{
  w.tables[0].verify = verify_keys;
  w.tables[0].start = start_keys;
  script.issuer = "https://idp";
  world_start(&w);
}

static void a_good_token_gives_its_claims(void **state)
{
  (void)state;
  start_with_keys();
  char *token = token_for("https://mcp.example/notes", "4000000000");
  struct asked a;
  ask(&w, &a, token);
  assert_string_equal(told(&a), "200 p0:OK");
  assert_string_equal(grant_principal(a.outcome.grant)->subject, "ann");
  assert_int_equal(json_array_size(json_object_get(grant_claims(a.outcome.grant), "role")), 1);
  asked_done(&a);
  free(token);
}

static void a_bad_token_brings_its_reason_though_the_provider_says_nothing(void **state)
{
  (void)state;
  start_with_keys();
  static const struct {
    const char *audience, *expires;
    enum mcpauth_why why;
  } cases[] = {{"https://mcp.example/notes", "1000000000", MCPAUTH_WHY_EXPIRED},
               {"https://mcp.example/other", "4000000000", MCPAUTH_WHY_WRONG_AUDIENCE}};
  for (size_t i = 0; i < 2; i++) {
    char *token = token_for(cases[i].audience, cases[i].expires);
    struct asked a;
    ask(&w, &a, token);
    assert_string_equal(told(&a), "401 p0:INVALID");
    assert_int_equal(a.outcome.why, cases[i].why);
    assert_true(a.outcome.trace[0].reason[0] != 0);
    asked_done(&a);
    free(token);
  }
  assert_int_equal(script.answers, 2);
}

static void what_is_no_jwt_is_ignored(void **state)
{
  (void)state;
  start_with_keys();
  expect("401 p0:IGNORE");
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(a_reply_is_handed_to_the_continuation),
      T(a_continuation_may_ask_again),
      T(what_cannot_be_asked_is_an_error),
      T(two_questions_at_once_are_an_error),
      T(no_answer_in_time_is_told_to_the_continuation),
      T(the_deadline_of_the_call_bounds_the_question),
      T(a_client_that_leaves_takes_the_question_back),
      T(a_good_token_gives_its_claims),
      T(a_bad_token_brings_its_reason_though_the_provider_says_nothing),
      T(what_is_no_jwt_is_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
