/* The file behind an audit writer: appended to by several processes, followed when it is rotated by
 * one of them or from outside, repaired when a write stops half-way.  Used by audit.c alone. */
#ifndef OPS_AUDIT_FILE_H
#define OPS_AUDIT_FILE_H

#include <sys/types.h>

#include "ops/audit.h"

struct audit_file {
  enum audit_to to;
  char *path;
  int fd; /* -1 when closed */
  dev_t dev;
  ino_t ino;
  off_t seen; /* the largest size seen: a smaller one means that somebody cut the file */
  size_t rotate_size;
  unsigned keep;
};

int audit_file_init(struct audit_file *f, const struct audit_options *o, struct err *e);
void audit_file_done(struct audit_file *f);

/* Before a write: opens what stands at the path now.  *RET_MOVED: it is not what was written to
 * before (rotated, replaced, cut short). */
int audit_file_follow(struct audit_file *f, bool *ret_moved, struct err *e);
/* What was handed to a failed sync may be gone whatever the next sync says: a new descriptor. */
void audit_file_forget(struct audit_file *f);
/* All of BYTES, or nothing that a reader would take for a record.  Never waits for a reader of a
 * pipe. */
int audit_file_write(struct audit_file *f, struct str bytes, struct err *e);
/* After a write: FILE becomes FILE.1 and so on when it has grown past its size. */
void audit_file_rotate(struct audit_file *f);
/* The most bytes of one write that cannot be interleaved with those of another process. */
size_t audit_file_piece(const struct audit_file *f);

#endif
