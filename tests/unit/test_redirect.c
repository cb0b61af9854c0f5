/* Redirect URIs: which may be one, and when a request names the registered one (rows 84, 85, 88).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "util/redirect.h"

static enum redirect_error parse(const char *uri, bool public_client)
{
  struct redirect r;
  return redirect_parse(str_of(uri), public_client, &r);
}

static const struct {
  const char *uri;
  enum redirect_kind kind;
  const char *place;
} accepted[] = {
    {"https://claude.ai/api/mcp/auth_callback", REDIRECT_KIND_HTTPS, "claude.ai"},
    {"https://c.example", REDIRECT_KIND_HTTPS, "c.example"},
    {"https://c.example:8443/cb?x=1&y=%2F", REDIRECT_KIND_HTTPS, "c.example:8443"},
    {"https://192.0.2.7/cb", REDIRECT_KIND_HTTPS, "192.0.2.7"},
    {"https://xn--bcher-kva.example/cb", REDIRECT_KIND_HTTPS, "xn--bcher-kva.example"},
    {"http://localhost:3334/oauth/callback", REDIRECT_KIND_LOOPBACK, "localhost:3334"},
    {"http://127.0.0.1/cb", REDIRECT_KIND_LOOPBACK, "127.0.0.1"},
    {"http://[::1]:9/cb", REDIRECT_KIND_LOOPBACK, "[::1]:9"},
    {"cursor://anysphere.cursor-retrieval/oauth/callback", REDIRECT_KIND_PRIVATE, "cursor:"},
    {"com.example.app:/oauth2redirect", REDIRECT_KIND_PRIVATE, "com.example.app:"},
    {"vscode://vscode.github-authentication/did-authenticate", REDIRECT_KIND_PRIVATE, "vscode:"},
};

static void test_redirect_uris_of_real_clients_are_accepted(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
    struct redirect r;
    if (redirect_parse(str_of(accepted[i].uri), true, &r) != REDIRECT_OK)
      fail_msg("%s was refused", accepted[i].uri);
    assert_int_equal(r.kind, accepted[i].kind);
    if (!str_is(r.place, accepted[i].place))
      fail_msg("%s leads to '%.*s'", accepted[i].uri, STR_ARG(r.place));
  }
}

/* row 85 */
static const struct {
  const char *uri;
  enum redirect_error error;
} refused[] = {
    {"javascript:alert(1)", REDIRECT_SCHEME},
    {"javascript://c.example/%0aalert(1)", REDIRECT_SCHEME},
    {"JavaScript:alert(1)", REDIRECT_SYNTAX},
    {"jAvAsCrIpT://c/%0aalert(1)", REDIRECT_SYNTAX},
    {" javascript:alert(1)", REDIRECT_SYNTAX},
    {"\001javascript:alert(1)", REDIRECT_SYNTAX},
    {"\tjavascript:alert(1)", REDIRECT_SYNTAX},
    {"java\tscript:alert(1)", REDIRECT_SYNTAX},
    {"java\nscript:alert(1)", REDIRECT_SYNTAX},
    {"javascript\t:alert(1)", REDIRECT_SYNTAX},
    {"javascript&colon;alert(1)", REDIRECT_SYNTAX},
    {"javascript%3aalert(1)", REDIRECT_SYNTAX},
    {"%6aavascript:alert(1)", REDIRECT_SYNTAX},
    {"\303\237javascript:alert(1)", REDIRECT_SYNTAX},
    {"data:text/html,<script>alert(1)</script>", REDIRECT_SYNTAX},
    {"data:text/html;base64,PHNjcmlwdD4=", REDIRECT_SCHEME},
    {"data:/x", REDIRECT_SCHEME},
    {"DATA:text/html,x", REDIRECT_SYNTAX},
    {"vbscript:msgbox(1)", REDIRECT_SCHEME},
    {"vbscript:/x", REDIRECT_SCHEME},
    {"file:///etc/passwd", REDIRECT_SCHEME},
    {"blob:https://c.example/1", REDIRECT_SCHEME},
    {"about:blank", REDIRECT_SCHEME},
    {"about://blank", REDIRECT_SCHEME},
    {"filesystem:https://c/x", REDIRECT_SCHEME},
    {"view-source:https://c/", REDIRECT_SCHEME},
    {"intent://scan/", REDIRECT_SCHEME},
    {"mailto:a@c.example", REDIRECT_SCHEME},
    {"tel:/1", REDIRECT_SCHEME},
    {"ms-msdt:/id", REDIRECT_SCHEME},
    {"search-ms:/q", REDIRECT_SCHEME},
    {"ftp://c.example/", REDIRECT_SCHEME},
    {"ws://c.example/", REDIRECT_SCHEME},
    {"http://c.example/cb", REDIRECT_HTTP},
    {"http://127.0.0.2/cb", REDIRECT_HTTP},
    {"http://localhost.evil.example/cb", REDIRECT_HTTP},
    {"http://127.0.0.1.evil.example/cb", REDIRECT_HTTP},
    {"http://localhost./cb", REDIRECT_HTTP},
    {"http://[::2]/cb", REDIRECT_HTTP},
    {"http://10.0.0.1/cb", REDIRECT_HTTP},
    {"http://2130706433/cb", REDIRECT_HTTP},
    {"http://0x7f.1/cb", REDIRECT_HTTP},
    {"HTTP://localhost/cb", REDIRECT_SYNTAX},
    {"http://LOCALHOST/cb", REDIRECT_SYNTAX},
    {"http://localhost:1@evil.example/cb", REDIRECT_SYNTAX},
    {"http://localhost:0/cb", REDIRECT_SYNTAX},
    {"http://localhost:65536/cb", REDIRECT_SYNTAX},
    {"http://localhost:/cb", REDIRECT_SYNTAX},
    {"http://localhost:*/cb", REDIRECT_SYNTAX},
    {"https://user@c.example/cb", REDIRECT_SYNTAX},
    {"https://c.example\\@evil.example/", REDIRECT_SYNTAX},
    {"https://c.example/a/../cb", REDIRECT_SYNTAX},
    {"https://c.example/a/%2e%2E/cb", REDIRECT_SYNTAX},
    {"https://c.example/a/.%2e", REDIRECT_SYNTAX},
    {"https://c.example/./cb", REDIRECT_SYNTAX},
    {"https://c.example/%", REDIRECT_SYNTAX},
    {"https://c.example/%zz", REDIRECT_SYNTAX},
    {"https://c.example/ä", REDIRECT_SYNTAX},
    {"https://b\303\274cher.example/cb", REDIRECT_SYNTAX},
    {"https://C.example/cb", REDIRECT_SYNTAX},
    {"https:///cb", REDIRECT_SYNTAX},
    {"https:c.example/cb", REDIRECT_SYNTAX},
    {"https:/c.example/cb", REDIRECT_SYNTAX},
    {"//c.example/cb", REDIRECT_SYNTAX},
    {"/cb", REDIRECT_SYNTAX},
    {"cb", REDIRECT_SYNTAX},
    {"", REDIRECT_SYNTAX},
    {":", REDIRECT_SYNTAX},
    {"://x", REDIRECT_SYNTAX},
    {"1a://x/", REDIRECT_SYNTAX},
    {"cursor:x", REDIRECT_SYNTAX},
    {"cursor:", REDIRECT_SYNTAX},
    {"cursor:/", REDIRECT_SYNTAX},
    {"cursor://u@x/", REDIRECT_SYNTAX},
    {"https://c.example/cb#f", REDIRECT_FRAGMENT},
    {"https://c.example/cb#", REDIRECT_FRAGMENT},
    {"cursor://x/#f", REDIRECT_FRAGMENT},
    {"urn:ietf:wg:oauth:2.0:oob", REDIRECT_SYNTAX},
};

static void test_hostile_redirect_uris_are_refused(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
    enum redirect_error e = parse(refused[i].uri, true);
    if (e != refused[i].error)
      fail_msg("%s: %d, not %d", refused[i].uri, e, refused[i].error);
  }
}

static void test_a_private_scheme_is_for_public_clients_only(void **state)
{
  (void)state;
  assert_int_equal(parse("cursor://a/b", true), REDIRECT_OK);
  assert_int_equal(parse("cursor://a/b", false), REDIRECT_PRIVATE);
  assert_int_equal(parse("https://c.example/cb", false), REDIRECT_OK);
}

static void test_a_uri_over_2048_bytes_is_refused(void **state)
{
  char uri[2050];
  (void)state;
  memset(uri, 'a', sizeof uri);
  memcpy(uri, "https://c.example/", 18);
  uri[2048] = 0;
  assert_int_equal(parse(uri, true), REDIRECT_OK);
  uri[2048] = 'a';
  uri[2049] = 0;
  assert_int_equal(parse(uri, true), REDIRECT_SYNTAX);
}

/* row 84 */
static const struct {
  const char *registered, *uri;
  bool same;
} pairs[] = {
    {"https://c.example/cb", "https://c.example/cb", true},
    {"http://localhost/cb", "http://localhost:4711/cb", true},
    {"http://localhost:1/cb?a=b", "http://localhost:2/cb?a=b", true},
    {"http://127.0.0.1:1/cb", "http://127.0.0.1/cb", true},
    {"http://[::1]:1/cb", "http://[::1]:2/cb", true},
    {"http://localhost:1", "http://localhost:2", true},
    {"http://localhost/cb", "http://127.0.0.1/cb", false},
    {"http://127.0.0.1/cb", "http://[::1]/cb", false},
    {"http://localhost/cb", "http://localhost/cb/", false},
    {"http://localhost/cb", "http://localhost:1/CB", false},
    {"http://localhost/cb", "http://localhost:1/cb?x", false},
    {"http://localhost/cb", "http://localhost:1@evil.example/cb", false},
    {"http://localhost/cb", "http://localhost:1.evil.example/cb", false},
    {"http://localhost/cb", "https://localhost/cb", false},
    {"http://localhost", "http://localhost/", false},
    {"https://localhost/cb", "https://localhost:1/cb", false},
    {"https://c.example/cb", "https://c.example:443/cb", false},
    {"https://c.example/cb", "https://c.example:1/cb", false},
    {"cursor://a/b", "cursor://a/b", true},
    {"cursor://a/b", "cursor://a:1/b", false},
};

static void test_the_port_of_loopback_alone_may_differ(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
    if (redirect_matches(str_of(pairs[i].registered), str_of(pairs[i].uri)) != pairs[i].same)
      fail_msg("%s and %s", pairs[i].registered, pairs[i].uri);
}

/* Every single-byte change, insertion and deletion of a registered URI: over a thousand spellings,
 * none of which is that URI (row 84). */
static void test_no_mutation_of_a_registered_uri_matches(void **state)
{
  static const char registered[] = "https://client.example.com:8443/oauth/callback?k=v";
  static const char bytes[] = "/.@:#?%&a0 \\\t";
  char uri[sizeof registered + 1];
  size_t n = sizeof registered - 1, tried = 0;
  (void)state;
  for (size_t at = 0; at <= n; at++) {
    for (const char *b = bytes; *b; b++) {
      memcpy(uri, registered, at);
      uri[at] = *b;
      memcpy(uri + at + 1, registered + at, n - at + 1); /* inserted */
      tried++;
      if (redirect_matches(str_of(registered), str_of(uri)))
        fail_msg("%s matches", uri);
      if (at == n || registered[at] == *b)
        continue;
      memcpy(uri, registered, n + 1);
      uri[at] = *b; /* changed */
      tried++;
      if (redirect_matches(str_of(registered), str_of(uri)))
        fail_msg("%s matches", uri);
    }
    if (at == n)
      break;
    memcpy(uri, registered, at);
    memcpy(uri + at, registered + at + 1, n - at); /* left out */
    tried++;
    if (redirect_matches(str_of(registered), str_of(uri)))
      fail_msg("%s matches", uri);
  }
  assert_true(tried >= 500);
}

static const struct {
  const char *own, *uri;
  bool refused;
} owns[] = {
    {"https://mcp.example.com", "https://mcp.example.com/callback/google", true},
    {"https://mcp.example.com", "https://mcp.example.com:443/token", true},
    {"https://mcp.example.com", "https://mcp.example.com:8443/cb", false},
    {"https://mcp.example.com", "https://c.example/cb", false},
    {"http://127.0.0.1:7070", "http://127.0.0.1:7070/callback/x", true},
    {"http://127.0.0.1:7070", "http://localhost:7070/callback/x", true},
    {"http://127.0.0.1:7070", "http://[::1]:7070/", true},
    {"http://127.0.0.1:7070", "http://localhost:7071/", false},
};

static void test_a_redirect_to_the_hub_itself_is_refused(void **state) /* row 88 */
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(owns); i++) {
    struct url own;
    struct redirect r;
    assert_int_equal(url_parse(str_of(owns[i].own), &own, NULL), 0);
    struct redirect_policy p = {.own = &own};
    enum redirect_error e = redirect_acceptable(&p, str_of(owns[i].uri), true, &r);
    if (e != (owns[i].refused ? REDIRECT_OWN : REDIRECT_OK))
      fail_msg("%s at %s: %d", owns[i].uri, owns[i].own, e);
  }
}

static const char *const patterns[] = {
    "https://chatgpt.com/connector/oauth/*", "https://claude.ai/api/mcp/auth_callback",
    "http://localhost/oauth/cb-*.html",      "http://127.0.0.1/callback",
    "cursor://anysphere.cursor-retrieval/*",
};

static const struct {
  const char *uri;
  bool allowed;
} listed[] = {
    {"https://chatgpt.com/connector/oauth/a1B2-c3", true},
    {"https://chatgpt.com/connector/oauth/", true},
    {"https://claude.ai/api/mcp/auth_callback", true},
    {"http://localhost:5/oauth/cb-7.html", true},
    {"http://127.0.0.1:99/callback", true},
    {"cursor://anysphere.cursor-retrieval/x", true},
    {"https://chatgpt.com/connector/oauth/a/b", false},
    {"https://chatgpt.com/connector/oauth/a?b", false},
    {"https://chatgpt.com/connector/a", false},
    {"https://chatgpt.com.evil.example/connector/oauth/a", false},
    {"https://evil.example/connector/oauth/a", false},
    {"https://chatgpt.com:444/connector/oauth/a", false},
    {"http://localhost:5/oauth/cb-7.htm", false},
    {"http://localhost:5/oauth/cb.html", false},
    {"http://localhost:5/callback", false},
    {"cursor://other/x", false},
};

static void test_redirect_allow_is_the_most_that_is_accepted(void **state)
{
  struct redirect_policy p = {.allow = patterns, .n_allow = ARRAY_SIZE(patterns)};
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
    assert_int_equal(redirect_pattern(str_of(patterns[i]), NULL), 0);
  for (size_t i = 0; i < ARRAY_SIZE(listed); i++) {
    struct redirect r;
    enum redirect_error e = redirect_acceptable(&p, str_of(listed[i].uri), true, &r);
    if (e != (listed[i].allowed ? REDIRECT_OK : REDIRECT_NOT_ALLOWED))
      fail_msg("%s: %d", listed[i].uri, e);
  }
}

static void test_a_star_elsewhere_is_no_pattern(void **state)
{
  static const char *const bad[] = {
      "https://*.example/cb",
      "https://c.example/*/cb",
      "https://*",
      "http://localhost:*/cb",
      "*",
      "https://c.example/a*b*",
      "*://c.example/x",
      "https://c.example*",
      "cursor://*",
      "http://evil.example/cb-*",
  };
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
    if (redirect_pattern(str_of(bad[i]), NULL) == 0)
      fail_msg("%s was accepted", bad[i]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_redirect_uris_of_real_clients_are_accepted),
      cmocka_unit_test(test_hostile_redirect_uris_are_refused),
      cmocka_unit_test(test_a_private_scheme_is_for_public_clients_only),
      cmocka_unit_test(test_a_uri_over_2048_bytes_is_refused),
      cmocka_unit_test(test_the_port_of_loopback_alone_may_differ),
      cmocka_unit_test(test_no_mutation_of_a_registered_uri_matches),
      cmocka_unit_test(test_a_redirect_to_the_hub_itself_is_refused),
      cmocka_unit_test(test_redirect_allow_is_the_most_that_is_accepted),
      cmocka_unit_test(test_a_star_elsewhere_is_no_pattern),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
