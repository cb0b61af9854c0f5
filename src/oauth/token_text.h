/* Texts that nobody can guess: codes, refresh tokens, ids, secrets; and their hashes.  Pure but for
 * the system's random numbers. */
#ifndef OAUTH_TOKEN_TEXT_H
#define OAUTH_TOKEN_TEXT_H

#include "util/arena.h"

/* PREFIX and BYTES random bytes in base64url; .p NULL: no randomness, or no memory. */
struct str random_text(struct arena *a, const char *prefix, size_t bytes);
/* SHA-256 of S: in lower-case hex, or in base64url (RFC 7636 S256); .p NULL on failure. */
struct str hash_hex(struct arena *a, struct str s);
struct str hash_base64url(struct arena *a, struct str s);

#endif
