/* Runs the stack of a service for one request; see authenticate.h.  The evaluator (stack.c)
 * decides, this file feeds it: which lines may be called, one principal only, the account lines
 * after a grant, the trace, the status.  The only place where a struct grant is made. */
#include "auth/authenticate.h"

#include <stdlib.h>
#include <string.h>

#include "auth/hub_token.h"
#include "auth/identify.h"
#include "ops/metrics.h"
#include "ops/shm.h"
#include "util/cleanup.h"
#include "util/clock.h"

struct auth {
  struct host host;
  struct identify *identify;
  struct hub_tokens hub_tokens;
};

struct grant {
  struct principal *principal;
  json_t *claims;
};

struct auth_run {
  struct auth *auth;
  struct auth_request rq;
  auth_done_fn *done;
  void *arg;

  struct stack_state stack;
  size_t next;       /* line of the part that is at work */
  bool account;      /* the second part */
  bool stopped;      /* no further line of this part */
  bool remote_taken; /* a line that sends the credential away has claimed it */
  bool has_digest;
  struct identify_line at_work;
  int64_t since_us;

  bool ours; /* the credential is a token of the hub: the host has judged it */
  struct hub_token_answer hub;
  struct hub_token_run *hub_at_work;

  struct principal *first;     /* of any OK: whoever comes later must be the same */
  struct principal *principal; /* of the first OK that is not optional */
  int64_t expires_at;          /* earliest of all OKs; 0: never */
  json_t *claims;              /* with what account lines added; NULL until then */
  struct trace_line *trace;
  size_t n_trace;
};

/* ---- grants */

struct principal *grant_principal(const struct grant *g)
{
  return g->principal;
}

json_t *grant_claims(const struct grant *g)
{
  return g->claims;
}

void grant_free(struct grant *g)
{
  if (g == NULL)
    return;
  principal_unref(g->principal);
  json_decref(g->claims);
  free(g);
}

/* NULL when memory is short. */
static struct grant *make_grant(struct auth_run *r)
{
  struct grant *g = calloc(1, sizeof *g);
  if (g == NULL)
    return NULL;
  g->principal = r->expires_at == r->principal->expires_at
                     ? principal_ref(r->principal)
                     : principal_until(r->principal, r->expires_at);
  g->claims = json_incref(r->claims ? r->claims : r->principal->claims);
  if (g->principal == NULL) {
    grant_free(g);
    return NULL;
  }
  return g;
}

/* ---- the outcome */

/* The first line of the trace that answered RESULT. */
static const struct trace_line *first_with(const struct auth_run *r, enum mcpauth_result result)
{
  for (size_t i = 0; i < r->n_trace; i++)
    if (r->trace[i].result == result)
      return &r->trace[i];
  return NULL;
}

static const struct trace_line *granting_line(const struct auth_run *r)
{
  for (size_t i = 0; i < r->n_trace; i++)
    if (r->trace[i].result == MCPAUTH_OK && r->trace[i].line->control != CONTROL_OPTIONAL)
      return &r->trace[i];
  return NULL;
}

/* Design 7: ERROR before DENY before UNAVAILABLE before 401. */
static struct auth_outcome refusal_of_stack(const struct auth_run *r)
{
  struct auth_outcome o = {.verdict = stack_verdict(&r->stack), .status = 401};
  if ((o.decided = first_with(r, MCPAUTH_ERROR)))
    o.status = 500;
  else if ((o.decided = first_with(r, MCPAUTH_DENY)))
    o.status = 403;
  else if (o.verdict == VERDICT_UNAVAILABLE) {
    o.decided = first_with(r, MCPAUTH_UNAVAIL);
    o.status = 503;
  } else
    o.decided = first_with(r, MCPAUTH_INVALID);
  return o;
}

static int account_status(enum mcpauth_result result)
{
  switch (result) {
  case MCPAUTH_DENY:
    return 403;
  case MCPAUTH_INVALID:
    return 401;
  case MCPAUTH_UNAVAIL:
    return 503;
  case MCPAUTH_OK:
  case MCPAUTH_PASS:
  case MCPAUTH_IGNORE:
  case MCPAUTH_ERROR:
  case MCPAUTH_PENDING:
    break;
  }
  return 500;
}

static struct auth_outcome refusal_of_account(const struct auth_run *r)
{
  const struct trace_line *t = &r->trace[r->n_trace - 1];
  return (struct auth_outcome){
      .verdict = t->result == MCPAUTH_UNAVAIL ? VERDICT_UNAVAILABLE : VERDICT_DENY,
      .status = account_status(t->result),
      .decided = t,
  };
}

static void drop(struct auth_run *r)
{
  principal_unref(r->first);
  principal_unref(r->principal);
  principal_unref(r->hub.who);
  json_decref(r->claims);
}

/* DONE may free the request, and R with it. */
static void conclude(struct auth_run *r, struct auth_outcome o)
{
  o.trace = r->trace;
  o.n_trace = r->n_trace;
  if (o.decided)
    o.why = o.decided->why;
  struct principal *who = r->principal ? r->principal : r->first;
  if (who)
    principal_ref(who);
  o.who = who;
  drop(r);
  r->done(r->arg, &o);
  principal_unref(who);
}

static void conclude_grant(struct auth_run *r)
{
  struct auth_outcome o = {.verdict = VERDICT_DENY, .status = 500};
  o.grant = make_grant(r);
  if (o.grant) {
    o.verdict = VERDICT_GRANT;
    o.status = 200;
    o.decided = granting_line(r);
  }
  conclude(r, o);
}

/* ---- the result of a line */

static struct trace_line *trace_add(struct auth_run *r, const struct config_line *line)
{
  struct trace_line *t = &r->trace[r->n_trace++];
  *t = (struct trace_line){.line = line, .account = r->account, .reason = ""};
  return t;
}

static void shorten(struct auth_run *r, int64_t expires_at)
{
  if (expires_at && (r->expires_at == 0 || expires_at < r->expires_at))
    r->expires_at = expires_at;
}

/* An OK: the same person as before, or an ERROR. */
static enum mcpauth_result take_principal(struct auth_run *r, const struct config_line *line,
                                          struct principal *p)
{
  if (r->first && !principal_same(r->first, p))
    return MCPAUTH_ERROR;
  if (r->first == NULL)
    r->first = principal_ref(p);
  if (r->principal == NULL && line->control != CONTROL_OPTIONAL)
    r->principal = principal_ref(p);
  shorten(r, p->expires_at);
  return MCPAUTH_OK;
}

static void take_auth(struct auth_run *r, struct trace_line *t, struct principal *p)
{
  if (t->result == MCPAUTH_OK && take_principal(r, t->line, p) != MCPAUTH_OK) {
    t->result = MCPAUTH_ERROR;
    t->reason = "another principal than that of an earlier line";
  }
  r->stopped = stack_step(&r->stack, t->line->control, t->result);
}

/* A shallow copy; json_copy does not notice when memory runs out half-way. */
static json_t *copy_claims(const json_t *claims)
{
  json_t *copy = json_copy((json_t *)(uintptr_t)claims);
  if (copy && json_object_size(copy) == json_object_size(claims))
    return copy;
  json_decref(copy);
  return NULL;
}

/* Puts what an account line said under /account/INSTANCE; the principal's own claims are shared. */
static int add_claims(struct auth_run *r, const char *instance, json_t *added)
{
  if (r->claims == NULL) {
    r->claims = copy_claims(r->principal->claims);
    if (r->claims == NULL || json_object_set_new(r->claims, "account", json_object()) < 0)
      return -1;
  }
  return json_object_set(json_object_get(r->claims, "account"), instance, added);
}

static void take_account(struct auth_run *r, struct trace_line *t, json_t *added)
{
  if (t->result == MCPAUTH_PASS && added && add_claims(r, t->line->provider->name, added) < 0) {
    t->result = MCPAUTH_ERROR;
    t->reason = "out of memory";
  }
  r->stopped = t->result != MCPAUTH_PASS;
}

static void count_failure(enum mcpauth_result result)
{
  if (result == MCPAUTH_ERROR || result == MCPAUTH_UNAVAIL)
    metric_add(METRIC_PROVIDER_ERRORS, 1);
}

static void take_answer(struct auth_run *r, const struct config_line *line, struct call_answer *a)
{
  struct trace_line *t = trace_add(r, line);
  t->ran = true;
  t->result = a->result;
  t->why = a->why;
  t->us = clock_mono_us() - r->since_us;
  if (a->reason[0]) {
    const char *copy = arena_dup(r->rq.arena, str_of(a->reason));
    t->reason = copy ? copy : "";
  }
  count_failure(a->result);
  if (r->account)
    take_account(r, t, a->claims);
  else
    take_auth(r, t, a->principal);
}

static void take_cached(struct auth_run *r, const struct config_line *line, struct principal *p)
{
  struct trace_line *t = trace_add(r, line);
  t->ran = t->cached = true;
  t->result = MCPAUTH_OK;
  take_auth(r, t, p);
}

static void take_ignore(struct auth_run *r, const struct config_line *line, const char *reason)
{
  struct trace_line *t = trace_add(r, line);
  t->result = MCPAUTH_IGNORE;
  t->reason = reason;
  take_auth(r, t, NULL);
}

/* ---- lines */

static int digest(struct auth_run *r)
{
  if (r->has_digest)
    return 0;
  if (r->rq.digest)
    memcpy(r->at_work.key.digest, r->rq.digest, SHA256_SIZE);
  else if (sha256(str_of_bytes(r->rq.credential->value), r->at_work.key.digest) < 0)
    return -1;
  r->has_digest = true;
  return 0;
}

static void line_answered(struct identify_line *l, struct call_answer *a);

/* Prepares the place of the line at work; what is not set stays from line to line (the digest). */
static struct identify_line *prepare(struct auth_run *r, const struct config_line *line)
{
  struct identify_line *l = &r->at_work;
  const struct config_provider *p = line->provider;
  l->instance = &r->auth->host.instances[p->index];
  l->account = r->account;
  l->credential = r->account ? NULL : r->rq.credential;
  l->facts = &r->rq.facts;
  l->done = line_answered;
  l->who = r->account ? r->principal : NULL;
  l->known = r->account ? (r->claims ? r->claims : r->principal->claims) : NULL;
  l->key.service = r->rq.service->index;
  l->key.provider = p->index;
  l->keyed =
      l->credential && !(p->table->flags & MCPAUTH_GUARD) && l->instance->reuses && digest(r) == 0;
  return l;
}

/* Why the provider of LINE is not asked, or NULL.  A line with a cached identity has claimed the
 * credential before: `claims` is pure. */
static const char *unasked(struct auth_run *r, const struct config_line *line,
                           const struct identify_line *l, bool known)
{
  const struct mcpauth_provider *table = line->provider->table;
  const struct mcpauth_credential *c = r->rq.credential;
  if (c == NULL)
    return table->flags & (MCPAUTH_GUARD | MCPAUTH_BARE) ? NULL
                                                         : "the request carries no credential";
  if (table->verify == NULL && table->login_begin)
    return "its users come with tokens of the hub";
  if (!known && table->claims && !table->claims(line->provider->config, l->instance->state, c))
    return "does not claim this credential";
  if (!(table->flags & MCPAUTH_REMOTE))
    return NULL;
  if (r->remote_taken)
    return "an earlier line claimed this credential";
  r->remote_taken = true;
  return NULL;
}

/* false: the answer will come from the loop. */
static bool ask(struct auth_run *r, const struct config_line *line, struct identify_line *l)
{
  struct call_answer a;
  r->since_us = clock_mono_us();
  if (!identify_start(r->auth->identify, l, &a))
    return false;
  take_answer(r, line, &a);
  call_answer_done(&a);
  return true;
}

/* ---- tokens of the hub */

static void take_hub_answer(struct auth_run *r, const struct config_line *line)
{
  struct trace_line *t = trace_add(r, line);
  t->ran = true;
  t->result = r->hub.result;
  t->why = r->hub.why;
  t->reason = r->hub.reason;
  count_failure(t->result);
  take_auth(r, t, r->hub.who);
}

/* The line that the token names has the host's answer; when that is not known, every line that says
 * who somebody is.  Guards look at the request without a credential. */
static bool hub_line(struct auth_run *r, const struct config_line *line)
{
  if (line->provider->table->flags & MCPAUTH_GUARD) {
    struct identify_line *l = prepare(r, line);
    l->credential = NULL;
    l->keyed = false;
    return ask(r, line, l);
  }
  if (r->hub.provider == NULL || r->hub.provider == line->provider)
    take_hub_answer(r, line);
  else
    take_ignore(r, line, "a token of the hub, for another line");
  return true;
}

static bool auth_line(struct auth_run *r, const struct config_line *line)
{
  if (r->ours)
    return hub_line(r, line);
  struct identify_line *l = prepare(r, line);
  struct principal *known = identify_cached(r->auth->identify, l);
  const char *why_not = unasked(r, line, l, known != NULL);
  if (why_not)
    take_ignore(r, line, why_not);
  else if (known)
    take_cached(r, line, known);
  else
    return ask(r, line, l);
  return true;
}

static bool account_line(struct auth_run *r, const struct config_line *line)
{
  return ask(r, line, prepare(r, line));
}

static const struct config_line *current(const struct auth_run *r)
{
  const struct config_stack *s = &r->rq.service->stack;
  return r->account ? &s->account[r->next] : &s->auth[r->next];
}

/* Every line up to the first that must wait.  true: concluded, and R may be gone. */
static bool advance(struct auth_run *r)
{
  const struct config_stack *s = &r->rq.service->stack;
  for (; !r->account && r->next < s->n_auth && !r->stopped; r->next++)
    if (!auth_line(r, current(r)))
      return false;
  if (!r->account) {
    if (stack_verdict(&r->stack) != VERDICT_GRANT || r->principal == NULL) {
      conclude(r, refusal_of_stack(r));
      return true;
    }
    r->account = true;
    r->stopped = false;
    r->next = 0;
  }
  for (; r->next < s->n_account && !r->stopped; r->next++)
    if (!account_line(r, current(r)))
      return false;
  if (r->stopped)
    conclude(r, refusal_of_account(r));
  else
    conclude_grant(r);
  return true;
}

static void line_answered(struct identify_line *l, struct call_answer *a)
{
  struct auth_run *r = container_of(l, struct auth_run, at_work);
  take_answer(r, current(r), a);
  r->next++;
  advance(r);
}

/* ---- the hub's own tokens, before the stack */

static bool is_ours(const struct auth_run *r)
{
  const struct mcpauth_credential *c = r->rq.credential;
  return c && c->source != MCPAUTH_FROM_BASIC &&
         hub_token_is(&r->auth->hub_tokens, str_of_bytes(c->value));
}

static struct cache_key hub_key(const struct auth_run *r)
{
  struct cache_key key = r->at_work.key;
  key.service = r->rq.service->index;
  key.provider = IDENTITY_HUB;
  return key;
}

static void hub_answered(void *arg, const struct hub_token_answer *a)
{
  struct auth_run *r = arg;
  struct hub_token_run *waited = r->hub_at_work;
  r->hub_at_work = NULL;
  r->hub = *a;
  if (a->who) {
    struct cache_key key = hub_key(r);
    principal_ref(a->who);
    identify_keep(r->auth->identify, &key, a->who, r->at_work.revocations);
  }
  if (waited)
    advance(r);
}

/* false: the answer will come from the loop. */
static bool judge_ours(struct auth_run *r)
{
  r->ours = true;
  if (digest(r) < 0) {
    r->hub = (struct hub_token_answer){.result = MCPAUTH_ERROR, .reason = "no SHA-256"};
    return true;
  }
  struct cache_key key = hub_key(r);
  struct principal *known = identify_known(r->auth->identify, &key);
  if (known) {
    r->hub = (struct hub_token_answer){.result = MCPAUTH_OK,
                                       .reason = "",
                                       .provider = known->provider,
                                       .who = principal_ref(known)};
    return true;
  }
  metric_add(METRIC_CACHE_MISSES, 1);
  r->hub_at_work = hub_token_verify(&r->auth->hub_tokens, r->rq.service,
                                    str_of_bytes(r->rq.credential->value), hub_answered, r);
  return r->hub_at_work == NULL;
}

/* ---- the request */

static void no_memory(auth_done_fn *done, void *arg)
{
  struct auth_outcome o = {.verdict = VERDICT_DENY, .status = 500};
  done(arg, &o);
}

/* No fact is NULL for whoever looks at it. */
static void complete(struct mcpauth_facts *f)
{
  const char **all[] = {&f->request_id, &f->service, &f->resource, &f->address, &f->method};
  for (size_t i = 0; i < ARRAY_SIZE(all); i++)
    if (*all[i] == NULL)
      *all[i] = "";
}

struct auth_run *auth_start(struct auth *a, const struct auth_request *rq, auth_done_fn *done,
                            void *arg)
{
  const struct config_stack *s = &rq->service->stack;
  struct auth_run *r = arena_new_of(rq->arena, struct auth_run);
  struct trace_line *trace =
      arena_array(rq->arena, s->n_auth + s->n_account + 1, sizeof(struct trace_line));
  if (r == NULL || trace == NULL) {
    no_memory(done, arg);
    return NULL;
  }
  r->auth = a;
  r->rq = *rq;
  complete(&r->rq.facts);
  r->done = done;
  r->arg = arg;
  r->trace = trace;
  r->at_work.revocations = identify_revocations(a->identify);
  stack_init(&r->stack);
  if (is_ours(r) && !judge_ours(r))
    return r;
  return advance(r) ? NULL : r;
}

bool auth_knows(struct auth *a, const struct auth_request *rq)
{
  const struct config_stack *s = &rq->service->stack;
  struct auth_run r = {.auth = a, .rq = *rq};
  if (rq->credential == NULL)
    return false;
  for (size_t i = 0; i < s->n_auth; i++)
    if (identify_cached(a->identify, prepare(&r, &s->auth[i])))
      return true;
  return false;
}

void auth_cancel(struct auth_run *r)
{
  if (r == NULL)
    return;
  identify_cancel(&r->at_work);
  hub_token_cancel(r->hub_at_work);
  drop(r);
}

struct host *auth_host(struct auth *a)
{
  return &a->host;
}

/* ---- the worker's */

struct auth *auth_new(const struct auth_options *o, struct err *e)
{
  struct auth *a = calloc(1, sizeof *a);
  if (a == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  a->hub_tokens = (struct hub_tokens){o->config, o->keys, o->store};
  if (host_start(&a->host, o, e) < 0) {
    auth_free(a);
    return NULL;
  }
  a->identify = identify_new(&a->host);
  if (a->identify == NULL) {
    err_set(e, "out of memory");
    auth_free(a);
    return NULL;
  }
  return a;
}

void auth_free(struct auth *a)
{
  if (a == NULL)
    return;
  host_stop(&a->host);
  identify_free(a->identify);
  if (a->host.abandoned == 0) /* else a job thread is still at work in there */
    free(a);
}

uint64_t auth_files(const struct auth *a)
{
  uint64_t sum = 0;
  for (size_t i = 0; i < a->host.n; i++)
    sum += a->host.instances[i].files;
  return sum;
}
