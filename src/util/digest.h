/* SHA-256, for fingerprints, cache keys and records.  The algorithm is looked up once a process:
 * OpenSSL 3 spends more on that than on a kilobyte of input. */
#ifndef UTIL_DIGEST_H
#define UTIL_DIGEST_H

#include "util/str.h"

enum { SHA256_SIZE = 32 };

/* 0, or -1 when OpenSSL fails (no memory); OUT is then zero.  Any thread. */
int sha256(struct str bytes, unsigned char out[SHA256_SIZE]);

#endif
