/* What a call can wait for: HTTP, a timer, a job, keys.  One thing at a time; all of it is taken
 * back when the client leaves or the deadline passes.  A job cannot be taken back: its thread keeps
 * the call's memory until it ends, and an instance whose threads are all stuck is UNAVAIL at once.
 */
#include "auth/call.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/fetch.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ERROR unless RQ may ask for something now. */
static enum mcpauth_result may_wait(struct mcpauth_request *rq, bool complete)
{
  if (rq->in_thread)
    return call_misuse(rq, "a job thread cannot wait for the host");
  if (rq->over)
    return MCPAUTH_ERROR;
  if (!complete)
    return call_misuse(rq, "a request to the host lacks an argument");
  if (rq->wait != WAIT_NOTHING)
    return call_misuse(rq, "two requests to the host at once");
  return MCPAUTH_PENDING;
}

static struct loop *loop_of(const struct mcpauth_request *rq)
{
  return rq->spec.instance->host->options.loop;
}

/* ---- http */

static void http_done(void *arg, const struct fetch_reply *reply)
{
  struct mcpauth_request *rq = arg;
  struct mcpauth_http_reply r = {
      .status = reply->status,
      .error = reply->error ? reply->error : "",
      .content_type = reply->content_type ? reply->content_type : "",
      .body = {reply->body.p, reply->body.n},
  };
  rq->wait = WAIT_NOTHING;
  rq->fetch = NULL;
  call_resume(rq, rq->then.http(rq, rq->then_arg, &r));
}

enum mcpauth_result wait_http(struct mcpauth_request *rq,
                              const struct mcpauth_http_request *request, mcpauth_http_fn *then,
                              void *arg)
{
  bool complete = request && request->method && request->url && then;
  if (may_wait(rq, complete) != MCPAUTH_PENDING)
    return MCPAUTH_ERROR;
  if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "POST") != 0)
    return call_misuse(rq, "HTTP method other than GET and POST");
  const struct mcpauth_instance *i = rq->spec.instance;
  const struct config *config = i->host->options.config;
  const struct config_provider *p = i->provider;
  int64_t left = call_left_ms(rq), asked = request->timeout_ms;
  struct fetch_request f = {
      .method = request->method,
      .url = request->url,
      .headers = request->headers,
      .body = str_of_bytes(request->body),
      .timeout_ms = asked > 0 && asked < left ? asked : left,
      .max_reply = request->max_reply && request->max_reply < LIMIT_IDP_REPLY ? request->max_reply
                                                                              : LIMIT_IDP_REPLY,
      .ca_file = p->ca_file ? p->ca_file : config->ca_file,
      .egress_proxy = p->egress_proxy ? p->egress_proxy : config->egress_proxy,
  };
  struct err e = {""};
  rq->then.http = then;
  rq->then_arg = arg;
  rq->fetch = fetch_start(i->host->options.fetcher, &f, http_done, rq, &e);
  if (rq->fetch == NULL)
    return call_misuse(rq, "an HTTP request cannot start: %s", e.text);
  rq->wait = WAIT_HTTP;
  return MCPAUTH_PENDING;
}

/* ---- timer */

static void timer_fired(struct timer *t)
{
  struct mcpauth_request *rq = container_of(t, struct mcpauth_request, timer);
  rq->wait = WAIT_NOTHING;
  call_resume(rq, rq->then.timer(rq, rq->then_arg));
}

enum mcpauth_result wait_timer(struct mcpauth_request *rq, int64_t ms, mcpauth_timer_fn *then,
                               void *arg)
{
  if (may_wait(rq, then && ms >= 0) != MCPAUTH_PENDING)
    return MCPAUTH_ERROR;
  rq->then.timer = then;
  rq->then_arg = arg;
  rq->timer.fire = timer_fired;
  int64_t left = call_left_ms(rq); /* the deadline comes first anyway */
  if (loop_timer_set(loop_of(rq), &rq->timer, ms < left ? ms : left + 1) < 0)
    return call_misuse(rq, "out of memory");
  rq->wait = WAIT_TIMER;
  return MCPAUTH_PENDING;
}

/* ---- jobs */

enum box_state { BOX_QUEUED = 0, BOX_BEGUN, BOX_DROPPED };

struct job_box {
  struct mcpauth_request *rq; /* referenced */
  struct mcpauth_instance *instance;
  mcpauth_job_fn *work;
  void *arg;
  void (*release)(void *arg);
  struct job_handle *handle;
  atomic_int state; /* of enum box_state: thread and loop agree on it */
  bool stuck;
};

static void box_work(void *p)
{
  struct job_box *b = p;
  int queued = BOX_QUEUED;
  if (atomic_compare_exchange_strong(&b->state, &queued, BOX_BEGUN))
    b->work(b->arg);
}

static void box_done(void *p)
{
  struct job_box *b = p;
  struct mcpauth_request *rq = b->rq;
  rq->wait = WAIT_NOTHING;
  rq->box = NULL;
  rq->in_thread = false;
  call_resume(rq, rq->then.job(rq, rq->then_arg));
}

static void box_release(void *p)
{
  struct job_box *b = p;
  if (b->release)
    b->release(b->arg);
  if (b->stuck) {
    b->instance->stuck--;
    b->instance->host->abandoned--;
  }
  call_unref(b->rq);
  free(b);
}

/* Only a job that runs is stuck: one that still waits in its lane will not run. */
static void box_abandon(struct job_box *b)
{
  int queued = BOX_QUEUED;
  if (!atomic_compare_exchange_strong(&b->state, &queued, BOX_DROPPED)) {
    b->stuck = true;
    b->instance->stuck++;
    b->instance->host->abandoned++;
  }
  job_cancel(b->handle);
}

static enum mcpauth_result unavailable(struct mcpauth_request *rq, const char *reason)
{
  rq->in_thread = false;
  rq->why = MCPAUTH_WHY_NONE;
  snprintf(rq->reason, sizeof rq->reason, "%s", reason);
  return MCPAUTH_UNAVAIL;
}

/* The caller still owns ARG when this is not PENDING. */
static enum mcpauth_result submit(struct mcpauth_request *rq, const struct job_box *like)
{
  struct mcpauth_instance *i = rq->spec.instance;
  struct lane *lane = instance_lane(i);
  if (i->stuck >= i->host->lane_threads)
    return unavailable(rq, "every job thread of this provider is stuck");
  struct job_box *b = lane ? malloc(sizeof *b) : NULL;
  if (b == NULL)
    return unavailable(rq, "out of memory");
  *b = *like;
  b->rq = rq;
  b->instance = i;
  atomic_init(&b->state, BOX_QUEUED);
  struct job job = {box_work, box_done, box_release, b};
  b->handle = job_submit(lane, &job);
  if (b->handle == NULL) {
    free(b);
    return unavailable(rq, "too many jobs of this provider are waiting");
  }
  rq->refs++;
  rq->box = b;
  rq->wait = WAIT_JOB;
  return MCPAUTH_PENDING;
}

enum mcpauth_result wait_job(struct mcpauth_request *rq, mcpauth_job_fn *work,
                             mcpauth_done_fn *then, void *arg, void (*release)(void *arg))
{
  enum mcpauth_result r = may_wait(rq, work && then);
  if (r == MCPAUTH_PENDING) {
    rq->then.job = then;
    rq->then_arg = arg;
    r = submit(rq, &(struct job_box){.work = work, .arg = arg, .release = release});
  }
  if (r != MCPAUTH_PENDING && release)
    release(arg);
  return r;
}

static void blocking_work(void *arg)
{
  struct mcpauth_request *rq = arg;
  rq->result = call_callback(rq);
}

static enum mcpauth_result blocking_done(struct mcpauth_request *rq, void *arg)
{
  (void)arg;
  return rq->result;
}

enum mcpauth_result wait_blocking(struct mcpauth_request *rq)
{
  rq->then.job = blocking_done;
  rq->in_thread = true;
  return submit(rq, &(struct job_box){.work = blocking_work, .arg = rq});
}

/* ---- keys */

static void drop(void *claims)
{
  json_decref(claims);
}

static const struct mcpauth_claims *keep_claims(struct mcpauth_request *rq, json_t *claims)
{
  json_incref(claims);
  if (arena_defer(rq->arena, drop, claims) < 0) {
    json_decref(claims);
    return NULL;
  }
  return (const struct mcpauth_claims *)(void *)claims;
}

static enum mcpauth_result keys_answer(struct mcpauth_request *rq, const struct keyset_answer *a)
{
  enum mcpauth_result result = a->result;
  const struct mcpauth_claims *claims = NULL;
  if (result == MCPAUTH_OK) {
    claims = keep_claims(rq, a->claims);
    if (claims == NULL)
      return call_misuse(rq, "out of memory");
  } else { /* the provider may say it better, and need not */
    rq->why = a->why;
    snprintf(rq->reason, sizeof rq->reason, "%s", a->reason ? a->reason : "");
  }
  return rq->then.jwt(rq, rq->then_arg, result, claims);
}

static void keys_done(void *arg, const struct keyset_answer *a)
{
  struct mcpauth_request *rq = arg;
  bool at_once = rq->keys_starting;
  rq->keys_starting = false;
  rq->wait = WAIT_NOTHING;
  rq->keys = NULL;
  enum mcpauth_result result = keys_answer(rq, a);
  if (at_once)
    rq->keys_result = result;
  else
    call_resume(rq, result);
}

static enum mcpauth_result verify(struct mcpauth_request *rq, struct mcpauth_keyset *keys,
                                  const struct mcpauth_jwt_policy *policy,
                                  struct mcpauth_bytes token, bool id_token, mcpauth_jwt_fn *then,
                                  void *arg)
{
  struct keyset *ks = (struct keyset *)(void *)keys;
  if (may_wait(rq, keys && policy && token.p && then) != MCPAUTH_PENDING)
    return MCPAUTH_ERROR;
  rq->then.jwt = then;
  rq->then_arg = arg;
  rq->keys_starting = true;
  rq->wait = WAIT_KEYS; /* the continuation may ask for more, at once too */
  struct keyset_wait *w = id_token
                              ? keyset_verify_id(ks, str_of_bytes(token), policy, keys_done, rq)
                              : keyset_verify(ks, str_of_bytes(token), policy, keys_done, rq);
  if (!rq->keys_starting)
    return rq->keys_result;
  rq->keys_starting = false;
  rq->keys = w;
  return MCPAUTH_PENDING;
}

enum mcpauth_result wait_jwt(struct mcpauth_request *rq, struct mcpauth_keyset *keys,
                             const struct mcpauth_jwt_policy *policy, struct mcpauth_bytes token,
                             mcpauth_jwt_fn *then, void *arg)
{
  return verify(rq, keys, policy, token, false, then, arg);
}

enum mcpauth_result wait_id_token(struct mcpauth_request *rq, struct mcpauth_keyset *keys,
                                  const struct mcpauth_jwt_policy *policy,
                                  struct mcpauth_bytes token, mcpauth_jwt_fn *then, void *arg)
{
  return verify(rq, keys, policy, token, true, then, arg);
}

/* ---- */

void wait_cancel(struct mcpauth_request *rq)
{
  switch (rq->wait) {
  case WAIT_NOTHING:
    break;
  case WAIT_HTTP:
    fetch_cancel(rq->fetch);
    break;
  case WAIT_TIMER:
    loop_timer_stop(loop_of(rq), &rq->timer);
    break;
  case WAIT_JOB:
    box_abandon(rq->box);
    break;
  case WAIT_KEYS:
    keyset_cancel(rq->keys);
    break;
  }
  rq->wait = WAIT_NOTHING;
}
