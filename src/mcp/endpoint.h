/* The `endpoint` event of the legacy HTTP+SSE transport (protocol 2024-11-05): its data is the URL
 * to which the client shall POST messages.  The upstream's URL is sealed (AES-256-GCM) into
 * SERVICE-PATH?sessionId=SEALED, bound to the service; nothing is stored, no second route exists. */
#ifndef MCP_ENDPOINT_H
#define MCP_ENDPOINT_H

#include "util/buf.h"
#include "util/err.h"
#include "util/url.h"

struct endpoint_key {
  unsigned char bytes[32];
};

/* DATA: the event's data, absolute or relative to BASE (the upstream's URL).  Another origin is
 * refused.  Appends the sealed value to OUT. */
int endpoint_seal(const struct endpoint_key *key, struct str service, const struct url *base,
                  struct str data, struct buf *out, struct err *e);
/* SEALED back to the upstream's path and query, NUL-terminated in OUT; -1 for a forged one or one
 * of another service. */
int endpoint_open(const struct endpoint_key *key, struct str service, struct str sealed,
                  struct buf *out);

#endif
