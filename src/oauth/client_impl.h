/* What the files about clients share: client.c (looking up), client_fetch.c, client_document.c,
 * client_keys.c (what lies at their URLs), client_auth.c (who it is, at /token), register.c. */
#ifndef OAUTH_CLIENT_IMPL_H
#define OAUTH_CLIENT_IMPL_H

#include "oauth/client_metadata.h"
#include "oauth/work.h"

/* Behind oauth_client.impl. */
struct client_impl {
  const struct config_client *configured; /* NULL: registered, or a document */
  unsigned grants;                        /* enum grant_type */
  struct str secret;                      /* hex of its SHA-256; "" when configured, or none */
  struct str keys;                        /* JWK Set or PEM; "" none */
  struct str keys_uri;                    /* or where they are; "" none */
};
const struct client_impl *client_impl(const struct oauth_client *c);

/* What may be a redirect URI here. */
struct redirect_policy client_policy(const struct oauth *o);
/* A client of M in the arena; NULL when memory is short. */
struct oauth_client *client_make(enum client_kind kind, struct str id,
                                 const struct client_metadata *m, struct arena *a);

/* ---- client_fetch.c: what lies at a stranger's URL */

struct fetch_reply;
struct jwks;

/* What can lie there. */
struct client_source {
  const char *row; /* what its rows in the store begin with, before the URL */
  const char *accept;
  size_t max_reply;
  /* NULL with what is kept of REPLY, in A; or why it is of no use. */
  const char *(*judge)(const struct oauth *o, struct str url, const struct fetch_reply *reply,
                       struct arena *a, struct str *ret_kept);
};
extern const struct client_source client_documents; /* client_document.c: client_metadata_put */
extern const struct client_source client_key_sets;  /* client_keys.c */

enum { CLIENT_AGAIN_S = 60 }; /* nothing is asked for again before */

/* What a row of the store is: */
enum client_age {
  CLIENT_NEW = 1, /* so young that it is not fetched again whatever is missing; body "": nothing
                     usable was there */
  CLIENT_FRESH,   /* good */
  CLIENT_OLD,     /* to be fetched again */
  CLIENT_FAILED,  /* that was tried just now, in vain: it stays what it was before, or "" */
};
enum client_age client_age(const struct store_document *d, int64_t now);
struct str client_row(const struct client_source *source, struct str url, struct arena *a);

struct client_flight;

/* One who waits; embedded in what waits. */
struct client_wait {
  /* KEPT is "" unless STATUS is FOUND, and valid during the call, as WHY. */
  void (*done)(struct client_wait *w, enum client_status status, struct str kept, const char *why);
  struct client_flight *flight;
  struct client_wait *next, **at;
};

/* NULL, or why the URL is none that is fetched for a stranger. */
const char *client_url_misfit(const struct oauth *o, struct str url, struct url *ret);
/* Fetches URL for W, together with others who want it; never calls back before it returns.
 * BEFORE: what the store has, and keeps when nobody answers.  false: too much is being fetched. */
bool client_fetch(struct oauth *o, const struct client_source *source, struct str url,
                  struct str before, struct client_wait *w);
void client_leave(struct client_wait *w);
/* Who still waits is not told. */
void client_flights_free(struct oauth *o);
bool client_is_json(const char *content_type);

/* ---- client_document.c */

/* Whether ID has the form of a document's URL that may be asked for here. */
bool document_is(const struct oauth *o, struct str id);

/* ---- client_keys.c: keys at a client's jwks_uri */

/* NULL, or why the client's jwks_uri, if it has one, cannot be fetched. */
const char *client_keys_misfit(const struct oauth *o, const struct client_metadata *m);

struct client_keys {
  /* Tries the keys; false: the one that is looked for is not among them. */
  bool (*try_keys)(struct client_keys *k, const struct jwks *keys);
  /* FOUND: the last that were tried are all that there are.  Not called before client_keys_find
   * returns. */
  void (*done)(struct client_keys *k, enum client_status status);
  struct oauth *oauth; /* the rest is client_keys.c's */
  struct arena *arena;
  struct str url, before;
  struct store_task *task;
  struct client_wait wait;
};
/* URL lives as long as K, which is the caller's, and ARENA.  -1: not now. */
int client_keys_find(struct client_keys *k, struct oauth *o, struct str url, struct arena *arena);
void client_keys_cancel(struct client_keys *k);

#endif
