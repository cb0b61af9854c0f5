/* The words of stacks: controls and results, with their names, in one table each.  Used by the
 * parser, the evaluator, log, audit and tests. */
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

/* NULL for a value that is not in the table. */
const char *control_name(enum control control);
const char *result_name(enum mcpauth_result result);
/* false when WORD is none. */
bool control_parse(struct str word, enum control *ret);
bool result_parse(struct str word, enum mcpauth_result *ret);

#endif
