/* Files that others must not be able to change, or to read: keys, token files, secrets.  Links are
 * followed; the file that was opened is judged, on its descriptor (row 121). */
#ifndef UTIL_SAFEFILE_H
#define UTIL_SAFEFILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "util/buf.h"
#include "util/err.h"

/* Appends the whole content of the regular file PATH to OUT.  -1 with E when it cannot be read, is
 * not a regular file, is longer than MAX bytes, belongs to neither root nor our user, can be
 * written by group or others or, when SECRET, read by others.  *RET_STAT (may be NULL) is of the
 * descriptor that was read. */
int safefile_read(const char *path, size_t max, bool secret, struct buf *out, struct stat *ret_stat,
                  struct err *e);
/* The same for a process that will run as OWNER: that user may own the file, we may not. */
int safefile_read_as(const char *path, size_t max, bool secret, uid_t owner, struct buf *out,
                     struct stat *ret_stat, struct err *e);
/* How a file is left by safefile_write. */
struct safefile_how {
  mode_t mode;             /* of a file of ours */
  const struct stat *like; /* owner, group and mode of this one instead; NULL: ours, with MODE */
  bool sync;               /* it is on the disk afterwards, its name too */
  bool first;              /* a file that is there already stays, and that is no error */
};

/* Makes PATH a file of BYTES, whole or not at all: written beside it, then renamed.  Any thread. */
int safefile_write(const char *path, struct str bytes, const struct safefile_how *how,
                   struct err *e);
/* Everything from FD on, at most MAX bytes, appended to OUT; E does not name the file. */
int safefile_read_fd(int fd, size_t max, struct buf *out, struct err *e);
/* Whether two looks saw the same, unchanged file. */
bool safefile_same(const struct stat *a, const struct stat *b);

#endif
