/* base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strict: no padding, no
 * blanks, no other alphabet, no stray bits at the end, so that one value has one spelling. */
#ifndef UTIL_BASE64URL_H
#define UTIL_BASE64URL_H

#include "util/buf.h"

/* Decodes IN to OUT (CAP bytes); *RET_N is set to the length.  -1: not canonical, or too long. */
int base64url_decode(struct str in, void *out, size_t cap, size_t *ret_n);
/* The same for base64 with its padding (RFC 4648 section 4). */
int base64_decode(struct str in, void *out, size_t cap, size_t *ret_n);
int base64url_encode(struct buf *out, struct str in);
/* The value of a hex digit of either case, or -1. */
int hex_digit(char c);
/* Lower-case hex. */
int hex_encode(struct buf *out, struct str in);
int hex_decode(struct str in, void *out, size_t cap, size_t *ret_n);

#endif
