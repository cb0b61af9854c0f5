/* Rules and conditions while they are bound.  Private to src/config. */
#ifndef CONFIG_BIND_RULES_H
#define CONFIG_BIND_RULES_H

#include "config/binder.h"

/* What the rows of rules have in common, in hub, service and policy blocks. */
#define RULE_FORM          "PATTERN allow | deny | hide | require CONDITION"
#define RULE_HELP_TOOL     "who may call the tools of this name"
#define RULE_HELP_RESOURCE "who may read the resources of this URI"
#define RULE_HELP_PROMPT   "who may get the prompts of this name"
#define RULE_HELP_METHOD   "who may use the methods of this name"
#define RULE_HELP_POLICY   "the lines of the policy block of this name, at this place"

/* TARGET is struct rule_source. */
void custom_rule(struct binder *b, const struct statement *s, void *target);
/* Reads what rows have collected, in the order of the file, and writes it. */
void rules_bind(struct binder *b, struct rule_source *source, struct rule_list *ret);
/* Fills V->rules: the hub's lines, then its OWN. */
void rules_of_service(struct binder *b, struct config_service *v, const struct rule_list *own);
/* The hub's demands in front of the service's. */
void demands_add(struct binder *b, struct demands *to, const struct demands *more);
/* Lints about a service's rules, once its stack is bound. */
void lint_rules(struct binder *b, const struct config_service *s);

#endif
