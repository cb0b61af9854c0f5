/* Logging a person in through a provider (design section 10): runs the provider's login callbacks
 * with the same host functions, deadlines and cancellation as a line of a stack.  src/oauth calls
 * it; what a provider answers is judged here. */
#ifndef AUTH_LOGIN_H
#define AUTH_LOGIN_H

#include "auth/authenticate.h"

/* One login, as the hub knows it. */
struct login_request {
  const struct config_provider *provider;
  struct mcpauth_facts facts;
  struct mcpauth_login login; /* mcpauth/provider.h; copied */
  struct principal *who; /* refresh: whom the grant names, claims included: another person makes
                            it ERROR; NULL is for tests */
  struct arena *arena;   /* lives until done or cancel has returned */
};

/* Tokens of the identity provider, to be sealed into the store and handed back at refresh. */
struct login_tokens {
  struct str access_token, refresh_token; /* "" when there is none */
  int64_t access_expires_at;              /* 0: unknown */
  struct str extra;                       /* JSON object of the provider's own, or "" */
};

struct login_outcome {
  enum mcpauth_result result; /* OK; DENY: this person may not; INVALID: the grant upstream is over;
                                 UNAVAIL: cannot tell now; ERROR */
  const char *redirect;       /* begin: where to send the browser */
  struct principal *who; /* finish and refresh, of an OK: claims included; valid while DONE runs,
                            take a reference to keep it.  A refresh may answer the WHO that it
                            was asked about: nothing has changed */
  bool has_tokens;       /* TOKENS replace the old ones, whatever the result is: a provider that
                            rotates refresh tokens may have answered the first of two questions */
  struct login_tokens tokens; /* valid while DONE runs */
  const char *reason;         /* for the audit record */
};

typedef void login_done_fn(void *arg, const struct login_outcome *o);
struct login_run;

/* Whether the provider can log a person in. */
bool login_capable(const struct config_provider *p);
/* DONE may be called before these return (then NULL is returned). */
struct login_run *login_begin(struct auth *a, const struct login_request *rq, login_done_fn *done,
                              void *arg);
struct login_run *login_finish(struct auth *a, const struct login_request *rq, login_done_fn *done,
                               void *arg);
/* Asks the provider whether the person is still who she was; TOKENS are those of the last time. Let
 * it come to its end, also when the client that caused it has left: cancelled, it may take a
 * refresh token along that works only once. */
struct login_run *login_refresh(struct auth *a, const struct login_request *rq,
                                const struct login_tokens *tokens, login_done_fn *done, void *arg);
void login_cancel(struct login_run *r);

#endif
