/* One refresh at work (token_refresh.c is the loop's side, refresh_work.c what runs in job
 * threads). It outlives the request that asked for it: what the provider has answered must be kept,
 * also when the client has left, for a provider that rotates refresh tokens gives that answer once.
 */
#ifndef OAUTH_REFRESH_H
#define OAUTH_REFRESH_H

#include "auth/login.h"
#include "oauth/scopes.h"
#include "oauth/token.h"
#include "ops/loop.h"

enum {
  REFRESH_CHECKED_S = 2, /* the provider's answer is that fresh: it is not asked again */
  REFRESH_LEASE_S = 15,  /* somebody else asks; longer than a provider's deadline and store work */
  KEEP_MS = 250,         /* between tries to keep a provider's new tokens while the store fails */
  KEEP_TRIES = 4 * 3600, /* an hour of them */
};

/* The arena holds it; the loop and the job threads never touch it at once. */
struct refresh {
  struct refresh *next; /* of the worker */
  struct arena *arena;
  unsigned refs; /* the loop's flow, and each piece of work that was submitted */
  struct oauth *oauth;
  struct token_run *run; /* NULL: the client has left */
  struct store_task *task;
  struct login_run *login;
  struct timer wait;
  unsigned tries, kept; /* looks at the lease; times that keeping the provider's tokens failed */

  /* what was presented */
  struct str token, client, request_id, address;
  bool tls;

  /* what it is */
  enum store_result result;
  struct store_refresh found;
  int64_t now; /* the store's time */
  bool has_upstream, leased;
  struct store_link link;
  struct store_upstream upstream;
  const struct config_service *service;
  const struct config_provider *provider;
  struct scope_set *asked; /* of the grant's, what this token is to have */

  /* what the provider says */
  struct principal *who; /* a reference */
  bool checked;          /* it says that all is as it was */
  bool has_tokens;
  const char *ended;     /* it says that it is over; NULL: it does not */
  const char *undecided; /* why it is not known; NULL: it is */

  /* what comes of it */
  bool rotate;
  struct str principal, scope;
  struct str successor;
  struct issued access;
};

/* ---- in job threads; 0 or -1 as store_work_fn says, ->result is set */
int refresh_peek(void *refresh, struct store_db *db);
int refresh_lease(void *refresh, struct store_db *db);
/* Keeps what the provider said; ends the grant, or rotates and signs. */
int refresh_finish(void *refresh, struct store_db *db);

/* Ends all of a worker's. */
void refreshes_free(struct oauth *o);

#endif
