/* The lock that keeps a second daemon away from a file or folder; see daemon_lock.h. */
#include "ops/daemon_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/str.h"

enum { LOCK_TRIES = 50, LOCK_PAUSE_US = 10000 };

/* Who holds the lock wrote its name into it. */
static int lock_compare(int fd, const char *daemon, const char *what, struct err *e)
{
  char holder[128] = "";
  ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
  if (n >= 0 && str_is((struct str){holder, (size_t)n}, daemon))
    return 0;
  return err_set(e, "another daemon (%.100s) %s", n > 0 ? holder : "?", what);
}

static int lock_first(int fd, const char *daemon, const char *path, const char *what, struct err *e)
{
  ssize_t n = (ssize_t)strlen(daemon);
  if (ftruncate(fd, 0) < 0 || pwrite(fd, daemon, (size_t)n, 0) != n || flock(fd, LOCK_SH) < 0)
    return err_set(e, "cannot lock %s: %s", path, strerror(errno));
  /* Between exclusive and shared another one may have been first. */
  return lock_compare(fd, daemon, what, e);
}

int daemon_lock(const char *path, const char *daemon, const char *what, int *ret_fd, struct err *e)
{
  AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return err_set(e, "cannot open %s: %s", path, strerror(errno));
  int r = -1;
  for (int tries = 0; tries < LOCK_TRIES; tries++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
      r = lock_first(fd, daemon, path, what, e);
      break;
    }
    if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
      r = lock_compare(fd, daemon, what, e);
      break;
    }
    err_set(e, "cannot lock %s: %s", path, strerror(errno));
    usleep(LOCK_PAUSE_US); /* somebody is between exclusive and shared */
  }
  if (r == 0)
    *ret_fd = steal_fd(&fd);
  return r;
}
