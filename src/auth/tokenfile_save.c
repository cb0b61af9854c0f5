/* Token files on the disk: locked while they are changed, replaced by rename. */
#include <config.h>

#include "auth/tokenfile_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/limits.h"

static int read_fd(int fd, struct buf *out, struct err *e)
{
  for (;;) {
    char *room = buf_reserve(out, 65536);
    ssize_t n = room ? read(fd, room, 65536) : -1;
    if (n < 0 && room && errno == EINTR)
      continue;
    if (n < 0)
      return err_set(e, "%s", room ? strerror(errno) : "the file is too large");
    if (n == 0)
      return 0;
    out->n += (size_t)n;
  }
}

/* A file of ours that is made takes the group of its folder, which the hub's user can read. */
static int create(const char *path, struct err *e)
{
  char copy[PATH_MAX];
  struct stat st;
  AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return err_set(e, "cannot create %s: %s", path, strerror(errno));
  snprintf(copy, sizeof copy, "%s", path);
  if (stat(dirname(copy), &st) < 0 ||
      (st.st_gid != getegid() && fchown(fd, (uid_t)-1, st.st_gid) < 0 && geteuid() == 0) ||
      fchmod(fd, 0640) < 0)
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

struct tokenfile *tokenfile_open(const char *path, bool change, bool make, struct err *e)
{
  struct stat st;
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, LIMIT_TOKEN_FILE + 65536);
  if (change && make && access(path, F_OK) < 0 && errno == ENOENT && create(path, e) < 0)
    return NULL;
  AUTO_FREE char *real = realpath(path, NULL);
  AUTO_CLOSE int fd = open_locked(real ? real : path, change ? LOCK_EX : LOCK_SH, &st, e);
  struct tokenfile *f = NULL;
  if (fd >= 0 && read_fd(fd, &text, e) == 0)
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

static int write_temp(const struct tokenfile *f, int fd, struct err *e)
{
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, LIMIT_TOKEN_FILE);
  if (tokenfile_format(f, &text) < 0)
    return err_set(e, "the file would become too large");
  for (size_t at = 0; at < text.n;) {
    ssize_t w = write(fd, text.p + at, text.n - at);
    if (w <= 0)
      return err_set(e, "%s", w < 0 ? strerror(errno) : "nothing was written");
    at += (size_t)w;
  }
  if ((f->st.st_uid != geteuid() || f->st.st_gid != getegid()) &&
      fchown(fd, f->st.st_uid, f->st.st_gid) < 0)
    return err_set(e, "cannot keep its owner: %s", strerror(errno));
  if (fchmod(fd, f->st.st_mode & 07777) < 0 || fsync(fd) < 0)
    return err_set(e, "%s", strerror(errno));
  return 0;
}

static void sync_folder(const char *path)
{
  char copy[PATH_MAX];
  snprintf(copy, sizeof copy, "%s", path);
  AUTO_CLOSE int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && fsync(fd) < 0)
    fprintf(stderr, "mcpauth: cannot sync the folder of %s: %s\n", path, strerror(errno));
}

int tokenfile_save(struct tokenfile *f, struct err *e)
{
  char temp[PATH_MAX];
  int n = snprintf(temp, sizeof temp, "%s.XXXXXX", f->path);
  if (n < 0 || (size_t)n >= sizeof temp)
    return err_set(e, "the path is too long");
  AUTO_CLOSE int fd = mkostemp(temp, O_CLOEXEC);
  if (fd < 0)
    return err_set(e, "cannot create %s: %s", temp, strerror(errno));
  if (write_temp(f, fd, e) < 0 ||
      (rename(temp, f->path) < 0 && err_set(e, "%s", strerror(errno)) < 0)) {
    unlink(temp);
    return err_prefix(e, "cannot write %s", f->path);
  }
  sync_folder(f->path);
  return 0;
}
