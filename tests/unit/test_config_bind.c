/* What a configuration means once it is bound: values, defaults, stacks, scopes, services, and the
 * fingerprint.  What is refused is in tests/config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/fake_modules.h"
#include "config/bind.h"

#define HUB    "hub { public_url http://127.0.0.1:8080 }\n"
#define TOKENS "provider tokens { file /etc/tokens }\n"
#define CORP   "provider corp { module issuers; issuer https://login.example.com }\n"
#define SCOPES "scope r { text R }\nscope w { text W; implies r }\nscope a { text A; implies w }\n"
#define UP     "upstream http://127.0.0.1:9/mcp\n"

static struct arena *arena;
static struct config_report report;

static struct config *try_load(const char *text)
{
  struct config_source v = {"test.conf", str_of(text)};
  struct findings f;
  assert_int_equal(findings_init(&f, arena, &report), 0);
  struct config *c = config_bind("/conf", &v, 1, &fake_modules, geteuid(), &f);
  findings_sort(&f);
  return c;
}

static struct config *load(const char *text)
{
  struct config *c = try_load(text);
  if (c == NULL)
    fail_msg("%s:%u:%u: %s", report.v[0].at.file, report.v[0].at.line, report.v[0].at.column,
             report.v[0].text);
  return c;
}

static int set_up(void **state)
{
  (void)state;
  arena = arena_new(1 << 20);
  return arena ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  arena_free(arena);
  return 0;
}

/* ---- defaults and values: security.md, end of (b.3), and config.h */

static void test_the_hub_has_the_stated_defaults(void **state)
{
  (void)state;
  struct config *c = load(HUB);
  assert_int_equal(c->limits.header_timeout_ms, 10000);
  assert_int_equal(c->limits.body_timeout_ms, 60000);
  assert_int_equal(c->limits.keepalive_timeout_ms, 60000);
  assert_int_equal(c->limits.stall_timeout_ms, 30000);
  assert_int_equal(c->limits.max_connections, 4096);
  assert_int_equal(c->limits.max_connections_per_address, 256);
  assert_int_equal(c->limits.body_budget, 268435456);
  assert_int_equal(c->drain_timeout_ms, 30000);
  assert_int_equal(c->watchdog_ms, 10000);
  assert_int_equal(c->max_generations, 8);
  assert_int_equal(c->workers, 0);
  assert_int_equal(c->job_threads, 4);
  assert_int_equal(c->n_listen, 1);
  assert_string_equal(c->listen[0].text, "127.0.0.1:8080");
  assert_int_equal(c->n_admin_listen, 0);
  assert_true(c->loopback_only);
  assert_null(c->user);
  assert_int_equal(c->audit_to, AUDIT_FILE);
  assert_null(c->audit_file);
  assert_false(c->audit_sync_strict);
  assert_int_equal(c->log_level, MCPAUTH_LOG_INFO);
  assert_false(c->log_json);
  config_free(c);
}

static void test_a_service_has_the_stated_defaults(void **state)
{
  (void)state;
  struct config *c = load(HUB TOKENS "service s { path /s; auth required tokens; " UP "}");
  const struct config_service *s = &c->services[0];
  assert_int_equal(s->max_body, 4194304);
  assert_int_equal(s->call_limit_ms, 3600000);
  assert_int_equal(s->stream_max_age_ms, 86400000);
  assert_int_equal(s->upstream.connect_timeout_ms, 5000);
  assert_int_equal(s->upstream.first_byte_timeout_ms, 60000);
  assert_int_equal(s->upstream.auth, UPSTREAM_AUTH_NONE);
  assert_int_equal(s->n_accept, 1);
  assert_int_equal(s->accept[0].kind, ACCEPT_BEARER);
  assert_false(s->anonymous);
  assert_int_equal(s->n_require, 0);
  assert_int_equal(s->n_login_scope, 0);
  assert_int_equal(s->authorization_servers.n, 0);
  assert_int_equal(c->providers[0].deadline_ms, 5000);
  config_free(c);
}

static void test_options_of_a_provider_reach_its_struct(void **state)
{
  (void)state;
  setenv("GOOD", "correct horse battery staple", 1);
  struct config *c = load(HUB "provider p { module issuers; issuer https://a; issuer https://b\n"
                              "leeway 2m; most 7; room 4k; strict off; claims entra\n"
                              "shared env:GOOD; audience x; map /a b; map /c d }\n"
                              "service s { path /s; auth required p; " UP "}");
  const struct fake_issuers *o = c->providers[0].config;
  assert_int_equal(o->issuer.n, 2);
  assert_string_equal(o->issuer.v[1], "https://b");
  assert_int_equal(o->leeway, 120000);
  assert_int_equal(o->most, 7);
  assert_int_equal(o->room, 4096);
  assert_false(o->strict);
  assert_int_equal(o->claims, 2);
  assert_true(str_is(secret_expose(o->shared), "correct horse battery staple"));
  assert_string_equal(o->audience, "x");
  assert_int_equal(o->map.n, 4);
  assert_string_equal(o->map.v[2], "/c");
  assert_null(o->jwks_uri);
  config_free(c);
}

static void test_absent_options_have_their_fallback(void **state)
{
  (void)state;
  struct config *c = load(HUB CORP "service s { path /s; auth required corp; " UP "}");
  const struct fake_issuers *o = c->providers[0].config;
  assert_int_equal(o->leeway, 30000);
  assert_int_equal(o->most, 10);
  assert_int_equal(o->room, 65536);
  assert_true(o->strict);
  assert_int_equal(o->claims, 0);
  assert_int_equal(o->map.n, 0);
  config_free(c);
}

/* ---- listeners */

static void test_addresses_are_read_as_written(void **state)
{
  (void)state;
  struct config *c =
      load("hub { public_url http://127.0.0.1:1; listen 127.0.0.2:81\n"
           "listen [::1]:82; listen unix:/run/x { mode 0660 }; listen systemd:mcp }");
  const struct sockaddr_in *v4 = (void *)&c->listen[0].address;
  const struct sockaddr_in6 *v6 = (void *)&c->listen[1].address;
  assert_int_equal(v4->sin_family, AF_INET);
  assert_int_equal(ntohs(v4->sin_port), 81);
  assert_int_equal(ntohl(v4->sin_addr.s_addr), 0x7f000002);
  assert_int_equal(v6->sin6_family, AF_INET6);
  assert_int_equal(ntohs(v6->sin6_port), 82);
  assert_string_equal(c->listen[2].unix_mode, "0660");
  assert_int_equal(c->listen[3].address.ss_family, 0);
  assert_string_equal(c->listen[3].systemd_name, "mcp");
  config_free(c);
}

static void test_one_public_listener_ends_loopback_only(void **state)
{
  static const struct {
    const char *listen;
    bool loopback;
  } rows[] = {
      {"127.0.0.1:1", true}, {"127.255.0.1:1", true}, {"[::1]:1", true},      {"unix:/run/x", true},
      {"0.0.0.0:1", false},  {"[::]:1", false},       {"192.0.2.1:1", false}, {"systemd:x", false},
  };
  char text[200];
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
    snprintf(text, sizeof text,
             "hub { public_url http://127.0.0.1:1; listen 127.0.0.1:9; listen %s }",
             rows[i].listen);
    struct config *c = load(text);
    if (c->loopback_only != rows[i].loopback)
      fail_msg("%s", rows[i].listen);
    config_free(c);
  }
}

/* ---- where services are */

static void test_a_path_is_below_public_url(void **state)
{
  (void)state;
  struct config *c = load("hub { public_url https://mcp.example.com:8443 }\n" TOKENS
                          "service s { path /team/notes; auth required tokens; " UP "}");
  const struct config_service *s = &c->services[0];
  assert_true(str_is(s->path, "/team/notes"));
  assert_string_equal(s->resource, "https://mcp.example.com:8443/team/notes");
  assert_string_equal(s->host, "mcp.example.com:8443");
  config_free(c);
}

static void test_a_url_stands_for_itself(void **state)
{
  (void)state;
  struct config *c =
      load(HUB TOKENS "service s { url https://notes.example.com/mcp; auth required tokens; " UP
                      "}\nservice t { url https://t.example.com; auth required tokens; " UP "}");
  assert_true(str_is(c->services[0].path, "/mcp"));
  assert_string_equal(c->services[0].resource, "https://notes.example.com/mcp");
  assert_string_equal(c->services[0].host, "notes.example.com");
  assert_true(str_is(c->services[1].path, ""));
  config_free(c);
}

static void test_a_unix_upstream_has_socket_and_url(void **state)
{
  (void)state;
  struct config *c = load(HUB TOKENS "service s { path /s; auth required tokens\n"
                                     "upstream unix:/run/n.sock http://notes/mcp }");
  assert_string_equal(c->services[0].upstream.unix_socket, "/run/n.sock");
  assert_string_equal(c->services[0].upstream.url, "http://notes/mcp");
  assert_true(str_is(c->services[0].upstream.parts.path, "/mcp"));
  config_free(c);
}

/* ---- scopes */

static void test_implied_scopes_are_closed(void **state)
{
  (void)state;
  struct config *c = load(HUB SCOPES);
  assert_int_equal(c->n_scopes, 3);
  assert_string_equal(c->scopes[0]->name, "a");
  assert_int_equal(c->scopes[0]->n_implied, 2);
  assert_string_equal(c->scopes[0]->implied[0]->name, "r");
  assert_string_equal(c->scopes[0]->implied[1]->name, "w");
  assert_int_equal(c->scopes[1]->n_implied, 0);
  config_free(c);
}

static void test_the_hubs_require_is_added_sorted_and_once(void **state)
{
  (void)state;
  struct config *c = load("hub { public_url http://127.0.0.1:1; require scope r }\n" TOKENS SCOPES
                          "service s { path /s; auth required tokens; require scope w r; " UP "}");
  const struct config_service *s = &c->services[0];
  assert_int_equal(s->n_require, 2);
  assert_string_equal(s->require[0]->name, "r");
  assert_string_equal(s->require[1]->name, "w");
  assert_int_equal(s->n_login_scope, 2); /* the same when nothing else is said */
  config_free(c);
}

static void test_login_scope_replaces_require_in_the_challenge(void **state)
{
  (void)state;
  struct config *c = load(HUB TOKENS SCOPES "service s { path /s; auth required tokens\n"
                                            "require scope r; login_scope w; " UP "}");
  assert_int_equal(c->services[0].n_login_scope, 1);
  assert_string_equal(c->services[0].login_scope[0]->name, "w");
  config_free(c);
}

static void test_scopes_of_a_provider_are_kept(void **state)
{
  (void)state;
  struct config *c = load(HUB SCOPES "provider tokens { file /x; scopes r w }\n"
                                     "service s { path /s; auth required tokens; " UP "}");
  assert_int_equal(c->providers[0].scopes.n, 2);
  assert_true(config_words_have(&c->providers[0].scopes, "w"));
  config_free(c);
}

/* ---- authorization servers */

static void test_authorization_servers_are_the_issuers_of_the_stack(void **state)
{
  (void)state;
  struct config *c =
      load(HUB TOKENS "provider one { module issuers; issuer https://b https://a }\n"
                      "provider two { module issuers; issuer https://c not-a-url }\n"
                      "service s { path /s; auth sufficient tokens; auth sufficient one\n"
                      "auth required two; " UP "}");
  const struct config_words *w = &c->services[0].authorization_servers;
  assert_int_equal(w->n, 3);
  assert_string_equal(w->v[0], "https://b");
  assert_string_equal(w->v[1], "https://a");
  assert_string_equal(w->v[2], "https://c");
  config_free(c);
}

static void test_authorization_server_overrides_issuers(void **state)
{
  (void)state;
  struct config *c = load(HUB CORP "service s { path /s; auth required corp\n"
                                   "authorization_server https://auth.example.com; " UP "}");
  assert_int_equal(c->services[0].authorization_servers.n, 1);
  assert_string_equal(c->services[0].authorization_servers.v[0], "https://auth.example.com");
  config_free(c);
}

/* ---- stacks */

static void put_stack(const struct config_stack *s, char out[256])
{
  size_t at = 0;
  out[0] = 0;
  for (size_t i = 0; i < s->n_auth; i++)
    at += (size_t)snprintf(out + at, 256 - at, "%s %s, ", control_name(s->auth[i].control),
                           s->auth[i].provider->name);
  for (size_t i = 0; i < s->n_account; i++)
    at += (size_t)snprintf(out + at, 256 - at, "account %s, ", s->account[i].provider->name);
}

static void assert_stack(const char *text, const char *want)
{
  char got[256];
  struct config *c = load(text);
  put_stack(&c->services[0].stack, got);
  assert_string_equal(got, want);
  config_free(c);
}

#define PROVIDERS                                                                                  \
  TOKENS CORP "provider g1 { module gate }\nprovider g2 { module gate }\n"                         \
              "provider g3 { module gate }\n"

/* row 142 */
static void test_include_equals_inlining(void **state)
{
  static const char want[] = "sufficient tokens, required corp, account g1, account g2, ";
  (void)state;
  assert_stack(HUB PROVIDERS "stack x { auth sufficient tokens; auth include y; account g1 }\n"
                             "stack y { auth required corp; account g2 }\n"
                             "service s { path /s; auth include x; " UP "}",
               "sufficient tokens, required corp, account g2, account g1, ");
  assert_stack(HUB PROVIDERS "service s { path /s; auth sufficient tokens; auth required corp\n"
                             "account g1; account g2; " UP "}",
               want);
  assert_stack(HUB PROVIDERS "stack x { auth sufficient tokens; account g1 }\n"
                             "stack y { auth required corp; account g2 }\n"
                             "service s { path /s; auth include x; auth include y; " UP "}",
               want);
}

static void test_a_service_without_auth_lines_takes_the_hubs_stack(void **state)
{
  (void)state;
  assert_stack("hub { public_url http://127.0.0.1:1; auth sufficient tokens; auth required corp "
               "}\n" PROVIDERS "service s { path /s; " UP "}",
               "sufficient tokens, required corp, ");
}

static void test_a_service_with_auth_lines_takes_nothing_of_the_hubs(void **state)
{
  (void)state;
  assert_stack("hub { public_url http://127.0.0.1:1; auth sufficient tokens }\n" PROVIDERS
               "service s { path /s; auth required corp; " UP "}",
               "required corp, ");
}

static void test_account_lines_of_the_hub_come_first_and_always(void **state)
{
  (void)state;
  assert_stack("hub { public_url http://127.0.0.1:1; account g3 }\n" PROVIDERS
               "service s { path /s; auth required corp; account g1; " UP "}",
               "required corp, account g3, account g1, ");
}

static void test_an_include_brings_its_account_lines_before_our_own(void **state)
{
  (void)state;
  assert_stack(HUB PROVIDERS "stack x { auth required corp; account g1 }\n"
                             "service s { path /s; account g2; auth include x; " UP "}",
               "required corp, account g1, account g2, ");
}

static void test_the_account_lines_of_the_hubs_stack_stay_with_it(void **state)
{
  (void)state;
  assert_stack("hub { public_url http://127.0.0.1:1; auth include x; account g3 }\n" PROVIDERS
               "stack x { auth required tokens; account g1 }\n"
               "service s { path /s; auth required corp; " UP "}",
               "required corp, account g3, ");
}

static void test_an_account_provider_is_asked_once(void **state)
{
  (void)state;
  assert_stack("hub { public_url http://127.0.0.1:1; account g1 }\n" PROVIDERS
               "service s { path /s; auth required corp; account g1; account g1; " UP "}",
               "required corp, account g1, ");
}

static void test_only_named_providers_are_bound(void **state)
{
  (void)state;
  struct config *c = load(HUB TOKENS CORP "service s { path /s; auth required corp; " UP "}");
  assert_int_equal(c->n_providers, 1);
  assert_string_equal(c->providers[0].name, "corp");
  assert_string_equal(c->providers[0].module, "issuers");
  assert_int_equal(c->providers[0].index, 0);
  config_free(c);
}

/* ---- the fingerprint */

static void fingerprint(const char *text, char out[65])
{
  struct config *c = load(text);
  memcpy(out, c->fingerprint, 65);
  config_free(c);
}

static void test_the_fingerprint_ignores_what_means_the_same(void **state)
{
  char one[65], two[65];
  (void)state;
  fingerprint(HUB TOKENS "service s { path /s; auth required tokens; max_body 4096k; " UP "}", one);
  fingerprint(HUB "# moved\n" TOKENS "service s {\n" UP "  auth required \"tokens\"\n path /s }",
              two);
  assert_string_equal(one, two);
}

static void test_the_fingerprint_changes_with_a_value(void **state)
{
  char one[65], two[65];
  (void)state;
  fingerprint(HUB, one);
  fingerprint("hub { public_url http://127.0.0.1:8080; workers 1 }", two);
  assert_string_not_equal(one, two);
}

static void test_the_fingerprint_changes_with_a_secret(void **state)
{
  static const char text[] = HUB TOKENS "service s { path /s; auth required tokens\n"
                                        "upstream_auth bearer env:GOOD; " UP "}";
  char one[65], two[65], three[65];
  (void)state;
  setenv("GOOD", "first value", 1);
  fingerprint(text, one);
  setenv("GOOD", "second value", 1);
  fingerprint(text, two);
  setenv("GOOD", "first value", 1);
  fingerprint(text, three);
  assert_string_not_equal(one, two);
  assert_string_equal(one, three);
}

/* design, invariant 9 */
static void test_the_effective_text_shows_no_secret(void **state)
{
  (void)state;
  setenv("GOOD", "canary-5d1f", 1);
  struct config *c = load(HUB TOKENS "service s { path /s; auth required tokens\n"
                                     "upstream_auth header X-Key env:GOOD; " UP "}");
  assert_null(strstr(c->canonical, "canary"));
  assert_non_null(strstr(c->canonical, "upstream_auth header X-Key env:GOOD # fingerprint "));
  config_free(c);
}

static void test_a_literal_secret_is_not_repeated_in_the_error(void **state)
{
  (void)state;
  assert_null(try_load(HUB TOKENS "service s { path /s; auth required tokens\n"
                                  "upstream_auth bearer canary-5d1f; " UP "}"));
  for (size_t i = 0; i < report.n; i++)
    assert_null(strstr(report.v[i].text, "canary"));
}

/* ---- notes */

static bool noted(const struct config *c, const char *words)
{
  for (size_t i = 0; i < c->notes.n; i++)
    if (strstr(c->notes.v[i], words))
      return true;
  return false;
}

static void test_notes_say_who_may_do_what(void **state)
{
  (void)state;
  struct config *c = load(HUB TOKENS SCOPES "service s { path /s; auth required tokens\n"
                                            "require scope r; " UP "}");
  assert_true(
      noted(c, "service s: every tool, resource and prompt: any granted caller with scope r"));
  config_free(c);
}

static void test_notes_say_which_kinds_have_lines_and_who_may_hold_a_scope(void **state)
{
  (void)state;
  struct config *c = load("hub { public_url http://127.0.0.1:8080; tool x hide }\n" TOKENS
                          "scope r { text R }\nscope b { text B; for role boss }\n"
                          "service s { path /s; auth required tokens; require scope r\n"
                          "tool y allow; " UP "}");
  assert_true(noted(c, "service s: every tool: the first that matches of its 1 lines and of the "
                       "hub's 1, the stricter if both do; no line is deny"));
  assert_true(noted(c, "service s: every prompt: any granted caller with scope r"));
  assert_true(noted(c, "scope r: everybody who can sign in may hold it"));
  assert_false(noted(c, "scope b"));
  config_free(c);
}

static void test_notes_list_accepted_risks(void **state)
{
  (void)state;
  struct config *c =
      load(HUB TOKENS "service s { path /s; auth required tokens\n"
                      "upstream http://192.0.2.1/; accept_risk plain-http-upstream }");
  assert_true(noted(c, "accepted risk: plain-http-upstream"));
  config_free(c);
}

/* ---- errors */

static void test_errors_come_in_the_order_of_the_file(void **state)
{
  static const unsigned lines[] = {1, 2, 3, 6, 7}; /* the hub is bound before the service */
  (void)state;
  assert_null(try_load("service s {\n upstream x\n path y\n}\nhub {\n workers x\n public_url z }"));
  assert_int_equal(report.errors, 5);
  for (size_t i = 0, k = 0; i < report.n; i++)
    if (report.v[i].severity == CONFIG_ERROR)
      assert_int_equal(report.v[i].at.line, lines[k++]);
}

static void test_past_a_hundred_errors_the_rest_is_counted(void **state)
{
  char text[8192] = HUB;
  struct findings f;
  (void)state;
  for (int i = 0; i < 150; i++)
    strcat(text, "nonsense\n");
  struct config_source v = {"test.conf", str_of(text)};
  assert_int_equal(findings_init(&f, arena, &report), 0);
  assert_null(config_bind("/conf", &v, 1, &fake_modules, geteuid(), &f));
  findings_sort(&f);
  assert_int_equal(report.errors, 150);
  assert_true(report.n <= 102);
  assert_non_null(strstr(report.v[report.n - 1].text, "the first 100"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- what decides access */

static uint64_t access_of(const char *text)
{
  struct config *c = load(text);
  uint64_t access = c->services[0].access;
  config_free(c);
  return access;
}

static void test_access_changes_with_what_decides_it(void **state)
{
  (void)state;
  static const char *const others[] = {
      HUB TOKENS CORP "service s { path /s; auth required corp; " UP "}",
      HUB TOKENS SCOPES "service s { path /s; auth required tokens; require scope r; " UP "}",
      HUB "provider tokens { file /etc/others }"
          "service s { path /s; auth required tokens; " UP "}",
      "hub { public_url http://127.0.0.1:8080; account office }" TOKENS
      "provider office { module address }"
      "service s { path /s; auth required tokens; " UP "}",
  };
  uint64_t before = access_of(HUB TOKENS "service s { path /s; auth required tokens; " UP "}");
  assert_true(before != 0);
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    struct config *c = try_load(others[i]);
    if (c)
      assert_true(c->services[0].access != before);
    config_free(c);
  }
}

static void test_access_is_not_about_traffic_or_other_services(void **state)
{
  (void)state;
  uint64_t before = access_of(HUB TOKENS "service s { path /s; auth required tokens; " UP "}");
  assert_true(before == access_of("hub { public_url http://127.0.0.1:8080; workers 3 }" TOKENS
                                  "service s { path /s; auth required tokens; max_body 1m; " UP
                                  "}"));
  assert_true(before == access_of(HUB TOKENS "service s { path /s; auth required tokens; " UP
                                             "}\nservice t { path /t; auth required tokens; " UP
                                             "}"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_access_changes_with_what_decides_it),
      TEST(test_access_is_not_about_traffic_or_other_services),
      TEST(test_the_hub_has_the_stated_defaults),
      TEST(test_a_service_has_the_stated_defaults),
      TEST(test_options_of_a_provider_reach_its_struct),
      TEST(test_absent_options_have_their_fallback),
      TEST(test_addresses_are_read_as_written),
      TEST(test_one_public_listener_ends_loopback_only),
      TEST(test_a_path_is_below_public_url),
      TEST(test_a_url_stands_for_itself),
      TEST(test_a_unix_upstream_has_socket_and_url),
      TEST(test_implied_scopes_are_closed),
      TEST(test_the_hubs_require_is_added_sorted_and_once),
      TEST(test_login_scope_replaces_require_in_the_challenge),
      TEST(test_scopes_of_a_provider_are_kept),
      TEST(test_authorization_servers_are_the_issuers_of_the_stack),
      TEST(test_authorization_server_overrides_issuers),
      TEST(test_include_equals_inlining),
      TEST(test_a_service_without_auth_lines_takes_the_hubs_stack),
      TEST(test_a_service_with_auth_lines_takes_nothing_of_the_hubs),
      TEST(test_account_lines_of_the_hub_come_first_and_always),
      TEST(test_an_include_brings_its_account_lines_before_our_own),
      TEST(test_the_account_lines_of_the_hubs_stack_stay_with_it),
      TEST(test_an_account_provider_is_asked_once),
      TEST(test_only_named_providers_are_bound),
      TEST(test_the_fingerprint_ignores_what_means_the_same),
      TEST(test_the_fingerprint_changes_with_a_value),
      TEST(test_the_fingerprint_changes_with_a_secret),
      TEST(test_the_effective_text_shows_no_secret),
      TEST(test_a_literal_secret_is_not_repeated_in_the_error),
      TEST(test_notes_say_who_may_do_what),
      TEST(test_notes_say_which_kinds_have_lines_and_who_may_hold_a_scope),
      TEST(test_notes_list_accepted_risks),
      TEST(test_errors_come_in_the_order_of_the_file),
      TEST(test_past_a_hundred_errors_the_rest_is_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
