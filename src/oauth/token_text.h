/* Texts that nobody can guess: codes, refresh tokens, ids, secrets; and their hashes.  Pure but for
 * the system's random numbers. */
#ifndef OAUTH_TOKEN_TEXT_H
#define OAUTH_TOKEN_TEXT_H

#include "util/arena.h"

/* PREFIX and BYTES random bytes in base64url; .p NULL: no randomness, or no memory. */
struct str random_text(struct arena *a, const char *prefix, size_t bytes);
/* The id of a new grant: 128 random bits behind a letter, for on a command line it must not look
 * like an option. */
struct str grant_id(struct arena *a);
/* SHA-256 of S: in lower-case hex, or in base64url (RFC 7636 S256); .p NULL on failure. */
struct str hash_hex(struct arena *a, struct str s);
struct str hash_base64url(struct arena *a, struct str s);

#endif
