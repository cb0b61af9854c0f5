/* A string that carries its length: what was read from the network stays this, so that a NUL
 * cannot cut it short.  It owns nothing.  Used everywhere. */
#ifndef UTIL_STR_H
#define UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
  const char *p; /* may be NULL when n is 0 */
  size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* The same where C wants a constant: in static tables. */
#define STR_INIT(literal)                                                                          \
  {                                                                                                \
    "" literal, sizeof(literal) - 1                                                                \
  }
/* printf ("%.*s", STR_ARG (s)) */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

struct str str_of(const char *z); /* NULL gives the empty string */
bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *z);
bool str_ieq(struct str a, struct str b); /* ASCII only, whatever the locale */
bool str_iis(struct str a, const char *z);
bool str_starts(struct str a, const char *z);
bool str_ends(struct str a, const char *z);
/* Index of the first C in A, or A.n. */
size_t str_chr(struct str a, char c);
/* A from byte FROM to byte TO, both clipped to its length. */
struct str str_slice(struct str a, size_t from, size_t to);
/* Cuts the next word before SEP from *REST; false when *REST is at its end.  "a  b" with ' '
 * yields "a", "", "b". */
bool str_next(struct str *rest, char sep, struct str *ret_word);
/* Removes spaces and tabs at both ends. */
struct str str_trim(struct str a);
/* An unsigned decimal without sign, blanks or leading zero, at most MAX; false otherwise. */
bool str_u64(struct str a, uint64_t max, uint64_t *ret);
/* Whether A is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_utf8(struct str a);
/* Whether A has no byte above 0x7f. */
bool str_ascii(struct str a);
/* Whether A has no control bytes (below 0x20, or 0x7f). */
bool str_plain(struct str a);
/* The nearest of the N words in NAMES by edit distance, or NULL when none is close enough to be
 * what the writer of WORD meant. */
const char *str_nearest(struct str word, const char *const *names, size_t n);

#endif
