/* The service manager; see notify.h.  Messages are best effort: a service manager that does not
 * listen changes nothing for those whom we serve. */
#include <config.h>

#include "hub/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/str.h"

static struct sockaddr_un manager;
static socklen_t manager_len; /* 0: nobody wants to know */
static int64_t watchdog_ms;
static unsigned n_fds;
static char *fd_names[NOTIFY_FDS_MAX];

static uint64_t number_in(const char *name, uint64_t most)
{
  uint64_t n = 0;
  const char *v = getenv(name);
  return v && str_u64(str_of(v), most, &n) ? n : 0;
}

static int find_manager(struct err *e)
{
  const char *path = getenv("NOTIFY_SOCKET");
  if (path == NULL || *path == 0)
    return 0;
  size_t n = strlen(path);
  if ((*path != '/' && *path != '@') || n < 2 || n >= sizeof manager.sun_path)
    return err_set(e, "NOTIFY_SOCKET: not a socket address");
  manager.sun_family = AF_UNIX;
  memcpy(manager.sun_path, path, n);
  if (*path == '@')
    manager.sun_path[0] = 0;
  manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
  return 0;
}

static int find_names(struct err *e)
{
  const char *names = getenv("LISTEN_FDNAMES");
  struct str rest = str_of(names ? names : ""), name;
  for (unsigned i = 0; i < n_fds; i++) {
    if (!str_next(&rest, ':', &name) || name.n == 0)
      name = STR("unknown");
    fd_names[i] = strndup(name.p, name.n);
    if (fd_names[i] == NULL)
      return err_set(e, "out of memory");
    fcntl(NOTIFY_FDS_FROM + (int)i, F_SETFD, FD_CLOEXEC);
  }
  return 0;
}

int notify_init(struct err *e)
{
  uint64_t me = (uint64_t)getpid();
  if (find_manager(e) < 0)
    return -1;
  if (getenv("WATCHDOG_PID") == NULL || number_in("WATCHDOG_PID", UINT64_MAX) == me)
    watchdog_ms = (int64_t)(number_in("WATCHDOG_USEC", INT64_MAX) / 2000);
  if (number_in("LISTEN_PID", UINT64_MAX) == me)
    n_fds = (unsigned)number_in("LISTEN_FDS", NOTIFY_FDS_MAX);
  return find_names(e);
}

static void tell(const char *text, size_t n)
{
  if (manager_len == 0)
    return;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return;
  sendto(fd, text, n, MSG_NOSIGNAL, (const struct sockaddr *)&manager, manager_len);
  close(fd);
}

void notify_ready(void)
{
  tell("READY=1", 7);
}

void notify_reloading(void)
{
  struct timespec t;
  char text[80];
  clock_gettime(CLOCK_MONOTONIC, &t);
  int n = snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
  tell(text, (size_t)n);
}

void notify_stopping(void)
{
  tell("STOPPING=1", 10);
}

void notify_watchdog(void)
{
  tell("WATCHDOG=1", 10);
}

void notify_status(const char *format, ...)
{
  char text[512] = "STATUS=";
  va_list ap;
  va_start(ap, format);
  vsnprintf(text + 7, sizeof text - 7, format, ap);
  va_end(ap);
  text[strcspn(text, "\n")] = 0;
  tell(text, strlen(text));
}

int64_t notify_watchdog_ms(void)
{
  return watchdog_ms;
}

unsigned notify_fds(void)
{
  return n_fds;
}

static bool listens(int fd)
{
  int yes = 0;
  socklen_t n = sizeof yes;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) == 0 && yes;
}

int notify_socket(const char *name, struct err *e)
{
  int found = -1;
  for (unsigned i = 0; i < n_fds; i++) {
    if (strcmp(fd_names[i], name) != 0)
      continue;
    if (found >= 0)
      return err_set(e, "systemd has passed several sockets called '%s': name each differently",
                     name);
    found = NOTIFY_FDS_FROM + (int)i;
  }
  if (found < 0)
    return err_set(e, "systemd has passed no socket called '%s' (FileDescriptorName=)", name);
  if (!listens(found))
    return err_set(e, "what systemd has passed as '%s' is not a listening stream socket", name);
  int flags = fcntl(found, F_GETFL);
  if (flags < 0 || fcntl(found, F_SETFL, flags | O_NONBLOCK) < 0)
    return err_set(e, "socket '%s' of systemd: %s", name, strerror(errno));
  return found;
}

/* ---- to another program in our place */

static int fd_names_text(char **ret)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, MIB(1));
  buf_puts(&b, "LISTEN_FDNAMES=");
  for (unsigned i = 0; i < n_fds; i++)
    buf_printf(&b, "%s%s", i ? ":" : "", fd_names[i]);
  *ret = b.failed ? NULL : strndup(b.p, b.n);
  return *ret ? 1 : -1;
}

int notify_environment(char *ret[NOTIFY_VARIABLES])
{
  int n = 0;
  const char *path = manager.sun_path;
  if (manager_len && asprintf(&ret[n++], "NOTIFY_SOCKET=%s%.*s", *path ? "" : "@",
                              (int)sizeof manager.sun_path - 1, *path ? path : path + 1) < 0)
    return -1;
  if (watchdog_ms && asprintf(&ret[n++], "WATCHDOG_USEC=%lld", (long long)watchdog_ms * 2000) < 0)
    return -1;
  if (n_fds == 0)
    return n;
  if (asprintf(&ret[n++], "LISTEN_PID=%ld", (long)getpid()) < 0 ||
      asprintf(&ret[n++], "LISTEN_FDS=%u", n_fds) < 0 || fd_names_text(&ret[n++]) < 0)
    return -1;
  return n;
}

void notify_keep_sockets(bool keep)
{
  for (unsigned i = 0; i < n_fds; i++)
    fcntl(NOTIFY_FDS_FROM + (int)i, F_SETFD, keep ? 0 : FD_CLOEXEC);
}
