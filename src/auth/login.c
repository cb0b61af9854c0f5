/* Runs the login callbacks of a provider and judges what they answer; see login.h.  The call itself
 * (deadline, waiting, misuse) is call.c's, as for a line of a stack.  Called by src/oauth. */
#include "auth/login.h"

#include <string.h>

#include "auth/call.h"
#include "ops/metrics.h"

struct login_run {
  struct arena *arena;
  struct mcpauth_request *call;
  login_done_fn *done;
  void *arg;
};

bool login_capable(const struct config_provider *p)
{
  return config_logs_in(p);
}

/* login.h promises these and no other. */
static enum mcpauth_result allowed(enum mcpauth_result r)
{
  switch (r) {
  case MCPAUTH_OK:
  case MCPAUTH_INVALID:
  case MCPAUTH_DENY:
  case MCPAUTH_UNAVAIL:
    return r;
  case MCPAUTH_PASS:
  case MCPAUTH_IGNORE:
  case MCPAUTH_ERROR:
  case MCPAUTH_PENDING:
    break;
  }
  return MCPAUTH_ERROR;
}

static void take_tokens(const struct call_said *said, struct login_outcome *o)
{
  if (said == NULL || !said->has_tokens)
    return;
  o->has_tokens = true;
  o->tokens = (struct login_tokens){str_of(said->access_token), str_of(said->refresh_token),
                                    said->access_expires_at, str_of(said->extra)};
}

static void deliver(struct login_run *r, const struct call_answer *a)
{
  struct login_outcome o = {.result = allowed(a->result), .reason = ""};
  if (o.result == MCPAUTH_ERROR || o.result == MCPAUTH_UNAVAIL)
    metric_add(METRIC_PROVIDER_ERRORS, 1);
  if (o.result == MCPAUTH_OK) {
    o.who = a->principal;
    o.redirect = a->said ? a->said->redirect : NULL;
  }
  take_tokens(a->said, &o);
  const char *reason = arena_dup(r->arena, str_of(a->reason));
  if (reason)
    o.reason = reason;
  r->done(r->arg, &o);
}

static void answered(void *arg, struct call_answer *a)
{
  deliver(arg, a);
}

static void no_memory(login_done_fn *done, void *arg)
{
  struct login_outcome o = {.result = MCPAUTH_ERROR, .reason = "out of memory"};
  done(arg, &o);
}

static struct login_run *start(struct auth *a, const struct login_request *rq,
                               const struct call_spec *like, login_done_fn *done, void *arg)
{
  struct login_run *r = arena_new_of(rq->arena, struct login_run);
  if (r == NULL) {
    no_memory(done, arg);
    return NULL;
  }
  *r = (struct login_run){rq->arena, NULL, done, arg};
  struct call_spec spec = *like;
  struct call_answer answer;
  spec.instance = &auth_host(a)->instances[rq->provider->index];
  spec.facts = &rq->facts;
  spec.login = &rq->login;
  spec.done = answered;
  spec.arg = r;
  metric_add(METRIC_PROVIDER_CALLS, 1);
  r->call = call_start(&spec, &answer);
  if (r->call)
    return r;
  deliver(r, &answer);
  call_answer_done(&answer);
  return NULL;
}

struct login_run *login_begin(struct auth *a, const struct login_request *rq, login_done_fn *done,
                              void *arg)
{
  struct call_spec spec = {.kind = CALL_LOGIN_BEGIN};
  return start(a, rq, &spec, done, arg);
}

struct login_run *login_finish(struct auth *a, const struct login_request *rq, login_done_fn *done,
                               void *arg)
{
  struct call_spec spec = {.kind = CALL_LOGIN_FINISH};
  return start(a, rq, &spec, done, arg);
}

/* "" is how login.h says that there is none. */
static const char *text(struct arena *arena, struct str s, bool *failed)
{
  const char *copy = s.n ? arena_dup(arena, s) : NULL;
  *failed = *failed || (s.n && copy == NULL);
  return copy;
}

struct login_run *login_refresh(struct auth *a, const struct login_request *rq,
                                const struct login_tokens *tokens, login_done_fn *done, void *arg)
{
  bool failed = false;
  struct mcpauth_tokens t = {
      .access_token = text(rq->arena, tokens->access_token, &failed),
      .refresh_token = text(rq->arena, tokens->refresh_token, &failed),
      .access_expires_at = tokens->access_expires_at,
      .extra = text(rq->arena, tokens->extra, &failed),
  };
  struct call_spec spec = {.kind = CALL_REFRESH,
                           .tokens = &t,
                           .who = rq->who,
                           .known = rq->who ? rq->who->claims : NULL};
  if (!failed)
    return start(a, rq, &spec, done, arg);
  no_memory(done, arg);
  return NULL;
}

void login_cancel(struct login_run *r)
{
  if (r)
    call_cancel(r->call);
}
