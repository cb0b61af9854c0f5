/* Names of controls and results; see vocabulary.h. */
#include "config/vocabulary.h"

#include "util/cleanup.h"

static const char *const controls[] = {
    [CONTROL_REQUIRED] = "required",
    [CONTROL_REQUISITE] = "requisite",
    [CONTROL_SUFFICIENT] = "sufficient",
    [CONTROL_OPTIONAL] = "optional",
};

static const char *const results[] = {
    [MCPAUTH_OK] = "OK",           [MCPAUTH_PASS] = "PASS", [MCPAUTH_IGNORE] = "IGNORE",
    [MCPAUTH_INVALID] = "INVALID", [MCPAUTH_DENY] = "DENY", [MCPAUTH_UNAVAIL] = "UNAVAIL",
    [MCPAUTH_ERROR] = "ERROR",
};

static const char *name(const char *const *table, size_t n, size_t i)
{
  return i < n ? table[i] : NULL;
}

static size_t parse(const char *const *table, size_t n, struct str word)
{
  for (size_t i = 1; i < n; i++)
    if (str_is(word, table[i]))
      return i;
  return 0;
}

const char *control_name(enum control control)
{
  return name(controls, ARRAY_SIZE(controls), (size_t)control);
}

const char *result_name(enum mcpauth_result result)
{
  return name(results, ARRAY_SIZE(results), (size_t)result);
}

bool control_parse(struct str word, enum control *ret)
{
  size_t i = parse(controls, ARRAY_SIZE(controls), word);
  if (i)
    *ret = (enum control)i;
  return i != 0;
}

bool result_parse(struct str word, enum mcpauth_result *ret)
{
  size_t i = parse(results, ARRAY_SIZE(results), word);
  if (i)
    *ret = (enum mcpauth_result)i;
  return i != 0;
}
