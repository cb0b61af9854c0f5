/* The chunked transfer coding of a reply (RFC 9112 section 7.1), decoded in place, cut anywhere.
 * Strict, so that no other reader could see other bytes: CRLF only, a size of 1 to 15 hexadecimal
 * digits, extensions and trailers bounded and dropped.  Pure.  Used by upstream_h1.c. */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum chunked_state {
  CHUNKED_SIZE = 0,
  CHUNKED_EXTENSION,
  CHUNKED_SIZE_LF,
  CHUNKED_DATA,
  CHUNKED_DATA_CR,
  CHUNKED_DATA_LF,
  CHUNKED_TRAILER, /* at the beginning of a line */
  CHUNKED_FIELD,
  CHUNKED_FIELD_LF,
  CHUNKED_LAST_LF,
  CHUNKED_DONE,
};

/* Begins zeroed. */
struct chunked {
  enum chunked_state state;
  uint64_t left;    /* of the chunk */
  unsigned digits;  /* of its size so far */
  unsigned ignored; /* bytes of extensions and trailers */
  const char *bad;  /* what is wrong; NULL: nothing so far */
};

/* Decodes the N bytes at P; the data, without its coding, then stands at P and is *RET_DATA long.
 * Returns how many of the N bytes were used: less than N when the body ended, or when it is bad. */
size_t chunked_decode(struct chunked *c, char *p, size_t n, size_t *ret_data);

#endif
