/* The Bearer challenge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/challenge.h"

static const char *const two[] = {"notes:read", "notes:write"};

static void expect(const struct challenge *c, const char *text)
{
  struct buf out;
  buf_init(&out, 4096);
  assert_int_equal(challenge_format(&out, c), 0);
  assert_string_equal(out.p, text);
  buf_done(&out);
}

static void test_without_parameters_it_is_the_scheme_alone(void **state)
{
  (void)state;
  expect(&(struct challenge){0}, "Bearer");
}

static void test_parameters_come_in_one_order_quoted_and_separated_by_commas(void **state)
{
  (void)state;
  expect(&(struct challenge){.error = "invalid_token",
                             .scopes = two,
                             .n_scopes = 2,
                             .resource_metadata = "https://h/.well-known/x"},
         "Bearer error=\"invalid_token\", scope=\"notes:read notes:write\", "
         "resource_metadata=\"https://h/.well-known/x\"");
  expect(&(struct challenge){.scopes = two, .n_scopes = 1}, "Bearer scope=\"notes:read\"");
  expect(&(struct challenge){.resource_metadata = "https://h/"},
         "Bearer resource_metadata=\"https://h/\"");
}

static void test_a_value_that_would_need_quoting_is_left_out_whole(void **state)
{
  (void)state;
  static const char *const bad[] = {"a\"b", "a\\b", "a\r\nX: y", "a\x7f", "\xc3\xa9", "a b", ""};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    const char *const scopes[] = {"fine", bad[i]};
    expect(
        &(struct challenge){
            .error = bad[i], .scopes = scopes, .n_scopes = 2, .resource_metadata = bad[i]},
        "Bearer");
  }
}

static void test_a_full_buffer_is_an_error(void **state)
{
  (void)state;
  struct buf out;
  buf_init(&out, 10);
  assert_int_equal(challenge_format(&out, &(struct challenge){.error = "invalid_token"}), -1);
  buf_done(&out);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_parameters_it_is_the_scheme_alone),
      cmocka_unit_test(test_parameters_come_in_one_order_quoted_and_separated_by_commas),
      cmocka_unit_test(test_a_value_that_would_need_quoting_is_left_out_whole),
      cmocka_unit_test(test_a_full_buffer_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
