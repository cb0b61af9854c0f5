/* Sealed message endpoints of the legacy transport: same origin only, bound to the service, no bit
 * can be changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mcp/endpoint.h"
#include "util/cleanup.h"
#include "util/limits.h"

static struct sealer *key, *other_key;
static uint64_t name;

static struct seal_owner at(const char *service)
{
  return (struct seal_owner){
      .service = str_of(service), .issuer = STR("https://i"), .subject = STR("ada")};
}

static int open_at(const char *service, struct str sealed, struct buf *out)
{
  struct seal_owner o = at(service);
  return seal_open(key, SEAL_ENDPOINT, &o, sealed, out, &name);
}

static struct url url(const char *text)
{
  struct url u;
  struct err e = {""};
  if (url_parse(str_of(text), &u, &e) < 0)
    fail_msg("%s: %s", text, e.text);
  return u;
}

static const struct {
  const char *base, *data, *target; /* target NULL: refused */
} resolutions[] = {
    {"http://127.0.0.1:3001/sse", "/message?sessionId=a-1", "/message?sessionId=a-1"},
    {"http://127.0.0.1:3001/a/sse", "/messages/?session_id=0f", "/messages/?session_id=0f"},
    {"http://127.0.0.1:3001/a/sse", "messages?x=1", "/a/messages?x=1"},
    {"http://127.0.0.1:3001/a/", "messages", "/a/messages"},
    {"http://127.0.0.1:3001/a/sse?k=1", "?s=2", "/a/sse?s=2"},
    {"http://127.0.0.1:3001", "?s=2", "/?s=2"},
    {"http://127.0.0.1:3001", "messages", "/messages"},
    {"http://127.0.0.1:3001/sse", "http://127.0.0.1:3001/m?s=1", "/m?s=1"},
    {"http://127.0.0.1:3001/sse", "http://127.0.0.1:3001?s=1", "/?s=1"},
    {"http://127.0.0.1:3001/sse", "//127.0.0.1:3001/m", "/m"},
    {"https://mcp.example.com/sse", "https://mcp.example.com:443/m", "/m"},
    {"http://h/sse", "/a%20b/c?d=%2F..", "/a%20b/c?d=%2F.."},
    {"http://h/sse", "/a?next=http://evil/", "/a?next=http://evil/"},
    {"http://h/sse", "/a/.../b", "/a/.../b"},
    /* another origin */
    {"http://127.0.0.1:3001/sse", "http://127.0.0.1:3002/m", NULL},
    {"http://127.0.0.1:3001/sse", "http://127.0.0.2:3001/m", NULL},
    {"http://127.0.0.1:3001/sse", "https://127.0.0.1:3001/m", NULL},
    {"http://127.0.0.1:3001/sse", "http://127.0.0.1/m", NULL},
    {"http://127.0.0.1:3001/sse", "http://localhost:3001/m", NULL},
    {"http://127.0.0.1:3001/sse", "//evil.example/m", NULL},
    {"http://127.0.0.1:3001/sse", "///evil.example/m", NULL},
    {"http://127.0.0.1:3001/sse", "/\\evil.example/m", NULL},
    {"http://127.0.0.1:3001/sse", "\\\\evil.example/m", NULL},
    {"http://127.0.0.1:3001/sse", "http://127.0.0.1:3001@evil.example/m", NULL},
    {"http://127.0.0.1:3001/sse", "javascript:alert(1)", NULL},
    {"http://127.0.0.1:3001/sse", "file:///etc/passwd", NULL},
    {"http://127.0.0.1:3001/sse", "http:/m", NULL},
    /* paths that two parsers could read differently */
    {"http://h/sse", "/a/../b", NULL},
    {"http://h/a/b/sse", "../m", NULL},
    {"http://h/sse", "./m", NULL},
    {"http://h/sse", "/a/..", NULL},
    {"http://h/sse", "/a/.?x", NULL},
    {"http://h/sse", "/a/%2e%2e/b", NULL},
    {"http://h/sse", "/a/%2E./b", NULL},
    {"http://h/sse", "/a%2fb", NULL},
    {"http://h/sse", "/a%5cb", NULL},
    {"http://h/sse", "/a%00b", NULL},
    {"http://h/sse", "/a%0d%0aX:1", NULL},
    {"http://h/sse", "/a%zz", NULL},
    {"http://h/sse", "/a%4", NULL},
    {"http://h/sse", "/a?x=%", NULL},
    {"http://h/sse", "/a b", NULL},
    {"http://h/sse", "/a\r\nX-Admin: 1", NULL},
    {"http://h/sse", "/a\tb", NULL},
    {"http://h/sse", "/\xc3\xa4", NULL},
    {"http://h/sse", "/a#b", NULL},
    {"http://h/sse", "", NULL},
};

static void test_only_plain_urls_of_the_upstreams_origin_are_followed(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(resolutions); i++) {
    struct url base = url(resolutions[i].base);
    struct err e = {""};
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, 8192);
    print_message("%s + %s\n", resolutions[i].base, resolutions[i].data);
    int rc = endpoint_resolve(&base, str_of(resolutions[i].data), &out, &e);
    if (resolutions[i].target) {
      assert_int_equal(rc, 0);
      assert_string_equal(out.p, resolutions[i].target);
    } else {
      assert_int_equal(rc, -1);
      assert_string_not_equal(e.text, "");
      assert_int_equal(out.n, 0);
    }
  }
}

static void seal(const char *service, const char *data, struct buf *out)
{
  struct url base = url("http://127.0.0.1:3001/sse");
  struct err e = {""};
  buf_init(out, 8192);
  struct seal_owner o = at(service);
  assert_int_equal(endpoint_seal(key, &o, &base, str_of(data), out, &name, &e), 0);
}

static void test_a_sealed_endpoint_opens_again(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf sealed, opened;
  seal("notes", "/message?sessionId=a-1", &sealed);
  buf_init(&opened, 8192);
  buf_puts(&opened, "what was there before");
  assert_int_equal(open_at("notes", buf_view(&sealed), &opened), 0);
  assert_string_equal(opened.p, "/message?sessionId=a-1");
}

static void test_a_sealed_endpoint_needs_no_escaping_in_a_query(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf sealed;
  seal("notes", "/message?sessionId=a-1", &sealed);
  assert_int_equal(strspn(sealed.p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789-_"),
                   sealed.n);
}

static void test_the_upstreams_session_id_cannot_be_read(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf one, two;
  seal("notes", "/message?sessionId=a-1", &one);
  seal("notes", "/message?sessionId=a-1", &two);
  assert_string_not_equal(one.p, two.p);
  assert_null(strstr(one.p, "message"));
}

static void test_another_service_cannot_open_it(void **state)
{
  (void)state;
  struct seal_owner o = at("notes");
  CLEANUP(buf_done) struct buf sealed, opened;
  seal("notes", "/message?sessionId=a-1", &sealed);
  buf_init(&opened, 8192);
  assert_int_equal(open_at("mails", buf_view(&sealed), &opened), -1);
  assert_int_equal(open_at("note", buf_view(&sealed), &opened), -1);
  assert_int_equal(open_at("notess", buf_view(&sealed), &opened), -1);
  assert_int_equal(open_at("", buf_view(&sealed), &opened), -1);
  assert_int_equal(seal_open(other_key, SEAL_ENDPOINT, &o, buf_view(&sealed), &opened, &name), -1);
  assert_int_equal(opened.n, 0);
}

/* row 79 */
static void test_only_the_one_that_it_was_given_to_can_open_it(void **state)
{
  (void)state;
  static const struct seal_owner others[] = {
      {STR_INIT("notes"), STR_INIT("https://i"), STR_INIT("eve"), STR_INIT("")},
      {STR_INIT("notes"), STR_INIT("https://j"), STR_INIT("ada"), STR_INIT("")},
      {STR_INIT("notes"), STR_INIT("https://i"), STR_INIT("ada"), STR_INIT("app")},
      {STR_INIT("notes"), STR_INIT("https://ia"), STR_INIT("da"), STR_INIT("")},
      {STR_INIT("notes"), STR_INIT("https://i"), STR_INIT("ad"), STR_INIT("a")},
      {STR_INIT("notes"), STR_INIT(""), STR_INIT(""), STR_INIT("")},
  };
  CLEANUP(buf_done) struct buf sealed, opened;
  seal("notes", "/message?sessionId=a-1", &sealed);
  buf_init(&opened, 8192);
  for (size_t i = 0; i < ARRAY_SIZE(others); i++)
    assert_int_equal(seal_open(key, SEAL_ENDPOINT, &others[i], buf_view(&sealed), &opened, &name),
                     -1);
  assert_int_equal(opened.n, 0);
}

static void test_an_id_keeps_its_name_and_has_one_use(void **state)
{
  (void)state;
  struct seal_owner o = at("notes");
  CLEANUP(buf_done) struct buf sealed, opened;
  uint64_t given, found = 0;
  seal("notes", "/message?sessionId=a-1", &sealed);
  given = name;
  buf_init(&opened, 8192);
  assert_int_equal(seal_open(key, SEAL_SESSION, &o, buf_view(&sealed), &opened, &found), -1);
  assert_int_equal(seal_open(key, SEAL_ENDPOINT, &o, buf_view(&sealed), &opened, &found), 0);
  assert_true(given != 0 && given == found);
}

static void test_no_bit_can_be_flipped_and_none_cut_off(void **state)
{
  (void)state;
  CLEANUP(buf_done) struct buf sealed, opened;
  seal("notes", "/message?sessionId=a-1", &sealed);
  buf_init(&opened, 8192);
  for (size_t i = 0; i < sealed.n; i++) {
    for (int bit = 0; bit < 8; bit++) {
      sealed.p[i] = (char)(sealed.p[i] ^ (1 << bit));
      assert_int_equal(open_at("notes", buf_view(&sealed), &opened), -1);
      sealed.p[i] = (char)(sealed.p[i] ^ (1 << bit));
    }
    struct str cut = str_slice(buf_view(&sealed), 0, i);
    assert_int_equal(open_at("notes", cut, &opened), -1);
  }
  assert_int_equal(opened.n, 0);
  assert_int_equal(open_at("notes", buf_view(&sealed), &opened), 0);
}

static void test_lengths_are_bounded_both_ways(void **state)
{
  (void)state;
  char data[LIMIT_ENDPOINT + 2] = "/";
  struct url base = url("http://127.0.0.1:3001/sse");
  struct seal_owner o = at("s");
  struct err e = {""};
  CLEANUP(buf_done) struct buf sealed, opened;
  memset(data + 1, 'x', LIMIT_ENDPOINT);
  buf_init(&sealed, 8192);
  buf_init(&opened, 8192);
  assert_int_equal(endpoint_seal(key, &o, &base, str_of(data), &sealed, &name, &e), -1);
  data[LIMIT_ENDPOINT] = 0;
  assert_int_equal(endpoint_seal(key, &o, &base, str_of(data), &sealed, &name, &e), 0);
  assert_in_range(sealed.n, LIMIT_ENDPOINT, LIMIT_TARGET - LIMIT_SERVICE_PATH);
  assert_int_equal(open_at("s", buf_view(&sealed), &opened), 0);
  assert_string_equal(opened.p, data);
  buf_puts(&sealed, "AAAA");
  assert_int_equal(open_at("s", buf_view(&sealed), &opened), -1);
}

static int make_keys(void **state)
{
  (void)state;
  struct err e = {""};
  key = sealer_new((const unsigned char[SEAL_KEY]){1, 2, 3, 4, 5, 6, 7, 8, 9}, &e);
  other_key = sealer_new((const unsigned char[SEAL_KEY]){9, 8, 7}, &e);
  return key && other_key ? 0 : -1;
}

static int free_keys(void **state)
{
  (void)state;
  sealer_free(key);
  sealer_free(other_key);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_only_plain_urls_of_the_upstreams_origin_are_followed),
      cmocka_unit_test(test_a_sealed_endpoint_opens_again),
      cmocka_unit_test(test_a_sealed_endpoint_needs_no_escaping_in_a_query),
      cmocka_unit_test(test_the_upstreams_session_id_cannot_be_read),
      cmocka_unit_test(test_another_service_cannot_open_it),
      cmocka_unit_test(test_only_the_one_that_it_was_given_to_can_open_it),
      cmocka_unit_test(test_an_id_keeps_its_name_and_has_one_use),
      cmocka_unit_test(test_no_bit_can_be_flipped_and_none_cut_off),
      cmocka_unit_test(test_lengths_are_bounded_both_ways),
  };
  return cmocka_run_group_tests(tests, make_keys, free_keys);
}
