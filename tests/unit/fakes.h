/* A provider made of one struct for tests of the host: its instance answers what the struct says.
 * And a world to run stacks in: a loop, jobs, one service, as many instances as a test wants. */
#ifndef TESTS_UNIT_FAKES_H
#define TESTS_UNIT_FAKES_H

#include "auth/authenticate.h"
#include "ops/jobs.h"
#include "ops/loop.h"

enum fake_way {
  FAKE_AT_ONCE = 0,
  FAKE_TIMER,            /* after delay_ms */
  FAKE_JOB,              /* after a job that takes delay_ms */
  FAKE_NEVER,            /* a timer that the deadline beats */
  FAKE_PENDING_BARE,     /* PENDING without having asked for anything */
  FAKE_TWO_TIMERS,       /* two requests at once */
  FAKE_TIMER_AND_ANSWER, /* answers while the timer runs */
  FAKE_SLEEP,            /* blocks for delay_ms: blocking providers only */
};

struct fake {
  enum mcpauth_result result;
  enum mcpauth_why why;
  const char *reason;
  const char *issuer, *subject; /* NULL subject: set_principal is not called */
  int64_t expires_at, reuse_ms;
  const char *scope;
  bool ignores; /* claims says no */
  bool looks;   /* at the facts */
  const char *claim_pointer, *claim_json;
  enum fake_way way;
  int64_t delay_ms;
  int calls, asked; /* of verify or account; of claims */
  int released;     /* jobs */
  char seen[128];   /* account lines: the principal's subject and /account as JSON */
};

enum { FAKE_MAX = 8 };

struct world {
  struct loop *loop;
  struct jobs *jobs;
  struct shm *shm;
  struct fetcher *fetcher; /* NULL unless the test sets it before world_start */
  struct auth *auth;
  struct config config;
  struct config_provider providers[FAKE_MAX];
  struct mcpauth_provider tables[FAKE_MAX];
  struct fake fakes[FAKE_MAX];
  struct config_line auth_lines[FAKE_MAX], account_lines[FAKE_MAX];
  struct config_service services[2];
};

/* What a request came to. */
struct asked {
  struct arena *arena;
  struct auth_run *run;
  struct auth_outcome outcome;
  bool done;
  struct world *world;
};

void world_init(struct world *w);
/* The instance number I is of a provider with FLAGS; returns its script. */
struct fake *world_provider(struct world *w, size_t i, uint32_t flags);
void world_auth_line(struct world *w, enum control control, size_t provider);
/* One `sufficient` line whose provider says OK for ann. */
struct fake *world_one_line(struct world *w, uint32_t flags);
void world_account_line(struct world *w, size_t provider);
void world_start(struct world *w);
void world_done(struct world *w);
/* CREDENTIAL may be NULL.  SERVICE is 0 or 1, both of the same stack. */
void ask_from(struct world *w, struct asked *a, const char *credential, size_t service,
              const char *address);
void ask(struct world *w, struct asked *a, const char *credential);
/* The same with *WHILE_ASKING true while auth_start runs. */
void ask_while(struct world *w, struct asked *a, const char *credential, bool *while_asking);
/* Turns the loop until N are done, for 60 s at most. */
void wait_for(struct world *w, struct asked *a, size_t n);
void turn_for(struct world *w, int64_t ms);
void asked_done(struct asked *a);
/* "STATUS line:RESULT line:RESULT …" with "*" behind cached lines and "-" behind those not called.
 */
const char *told(const struct asked *a);
/* Asks, waits, and compares what was told; a grant and 200 come together. */
void expect_told(struct world *w, const char *credential, const char *text);

#endif
