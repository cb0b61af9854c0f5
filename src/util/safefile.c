/* Reading of files that must be ours alone; see safefile.h. */
#include "util/safefile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/cleanup.h"

static int judge(const char *path, const struct stat *st, size_t max, bool secret, uid_t owner,
                 struct err *e)
{
  if (!S_ISREG(st->st_mode))
    return err_set(e, "%s is not a regular file", path);
  if (st->st_uid != 0 && st->st_uid != owner)
    return err_set(e, "%s belongs to neither root nor the user that runs this", path);
  if (st->st_mode & (S_IWGRP | S_IWOTH))
    return err_set(e, "%s can be written by others (mode %04o)", path, st->st_mode & 07777);
  if (secret && (st->st_mode & S_IROTH))
    return err_set(e, "%s can be read by others (mode %04o)", path, st->st_mode & 07777);
  if ((uintmax_t)st->st_size > max)
    return err_set(e, "%s is longer than %zu bytes", path, max);
  return 0;
}

/* The file may grow while it is read. */
static int read_all(int fd, const char *path, size_t max, struct buf *out, struct err *e)
{
  size_t total = 0;
  for (;;) {
    char block[16384];
    ssize_t n = read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_set(e, "%s: %s", path, strerror(errno));
    if (n > 0 && buf_add(out, block, (size_t)n) < 0)
      return err_set(e, "%s does not fit into memory", path);
    explicit_bzero(block, (size_t)n);
    if (n == 0)
      return 0;
    total += (size_t)n;
    if (total > max)
      return err_set(e, "%s is longer than %zu bytes", path, max);
  }
}

int safefile_read(const char *path, size_t max, bool secret, struct buf *out, struct stat *ret_stat,
                  struct err *e)
{
  return safefile_read_as(path, max, secret, geteuid(), out, ret_stat, e);
}

int safefile_read_as(const char *path, size_t max, bool secret, uid_t owner, struct buf *out,
                     struct stat *ret_stat, struct err *e)
{
  struct stat st;
  /* O_NONBLOCK: a FIFO in its place must not hang us. */
  AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat(fd, &st) < 0)
    return err_set(e, "%s: %s", path, strerror(errno));
  if (judge(path, &st, max, secret, owner, e) < 0 || read_all(fd, path, max, out, e) < 0)
    return -1;
  if (ret_stat)
    *ret_stat = st;
  return 0;
}

bool safefile_same(const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
         a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}
