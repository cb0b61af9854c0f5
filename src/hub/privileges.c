/* Privileges, limits, descriptors and signals of processes; see privileges.h. */
#include <config.h>

#include "hub/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

/* A sanitizer's own checks at exit trace the process, which a process that cannot be dumped
 * forbids. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ ||                                 \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static int raise_descriptors(void)
{
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r) < 0)
    return -1;
  r.rlim_cur = r.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &r);
}

int privileges_harden(struct err *e)
{
  const struct rlimit no_core = {0, 0};
  umask(077);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of write: 503, not a crash */
  if (chdir("/") < 0)
    return err_set(e, "chdir /: %s", strerror(errno));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return err_set(e, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
  if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
    return err_set(e, "PR_SET_DUMPABLE: %s", strerror(errno));
  if (setrlimit(RLIMIT_CORE, &no_core) < 0)
    return err_set(e, "RLIMIT_CORE: %s", strerror(errno));
  if (raise_descriptors() < 0)
    return err_set(e, "RLIMIT_NOFILE: %s", strerror(errno));
  return 0;
}

int privileges_find(const char *user, struct identity *ret, struct err *e)
{
  struct identity id = {.uid = geteuid(), .gid = getegid()};
  if (user == NULL || *user == 0) {
    *ret = id;
    return 0;
  }
  if (strlen(user) >= sizeof id.name)
    return err_set(e, "user: the name is too long");
  errno = 0;
  const struct passwd *p = getpwnam(user);
  if (p == NULL)
    return err_set(e, "user '%s': %s", user, errno ? strerror(errno) : "there is no such user");
  if (p->pw_uid == 0 || p->pw_gid == 0)
    return err_set(e, "user '%s' is root or of root's group: name one that is not", user);
  strcpy(id.name, user);
  id.uid = p->pw_uid;
  id.gid = p->pw_gid;
  *ret = id;
  return 0;
}

/* Everything is asked back from the kernel: a drop that did not happen must not be believed. */
static bool dropped(const struct identity *id)
{
  uid_t ru, eu, su;
  gid_t rg, eg, sg;
  return getresuid(&ru, &eu, &su) == 0 && getresgid(&rg, &eg, &sg) == 0 && ru == id->uid &&
         eu == id->uid && su == id->uid && rg == id->gid && eg == id->gid && sg == id->gid &&
         (id->uid == 0 || setuid(0) < 0);
}

int privileges_drop(const struct identity *id, struct err *e)
{
  if (geteuid() == id->uid)
    return 0;
  if (geteuid() != 0)
    return err_set(e, "user '%s': only root can become another user", id->name);
  if (initgroups(id->name, id->gid) < 0)
    return err_set(e, "user '%s': initgroups: %s", id->name, strerror(errno));
  if (setresgid(id->gid, id->gid, id->gid) < 0 || setresuid(id->uid, id->uid, id->uid) < 0)
    return err_set(e, "user '%s': setresuid: %s", id->name, strerror(errno));
  if (!dropped(id))
    return err_set(e, "user '%s': privileges could not be given up", id->name);
  /* The kernel has reset it with the user. */
  if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
    return err_set(e, "PR_SET_DUMPABLE: %s", strerror(errno));
  return 0;
}

static int by_value(const void *a, const void *b)
{
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

int close_all_but(const int *keep, size_t n, struct err *e)
{
  AUTO_FREE int *sorted = calloc(n + 1, sizeof *sorted);
  if (sorted == NULL)
    return err_set(e, "out of memory");
  if (n)
    memcpy(sorted, keep, n * sizeof *keep);
  qsort(sorted, n, sizeof *sorted, by_value);
  unsigned from = 3;
  for (size_t i = 0; i < n; i++) {
    if (sorted[i] < (int)from)
      continue;
    if ((unsigned)sorted[i] > from && close_range(from, (unsigned)sorted[i] - 1, 0) < 0)
      return err_set(e, "close_range: %s", strerror(errno));
    from = (unsigned)sorted[i] + 1;
  }
  if (close_range(from, ~0U, 0) < 0)
    return err_set(e, "close_range: %s", strerror(errno));
  return 0;
}

void child_begin(const char *name)
{
  prctl(PR_SET_NAME, name);
  static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ};
  for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
    signal(ignored[i], SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}
