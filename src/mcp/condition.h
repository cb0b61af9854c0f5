/* Whether a caller meets the conditions of a rule.  Pure; called by policy.c alone.
 *
 * A leaf is met when what it looks at is there, of the right type, and as it says; `not` is in the
 * leaves (struct config_condition), so a leaf about something absent is never met. */
#ifndef MCP_CONDITION_H
#define MCP_CONDITION_H

#include "mcp/policy.h"

/* Scopes that an operation needs, in the order of the rules; may hold one twice. */
struct needs {
  struct arena *arena;
  const struct config_scope **v;
  size_t n, room;
  bool failed; /* out of memory: nothing may be allowed */
};

enum met {
  MET_NOT = 0,
  MET_BUT_SCOPES, /* only scopes are missing that the caller may hold */
  MET,
};

struct world {
  const struct policy_caller *who;
  struct str arguments; /* raw JSON; .p NULL: none */
  bool any_arguments;   /* lists: `argument` leaves are met by some arguments */
  bool only_address;    /* what `require` asks of callers without a credential */
  struct needs *needs;
};

/* The scopes that it took, held or not, are added to the needs unless it is not met. */
enum met condition_met(const struct world *w, const struct config_condition *c);
/* SCOPES, all of them. */
enum met condition_scopes(const struct world *w, const struct config_scope *const *scopes,
                          size_t n);

#endif
