/* Finds the one credential of a request (design 8, step 3): only in places that the service lists,
 * exactly one; several are refused.  Pure.  Called by src/hub/request.c. */
#ifndef AUTH_CREDENTIAL_H
#define AUTH_CREDENTIAL_H

#include "config/config.h"
#include "http/server.h"

enum credential_status {
  CREDENTIAL_NONE = 0,
  CREDENTIAL_FOUND,
  CREDENTIAL_SEVERAL,   /* 400: more than one listed place has one */
  CREDENTIAL_MALFORMED, /* 400: a listed place has something that is not the grammar */
  CREDENTIAL_FOREIGN,   /* 401: an Authorization of a scheme that the service does not take, and
                           nothing else */
};

/* *RET is set for CREDENTIAL_FOUND; BASIC is decoded into ARENA, everything else points into the
 * request.  QUERY: the raw query, .p NULL for none. */
enum credential_status credential_find(const struct config_service *service,
                                       const struct http_header *headers, size_t n_headers,
                                       struct str query, struct arena *arena,
                                       struct mcpauth_credential *ret);

/* What of QUERY goes to the upstream: the parameters that forward_query lists, as they were (what
 * no URL can hold escaped) and in their order, but never one that the service takes credentials
 * from.  Empty when nothing is left; in ARENA. */
struct str credential_forward_query(const struct config_service *service, struct str query,
                                    struct arena *arena);

#endif
