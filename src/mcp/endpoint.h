/* The `endpoint` event of the legacy HTTP+SSE transport (protocol 2024-11-05): its data is the URL
 * to which the client shall POST messages.  The upstream's URL is sealed (seal.h) into
 * SERVICE-PATH?sessionId=SEALED, bound to service and caller; nothing is stored, no second route
 * exists.  src/hub/session.c is the caller.  Pure but for the random nonce. */
#ifndef MCP_ENDPOINT_H
#define MCP_ENDPOINT_H

#include "mcp/seal.h"
#include "util/url.h"

/* Path and query at BASE's origin that DATA names, absolute or relative to BASE (RFC 3986 section
 * 5.2), appended to OUT.  Refused: another scheme, host or port; dot segments, plain or encoded;
 * encoded slashes and control characters; fragments; more than LIMIT_ENDPOINT bytes. */
int endpoint_resolve(const struct url *base, struct str data, struct buf *out, struct err *e);
/* DATA: the event's data, as for endpoint_resolve.  Appends the sealed value to OUT; *RET_NAME as
 * of seal_make; seal_open gives back path and query. */
int endpoint_seal(struct sealer *sealer, const struct seal_owner *owner, const struct url *base,
                  struct str data, struct buf *out, uint64_t *ret_name, struct err *e);

#endif
