/* Files that must be ours alone, read and replaced; see safefile.h. */
#include <config.h>

#include "util/safefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
int safefile_read_fd(int fd, size_t max, struct buf *out, struct err *e)
{
  size_t total = 0;
  for (;;) {
    char block[16384];
    ssize_t n = read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_set(e, "%s", strerror(errno));
    if (n > 0 && buf_add(out, block, (size_t)n) < 0)
      return err_set(e, "it does not fit into memory");
    explicit_bzero(block, (size_t)n);
    if (n == 0)
      return 0;
    total += (size_t)n;
    if (total > max)
      return err_set(e, "it is longer than %zu bytes", max);
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
  if (judge(path, &st, max, secret, owner, e) < 0)
    return -1;
  if (safefile_read_fd(fd, max, out, e) < 0)
    return err_prefix(e, "%s", path);
  if (ret_stat)
    *ret_stat = st;
  return 0;
}

/* ---- writing */

static int write_all(int fd, struct str bytes)
{
  while (bytes.n) {
    ssize_t n = write(fd, bytes.p, bytes.n);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      errno = n == 0 ? ENOSPC : errno;
      return -1;
    }
    bytes = str_slice(bytes, (size_t)n, bytes.n);
  }
  return 0;
}

static int own(int fd, const struct safefile_how *how)
{
  const struct stat *like = how->like;
  if (like == NULL)
    return fchmod(fd, how->mode);
  if ((like->st_uid != geteuid() || like->st_gid != getegid()) &&
      fchown(fd, like->st_uid, like->st_gid) < 0)
    return -1;
  return fchmod(fd, like->st_mode & 07777);
}

static int sync_folder(const char *path)
{
  const char *slash = strrchr(path, '/');
  AUTO_FREE char *folder =
      slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
  AUTO_CLOSE int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  return fd < 0 ? -1 : fsync(fd);
}

static int write_temporary(int fd, struct str bytes, const struct safefile_how *how)
{
  if (write_all(fd, bytes) < 0 || own(fd, how) < 0)
    return -1;
  return how->sync ? fsync(fd) : 0;
}

static int put_in_place(const char *temporary, const char *path, const struct safefile_how *how)
{
  if (!how->first)
    return rename(temporary, path);
  if (link(temporary, path) < 0 && errno != EEXIST)
    return -1;
  return unlink(temporary);
}

int safefile_write(const char *path, struct str bytes, const struct safefile_how *how,
                   struct err *e)
{
  AUTO_FREE char *temporary = NULL;
  if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
    temporary = NULL;
    return err_set(e, "out of memory");
  }
  AUTO_CLOSE int fd = mkostemp(temporary, O_CLOEXEC);
  if (fd < 0)
    return err_set(e, "cannot write beside %s: %s", path, strerror(errno));
  if (write_temporary(fd, bytes, how) < 0 || put_in_place(temporary, path, how) < 0) {
    err_set(e, "cannot write %s: %s", path, strerror(errno));
    unlink(temporary);
    return -1;
  }
  return how->sync && sync_folder(path) < 0
             ? err_set(e, "cannot sync the folder of %s: %s", path, strerror(errno))
             : 0;
}

bool safefile_same(const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
         a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}
