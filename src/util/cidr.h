/* Numeric addresses and networks of them.  Pure; used by listeners, trusted proxies and rules. */
#ifndef UTIL_CIDR_H
#define UTIL_CIDR_H

#include "util/err.h"
#include "util/str.h"

struct cidr {
  unsigned char bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
  unsigned bits;           /* of the 128 */
};

/* A numeric address in its 16-byte form; IPv4 as ::ffff:a.b.c.d. */
bool address_parse(struct str text, unsigned char ret_bytes[16], bool *ret_v4);
/* "10.0.0.0/8", "2001:db8::/32", a plain address, or "unix" (every unix socket peer). */
int cidr_parse(struct str text, struct cidr *ret, struct err *e);
bool cidr_unix(const struct cidr *c);
bool cidr_has(const struct cidr *c, const unsigned char bytes[16]);

#endif
