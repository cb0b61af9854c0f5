/* The file of the static-token provider as the command line sees it: read, changed, written by
 * rename.  Lines that are not changed, comments among them, stay byte for byte.  The provider reads
 * the file with its own code; tests/unit/test_static_token.c holds the two together. */
#ifndef AUTH_TOKENFILE_H
#define AUTH_TOKENFILE_H

#include <jansson.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/err.h"

/* ---- secrets: mcpa_ 43 characters _ 6 check digits */

enum { TOKEN_SECRET = 55 };

/* A new one, with a NUL. */
int token_secret_make(char out[TOKEN_SECRET + 1], struct err *e);
/* Form and check digits. */
bool token_secret_valid(struct str secret);
/* SHA-256 in hexadecimal, as the file has it. */
void token_secret_hash(struct str secret, char out[65]);

/* ---- times */

/* "2027-01-01T00:00:00Z"; read by member_time. */
void token_time_format(int64_t t, char out[32]);

/* ---- the file */

struct tokenfile;

/* One token, as the provider would judge it: -1 with "member: why". */
int token_check(json_t *token, struct err *e);

/* Text of a whole file; NULL with "line N column M: why". */
struct tokenfile *tokenfile_parse(struct str text, struct err *e);
/* Reads PATH; when CHANGE, it is locked until tokenfile_free.  When CREATE and it is not there, it
 * is made, mode 0640, and root gives it to *CREATE, the group by which the hub reads it. */
struct tokenfile *tokenfile_open(const char *path, bool change, const gid_t *create, struct err *e);
void tokenfile_free(struct tokenfile *f); /* NULL is fine */

size_t tokenfile_count(const struct tokenfile *f);
json_t *tokenfile_at(const struct tokenfile *f, size_t i); /* borrowed */
json_t *tokenfile_find(const struct tokenfile *f, const char *id);
/* The token that SECRET is good for; *RET_PREVIOUS: it is the one before a rotation. */
json_t *tokenfile_by_secret(const struct tokenfile *f, struct str secret, bool *ret_previous);

/* Takes TOKEN over.  Checks it, and that id and hash are new. */
int tokenfile_add(struct tokenfile *f, json_t *token, struct err *e);
/* After a change to what tokenfile_find returned. */
int tokenfile_touch(struct tokenfile *f, json_t *token, struct err *e);
void tokenfile_remove(struct tokenfile *f, json_t *token);
int tokenfile_format(const struct tokenfile *f, struct buf *out);
/* A new file beside it, synced, renamed; owner and mode stay. */
int tokenfile_save(struct tokenfile *f, struct err *e);

#endif
