/* The life of one call: start, settle, deadline, cancel.  A callback's return value is the answer;
 * PENDING is allowed only while exactly one request to the host is outstanding.  See call.h. */
#include "auth/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

const struct mcpauth_facts *call_facts(const struct mcpauth_request *rq)
{
  return &rq->facts;
}

/* ---- what a login callback says */

static void wipe(char *s)
{
  if (s)
    explicit_bzero(s, strlen(s));
  free(s);
}

static void call_said_free(struct call_said *s)
{
  if (s == NULL)
    return;
  wipe(s->redirect);
  wipe(s->access_token);
  wipe(s->refresh_token);
  wipe(s->extra);
  free(s);
}

struct call_said *call_say(struct mcpauth_request *rq)
{
  if (rq->said == NULL)
    rq->said = calloc(1, sizeof *rq->said);
  return rq->said;
}

static void take_said(struct mcpauth_request *rq, struct call_answer *a)
{
  a->said = rq->said;
  rq->said = NULL;
}

/* ---- */

void call_answer_done(struct call_answer *a)
{
  principal_unref(a->principal);
  json_decref(a->claims);
  call_said_free(a->said);
  a->principal = NULL;
  a->claims = NULL;
  a->said = NULL;
}

enum mcpauth_result call_misuse(struct mcpauth_request *rq, const char *format, ...)
{
  if (rq->misuse[0])
    return MCPAUTH_ERROR;
  va_list ap;
  va_start(ap, format);
  vsnprintf(rq->misuse, sizeof rq->misuse, format, ap);
  va_end(ap);
  if (rq->misuse[0] == 0)
    memcpy(rq->misuse, "misuse", sizeof "misuse");
  return MCPAUTH_ERROR;
}

int64_t call_left_ms(const struct mcpauth_request *rq)
{
  int64_t left = rq->deadline_ms - clock_mono_ms();
  return left > 0 ? left : 1;
}

void call_unref(struct mcpauth_request *rq)
{
  if (--rq->refs > 0)
    return;
  principal_unref(rq->principal);
  json_decref(rq->claims);
  call_said_free(rq->said);
  arena_free(rq->arena);
}

/* ---- the answer */

static void say(struct call_answer *a, enum mcpauth_result result, const char *reason)
{
  a->result = result;
  a->why = MCPAUTH_WHY_NONE;
  snprintf(a->reason, sizeof a->reason, "%s", reason);
}

/* Why OK cannot stand, or NULL. */
static const char *fault_of_ok(const struct mcpauth_request *rq)
{
  static const char nobody[] = "OK without a principal";
  switch (rq->spec.kind) {
  case CALL_ACCOUNT:
    return "an account line cannot answer OK";
  case CALL_VERIFY:
    if (rq->spec.instance->provider->table->flags & MCPAUTH_GUARD)
      return "a guard cannot answer OK";
    return rq->principal ? NULL : nobody;
  case CALL_LOGIN_BEGIN:
    return rq->said && rq->said->redirect ? NULL : "OK without login_redirect";
  case CALL_LOGIN_FINISH:
    return rq->principal ? NULL : nobody;
  case CALL_REFRESH:
    if (rq->principal == NULL)
      return rq->spec.who == NULL ? nobody : rq->claims ? "claims without a principal" : NULL;
    if (rq->spec.who && !principal_same(rq->principal, rq->spec.who))
      return "refresh named another person";
    return NULL;
  }
  return "a call of no kind";
}

static bool is_login(enum call_kind kind)
{
  return kind != CALL_VERIFY && kind != CALL_ACCOUNT;
}

/* Why RESULT cannot stand, or NULL. */
static const char *fault_of(const struct mcpauth_request *rq, enum mcpauth_result result)
{
  if (rq->misuse[0])
    return rq->misuse;
  if (result == MCPAUTH_OK)
    return fault_of_ok(rq);
  if (is_login(rq->spec.kind) && (result == MCPAUTH_PASS || result == MCPAUTH_IGNORE))
    return "PASS and IGNORE are no answers to a login";
  return NULL;
}

static void take_claims(struct mcpauth_request *rq, struct call_answer *a)
{
  if (rq->spec.kind == CALL_ACCOUNT) {
    a->claims = rq->claims;
    rq->claims = NULL;
    return;
  }
  if (rq->principal == NULL) { /* the refresh changed nothing; a login that begins names nobody */
    a->principal = rq->spec.who ? principal_ref(rq->spec.who) : NULL;
    return;
  }
  a->principal = rq->principal;
  rq->principal = NULL;
  if (rq->claims) {
    json_decref(a->principal->claims);
    a->principal->claims = rq->claims;
    rq->claims = NULL;
  }
}

static enum mcpauth_why known_why(enum mcpauth_why why)
{
  switch (why) {
  case MCPAUTH_WHY_NONE:
  case MCPAUTH_WHY_EXPIRED:
  case MCPAUTH_WHY_NOT_YET_VALID:
  case MCPAUTH_WHY_WRONG_AUDIENCE:
  case MCPAUTH_WHY_NOT_ACCEPTED:
    return why;
  }
  return MCPAUTH_WHY_NOT_ACCEPTED;
}

static void count_use(const struct mcpauth_request *rq)
{
  const struct mcpauth_instance *i = rq->spec.instance;
  if (rq->used && i->host->usage)
    usage_count(i->host->usage, i->provider->name, rq->used, rq->facts.address, clock_wall());
}

static bool expired(const struct principal *p)
{
  return p->expires_at && p->expires_at <= clock_wall();
}

static void judge(struct mcpauth_request *rq, enum mcpauth_result result, struct call_answer *a)
{
  *a = (struct call_answer){.looked = rq->looked};
  count_use(rq);
  const char *fault = fault_of(rq, result);
  take_said(rq, a);
  if (fault) {
    say(a, MCPAUTH_ERROR, fault);
    return;
  }
  if (result == MCPAUTH_OK && rq->principal && expired(rq->principal)) {
    say(a, MCPAUTH_INVALID, "OK for a principal that has expired");
    a->why = MCPAUTH_WHY_EXPIRED;
    return;
  }
  say(a, result, rq->reason);
  switch (result) {
  case MCPAUTH_OK:
    a->reason[0] = 0;
    take_claims(rq, a);
    return;
  case MCPAUTH_PASS:
    a->reason[0] = 0;
    if (rq->spec.kind == CALL_ACCOUNT)
      take_claims(rq, a);
    return;
  case MCPAUTH_IGNORE:
  case MCPAUTH_INVALID:
  case MCPAUTH_DENY:
  case MCPAUTH_UNAVAIL:
  case MCPAUTH_ERROR:
    a->why = known_why(rq->why);
    return;
  case MCPAUTH_PENDING:
    break;
  }
  say(a, MCPAUTH_ERROR, "");
  snprintf(a->reason, sizeof a->reason, "answered %d, which is no result", (int)result);
}

/* Ends the call but for a job that still runs. */
static void leave(struct mcpauth_request *rq)
{
  rq->over = true;
  loop_timer_stop(rq->spec.instance->host->options.loop, &rq->deadline);
  if (rq->wait != WAIT_NOTHING)
    wait_cancel(rq);
  call_unref(rq);
}

/* Whether RESULT leaves the call waiting for the one thing that it asked for. */
static bool pending(struct mcpauth_request *rq, enum mcpauth_result result)
{
  bool waits = rq->wait != WAIT_NOTHING;
  if (rq->in_thread) /* nothing of it may be looked at */
    return true;
  if (result == MCPAUTH_PENDING && waits && rq->misuse[0] == 0)
    return true;
  if (result == MCPAUTH_PENDING && !waits)
    call_misuse(rq, "PENDING without a request to the host");
  else if (waits)
    call_misuse(rq, "answered while a request to the host was outstanding");
  return false;
}

void call_resume(struct mcpauth_request *rq, enum mcpauth_result result)
{
  if (pending(rq, result))
    return;
  struct call_answer a;
  call_done_fn *done = rq->spec.done;
  void *arg = rq->spec.arg;
  judge(rq, result, &a);
  leave(rq);
  done(arg, &a);
  call_answer_done(&a);
}

/* Nothing of RQ that its job thread may own is looked at. */
static void too_late(struct timer *t)
{
  struct mcpauth_request *rq = container_of(t, struct mcpauth_request, deadline);
  struct call_answer a = {.result = MCPAUTH_UNAVAIL};
  call_done_fn *done = rq->spec.done;
  void *arg = rq->spec.arg;
  snprintf(a.reason, sizeof a.reason, "timed out after %lld ms",
           (long long)rq->spec.instance->provider->deadline_ms);
  if (!rq->in_thread)
    take_said(rq, &a); /* a refresh token that has been used is of no use again */
  leave(rq);
  done(arg, &a);
  call_answer_done(&a);
}

void call_cancel(struct mcpauth_request *rq)
{
  leave(rq);
}

/* ---- start */

static const char *copy_text(struct mcpauth_request *rq, const char *s, bool *failed)
{
  const char *copy = arena_dup(rq->arena, str_of(s));
  *failed |= copy == NULL;
  return copy;
}

static const struct mcpauth_certificate *
copy_certificate(struct mcpauth_request *rq, const struct mcpauth_certificate *c, bool *failed)
{
  struct mcpauth_certificate *copy = arena_new_of(rq->arena, struct mcpauth_certificate);
  const char **names = arena_array(rq->arena, c->names.n + 1, sizeof *names);
  if (copy == NULL || names == NULL) {
    *failed = true;
    return NULL;
  }
  for (size_t i = 0; i < c->names.n; i++)
    names[i] = copy_text(rq, c->names.v[i], failed);
  *copy = (struct mcpauth_certificate){
      .subject = copy_text(rq, c->subject, failed),
      .issuer = copy_text(rq, c->issuer, failed),
      .sha256 = copy_text(rq, c->sha256, failed),
      .thumbprint = copy_text(rq, c->thumbprint, failed),
      .names = {c->names.n, names},
      .expires_at = c->expires_at,
  };
  return copy;
}

/* The provider gets copies: a shared evaluation may outlive the request that began it. */
static int copy_facts(struct mcpauth_request *rq)
{
  const struct mcpauth_facts *f = rq->spec.facts;
  const struct mcpauth_credential *c = rq->spec.credential;
  bool failed = false;
  rq->facts = (struct mcpauth_facts){
      .request_id = copy_text(rq, f->request_id, &failed),
      .service = copy_text(rq, f->service, &failed),
      .resource = copy_text(rq, f->resource, &failed),
      .address = copy_text(rq, f->address, &failed),
      .method = copy_text(rq, f->method, &failed),
      .tls = f->tls,
      .certificate = f->certificate ? copy_certificate(rq, f->certificate, &failed) : NULL,
  };
  if (c) {
    struct str value = arena_str(rq->arena, str_of_bytes(c->value));
    failed |= value.p == NULL;
    rq->credential = (struct mcpauth_credential){
        .source = c->source, .name = copy_text(rq, c->name, &failed), .value = {value.p, value.n}};
    rq->spec.credential = &rq->credential;
  }
  return failed ? -1 : 0;
}

/* NULL stays NULL. */
static const char *copy_maybe(struct mcpauth_request *rq, const char *s, bool *failed)
{
  return s ? copy_text(rq, s, failed) : NULL;
}

static int copy_parameters(struct mcpauth_request *rq, const struct mcpauth_list *from,
                           bool *failed)
{
  const char **v = from->n ? arena_array(rq->arena, from->n, sizeof *v) : NULL;
  if (from->n && v == NULL)
    return -1;
  for (size_t i = 0; i < from->n; i++)
    v[i] = copy_text(rq, from->v[i], failed);
  rq->login.parameters = (struct mcpauth_list){from->n, v};
  return 0;
}

static int copy_login(struct mcpauth_request *rq)
{
  const struct mcpauth_login *l = rq->spec.login;
  const struct mcpauth_tokens *t = rq->spec.tokens;
  bool failed = false;
  if (l) {
    rq->login = (struct mcpauth_login){
        .callback = copy_text(rq, l->callback, &failed),
        .state = copy_text(rq, l->state, &failed),
        .nonce = copy_text(rq, l->nonce, &failed),
        .code_challenge = copy_text(rq, l->code_challenge, &failed),
        .login_hint = copy_maybe(rq, l->login_hint, &failed),
        .again = l->again,
        .code = copy_maybe(rq, l->code, &failed),
        .code_verifier = copy_maybe(rq, l->code_verifier, &failed),
    };
    if (copy_parameters(rq, &l->parameters, &failed) < 0)
      return -1;
  }
  if (t)
    rq->tokens = (struct mcpauth_tokens){
        .access_token = copy_maybe(rq, t->access_token, &failed),
        .refresh_token = copy_maybe(rq, t->refresh_token, &failed),
        .access_expires_at = t->access_expires_at,
        .extra = copy_maybe(rq, t->extra, &failed),
    };
  return failed ? -1 : 0;
}

static struct mcpauth_request *call_new(const struct call_spec *s)
{
  struct arena *arena = arena_new(LIMIT_REQUEST_ARENA);
  struct mcpauth_request *rq = arena ? arena_new_of(arena, struct mcpauth_request) : NULL;
  if (rq == NULL) {
    arena_free(arena);
    return NULL;
  }
  rq->arena = arena;
  rq->refs = 1;
  rq->spec = *s;
  rq->deadline_ms = clock_mono_ms() + s->instance->provider->deadline_ms;
  rq->deadline.fire = too_late;
  arena_wipes(arena); /* credentials, codes, tokens, secrets of the provider */
  if (copy_facts(rq) < 0 || copy_login(rq) < 0) {
    arena_free(arena);
    return NULL;
  }
  return rq;
}

typedef enum mcpauth_result callback_fn(struct mcpauth_request *rq, const void *config,
                                        void *state);

static callback_fn *callback_of(const struct mcpauth_provider *table, enum call_kind kind)
{
  switch (kind) {
  case CALL_VERIFY:
    return table->verify;
  case CALL_ACCOUNT:
    return table->account;
  case CALL_LOGIN_BEGIN:
    return table->login_begin;
  case CALL_LOGIN_FINISH:
    return table->login_finish;
  case CALL_REFRESH:
    return table->refresh;
  }
  return NULL;
}

enum mcpauth_result call_callback(struct mcpauth_request *rq)
{
  const struct mcpauth_instance *i = rq->spec.instance;
  return callback_of(i->provider->table, rq->spec.kind)(rq, i->provider->config, i->state);
}

static const char *kind_name(enum call_kind kind)
{
  return kind == CALL_VERIFY ? "auth lines" : kind == CALL_ACCOUNT ? "account lines" : "logins";
}

static enum mcpauth_result run(struct mcpauth_request *rq)
{
  const struct mcpauth_provider *table = rq->spec.instance->provider->table;
  if (callback_of(table, rq->spec.kind) == NULL)
    return call_misuse(rq, "the provider serves no %s", kind_name(rq->spec.kind));
  return table->flags & MCPAUTH_BLOCKING ? wait_blocking(rq) : call_callback(rq);
}

struct mcpauth_request *call_start(const struct call_spec *s, struct call_answer *ret)
{
  struct mcpauth_request *rq = call_new(s);
  if (rq == NULL) {
    *ret = (struct call_answer){.result = MCPAUTH_ERROR, .reason = "out of memory"};
    return NULL;
  }
  enum mcpauth_result result = run(rq);
  if (!pending(rq, result)) {
    judge(rq, result, ret);
    leave(rq);
    return NULL;
  }
  if (loop_timer_set(s->instance->host->options.loop, &rq->deadline, call_left_ms(rq)) < 0) {
    *ret = (struct call_answer){.result = MCPAUTH_ERROR, .reason = "out of memory"};
    leave(rq);
    return NULL;
  }
  return rq;
}
