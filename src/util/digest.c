/* SHA-256; see digest.h. */
#include "util/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

static EVP_MD *algorithm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look_up(void)
{
  algorithm = EVP_MD_fetch(NULL, "SHA256", NULL); /* for the life of the process */
}

int sha256(struct str bytes, unsigned char out[SHA256_SIZE])
{
  unsigned n = 0;
  pthread_once(&once, look_up);
  memset(out, 0, SHA256_SIZE);
  if (algorithm == NULL ||
      EVP_Digest(bytes.p ? bytes.p : "", bytes.n, out, &n, algorithm, NULL) != 1)
    return -1;
  return n == SHA256_SIZE ? 0 : -1;
}
