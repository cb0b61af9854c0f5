/* JSON documents that we read whole (keys, metadata, token claims, token files), by jansson with
 * every laxity closed: duplicate members, NUL bytes, trailing bytes and BOMs are errors, and
 * depth and number of values are counted before a tree is built. */
#ifndef UTIL_JSON_H
#define UTIL_JSON_H

#include <jansson.h>

#include "util/err.h"
#include "util/str.h"

/* A new reference, or NULL with E set. */
json_t *json_parse(struct str text, size_t max_depth, size_t max_values, struct err *e);
/* RFC 6901.  Borrowed; NULL when the pointer leads nowhere or is malformed.  "" is ROOT. */
json_t *json_pointer(const json_t *root, struct str pointer);
/* For CLEANUP (json_drop) json_t *j. */
void json_drop(json_t **j);
/* Members as str; .p is NULL when absent or not a string. */
struct str json_str(const json_t *object, const char *key);
struct str json_text(const json_t *string);

#endif
