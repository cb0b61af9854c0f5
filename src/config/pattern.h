/* What rules match items with: a whole name or URI, byte for byte, or a glob, whose only special
 * character is '*' (any run of bytes).  Linear in the item.  Pure; used when rules are bound, by
 * policy and by lints.
 *
 * A glob says something about names that it does not list, so it takes part only where a name
 * cannot be two things: what a service could read as another name never matches one, and no '*'
 * line allows it (rows 69 and 75).  A literal matches whatever bytes it has.
 *
 *   tools, prompts, methods: 1 to 128 bytes of [A-Za-z0-9_./-]
 *   resources: an ASCII URI in its canonical form: scheme and host in lower case, no user name, no
 *     default port, no fragment, no '.', '..' or empty path segment, no escape of what needs none
 *     or of '/', '\' and controls, escapes in upper case; and a query only if the glob has a '?' */
#ifndef CONFIG_PATTERN_H
#define CONFIG_PATTERN_H

#include "config/config.h"

/* TEXT must outlive *RET.  -1 with E: it could never match anything, or is too long. */
int pattern_parse(enum rule_kind kind, struct str text, struct config_pattern *ret, struct err *e);
/* The same for values of claims and arguments: any bytes. */
int pattern_parse_value(struct str text, struct config_pattern *ret, struct err *e);
/* Whether ITEM may match a glob at all. */
bool pattern_plain(enum rule_kind kind, struct str item);
/* PLAIN is pattern_plain of KIND and ITEM. */
bool pattern_match(const struct config_pattern *p, enum rule_kind kind, struct str item,
                   bool plain);
bool pattern_match_value(const struct config_pattern *p, struct str value);
/* Whether VALUE has no '.' or '..' as a path segment, no '%' and no control byte: a program could
 * take it for something else than a glob says. */
bool pattern_value_plain(struct str value);
/* The same for many patterns: one that does not agree with the item's probe does not match it. */
struct pattern_key pattern_key_of(const struct config_pattern *p);
struct pattern_probe {
  uint64_t head, tail; /* the first and last 8 bytes */
  size_t n;
};
struct pattern_probe pattern_probe_of(struct str item);
static inline bool pattern_agrees(const struct pattern_key *k, const struct pattern_probe *item)
{
  return item->n >= k->least && (!k->exact || item->n == k->least) &&
         ((item->head ^ k->head) & k->head_mask) == 0 &&
         ((item->tail ^ k->tail) & k->tail_mask) == 0;
}
/* Whether every item that INNER matches is matched by OUTER; may miss some that are. */
bool pattern_covers(const struct config_pattern *outer, enum rule_kind kind,
                    const struct config_pattern *inner);
/* Of a URI template (RFC 6570) whose expressions may become anything: whether the pattern matches
 * some of its URIs, and whether all. */
enum pattern_reach { REACH_NONE = 0, REACH_SOME, REACH_ALL };
enum pattern_reach pattern_reaches(const struct config_pattern *p, struct str uri_template);

#endif
