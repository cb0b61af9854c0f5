/* Ids that clients carry for upstreams, sealed to whom they were given: AES-256-GCM under the hub's
 * key, bound to what the id is for and to (service, issuer, subject, client).  Nothing is stored;
 * what was given to somebody else, at another service or for another purpose does not open (row
 * 79).  Possession of one is no credential: the caller has been authenticated before.
 *
 * One sealer a worker; used by endpoint.c and session.c. */
#ifndef MCP_SEAL_H
#define MCP_SEAL_H

#include "util/buf.h"
#include "util/err.h"

enum { SEAL_KEY = 32 };

/* What an id is for: one does not open as another. */
enum seal_use { SEAL_ENDPOINT = 1, SEAL_SESSION };

/* Whose it is.  ISSUER and SUBJECT are empty for nobody: an anonymous caller. */
struct seal_owner {
  struct str service, issuer, subject, client;
};

struct sealer;

struct sealer *sealer_new(const unsigned char key[SEAL_KEY], struct err *e);
void sealer_free(struct sealer *s); /* NULL is fine */

/* Appends base64url (nonce ciphertext tag) of PLAIN to OUT.  *RET_NAME becomes a number that
 * nobody can choose and that seal_open gives again: the id's name within the hub.  -1: OpenSSL
 * failed, or OUT is full. */
int seal_make(struct sealer *s, enum seal_use use, const struct seal_owner *o, struct str plain,
              struct buf *out, uint64_t *ret_name);
/* OUT becomes what SEALED holds, NUL-terminated; -1 when it is not one of this owner. */
int seal_open(struct sealer *s, enum seal_use use, const struct seal_owner *o, struct str sealed,
              struct buf *out, uint64_t *ret_name);

#endif
