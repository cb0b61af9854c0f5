/* Who the processes run as, and what they cannot do any more (security c.2). */
#ifndef HUB_PRIVILEGES_H
#define HUB_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

struct identity {
  char name[64]; /* "" when it is just who we are */
  uid_t uid;
  gid_t gid;
};

/* umask 077, chdir /, no new privileges, no core, not dumpable, all descriptors that we may have.
 */
int privileges_harden(struct err *e);
/* NULL or "": who we are.  -1 when there is no such user, or it is root. */
int privileges_find(const char *user, struct identity *ret, struct err *e);
/* Becomes ID for good, groups included, and proves that there is no way back.  Nothing to do when
 * we are it already; -1 when we may not. */
int privileges_drop(const struct identity *id, struct err *e);
/* Closes every descriptor from 3 on but the N of KEEP (any order, values below 3 ignored). */
int close_all_but(const int *keep, size_t n, struct err *e);
/* What every process but the master begins with.  NAME is what `ps -o comm` shows.  Signals of the
 * terminal and of systemd go to all; only the master acts on them. */
void child_begin(const char *name);

#endif
