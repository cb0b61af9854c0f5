/* JSON documents of the authorization server as text: members one behind the other, each but the
 * first of an object with a comma in front.  Pure. */
#ifndef OAUTH_JSON_TEXT_H
#define OAUTH_JSON_TEXT_H

#include "config/config.h"
#include "util/buf.h"

/* "KEY":"VALUE" */
void member_text(struct buf *b, const char *key, struct str value);
/* "KEY":"A" and B behind it, as one string */
void member_joined(struct buf *b, const char *key, const char *a, const char *z);
/* "KEY":["a","b"] */
void member_words(struct buf *b, const char *key, const char *const *v, size_t n);
void member_number(struct buf *b, const char *key, int64_t value);
void member_bool(struct buf *b, const char *key, bool value);
/* Begins and ends a document; members_end is -1 when B failed. */
void members_begin(struct buf *b);
int members_end(struct buf *b);

#endif
