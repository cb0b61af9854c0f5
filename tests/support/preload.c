/* Loaded into the daemon with LD_PRELOAD by tests (preload.py): its clocks run ahead by what a
 * shared file says, and at a system call that the file names it dies, or the call fails.  So a test
 * lets a day pass, and kills between any two steps of a login, without a hook in the product.
 *
 * All clocks move together, as when a machine has really been up that long; what sleeps in the
 * kernel until a time (condition variables) is told the kernel's.  The file stands mapped over
 * forks.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* What a call is; preload.py has the same numbers. */
enum what {
  STORE_WRITE = 1, /* to store.db and its log */
  STORE_SYNC = 2,
  AUDIT_WRITE = 4,
  HEARD = 8,       /* what an identity provider answered */
  ASKED = 16,      /* what the hub received from its clients */
  ANSWER = 32,     /* what it sends to them */
  STORE_OPEN = 64, /* to write */
  STORE_READ = 128,
  BELL = 256, /* a job thread tells the loop that it is done */
};

enum { STEPS = 4, BILLION = 1000000000 };

/* The steps come in order; at the last one it happens.  The layout is preload.py's, too. */
struct control {
  _Atomic int64_t ahead_ns;
  _Atomic int32_t port; /* of the hub: whose connections are of clients */
  _Atomic int32_t n, at;
  _Atomic int32_t error; /* 0: SIGKILL; else the last step's calls fail with it until disarmed */
  _Atomic int32_t pid;   /* who was killed */
  _Atomic int32_t calls; /* that fitted the last step */
  struct step {
    int32_t what, after, skip;
    char text[116]; /* that the bytes must have; "" any */
  } step[STEPS];
};

static struct control none, *control = &none;

__attribute__((constructor)) static void begin(void)
{
  const char *path = getenv("MCPAUTH_TEST_PRELOAD");
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0)
    return;
  void *p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (p != MAP_FAILED)
    control = p;
}

/* The next definition of the function that this stands in. */
#define NEXT(name)                                                                                 \
  static __typeof__(&name) next;                                                                   \
  if (next == NULL)                                                                                \
  next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* ---- time */

static void move(struct timespec *t, int64_t ns)
{
  int64_t all = t->tv_nsec + ns % BILLION;
  t->tv_sec += ns / BILLION + (all < 0 ? -1 : all / BILLION);
  t->tv_nsec = all < 0 ? all + BILLION : all % BILLION;
}

static int is_clock(clockid_t id)
{
  return id != CLOCK_PROCESS_CPUTIME_ID && id != CLOCK_THREAD_CPUTIME_ID && id >= 0;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
  NEXT(clock_gettime);
  int r = next(id, t);
  if (r == 0 && is_clock(id))
    move(t, control->ahead_ns);
  return r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
  struct timespec t;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &t) < 0)
    return -1;
  *tv = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *ret)
{
  struct timespec t = {0, 0};
  clock_gettime(CLOCK_REALTIME, &t);
  if (ret)
    *ret = t.tv_sec;
  return t.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until)
{
  static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  struct timespec t = *until;
  if (next == NULL) /* of two versions the first that dlsym finds may be the one of 1999 */
    *(void **)&next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  if (next == NULL)
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  move(&t, -control->ahead_ns);
  return next(c, m, &t);
}

/* ---- where it happens */

static int what_name(const char *path)
{
  if (strcmp(path, "anon_inode:[eventfd]") == 0)
    return BELL;
  const char *name = strrchr(path, '/');
  if (name && strncmp(name, "/store.db", 9) == 0 && strstr(name, "-shm") == NULL)
    return STORE_WRITE | STORE_SYNC | STORE_OPEN | STORE_READ;
  return name && strcmp(name, "/audit.log") == 0 ? AUDIT_WRITE : 0;
}

static int what_file(int fd)
{
  char link[40], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0)
    return 0;
  path[n] = 0;
  return what_name(path);
}

static int what_socket(int fd)
{
  struct sockaddr_in a;
  socklen_t n = sizeof a;
  if (getsockname(fd, (struct sockaddr *)&a, &n) < 0 || a.sin_family != AF_INET)
    return 0;
  return ntohs(a.sin_port) == control->port ? ASKED | ANSWER : HEARD;
}

static int has_text(const struct iovec *v, int n, ssize_t bytes, const char *text)
{
  size_t size = strlen(text);
  if (size == 0)
    return 1;
  for (int i = 0; i < n && bytes > 0; i++) {
    size_t some = (size_t)bytes < v[i].iov_len ? (size_t)bytes : v[i].iov_len;
    if (memmem(v[i].iov_base, some, text, size))
      return 1;
    bytes -= (ssize_t)some;
  }
  return 0;
}

/* Whose calls these are: of the file or socket FD, or of the file PATH. */
static int what_is(int fd, const char *path, int what)
{
  int error = errno, is;
  if (path)
    is = what_name(path);
  else if (what & (STORE_WRITE | STORE_SYNC | STORE_READ | AUDIT_WRITE | BELL))
    is = what_file(fd);
  else
    is = what_socket(fd);
  errno = error;
  return is & what;
}

struct call {
  int fd;
  const char *path;
  int what;
  const struct iovec *v;
  int n;
  ssize_t bytes;
};

/* One call, before (AFTER 0) and after it: goes on to the next step, or does what is to be done.
 * Nonzero: the call shall fail with errno. */
static int look(const struct call *c, int after)
{
  int32_t at = control->at;
  if (at >= control->n || at >= STEPS)
    return 0;
  const struct step *s = &control->step[at];
  if (!(s->what & c->what) || s->after != after || !(s->what & what_is(c->fd, c->path, c->what)) ||
      !has_text(c->v, c->n, c->bytes, s->text))
    return 0;
  if (at + 1 < control->n) {
    atomic_compare_exchange_strong(&control->at, &at, at + 1);
    return 0;
  }
  if (atomic_fetch_add(&control->calls, 1) < s->skip)
    return 0;
  if (control->error) {
    errno = control->error;
    return 1;
  }
  control->pid = getpid();
  control->n = 0;
  kill(getpid(), SIGKILL);
  for (;;)
    pause();
}

#define AROUND(which, real)                                                                        \
  do {                                                                                             \
    const struct call around = which;                                                              \
    if (look(&around, 0))                                                                          \
      return -1;                                                                                   \
    __typeof__(real) r = real;                                                                     \
    if (r >= 0)                                                                                    \
      look(&around, 1);                                                                            \
    return r;                                                                                      \
  } while (0)

#define CALL(...) ((struct call){__VA_ARGS__})

ssize_t write(int fd, const void *p, size_t size)
{
  NEXT(write);
  const struct iovec v = {(void *)(uintptr_t)p, size};
  AROUND(CALL(fd, NULL, STORE_WRITE | AUDIT_WRITE | BELL, &v, 1, (ssize_t)size), next(fd, p, size));
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
  NEXT(writev);
  AROUND(CALL(fd, NULL, AUDIT_WRITE, v, n, SSIZE_MAX), next(fd, v, n));
}

ssize_t pwrite(int fd, const void *p, size_t size, off_t at)
{
  NEXT(pwrite);
  const struct iovec v = {(void *)(uintptr_t)p, size};
  AROUND(CALL(fd, NULL, STORE_WRITE | AUDIT_WRITE, &v, 1, (ssize_t)size), next(fd, p, size, at));
}

ssize_t pwrite64(int fd, const void *p, size_t size, off64_t at)
{
  return pwrite(fd, p, size, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
  NEXT(pwritev);
  AROUND(CALL(fd, NULL, AUDIT_WRITE, v, n, SSIZE_MAX), next(fd, v, n, at));
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at)
{
  return pwritev(fd, v, n, at);
}

ssize_t pread(int fd, void *p, size_t size, off_t at)
{
  NEXT(pread);
  AROUND(CALL(fd, NULL, STORE_READ, NULL, 0, 0), next(fd, p, size, at));
}

ssize_t pread64(int fd, void *p, size_t size, off64_t at)
{
  return pread(fd, p, size, at);
}

int fsync(int fd)
{
  NEXT(fsync);
  AROUND(CALL(fd, NULL, STORE_SYNC, NULL, 0, 0), next(fd));
}

int fdatasync(int fd)
{
  NEXT(fdatasync);
  AROUND(CALL(fd, NULL, STORE_SYNC, NULL, 0, 0), next(fd));
}

int open(const char *path, int flags, ...)
{
  NEXT(open);
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
  va_end(list);
  AROUND(CALL(-1, path, (flags & O_ACCMODE) != O_RDONLY ? STORE_OPEN : 0, NULL, 0, 0),
         next(path, flags, mode));
}

int open64(const char *path, int flags, ...)
{
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
  va_end(list);
  return open(path, flags, mode);
}

/* Looked at when it is there. */
ssize_t recv(int fd, void *p, size_t size, int flags)
{
  NEXT(recv);
  ssize_t n = next(fd, p, size, flags);
  const struct iovec v = {p, size};
  if (n > 0 && !(flags & MSG_PEEK))
    look(&CALL(fd, NULL, HEARD | ASKED, &v, 1, n), 1);
  return n;
}

ssize_t send(int fd, const void *p, size_t size, int flags)
{
  NEXT(send);
  const struct iovec v = {(void *)(uintptr_t)p, size};
  AROUND(CALL(fd, NULL, ANSWER, &v, 1, (ssize_t)size), next(fd, p, size, flags));
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
  NEXT(sendmsg);
  AROUND(CALL(fd, NULL, ANSWER, m->msg_iov, (int)m->msg_iovlen, SSIZE_MAX), next(fd, m, flags));
}
