/* The world of key sets; see keyset_world.h. */
#include "keyset_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"

enum { MAX_TIMERS = 32, MAX_FETCHES = 8 };

/* ------------------------------------------------------------------ time, fetches, jobs */

const int64_t begin_wall = 1800000000000, begin_mono = 5000000;
int64_t world_ms; /* since the beginning */
static struct timer *timers[MAX_TIMERS];

static struct fetch fetches[MAX_FETCHES];
unsigned world_fetches; /* ever */
int64_t world_mark_ms;  /* of the last forced fetch over the hub; -1: none */
char state_dir[64];

void world_set_time(int64_t ms)
{
  world_ms = ms;
  clock_freeze(begin_wall + ms, begin_mono + ms);
}

int loop_timer_set(struct loop *l, struct timer *t, int64_t ms)
{
  (void)l;
  loop_timer_stop(l, t);
  for (unsigned i = 0; i < MAX_TIMERS; i++)
    if (timers[i] == NULL) {
      timers[i] = t;
      t->due_ms = world_ms + ms;
      t->slot = i + 1;
      return 0;
    }
  return -1;
}

void loop_timer_stop(struct loop *l, struct timer *t)
{
  (void)l;
  if (t->slot)
    timers[t->slot - 1] = NULL;
  t->slot = 0;
}

struct fetch *fetch_start(struct fetcher *f, const struct fetch_request *rq, fetch_done_fn *done,
                          void *arg, struct err *e)
{
  (void)f, (void)e;
  assert_string_equal(rq->method, "GET");
  assert_true(rq->timeout_ms > 0 && rq->max_reply <= 262144);
  for (unsigned i = 0; i < MAX_FETCHES; i++)
    if (!fetches[i].used) {
      fetches[i] = (struct fetch){.used = true, .done = done, .arg = arg};
      snprintf(fetches[i].url, sizeof fetches[i].url, "%s", rq->url);
      world_fetches++;
      return &fetches[i];
    }
  return NULL;
}

void fetch_cancel(struct fetch *x)
{
  x->used = false;
}

bool shm_may_fetch(struct shm *s, struct str url, int64_t interval_ms)
{
  (void)s, (void)url;
  if (world_mark_ms >= 0 && world_ms - world_mark_ms < interval_ms)
    return false;
  world_mark_ms = world_ms;
  return true;
}

void metric_add(enum metric m, uint64_t n)
{
  (void)m, (void)n;
}

struct job_handle *job_submit(struct lane *lane, const struct job *job)
{
  (void)lane;
  job->work(job->arg);
  job->done(job->arg);
  job->release(job->arg);
  return (struct job_handle *)(void *)&fetches; /* not NULL */
}

/* Lets MS pass; every timer fires at its time. */
void world_pass(int64_t ms)
{
  int64_t until = world_ms + ms;
  for (;;) {
    struct timer *next = NULL;
    for (unsigned i = 0; i < MAX_TIMERS; i++)
      if (timers[i] && timers[i]->due_ms <= until && (!next || timers[i]->due_ms < next->due_ms))
        next = timers[i];
    if (next == NULL)
      break;
    world_set_time(next->due_ms > world_ms ? next->due_ms : world_ms);
    loop_timer_stop(NULL, next);
    next->fire(next);
  }
  world_set_time(until);
}

struct fetch *world_fetch(void)
{
  for (unsigned i = 0; i < MAX_FETCHES; i++)
    if (fetches[i].used)
      return &fetches[i];
  return NULL;
}

void world_reply(int status, const char *body, int64_t max_age_s)
{
  struct fetch *x = world_fetch(), copy;
  assert_non_null(x);
  copy = *x;
  x->used = false;
  struct fetch_reply r = {status, status ? "" : "connection refused", "application/json", max_age_s,
                          str_of(body)};
  copy.done(copy.arg, &r);
}

/* ------------------------------------------------------------------ keys and tokens */

struct signer old_key, new_key;
char *old_keys, *new_keys;

char *token_for(const struct signer *s, const char *iss)
{
  char payload[512];
  snprintf(payload, sizeof payload,
           "{\"iss\":\"%s\",\"sub\":\"ann\",\"aud\":\"https://mcp\",\"exp\":%lld}", iss,
           (long long)clock_wall() + 60);
  return signer_token(s, payload);
}

static const char *const issuers[] = {ISSUER}, *const audiences[] = {"https://mcp"};
static const struct mcpauth_jwt_policy policy = {.issuers = {1, issuers},
                                                 .audiences = {1, audiences}};

static void done(void *arg, const struct keyset_answer *a)
{
  struct asked *x = arg;
  assert_int_equal(x->result, 0); /* once */
  x->result = a->result;
  assert_int_equal(a->claims != NULL, a->result == MCPAUTH_OK);
  if (a->claims)
    snprintf(x->subject, sizeof x->subject, "%s",
             json_string_value(json_object_get(a->claims, "sub")));
}

void ask_text(struct keyset *ks, const char *token, struct asked *x)
{
  *x = (struct asked){.result = 0};
  x->wait = keyset_verify(ks, str_of(token), &policy, done, x);
  assert_int_equal(x->wait == NULL, x->result != 0);
}

void ask(struct keyset *ks, const struct signer *s, struct asked *x)
{
  AUTO_FREE char *token = token_for(s, ISSUER);
  ask_text(ks, token, x);
}

/* The answer, which must come at once. */
enum mcpauth_result now(struct keyset *ks, const struct signer *s)
{
  struct asked x;
  ask(ks, s, &x);
  assert_null(x.wait);
  return x.result;
}

const struct keyset_env env = {.shm = (struct shm *)(void *)fetches,
                               .lane = (struct lane *)(void *)fetches,
                               .state_dir = state_dir};

struct keyset *open_source(struct keyset_source source)
{
  struct err e = {""};
  struct keyset *ks = keyset_open(&env, "corp", &source, &e);
  if (ks == NULL)
    fail_msg("%s", e.text);
  return ks;
}

struct keyset *open_uri(void)
{
  return open_source((struct keyset_source){.jwks_uri = URI});
}

/* With the old key in it, fetched now. */
struct keyset *open_filled(void)
{
  struct keyset *ks = open_uri();
  world_reply(200, old_keys, -1);
  return ks;
}

int world_setup(void **state)
{
  (void)state;
  memset(timers, 0, sizeof timers);
  memset(fetches, 0, sizeof fetches);
  world_fetches = 0;
  world_mark_ms = -1;
  world_set_time(0);
  snprintf(state_dir, sizeof state_dir, "/tmp/test_keyset.XXXXXX");
  return mkdtemp(state_dir) == NULL;
}

int world_teardown(void **state)
{
  (void)state;
  char command[128];
  for (unsigned i = 0; i < MAX_TIMERS; i++)
    assert_null(timers[i]);
  assert_null(world_fetch());
  clock_freeze(-1, -1);
  snprintf(command, sizeof command, "rm -rf %s", state_dir);
  return system(command);
}

void world_begin(void)
{
  old_key = signer_make(ALG_ES256, "old");
  new_key = signer_make(ALG_ES256, "new");
  old_keys = signers_jwks(&old_key, 1);
  new_keys = signers_jwks(&new_key, 1);
}

int world_end(int failed)
{
  free(old_keys);
  free(new_keys);
  signer_done(&old_key);
  signer_done(&new_key);
  return failed;
}
