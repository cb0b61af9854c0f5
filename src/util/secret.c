/* Secrets; see secret.h. */
#include "util/secret.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct secret {
  size_t n;
  char bytes[];
};

struct secret *secret_new(struct str bytes)
{
  struct secret *s = malloc(sizeof *s + bytes.n + 1);
  if (s == NULL)
    return NULL;
  s->n = bytes.n;
  if (bytes.n)
    memcpy(s->bytes, bytes.p, bytes.n);
  s->bytes[bytes.n] = 0;
  mlock(s, sizeof *s + bytes.n + 1); /* best effort: RLIMIT_MEMLOCK may be 0 */
  return s;
}

void secret_free(struct secret *s)
{
  if (s == NULL)
    return;
  size_t n = sizeof *s + s->n + 1;
  OPENSSL_cleanse(s, n);
  munlock(s, n);
  free(s);
}

struct str secret_expose(const struct secret *s)
{
  return (struct str){s->bytes, s->n};
}

bool bytes_eq(struct str a, struct str b)
{
  return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

bool secret_eq(const struct secret *a, struct str b)
{
  return bytes_eq(secret_expose(a), b);
}

void secret_fingerprint(struct str bytes, char out[FINGERPRINT_SIZE])
{
  unsigned char sum[SHA256_SIZE];
  sha256(bytes, sum);
  digest_fingerprint(sum, out);
}

void digest_fingerprint(const unsigned char sum[SHA256_SIZE], char out[FINGERPRINT_SIZE])
{
  static const char digit[] = "0123456789abcdef";
  for (int i = 0; i < 4; i++) {
    out[2 * i] = digit[sum[i] >> 4];
    out[2 * i + 1] = digit[sum[i] & 15];
  }
  out[8] = 0;
}
