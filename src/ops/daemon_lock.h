/* One daemon at a file or folder: a lock file that all processes of one daemon, of all its
 * generations, may hold together, and those of another may not. */
#ifndef OPS_DAEMON_LOCK_H
#define OPS_DAEMON_LOCK_H

#include "util/err.h"

/* DAEMON: any text that names the daemon ("PID.START" of the master).  WHAT it does, for the
 * message: "another daemon (…) WHAT".  The lock lasts until *RET_FD is closed. */
int daemon_lock(const char *path, const char *daemon, const char *what, int *ret_fd, struct err *e);

#endif
