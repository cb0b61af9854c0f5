/* The scripted provider and the world around it; see fakes.h. */
#include "fakes.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/loader.h"
#include "ops/shm.h"
#include "util/limits.h"

static const struct mcpauth_host *const host = &host_functions;

static const char *const names[FAKE_MAX] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"};

/* ---- the provider */

static bool fake_claims(const void *config, void *state,
                        const struct mcpauth_credential *credential)
{
  struct fake *f = (struct fake *)(uintptr_t)config;
  (void)state;
  assert_non_null(credential);
  f->asked++;
  return !f->ignores;
}

static enum mcpauth_result fake_answer(struct mcpauth_request *rq, struct fake *f)
{
  if (f->looks)
    host->facts(rq);
  if (f->subject) {
    struct mcpauth_principal p = {.issuer = f->issuer ? f->issuer : "https://idp",
                                  .subject = f->subject,
                                  .expires_at = f->expires_at,
                                  .reuse_ms = f->reuse_ms,
                                  .scopes = {f->scope ? 1 : 0, &f->scope}};
    host->set_principal(rq, &p);
  }
  if (f->claim_pointer)
    host->set_claim(rq, f->claim_pointer, f->claim_json);
  if (f->reason)
    return host->refuse(rq, f->result, f->why, "%s", f->reason);
  return f->result;
}

static enum mcpauth_result after_timer(struct mcpauth_request *rq, void *arg)
{
  return fake_answer(rq, arg);
}

static void sleep_ms(int64_t ms)
{
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

struct job_arg {
  struct fake *fake;
  int64_t ms;
};

static void job_work(void *arg)
{
  struct job_arg *j = arg;
  sleep_ms(j->ms);
}

static void job_release(void *arg)
{
  struct job_arg *j = arg;
  j->fake->released++;
  free(j);
}

static enum mcpauth_result job_then(struct mcpauth_request *rq, void *arg)
{
  struct job_arg *j = arg;
  return fake_answer(rq, j->fake);
}

static enum mcpauth_result start_job(struct mcpauth_request *rq, struct fake *f)
{
  struct job_arg *j = malloc(sizeof *j);
  if (j == NULL)
    return MCPAUTH_ERROR;
  *j = (struct job_arg){f, f->delay_ms};
  return host->job(rq, job_work, job_then, j, job_release);
}

static enum mcpauth_result fake_run(struct mcpauth_request *rq, struct fake *f)
{
  switch (f->way) {
  case FAKE_AT_ONCE:
    return fake_answer(rq, f);
  case FAKE_TIMER:
    return host->timer(rq, f->delay_ms, after_timer, f);
  case FAKE_JOB:
    return start_job(rq, f);
  case FAKE_NEVER:
    return host->timer(rq, 1000000, after_timer, f);
  case FAKE_PENDING_BARE:
    return MCPAUTH_PENDING;
  case FAKE_TWO_TIMERS:
    host->timer(rq, 1, after_timer, f);
    return host->timer(rq, 1, after_timer, f);
  case FAKE_TIMER_AND_ANSWER:
    host->timer(rq, 1, after_timer, f);
    return fake_answer(rq, f);
  case FAKE_SLEEP:
    sleep_ms(f->delay_ms);
    return fake_answer(rq, f);
  }
  return MCPAUTH_ERROR;
}

static enum mcpauth_result fake_verify(struct mcpauth_request *rq, const void *config, void *state)
{
  struct fake *f = (struct fake *)(uintptr_t)config;
  (void)state;
  __atomic_add_fetch(&f->calls, 1, __ATOMIC_SEQ_CST);
  return fake_run(rq, f);
}

static enum mcpauth_result fake_account(struct mcpauth_request *rq, const void *config, void *state)
{
  struct fake *f = (struct fake *)(uintptr_t)config;
  (void)state;
  __atomic_add_fetch(&f->calls, 1, __ATOMIC_SEQ_CST);
  const struct mcpauth_principal *p = host->principal(rq);
  const char *added = host->claim_json(rq, host->principal_claims(rq), "/account");
  snprintf(f->seen, sizeof f->seen, "%s %s %s", p ? p->subject : "nobody", added ? added : "-",
           host->credential(rq) ? "credential" : "no credential");
  return fake_run(rq, f);
}

/* ---- the world */

void world_init(struct world *w)
{
  struct err e = {""};
  memset(w, 0, sizeof *w);
  w->loop = loop_new(&e);
  w->config.job_threads = 4;
  w->jobs = jobs_new(w->loop, w->config.job_threads, &e);
  w->shm = shm_create(&e);
  assert_true(w->loop && w->jobs && w->shm);
  w->config.providers = w->providers;
  w->config.services = w->services;
  w->config.n_services = 2;
  for (unsigned i = 0; i < 2; i++) {
    struct config_service *s = &w->services[i];
    s->index = i;
    s->name = i ? "other" : "notes";
    s->resource = i ? "https://mcp.example/other" : "https://mcp.example/notes";
    s->stack.auth = w->auth_lines;
    s->stack.account = w->account_lines;
  }
}

struct fake *world_provider(struct world *w, size_t i, uint32_t flags)
{
  w->tables[i] = (struct mcpauth_provider){
      .abi = MCPAUTH_ABI,
      .struct_size = sizeof(struct mcpauth_provider),
      .name = "fake",
      .flags = flags,
      .claims = fake_claims,
      .verify = fake_verify,
      .account = fake_account,
  };
  w->providers[i] = (struct config_provider){
      .name = names[i],
      .module = "fake",
      .table = &w->tables[i],
      .config = &w->fakes[i],
      .deadline_ms = 5000,
      .index = (unsigned)i,
  };
  if (w->config.n_providers <= i)
    w->config.n_providers = i + 1;
  return &w->fakes[i];
}

void world_auth_line(struct world *w, enum control control, size_t provider)
{
  struct config_stack *s = &w->services[0].stack;
  w->auth_lines[s->n_auth++] =
      (struct config_line){.control = control, .provider = &w->providers[provider]};
  w->services[1].stack.n_auth = s->n_auth;
}

struct fake *world_one_line(struct world *w, uint32_t flags)
{
  struct fake *f = world_provider(w, 0, flags);
  f->result = MCPAUTH_OK;
  f->subject = "ann";
  world_auth_line(w, CONTROL_SUFFICIENT, 0);
  return f;
}

void world_account_line(struct world *w, size_t provider)
{
  struct config_stack *s = &w->services[0].stack;
  w->account_lines[s->n_account++] = (struct config_line){.provider = &w->providers[provider]};
  w->services[1].stack.n_account = s->n_account;
}

void world_start(struct world *w)
{
  struct err e = {""};
  struct auth_options o = {
      .config = &w->config, .loop = w->loop, .jobs = w->jobs, .fetcher = w->fetcher, .shm = w->shm};
  w->auth = auth_new(&o, &e);
  assert_string_equal(e.text, "");
  assert_non_null(w->auth);
}

void world_done(struct world *w)
{
  auth_free(w->auth);
  jobs_free(w->jobs, 2000);
  loop_free(w->loop);
}

/* ---- asking */

static void on_done(void *arg, const struct auth_outcome *o)
{
  struct asked *a = arg;
  assert_false(a->done); /* once */
  a->outcome = *o;
  a->done = true;
  a->run = NULL;
}

static void ask_for(struct world *w, struct asked *a, const char *credential, size_t service,
                    const char *address, bool *while_asking)
{
  memset(a, 0, sizeof *a);
  a->world = w;
  a->arena = arena_new(LIMIT_REQUEST_ARENA);
  assert_non_null(a->arena);
  struct mcpauth_credential c = {.source = MCPAUTH_FROM_BEARER, .name = ""};
  if (credential)
    c.value = (struct mcpauth_bytes){credential, strlen(credential)};
  struct mcpauth_credential *kept = arena_new_of(a->arena, struct mcpauth_credential);
  *kept = c;
  struct auth_request rq = {
      .service = &w->services[service],
      .credential = credential ? kept : NULL,
      .facts = {.request_id = "r1",
                .service = w->services[service].name,
                .resource = w->services[service].resource,
                .address = address,
                .method = "POST"},
      .arena = a->arena,
  };
  *while_asking = true;
  struct auth_run *run = auth_start(w->auth, &rq, on_done, a);
  *while_asking = false;
  assert_true(a->done == (run == NULL));
  a->run = run;
}

void ask_from(struct world *w, struct asked *a, const char *credential, size_t service,
              const char *address)
{
  bool unused;
  ask_for(w, a, credential, service, address, &unused);
}

void ask_while(struct world *w, struct asked *a, const char *credential, bool *while_asking)
{
  ask_for(w, a, credential, 0, "192.0.2.1", while_asking);
}

void ask(struct world *w, struct asked *a, const char *credential)
{
  ask_from(w, a, credential, 0, "192.0.2.1");
}

struct bound {
  struct timer timer;
  struct world *w;
  bool over;
};

static void bound_fired(struct timer *t)
{
  struct bound *b = (struct bound *)(void *)t;
  b->over = true;
  loop_stop(b->w->loop);
}

void turn_for(struct world *w, int64_t ms)
{
  struct bound b = {{.fire = bound_fired}, w, false};
  assert_int_equal(loop_timer_set(w->loop, &b.timer, ms), 0);
  loop_run(w->loop);
  assert_true(b.over);
}

void wait_for(struct world *w, struct asked *a, size_t n)
{
  for (int turns = 0; turns < 12000; turns++) {
    size_t done = 0;
    for (size_t i = 0; i < n; i++)
      done += a[i].done;
    if (done == n)
      return;
    turn_for(w, 5);
  }
  fail_msg("not done within 60 s");
}

void asked_done(struct asked *a)
{
  if (a->run)
    auth_cancel(a->run);
  grant_free(a->outcome.grant);
  arena_free(a->arena);
  memset(a, 0, sizeof *a);
}

const char *told(const struct asked *a)
{
  static char text[512];
  size_t n = (size_t)snprintf(text, sizeof text, "%d", a->outcome.status);
  for (size_t i = 0; i < a->outcome.n_trace && n < sizeof text; i++) {
    const struct trace_line *t = &a->outcome.trace[i];
    n += (size_t)snprintf(text + n, sizeof text - n, " %s:%s%s", t->line->provider->name,
                          result_name(t->result),
                          t->cached ? "*"
                          : t->ran  ? ""
                                    : "-");
  }
  return text;
}

void expect_told(struct world *w, const char *credential, const char *text)
{
  struct asked a;
  ask(w, &a, credential);
  wait_for(w, &a, 1);
  assert_string_equal(told(&a), text);
  assert_true((a.outcome.grant != NULL) == (a.outcome.status == 200));
  assert_true((a.outcome.verdict == VERDICT_GRANT) == (a.outcome.status == 200));
  asked_done(&a);
}
