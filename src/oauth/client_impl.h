/* What the files about clients share: client.c (looking up), client_document.c (documents),
 * client_auth.c (who it is, at /token), register.c. */
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
};
const struct client_impl *client_impl(const struct oauth_client *c);

/* What may be a redirect URI here. */
struct redirect_policy client_policy(const struct oauth *o);
/* A client of M in the arena; NULL when memory is short. */
struct oauth_client *client_make(enum client_kind kind, struct str id,
                                 const struct client_metadata *m, struct arena *a);

/* ---- client_document.c */

struct document_flight;

/* One who waits for a document; embedded in what waits. */
struct document_wait {
  /* M is NULL unless STATUS is FOUND, and valid during the call. */
  void (*done)(struct document_wait *w, enum client_status status, const struct client_metadata *m,
               const char *why);
  struct document_flight *flight;
  struct document_wait *next, **at;
};

/* Whether ID has the form of a document's URL that may be asked for here. */
bool document_is(const struct oauth *o, struct str id);
/* NULL, or why the URL cannot be a client's id. */
const char *document_misfit(const struct oauth *o, struct str url, struct url *ret);
/* Fetches URL for W, together with others who want it; never calls back before it returns.  false:
 * too much is being fetched. */
bool document_fetch(struct oauth *o, struct str url, struct document_wait *w);
void document_leave(struct document_wait *w);
/* Who still waits is not told. */
void documents_free(struct oauth *o);

#endif
