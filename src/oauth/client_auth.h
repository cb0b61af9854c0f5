/* Who the client is, at endpoints that programs call (RFC 6749 section 2.3, RFC 7523): looks it up
 * and takes exactly one proof, of the kind that the client has. */
#ifndef OAUTH_CLIENT_AUTH_H
#define OAUTH_CLIENT_AUTH_H

#include "oauth/client_impl.h"

/* ERROR is NULL when C is who it says it is.  Otherwise the answer: status, error code and a
 * sentence. */
struct client_verdict {
  const struct oauth_client *client;
  int status;
  const char *error, *description;
};
typedef void client_auth_fn(void *arg, const struct client_verdict *v);

struct client_auth_run;
/* P: the parameters of the body.  DONE may be called before this returns (then NULL is returned).
 */
struct client_auth_run *client_authenticate(struct oauth_exchange *x, const struct params *p,
                                            client_auth_fn *done, void *arg);
void client_auth_cancel(struct client_auth_run *r);

#endif
