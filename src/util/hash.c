/* SipHash-2-4 (Aumasson and Bernstein, 2012); see hash.h. */
#include "util/hash.h"

#include <string.h>
#include <sys/random.h>

struct sip {
  uint64_t a, b, c, d;
  uint64_t word; /* bytes that wait for a full word */
  unsigned have;
  uint64_t total;
};

static inline uint64_t turn(uint64_t x, unsigned by)
{
  return x << by | x >> (64 - by);
}

static inline void mix(struct sip *s)
{
  s->a += s->b;
  s->c += s->d;
  s->b = turn(s->b, 13) ^ s->a;
  s->d = turn(s->d, 16) ^ s->c;
  s->a = turn(s->a, 32) + s->d;
  s->c += s->b;
  s->d = turn(s->d, 21) ^ s->a;
  s->b = turn(s->b, 17) ^ s->c;
  s->c = turn(s->c, 32);
}

static inline void take(struct sip *s, uint64_t word)
{
  s->d ^= word;
  mix(s);
  mix(s);
  s->a ^= word;
}

static void add(struct sip *s, const void *bytes, size_t n)
{
  const unsigned char *p = bytes;
  for (size_t i = 0; i < n; i++) {
    s->word |= (uint64_t)p[i] << (8 * s->have);
    if (++s->have == 8) {
      take(s, s->word);
      s->word = 0;
      s->have = 0;
    }
  }
  s->total += n;
}

int hash_key_new(struct hash_key *ret)
{
  struct hash_key fresh;
  if (getrandom(&fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh)
    return -1;
  *ret = fresh;
  return 0;
}

uint64_t hash_parts(const struct hash_key *k, const struct str *parts, size_t n)
{
  struct sip s = {
      .a = k->k0 ^ UINT64_C(0x736f6d6570736575),
      .b = k->k1 ^ UINT64_C(0x646f72616e646f6d),
      .c = k->k0 ^ UINT64_C(0x6c7967656e657261),
      .d = k->k1 ^ UINT64_C(0x7465646279746573),
  };
  for (size_t i = 0; i < n; i++) {
    uint64_t length = parts[i].n;
    if (n > 1)
      add(&s, &length, sizeof length);
    add(&s, parts[i].p, parts[i].n);
  }
  take(&s, s.word | (s.total & 0xff) << 56);
  s.c ^= 0xff;
  for (int i = 0; i < 4; i++)
    mix(&s);
  return s.a ^ s.b ^ s.c ^ s.d;
}
