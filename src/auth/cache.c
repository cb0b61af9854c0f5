/* The identity cache: a chained hash table that doubles, and a list in order of use; see cache.h.
 */
#include "auth/cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BUCKETS_FIRST = 64 };

struct entry {
  struct entry *chain; /* in its bucket */
  struct entry *newer, *older;
  uint64_t hash;
  struct cache_key key;
  struct cache_found found;
  int64_t until_ms;
};

struct cache {
  struct hash_secret secret;
  struct entry **buckets;
  size_t n_buckets, n, max; /* n_buckets is a power of two */
  struct entry *newest, *oldest;
};

int hash_secret_init(struct hash_secret *s)
{
  struct hash_secret fresh;
  if (getrandom(&fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh)
    return -1;
  fresh.b |= 1; /* odd: the product keeps every bit */
  *s = fresh;
  return 0;
}

uint64_t cache_hash(const struct hash_secret *s, const struct cache_key *key)
{
  uint64_t word[2];
  memcpy(word, key->digest, sizeof word); /* SHA-256 is spread already; the secret hides where */
  uint64_t place = ((uint64_t)key->service << 32) | key->provider;
  uint64_t h = (word[0] ^ s->a) * s->b + (word[1] ^ (place * s->b));
  h ^= h >> 32;
  h *= s->b;
  return h ^ (h >> 29);
}

bool cache_key_eq(const struct cache_key *a, const struct cache_key *b)
{
  return a->service == b->service && a->provider == b->provider &&
         memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

struct cache *cache_new(size_t max_entries)
{
  struct cache *c = calloc(1, sizeof *c);
  if (c == NULL)
    return NULL;
  c->max = max_entries;
  c->n_buckets = BUCKETS_FIRST;
  c->buckets = calloc(c->n_buckets, sizeof *c->buckets);
  if (c->buckets == NULL || hash_secret_init(&c->secret) < 0) {
    cache_free(c);
    return NULL;
  }
  return c;
}

static void list_unlink(struct cache *c, struct entry *x)
{
  *(x->newer ? &x->newer->older : &c->newest) = x->older;
  *(x->older ? &x->older->newer : &c->oldest) = x->newer;
}

static void list_front(struct cache *c, struct entry *x)
{
  x->newer = NULL;
  x->older = c->newest;
  *(c->newest ? &c->newest->newer : &c->oldest) = x;
  c->newest = x;
}

static struct entry **find(const struct cache *c, const struct cache_key *key, uint64_t hash)
{
  struct entry **at = &c->buckets[hash & (c->n_buckets - 1)];
  while (*at && ((*at)->hash != hash || !cache_key_eq(&(*at)->key, key)))
    at = &(*at)->chain;
  return at;
}

static void remove_at(struct cache *c, struct entry **at)
{
  struct entry *x = *at;
  *at = x->chain;
  list_unlink(c, x);
  c->n--;
  principal_unref(x->found.principal);
  free(x);
}

void cache_free(struct cache *c)
{
  if (c == NULL)
    return;
  while (c->oldest)
    remove_at(c, find(c, &c->oldest->key, c->oldest->hash));
  free(c->buckets);
  free(c);
}

/* Without memory the chains get longer, nothing else. */
static void grow(struct cache *c)
{
  size_t n = c->n_buckets * 2;
  struct entry **buckets = calloc(n, sizeof(struct entry *));
  if (buckets == NULL)
    return;
  for (struct entry *x = c->newest; x; x = x->older) {
    struct entry **at = &buckets[x->hash & (n - 1)];
    x->chain = *at;
    *at = x;
  }
  free(c->buckets);
  c->buckets = buckets;
  c->n_buckets = n;
}

void cache_put(struct cache *c, const struct cache_key *key, struct principal *p,
               struct cache_mark mark, int64_t until_ms)
{
  uint64_t hash = cache_hash(&c->secret, key);
  struct entry **at = find(c, key, hash);
  if (*at)
    remove_at(c, at);
  struct entry *x = c->max ? calloc(1, sizeof *x) : NULL;
  if (x == NULL)
    return;
  while (c->n >= c->max)
    remove_at(c, find(c, &c->oldest->key, c->oldest->hash));
  if (c->n >= c->n_buckets)
    grow(c);
  x->hash = hash;
  x->key = *key;
  x->found = (struct cache_found){principal_ref(p), mark};
  x->until_ms = until_ms;
  at = &c->buckets[hash & (c->n_buckets - 1)];
  x->chain = *at;
  *at = x;
  list_front(c, x);
  c->n++;
}

bool cache_get(struct cache *c, const struct cache_key *key, int64_t mono_ms, int64_t wall,
               struct cache_found *ret)
{
  struct entry **at = find(c, key, cache_hash(&c->secret, key));
  struct entry *x = *at;
  if (x == NULL)
    return false;
  int64_t expires = x->found.principal->expires_at;
  if (mono_ms >= x->until_ms || (expires && wall >= expires)) {
    remove_at(c, at);
    return false;
  }
  if (c->newest != x) {
    list_unlink(c, x);
    list_front(c, x);
  }
  *ret = x->found;
  return true;
}

void cache_drop(struct cache *c, const struct cache_key *key)
{
  struct entry **at = find(c, key, cache_hash(&c->secret, key));
  if (*at)
    remove_at(c, at);
}

size_t cache_count(const struct cache *c)
{
  return c->n;
}
