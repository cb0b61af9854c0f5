/* Which request heads are admitted, and what the others are answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/admission.h"
#include "http/headers.h"

enum { MOST = LIMIT_HEADERS + 2 };

static struct http_header fields[MOST];
static struct admission facts;
static const char *why;

/* The fields of TEXT, one a line, "name:value" with the blanks as they stand. */
static size_t split(const char *text)
{
  struct str rest = str_of(text), line;
  size_t n = 0;
  while (str_next(&rest, '\n', &line)) {
    size_t colon = str_chr(line, ':');
    fields[n++] =
        (struct http_header){str_slice(line, 0, colon), str_slice(line, colon + 1, line.n)};
  }
  return n;
}

static int check(const char *method, const char *target, const char *version, const char *text)
{
  facts = (struct admission){.method = str_of(method),
                             .target = str_of(target),
                             .version = str_of(version),
                             .headers = fields,
                             .n_headers = split(text)};
  why = NULL;
  int status = admission_check(&facts, &why);
  assert_int_equal(status != 0, why != NULL);
  return status;
}

static int get(const char *text)
{
  static char all[1024]; /* what facts points into */
  snprintf(all, sizeof all, "Host:h%s%s", *text ? "\n" : "", text);
  return check("GET", "/x", "HTTP/1.1", all);
}

static int post(const char *text)
{
  static char all[1024]; /* what facts points into */
  snprintf(all, sizeof all, "Host:h%s%s", *text ? "\n" : "", text);
  return check("POST", "/x", "HTTP/1.1", all);
}

static void test_a_plain_request_is_admitted_with_its_values_trimmed(void **state)
{
  (void)state;
  assert_int_equal(
      check("POST", "/x?y", "HTTP/1.1", "Host:\t h:80 \nContent-Length: 12\nX-Any:  a b \t"), 0);
  assert_int_equal(facts.n_headers, 3);
  assert_true(str_is(facts.headers[0].value, "h:80"));
  assert_true(str_is(facts.headers[2].value, "a b"));
  assert_int_equal(facts.content_length, 12);
  assert_false(facts.expects_continue);
}

static void test_two_of_a_single_field_are_400(void **state)
{
  (void)state; /* row 26, row 37 */
  static const char *const names[] = {
      "Authorization", "Host",           "Content-Type",  "MCP-Protocol-Version",
      "Mcp-Method",    "Mcp-Session-Id", "Mcp-Name",      "Last-Event-ID",
      "Origin",        "Cookie",         "authorization", "traceparent",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char text[128];
    snprintf(text, sizeof text, "%s: a\nX-Between: 1\n%s: a", names[i], names[i]);
    assert_int_equal(get(text), 400);
  }
  assert_int_equal(get("Authorization: a\nAUTHORIZATION: b"), 400);
  assert_int_equal(post("Content-Length: 5\nContent-Length: 5"), 400);
  assert_int_equal(post("Transfer-Encoding: chunked\nTransfer-Encoding: chunked"), 400);
  assert_int_equal(get("Accept: a\nAccept: b"), 0);
}

static void test_content_length_with_transfer_encoding_is_400(void **state)
{
  (void)state; /* row 36 */
  assert_int_equal(post("Content-Length: 5\nTransfer-Encoding: chunked"), 400);
  assert_int_equal(post("Transfer-Encoding: chunked\nContent-Length: 5"), 400);
  assert_int_equal(post("Transfer-Encoding: chunked\nContent-Length: 0"), 400);
}

static void test_content_length_is_a_plain_decimal(void **state)
{
  (void)state; /* row 37 */
  static const char *const bad[] = {"+5",
                                    "-5",
                                    "5,5",
                                    "0x5",
                                    "",
                                    "5 5",
                                    "05",
                                    "5.0",
                                    "5a",
                                    " ",
                                    "18446744073709551616",
                                    "9223372036854775808"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[64];
    snprintf(text, sizeof text, "Content-Length:%s", bad[i]);
    if (post(text) != 400)
      fail_msg("%s", bad[i]);
  }
  assert_int_equal(post("Content-Length: 0"), 0);
  assert_int_equal(facts.content_length, 0);
}

static void test_transfer_encoding_is_chunked_or_400(void **state)
{
  (void)state; /* row 38 */
  static const char *const bad[] = {"xchunked",
                                    "identity, chunked",
                                    "chunked, chunked",
                                    "gzip",
                                    "",
                                    "\x0b"
                                    "chunked",
                                    "chunked\x0c",
                                    "\xa0"
                                    "chunked",
                                    "chunked ",
                                    " chunked",
                                    "chunked;x",
                                    "identity"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[64];
    snprintf(text, sizeof text, "Transfer-Encoding:%s", bad[i]);
    if (post(text) != 400)
      fail_msg("%s", bad[i]);
  }
  assert_int_equal(post("Transfer-Encoding:Chunked"), 0);
  assert_int_equal(facts.content_length, -1);
}

static void test_a_header_name_is_a_token(void **state)
{
  (void)state; /* row 39 */
  static const char *const bad[] = {
      "Transfer-Encoding :chunked",
      "Transfer-Encoding\t:chunked",
      " Leading:x",
      "\tLeading:x",
      "\x01X:y",
      "X\x7f:y",
      "X Y:z",
      ":empty",
      "X(Y):z",
      "X/Y:z",
      "X\xc3\xa9:z",
      "X\r:y",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (get(bad[i]) != 400)
      fail_msg("%s", bad[i]);
  assert_int_equal(get("!#$%&'*+-.^`|~09azAZ:x"), 0);
}

static void test_a_header_value_has_no_control_bytes_but_the_tab(void **state)
{
  (void)state; /* row 40 */
  for (int c = 1; c < 0x20; c++) {
    if (c == '\n')
      continue; /* the line's end in this test; a value cannot hold one */
    char text[16];
    snprintf(text, sizeof text, "X: a%cb", c);
    assert_int_equal(get(text), c == '\t' ? 0 : 400);
  }
  assert_int_equal(get("X: a\x7f"), 400);
  assert_int_equal(get("X: caf\xc3\xa9"), 0);
}

static void test_names_with_an_underscore_are_taken_out_and_counted(void **state)
{
  (void)state; /* row 41 */
  assert_int_equal(get("X_Mcpauth_User: root\nAccept: a\nContent_Length: 5\n_: x"), 0);
  assert_int_equal(facts.n_headers, 2);
  assert_true(str_is(facts.headers[1].name, "Accept"));
  assert_int_equal(facts.dropped, 3);
}

static void test_only_origin_form_is_admitted(void **state)
{
  (void)state; /* row 47 */
  assert_int_equal(check("GET", "http://h/x", "HTTP/1.1", "Host:h"), 400);
  assert_int_equal(check("OPTIONS", "*", "HTTP/1.1", "Host:h"), 400);
  assert_int_equal(check("GET", "/a/../b", "HTTP/1.1", "Host:h"), 400);
  assert_int_equal(check("GET", "/?a\x01", "HTTP/1.1", "Host:h"), 400);
}

static void test_methods_off_the_list_are_405_and_what_is_no_method_400(void **state)
{
  (void)state; /* row 47 */
  static const char *const off[] = {"HEAD", "PUT", "PATCH", "TRACE", "CONNECT", "get", "Post", "X"};
  for (size_t i = 0; i < sizeof off / sizeof *off; i++)
    assert_int_equal(check(off[i], "/x", "HTTP/1.1", "Host:h"), 405);
  static const char *const bad[] = {"", "G\x01T", "G(T", "GETGETGETGETGETGETGETGETGETGETGET"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(check(bad[i], "/x", "HTTP/1.1", "Host:h"), 400);
  static const char *const on[] = {"GET", "POST", "DELETE", "OPTIONS"};
  for (size_t i = 0; i < sizeof on / sizeof *on; i++)
    assert_int_equal(check(on[i], "/x", "HTTP/1.1", "Host:h"), 0);
}

static void test_the_version_is_1_1_or_1_0(void **state)
{
  (void)state;
  static const char *const bad[] = {"HTTP/0.9", "HTTP/1.2",  "HTTP/2.0",
                                    "http/1.1", "HTTP/1.1 ", ""};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(check("GET", "/x", bad[i], "Host:h"), 505);
  assert_int_equal(check("GET", "/x", "HTTP/1.0", "Accept:a"), 0);
  assert_true(facts.http10);
  assert_int_equal(check("POST", "/x", "HTTP/1.0", "Transfer-Encoding:chunked"), 400);
}

static void test_host_is_a_plain_authority(void **state)
{
  (void)state;
  static const char *const bad[] = {"",      "h:",       "h:99999", "h:a", "u@h",  "h/x", "a b",
                                    "h,h",   "[::1",     "[::1]x",  "[]",  "h?x",  "h#x", "%68",
                                    "h:80:", "\xc3\xa9", "[g]",     ":80", "h\\x", "h:-1"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[64];
    snprintf(text, sizeof text, "Host:%s", bad[i]);
    if (check("GET", "/x", "HTTP/1.1", text) != 400)
      fail_msg("%s", bad[i]);
  }
  static const char *const good[] = {"h", "a-b.c_d", "127.0.0.1:8080", "[::1]", "[::1]:443", "h."};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    char text[64];
    snprintf(text, sizeof text, "Host:%s", good[i]);
    assert_int_equal(check("GET", "/x", "HTTP/1.1", text), 0);
  }
  assert_int_equal(check("GET", "/x", "HTTP/1.1", "Accept:a"), 400);
}

static void test_expectations_and_codings_other_than_the_known_are_refused(void **state)
{
  (void)state; /* row 52, row 54 */
  assert_int_equal(post("Content-Length: 5\nExpect: 100-Continue"), 0);
  assert_true(facts.expects_continue);
  assert_int_equal(post("Content-Length: 5\nExpect: 200-ok"), 417);
  assert_int_equal(post("Content-Length: 5\nContent-Encoding: gzip"), 415);
  assert_int_equal(post("Content-Length: 5\nContent-Encoding: gzip, identity"), 415);
  assert_int_equal(post("Content-Length: 5\nContent-Encoding: identity"), 0);
}

static void test_fields_that_ask_for_another_protocol_or_method_are_taken_out(void **state)
{
  (void)state; /* row 52 */
  assert_int_equal(get("Upgrade: h2c\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\n"
                       "X-HTTP-Method-Override: DELETE\nx-http-method: PUT\nX-Method-Override: A"),
                   0);
  assert_int_equal(facts.n_headers, 1);
}

static void test_a_body_with_a_method_that_has_none_is_400(void **state)
{
  (void)state;
  static const char *const methods[] = {"GET", "DELETE", "OPTIONS"};
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    assert_int_equal(check(methods[i], "/x", "HTTP/1.1", "Host:h\nContent-Length:1"), 400);
    assert_int_equal(check(methods[i], "/x", "HTTP/1.1", "Host:h\nTransfer-Encoding:chunked"), 400);
    assert_int_equal(check(methods[i], "/x", "HTTP/1.1", "Host:h\nContent-Length:0"), 0);
  }
}

static int many(size_t n, size_t bytes)
{
  static char big[LIMIT_HEADER_BYTES + 1];
  memset(big, 'x', sizeof big);
  size_t used = 0;
  for (size_t i = 0; i < n; i++) {
    fields[i] = (struct http_header){i ? STR("a") : STR("Host"), STR("h")};
    used += fields[i].name.n + fields[i].value.n + 4;
  }
  if (bytes)
    fields[n - 1].value = (struct str){big, bytes - (used - 1)};
  facts = (struct admission){.method = STR("GET"),
                             .target = STR("/"),
                             .version = STR("HTTP/1.1"),
                             .headers = fields,
                             .n_headers = n};
  return admission_check(&facts, &why);
}

static void test_count_and_size_of_fields_end_at_their_limits(void **state)
{
  (void)state; /* row 159 */
  assert_int_equal(many(LIMIT_HEADERS, 0), 0);
  assert_int_equal(many(LIMIT_HEADERS + 1, 0), 431);
  assert_int_equal(many(2, LIMIT_HEADER_BYTES), 0);
  assert_int_equal(many(2, LIMIT_HEADER_BYTES + 1), 431);
}

static void test_a_target_past_its_limit_is_414(void **state)
{
  (void)state; /* row 159 */
  char target[LIMIT_TARGET + 2];
  memset(target, 'a', sizeof target);
  target[0] = '/';
  target[LIMIT_TARGET + 1] = 0;
  assert_int_equal(check("GET", target, "HTTP/1.1", "Host:h"), 414);
  target[LIMIT_TARGET] = 0;
  assert_int_equal(check("GET", target, "HTTP/1.1", "Host:h"), 0);
}

static void test_headers_are_found_without_case_and_counted(void **state)
{
  (void)state;
  struct http_request rq = {.headers = fields, .n_headers = split("Accept:a\nX-Key:1\nACCEPT:b")};
  assert_true(str_is(http_header(&rq, "accept"), "a"));
  assert_int_equal(http_header_count(&rq, "Accept"), 2);
  assert_null(http_header(&rq, "X-Ke").p);
  assert_int_equal(http_header_count(&rq, "X-Keyy"), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_plain_request_is_admitted_with_its_values_trimmed),
      cmocka_unit_test(test_two_of_a_single_field_are_400),
      cmocka_unit_test(test_content_length_with_transfer_encoding_is_400),
      cmocka_unit_test(test_content_length_is_a_plain_decimal),
      cmocka_unit_test(test_transfer_encoding_is_chunked_or_400),
      cmocka_unit_test(test_a_header_name_is_a_token),
      cmocka_unit_test(test_a_header_value_has_no_control_bytes_but_the_tab),
      cmocka_unit_test(test_names_with_an_underscore_are_taken_out_and_counted),
      cmocka_unit_test(test_only_origin_form_is_admitted),
      cmocka_unit_test(test_methods_off_the_list_are_405_and_what_is_no_method_400),
      cmocka_unit_test(test_the_version_is_1_1_or_1_0),
      cmocka_unit_test(test_host_is_a_plain_authority),
      cmocka_unit_test(test_expectations_and_codings_other_than_the_known_are_refused),
      cmocka_unit_test(test_fields_that_ask_for_another_protocol_or_method_are_taken_out),
      cmocka_unit_test(test_a_body_with_a_method_that_has_none_is_400),
      cmocka_unit_test(test_count_and_size_of_fields_end_at_their_limits),
      cmocka_unit_test(test_a_target_past_its_limit_is_414),
      cmocka_unit_test(test_headers_are_found_without_case_and_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
