/* Checks audit files: every record's place in its chain, every anchor, what the state directory
 * remembers.  Reads; writes nothing.  Used by `mcpauth audit verify` and the tests.
 *
 * Found: a record that was changed, removed, inserted, repeated, or moved within its chain or to
 * another file; a chain cut before the last anchor that names it, or a whole file put back to an
 * older state.  Not found: records cut from the end of a chain after the last anchor (at most 1 s,
 * or a minute without much traffic); anything done by somebody who can read the key; a changed
 * order of records of different writers, whose order was never promised. */
#ifndef OPS_AUDIT_VERIFY_H
#define OPS_AUDIT_VERIFY_H

#include "util/err.h"
#include "util/str.h"

struct audit_verify;

/* FAULT: the log is not what was written.  Otherwise a remark. */
typedef void audit_finding_fn(void *arg, bool fault, const char *file, uint64_t line,
                              const char *text);

struct audit_verify *audit_verify_new(const unsigned char key[32], audit_finding_fn *finding,
                                      void *arg, struct err *e);
void audit_verify_free(struct audit_verify *v);
/* In this order: the anchor files are read (a hub that is at work goes on: what they name then is
 * in the log when that is read); log files, the oldest first; the anchors are compared.  -1: cannot
 * be read. */
int audit_verify_read_anchors(struct audit_verify *v, const char *state_dir, struct err *e);
int audit_verify_file(struct audit_verify *v, const char *path, struct err *e);
int audit_verify_fd(struct audit_verify *v, const char *path, int fd, struct err *e);
void audit_verify_anchors(struct audit_verify *v);

struct audit_verify_result {
  uint64_t records, faults, lost;
  uint64_t chains, open; /* OPEN: without an end: running, or killed */
};

void audit_verify_result(const struct audit_verify *v, struct audit_verify_result *ret);

#endif
