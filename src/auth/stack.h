/* The stack evaluator: a pure function of (controls, results); design section 6 has the table and
 * the three verdicts.  The product's heart: keep it on one screen. */
#ifndef AUTH_STACK_H
#define AUTH_STACK_H

#include "config/vocabulary.h"

enum verdict { VERDICT_DENY = 0, VERDICT_UNAVAILABLE, VERDICT_GRANT };
const char *verdict_name(enum verdict v);

/* Fed line by line, so that a line is run only if the stack gets to it. */
struct stack_state {
  unsigned lines;
  bool grantor;       /* a non-optional OK */
  bool identity_ok;   /* .. or would be one, were every UNAVAIL an OK */
  bool refused;       /* a required or requisite line failed */
  bool undecided;     /* a required or requisite line was UNAVAIL */
  bool error, denied; /* ERROR (sticky), DENY (final) */
  bool invalid;       /* some line said INVALID (for the answer, not the verdict) */
  bool stopped, stopped_undecided;
};

void stack_init(struct stack_state *s);
/* Takes the result of the next line; true when the stack is decided and no further line may run.
 * Values that are no result count as ERROR. */
bool stack_step(struct stack_state *s, enum control control, enum mcpauth_result result);
enum verdict stack_verdict(const struct stack_state *s);

#endif
