/* What /authorize was asked, judged: PKCE, what is not supported, redirect URIs, resources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "oauth/authorize.h"
#include "oauth/resource.h"

#define GOOD_TYPE      "response_type=code"
#define GOOD_CHALLENGE "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define GOOD_METHOD    "code_challenge_method=S256"
#define GOOD_PKCE      GOOD_CHALLENGE "&" GOOD_METHOD

static struct arena *arena;

static int make_arena(void **state)
{
  (void)state;
  arena = arena_new(MIB(1));
  return arena ? 0 : -1;
}

static int drop_arena(void **state)
{
  (void)state;
  arena_free(arena);
  return 0;
}

static struct params params(const char *query)
{
  struct params p;
  assert_int_equal(params_parse(str_of(query), arena, &p), 0);
  return p;
}

/* row 89: PKCE downgrades; row 114: other flows */
static const struct {
  const char *query, *error; /* NULL: accepted */
} protocols[] = {
    {GOOD_TYPE "&" GOOD_PKCE, NULL},
    {GOOD_TYPE "&" GOOD_PKCE "&response_mode=query", NULL},
    {GOOD_TYPE "&" GOOD_PKCE "&prompt=consent", NULL},
    {GOOD_TYPE, "invalid_request"},
    {GOOD_TYPE "&" GOOD_CHALLENGE, "invalid_request"},
    {GOOD_TYPE "&" GOOD_METHOD, "invalid_request"},
    {GOOD_TYPE "&" GOOD_CHALLENGE "&code_challenge_method=plain", "invalid_request"},
    {GOOD_TYPE "&" GOOD_CHALLENGE "&code_challenge_method=s256", "invalid_request"},
    {GOOD_TYPE "&" GOOD_CHALLENGE "&code_challenge_method=S512", "invalid_request"},
    {GOOD_TYPE "&" GOOD_CHALLENGE "x&" GOOD_METHOD, "invalid_request"},
    {GOOD_TYPE "&code_challenge=&" GOOD_METHOD, "invalid_request"},
    {GOOD_TYPE "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw%2BcM&" GOOD_METHOD,
     "invalid_request"},
    {GOOD_TYPE "&code_challenge=abc&" GOOD_METHOD, "invalid_request"},
    {GOOD_PKCE, "invalid_request"},
    {"response_type=token&" GOOD_PKCE, "unsupported_response_type"},
    {"response_type=id_token&" GOOD_PKCE, "unsupported_response_type"},
    {"response_type=code%20token&" GOOD_PKCE, "unsupported_response_type"},
    {"response_type=none&" GOOD_PKCE, "unsupported_response_type"},
    {GOOD_TYPE "&" GOOD_PKCE "&response_mode=fragment", "invalid_request"},
    {GOOD_TYPE "&" GOOD_PKCE "&response_mode=form_post", "invalid_request"},
    {GOOD_TYPE "&" GOOD_PKCE "&response_mode=web_message", "invalid_request"},
    {GOOD_TYPE "&" GOOD_PKCE "&request=x", "request_not_supported"},
    {GOOD_TYPE "&" GOOD_PKCE "&request_uri=https%3A%2F%2Fx", "request_uri_not_supported"},
    {GOOD_TYPE "&" GOOD_PKCE "&prompt=none", "interaction_required"},
    {GOOD_TYPE "&" GOOD_PKCE "&prompt=login%20none", "interaction_required"},
};

static void test_only_the_code_flow_with_s256_is_accepted(void **state)
{
  struct oauth_client c = {.may_log_in = true};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
    struct params p = params(protocols[i].query);
    struct authorize_error e = authorize_protocol(&p, &c);
    if (strcmp(e.error ? e.error : "", protocols[i].error ? protocols[i].error : "") != 0)
      fail_msg("%s: %s", protocols[i].query, e.error ? e.error : "accepted");
  }
}

static void test_a_client_without_the_grant_type_is_told_so(void **state)
{
  struct oauth_client c = {.may_log_in = false};
  struct params p = params(GOOD_TYPE "&" GOOD_PKCE);
  (void)state;
  assert_string_equal(authorize_protocol(&p, &c).error, "unauthorized_client");
}

/* The normalisation of `resource`; row 104. */
static const struct {
  const char *own, *resource;
  bool same;
} resources[] = {
    {"https://mcp.example.com/notes", "https://mcp.example.com/notes", true},
    {"https://mcp.example.com/notes", "https://mcp.example.com/notes/", true},
    {"https://mcp.example.com/notes", "HTTPS://MCP.Example.com/notes", true},
    {"https://mcp.example.com/notes", "https://mcp.example.com:443/notes", true},
    {"https://mcp.example.com/notes", "https://mcp.example.com:443/notes/", true},
    {"https://mcp.example.com", "https://mcp.example.com/", true},
    {"https://mcp.example.com", "https://mcp.example.com:443", true},
    {"http://127.0.0.1:7070/notes", "http://127.0.0.1:7070/notes", true},
    {"http://localhost/notes", "http://localhost:80/notes", true},
    {"https://mcp.example.com:8443/n", "https://mcp.example.com:8443/n", true},
    {"https://mcp.example.com/notes", "https://mcp.example.com/Notes", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com/notes//", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com/notes/x", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com/note", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com/", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com/notes?x", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com/notes#x", false},
    {"https://mcp.example.com/notes", "http://mcp.example.com/notes", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com:4430/notes", false},
    {"https://mcp.example.com/notes", "https://mcp.example.com.evil/notes", false},
    {"https://mcp.example.com/notes", "https://u@mcp.example.com/notes", false},
    {"https://mcp.example.com/notes", "mcp.example.com/notes", false},
    {"https://mcp.example.com/notes", "", false},
    {"https://mcp.example.com/notes", "https://", false},
};

static void test_a_resource_is_compared_after_normalisation(void **state) /* row 104 */
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
    struct config_service s = {.resource = resources[i].own};
    if (resource_is(str_of(resources[i].resource), &s) != resources[i].same)
      fail_msg("%s and %s", resources[i].own, resources[i].resource);
  }
}

static const char *const two[] = {"http://localhost/cb", "https://c.example/cb"};

static enum authorize_redirect redirect(const struct config *c, size_t n, const char *query,
                                        struct transaction *t)
{
  struct oauth_client client = {.kind = CLIENT_REGISTERED,
                                .auth = CLIENT_AUTH_NONE,
                                .redirect_uris = {n, (const char **)(uintptr_t)two}};
  struct params p = params(query);
  const char *why;
  return authorize_redirect(c, &client, &p, t, &why);
}

static void test_the_redirect_uri_must_be_the_registered_one(void **state) /* row 84 */
{
  struct config c = {.public_url = "https://mcp.example.com"};
  struct transaction t = {.expires_at = 0};
  (void)state;
  assert_int_equal(url_parse(str_of(c.public_url), &c.public_parts, NULL), 0);
  assert_int_equal(redirect(&c, 2, "redirect_uri=https://c.example/cb", &t), AUTHORIZE_REDIRECT_OK);
  assert_null(t.registered.p);
  assert_int_equal(redirect(&c, 2, "redirect_uri=http://localhost:91/cb", &t),
                   AUTHORIZE_REDIRECT_OK);
  assert_true(str_is(t.redirect, "http://localhost:91/cb"));
  assert_true(str_is(t.registered, "http://localhost/cb"));
  assert_int_equal(redirect(&c, 2, "redirect_uri=https://c.example/cb2", &t),
                   AUTHORIZE_REDIRECT_FOREIGN);
  assert_int_equal(redirect(&c, 2, "", &t), AUTHORIZE_REDIRECT_MISSING);
  assert_int_equal(redirect(&c, 1, "", &t), AUTHORIZE_REDIRECT_OK);
  assert_int_equal(redirect(&c, 0, "", &t), AUTHORIZE_REDIRECT_MISSING);
}

static void test_a_registered_redirect_is_judged_again(void **state)
{
  static const char *allowed[] = {"https://c.example/*"};
  struct config c = {.public_url = "http://localhost:91"};
  struct transaction t = {.expires_at = 0};
  (void)state;
  assert_int_equal(url_parse(str_of(c.public_url), &c.public_parts, NULL), 0);
  /* with this port it is the hub itself (row 88) */
  assert_int_equal(redirect(&c, 2, "redirect_uri=http://localhost:91/cb", &t),
                   AUTHORIZE_REDIRECT_REFUSED);
  assert_int_equal(redirect(&c, 2, "redirect_uri=http://localhost:92/cb", &t),
                   AUTHORIZE_REDIRECT_OK);
  c.oauth.redirect_allow = (struct config_words){1, allowed};
  assert_int_equal(redirect(&c, 2, "redirect_uri=http://localhost:92/cb", &t),
                   AUTHORIZE_REDIRECT_REFUSED);
  assert_int_equal(redirect(&c, 2, "redirect_uri=https://c.example/cb", &t), AUTHORIZE_REDIRECT_OK);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_only_the_code_flow_with_s256_is_accepted),
      cmocka_unit_test(test_a_client_without_the_grant_type_is_told_so),
      cmocka_unit_test(test_a_resource_is_compared_after_normalisation),
      cmocka_unit_test(test_the_redirect_uri_must_be_the_registered_one),
      cmocka_unit_test(test_a_registered_redirect_is_judged_again),
  };
  return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
