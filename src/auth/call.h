/* One call of one provider for one line: copies of what it may look at, what it says, what it waits
 * for, its deadline.  Everything a provider passes is judged here: what is not allowed makes the
 * answer ERROR.  Private to src/auth. */
#ifndef AUTH_CALL_H
#define AUTH_CALL_H

#include "auth/host.h"

enum { CALL_REASON = 256 };

struct call_answer {
  enum mcpauth_result result; /* one of the seven, never PENDING */
  enum mcpauth_why why;
  char reason[CALL_REASON];    /* "" when none was given; the provider's words, unescaped */
  struct principal *principal; /* of an OK: now the receiver's, its claims included */
  json_t *claims;              /* account line: what it added, or NULL; now the receiver's */
  bool looked;                 /* at facts of the request */
};

typedef void call_done_fn(void *arg, struct call_answer *answer);

struct call_spec {
  struct mcpauth_instance *instance;
  bool account;
  const struct mcpauth_credential *credential; /* NULL: none */
  const struct mcpauth_facts *facts;
  struct principal *who; /* account: the granted principal */
  json_t *known;         /* account: its claims so far */
  call_done_fn *done;
  void *arg;
};

/* Calls the provider.  NULL: *RET is the answer already.  Else DONE will be called from the loop
 * unless call_cancel takes the call back. */
struct mcpauth_request *call_start(const struct call_spec *s, struct call_answer *ret);
void call_cancel(struct mcpauth_request *rq);
const struct mcpauth_facts *call_facts(const struct mcpauth_request *rq);
void call_answer_done(struct call_answer *a); /* drops what nobody took */

/* ---- for host.c and wait.c */

enum call_wait { WAIT_NOTHING = 0, WAIT_HTTP, WAIT_TIMER, WAIT_JOB, WAIT_KEYS };

struct mcpauth_request {
  struct call_spec spec;
  struct arena *arena; /* holds this struct too */
  unsigned refs;       /* the call itself, and a job that may still use the arena */
  bool over;           /* answered or cancelled: only a job keeps it */
  bool in_thread;      /* a job thread owns it: nobody else touches what follows */
  bool looked;
  enum mcpauth_result result; /* of a blocking callback */

  struct mcpauth_credential credential;
  struct mcpauth_facts facts;
  int64_t deadline_ms; /* clock_mono_ms */
  struct timer deadline;

  struct principal *principal;
  json_t *claims;
  size_t claim_bytes;
  const char *used; /* key for count_use */
  enum mcpauth_why why;
  char reason[CALL_REASON];
  char misuse[CALL_REASON]; /* the first thing it did that is not allowed */

  enum call_wait wait;
  void *then_arg;
  union {
    mcpauth_http_fn *http;
    mcpauth_timer_fn *timer;
    mcpauth_done_fn *job;
    mcpauth_jwt_fn *jwt;
  } then;
  struct fetch *fetch;
  struct timer timer;
  struct keyset_wait *keys;
  bool keys_starting; /* inside keyset_verify: the answer may come at once */
  enum mcpauth_result keys_result;
  struct job_box *box;
};

/* Records misuse (the first counts); MCPAUTH_ERROR. */
enum mcpauth_result call_misuse(struct mcpauth_request *rq, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A continuation has returned RESULT, in the loop. */
void call_resume(struct mcpauth_request *rq, enum mcpauth_result result);
void call_unref(struct mcpauth_request *rq);
int64_t call_left_ms(const struct mcpauth_request *rq);

/* wait.c: what mcpauth_host offers under the same names. */
enum mcpauth_result wait_http(struct mcpauth_request *rq,
                              const struct mcpauth_http_request *request, mcpauth_http_fn *then,
                              void *arg);
enum mcpauth_result wait_timer(struct mcpauth_request *rq, int64_t ms, mcpauth_timer_fn *then,
                               void *arg);
enum mcpauth_result wait_job(struct mcpauth_request *rq, mcpauth_job_fn *work,
                             mcpauth_done_fn *then, void *arg, void (*release)(void *arg));
enum mcpauth_result wait_jwt(struct mcpauth_request *rq, struct mcpauth_keyset *keys,
                             const struct mcpauth_jwt_policy *policy, struct mcpauth_bytes token,
                             mcpauth_jwt_fn *then, void *arg);
/* Runs verify or account of a blocking provider in a job thread. */
enum mcpauth_result wait_blocking(struct mcpauth_request *rq);
/* Takes back what RQ waits for. */
void wait_cancel(struct mcpauth_request *rq);

#endif
