/* A secret is a type that cannot be printed: it has no %s, is wiped when freed, kept out of swap
 * where the system lets us, and compared in constant time.  Logs get its fingerprint. */
#ifndef UTIL_SECRET_H
#define UTIL_SECRET_H

#include "util/digest.h"
#include "util/str.h"

struct secret;
enum { FINGERPRINT_SIZE = 9 }; /* 8 hex digits and a NUL */

/* A copy of the bytes; NULL when out of memory. */
struct secret *secret_new(struct str bytes);
void secret_free(struct secret *s); /* wipes; NULL is fine */
/* The bytes, for the one place that uses them; valid until secret_free. */
struct str secret_expose(const struct secret *s);
bool secret_eq(const struct secret *a, struct str b);
/* First 32 bits of SHA-256, in hex: tells two secrets apart, gives none away. */
void secret_fingerprint(struct str bytes, char out[FINGERPRINT_SIZE]);
/* The same from a digest that is there already. */
void digest_fingerprint(const unsigned char sum[SHA256_SIZE], char out[FINGERPRINT_SIZE]);
/* Constant time in the bytes; the length is not hidden. */
bool bytes_eq(struct str a, struct str b);

#endif
