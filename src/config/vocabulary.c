/* Names of controls, results, rules and methods; see vocabulary.h. */
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

static const char *const kinds[] = {
    [RULE_TOOL] = "tool",
    [RULE_RESOURCE] = "resource",
    [RULE_PROMPT] = "prompt",
    [RULE_METHOD] = "method",
};

static const char *const actions[] = {
    [ACTION_ALLOW] = "allow",
    [ACTION_DENY] = "deny",
    [ACTION_HIDE] = "hide",
    [ACTION_REQUIRE] = "require",
};

/* What clients send.  Server's requests and notifications are not among them. */
static const char *const methods[] = {
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tools/call",
    "tools/list",
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

const char *rule_kind_name(enum rule_kind kind)
{
  return name(kinds, ARRAY_SIZE(kinds), (size_t)kind);
}

bool rule_kind_parse(struct str word, enum rule_kind *ret)
{
  size_t i = parse(kinds, ARRAY_SIZE(kinds), word);
  if (i)
    *ret = (enum rule_kind)i;
  return i != 0;
}

bool rule_action_parse(struct str word, enum rule_action *ret)
{
  size_t i = parse(actions, ARRAY_SIZE(actions), word);
  if (i)
    *ret = (enum rule_action)i;
  return i != 0;
}

bool method_known(struct str name)
{
  for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
    if (str_is(name, methods[i]))
      return true;
  return false;
}

const char *method_nearest(struct str word)
{
  return str_nearest(word, methods, ARRAY_SIZE(methods));
}
