/* Rules: what a caller may do; see policy.h.  The service's demands, the method lines and the lines
 * of the operation's kind give an answer each, those of the hub and those of the service apart, and
 * the worst of them is the decision. */
#include "mcp/policy.h"

#include <stdlib.h>
#include <string.h>

#include "config/pattern.h"
#include "mcp/condition.h"
#include "util/cleanup.h"

/* From good to bad. */
enum answer {
  ANSWER_ALLOW = 1,
  ANSWER_SCOPES,
  ANSWER_UNMET,
  ANSWER_DENY,
  ANSWER_HIDE,
};

struct step {
  enum answer answer;
  const struct config_rule *rule;
  const char *why;
  const struct config_at *demand; /* the `require` of every request that is not met */
};

/* ---- one list of rules */

static struct step step_met(enum met met, const struct config_rule *rule)
{
  switch (met) {
  case MET:
    return (struct step){ANSWER_ALLOW, rule, "what it requires is met", NULL};
  case MET_BUT_SCOPES:
    return (struct step){ANSWER_SCOPES, rule, "a scope is missing", NULL};
  case MET_NOT:
    break;
  }
  return (struct step){ANSWER_UNMET, rule, "what it requires is not met", NULL};
}

static struct step step_rule(const struct world *w, const struct config_rule *r)
{
  switch (r->action) {
  case ACTION_ALLOW:
    return (struct step){ANSWER_ALLOW, r, "the line allows it", NULL};
  case ACTION_DENY:
    return (struct step){ANSWER_DENY, r, "the line denies it", NULL};
  case ACTION_HIDE:
    return (struct step){ANSWER_HIDE, r, "the line hides it", NULL};
  case ACTION_REQUIRE:
    return step_met(condition_met(w, &r->require), r);
  }
  return (struct step){ANSWER_DENY, r, "the line has no action", NULL};
}

static struct step worse(struct step a, struct step b)
{
  return b.answer > a.answer || (b.answer == a.answer && b.rule) ? b : a;
}

static const struct step no_line = {ANSWER_DENY, NULL, "no line matches", NULL};

/* The line of the hub and the service's own that decide; NULL: none of theirs matches. */
struct lines {
  const struct config_rule *hub, *own;
};

/* The service's own line makes the hub's answer worse, never better. */
static struct step step_lines(const struct world *w, struct lines lines)
{
  if (lines.hub == NULL)
    return lines.own ? step_rule(w, lines.own) : no_line;
  struct step hub = step_rule(w, lines.hub);
  return lines.own ? worse(hub, step_rule(w, lines.own)) : hub;
}

struct probe {
  enum rule_kind kind;
  struct str item;
  bool plain;
  struct pattern_probe key;
};

static const struct config_rule *first_match(const struct config_rules *rules, size_t from,
                                             size_t to, const struct probe *p)
{
  for (size_t i = from; i < to; i++)
    if (pattern_agrees(&rules->keys[i], &p->key) &&
        pattern_match(&rules->v[i].pattern, p->kind, p->item, p->plain))
      return &rules->v[i];
  return NULL;
}

static struct lines lines_about(const struct config_rules *rules, enum rule_kind kind,
                                struct str item)
{
  struct probe p = {kind, item, rules->n && pattern_plain(kind, item), pattern_probe_of(item)};
  return (struct lines){.hub = first_match(rules, 0, rules->n_hub, &p),
                        .own = first_match(rules, rules->n_hub, rules->n, &p)};
}

static struct step step_kind(const struct config_service *s, const struct world *w,
                             const struct operation *op)
{
  const struct config_rules *rules = &s->rules[op->kind];
  if (rules->n == 0)
    return (struct step){ANSWER_ALLOW, NULL, "no line is about this kind", NULL};
  return step_lines(w, lines_about(rules, op->kind, op->item));
}

/* ---- templates */

/* What one list says about the URIs of a template. */
struct reached {
  const struct config_rule *best; /* for the caller, of the lines that decide about some of them */
  bool rest;                      /* about some of them no line decides */
};

static struct reached lines_reached(const struct config_rules *rules, size_t from, size_t to,
                                    const struct world *w, struct str uri_template)
{
  struct reached ret = {.rest = true};
  enum answer answer = ANSWER_HIDE;
  size_t before = w->needs->n;
  for (size_t i = from; i < to && ret.rest; i++) {
    enum pattern_reach reach = pattern_reaches(&rules->v[i].pattern, uri_template);
    if (reach == REACH_NONE)
      continue;
    struct step step = step_rule(w, &rules->v[i]);
    w->needs->n = before;
    if (ret.best == NULL || step.answer < answer) {
      ret.best = &rules->v[i];
      answer = step.answer;
    }
    ret.rest = reach != REACH_ALL;
  }
  return ret;
}

/* The best that some URI of the template may get. */
static struct step step_template(const struct config_service *s, const struct world *w,
                                 struct str uri_template)
{
  const struct config_rules *rules = &s->rules[RULE_RESOURCE];
  if (rules->n == 0)
    return (struct step){ANSWER_ALLOW, NULL, "no line is about this kind", NULL};
  struct reached hub = lines_reached(rules, 0, rules->n_hub, w, uri_template);
  struct reached own = lines_reached(rules, rules->n_hub, rules->n, w, uri_template);
  if (hub.best == NULL || own.best == NULL || !(hub.rest || own.rest))
    return step_lines(w, (struct lines){hub.best, own.best});
  size_t before = w->needs->n;
  struct step of_hub = step_rule(w, hub.best), of_own = step_rule(w, own.best);
  w->needs->n = before;
  /* Where one is silent the other alone decides, which is never worse than both. */
  bool hub_alone = own.rest && (!hub.rest || of_hub.answer < of_own.answer);
  return step_rule(w, hub_alone ? hub.best : own.best);
}

static struct step step_method(const struct config_service *s, const struct world *w,
                               const struct operation *op)
{
  struct lines lines = lines_about(&s->rules[RULE_METHOD], RULE_METHOD, op->method);
  if (op->task && !s->tasks)
    return (struct step){ANSWER_DENY, NULL, "tasks are off at this service", NULL};
  if (lines.hub || lines.own)
    return step_lines(w, lines);
  if (!op->known)
    return (struct step){ANSWER_DENY, NULL, "MCP has no such method, and no line allows it", NULL};
  return (struct step){ANSWER_ALLOW, NULL, "no line is about this method", NULL};
}

/* `require` of the hub and the service.  Of callers without a credential it asks the address. */
static struct step step_service(const struct config_service *s, const struct world *w)
{
  struct world demands = *w;
  demands.arguments = (struct str){NULL, 0};
  demands.any_arguments = false;
  demands.only_address = w->who->who == NULL;
  enum met met = demands.only_address ? MET : condition_scopes(w, s->require, s->n_require);
  if (met == MET_NOT)
    return (struct step){ANSWER_UNMET, NULL, "a scope is missing that this caller may not hold",
                         NULL};
  for (size_t i = 0; i < s->n_conditions; i++) {
    enum met one = condition_met(&demands, &s->conditions[i]);
    met = one < met ? one : met;
    if (met == MET_NOT)
      return (struct step){ANSWER_UNMET, NULL, "what every request must meet is not met",
                           &s->conditions[i].at};
  }
  return step_met(met, NULL);
}

/* ---- all of them */

struct question {
  const struct config_service *service;
  const struct policy_caller *who;
  struct operation op;
  bool is_template;
  struct str arguments;
  bool any_arguments;
};

static struct step ask(const struct question *q, struct needs *needs)
{
  struct world w = {
      .who = q->who, .arguments = q->arguments, .any_arguments = q->any_arguments, .needs = needs};
  struct step step = step_service(q->service, &w);
  step = worse(step, step_method(q->service, &w, &q->op));
  if (q->is_template)
    step = worse(step, step_template(q->service, &w, q->op.item));
  else if (q->op.kind != RULE_METHOD)
    step = worse(step, step_kind(q->service, &w, &q->op));
  if (needs->failed)
    step = (struct step){ANSWER_DENY, step.rule, "out of memory", NULL};
  return step;
}

static enum policy_verdict verdict_of(enum answer answer, bool anonymous)
{
  switch (answer) {
  case ANSWER_ALLOW:
    return POLICY_ALLOW;
  case ANSWER_SCOPES:
    return anonymous ? POLICY_SIGN_IN : POLICY_SCOPES;
  case ANSWER_UNMET:
    return anonymous ? POLICY_SIGN_IN : POLICY_DENY;
  case ANSWER_DENY:
    return POLICY_DENY;
  case ANSWER_HIDE:
    return POLICY_HIDE;
  }
  return POLICY_DENY;
}

static int by_name(const void *pa, const void *pb)
{
  const struct config_scope *const *a = pa, *const *b = pb;
  return strcmp((*a)->name, (*b)->name);
}

/* Sorted, each once. */
static void tell_needs(const struct needs *needs, struct policy_decision *ret)
{
  size_t kept = 0;
  if (needs->n == 0)
    return;
  qsort(needs->v, needs->n, sizeof *needs->v, by_name);
  for (size_t i = 0; i < needs->n; i++)
    if (kept == 0 || needs->v[kept - 1] != needs->v[i])
      needs->v[kept++] = needs->v[i];
  ret->needs = needs->v;
  ret->n_needs = kept;
}

/* Whether the operation is about a template, which completion may name instead of a URI. */
static bool about_template(const struct operation *op)
{
  return op->kind == RULE_RESOURCE && str_is(op->method, "completion/complete") &&
         str_chr(op->item, '{') < op->item.n;
}

void policy_decide(const struct config_service *s, const struct policy_caller *who,
                   const struct operation *op, struct str arguments, struct arena *a,
                   struct policy_decision *ret)
{
  struct needs needs = {.arena = a};
  bool anonymous = who->who == NULL;
  *ret = (struct policy_decision){.verdict = POLICY_SIGN_IN, .why = "it is not open to everybody"};
  if (anonymous && !policy_anonymous(s, op))
    return;
  struct step step = ask(&(struct question){.service = s,
                                            .who = who,
                                            .op = *op,
                                            .is_template = about_template(op),
                                            .arguments = arguments},
                         &needs);
  ret->verdict = verdict_of(step.answer, anonymous);
  ret->rule = step.rule;
  ret->why = step.why;
  ret->demand = step.demand;
  if (ret->verdict == POLICY_SCOPES || ret->verdict == POLICY_SIGN_IN)
    tell_needs(&needs, ret);
}

bool policy_anonymous(const struct config_service *s, const struct operation *op)
{
  return s->anonymous || (op->method.n && config_words_have_str(&s->anonymous_methods, op->method));
}

/* ---- lists */

/* What uses an item that a list shows. */
static struct str user_of(enum rule_kind kind)
{
  switch (kind) {
  case RULE_TOOL:
    return STR("tools/call");
  case RULE_RESOURCE:
    return STR("resources/read");
  case RULE_PROMPT:
    return STR("prompts/get");
  case RULE_METHOD:
    break;
  }
  return STR("");
}

static bool listed(const struct config_service *s, const struct policy_caller *who,
                   enum rule_kind kind, struct str item, bool is_template, struct arena *a)
{
  struct needs needs = {.arena = a};
  struct question q = {.service = s,
                       .who = who,
                       .op = {.method = user_of(kind), .known = true, .kind = kind, .item = item},
                       .is_template = is_template,
                       .any_arguments = true};
  bool granted = who->who || policy_anonymous(s, &q.op);
  enum answer answer = ask(&q, &needs).answer;
  return s->list_granted ? granted && answer == ANSWER_ALLOW : answer <= ANSWER_SCOPES;
}

bool policy_listed(const struct config_service *s, const struct policy_caller *who,
                   enum rule_kind kind, struct str item, struct arena *a)
{
  return listed(s, who, kind, item, false, a);
}

bool policy_listed_template(const struct config_service *s, const struct policy_caller *who,
                            struct str uri_template, struct arena *a)
{
  return listed(s, who, RULE_RESOURCE, uri_template, true, a);
}

/* ---- scopes */

bool policy_entitled(const struct policy_caller *who, const struct config_scope *scope)
{
  struct needs none = {.failed = false}; /* `for` has no scopes */
  const struct world w = {.who = who, .needs = &none};
  for (size_t i = 0; who->who && i < scope->n_satisfied_by; i++) {
    const struct config_condition *entitled = scope->satisfied_by[i]->entitled;
    if (entitled == NULL || condition_met(&w, entitled) == MET)
      return true;
  }
  return false;
}

const char *policy_verdict_name(enum policy_verdict verdict)
{
  static const char *const names[] = {
      [POLICY_ALLOW] = "allow", [POLICY_SCOPES] = "scopes", [POLICY_SIGN_IN] = "sign in",
      [POLICY_DENY] = "deny",   [POLICY_HIDE] = "hide",
  };
  return (size_t)verdict < ARRAY_SIZE(names) ? names[verdict] : NULL;
}
