/* OAuth clients of every kind, as the endpoints see them: pre-registered in the configuration,
 * registered dynamically (RFC 7591), or described by a document that their id is the URL of (Client
 * ID Metadata Documents).  Whatever a client says about itself is what a stranger said. */
#ifndef OAUTH_CLIENT_H
#define OAUTH_CLIENT_H

#include "oauth/exchange.h"

enum client_kind {
  CLIENT_CONFIGURED = 1, /* the administrator wrote it */
  CLIENT_REGISTERED,     /* anybody could have written it */
  CLIENT_DOCUMENT,       /* whoever owns `host` wrote it */
};

/* token_endpoint_auth_method */
enum client_auth {
  CLIENT_AUTH_NONE = 1, /* a public client: PKCE is all it has */
  CLIENT_AUTH_SECRET,   /* client_secret_basic or client_secret_post */
  CLIENT_AUTH_KEY,      /* private_key_jwt */
};

struct oauth_client {
  enum client_kind kind;
  enum client_auth auth;
  const char *id;
  const char *name;                  /* "" when it has none; as given: pages clean it up */
  const char *host;                  /* CLIENT_DOCUMENT: of the document; NULL otherwise */
  struct config_words redirect_uris; /* each acceptable by redirect_acceptable */
  bool may_log_in;                   /* has the grant type authorization_code */
  bool approved;                     /* CLIENT_REGISTERED: the administrator answers for its name */
  struct config_words scopes;        /* the most that a configured one may be given; none: no such
                                        bound */
  /* Identifies what is known of the client now: changes when redirect URIs, keys or kind do. */
  unsigned char digest[32];
  void *impl; /* of src/oauth/client.c: secret hashes, keys */
};

enum client_status {
  CLIENT_FOUND = 1,
  CLIENT_UNKNOWN,     /* no such client, or not any more: it has to register again */
  CLIENT_REFUSED,     /* it is known what it is, and it will not do; WHY says why */
  CLIENT_UNAVAILABLE, /* cannot tell now: the store or the document is out of reach */
};

/* C is NULL unless FOUND and lives in the arena of client_find.  WHY: one sentence, "" when FOUND.
 */
typedef void client_done_fn(void *arg, enum client_status status, const struct oauth_client *c,
                            const char *why);

enum client_use {
  CLIENT_AT_AUTHORIZE, /* a document may be fetched */
  CLIENT_AT_TOKEN,
};

struct client_run;
/* Looks the client up, in the configuration, the store, the cache of documents, or at its URL.
 * DONE may be called before this returns (then NULL is returned). */
struct client_run *client_find(struct oauth *o, struct arena *a, struct str id, enum client_use use,
                               client_done_fn *done, void *arg);
/* DONE will not be called. */
void client_cancel(struct client_run *r);

#endif
