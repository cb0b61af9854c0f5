/* SipHash-2-4: a hash of strings that come from outside, under a key that those outside do not
 * know, so that nobody can aim at another's place in a table. */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

#include "util/str.h"

struct hash_key {
  uint64_t k0, k1;
};

/* -1: no randomness. */
int hash_key_new(struct hash_key *ret);
/* Over the N parts, each with its length, so that ("a","bc") is not ("ab","c"). */
uint64_t hash_parts(const struct hash_key *k, const struct str *parts, size_t n);

#endif
