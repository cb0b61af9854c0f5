/* The person's own token at her provider; see user_token.h.  Look, and if it is too old: lease, ask
 * the provider, keep what it said (compare and swap).  Who finds it leased looks again a little
 * later.  A token that still works is used although the provider cannot be asked. */
#include "oauth/user_token.h"

#include "auth/login.h"
#include "oauth/exchange.h"
#include "ops/log.h"
#include "store/store.h"
#include "util/clock.h"

enum {
  WAIT_MS = 100,         /* between looks at what somebody else is refreshing */
  WAITS = 100,           /* of these at most */
  LEASE_S = 15,          /* longer than a provider's deadline and store work */
  KEEP_MS = 250,         /* between tries to keep new tokens while the store fails */
  KEEP_TRIES = 4 * 3600, /* an hour of them */
};

/* The arena holds it; the loop and the job threads never touch it at once. */
struct user_token {
  struct user_token *next; /* of the worker */
  struct arena *arena;
  unsigned refs; /* the loop's flow, and each piece of work that was submitted */
  struct oauth *oauth;
  user_token_fn *done; /* NULL: nobody waits any more */
  void *arg;
  struct store_task *task;
  struct login_run *login;
  struct timer wait;
  unsigned tries, kept; /* looks at the lease; times that keeping the provider's tokens failed */

  struct user_token_request rq; /* copies */
  struct store_link link;
  struct store_upstream upstream;
  enum store_result result;
  int64_t now;     /* the store's time */
  bool has_tokens; /* the provider gave new ones */
  bool ended;      /* it says so */
  const char *why; /* it cannot be refreshed */
};

static void look(struct user_token *t);

/* ---- life */

static void unref(void *token)
{
  struct user_token *t = token;
  if (--t->refs)
    return;
  principal_unref(t->rq.who);
  arena_free(t->arena);
}

static void over(struct user_token *t)
{
  struct user_token **at = &t->oauth->user_tokens;
  while (*at && *at != t)
    at = &(*at)->next;
  if (*at)
    *at = t->next;
  unref(t);
}

static void tell(struct user_token *t, enum user_token_result result, const char *why)
{
  user_token_fn *done = t->done;
  t->done = NULL;
  if (done)
    done(t->arg, result, result == USER_TOKEN_OK ? t->upstream.access_token : STR(""), why);
}

static void finish(struct user_token *t, enum user_token_result result, const char *why)
{
  tell(t, result, why);
  over(t);
}

static bool submit(struct user_token *t, enum store_mode mode, store_work_fn *work,
                   store_done_fn *done)
{
  t->refs++;
  t->task = store_submit(t->oauth->o.store, mode, work, done, unref, t);
  if (t->task == NULL)
    t->refs--;
  return t->task != NULL;
}

void user_tokens_free(struct oauth *o)
{
  while (o->user_tokens) {
    struct user_token *t = o->user_tokens;
    if (t->task)
      store_cancel(t->task);
    login_cancel(t->login);
    loop_timer_stop(o->o.loop, &t->wait);
    over(t);
  }
}

/* ---- in job threads */

static int end(struct user_token *t, enum store_result result)
{
  t->result = result;
  return result == STORE_FAILED ? -1 : 0;
}

static int read_work(void *token, struct store_db *db)
{
  struct user_token *t = token;
  t->now = store_time(db);
  return end(t, store_upstream_get(db, &t->link, t->arena, &t->upstream));
}

static int lease_work(void *token, struct store_db *db)
{
  struct user_token *t = token;
  return end(t, store_upstream_lease(db, &t->link, t->upstream.version, LEASE_S));
}

/* Also gives a lease back when nothing has changed.  A login that came in between has newer ones.
 */
static int keep_work(void *token, struct store_db *db)
{
  struct user_token *t = token;
  enum store_result r = store_upstream_put(db, &t->link, &t->upstream, t->upstream.version);
  return end(t, r == STORE_CONFLICT ? STORE_OK : r);
}

/* ---- the loop's side, from the end to the beginning */

/* Whether the token works for SECONDS more. */
static bool works(const struct user_token *t, int64_t seconds)
{
  int64_t until = t->upstream.access_expires_at;
  return t->upstream.access_token.n && (until == 0 || until - t->now > seconds);
}

static void kept(void *arg, bool stored);

static void keep(struct user_token *t)
{
  if (!submit(t, STORE_WRITE, keep_work, kept))
    kept(t, false);
}

static void keep_again(struct timer *timer)
{
  keep(container_of(timer, struct user_token, wait));
}

/* A provider that rotates gives its tokens once: they are kept as soon as the store takes them. */
static bool keeps_later(struct user_token *t)
{
  if (!t->has_tokens || t->kept >= KEEP_TRIES)
    return false;
  t->wait.fire = keep_again;
  return loop_timer_set(t->oauth->o.loop, &t->wait, KEEP_MS) == 0;
}

static void kept(void *arg, bool stored)
{
  struct user_token *t = arg;
  t->task = NULL;
  if (!stored && t->kept++ == 0)
    log_error("provider %s: a person's tokens cannot be kept now", t->rq.provider->name);
  if (t->ended)
    tell(t, USER_TOKEN_ENDED, t->why);
  else if (works(t, 0))
    tell(t, USER_TOKEN_OK, "");
  else
    tell(t, USER_TOKEN_UNAVAILABLE, t->why);
  if (stored || !keeps_later(t))
    over(t);
}

static void keep_tokens(struct user_token *t, const struct login_tokens *from)
{
  struct store_upstream *u = &t->upstream;
  u->access_token = arena_str(t->arena, from->access_token);
  u->refresh_token = arena_str(t->arena, from->refresh_token);
  u->extra = arena_str(t->arena, from->extra);
  u->access_expires_at = from->access_expires_at;
}

static void refreshed(void *arg, const struct login_outcome *o)
{
  struct user_token *t = arg;
  t->login = NULL;
  t->has_tokens = o->has_tokens;
  if (o->has_tokens)
    keep_tokens(t, &o->tokens);
  t->ended = o->result == MCPAUTH_INVALID || o->result == MCPAUTH_DENY;
  t->why = arena_dup(t->arena, str_of(o->reason));
  if (t->why == NULL)
    t->why = "";
  if (o->result != MCPAUTH_OK)
    log_warn("provider %s: a person's token was not refreshed: %s", t->rq.provider->name,
             o->reason);
  keep(t);
}

static void ask(struct user_token *t)
{
  const struct login_request rq = {
      .provider = t->rq.provider,
      .facts = {.request_id = t->rq.request_id,
                .service = t->rq.service->name,
                .resource = t->rq.service->resource,
                .address = t->rq.address,
                .method = "POST",
                .tls = t->rq.tls},
      .who = t->rq.who,
      .arena = t->arena,
  };
  const struct store_upstream *u = &t->upstream;
  const struct login_tokens tokens = {u->access_token, u->refresh_token, u->access_expires_at,
                                      u->extra};
  t->refs++; /* DONE may end the flow before this returns */
  struct login_run *run = login_refresh(t->oauth->o.auth, &rq, &tokens, refreshed, t);
  if (run)
    t->login = run;
  unref(t);
}

static void again(struct timer *timer)
{
  look(container_of(timer, struct user_token, wait));
}

/* Somebody else refreshes it. */
static void wait_for_it(struct user_token *t)
{
  t->wait.fire = again;
  if (works(t, 0))
    finish(t, USER_TOKEN_OK, "");
  else if (t->done == NULL || ++t->tries > WAITS ||
           loop_timer_set(t->oauth->o.loop, &t->wait, WAIT_MS) < 0)
    finish(t, USER_TOKEN_UNAVAILABLE, "somebody else asks the provider, and gets no answer");
}

static void leased(void *arg, bool stored)
{
  struct user_token *t = arg;
  t->task = NULL;
  if (!stored)
    finish(t, USER_TOKEN_UNAVAILABLE, "the store cannot be written");
  else if (t->result == STORE_OK)
    ask(t);
  else if (t->result == STORE_CONFLICT)
    wait_for_it(t);
  else
    finish(t, USER_TOKEN_NONE, "the provider's tokens are gone");
}

static void looked(void *arg, bool stored)
{
  struct user_token *t = arg;
  t->task = NULL;
  if (t->done == NULL)
    over(t); /* nothing has happened yet */
  else if (!stored || t->result == STORE_BROKEN)
    finish(t, USER_TOKEN_UNAVAILABLE, "the store cannot be read");
  else if (t->result != STORE_OK)
    finish(t, USER_TOKEN_NONE, "no token of this provider is kept for the person");
  else if (works(t, USER_TOKEN_EARLY_S) || (works(t, 0) && t->upstream.refresh_token.n == 0))
    finish(t, USER_TOKEN_OK, "");
  else if (t->upstream.refresh_token.n == 0)
    finish(t, USER_TOKEN_NONE, "the provider's token has expired, and it gave none to refresh it");
  else if (!submit(t, STORE_WRITE, lease_work, leased))
    finish(t, USER_TOKEN_UNAVAILABLE, "the store is busy");
}

static void look(struct user_token *t)
{
  if (!submit(t, STORE_READ, read_work, looked))
    finish(t, USER_TOKEN_UNAVAILABLE, "the store is busy");
}

/* ---- what src/hub calls */

static struct user_token *user_token_new(struct oauth *o, const struct user_token_request *rq)
{
  struct arena *a = arena_new(MIB(1));
  struct user_token *t = a ? arena_new_of(a, struct user_token) : NULL;
  if (t == NULL) {
    arena_free(a);
    return NULL;
  }
  arena_wipes(a);
  *t = (struct user_token){.arena = a, .refs = 1, .oauth = o, .rq = *rq, .why = ""};
  t->rq.request_id = arena_dup(a, str_of(rq->request_id));
  t->rq.address = arena_dup(a, str_of(rq->address));
  t->link = (struct store_link){arena_str(a, str_of(rq->provider->name)),
                                arena_str(a, str_of(rq->who->issuer)),
                                arena_str(a, str_of(rq->who->subject))};
  if (t->rq.request_id && t->rq.address && t->link.provider.p && t->link.issuer.p &&
      t->link.subject.p) {
    t->rq.who = principal_ref(rq->who);
    return t;
  }
  arena_free(a);
  return NULL;
}

struct user_token *user_token_start(struct oauth *o, const struct user_token_request *rq,
                                    user_token_fn *done, void *arg)
{
  struct user_token *t = user_token_new(o, rq);
  if (t == NULL)
    return NULL;
  if (!submit(t, STORE_READ, read_work, looked)) {
    unref(t);
    return NULL;
  }
  t->done = done;
  t->arg = arg;
  t->next = o->user_tokens;
  o->user_tokens = t;
  return t;
}

void user_token_cancel(struct user_token *t)
{
  if (t)
    t->done = NULL;
}
