/* grant_type refresh_token (RFC 6749 section 6, OAuth 2.1 section 4.3.1).  Each use asks the
 * provider whether the person is still who she was, one question at a time over all workers; then
 * one transaction keeps the answer and rotates.  A replay within the grace gets the same successor,
 * a later one ends the grant (row 102).  What cannot be decided now is 503 and changes nothing. */
#include <string.h>

#include "auth/hub_token.h"
#include "oauth/refresh.h"
#include "oauth/scopes.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"
#include "util/clock.h"

enum {
  WAIT_MS = 100,           /* between looks at what somebody else is asking */
  WAITS = 120,             /* of these at most */
  PROVIDER_REST_MS = 5000, /* a provider that did not answer is not asked again meanwhile */
};

static void peek(struct refresh *f);
static void finish(struct refresh *f);

/* ---- life */

static void unref(void *refresh)
{
  struct refresh *f = refresh;
  if (--f->refs)
    return;
  principal_unref(f->who);
  arena_free(f->arena);
}

static void unlist(struct refresh *f)
{
  struct refresh **at = &f->oauth->refreshes;
  while (*at && *at != f)
    at = &(*at)->next;
  if (*at)
    *at = f->next;
}

/* The flow is at its end. */
static void over(struct refresh *f)
{
  unlist(f);
  unref(f);
}

void refreshes_free(struct oauth *o)
{
  while (o->refreshes) {
    struct refresh *f = o->refreshes;
    if (f->task)
      store_cancel(f->task);
    login_cancel(f->login);
    loop_timer_stop(o->o.loop, &f->wait);
    over(f);
  }
}

/* False: too much waits. */
static bool try_submit(struct refresh *f, enum store_mode mode, store_work_fn *work,
                       store_done_fn *done)
{
  f->refs++;
  f->task = store_submit(f->oauth->o.store, mode, work, done, unref, f);
  if (f->task == NULL)
    f->refs--;
  return f->task;
}

static void submit(struct refresh *f, enum store_mode mode, store_work_fn *work,
                   store_done_fn *done)
{
  if (try_submit(f, mode, work, done))
    return;
  if (f->run)
    token_unavailable(f->run, "the store is busy");
  over(f);
}

/* ---- endings */

static void end_unavailable(struct refresh *f, const char *why)
{
  if (f->run)
    token_unavailable(f->run, why);
  over(f);
}

static void end_invalid(struct refresh *f, const char *why)
{
  if (f->run)
    token_invalid_grant(f->run, why);
  over(f);
}

static void end_well(struct refresh *f)
{
  const struct store_grant *g = &f->found.grant;
  if (f->run)
    token_answer(f->run, &(struct token_success){
                             .access = f->access,
                             .refresh = f->successor,
                             .scope = f->scope,
                             .service = f->service,
                             .provider = g->provider,
                             .issuer = g->issuer,
                             .subject = g->subject,
                             .grant = g->id,
                         });
  over(f);
}

/* Written with or without the client that asked. */
static void record_end(const struct refresh *f, const char *event, const char *why)
{
  CLEANUP(buf_done) struct buf b;
  const struct store_grant *g = &f->found.grant;
  buf_init(&b, LIMIT_AUDIT_RECORD);
  buf_puts(&b, "\"endpoint\":\"token\"");
  record_member(&b, "address", f->address);
  record_member(&b, "grant", g->id);
  record_member(&b, "client", g->client);
  record_member(&b, "service", g->service);
  record_member(&b, "provider", g->provider);
  record_member(&b, "issuer", g->issuer);
  record_member(&b, "subject", g->subject);
  record_member(&b, "why", str_of(why));
  if (b.failed || audit_put(f->oauth->o.audit, event, f->request_id.p, buf_view(&b), NULL) < 0)
    log_error("the end of grant %.*s could not be recorded", STR_ARG(g->id));
  if (f->oauth->o.shm)
    shm_revoke(f->oauth->o.shm, g->issuer, g->subject);
}

static void finished(void *arg, bool stored);

static void keep(struct refresh *f)
{
  if (!try_submit(f, STORE_WRITE, refresh_finish, finished))
    finished(f, false);
}

static void keep_again(struct timer *t)
{
  keep(container_of(t, struct refresh, wait));
}

/* A provider that rotates has said it once: without its new token the login would be over.  They
 * are few, for while the store fails nobody gets the lease to ask. */
static void keep_later(struct refresh *f)
{
  if (f->run)
    token_unavailable(f->run, "the store cannot be written");
  f->run = NULL;
  f->rotate = false;
  f->wait.fire = keep_again;
  if (loop_timer_set(f->oauth->o.loop, &f->wait, KEEP_MS) < 0)
    over(f);
}

static void finished(void *arg, bool stored)
{
  struct refresh *f = arg;
  f->task = NULL;
  if (!stored && f->has_tokens && f->kept++ < KEEP_TRIES)
    keep_later(f);
  else if (!stored)
    end_unavailable(f, "the store cannot be written");
  else if (f->ended) {
    record_end(f, "grant_ended", f->ended);
    end_invalid(f, f->ended);
  } else if (f->result == STORE_REPLAYED) {
    metric_add(METRIC_GRANTS_REPLAYED, 1);
    record_end(f, "grant_replayed", "a refresh token was used again after the grace");
    end_invalid(f, "replayed: the grant has been revoked");
  } else if (f->rotate && (f->result == STORE_OK || f->result == STORE_AGAIN))
    end_well(f);
  else if (f->rotate)
    end_invalid(f, store_result_name(f->result));
  else
    end_unavailable(f, f->undecided ? f->undecided : "the client has left");
}

/* ---- the provider's answer */

/* Those of the grant's scopes that client and person may have now, and that the client wants. */
static int choose_scope(struct refresh *f)
{
  struct scope_set agreed, held;
  const struct config *c = f->oauth->o.config;
  const struct store_grant *g = &f->found.grant;
  if (f->who == NULL) {
    struct err e = {""};
    const struct hub_person of = {.issuer = g->issuer,
                                  .subject = g->subject,
                                  .client = g->client,
                                  .scope = STR(""),
                                  .claims = g->principal};
    f->who = hub_principal(f->provider, &of, &e);
  }
  if (f->who == NULL || scopes_parse(c, g->scopes, f->arena, &agreed) < 0)
    return -1;
  scopes_limit(&agreed, &f->run->client->scopes);
  if (scopes_entitled(c, f->who, f->address.p, &agreed, f->arena, &held, NULL) < 0)
    return -1;
  if (f->asked && f->asked->n && scopes_both(&held, f->asked, f->arena, &held) < 0)
    return -1;
  f->scope = scopes_text(&held, f->arena);
  return f->scope.p ? 0 : -1;
}

static void finish(struct refresh *f)
{
  /* Nobody is there to get a successor: only what the provider said is kept. */
  f->rotate = f->rotate && f->run;
  if (f->rotate && choose_scope(f) < 0) {
    f->rotate = false;
    f->undecided = "out of memory";
  }
  keep(f);
}

static int keep_principal(struct refresh *f, struct principal *who)
{
  AUTO_FREE char *claims = json_dumps(who->claims, JSON_COMPACT | JSON_SORT_KEYS);
  f->who = principal_ref(who);
  f->principal = claims ? arena_str(f->arena, str_of(claims)) : (struct str){NULL, 0};
  return f->principal.p ? 0 : -1;
}

static void keep_tokens(struct refresh *f, const struct login_tokens *t)
{
  f->has_tokens = true;
  f->upstream.access_token = arena_str(f->arena, t->access_token);
  f->upstream.refresh_token = arena_str(f->arena, t->refresh_token);
  f->upstream.extra = arena_str(f->arena, t->extra);
  f->upstream.access_expires_at = t->access_expires_at;
}

/* Whether the login may go on without an answer. */
static bool in_grace(const struct refresh *f)
{
  int64_t grace = f->oauth->o.config->oauth.upstream_grace_ms / 1000;
  return f->now - f->found.grant.checked_at < grace;
}

/* 503, once what must be kept is kept. */
static void undecided(struct refresh *f, const char *why)
{
  f->rotate = false;
  f->undecided = why;
  if (f->has_tokens || f->leased)
    finish(f);
  else
    end_unavailable(f, why);
}

static void unanswered(struct refresh *f)
{
  f->rotate = in_grace(f);
  if (f->rotate)
    finish(f);
  else
    undecided(f, "the provider cannot be asked, and the grace is over");
}

static void refreshed(void *arg, const struct login_outcome *o)
{
  struct refresh *f = arg;
  f->login = NULL;
  if (o->has_tokens)
    keep_tokens(f, &o->tokens);
  switch (o->result) {
  case MCPAUTH_OK:
    f->checked = f->rotate = keep_principal(f, o->who) == 0;
    if (f->checked)
      finish(f);
    else
      undecided(f, "out of memory");
    return;
  case MCPAUTH_INVALID:
  case MCPAUTH_DENY:
    f->ended = o->result == MCPAUTH_DENY ? "the provider says that she may no longer"
                                         : "the provider has ended it";
    finish(f);
    return;
  case MCPAUTH_UNAVAIL:
  case MCPAUTH_ERROR:
  case MCPAUTH_PASS:
  case MCPAUTH_IGNORE:
  case MCPAUTH_PENDING:
    break;
  }
  log_warn("provider %s could not be asked about a login: %s", f->provider->name, o->reason);
  /* An error is an answer that makes no sense, perhaps about this person alone: no grace for it,
   * and the others are asked about all the same. */
  if (o->result == MCPAUTH_UNAVAIL) {
    /* One that gave tokens does answer: it is only back for so short that its keys or the userinfo
     * are not there yet. */
    if (!o->has_tokens)
      f->oauth->provider_rest[f->provider->index] = clock_mono_ms() + PROVIDER_REST_MS;
    unanswered(f);
  } else {
    undecided(f, "the provider's answer makes no sense");
  }
}

static struct principal *grant_principal_of(struct refresh *f)
{
  const struct store_grant *g = &f->found.grant;
  const struct hub_person of = {.issuer = g->issuer,
                                .subject = g->subject,
                                .client = STR(""),
                                .scope = STR(""),
                                .claims = g->principal};
  return hub_principal(f->provider, &of, NULL);
}

static void ask(struct refresh *f)
{
  struct principal *who = grant_principal_of(f);
  const struct login_request rq = {
      .provider = f->provider,
      .facts = {.request_id = f->request_id.p,
                .service = f->service->name,
                .resource = f->service->resource,
                .address = f->address.p,
                .method = "POST",
                .tls = f->tls},
      .who = who,
      .arena = f->arena,
  };
  const struct login_tokens tokens = {f->upstream.access_token, f->upstream.refresh_token,
                                      f->upstream.access_expires_at, f->upstream.extra};
  if (who == NULL) {
    end_unavailable(f, "the grant's principal cannot be read");
    return;
  }
  if (arena_defer(f->arena, (void (*)(void *))principal_unref, who) < 0) {
    principal_unref(who);
    end_unavailable(f, "out of memory");
    return;
  }
  f->refs++; /* DONE may end the flow before this returns */
  struct login_run *run = login_refresh(f->oauth->o.auth, &rq, &tokens, refreshed, f);
  if (run)
    f->login = run;
  unref(f);
}

/* ---- one question at a time */

static void again(struct timer *t)
{
  peek(container_of(t, struct refresh, wait));
}

static void leased(void *arg, bool stored)
{
  struct refresh *f = arg;
  f->task = NULL;
  if (!stored) {
    end_unavailable(f, "the store cannot be written");
  } else if (f->result == STORE_OK) {
    f->leased = true;
    ask(f);
  } else if (f->result != STORE_CONFLICT) {
    f->has_upstream = false;
    ask(f);
  } else if (f->run && ++f->tries < WAITS) {
    f->wait.fire = again;
    loop_timer_set(f->oauth->o.loop, &f->wait, WAIT_MS);
  } else {
    end_unavailable(f, "somebody else asks the provider, and gets no answer");
  }
}

static bool resting(const struct refresh *f)
{
  return f->oauth->provider_rest[f->provider->index] > clock_mono_ms();
}

static void ask_or_not(struct refresh *f)
{
  f->rotate = true;
  if (f->found.used_at || f->now - f->found.grant.checked_at < REFRESH_CHECKED_S)
    finish(f); /* a replay, or the answer is fresh */
  else if (resting(f))
    unanswered(f);
  else if (f->has_upstream)
    submit(f, STORE_WRITE, refresh_lease, leased);
  else
    ask(f);
}

/* ---- the token */

/* The parameter `scope`: unknown and foreign words are dropped; none left means all. */
static int read_scope(struct refresh *f)
{
  struct str scope = params_get(&f->run->params, "scope");
  if (scope.p == NULL)
    return 0;
  f->asked = arena_new_of(f->arena, struct scope_set);
  struct scope_set agreed;
  const struct config *c = f->oauth->o.config;
  return f->asked && scopes_parse(c, scope, f->arena, f->asked) == 0 &&
                 scopes_parse(c, f->found.grant.scopes, f->arena, &agreed) == 0 &&
                 scopes_both(f->asked, &agreed, f->arena, f->asked) == 0
             ? 0
             : -1;
}

static void judge(struct refresh *f)
{
  const struct store_grant *g = &f->found.grant;
  f->service = token_service(f->run, g->service);
  f->provider = f->service ? config_find_line(f->service, g->provider) : NULL;
  if (!str_eq(g->client, f->client))
    end_invalid(f, "the refresh token is another client's");
  else if (f->provider == NULL || !login_capable(f->provider))
    end_invalid(f, "the service or its line is not configured any more");
  else if (!token_resource_is(f->run, f->service)) {
    token_refuse(f->run, 400, "invalid_target", "The refresh token is for another resource.",
                 "resource");
    over(f);
  } else if (read_scope(f) < 0)
    end_unavailable(f, "out of memory");
  else
    ask_or_not(f);
}

static void peeked(void *arg, bool stored)
{
  struct refresh *f = arg;
  f->task = NULL;
  if (!stored)
    end_unavailable(f, "the store cannot be read");
  else if (f->run == NULL)
    over(f); /* nothing has happened yet */
  else if (f->result == STORE_BROKEN)
    end_unavailable(f, "the grant cannot be read");
  else if (f->result != STORE_OK)
    end_invalid(f, store_result_name(f->result));
  else
    judge(f);
}

static void peek(struct refresh *f)
{
  submit(f, STORE_READ, refresh_peek, peeked);
}

/* ---- the request */

static void cancel(struct token_run *r)
{
  struct refresh *f = r->own;
  if (f)
    f->run = NULL;
}

static struct refresh *refresh_new(struct token_run *r, struct str token)
{
  struct arena *a = arena_new(MIB(2));
  struct refresh *f = a ? arena_new_of(a, struct refresh) : NULL;
  struct http_request *rq = r->x->rq;
  if (f == NULL) {
    arena_free(a);
    return NULL;
  }
  *f = (struct refresh){.arena = a, .refs = 1, .oauth = r->x->oauth, .run = r, .tls = rq->tls};
  f->token = arena_str(a, token);
  f->client = arena_str(a, str_of(r->client->id));
  f->request_id = arena_str(a, str_of(rq->id));
  f->address = arena_str(a, str_of(r->x->address));
  if (f->token.p && f->client.p && f->request_id.p && f->address.p)
    return f;
  arena_free(a);
  return NULL;
}

static void run(struct token_run *r)
{
  struct str token = params_get(&r->params, "refresh_token");
  if (token.p == NULL) {
    token_refuse(r, 400, "invalid_request", "The refresh_token is missing.", "parameters");
    return;
  }
  struct refresh *f = refresh_new(r, token);
  if (f == NULL) {
    token_unavailable(r, "out of memory");
    return;
  }
  r->own = f;
  f->next = r->x->oauth->refreshes;
  r->x->oauth->refreshes = f;
  peek(f);
}

const struct token_grant token_refresh = {
    .name = "refresh_token", .grant = GRANT_REFRESH, .run = run, .cancel = cancel};
