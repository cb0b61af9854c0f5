/* Appending, repair and rotation of the audit file; see audit_file.h. */
#include "ops/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/log.h"
#include "util/cleanup.h"

int audit_file_init(struct audit_file *f, const struct audit_options *o, struct err *e)
{
  *f = (struct audit_file){
      .to = o->to, .fd = -1, .rotate_size = o->rotate_size, .keep = o->keep ? o->keep : 1};
  if (o->to == AUDIT_STDOUT)
    f->fd = STDOUT_FILENO;
  if (o->to != AUDIT_FILE)
    return 0;
  f->path = strdup(o->file);
  if (f->path == NULL)
    return err_set(e, "out of memory");
  bool moved;
  if (audit_file_follow(f, &moved, e) == 0)
    return 0;
  audit_file_done(f);
  return -1;
}

void audit_file_forget(struct audit_file *f)
{
  if (f->to == AUDIT_FILE && f->fd >= 0)
    close(f->fd);
  if (f->to == AUDIT_FILE)
    f->fd = -1;
}

void audit_file_done(struct audit_file *f)
{
  audit_file_forget(f);
  free(f->path);
  f->path = NULL;
}

/* Whoever waits for a sync of this file would be answered by that of the next one.  It happens once
 * a rotation, when nearly all has been synced before. */
static int leave_synced(const struct audit_file *f)
{
  return fdatasync(f->fd) < 0 && errno != EINVAL && errno != EROFS ? -1 : 0;
}

static int reopen(struct audit_file *f, struct err *e)
{
  struct stat st;
  AUTO_CLOSE int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
  if (fd < 0 || fstat(fd, &st) < 0)
    return err_set(e, "cannot open %s: %s", f->path, strerror(errno));
  if (S_ISDIR(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
    return err_set(e, "%s is not a file", f->path);
  if (f->fd >= 0 && leave_synced(f) < 0) {
    err_set(e, "cannot sync %s, which has been moved: %s", f->path, strerror(errno));
    audit_file_forget(f);
    return -1;
  }
  audit_file_forget(f);
  f->fd = steal_fd(&fd);
  f->dev = st.st_dev;
  f->ino = st.st_ino;
  f->seen = st.st_size;
  return 0;
}

int audit_file_follow(struct audit_file *f, bool *ret_moved, struct err *e)
{
  struct stat st;
  *ret_moved = false;
  if (f->to != AUDIT_FILE)
    return 0;
  bool there = stat(f->path, &st) == 0;
  if (f->fd >= 0 && there && st.st_dev == f->dev && st.st_ino == f->ino) {
    if (S_ISREG(st.st_mode) && st.st_size < f->seen) {
      log_error("%s was cut from %lld to %lld bytes by somebody else", f->path, (long long)f->seen,
                (long long)st.st_size);
      *ret_moved = true;
    }
    f->seen = st.st_size;
    return 0;
  }
  *ret_moved = true;
  return reopen(f, e);
}

/* The N bytes that we appended last become spaces and one newline: no reader takes them for a
 * record, and what others appended behind them stands on a line of its own.  Nothing is cut off,
 * for others append at the same time. */
static int blank(const struct audit_file *f, size_t n)
{
  char spaces[4096];
  off_t end = lseek(f->fd, 0, SEEK_CUR);
  int flags = fcntl(f->fd, F_GETFL);
  if (end < (off_t)n || flags < 0 || fcntl(f->fd, F_SETFL, flags & ~O_APPEND) < 0)
    return -1;
  memset(spaces, ' ', sizeof spaces);
  off_t at = end - (off_t)n;
  while (n > 0) {
    size_t some = n < sizeof spaces ? n : sizeof spaces;
    if (some == n)
      spaces[some - 1] = '\n';
    ssize_t w = pwrite(f->fd, spaces, some, at);
    if (w <= 0)
      break;
    at += w;
    n -= (size_t)w;
  }
  if (fcntl(f->fd, F_SETFL, flags) < 0)
    return -1;
  return n == 0 ? 0 : -1;
}

static int write_file(struct audit_file *f, struct str bytes, struct err *e)
{
  size_t at = 0;
  while (at < bytes.n) {
    ssize_t w = write(f->fd, bytes.p + at, bytes.n - at);
    if (w < 0 && errno == EINTR)
      continue;
    if (w <= 0)
      break;
    at += (size_t)w;
  }
  if (at == bytes.n)
    return 0;
  err_set(e, "cannot write %s: %s", f->path, strerror(errno));
  if (at > 0 && blank(f, at) < 0) {
    err_prefix(e, "%zu bytes of a torn record stay in the file", at);
    audit_file_forget(f); /* whoever appends next is told apart from us */
  }
  return -1;
}

static int write_stdout(struct str bytes, struct err *e)
{
  struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
  for (size_t at = 0; at < bytes.n;) {
    if (at == 0 && poll(&p, 1, 0) != 1)
      return err_set(e, "nobody reads the standard output, where the audit log goes");
    ssize_t w = write(STDOUT_FILENO, bytes.p + at, bytes.n - at);
    if (w < 0 && errno == EINTR)
      continue;
    if (w <= 0)
      return err_set(e, "cannot write the audit log to standard output: %s", strerror(errno));
    at += (size_t)w;
  }
  return 0;
}

int audit_file_write(struct audit_file *f, struct str bytes, struct err *e)
{
  if (f->to == AUDIT_STDOUT)
    return write_stdout(bytes, e);
  if (f->fd < 0)
    return err_set(e, "%s is not open", f->path);
  if (write_file(f, bytes, e) < 0)
    return -1;
  off_t end = lseek(f->fd, 0, SEEK_CUR);
  if (end > f->seen)
    f->seen = end;
  return 0;
}

size_t audit_file_piece(const struct audit_file *f)
{
  return f->to == AUDIT_STDOUT ? PIPE_BUF : SIZE_MAX;
}

static int numbered(const struct audit_file *f, unsigned i, char out[PATH_MAX])
{
  int n = i ? snprintf(out, PATH_MAX, "%s.%u", f->path, i) : snprintf(out, PATH_MAX, "%s", f->path);
  return n > 0 && n < PATH_MAX ? 0 : -1;
}

/* Files behind FILE.KEEP, the oldest first: more were kept once.  They would follow a hole. */
static int remove_surplus(const struct audit_file *f)
{
  char path[PATH_MAX];
  unsigned last = f->keep;
  while (numbered(f, last + 1, path) == 0 && access(path, F_OK) == 0)
    last++;
  for (; last > f->keep; last--)
    if (numbered(f, last, path) < 0 || (unlink(path) < 0 && errno != ENOENT))
      return -1;
  return 0;
}

/* FILE.8 → FILE.9, …, FILE → FILE.1, from the first number that is free; what was FILE.KEEP is
 * replaced. */
static int shift(const struct audit_file *f)
{
  char from[PATH_MAX], to[PATH_MAX];
  unsigned last = 1;
  if (remove_surplus(f) < 0)
    return -1;
  while (last < f->keep && numbered(f, last, to) == 0 && access(to, F_OK) == 0)
    last++;
  for (unsigned i = last; i >= 1; i--)
    if (numbered(f, i - 1, from) < 0 || numbered(f, i, to) < 0 || rename(from, to) < 0)
      return -1;
  return 0;
}

void audit_file_rotate(struct audit_file *f)
{
  struct stat st, path;
  if (f->to != AUDIT_FILE || f->fd < 0 || f->rotate_size == 0 ||
      (uint64_t)f->seen < f->rotate_size || fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode))
    return;
  /* The lock is on the file itself: whoever gets it looks again whether that is still the one at
   * the path.  Somebody else who holds it is rotating. */
  if (flock(f->fd, LOCK_EX | LOCK_NB) < 0)
    return;
  if (stat(f->path, &path) == 0 && path.st_dev == st.st_dev && path.st_ino == st.st_ino &&
      shift(f) < 0) {
    log_error("cannot rotate %s, which goes on growing: %s", f->path, strerror(errno));
    f->rotate_size = 0;
  }
  flock(f->fd, LOCK_UN);
}
