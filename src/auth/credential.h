/* Finds the one credential of a request (design 8, step 3): only in places that the service lists,
 * exactly one; several are 400.  Pure. */
#ifndef AUTH_CREDENTIAL_H
#define AUTH_CREDENTIAL_H

#include "config/config.h"
#include "http/server.h"
#include "http/target.h"

enum credential_status {
  CREDENTIAL_NONE = 0,
  CREDENTIAL_FOUND,
  CREDENTIAL_SEVERAL,   /* 400 */
  CREDENTIAL_MALFORMED, /* 400: Authorization that is not the grammar */
  CREDENTIAL_FOREIGN,   /* a kind that the service does not take: 401 invalid_token */
};

/* Appends to *RET; BASIC is decoded into ARENA. */
enum credential_status credential_find(const struct config_service *service,
                                       const struct http_header *headers, size_t n_headers,
                                       struct str query, struct arena *arena,
                                       struct mcpauth_credential *ret);
/* QUERY without every parameter that can carry a credential (access_token, token, api_key, key, and
 * those the service lists) and without all but ALLOWED; "" when nothing is left. */
struct str credential_cut_query(const struct config_service *service, struct str query,
                                struct arena *arena);

#endif
