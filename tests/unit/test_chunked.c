/* The chunked coding: what is data, where it ends, and what is not to be read in two ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/chunked.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* Decodes TEXT in pieces of STEP bytes; *RET_USED of all its bytes. */
static struct chunked decode(const char *text, size_t n, size_t step, char *out, size_t *ret_n,
                             size_t *ret_used)
{
  struct chunked c = {0};
  *ret_n = *ret_used = 0;
  while (*ret_used < n && c.state != CHUNKED_DONE && c.bad == NULL) {
    char piece[4096];
    size_t part = n - *ret_used < step ? n - *ret_used : step, data;
    memcpy(piece, text + *ret_used, part);
    *ret_used += chunked_decode(&c, piece, part, &data);
    memcpy(out + *ret_n, piece, data);
    *ret_n += data;
  }
  return c;
}

static void test_data_comes_out_however_it_is_cut(void **state)
{
  (void)state;
  static const char text[] = "5\r\nhello\r\n1;name=\"v\"\r\n \r\n00A \r\n0123456789\r\n"
                             "0\r\nTrailer: x\r\nOther:\ty\r\n\r\n";
  for (size_t step = 1; step <= sizeof text; step++) {
    char out[64];
    size_t n, used;
    struct chunked c = decode(text, sizeof text - 1, step, out, &n, &used);
    assert_null(c.bad);
    assert_int_equal(c.state, CHUNKED_DONE);
    assert_int_equal(used, sizeof text - 1);
    assert_int_equal(n, 16);
    assert_memory_equal(out, "hello 0123456789", 16);
  }
}

/* row 56 */
static void test_bytes_behind_the_end_are_left_alone(void **state)
{
  (void)state;
  char text[] = "1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n";
  struct chunked c = {0};
  size_t data, used = chunked_decode(&c, text, sizeof text - 1, &data);
  assert_int_equal(c.state, CHUNKED_DONE);
  assert_int_equal(data, 1);
  assert_string_equal(text + used, "HTTP/1.1 200 OK\r\n");
}

static void test_an_unfinished_body_is_not_done(void **state)
{
  (void)state;
  static const char *const texts[] = {"",
                                      "5",
                                      "5\r",
                                      "5\r\n",
                                      "5\r\nhell",
                                      "5\r\nhello",
                                      "5\r\nhello\r\n",
                                      "0\r\n",
                                      "0\r\nT: x\r\n",
                                      "0\r\n\r"};
  for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
    char out[64];
    size_t n, used;
    struct chunked c = decode(texts[i], strlen(texts[i]), 4096, out, &n, &used);
    assert_null(c.bad);
    assert_int_not_equal(c.state, CHUNKED_DONE);
  }
}

/* row 45 */
static void test_what_can_be_read_in_two_ways_is_refused(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "\r\n",
      "g\r\n",
      " 5\r\nhello\r\n",
      "0x5\r\nhello\r\n",
      "+5\r\nhello\r\n",
      "-1\r\n",
      "5\nhello\r\n",
      "5\r\rhello\r\n",
      "5\r\nhello\n",
      "5\r\nhello!\r\n",
      "5\r\nhelloXX0\r\n\r\n",
      "5;\x01\r\nhello\r\n",
      "5;a\nb\r\nhello\r\n",
      "0\r\n\n",
      "0\r\nTrailer: x\n\r\n",
      "0\r\n\rX",
      "0000000000000005\r\nhello\r\n",
      "ffffffffffffffff\r\n",
  };
  for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
    char out[64];
    size_t n, used;
    struct chunked c = decode(texts[i], strlen(texts[i]), 4096, out, &n, &used);
    if (c.bad == NULL)
      fail_msg("accepted: %s", texts[i]);
  }
}

static void test_endless_extensions_and_trailers_are_cut_off(void **state)
{
  (void)state;
  static const char *const begins[] = {"5;", "0\r\nT: "};
  for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
    static char text[LIMIT_UPSTREAM_HEADERS + 64];
    struct chunked c = {0};
    size_t data;
    memset(text, 'a', sizeof text);
    memcpy(text, begins[i], strlen(begins[i]));
    chunked_decode(&c, text, sizeof text, &data);
    assert_non_null(c.bad);
  }
}

static void test_nothing_is_decoded_after_a_refusal(void **state)
{
  (void)state;
  char text[] = "5\r\nhello\r\n";
  struct chunked c = {.bad = "before"};
  size_t data;
  assert_int_equal(chunked_decode(&c, text, sizeof text - 1, &data), 0);
  assert_int_equal(data, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_data_comes_out_however_it_is_cut),
      cmocka_unit_test(test_bytes_behind_the_end_are_left_alone),
      cmocka_unit_test(test_an_unfinished_body_is_not_done),
      cmocka_unit_test(test_what_can_be_read_in_two_ways_is_refused),
      cmocka_unit_test(test_endless_extensions_and_trailers_are_cut_off),
      cmocka_unit_test(test_nothing_is_decoded_after_a_refusal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
