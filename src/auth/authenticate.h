/* Runs a service's stack for one request: claims, identity cache, single flight, calls of
 * providers with PENDING, deadlines and cancellation, the evaluator, account lines, and the trace
 * that audit and explain show.  Only here can a grant be made. */
#ifndef AUTH_AUTHENTICATE_H
#define AUTH_AUTHENTICATE_H

#include "auth/principal.h"
#include "auth/stack.h"
#include "util/buf.h"

struct keyring;
struct store;
struct auth;     /* one worker's: instances, caches, fetcher, jobs */
struct auth_run; /* one request at work */

/* A grant: the only key to src/http/upstream.h in the request's state machine.  Made by
 * authenticate.c alone. */
struct grant;
struct principal *grant_principal(const struct grant *g);
/* The principal's claims with what account lines added under /account. */
json_t *grant_claims(const struct grant *g);
void grant_free(struct grant *g);

/* What one line did. */
struct trace_line {
  const struct config_line *line;
  bool account, ran, cached;
  enum mcpauth_result result;
  enum mcpauth_why why;
  const char *reason; /* "" when none was given */
  int64_t us;
};

struct auth_outcome {
  enum verdict verdict;
  int status;           /* 200 for a grant, else 401 403 500 503 (design 7) */
  enum mcpauth_why why; /* for the description */
  struct grant *grant;  /* of VERDICT_GRANT: now the receiver's */
  /* whom a line had recognised, granted or not; NULL: nobody.  Valid while DONE runs. */
  const struct principal *who;
  const struct trace_line *trace;
  size_t n_trace;
  const struct trace_line *decided; /* the line that decided, or NULL */
};

struct auth_request {
  const struct config_service *service;
  const struct mcpauth_credential *credential; /* NULL: none */
  const unsigned char *digest;                 /* SHA-256 of its value; NULL: not made yet */
  struct mcpauth_facts facts;
  struct arena *arena; /* lives until done or cancel has returned */
};

typedef void auth_done_fn(void *arg, const struct auth_outcome *outcome);

/* DONE may be called before this returns (then NULL is returned). */
struct auth_run *auth_start(struct auth *a, const struct auth_request *rq, auth_done_fn *done,
                            void *arg);
void auth_cancel(struct auth_run *r);
/* Whether a line of the stack knows the credential already, so that to verify it costs nothing. */
bool auth_knows(struct auth *a, const struct auth_request *rq);

/* The worker's side.  START_ERROR: a provider's start failed; the worker must not serve. */
struct auth_options {
  const struct config *config;
  struct loop *loop;
  struct jobs *jobs;
  struct fetcher *fetcher;
  struct shm *shm;       /* NULL: no revocations are looked at */
  const char *state_dir; /* NULL: no uses are counted, no key sets kept */
  bool dry_run;          /* explain: nothing is counted, no identity reused */
  /* For the hub's own tokens, which the host verifies itself (hub_token.h); NULL: there are none */
  const struct keyring *keys;
  struct store *store;
};
struct auth *auth_new(const struct auth_options *o, struct err *e);
void auth_free(struct auth *a);
/* Grows whenever a file that a provider watches was read again: who was granted before may be none
 * now. */
uint64_t auth_files(const struct auth *a);

#endif
