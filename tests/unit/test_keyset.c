/* Key sets over days of simulated time: the loop's timers, the fetcher, the hub-wide mark and the
 * jobs are played here, so that an outage of a day takes no time and every fetch is counted.  Rows
 * 4, 16, 25, 163, 185 and reliability R8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/keyset.h"
#include "jose.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define ISSUER "https://idp.example/realm"
#define URI    "https://idp.example/jwks"

enum { MAX_TIMERS = 32, MAX_FETCHES = 8, SECOND = 1000, MINUTE = 60000, HOUR = 3600000 };

/* ------------------------------------------------------------------ the world */

static const int64_t begin_wall = 1800000000000, begin_mono = 5000000;
static int64_t now_ms; /* since the beginning */
static struct timer *timers[MAX_TIMERS];

struct fetch {
  bool used;
  char url[256];
  fetch_done_fn *done;
  void *arg;
};
static struct fetch fetches[MAX_FETCHES];
static unsigned n_fetches; /* ever */
static int64_t mark_ms;    /* of the last forced fetch over the hub; -1: none */
static char state_dir[64];

static void set_time(int64_t ms)
{
  now_ms = ms;
  clock_freeze(begin_wall + ms, begin_mono + ms);
}

int loop_timer_set(struct loop *l, struct timer *t, int64_t ms)
{
  (void)l;
  loop_timer_stop(l, t);
  for (unsigned i = 0; i < MAX_TIMERS; i++)
    if (timers[i] == NULL) {
      timers[i] = t;
      t->due_ms = now_ms + ms;
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
      n_fetches++;
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
  if (mark_ms >= 0 && now_ms - mark_ms < interval_ms)
    return false;
  mark_ms = now_ms;
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
static void pass(int64_t ms)
{
  int64_t until = now_ms + ms;
  for (;;) {
    struct timer *next = NULL;
    for (unsigned i = 0; i < MAX_TIMERS; i++)
      if (timers[i] && timers[i]->due_ms <= until && (!next || timers[i]->due_ms < next->due_ms))
        next = timers[i];
    if (next == NULL)
      break;
    set_time(next->due_ms > now_ms ? next->due_ms : now_ms);
    loop_timer_stop(NULL, next);
    next->fire(next);
  }
  set_time(until);
}

static struct fetch *running(void)
{
  for (unsigned i = 0; i < MAX_FETCHES; i++)
    if (fetches[i].used)
      return &fetches[i];
  return NULL;
}

static void reply(int status, const char *body, int64_t max_age_s)
{
  struct fetch *x = running(), copy;
  assert_non_null(x);
  copy = *x;
  x->used = false;
  struct fetch_reply r = {status, status ? "" : "connection refused", "application/json", max_age_s,
                          str_of(body)};
  copy.done(copy.arg, &r);
}

/* ------------------------------------------------------------------ keys and tokens */

static struct signer old_key, new_key;
static char *old_keys, *new_keys;

static char *token_for(const struct signer *s, const char *iss)
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

struct asked {
  enum mcpauth_result result; /* 0: waits */
  char subject[32];
  struct keyset_wait *wait;
};

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

static void ask_text(struct keyset *ks, const char *token, struct asked *x)
{
  *x = (struct asked){.result = 0};
  x->wait = keyset_verify(ks, str_of(token), &policy, done, x);
  assert_int_equal(x->wait == NULL, x->result != 0);
}

static void ask(struct keyset *ks, const struct signer *s, struct asked *x)
{
  AUTO_FREE char *token = token_for(s, ISSUER);
  ask_text(ks, token, x);
}

/* The answer, which must come at once. */
static enum mcpauth_result now(struct keyset *ks, const struct signer *s)
{
  struct asked x;
  ask(ks, s, &x);
  assert_null(x.wait);
  return x.result;
}

static const struct keyset_env env = {.lane = (struct lane *)(void *)fetches,
                                      .state_dir = state_dir};

static struct keyset *open_source(struct keyset_source source)
{
  struct err e = {""};
  struct keyset *ks = keyset_open(&env, "corp", &source, &e);
  if (ks == NULL)
    fail_msg("%s", e.text);
  return ks;
}

static struct keyset *open_uri(void)
{
  return open_source((struct keyset_source){.jwks_uri = URI});
}

/* With the old key in it, fetched now. */
static struct keyset *open_filled(void)
{
  struct keyset *ks = open_uri();
  reply(200, old_keys, -1);
  return ks;
}

static int setup(void **state)
{
  (void)state;
  memset(timers, 0, sizeof timers);
  memset(fetches, 0, sizeof fetches);
  n_fetches = 0;
  mark_ms = -1;
  set_time(0);
  snprintf(state_dir, sizeof state_dir, "/tmp/test_keyset.XXXXXX");
  return mkdtemp(state_dir) == NULL;
}

static int teardown(void **state)
{
  (void)state;
  char command[128];
  for (unsigned i = 0; i < MAX_TIMERS; i++)
    assert_null(timers[i]);
  assert_null(running());
  clock_freeze(-1, -1);
  snprintf(command, sizeof command, "rm -rf %s", state_dir);
  return system(command);
}

/* ------------------------------------------------------------------ arriving */

static void the_first_caller_waits_for_the_first_keys(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_uri();
  ask(ks, &old_key, &x);
  assert_non_null(x.wait);
  assert_string_equal(running()->url, URI);
  reply(200, old_keys, -1);
  assert_int_equal(x.result, MCPAUTH_OK);
  assert_string_equal(x.subject, "ann");
  keyset_free(ks);
}

static void without_any_keys_the_answer_is_unavailable(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_uri();
  ask(ks, &old_key, &x);
  reply(0, "", -1);
  assert_int_equal(x.result, MCPAUTH_UNAVAIL);
  assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

/* row 163: unknown issuers cause no fetch and need no keys. */
static void a_foreign_issuer_is_invalid_without_keys_or_a_wait(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_uri();
  AUTO_FREE char *token = token_for(&old_key, "https://other.example");
  ask_text(ks, token, &x);
  assert_int_equal(x.result, MCPAUTH_INVALID);
  assert_int_equal(n_fetches, 1);
  keyset_free(ks);
}

static void what_is_no_jwt_is_ignored(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_uri();
  ask_text(ks, "mcpa_opaque", &x);
  assert_int_equal(x.result, MCPAUTH_IGNORE);
  keyset_free(ks);
}

static void a_wait_that_is_cancelled_is_not_answered(void **state)
{
  (void)state;
  struct asked x, y;
  struct keyset *ks = open_uri();
  ask(ks, &old_key, &x);
  ask(ks, &old_key, &y);
  keyset_cancel(x.wait);
  reply(200, old_keys, -1);
  assert_int_equal(x.result, 0);
  assert_int_equal(y.result, MCPAUTH_OK);
  keyset_free(ks);
}

static void documents_that_are_no_keys_are_failures(void **state)
{
  (void)state;
  static const char *const bodies[] = {"",
                                       "<html>",
                                       "{}",
                                       "{\"keys\":[]}",
                                       "[]",
                                       "{\"keys\":{}}",
                                       "{\"keys\":[{\"kty\":\"RSA\"}]}",
                                       "{\"keys\":[1]}"};
  struct keyset *ks = open_filled();
  for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
    pass(i == 0 ? 8 * MINUTE : 10 * SECOND);
    assert_non_null(running());
    reply(200, bodies[i], -1);
    assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  }
  keyset_free(ks);
}

/* ------------------------------------------------------------------ staying fresh */

static int64_t refreshed_after(int64_t max_age_s)
{
  struct keyset *ks = open_uri();
  reply(200, old_keys, max_age_s);
  int64_t from = now_ms;
  while (running() == NULL && now_ms - from < 48 * HOUR)
    pass(SECOND);
  int64_t took = now_ms - from;
  keyset_free(ks);
  set_time(now_ms + 72 * HOUR); /* what is stored is of no use to the next */
  return took;
}

/* R8: three quarters of the lifetime, a twentieth either way. */
static void keys_are_refreshed_before_they_are_old(void **state)
{
  (void)state;
  static const struct {
    int64_t max_age_s, lifetime_ms;
  } cases[] = {{-1, 10 * MINUTE}, {0, MINUTE},         {59, MINUTE},
               {120, 2 * MINUTE}, {864000, 24 * HOUR}, {INT64_MAX, 24 * HOUR}};
  for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
    int64_t took = refreshed_after(cases[i].max_age_s);
    assert_in_range(took, cases[i].lifetime_ms * 69 / 100,
                    cases[i].lifetime_ms * 81 / 100 + SECOND);
  }
}

static void a_refresh_makes_nobody_wait(void **state)
{
  (void)state;
  struct keyset *ks = open_filled();
  pass(9 * MINUTE);
  assert_non_null(running());
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

/* R8: 0 failed requests for known keys during 30 minutes without the issuer. */
static void known_keys_serve_through_an_outage(void **state)
{
  (void)state;
  struct keyset *ks = open_filled();
  for (int64_t end = now_ms + 40 * MINUTE; now_ms < end;) {
    pass(5 * SECOND);
    if (running())
      reply(503, "", -1);
    assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
    if (now_ms > 9 * MINUTE) /* whether there is a new key, nobody can tell */
      assert_int_equal(now(ks, &new_key), MCPAUTH_UNAVAIL);
  }
  keyset_free(ks);
}

static void keys_are_given_up_a_day_after_they_were_old(void **state)
{
  (void)state;
  struct keyset *ks = open_filled();
  for (int64_t end = now_ms + 24 * HOUR + 9 * MINUTE; now_ms < end;) {
    pass(MINUTE);
    if (running())
      reply(0, "", -1);
  }
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  for (int i = 0; i < 3; i++) {
    pass(MINUTE);
    if (running())
      reply(0, "", -1);
  }
  assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

/* R8: the breaker opens after 5 failures, probes every 10 s, closes within 15 s. */
static void a_dead_source_is_probed_every_ten_seconds(void **state)
{
  (void)state;
  struct keyset *ks = open_uri();
  for (int i = 0; i < 5; i++) {
    while (running() == NULL)
      pass(100);
    reply(0, "", -1);
  }
  unsigned before = n_fetches;
  for (int64_t end = now_ms + MINUTE; now_ms < end;) {
    pass(100);
    assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL); /* nobody waits */
    if (running())
      reply(0, "", -1);
  }
  assert_in_range(n_fetches - before, 5, 7);
  int64_t back = now_ms;
  while (running() == NULL)
    pass(100);
  reply(200, old_keys, -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  assert_true(now_ms - back <= 15 * SECOND);
  keyset_free(ks);
}

/* row 185: a clock that jumps ten years ahead costs one fetch. */
static void a_jump_of_the_clock_causes_no_storm(void **state)
{
  (void)state;
  struct keyset *ks = open_filled();
  unsigned before = n_fetches;
  clock_freeze(begin_wall + 315360000000, begin_mono + now_ms);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  assert_true(n_fetches - before <= 1);
  keyset_free(ks);
}

/* ------------------------------------------------------------------ unknown keys */

static void a_rotation_is_followed_with_one_fetch(void **state)
{
  (void)state;
  struct asked x[50];
  struct keyset *ks = open_filled();
  for (size_t i = 0; i < ARRAY_SIZE(x); i++)
    ask(ks, &new_key, &x[i]);
  assert_int_equal(n_fetches, 2);
  reply(200, new_keys, -1);
  for (size_t i = 0; i < ARRAY_SIZE(x); i++)
    assert_int_equal(x[i].result, MCPAUTH_OK);
  keyset_free(ks);
}

static void a_kid_that_nobody_knows_is_invalid_after_one_fetch(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_filled();
  ask(ks, &new_key, &x);
  assert_non_null(x.wait);
  reply(200, old_keys, -1);
  assert_int_equal(x.result, MCPAUTH_INVALID);
  assert_int_equal(now(ks, &new_key), MCPAUTH_INVALID);
  assert_int_equal(n_fetches, 2);
  keyset_free(ks);
}

/* row 163: 100,000 random kids in 30 s: at most 2 fetches. */
static void a_flood_of_unknown_kids_costs_two_fetches(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_filled();
  unsigned before = n_fetches;
  char kid[32];
  for (int i = 0; i < 2000; i++) {
    struct signer s = new_key;
    snprintf(kid, sizeof kid, "kid-%d", i);
    s.kid = kid;
    AUTO_FREE char *token = token_for(&s, ISSUER);
    for (int again = 0; again < 50; again++) {
      ask_text(ks, token, &x);
      if (x.wait)
        reply(200, old_keys, -1);
      assert_int_equal(x.result, MCPAUTH_INVALID);
    }
    pass(14);
  }
  assert_true(now_ms <= 30 * SECOND);
  assert_true(n_fetches - before <= 2);
  keyset_free(ks);
}

static void a_forced_fetch_that_fails_is_unavailable(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_filled();
  ask(ks, &new_key, &x);
  reply(500, "", -1);
  assert_int_equal(x.result, MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

/* The first worker fetches; the other, which may not, takes what it has stored. */
static void workers_share_one_fetch(void **state)
{
  (void)state;
  struct asked x, y;
  struct keyset *a = open_filled(), *b = open_uri(); /* b reads what a has stored */
  assert_null(running());
  assert_int_equal(now(b, &old_key), MCPAUTH_OK);
  pass(SECOND);
  ask(a, &new_key, &x);
  ask(b, &new_key, &y);
  assert_non_null(y.wait);
  pass(SECOND);
  assert_int_equal(n_fetches, 2);
  reply(200, new_keys, -1);
  assert_int_equal(x.result, MCPAUTH_OK);
  pass(SECOND);
  assert_int_equal(y.result, MCPAUTH_OK);
  assert_int_equal(n_fetches, 2);
  keyset_free(a);
  keyset_free(b);
}

static void a_worker_that_may_not_fetch_waits_three_seconds_at_most(void **state)
{
  (void)state;
  struct asked x;
  struct keyset *ks = open_filled();
  mark_ms = now_ms; /* somebody has just fetched */
  ask(ks, &new_key, &x);
  assert_non_null(x.wait);
  pass(3500);
  assert_int_equal(x.result, MCPAUTH_INVALID);
  assert_int_equal(now(ks, &new_key), MCPAUTH_INVALID);
  keyset_free(ks);
}

/* ------------------------------------------------------------------ across restarts */

static void stored_path(char *out, size_t size)
{
  char command[160];
  snprintf(command, sizeof command, "ls %s/keys/*", state_dir);
  FILE *p = popen(command, "r");
  assert_non_null(fgets(out, (int)size, p));
  out[strcspn(out, "\n")] = 0;
  assert_int_equal(pclose(p), 0);
}

static void a_restart_during_an_outage_changes_nothing(void **state)
{
  (void)state;
  char path[256];
  struct stat st;
  keyset_free(open_filled());
  stored_path(path, sizeof path);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  pass(20 * HOUR);
  struct keyset *ks = open_uri();
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  pass(SECOND);
  assert_non_null(running()); /* they are old: a fetch is under way */
  reply(0, "", -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

static void fresh_stored_keys_need_no_fetch(void **state)
{
  (void)state;
  keyset_free(open_filled());
  pass(MINUTE);
  struct keyset *ks = open_uri();
  pass(MINUTE);
  assert_int_equal(n_fetches, 1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

static void stored_keys_are_given_up_in_time(void **state)
{
  (void)state;
  keyset_free(open_filled());
  pass(25 * HOUR);
  struct keyset *ks = open_uri();
  struct asked x;
  ask(ks, &old_key, &x);
  assert_non_null(x.wait); /* for new ones */
  reply(0, "", -1);
  assert_int_equal(x.result, MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

static void spoil(const char *what)
{
  char path[256], command[400];
  stored_path(path, sizeof path);
  snprintf(command, sizeof command, "f=%s; %s", path, what);
  assert_int_equal(system(command), 0);
}

static void assert_not_used(const char *what)
{
  struct asked x;
  keyset_free(open_filled());
  spoil(what);
  struct keyset *ks = open_uri();
  ask(ks, &old_key, &x);
  assert_non_null(x.wait); /* for the fetch */
  keyset_cancel(x.wait);
  keyset_free(ks);
  spoil("rm -f $f");
}

static void spoilt_stored_keys_are_not_used(void **state)
{
  (void)state;
  assert_not_used("echo '{' > $f");
  assert_not_used(": > $f");
  assert_not_used("chmod 0622 $f");
  assert_not_used("sed -i 's,idp.example/jwks,other.example/jwks,g' $f");
  assert_not_used("sed -i 's,\"keys\",\"k\",' $f");
  assert_not_used("sed -i 's,\"fetched\":,\"fetched\":-,' $f");
  assert_not_used("sed -i 's,\"lifetime\":600,\"lifetime\":99999999,' $f");
}

/* ------------------------------------------------------------------ discovery */

static struct keyset *open_issuer(const char *issuer)
{
  return open_source((struct keyset_source){.issuer = issuer});
}

static void keys_are_found_by_openid_discovery(void **state)
{
  (void)state;
  struct keyset *ks = open_issuer(ISSUER);
  assert_string_equal(running()->url, ISSUER "/.well-known/openid-configuration");
  reply(200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" URI "\"}", -1);
  assert_string_equal(running()->url, URI);
  reply(200, old_keys, -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

/* RFC 8414 section 3: the well-known part stands before the issuer's path. */
static void keys_are_found_by_oauth_metadata_where_openid_is_not(void **state)
{
  (void)state;
  struct keyset *ks = open_issuer(ISSUER);
  reply(404, "", -1);
  assert_string_equal(running()->url,
                      "https://idp.example/.well-known/oauth-authorization-server/realm");
  reply(200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" URI "\"}", -1);
  reply(200, old_keys, -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

static void a_slash_at_the_end_of_the_issuer_is_not_doubled(void **state)
{
  (void)state;
  struct keyset *ks = open_issuer("https://idp.example/");
  assert_string_equal(running()->url, "https://idp.example/.well-known/openid-configuration");
  reply(404, "", -1);
  assert_string_equal(running()->url, "https://idp.example/.well-known/oauth-authorization-server");
  keyset_free(ks);
}

static void metadata_of_somebody_else_is_refused(void **state)
{
  (void)state;
  static const char *const documents[] = {
      "{\"issuer\":\"https://idp.example/realm/\",\"jwks_uri\":\"" URI "\"}",
      "{\"issuer\":\"https://idp.example/Realm\",\"jwks_uri\":\"" URI "\"}",
      "{\"issuer\":\"https://evil.example\",\"jwks_uri\":\"" URI "\"}",
      "{\"jwks_uri\":\"" URI "\"}",
      "{\"issuer\":[\"" ISSUER "\"],\"jwks_uri\":\"" URI "\"}",
      "{\"issuer\":\"" ISSUER "\"}",
      "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://idp.example/jwks\"}",
      "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://127.0.0.1/jwks\"}",
      "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"file:///etc/passwd\"}",
      "{\"issuer\":\"" ISSUER "\",\"issuer\":\"https://evil.example\",\"jwks_uri\":\"" URI "\"}",
      "not json",
  };
  for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
    struct keyset *ks = open_issuer(ISSUER);
    reply(200, documents[i], -1);
    assert_null(running());
    assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL);
    keyset_free(ks);
  }
}

static void a_redirect_is_a_failure(void **state)
{
  (void)state;
  struct keyset *ks = open_uri();
  reply(302, "", -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_UNAVAIL);
  keyset_free(ks);
}

/* ------------------------------------------------------------------ files, secrets, mistakes */

static void write_file(const char *path, const char *text, mode_t mode)
{
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  assert_int_equal(chmod(path, mode), 0);
}

static void a_key_file_is_read_again_and_a_bad_one_is_not(void **state)
{
  (void)state;
  char path[128];
  snprintf(path, sizeof path, "%s/keys.jwks", state_dir);
  write_file(path, old_keys, 0644);
  struct keyset *ks = open_source((struct keyset_source){.file = path});
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  assert_int_equal(now(ks, &new_key), MCPAUTH_INVALID);
  write_file(path, "rubbish", 0644);
  pass(2 * SECOND);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  write_file(path, new_keys, 0666); /* others can write it */
  pass(2 * SECOND);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  write_file(path, new_keys, 0644);
  pass(2 * SECOND);
  assert_int_equal(now(ks, &new_key), MCPAUTH_OK);
  assert_int_equal(n_fetches, 0);
  keyset_free(ks);
}

static void a_shared_secret_verifies_hs_only(void **state)
{
  (void)state;
  struct signer hs = signer_make(ALG_HS256, NULL);
  struct keyset *ks = open_source((struct keyset_source){.shared = hs.secret});
  assert_int_equal(now(ks, &hs), MCPAUTH_OK);
  assert_int_equal(now(ks, &old_key), MCPAUTH_INVALID);
  keyset_free(ks);
}

static void unusable_sources_are_refused(void **state)
{
  (void)state;
  char path[128];
  snprintf(path, sizeof path, "%s/keys.jwks", state_dir);
  write_file(path, old_keys, 0666);
  const struct keyset_source sources[] = {
      {.file = NULL},
      {.jwks_uri = URI, .issuer = ISSUER},
      {.jwks_uri = "http://idp.example/jwks"},
      {.jwks_uri = "idp.example"},
      {.issuer = "http://idp.example"},
      {.file = "/nonexistent/keys"},
      {.file = "/dev/null"},
      {.file = path},
      {.shared = STR("too short")},
  };
  for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
    struct err e = {""};
    assert_null(keyset_open(&env, "corp", &sources[i], &e));
    assert_true(e.text[0]);
  }
}

static void plain_http_is_for_loopback(void **state)
{
  (void)state;
  struct keyset *ks = open_source((struct keyset_source){.jwks_uri = "http://127.0.0.1:8080/jwks"});
  reply(200, old_keys, -1);
  assert_int_equal(now(ks, &old_key), MCPAUTH_OK);
  keyset_free(ks);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(the_first_caller_waits_for_the_first_keys),
      TEST(without_any_keys_the_answer_is_unavailable),
      TEST(a_foreign_issuer_is_invalid_without_keys_or_a_wait),
      TEST(what_is_no_jwt_is_ignored),
      TEST(a_wait_that_is_cancelled_is_not_answered),
      TEST(documents_that_are_no_keys_are_failures),
      TEST(keys_are_refreshed_before_they_are_old),
      TEST(a_refresh_makes_nobody_wait),
      TEST(known_keys_serve_through_an_outage),
      TEST(keys_are_given_up_a_day_after_they_were_old),
      TEST(a_dead_source_is_probed_every_ten_seconds),
      TEST(a_jump_of_the_clock_causes_no_storm),
      TEST(a_rotation_is_followed_with_one_fetch),
      TEST(a_kid_that_nobody_knows_is_invalid_after_one_fetch),
      TEST(a_flood_of_unknown_kids_costs_two_fetches),
      TEST(a_forced_fetch_that_fails_is_unavailable),
      TEST(workers_share_one_fetch),
      TEST(a_worker_that_may_not_fetch_waits_three_seconds_at_most),
      TEST(a_restart_during_an_outage_changes_nothing),
      TEST(fresh_stored_keys_need_no_fetch),
      TEST(stored_keys_are_given_up_in_time),
      TEST(spoilt_stored_keys_are_not_used),
      TEST(keys_are_found_by_openid_discovery),
      TEST(keys_are_found_by_oauth_metadata_where_openid_is_not),
      TEST(a_slash_at_the_end_of_the_issuer_is_not_doubled),
      TEST(metadata_of_somebody_else_is_refused),
      TEST(a_redirect_is_a_failure),
      TEST(a_key_file_is_read_again_and_a_bad_one_is_not),
      TEST(a_shared_secret_verifies_hs_only),
      TEST(unusable_sources_are_refused),
      TEST(plain_http_is_for_loopback),
  };
  old_key = signer_make(ALG_ES256, "old");
  new_key = signer_make(ALG_ES256, "new");
  old_keys = signers_jwks(&old_key, 1);
  new_keys = signers_jwks(&new_key, 1);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  free(old_keys);
  free(new_keys);
  signer_done(&old_key);
  signer_done(&new_key);
  return failed;
}
