/* When an open stream must end (row 80).
 *
 * revoked: its person was revoked or blocked; the epoch in the shared page is another.
 * refused: a file of a provider changed, and the stack does not grant it any more.
 * reloaded: a later generation decides access to its service otherwise.
 * expired: it stands open without an end of its own, neither the credential that opened it nor one
 * shown on its session since is still good, and no reply to a call that was admitted is still to
 * come on it (the older transport).
 *
 * A stream ends at an event boundary with a whole body.  One whose upstream stays within an event
 * for END_GRACE_MS ends all the same: clients drop an event that has no end.
 *
 * Looked at once a second by stream.c's timer: all streams of the worker, a few words each. */
#include "hub/hub.h"

#include "ops/callers.h"
#include "ops/log.h"
#include "ops/shm.h"
#include "util/clock.h"

enum { END_GRACE_MS = 3000, ASK_AGAIN_MS = 5000, RECHECK_ARENA = 65536 };

/* ---- the caller as of the grant */

void ends_before_auth(struct exchange *x)
{
  x->revocations = shm_revocations(x->hub->shm);
  x->files = auth_files(x->hub->auth);
}

bool ends_outdated(const struct exchange *x)
{
  return shm_revocations(x->hub->shm) != x->revocations || auth_files(x->hub->auth) != x->files;
}

void ends_granted(struct exchange *x)
{
  struct shm *shm = x->hub->shm;
  const struct principal *p = grant_principal(x->grant);
  x->epoch = shm_epoch(shm, str_of(p->issuer), str_of(p->subject));
  /* somebody was revoked while the stack ran: perhaps her, after she was looked at */
  x->ask_again = shm_revocations(shm) != x->revocations;
  x->expires_at = p->expires_at;
}

/* ---- ending */

static void end_now(struct exchange *x)
{
  log_info("service %s: stream ended: %s (request %s)", x->service->config->name, x->ending,
           x->rq->id);
  forward_stop(x);
}

static void end(struct exchange *x, const char *why)
{
  if (x->ending)
    return;
  x->ending = why;
  x->ending_since_ms = loop_now_ms(x->hub->loop);
  ends_at_boundary(x);
}

bool ends_at_boundary(struct exchange *x)
{
  if (x->ending == NULL || !sse_at_boundary(&x->sse))
    return false;
  end_now(x);
  return true;
}

/* ---- asking the stack again */

static void drop_recheck(struct exchange *x)
{
  arena_free(x->recheck_arena);
  x->recheck_arena = NULL;
  x->recheck = NULL;
}

/* Whether the outcome ends the stream.  An expired credential is the business of the clock, and
 * "cannot tell" is no no: it is asked again. */
static bool lost(struct exchange *x, const struct auth_outcome *o)
{
  if (o->verdict == VERDICT_UNAVAILABLE) {
    x->ask_again = true;
    x->ask_at_ms = loop_now_ms(x->hub->loop) + ASK_AGAIN_MS;
    return false;
  }
  if (o->grant == NULL)
    return o->status != 401 || o->why != MCPAUTH_WHY_EXPIRED;
  return !principal_same(grant_principal(o->grant), grant_principal(x->grant)) ||
         !still_allowed(x, o->grant);
}

/* The stream goes on as of the new grant: what its lists show, too. */
static void renew(struct exchange *x, struct grant *g)
{
  const struct principal *p = grant_principal(g);
  x->epoch = shm_epoch(x->hub->shm, str_of(p->issuer), str_of(p->subject));
  x->expires_at = p->expires_at;
  grant_free(x->grant);
  x->grant = g;
}

static void on_rechecked(void *arg, const struct auth_outcome *o)
{
  struct exchange *x = arg;
  bool ends = lost(x, o);
  if (o->grant && !ends)
    renew(x, o->grant);
  else
    grant_free(o->grant);
  x->recheck = NULL;
  if (ends)
    end(x, "refused");
}

static void recheck(struct exchange *x)
{
  if (x->recheck || x->grant == NULL || x->ask_at_ms > loop_now_ms(x->hub->loop))
    return;
  drop_recheck(x); /* of the last time */
  struct auth_request rq;
  x->recheck_arena = arena_new(RECHECK_ARENA);
  if (x->recheck_arena == NULL)
    return; /* it stays to be asked */
  x->ask_again = false;
  x->revocations = shm_revocations(x->hub->shm);
  auth_request_of(x, x->recheck_arena, &rq);
  struct auth_run *run = auth_start(x->hub->auth, &rq, on_rechecked, x);
  if (run)
    x->recheck = run;
}

void ends_forget(struct exchange *x)
{
  if (x->recheck)
    auth_cancel(x->recheck);
  drop_recheck(x);
}

/* ---- once a second */

static bool revoked(struct exchange *x)
{
  if (x->grant == NULL)
    return false;
  const struct principal *p = grant_principal(x->grant);
  return shm_epoch(x->hub->shm, str_of(p->issuer), str_of(p->subject)) != x->epoch;
}

static bool expired(struct exchange *x, int64_t now)
{
  if (!x->op.standing || x->grant == NULL || x->expires_at == 0 || now < x->expires_at)
    return false;
  return x->session == 0 ||
         (now >= caller_session_expiry(x->hub->shm, x->session) &&
          !caller_session_waits(x->hub->shm, x->session, x->service->config->call_limit_ms));
}

static bool reloaded(struct exchange *x)
{
  const struct hub_service *s = x->service;
  return x->hub->draining &&
         caller_access_changed(x->hub->shm, s->key, x->hub->generation, s->config->access);
}

static void look_at(struct exchange *x, int64_t now, bool files_changed)
{
  if (files_changed)
    x->ask_again = true;
  if (x->ending) {
    if (loop_now_ms(x->hub->loop) - x->ending_since_ms >= END_GRACE_MS)
      end_now(x);
    else
      ends_at_boundary(x);
  } else if (revoked(x))
    end(x, "revoked");
  else if (reloaded(x))
    end(x, "reloaded");
  else if (expired(x, now))
    end(x, "expired");
  else if (x->ask_again)
    recheck(x);
}

void ends_tick(struct hub *h)
{
  int64_t now = clock_wall();
  uint64_t files = auth_files(h->auth);
  bool changed = files != h->files_seen;
  h->files_seen = files;
  for (struct exchange *x = h->streams_first, *next; x; x = next) {
    next = x->stream_next;
    look_at(x, now, changed);
  }
}
