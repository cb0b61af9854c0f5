/* Shared memory; see shared.h.  The size is sealed: nobody can cut it under those who use it. */
#include <config.h>

#include "ops/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static int make(const char *what, size_t size, struct err *e)
{
  AUTO_CLOSE int fd = memfd_create(what, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
    return err_set(e, "%s: %s", what, strerror(errno));
  return steal_fd(&fd);
}

static int check(const char *what, size_t size, int fd, struct err *e)
{
  struct stat st;
  if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) < 0 || st.st_size != (off_t)size)
    return err_set(e, "%s: what was handed over is something else", what);
  return 0;
}

void *shared_map(const char *what, size_t size, int *fd, struct err *e)
{
  AUTO_CLOSE int made = -1;
  if (*fd >= 0 ? check(what, size, *fd, e) < 0 : (made = make(what, size, e)) < 0)
    return NULL;
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd >= 0 ? *fd : made, 0);
  if (p == MAP_FAILED) {
    err_set(e, "%s: %s", what, strerror(errno));
    return NULL;
  }
  if (made >= 0)
    *fd = steal_fd(&made);
  return p;
}
