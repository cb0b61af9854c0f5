/* Token files on the disk: locked while they are changed, replaced by rename. */
#include <config.h>

#include "auth/tokenfile_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/limits.h"
#include "util/safefile.h"

static int create(const char *path, gid_t group, struct err *e)
{
  AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST)
    return 0; /* somebody else was first */
  if (fd < 0)
    return err_set(e, "cannot create %s: %s", path, strerror(errno));
  if ((geteuid() == 0 && fchown(fd, 0, group) < 0) || fchmod(fd, 0640) < 0)
    return err_set(e, "cannot give %s its group and mode: %s", path, strerror(errno));
  return 0;
}

/* The file at PATH, locked, and still the one at PATH when it is. */
static int open_locked(const char *path, int how, struct stat *ret, struct err *e)
{
  for (;;) {
    struct stat now;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, ret) < 0)
      return err_set(e, "%s", strerror(errno));
    if (!S_ISREG(ret->st_mode))
      return err_set(e, "not a regular file");
    if (flock(fd, how) < 0)
      return err_set(e, "cannot lock: %s", strerror(errno));
    if (stat(path, &now) == 0 && now.st_ino == ret->st_ino && now.st_dev == ret->st_dev)
      return steal_fd(&fd);
  }
}

struct tokenfile *tokenfile_open(const char *path, bool change, const gid_t *make, struct err *e)
{
  struct stat st;
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, LIMIT_TOKEN_FILE + 65536);
  if (change && make && access(path, F_OK) < 0 && errno == ENOENT && create(path, *make, e) < 0)
    return NULL;
  AUTO_FREE char *real = realpath(path, NULL);
  AUTO_CLOSE int fd = open_locked(real ? real : path, change ? LOCK_EX : LOCK_SH, &st, e);
  struct tokenfile *f = NULL;
  if (fd >= 0 && safefile_read_fd(fd, LIMIT_TOKEN_FILE, &text, e) == 0)
    f = tokenfile_parse(buf_view(&text), e);
  if (f == NULL) {
    err_prefix(e, "%s", path);
    return NULL;
  }
  f->st = st;
  f->path = steal_ptr(&real);
  if (change)
    f->fd = steal_fd(&fd);
  return f;
}

int tokenfile_save(struct tokenfile *f, struct err *e)
{
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, LIMIT_TOKEN_FILE);
  if (tokenfile_format(f, &text) < 0)
    return err_set(e, "cannot write %s: it would become too large", f->path);
  return safefile_write(f->path, buf_view(&text),
                        &(struct safefile_how){.like = &f->st, .sync = true}, e);
}
