/* The audit key and the lock that keeps a second daemon away from a log; see audit.h. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/audit.h"
#include "util/cleanup.h"
#include "util/str.h"

enum { KEY_SIZE = 32, LOCK_TRIES = 50, LOCK_PAUSE_US = 10000 };

/* -1 with errno ENOENT: there is none. */
static int key_read(const char *path, unsigned char ret_key[KEY_SIZE], struct err *e)
{
  struct stat st;
  unsigned char key[KEY_SIZE + 1];
  AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || fstat(fd, &st) < 0) {
    int saved = errno;
    err_set(e, "cannot open %s: %s", path, strerror(errno));
    errno = saved;
    return -1;
  }
  errno = 0;
  if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
    return err_set(e, "%s must be a file that only its owner can read (mode 0600)", path);
  if (st.st_uid != geteuid() && geteuid() != 0)
    return err_set(e, "%s belongs to another user", path);
  ssize_t n = read(fd, key, sizeof key);
  if (n == KEY_SIZE)
    memcpy(ret_key, key, KEY_SIZE);
  OPENSSL_cleanse(key, sizeof key);
  errno = 0;
  return n == KEY_SIZE ? 0 : err_set(e, "%s does not hold a key of %d bytes", path, KEY_SIZE);
}

/* Whole or not at all; two processes that make it at once get the same. */
static int key_make(const char *path, struct err *e)
{
  char temp[4200];
  unsigned char key[KEY_SIZE];
  if (RAND_bytes(key, sizeof key) != 1)
    return err_set(e, "no random numbers for %s", path);
  snprintf(temp, sizeof temp, "%s.%d", path, (int)getpid());
  AUTO_CLOSE int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  int r = fd < 0 ? -1 : 0;
  if (r == 0 && (write(fd, key, sizeof key) != (ssize_t)sizeof key || fsync(fd) < 0 ||
                 (link(temp, path) < 0 && errno != EEXIST)))
    r = -1;
  if (r < 0)
    err_set(e, "cannot make %s: %s", path, strerror(errno));
  OPENSSL_cleanse(key, sizeof key);
  unlink(temp);
  return r;
}

int audit_key(const char *state_dir, unsigned char ret_key[KEY_SIZE], struct err *e)
{
  char path[4096];
  int n = snprintf(path, sizeof path, "%s/audit.key", state_dir);
  if (n < 0 || (size_t)n >= sizeof path)
    return err_set(e, "the path of the state directory is too long");
  if (key_read(path, ret_key, e) == 0)
    return 0;
  if (errno != ENOENT)
    return -1;
  return key_make(path, e) < 0 ? -1 : key_read(path, ret_key, e);
}

/* Who holds the lock wrote its name into it. */
static int lock_compare(int fd, const char *daemon, const char *file, struct err *e)
{
  char holder[128] = "";
  ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
  if (n >= 0 && str_is((struct str){holder, (size_t)n}, daemon))
    return 0;
  return err_set(e, "another daemon (%.100s) writes the audit log %s", n > 0 ? holder : "?", file);
}

static int lock_first(int fd, const char *daemon, const char *file, struct err *e)
{
  ssize_t n = (ssize_t)strlen(daemon);
  if (ftruncate(fd, 0) < 0 || pwrite(fd, daemon, (size_t)n, 0) != n || flock(fd, LOCK_SH) < 0)
    return err_set(e, "cannot lock %s: %s", file, strerror(errno));
  /* Between exclusive and shared another one may have been first. */
  return lock_compare(fd, daemon, file, e);
}

int audit_lock(const char *file, const char *daemon, int *ret_fd, struct err *e)
{
  char path[4096];
  int n = snprintf(path, sizeof path, "%s.lock", file);
  if (n < 0 || (size_t)n >= sizeof path)
    return err_set(e, "the path of the audit log is too long");
  AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return err_set(e, "cannot open %s: %s", path, strerror(errno));
  int r = -1;
  for (int tries = 0; tries < LOCK_TRIES; tries++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
      r = lock_first(fd, daemon, file, e);
      break;
    }
    if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
      r = lock_compare(fd, daemon, file, e);
      break;
    }
    err_set(e, "cannot lock %s: %s", path, strerror(errno));
    usleep(LOCK_PAUSE_US); /* somebody is between exclusive and shared */
  }
  if (r == 0)
    *ret_fd = steal_fd(&fd);
  return r;
}
