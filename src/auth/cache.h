/* The identity cache of one worker (design 8, step 4; row 18): for (service, provider instance,
 * SHA-256 of the credential) the principal that the line established.  It holds identities, never
 * verdicts, and never a credential.  One cache belongs to one configuration generation.  Bounded,
 * O(1), least recently used goes first.  Called by authenticate.c alone. */
#ifndef AUTH_CACHE_H
#define AUTH_CACHE_H

#include "auth/principal.h"

enum { CREDENTIAL_DIGEST = 32 };

struct cache;

struct cache_key {
  uint32_t service, provider; /* indexes in the configuration */
  unsigned char digest[CREDENTIAL_DIGEST];
};

/* What was true *before* the evaluation began; when it is no longer true, the identity is stale. */
struct cache_mark {
  uint64_t revocations; /* of the hub */
  uint64_t files;       /* of the instance: a token file that was read again */
};

struct cache_found {
  struct principal *principal; /* borrowed */
  struct cache_mark mark;
};

struct cache *cache_new(size_t max_entries);
void cache_free(struct cache *c);
/* Keeps P until MONO_MS reaches UNTIL_MS and never past its own expiry.  Replaces what was there.
 * No memory: not kept. */
void cache_put(struct cache *c, const struct cache_key *key, struct principal *p,
               struct cache_mark mark, int64_t until_ms);
/* false when there is nothing that is good at MONO_MS (clock_mono_ms) and WALL (seconds). */
bool cache_get(struct cache *c, const struct cache_key *key, int64_t mono_ms, int64_t wall,
               struct cache_found *ret);
void cache_drop(struct cache *c, const struct cache_key *key);
size_t cache_count(const struct cache *c);

/* The hash of the table, keyed with a secret of this process: nobody outside can aim at a bucket.
 */
struct hash_secret {
  uint64_t a, b;
};
int hash_secret_init(struct hash_secret *s); /* -1: no randomness */
uint64_t cache_hash(const struct hash_secret *s, const struct cache_key *key);
bool cache_key_eq(const struct cache_key *a, const struct cache_key *b);

#endif
