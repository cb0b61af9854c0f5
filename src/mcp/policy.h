/* Rules (design section 5, issue of rules): may this caller do this operation at this service?
 * Pure; the rules are bound by src/config (struct config_rule).  Called by src/hub for requests,
 * by the list filter for every item of a list, and by `mcpauth explain`.
 *
 * Hub rules come before the service's own; a hub deny is final.  Absence never grants. */
#ifndef MCP_POLICY_H
#define MCP_POLICY_H

#include "auth/principal.h"
#include "mcp/operation.h"

/* Who asks.  WHO is NULL for anonymous callers: then only what `anonymous` lines open is open. */
struct policy_caller {
  const struct principal *who;
  const json_t *claims; /* with /account; NULL for anonymous */
  const char *address;
  const struct config *config;
};

enum policy_verdict {
  POLICY_ALLOW = 1,
  POLICY_SCOPES, /* only scopes are missing that she may hold: listed, 403 with a challenge */
  POLICY_DENY,   /* not listed, 403 without a challenge */
  POLICY_HIDE,   /* not listed, answered as an unknown item */
};

struct policy_decision {
  enum policy_verdict verdict;
  const struct config_rule *rule; /* that decided; NULL: no line matched, or the kind has none */
  /* POLICY_SCOPES: everything the operation needs, the service's own `require` included; sorted */
  const struct config_scope **needs;
  size_t n_needs;
};

/* ARGUMENTS: raw bytes of params.arguments; .p NULL in lists, where `argument` conditions count as
 * unknown and the item is listed when some arguments could be allowed.  Scratch in ARENA. */
void policy_decide(const struct config_service *s, const struct policy_caller *who,
                   const struct operation *op, struct str arguments, struct arena *a,
                   struct policy_decision *ret);
/* Whether an `anonymous` line opens the operation. */
bool policy_anonymous(const struct config_service *s, const struct operation *op);
/* Whether the item may be shown in a list of this caller. */
bool policy_listed(const struct config_service *s, const struct policy_caller *who,
                   enum rule_kind kind, struct str item, struct arena *a);

#endif
