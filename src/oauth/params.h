/* application/x-www-form-urlencoded, of queries and bodies: what RFC 6749 calls parameters.  Strict
 * where two readers could differ: a percent sign needs two hex digits, values are UTF-8 without
 * NUL, and a parameter that somebody asks for must not stand there twice (section 3.1).  Pure. */
#ifndef OAUTH_PARAMS_H
#define OAUTH_PARAMS_H

#include "util/arena.h"
#include "util/buf.h"

struct param {
  struct str name, value; /* decoded */
};

struct params {
  struct param *v;
  size_t n;
};

/* At most LIMIT_PARAMS; in ARENA.  -1: malformed, too many, or out of memory. */
int params_parse(struct str text, struct arena *a, struct params *ret);
/* The value; .p NULL when it is absent, empty (RFC 6749 section 3.1) or stands there twice. */
struct str params_get(const struct params *p, const char *name);
size_t params_count(const struct params *p, const char *name);
/* The first name of NAMES (NULL at the end) that stands there twice, or NULL (row 112). */
const char *params_twice(const struct params *p, const char *const *names);

/* *RET is what S stands for, in ARENA; -1: no such encoding of UTF-8 without NUL. */
int param_decode(struct str s, struct arena *a, struct str *ret);
/* S percent-encoded but for unreserved characters (RFC 3986 section 2.3). */
int param_encode(struct buf *b, struct str s);
/* "&NAME=VALUE", or with '?' when B has none yet after FROM. */
int param_append(struct buf *b, const char *name, struct str value);

#endif
