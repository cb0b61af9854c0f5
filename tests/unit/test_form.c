/* Replies of token endpoints in form encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "auth/form.h"
#include "util/cleanup.h"
#include "util/limits.h"

static void expect(const char *body, const char *json)
{
  json_t *j = form_parse(str_of(body));
  char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
  if (json)
    assert_string_equal(text ? text : "NULL", json);
  else
    assert_null(text);
  free(text);
  json_decref(j);
}

static void good_forms_become_objects(void **state)
{
  (void)state;
  expect("", "{}");
  expect("access_token=gho_1&scope=a%2Cb&token_type=bearer",
         "{\"access_token\":\"gho_1\",\"scope\":\"a,b\",\"token_type\":\"bearer\"}");
  expect("a=b+c%20d&e=&f", "{\"a\":\"b c d\",\"e\":\"\",\"f\":\"\"}");
  expect("a=b=c", "{\"a\":\"b=c\"}");
  expect("a=caf%c3%A9", "{\"a\":\"café\"}");
}

static void malformed_forms_are_refused(void **state)
{
  (void)state;
  static const char *const bad[] = {"a=%",      "a=%4",     "a=%4g",     "a=%g4", "a=%00",
                                    "=b",       "a=1&a=2",  "a=1&%61=2", "a=%ff", "&",
                                    "a=1&&b=2", "a=%c3%28", "%=1"};
  for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
    expect(bad[i], NULL);
}

static void what_is_too_long_is_refused(void **state)
{
  (void)state;
  static char longest[LIMIT_LOGIN_TOKEN + 8];
  memset(longest, 'x', sizeof longest);
  memcpy(longest, "a=", 2);
  longest[2 + LIMIT_LOGIN_TOKEN] = 0;
  json_t *j = form_parse(str_of(longest));
  assert_int_equal(json_string_length(json_object_get(j, "a")), LIMIT_LOGIN_TOKEN);
  json_decref(j);
  longest[2 + LIMIT_LOGIN_TOKEN] = 'x';
  longest[3 + LIMIT_LOGIN_TOKEN] = 0;
  expect(longest, NULL);
  memset(longest, 'x', 128);
  longest[128] = 0;
  expect(longest, NULL);
}

static void a_nul_between_refuses(void **state)
{
  (void)state;
  assert_null(form_parse((struct str){"a=b\0c", 5}));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_forms_become_objects),
      cmocka_unit_test(malformed_forms_are_refused),
      cmocka_unit_test(what_is_too_long_is_refused),
      cmocka_unit_test(a_nul_between_refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
