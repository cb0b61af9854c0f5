/* The hub as an OAuth 2.1 authorization server (design section 10): one object a worker, which
 * answers every request whose path is one of its endpoints.  src/hub routes to it; a hub without a
 * login-capable provider in any stack and without configured clients has no such object.
 *
 *   metadata.c     RFC 8414 and OpenID discovery documents, JWKS
 *   register.c     RFC 7591          client.c      clients of every kind, redirect URIs
 *   client_document.c  Client ID Metadata Documents
 *   authorize.c    /authorize, the chooser      consent.c   the consent page and its POST
 *   callback.c     the provider's answer        pages.c     HTML, languages
 *   token.c        /token, one file a grant type beside it    revoke.c  RFC 7009, RFC 7662
 *   transaction.c  sealed login state: `state`, cookie */
#ifndef OAUTH_OAUTH_H
#define OAUTH_OAUTH_H

#include "auth/authenticate.h"
#include "config/config.h"
#include "http/server.h"
#include "http/target.h"
#include "ops/audit.h"

struct oauth;
struct jobs;
struct store;
struct keyring;
struct fetcher;

struct oauth_options {
  const struct config *config;
  struct loop *loop;
  struct auth *auth;
  struct fetcher *fetcher;
  struct audit *audit;
  struct shm *shm;
  struct store *store;
  struct keyring *keys;
  struct jobs *jobs;
};

/* Whether this configuration needs an authorization server: somebody can log in. */
bool oauth_wanted(const struct config *c);
struct oauth *oauth_new(const struct oauth_options *o, struct err *e);
/* Gives up what is under way; before auth_free.  What has begun in a job thread still looks at O.
 */
void oauth_stop(struct oauth *o);
/* After the job threads and the store have ended. */
void oauth_free(struct oauth *o);

/* One request to an endpoint; RQ->user is the hub's and points to something that holds it. */
struct oauth_exchange;

/* Whether PATH is an endpoint of the authorization server (Host has been judged). */
bool oauth_has(const struct oauth *o, struct str path);
/* From the server's headers(): answers, or asks for the body.  CLIENT: the caller's address after
 * trusted proxies.  The exchange lives in RQ's arena. */
struct oauth_exchange *oauth_headers(struct oauth *o, struct http_request *rq,
                                     const struct target *target, const char *client);
void oauth_body(struct oauth_exchange *x);
/* The request is over: cancels what it waits for. */
void oauth_finished(struct oauth_exchange *x);

#endif
