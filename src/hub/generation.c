/* Generations; see generation.h. */
#include <config.h>

#include "hub/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/log.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
  LOAD_MS = 30000,          /* to read the configuration and to start the workers */
  DRAIN_GRACE_MS = 2500,    /* behind drain_timeout, which workers and leader keep themselves */
  SHUTDOWN_GRACE_MS = 2500, /* until SIGKILL */
};

static void kill_group(const struct generation *g)
{
  kill(-g->pid, SIGKILL);
}

static void end_loading(struct generation *g)
{
  g->state = GENERATION_ENDING;
  loop_timer_stop(g->loop, &g->deadline);
}

static void fail(struct generation *g, const char *text)
{
  end_loading(g);
  generation_drain(g);
  g->events->failed(g->events->self, g, text);
}

/* ---- what the leader says */

static void answer_listen(struct generation *g, const struct link_packet *p)
{
  struct err e = {"not a request for a listener"};
  struct link_listen want;
  int fd = -1;
  if (p->n == sizeof want && g->state == GENERATION_LOADING) {
    memcpy(&want, p->data, sizeof want);
    fd = g->events->listen(g->events->self, g, &want, &e);
  }
  if (fd >= 0)
    link_send(g->link.fd, LINK_SOCKET, "", 0, fd);
  else
    link_text(g->link.fd, LINK_REFUSED, str_of(e.text));
}

static void take_facts(struct generation *g, const struct link_packet *p)
{
  struct err e = {"not facts"};
  if (p->n == sizeof g->facts && g->state == GENERATION_LOADING) {
    memcpy(&g->facts, p->data, sizeof g->facts);
    g->facts.identity[sizeof g->facts.identity - 1] = 0;
    g->facts.state_dir[sizeof g->facts.state_dir - 1] = 0;
    if (g->facts.drain_timeout_ms >= 0 && g->events->facts(g->events->self, g, &e) == 0) {
      link_send(g->link.fd, LINK_SOCKET, "", 0, -1);
      return;
    }
  }
  link_text(g->link.fd, LINK_REFUSED, str_of(e.text));
}

static void take_crew(struct generation *g, const struct link_packet *p)
{
  size_t n = p->n / sizeof g->crew[0];
  if (n > LINK_CREW_MAX)
    n = LINK_CREW_MAX;
  memcpy(g->crew, p->data, n * sizeof g->crew[0]);
  g->n_crew = n;
}

static void take(struct generation *g, const struct link_packet *p)
{
  switch (p->kind) {
  case LINK_STAGE:
    snprintf(g->stage, sizeof g->stage, "%.200s", p->data);
    break;
  case LINK_LISTEN:
    answer_listen(g, p);
    break;
  case LINK_FACTS:
    take_facts(g, p);
    break;
  case LINK_CREW:
    take_crew(g, p);
    break;
  case LINK_RETIRED:
    g->events->retired(g->events->self, g);
    break;
  case LINK_READY:
    if (g->state != GENERATION_LOADING)
      break;
    loop_timer_stop(g->loop, &g->deadline);
    g->state = GENERATION_SERVING;
    g->events->ready(g->events->self, g);
    break;
  case LINK_FAILED:
    if (g->state == GENERATION_LOADING)
      fail(g, p->data);
    break;
  case LINK_UNCHANGED:
    if (g->state != GENERATION_LOADING)
      break;
    end_loading(g);
    generation_shutdown(g);
    g->events->unchanged(g->events->self, g);
    break;
  case LINK_SOCKET:
  case LINK_REFUSED:
  case LINK_DRAIN:
  case LINK_QUIT:
  case LINK_SHUTDOWN:
  case LINK_REFUSED_RELOAD:
  case LINK_REVOKED:
    break; /* ours to say */
  }
}

static void hang_up(struct generation *g)
{
  int fd = g->link.fd;
  if (fd < 0)
    return;
  loop_unwatch(g->loop, &g->link);
  close(fd);
}

/* Everything that is there; the link is closed at its end.  The death itself is seen by reaping. */
static void read_link(struct generation *g)
{
  static struct link_packet p;
  enum link_status got = LINK_NOTHING;
  while (g->link.fd >= 0 && (got = link_receive(g->link.fd, &p)) == LINK_GOT) {
    if (p.fd >= 0)
      close(p.fd);
    take(g, &p);
  }
  if (got == LINK_ENDED)
    hang_up(g);
}

static void link_ready(struct watch *w, uint32_t events)
{
  (void)events;
  read_link(container_of(w, struct generation, link));
}

/* ---- life */

static void deadline_passed(struct timer *t)
{
  struct generation *g = container_of(t, struct generation, deadline);
  if (g->state == GENERATION_LOADING) {
    char text[400];
    snprintf(text, sizeof text, "the new leader was not ready after %d s; it was still %s",
             LOAD_MS / 1000, g->stage[0] ? g->stage : "starting");
    kill_group(g);
    fail(g, text);
    return;
  }
  log_warn("generation %llu did not end in time: killed", (unsigned long long)g->number);
  kill_group(g);
  loop_timer_set(g->loop, &g->deadline, SHUTDOWN_GRACE_MS); /* who was just being forked */
}

static void tell(struct generation *g, enum link_kind what, int64_t deadline_ms)
{
  if (g->link.fd >= 0 && link_send(g->link.fd, what, "", 0, -1) < 0)
    hang_up(g); /* the end of the link means drain as well */
  if (loop_timer_set(g->loop, &g->deadline, deadline_ms) < 0)
    kill_group(g);
}

void generation_drain(struct generation *g)
{
  g->state = GENERATION_ENDING;
  if (!g->shut)
    tell(g, LINK_DRAIN, g->facts.drain_timeout_ms + DRAIN_GRACE_MS);
}

void generation_quit(struct generation *g)
{
  g->state = GENERATION_ENDING;
  if (!g->shut)
    tell(g, LINK_QUIT, g->facts.drain_timeout_ms + DRAIN_GRACE_MS);
}

void generation_shutdown(struct generation *g)
{
  g->state = GENERATION_ENDING;
  if (g->shut)
    return;
  g->shut = true;
  tell(g, LINK_SHUTDOWN, SHUTDOWN_GRACE_MS);
}

static void describe(int status, char *out, size_t size)
{
  if (WIFSIGNALED(status))
    snprintf(out, size, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    snprintf(out, size, "ended with status %d", WEXITSTATUS(status));
}

void generation_reaped(struct generation *g, int status)
{
  char how[100], text[500];
  read_link(g); /* its last words come before its death */
  hang_up(g);
  g->reaped = true;
  describe(status, how, sizeof how);
  if (g->state == GENERATION_LOADING) {
    snprintf(text, sizeof text, "the new leader %s while it was %s", how,
             g->stage[0] ? g->stage : "starting");
    fail(g, text);
  } else if (g->state == GENERATION_SERVING) {
    log_error("the leader of generation %llu %s", (unsigned long long)g->number, how);
    generation_drain(g);
    g->events->lost(g->events->self, g);
  }
}

static bool nothing_left(const struct generation *g)
{
  return g->reaped && kill(-g->pid, 0) < 0 && errno == ESRCH;
}

void generation_collect(struct generation **list)
{
  for (struct generation **at = list, *g; (g = *at);) {
    if (!nothing_left(g)) {
      at = &g->next;
      continue;
    }
    *at = g->next;
    g->events->ended(g->events->self, g);
    generation_free(g);
  }
}

void generation_free(struct generation *g)
{
  hang_up(g);
  loop_timer_stop(g->loop, &g->deadline);
  free(g);
}

static int fork_leader(struct generation *g, const int fds[2], const struct generation_lead *lead,
                       struct err *e)
{
  g->pid = fork();
  if (g->pid < 0)
    return err_set(e, "fork: %s", strerror(errno));
  if (g->pid == 0) {
    setpgid(0, 0);
    _exit(lead->run(lead->self, g->number, fds[1]));
  }
  setpgid(g->pid, g->pid); /* both sides: whoever comes first */
  return 0;
}

struct generation *generation_start(struct loop *l, uint64_t number,
                                    const struct generation_events *events,
                                    const struct generation_lead *lead, struct err *e)
{
  int fds[2];
  struct generation *g = calloc(1, sizeof *g);
  if (g == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  *g = (struct generation){.events = events, .loop = l, .number = number};
  g->state = GENERATION_LOADING;
  snprintf(g->version, sizeof g->version, "%s", PACKAGE_VERSION);
  g->link = (struct watch){.fd = -1, .ready = link_ready};
  g->deadline.fire = deadline_passed;
  g->started_ms = clock_mono_ms();
  if (link_pair(fds, e) < 0) {
    free(g);
    return NULL;
  }
  if (fork_leader(g, fds, lead, e) < 0) {
    close(fds[0]);
    close(fds[1]);
    free(g);
    return NULL;
  }
  close(fds[1]);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  if (loop_watch(l, &g->link, fds[0], EPOLLIN) < 0 ||
      loop_timer_set(l, &g->deadline, LOAD_MS) < 0) {
    log_error("cannot watch the new leader: %s", strerror(errno));
    if (g->link.fd < 0)
      close(fds[0]);
    kill_group(g); /* reaped, and reported, like any that dies while loading */
  }
  return g;
}

/* ---- to another program */

void generation_save(const struct generation *g, struct handover_generation *to)
{
  *to = (struct handover_generation){.number = g->number,
                                     .pid = g->pid,
                                     .link_fd = g->link.fd,
                                     .reaped = g->reaped,
                                     .shut = g->shut,
                                     .has_deadline = g->deadline.slot > 0,
                                     .started_ms = g->started_ms,
                                     .due_ms = g->deadline.due_ms,
                                     .facts = g->facts,
                                     .n_crew = (uint32_t)g->n_crew};
  memcpy(to->stage, g->stage, sizeof to->stage);
  memcpy(to->version, g->version, sizeof to->version);
  memcpy(to->crew, g->crew, g->n_crew * sizeof g->crew[0]);
}

static int watch_again(struct generation *g, const struct handover_generation *from, struct err *e)
{
  int64_t left = from->due_ms - clock_mono_ms();
  if ((from->link_fd >= 0 && loop_watch(g->loop, &g->link, from->link_fd, EPOLLIN) < 0) ||
      (from->has_deadline && loop_timer_set(g->loop, &g->deadline, left > 0 ? left : 0) < 0))
    return err_set(e, "cannot watch generation %llu: %s", (unsigned long long)g->number,
                   strerror(errno));
  return 0;
}

struct generation *generation_restore(struct loop *l, const struct handover_generation *from,
                                      bool serving, const struct generation_events *events,
                                      struct err *e)
{
  struct generation *g = calloc(1, sizeof *g);
  if (g == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  *g = (struct generation){.events = events,
                           .loop = l,
                           .number = from->number,
                           .state = serving ? GENERATION_SERVING : GENERATION_ENDING,
                           .pid = from->pid,
                           .reaped = from->reaped,
                           .shut = from->shut,
                           .started_ms = from->started_ms,
                           .inherited = true,
                           .facts = from->facts,
                           .n_crew = from->n_crew};
  g->link = (struct watch){.fd = -1, .ready = link_ready};
  g->deadline.fire = deadline_passed;
  memcpy(g->stage, from->stage, sizeof g->stage);
  memcpy(g->version, from->version, sizeof g->version);
  memcpy(g->crew, from->crew, from->n_crew * sizeof g->crew[0]);
  if (watch_again(g, from, e) == 0)
    return g;
  free(g);
  return NULL;
}
