/* The words of stacks and rules, with their names, in one table each.  Used by the parser, the
 * evaluators, log, audit and tests. */
#ifndef CONFIG_VOCABULARY_H
#define CONFIG_VOCABULARY_H

#include <mcpauth/provider.h>

#include "util/str.h"

enum control {
  CONTROL_REQUIRED = 1,
  CONTROL_REQUISITE,
  CONTROL_SUFFICIENT,
  CONTROL_OPTIONAL,
};

/* What the lines of rules are about. */
enum rule_kind {
  RULE_TOOL = 1,
  RULE_RESOURCE,
  RULE_PROMPT,
  RULE_METHOD,
};

enum rule_action {
  ACTION_ALLOW = 1,
  ACTION_DENY,
  ACTION_HIDE,
  ACTION_REQUIRE,
};

/* NULL for a value that is not in the table. */
const char *control_name(enum control control);
const char *result_name(enum mcpauth_result result);
const char *rule_kind_name(enum rule_kind kind);
/* false when WORD is none. */
bool control_parse(struct str word, enum control *ret);
bool result_parse(struct str word, enum mcpauth_result *ret);
bool rule_kind_parse(struct str word, enum rule_kind *ret);
bool rule_action_parse(struct str word, enum rule_action *ret);

/* Whether a schema of MCP, 2025-03-26 to 2026-07-28, has a request or notification of clients with
 * this name. */
bool method_known(struct str name);
/* The known method that WORD may have meant, or NULL. */
const char *method_nearest(struct str word);

#endif
