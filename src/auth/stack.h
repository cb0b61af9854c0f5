/* The stack evaluator: a pure function of (controls, results); design section 6 and mcpauth.d(5)
 * have the table and the three verdicts.  The product's heart: keep it on one screen. */
#ifndef AUTH_STACK_H
#define AUTH_STACK_H

#include "config/vocabulary.h"

enum verdict { VERDICT_DENY = 0, VERDICT_UNAVAILABLE, VERDICT_GRANT };
const char *verdict_name(enum verdict v); /* "DENY", "UNAVAILABLE", "GRANT" */

/* One reading of the results so far. */
struct stack_reading {
  bool grantor; /* a non-optional OK */
  bool failed;  /* a required or requisite line was neither OK nor PASS */
  bool decided; /* a sufficient OK ended it, nothing before it having failed */
};

/* Fed line by line, so that a line is run only if the stack gets to it.  The same lines are read
 * twice: as they answered, and as they would stand had every UNAVAIL been an OK.  A stack that
 * grants only in the second reading is UNAVAILABLE: a caller whose own provider is down is never
 * told that her token is bad because a later line did not know it. */
struct stack_state {
  struct stack_reading actual, hopeful;
  bool refused; /* DENY or ERROR: no in either reading */
};

void stack_init(struct stack_state *s);
/* Takes the result of the next line; true when no further line may run.  Every value that is no
 * result counts as ERROR, a control that is none as a line that can only fail. */
bool stack_step(struct stack_state *s, enum control control, enum mcpauth_result result);
enum verdict stack_verdict(const struct stack_state *s);

#endif
