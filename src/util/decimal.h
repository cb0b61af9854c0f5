/* Numbers as JSON writes them (RFC 8259 section 6), compared exactly: no size of integer, fraction
 * or exponent is rounded, as it would be in a double.  Pure; used by rules. */
#ifndef UTIL_DECIMAL_H
#define UTIL_DECIMAL_H

#include "util/str.h"

struct decimal {
  bool negative, zero;
  struct str digits; /* from the first that is not 0; may hold one '.' */
  int64_t top;       /* power of ten of the first digit */
};

/* false when TEXT is no JSON number, or its exponent has more than 9 digits.  *RET points into
 * TEXT. */
bool decimal_parse(struct str text, struct decimal *ret);
/* Negative, zero or positive, as in strcmp. */
int decimal_compare(const struct decimal *a, const struct decimal *b);

#endif
