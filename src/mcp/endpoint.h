/* The `endpoint` event of the legacy HTTP+SSE transport (protocol 2024-11-05): its data is the URL
 * to which the client shall POST messages.  The upstream's URL is sealed (AES-256-GCM) into
 * SERVICE-PATH?sessionId=SEALED, bound to the service; nothing is stored, no second route exists.
 * src/hub/request.c is the caller.  Pure but for the random nonce. */
#ifndef MCP_ENDPOINT_H
#define MCP_ENDPOINT_H

#include "util/buf.h"
#include "util/err.h"
#include "util/url.h"

struct endpoint_key {
  unsigned char bytes[32];
};

/* Path and query at BASE's origin that DATA names, absolute or relative to BASE (RFC 3986 section
 * 5.2), appended to OUT.  Refused: another scheme, host or port; dot segments, plain or encoded;
 * encoded slashes and control characters; fragments; more than LIMIT_ENDPOINT bytes. */
int endpoint_resolve(const struct url *base, struct str data, struct buf *out, struct err *e);
/* DATA: the event's data, as for endpoint_resolve.  Appends the sealed value to OUT, in base64url.
 */
int endpoint_seal(const struct endpoint_key *key, struct str service, const struct url *base,
                  struct str data, struct buf *out, struct err *e);
/* OUT becomes the upstream's path and query that SEALED holds, NUL-terminated; -1 for a forged one
 * or one of another service. */
int endpoint_open(const struct endpoint_key *key, struct str service, struct str sealed,
                  struct buf *out);

#endif
