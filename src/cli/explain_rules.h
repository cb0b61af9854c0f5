/* mcpauth explain --tool NAME ...: the operation that is asked about, made as a client would send
 * it and read as the hub reads it, and what the rules say to it.  Called by explain.c. */
#ifndef CLI_EXPLAIN_RULES_H
#define CLI_EXPLAIN_RULES_H

#include "mcp/policy.h"

struct explain_question {
  const char *tool, *resource, *prompt, *method; /* NULL: not given */
  const char *const *arguments;                  /* POINTER=JSON */
  size_t n_arguments;
};

bool explain_asks(const struct explain_question *q);
/* OP and ARGUMENTS, in ARENA.  -1 with E. */
int explain_operation(const struct explain_question *q, struct arena *a, struct operation *ret_op,
                      struct str *ret_arguments, struct err *e);
/* The decision, with the `require` of every request when that decided. */
void explain_demand(const struct policy_decision *d);
/* The operation, the line that decided, and whether lists show the item. */
void explain_decision(const struct config_service *s, const struct policy_caller *who,
                      const struct operation *op, const struct policy_decision *d, struct arena *a);

#endif
