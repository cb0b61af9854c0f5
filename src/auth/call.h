/* One call of one provider, for a line of a stack or a step of a login: copies of what it may look
 * at, what it says, what it waits for, its deadline.  Everything a provider passes is judged here:
 * what is not allowed makes the answer ERROR.  For src/auth, and for the conformance test
 * (src/cli/conform_world.c), which is a host of one provider itself. */
#ifndef AUTH_CALL_H
#define AUTH_CALL_H

#include "auth/host.h"

enum { CALL_REASON = 256 };

enum call_kind { CALL_VERIFY = 1, CALL_ACCOUNT, CALL_LOGIN_BEGIN, CALL_LOGIN_FINISH, CALL_REFRESH };

/* What a login callback said besides its principal; on the heap, overwritten when freed. */
struct call_said {
  char *redirect; /* NULL: none */
  bool has_tokens;
  char *access_token, *refresh_token, *extra; /* NULL: none */
  int64_t access_expires_at;
};

struct call_answer {
  enum mcpauth_result result; /* one of the seven, never PENDING */
  enum mcpauth_why why;
  char reason[CALL_REASON];    /* "" when none was given; the provider's words, unescaped */
  struct principal *principal; /* of an OK: now the receiver's, its claims included */
  json_t *claims;              /* account line: what it added, or NULL; now the receiver's */
  struct call_said *said;      /* login callbacks, whatever the result; or NULL */
  bool looked;                 /* at facts of the request */
};

typedef void call_done_fn(void *arg, struct call_answer *answer);

struct call_spec {
  struct mcpauth_instance *instance;
  enum call_kind kind;
  const struct mcpauth_credential *credential; /* NULL: none */
  const struct mcpauth_facts *facts;
  struct principal *who; /* account: whom the stack granted; refresh: the grant's, or NULL */
  json_t *known;         /* claims of WHO so far */
  const struct mcpauth_login *login;   /* login callbacks */
  const struct mcpauth_tokens *tokens; /* refresh */
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
  struct mcpauth_login login;
  struct mcpauth_tokens tokens;
  struct call_said *said;
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

/* Calls the callback that the call is for; the loop's thread, or a job's. */
enum mcpauth_result call_callback(struct mcpauth_request *rq);
/* What the login callback has said so far, made when it is not there; NULL when memory is short. */
struct call_said *call_say(struct mcpauth_request *rq);
/* Records misuse (the first counts); MCPAUTH_ERROR. */
enum mcpauth_result call_misuse(struct mcpauth_request *rq, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A continuation has returned RESULT, in the loop. */
void call_resume(struct mcpauth_request *rq, enum mcpauth_result result);
void call_unref(struct mcpauth_request *rq);
int64_t call_left_ms(const struct mcpauth_request *rq);

/* host_login.c: what mcpauth_host offers under the same names. */
const struct mcpauth_login *host_login(struct mcpauth_request *rq);
const struct mcpauth_tokens *host_tokens(struct mcpauth_request *rq);
int host_login_redirect(struct mcpauth_request *rq, const char *url);
int host_set_tokens(struct mcpauth_request *rq, const struct mcpauth_tokens *tokens);
const char *host_form(struct mcpauth_request *rq, const struct mcpauth_list *pairs);

/* host_oauth.c */
const char *host_text(struct mcpauth_request *rq, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum mcpauth_result host_authorize(struct mcpauth_request *rq, const char *endpoint,
                                   const char *client_id, const struct mcpauth_list *more);
enum mcpauth_result host_grant(struct mcpauth_request *rq, const struct mcpauth_grant *grant,
                               mcpauth_grant_fn *then, void *arg);
enum mcpauth_result host_ask(struct mcpauth_request *rq, const struct mcpauth_question *question,
                             mcpauth_answer_fn *then, void *arg);
/* A continuation's RESULT with its reason. */
enum mcpauth_result call_because(struct mcpauth_request *rq, enum mcpauth_result result,
                                 enum mcpauth_why why, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* openid.c */
enum mcpauth_result host_discover(struct mcpauth_request *rq, struct mcpauth_issuer *issuer,
                                  mcpauth_issuer_fn *then, void *arg);
enum mcpauth_result host_id_token(struct mcpauth_request *rq, const struct mcpauth_id_token *id,
                                  mcpauth_jwt_fn *then, void *arg);

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
/* The same for an ID token; what binds it to the login is looked at in openid.c. */
enum mcpauth_result wait_id_token(struct mcpauth_request *rq, struct mcpauth_keyset *keys,
                                  const struct mcpauth_jwt_policy *policy,
                                  struct mcpauth_bytes token, mcpauth_jwt_fn *then, void *arg);
/* Runs the callback of a blocking provider in a job thread. */
enum mcpauth_result wait_blocking(struct mcpauth_request *rq);
/* Takes back what RQ waits for. */
void wait_cancel(struct mcpauth_request *rq);

#endif
