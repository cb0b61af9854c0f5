/* A growing byte buffer that cannot exist without its maximum.  A failure (maximum reached, out of
 * memory) is sticky: append freely, look at .failed once, before the content is used. */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include "util/str.h"

struct buf {
  char *p; /* always NUL-terminated once something was added; NULL before */
  size_t n, cap, max;
  bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; usable again with the same maximum */
void buf_wipe(struct buf *b); /* the same, overwriting the bytes first */
void buf_clear(struct buf *b);
/* All return 0, or -1 (and .failed). */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_str(struct buf *b, struct str s);
int buf_puts(struct buf *b, const char *z);
int buf_putc(struct buf *b, char c);
int buf_u64(struct buf *b, uint64_t v); /* decimal, at a tenth of printf's cost */
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* S as a JSON string with its quotes.  C0, DEL, C1, U+2028, U+2029 and bytes that are not UTF-8
 * are escaped, so that one record stays one line in every reader (row 174). */
int buf_json(struct buf *b, struct str s);
/* Room for N more bytes at the end; add to .n what was used.  NULL past the maximum. */
char *buf_reserve(struct buf *b, size_t n);
/* Forgets the first N bytes. */
void buf_consume(struct buf *b, size_t n);
/* Keeps the first N bytes only. */
void buf_cut(struct buf *b, size_t n);
struct str buf_view(const struct buf *b);

#endif
