/* Named lints about the lines of rules at one service, and the sentences of `check -v` about them.
 * Called by bind_service.c once stacks are bound.  What is about the hub's own lines is the same at
 * every service, and is looked at with the first. */
#include <string.h>

#include "config/bind_service.h"
#include "config/pattern.h"
#include "util/cleanup.h"

static bool of_hub(const struct config_rules *rules, size_t at)
{
  return at < rules->n_hub;
}

/* ---- lines that never decide */

/* Whether the line at FIRST leaves nothing to that at AT, where it matches all that this one does:
 * it is one of the same list, or one of the hub whose answer a service cannot make worse. */
static bool shadows(const struct config_rules *rules, size_t first, size_t at)
{
  enum rule_action hub = rules->v[first].action, own = rules->v[at].action;
  return of_hub(rules, first) == of_hub(rules, at) || hub == ACTION_HIDE ||
         (hub == ACTION_DENY && own != ACTION_HIDE);
}

static void lint_unreachable(struct binder *b, const struct config_rules *rules, size_t at)
{
  const struct config_rule *r = &rules->v[at];
  for (size_t i = 0; i < at; i++) {
    const struct config_rule *first = &rules->v[i];
    if (!shadows(rules, i, at) || !pattern_covers(&first->pattern, r->kind, &r->pattern))
      continue;
    lint_warning(b, "unreachable-rule", r->at,
                 "this line never decides: '%s' at %s:%u:%u matches all that it matches",
                 first->pattern.text.p, first->at.file, first->at.line, first->at.column);
    return;
  }
}

static bool in_stack(const struct config_service *s, const struct config_words *providers)
{
  for (size_t i = 0; i < s->stack.n_auth; i++)
    if (config_words_have(providers, s->stack.auth[i].provider->name))
      return true;
  return false;
}

/* Whether C, which must be met, can be. */
static void lint_condition(struct binder *b, const struct config_service *s,
                           const struct config_condition *c)
{
  if (c->kind == CONDITION_PROVIDER && !c->negated && c->words.n && !in_stack(s, &c->words))
    lint_warning(b, "never-matching-rule", c->at,
                 "this is never met: the stack of service '%s' does not have the provider '%s'",
                 s->name, c->words.v[0]);
  for (size_t i = 0; c->kind == CONDITION_ALL && i < c->n; i++)
    lint_condition(b, s, &c->v[i]);
}

/* ---- lines that say too much, or nothing */

/* What a pattern says beside its stars and the scheme of its URIs. */
static size_t weight(const struct config_rule *r)
{
  struct str text = r->pattern.text;
  size_t colon = r->kind == RULE_RESOURCE ? str_chr(text, ':') : text.n, n = 0;
  for (size_t i = colon < text.n ? colon + 1 : 0; i < text.n; i++)
    n += text.p[i] != '*' && text.p[i] != '/';
  return n;
}

static void lint_broad(struct binder *b, const struct config_rule *r)
{
  if (r->action == ACTION_ALLOW && r->pattern.glob && weight(r) < 3)
    lint_warning(b, "broad-allow", r->at,
                 "'%s' opens every %s that the server has now and will have later to every granted "
                 "caller",
                 r->pattern.text.p, rule_kind_name(r->kind));
}

/* Whether a later line of its list says something else about what the line at AT matches. */
static bool is_exception(const struct config_rules *rules, size_t at)
{
  for (size_t i = at + 1; i < rules->n; i++)
    if (of_hub(rules, i) == of_hub(rules, at) &&
        pattern_covers(&rules->v[i].pattern, RULE_METHOD, &rules->v[at].pattern))
      return true;
  return false;
}

static void lint_method(struct binder *b, const struct config_rules *rules, size_t at)
{
  const struct config_rule *r = &rules->v[at];
  struct str name = r->pattern.text;
  const char *near = method_nearest(name);
  bool opens = r->action == ACTION_ALLOW || r->action == ACTION_REQUIRE;
  if (r->pattern.glob)
    return;
  if (!method_known(name) && !opens)
    lint_warning(b, "unknown-method", r->at,
                 "MCP has no method '%s', and what it does not have is refused without this line",
                 name.p);
  else if (!method_known(name) && near)
    lint_warning(b, "unknown-method", r->at, "MCP has no method '%s'; did you mean '%s'?", name.p,
                 near);
  else if (method_known(name) && r->action == ACTION_ALLOW && !is_exception(rules, at))
    lint_warning(b, "needless-rule", r->at,
                 "'%s' is open to granted callers without this line, and the lines of tools, "
                 "resources and prompts hold with it",
                 name.p);
}

void lint_rules(struct binder *b, const struct config_service *s)
{
  b->more_risks = &b->hub_risks;
  for (enum rule_kind kind = RULE_TOOL; kind <= RULE_METHOD; kind++) {
    const struct config_rules *rules = &s->rules[kind];
    for (size_t i = s->index > 0 ? rules->n_hub : 0; i < rules->n; i++) {
      lint_unreachable(b, rules, i);
      lint_broad(b, &rules->v[i]);
      if (kind == RULE_METHOD)
        lint_method(b, rules, i);
      if (!of_hub(rules, i))
        lint_condition(b, s, &rules->v[i].require);
    }
  }
  b->more_risks = NULL;
}
