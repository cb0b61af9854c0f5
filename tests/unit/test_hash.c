/* SipHash-2-4 against the vectors of its paper, and the separation of parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "util/hash.h"

/* Key 00 01 … 0f; the message is the first N of 00 01 02 …: appendix A of the paper has N = 15, the
 * authors' vectors the others. */
static const struct hash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static uint64_t of_length(size_t n)
{
  char message[16];
  for (size_t i = 0; i < sizeof message; i++)
    message[i] = (char)i;
  return hash_parts(&key, &(struct str){message, n}, 1);
}

static void test_the_published_vectors(void **state)
{
  (void)state;
  assert_true(of_length(15) == UINT64_C(0xa129ca6149be45e5));
  assert_true(of_length(0) == UINT64_C(0x726fdb47dd0e0e31));
  assert_true(of_length(1) == UINT64_C(0x74f839c593dc67fd));
  assert_true(of_length(8) == UINT64_C(0x93f5f5799a932462));
}

static void test_parts_do_not_run_into_each_other(void **state)
{
  (void)state;
  struct str a[] = {STR("ab"), STR("c")}, b[] = {STR("a"), STR("bc")}, c[] = {STR("abc"), STR("")};
  assert_true(hash_parts(&key, a, 2) != hash_parts(&key, b, 2));
  assert_true(hash_parts(&key, a, 2) != hash_parts(&key, c, 2));
}

/* row 162 */
static void test_another_key_is_another_hash(void **state)
{
  (void)state;
  struct hash_key one, two;
  struct str text = STR("ada");
  assert_int_equal(hash_key_new(&one), 0);
  assert_int_equal(hash_key_new(&two), 0);
  assert_true(hash_parts(&one, &text, 1) != hash_parts(&two, &text, 1));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_published_vectors),
      cmocka_unit_test(test_parts_do_not_run_into_each_other),
      cmocka_unit_test(test_another_key_is_another_hash),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
