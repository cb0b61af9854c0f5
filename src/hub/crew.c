/* Workers and the admin process of one generation; see crew.h. */
#include <config.h>

#include "hub/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/admin.h"
#include "hub/environment.h"
#include "hub/privileges.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
  WORKERS_MOST = 256,
  TICK_MS = 100,        /* the watchdog's look */
  START_MS = 30000,     /* until a worker must have said that it is ready */
  LIVED_WELL_MS = 1000, /* who ends after this long is replaced at once */
  BACKOFF_FIRST_MS = 100,
  BACKOFF_MOST_MS = 10000,
  DRAIN_GRACE_MS = 500,     /* behind drain_timeout, which the workers keep themselves */
  SHUTDOWN_GRACE_MS = 1000, /* then SIGKILL */
  FAILURE_MOST = 1024,
};

struct member {
  struct crew *crew;
  unsigned number; /* 0: admin */
  int pid;         /* 0: not running */
  bool ready, failing, retired;
  int64_t started_ms, backoff_ms;
  uint64_t turns;
  unsigned stale; /* looks since its loop has turned */
  struct watch link;
  struct timer respawn;
  char failure[FAILURE_MOST]; /* what it said before it ended */
  size_t n_failure;
};

struct crew {
  struct loop *loop;
  struct crew_options o;
  struct crew_events events;
  struct member *members;
  size_t n, n_ready;
  bool started, ending;
  struct timer watchdog, deadline;
  int64_t look_ms; /* of the watchdog */
  bool shut, told_retired;
};

static const char *name_of(const struct member *m, char out[24])
{
  if (m->number)
    snprintf(out, 24, "worker %u", m->number);
  else
    strcpy(out, "admin");
  return out;
}

/* ---- one member's start */

/* In the child: nothing of the leader is kept but the configuration and the listeners. */
static int run_member(struct crew *c, const struct member *m, int fd)
{
  const struct config *cfg = c->o.worker.config;
  char name[24];
  struct err e = {""};
  const int *fds = m->number ? c->o.worker.listen_fds : c->o.admin_fds;
  size_t n = m->number ? cfg->n_listen : cfg->n_admin_listen;
  AUTO_FREE int *keep = calloc(n + 1, sizeof *keep);
  log_init(name_of(m, name), c->o.log_json, c->o.log_level);
  if (keep == NULL)
    return 1;
  memcpy(keep, fds, n * sizeof *keep);
  keep[n] = fd;
  if (close_all_but(keep, n + 1, &e) < 0) {
    log_error("%s", e.text);
    return 1;
  }
  child_begin(m->number ? "mcpauthd-worker" : "mcpauthd-admin");
  environment_forget();
  if (shm_attach(c->o.worker.shm, getpid()) < 0) {
    log_error("too many processes: the shared page is full");
    return 1;
  }
  if (m->number == 0) {
    const struct admin_args args = {cfg, c->o.worker.shm, fds, fd, c->o.worker.generation};
    return admin_main(&args);
  }
  struct worker_args args = c->o.worker;
  args.leader_fd = fd;
  args.number = m->number;
  return worker_main(&args);
}

static void hang_up(struct member *m)
{
  int fd = m->link.fd;
  if (fd < 0)
    return;
  loop_unwatch(m->crew->loop, &m->link);
  close(fd);
}

static int start_member(struct crew *c, struct member *m, struct err *e)
{
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
    return err_set(e, "socketpair: %s", strerror(errno));
  m->pid = fork();
  if (m->pid == 0)
    _exit(run_member(c, m, fds[1]));
  int error = errno;
  close(fds[1]);
  if (m->pid < 0 || loop_watch(c->loop, &m->link, fds[0], EPOLLIN) < 0) {
    close(fds[0]); /* a child that did start sees the end of its leader, and ends */
    if (m->pid < 0)
      m->pid = 0;
    return err_set(e, "cannot start a process: %s", strerror(error));
  }
  m->ready = false;
  m->started_ms = clock_mono_ms();
  m->turns = 0;
  m->stale = 0;
  m->n_failure = 0;
  m->failing = m->retired = false;
  c->events.changed(c->events.self);
  return 0;
}

/* ---- its end, and the next one */

static void respawn_later(struct member *m)
{
  char name[24];
  log_info("%s is replaced in %lld ms", name_of(m, name), (long long)m->backoff_ms);
  if (loop_timer_set(m->crew->loop, &m->respawn, m->backoff_ms) < 0)
    log_error("%s is not replaced: out of memory", name);
  m->backoff_ms = m->backoff_ms ? m->backoff_ms * 2 : BACKOFF_FIRST_MS;
  if (m->backoff_ms > BACKOFF_MOST_MS)
    m->backoff_ms = BACKOFF_MOST_MS;
}

static void respawn(struct timer *t)
{
  struct member *m = container_of(t, struct member, respawn);
  struct err e = {""};
  if (m->crew->ending || start_member(m->crew, m, &e) == 0)
    return;
  log_error("%s", e.text);
  if (m->pid == 0)
    respawn_later(m);
}

static void describe(const struct member *m, int status, char *out, size_t size)
{
  char name[24];
  name_of(m, name);
  if (m->n_failure)
    snprintf(out, size, "%s could not start: %.*s", name, (int)m->n_failure, m->failure);
  else if (WIFSIGNALED(status))
    snprintf(out, size, "%s ended by signal %d (%s)%s", name, WTERMSIG(status),
             strsignal(WTERMSIG(status)), m->ready ? "" : " while it was starting");
  else
    snprintf(out, size, "%s ended with status %d%s", name, WEXITSTATUS(status),
             m->ready ? "" : " while it was starting");
}

static bool is_empty(const struct crew *c)
{
  for (size_t i = 0; i < c->n; i++)
    if (c->members[i].pid)
      return false;
  return true;
}

/* It was not asked to end. */
static void crashed(struct member *m, const char *text)
{
  struct crew *c = m->crew;
  metric_add(METRIC_WORKER_CRASHES, 1);
  if (!c->started) {
    c->events.failed(c->events.self, text);
    return;
  }
  log_error("%s", text);
  if (clock_mono_ms() - m->started_ms >= LIVED_WELL_MS)
    m->backoff_ms = 0;
  respawn_later(m);
}

static void read_link(struct member *m);
static void tell_retired(struct crew *c);

static void member_ended(struct member *m, int status)
{
  struct crew *c = m->crew;
  char text[FAILURE_MOST + 100];
  read_link(m); /* its last words come before its death */
  hang_up(m);
  describe(m, status, text, sizeof text);
  shm_fold(c->o.worker.shm, m->pid);
  if (status != 0)
    shm_revoke_all(c->o.worker.shm);
  m->pid = 0;
  if (m->ready)
    c->n_ready--;
  m->ready = false;
  c->events.changed(c->events.self);
  if (!c->ending)
    crashed(m, text);
  else if (status != 0)
    log_warn("%s", text);
  tell_retired(c);
  if (c->ending && is_empty(c))
    c->events.empty(c->events.self);
}

void crew_reaped(struct crew *c, int pid, int status)
{
  for (size_t i = 0; i < c->n; i++)
    if (c->members[i].pid == pid) {
      member_ended(&c->members[i], status);
      return;
    }
}

/* ---- what members say */

static void member_ready(struct member *m)
{
  struct crew *c = m->crew;
  if (m->ready)
    return;
  m->ready = true;
  m->stale = 0;
  c->n_ready++;
  c->events.changed(c->events.self);
  if (!c->started && c->n_ready == c->n) {
    c->started = true;
    c->events.ready(c->events.self);
  }
}

/* Once, when the last of those who live has stopped accepting. */
static void tell_retired(struct crew *c)
{
  for (size_t i = 0; i < c->n; i++)
    if (c->members[i].pid && !c->members[i].retired)
      return;
  if (!c->ending || c->told_retired)
    return;
  c->told_retired = true;
  c->events.retired(c->events.self);
}

static void take(struct member *m, const char *p, size_t n)
{
  for (; n > 0 && !m->failing; p++, n--)
    if (*p == WORKER_READY)
      member_ready(m);
    else if (*p == WORKER_RETIRED)
      m->retired = true;
    else if (*p == WORKER_FAILED)
      m->failing = true; /* all that follows is the text, in however many pieces */
  size_t room = sizeof m->failure - m->n_failure;
  if (n > room)
    n = room;
  if (n)
    memcpy(m->failure + m->n_failure, p, n);
  m->n_failure += n;
  tell_retired(m->crew);
}

static void read_link(struct member *m)
{
  char p[512];
  ssize_t n = 1;
  while (m->link.fd >= 0 && (n = read(m->link.fd, p, sizeof p)) > 0)
    take(m, p, (size_t)n);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    hang_up(m); /* its death comes as a signal */
}

static void link_ready(struct watch *w, uint32_t events)
{
  (void)events;
  read_link(container_of(w, struct member, link));
}

/* ---- the watchdog: counts its own looks, so that a machine that slept kills nobody */

static void look_at(struct member *m)
{
  struct crew *c = m->crew;
  uint64_t turns = m->pid ? shm_turns_of(c->o.worker.shm, m->pid) : 0;
  int64_t most = c->o.worker.config->watchdog_ms;
  char name[24];
  if (m->pid == 0)
    return;
  if (turns != m->turns) {
    m->turns = turns;
    m->stale = 0;
    return;
  }
  if (!m->ready && most < START_MS)
    most = START_MS;
  if (++m->stale * c->look_ms < most)
    return;
  log_error("%s: its loop has not turned for %lld ms: killed", name_of(m, name), (long long)most);
  kill(m->pid, SIGKILL);
  m->stale = 0;
}

static void watchdog(struct timer *t)
{
  struct crew *c = container_of(t, struct crew, watchdog);
  for (size_t i = 0; i < c->n; i++)
    look_at(&c->members[i]);
  loop_timer_set(c->loop, t, c->look_ms);
}

/* ---- the end */

static void tell(struct member *m, enum worker_message what)
{
  char byte = (char)what;
  if (m->pid && m->link.fd >= 0 && write(m->link.fd, &byte, 1) != 1)
    hang_up(m); /* the end of the link means drain as well */
}

static void begin_end(struct crew *c, enum worker_message what, int64_t deadline_ms)
{
  c->ending = true;
  for (size_t i = 0; i < c->n; i++) {
    loop_timer_stop(c->loop, &c->members[i].respawn);
    tell(&c->members[i], what);
  }
  loop_timer_set(c->loop, &c->deadline, deadline_ms);
}

static void deadline(struct timer *t)
{
  struct crew *c = container_of(t, struct crew, deadline);
  char name[24];
  if (!c->shut) {
    crew_shutdown(c);
    return;
  }
  for (size_t i = 0; i < c->n; i++)
    if (c->members[i].pid) {
      log_warn("%s does not end: killed", name_of(&c->members[i], name));
      kill(c->members[i].pid, SIGKILL);
    }
  loop_timer_set(c->loop, t, SHUTDOWN_GRACE_MS);
}

void crew_drain(struct crew *c, enum worker_message how)
{
  if (c->ending && how == WORKER_QUIT)
    for (size_t i = 0; i < c->n; i++)
      tell(&c->members[i], how);
  if (!c->ending)
    begin_end(c, how, c->o.worker.config->drain_timeout_ms + DRAIN_GRACE_MS);
  if (is_empty(c))
    c->events.empty(c->events.self);
}

void crew_shutdown(struct crew *c)
{
  if (!c->shut) {
    c->shut = true;
    begin_end(c, WORKER_SHUTDOWN, SHUTDOWN_GRACE_MS);
  }
  if (is_empty(c))
    c->events.empty(c->events.self);
}

/* ---- all of them */

static unsigned cores(void)
{
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) < 1)
    return 1;
  return (unsigned)CPU_COUNT(&set);
}

struct crew *crew_new(struct loop *l, const struct crew_options *o, const struct crew_events *ev,
                      struct err *e)
{
  const struct config *cfg = o->worker.config;
  unsigned workers = cfg->workers ? cfg->workers : cores();
  struct crew *c = calloc(1, sizeof *c);
  if (workers > WORKERS_MOST)
    workers = WORKERS_MOST;
  size_t n = workers + (cfg->n_admin_listen > 0);
  if (c == NULL || (c->members = calloc(n, sizeof *c->members)) == NULL) {
    free(c);
    err_set(e, "out of memory");
    return NULL;
  }
  c->loop = l;
  c->o = *o;
  c->events = *ev;
  c->n = n;
  c->watchdog.fire = watchdog;
  c->look_ms = shm_turn_ms(cfg->watchdog_ms) / 2;
  c->deadline.fire = deadline;
  for (size_t i = 0; i < n; i++) {
    struct member *m = &c->members[i];
    *m = (struct member){.crew = c, .number = i < workers ? (unsigned)i + 1 : 0};
    m->link = (struct watch){.fd = -1, .ready = link_ready};
    m->respawn.fire = respawn;
  }
  return c;
}

int crew_start(struct crew *c, struct err *e)
{
  for (size_t i = 0; i < c->n; i++)
    if (start_member(c, &c->members[i], e) < 0)
      return -1;
  return loop_timer_set(c->loop, &c->watchdog, c->look_ms) < 0 ? err_set(e, "out of memory") : 0;
}

size_t crew_list(const struct crew *c, struct link_member *ret, size_t most)
{
  size_t n = 0;
  for (size_t i = 0; i < c->n && n < most; i++) {
    const struct member *m = &c->members[i];
    if (m->pid)
      ret[n++] = (struct link_member){m->pid, m->number, m->started_ms, m->ready};
  }
  return n;
}
