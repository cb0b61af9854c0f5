/* The audit key; see audit.h. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/audit.h"
#include "ops/daemon_lock.h"
#include "util/cleanup.h"
#include "util/safefile.h"

enum { KEY_SIZE = 32 };

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

/* Two processes that make it at once get the same. */
static int key_make(const char *path, struct err *e)
{
  unsigned char key[KEY_SIZE];
  const struct safefile_how how = {.mode = 0600, .sync = true, .first = true};
  if (RAND_bytes(key, sizeof key) != 1)
    return err_set(e, "no random numbers for %s", path);
  int r = safefile_write(path, (struct str){(const char *)key, sizeof key}, &how, e);
  OPENSSL_cleanse(key, sizeof key);
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

int audit_lock(const char *file, const char *daemon, int *ret_fd, struct err *e)
{
  char path[4096], what[4200];
  int n = snprintf(path, sizeof path, "%s.lock", file);
  if (n < 0 || (size_t)n >= sizeof path)
    return err_set(e, "the path of the audit log is too long");
  snprintf(what, sizeof what, "writes the audit log %s", file);
  return daemon_lock(path, daemon, what, ret_fd, e) < 0 ? err_prefix(e, "the audit log") : 0;
}
