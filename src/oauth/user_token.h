/* The token that a person's own identity provider issued for her, for services with `upstream_auth
 * user_token PROVIDER`: read from the store, and refreshed before it expires, one refresh at a time
 * over all workers.  What the caller sent never comes into it.  Called by src/hub. */
#ifndef OAUTH_USER_TOKEN_H
#define OAUTH_USER_TOKEN_H

#include "oauth/oauth.h"

enum {
  USER_TOKEN_EARLY_S = 120, /* refreshed when it would end sooner than that */
};

enum user_token_result {
  USER_TOKEN_OK = 1,
  USER_TOKEN_NONE,  /* she has not logged in through it, or it gave no token that still works */
  USER_TOKEN_ENDED, /* the provider says that it is over */
  USER_TOKEN_UNAVAILABLE,
};

struct user_token_request {
  const struct config_provider *provider;
  const struct config_service *service;
  struct principal *who; /* a reference is taken */
  const char *request_id, *address;
  bool tls;
};

/* TOKEN (of an OK) and WHY, for the record, are valid during the call. */
typedef void user_token_fn(void *arg, enum user_token_result result, struct str token,
                           const char *why);
struct user_token;

/* Never calls DONE before it returns.  NULL: out of memory, or too much waits. */
struct user_token *user_token_start(struct oauth *o, const struct user_token_request *rq,
                                    user_token_fn *done, void *arg);
/* DONE is not called.  A refresh that has begun comes to its end. */
void user_token_cancel(struct user_token *t); /* NULL is fine */
/* All of a worker's. */
void user_tokens_free(struct oauth *o);

#endif
