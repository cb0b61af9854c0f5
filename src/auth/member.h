/* Objects in files that providers read, checked against a table of members (json_misfit of the
 * host): one judgement for a provider and for the command that writes its file.  Pure. */
#ifndef AUTH_MEMBER_H
#define AUTH_MEMBER_H

#include <jansson.h>
#include <mcpauth/provider.h>

#include "util/arena.h"

/* NULL, or why OBJECT does not fit TABLE and *RET_NAME of the member at fault. */
const char *member_misfit(json_t *object, const struct mcpauth_member *table,
                          const char **ret_name);
/* "2027-01-01T00:00:00Z": seconds since 1970, always positive. */
bool member_time(struct str text, int64_t *ret);
/* Scopes as tokens and answers carry them: words between spaces, an array of words, or NULL for
 * none; copied to A.  -1: a word that no scope can be, too many, or another type. */
int member_scopes(const json_t *value, struct arena *a, struct mcpauth_list *ret);

#endif
