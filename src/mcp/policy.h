/* Rules (design section 5): may this caller do this operation at this service?
 * Pure; the rules are bound by src/config (struct config_rule).  Called by src/hub for requests,
 * by the list filter for every item of a list, and by `mcpauth explain`.
 *
 * In this order: the service's `require`; `method` lines; the lines of the operation's kind.  In
 * each list the first of the hub's lines that matches and the first of the service's own both
 * count, and the worse answer holds; where only one of them has a line that matches, it decides.  A
 * `method` line that allows does not skip the lines of the kind: what names a tool must pass the
 * tool's line too. Absence never grants: of a claim, of a line in a kind that has lines, of memory.
 */
#ifndef MCP_POLICY_H
#define MCP_POLICY_H

#include "auth/principal.h"
#include "mcp/operation.h"

/* Who asks.  WHO is NULL for callers without a credential: they may do what an `anonymous` line
 * opens and rules allow them, and `require scope` of the service is not asked of them. */
struct policy_caller {
  const struct principal *who;
  const json_t *claims; /* with /account; NULL for anonymous */
  const char *address;  /* numeric, or "unix" */
};

enum policy_verdict {
  POLICY_ALLOW = 1,
  POLICY_SCOPES,  /* only scopes are missing that she may hold: listed, 403 with a challenge */
  POLICY_SIGN_IN, /* no credential was shown, and one may help: 401 with a challenge */
  POLICY_DENY,    /* not listed, 403 without a challenge */
  POLICY_HIDE,    /* not listed, answered as an unknown item */
};

struct policy_decision {
  enum policy_verdict verdict;
  const struct config_rule *rule; /* that decided; NULL: no line matched, or the kind has none */
  const struct config_at *demand; /* the `require` of every request that decided; else NULL */
  const char *why;                /* a few static words, for the audit and explain */
  /* POLICY_SCOPES and POLICY_SIGN_IN: everything the operation needs, the service's own `require`
   * included; sorted by name */
  const struct config_scope **needs;
  size_t n_needs;
};

/* ARGUMENTS: raw bytes of params.arguments as a gate accepted them; .p NULL: there are none, and
 * `argument` conditions are not met.  What is returned lies in ARENA and in the configuration. */
void policy_decide(const struct config_service *s, const struct policy_caller *who,
                   const struct operation *op, struct str arguments, struct arena *a,
                   struct policy_decision *ret);
/* Whether an `anonymous` line opens the operation. */
bool policy_anonymous(const struct config_service *s, const struct operation *op);
/* Whether the tool, prompt or resource may be shown in a list of this caller: POLICY_ALLOW or, but
 * for `list granted`, POLICY_SCOPES of the method that uses it, with arguments of her choice. */
bool policy_listed(const struct config_service *s, const struct policy_caller *who,
                   enum rule_kind kind, struct str item, struct arena *a);
/* The same for a URI template: whether some URI that it may become could be read. */
bool policy_listed_template(const struct config_service *s, const struct policy_caller *who,
                            struct str uri_template, struct arena *a);
/* Whether the caller may hold SCOPE: it, or one that implies it, is declared `for` her.  Never for
 * callers without a credential. */
bool policy_entitled(const struct policy_caller *who, const struct config_scope *scope);
const char *policy_verdict_name(enum policy_verdict verdict);

#endif
