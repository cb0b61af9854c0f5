/* Steps 6 and 7 of a request's way: the body is there; what does it ask for, and may this caller
 * ask for it?  Works on the body alone, whole (row 53); the bytes that are forwarded are the ones
 * that were judged.  Called by request.c. */
#include "hub/hub.h"

#include <string.h>

#include "ops/metrics.h"
#include "ops/shm.h"

/* ---- what is asked */

/* Callers who were not asked for a credential yet are nobody: their refusals may only be counted.
 */
static void record_no(struct exchange *x, int status, const char *why)
{
  if (x->grant)
    record_refusal(x, status, why);
  else
    record_refused(x, NULL, status, why);
}

static void refuse_malformed(struct exchange *x, int status, int code, const char *what)
{
  record_no(x, status, what);
  refuse_rpc(x, status, code, what, NULL);
}

bool understand(struct exchange *x)
{
  struct gate_fault bad;
  struct operation_fault wrong;
  bool post = str_is(x->rq->method, "POST");
  if (post && gate_read(buf_view(&x->rq->body), x->rq->arena, &x->gate, &bad) < 0) {
    x->gate = (struct gate){.kind = 0};
    refuse_malformed(x, 400, bad.code, bad.what);
    return false;
  }
  if (operation_of(x->rq, post ? &x->gate : NULL, &x->op, &wrong) < 0) {
    refuse_malformed(x, wrong.status, wrong.code, wrong.what);
    return false;
  }
  x->understood = true;
  return true;
}

/* ---- rules */

static bool needed(const struct policy_decision *all, const struct config_scope *scope)
{
  for (size_t i = 0; i < all->n_needs; i++)
    if (all->needs[i] == scope)
      return true;
  return false;
}

/* Adds what one part needs to what the whole does, each once: there may be thousands of parts. */
static void add_needs(struct exchange *x, const struct policy_decision *part)
{
  struct policy_decision *all = &x->decision;
  for (size_t i = 0; i < part->n_needs; i++) {
    if (needed(all, part->needs[i]))
      continue;
    const struct config_scope **v = arena_array(x->rq->arena, all->n_needs + 1, sizeof *v);
    if (v == NULL)
      return;
    if (all->n_needs)
      memcpy(v, all->needs, all->n_needs * sizeof *v);
    v[all->n_needs++] = part->needs[i];
    all->needs = v;
  }
}

/* The worst of all parts decides; verdicts go from good to bad. */
static void take_part(struct exchange *x, const struct operation *part,
                      const struct policy_decision *d)
{
  if (x->decision.verdict == 0 || d->verdict > x->decision.verdict) {
    const struct policy_decision before = x->decision;
    x->decision = *d;
    x->decision.needs = before.needs;
    x->decision.n_needs = before.n_needs;
    x->item = part->item.n ? arena_str(x->rq->arena, part->item) : part->item;
  }
  add_needs(x, d);
}

struct policy_caller caller_of(const struct exchange *x, const struct grant *g)
{
  return (struct policy_caller){.who = g ? grant_principal(g) : NULL,
                                .claims = g ? grant_claims(g) : NULL,
                                .address = x->client};
}

/* ALLOW only when every part of the operation is allowed.  The memory of a part is used again for
 * the next. */
static void ask_rules(struct exchange *x, const struct grant *g)
{
  struct policy_caller who = caller_of(x, g);
  struct str cursor = {NULL, 0};
  struct operation part;
  struct policy_decision d;
  struct arena *a;
  int more = -1;
  x->decision = (struct policy_decision){.why = "out of memory"};
  while ((a = hub_scratch(x->hub)) && (more = operation_each(&x->op, &cursor, a, &part)) > 0) {
    bool whole = part.kind == x->op.kind && str_eq(part.item, x->op.item);
    policy_decide(x->service->config, &who, &part,
                  whole ? x->gate.arguments : (struct str){NULL, 0}, a, &d);
    take_part(x, &part, &d);
  }
  if (a == NULL || more < 0)
    x->decision = (struct policy_decision){.verdict = POLICY_DENY, .why = "out of memory"};
}

/* A method that is not served here, as a server of the era says it. */
static void refuse_method(struct exchange *x)
{
  if (x->op.era == ERA_MODERN)
    refuse_rpc(x, 404, -32601, "Method not found", NULL);
  else
    refuse(x, 403, "access_denied", "This method is not served here.");
}

/* Hidden items: what servers of the era say about items that they do not have. */
static void refuse_unknown(struct exchange *x)
{
  CLEANUP(buf_done) struct buf b;
  bool resource = x->op.kind == RULE_RESOURCE || !str_eq(x->item, x->op.item);
  const char *what = x->op.kind == RULE_PROMPT ? "Unknown prompt: " : "Unknown tool: ";
  buf_init(&b, 8 * LIMIT_ITEM);
  if (x->gate.kind == GATE_NOTIFICATION) { /* nobody waits for an answer */
    http_respond(x->rq, 202, NULL, 0, STR(""));
    return;
  }
  if (resource) {
    buf_puts(&b, "{\"uri\":");
    buf_json(&b, x->item);
    buf_putc(&b, '}');
    refuse_rpc(x, 200, x->op.era == ERA_MODERN ? -32602 : -32002, "Resource not found",
               b.failed ? NULL : b.p);
    return;
  }
  buf_puts(&b, x->op.kind == RULE_METHOD ? "Unknown method: " : what);
  buf_str(&b, x->op.kind == RULE_METHOD ? x->op.method : x->item);
  refuse_rpc(x, 200, -32602, b.failed ? what : b.p, NULL);
}

static int status_of(const struct exchange *x)
{
  bool unknown = x->decision.rule == NULL && (!x->op.known || x->op.task);
  switch (x->decision.verdict) {
  case POLICY_SIGN_IN:
    return 401;
  case POLICY_HIDE:
    return x->gate.kind == GATE_NOTIFICATION ? 202 : 200;
  case POLICY_DENY:
    return unknown && x->op.era == ERA_MODERN ? 404 : 403;
  case POLICY_ALLOW:
  case POLICY_SCOPES:
    break;
  }
  return 403;
}

static void refuse_by_rule(struct exchange *x)
{
  switch (x->decision.verdict) {
  case POLICY_SCOPES:
    refuse_scope(x);
    return;
  case POLICY_SIGN_IN:
    refuse_unauthorized(x, false, MCPAUTH_WHY_NONE);
    return;
  case POLICY_HIDE:
    refuse_unknown(x);
    return;
  case POLICY_ALLOW:
  case POLICY_DENY:
    break;
  }
  if (x->decision.rule == NULL && (!x->op.known || x->op.task))
    refuse_method(x);
  else
    refuse(x, 403, "access_denied", "This caller may not do this here.");
}

static bool permitted(struct exchange *x)
{
  ask_rules(x, x->grant);
  if (x->decision.verdict == POLICY_ALLOW)
    return true;
  metric_add(x->decision.verdict == POLICY_SCOPES ? METRIC_SCOPE_REFUSED : METRIC_RULE_REFUSED, 1);
  record_no(x, status_of(x), x->decision.verdict == POLICY_SCOPES ? "scope" : x->decision.why);
  refuse_by_rule(x);
  return false;
}

bool still_allowed(struct exchange *x, const struct grant *g)
{
  ask_rules(x, g);
  return x->decision.verdict == POLICY_ALLOW;
}

/* ---- sessions and tasks */

static bool own_session(struct exchange *x)
{
  if (session_open(x))
    return true;
  record_no(x, 404, "session");
  refuse(x, 404, "not_found", "There is no such session at this service.");
  return false;
}

/* The list of an upstream's tasks is that of everybody behind the hub. */
static bool own_task(struct exchange *x)
{
  if (!x->op.task || task_owned(x))
    return true;
  bool list = x->op.task_id.p == NULL && x->op.task_ids.p == NULL;
  record_no(x, list ? 403 : 200, "task");
  if (list)
    refuse_method(x);
  else
    refuse_rpc(x, 200, -32602, "Task not found", NULL);
  return false;
}

void decide(struct exchange *x)
{
  if (permitted(x) && own_session(x) && own_task(x) && limit_open(x))
    record_and_forward(x);
}
