/* What callback.c (waiting for client, mark and provider) and callback_store.c (keeping it) share;
 * see authorize.h. */
#ifndef OAUTH_CALLBACK_H
#define OAUTH_CALLBACK_H

#include "auth/login.h"
#include "oauth/authorize.h"
#include "oauth/pages.h"
#include "store/store.h"

enum { CODE_S = 60 }; /* row 91 */

/* One answer of a provider at work; in the request's arena. */
struct arrival {
  struct oauth_exchange *x;
  struct params params;
  struct transaction t;
  const struct config_service *service;
  const struct config_provider *provider;
  const struct oauth_client *client;
  struct principal *who;     /* a reference, let go with the arena */
  struct str scopes;         /* agreed to, and such that the person may hold them */
  struct scope_set withheld; /* agreed to, and not hers to hold */
  struct audit_ticket ticket;
  struct finish *finish; /* callback_store.c's */
  char grant[33];
};

/* Marks the state as used; goes on with callback_marked, or answers. */
void callback_mark(struct arrival *v);
void callback_marked(struct arrival *v);

/* Keeps consent, tokens and code, recorded first; then sends the browser to the client. */
void callback_finish(struct arrival *v, const struct login_outcome *o);

/* A page for what went wrong after the login had begun: TITLE and WHY with the argument ARG, links
 * to try again (with another account: ANOTHER) and back to the client with ERROR. */
struct arrival_error {
  int status;
  enum text title, why, now;
  struct str arg;
  bool another;
  const char *error, *description, *record;
};
void callback_error(struct arrival *v, const struct arrival_error *e);
/* The same for what is ours. */
void callback_ours(struct arrival *v, int status, const char *record);
/* Records that the login ends here: whose application it was for which service, and who it was. */
void callback_refused(struct arrival *v, int status, const char *why);

#endif
