/* Words that stand for values, and back.  Pure.  All parsers leave *RET alone on failure; E then
 * says what is expected, without naming the statement. */
#ifndef CONFIG_VALUES_H
#define CONFIG_VALUES_H

#include <sys/socket.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/url.h"

int value_bool(struct str word, bool *ret, struct err *e);
int value_integer(struct str word, int64_t *ret, struct err *e);
/* 500ms 30s 10m 24h 7d, or 0; in milliseconds. */
int value_duration(struct str word, int64_t *ret, struct err *e);
/* 4096 64k 4m 2g; in bytes. */
int value_size(struct str word, int64_t *ret, struct err *e);
/* Index of WORD in CHOICES (NULL at the end). */
int value_choice(struct str word, const char *const *choices, int *ret, struct err *e);
/* A URL without fragment and user name. */
int value_url(struct str word, struct url *ret, struct err *e);
/* The same, and nothing behind the authority; a default port is left out. */
int value_origin(struct str word, struct url *ret, struct err *e);
/* scheme://host[:port] of a forward proxy. */
int value_proxy(struct str word, struct err *e);
/* An absolute path. */
int value_path(struct str word, struct err *e);
/* [a-z0-9][a-z0-9_-]*, at most 64: names of providers, stacks and services. */
int value_name(struct str word, struct err *e);
/* RFC 6749 scope-token. */
int value_scope(struct str word, struct err *e);
/* A path that a service may have: "/" segment ("/" segment)*, see http/target.h. */
int value_service_path(struct str word, struct err *e);
/* Shortest spelling with a unit that loses nothing. */
void value_format_duration(struct buf *out, int64_t ms);
void value_format_size(struct buf *out, int64_t bytes);

#endif
