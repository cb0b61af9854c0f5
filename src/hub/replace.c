/* Another program in our place, in the same process; see master_state.h.  First the installed
 * program tries the configuration as a child of ours (`mcpauthd --check`) and says what it can take
 * over; only then we become it (execve), with every socket and every generation (handover.h).  It
 * begins with a reload: our generations are its own, and the one that serves does so until a new
 * one does.  Until execve has worked nothing is given up, so every failure ends in our going on.
 *
 * Nothing else of the daemon executes anything (row 82), and this only the file that it was itself
 * started from, for whoever may signal us or use the control socket. */
#include <config.h>

#include "hub/master_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/environment.h"
#include "hub/notify.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/safefile.h"

enum { CHECK_MS = 30000 };

static const char *program(const struct master *m)
{
  return m->o->argv[0];
}

/* ---- the answer */

static void hang_up(struct master *m)
{
  int fd = m->replace.output.fd;
  if (fd < 0)
    return;
  loop_unwatch(m->loop, &m->replace.output);
  close(fd);
}

static void end_check(struct master *m)
{
  hang_up(m);
  loop_timer_stop(m->loop, &m->replace.deadline);
  m->replace.pid = 0;
  m->replace.checked = false;
}

/* TEXT, lines: what the new program has said. */
static void refuse(struct master *m, struct str text, const struct err *e)
{
  struct control_client *asked = m->replace.asked;
  struct err whole = *e;
  CLEANUP(buf_done) struct buf all;
  buf_init(&all, LINK_DATA_MAX);
  buf_printf(&all, "%.*s%s", STR_ARG(text), e->text);
  end_check(m);
  m->replace.asked = NULL;
  err_prefix(&whole, "mcpauthd " PACKAGE_VERSION " goes on");
  master_log_lines(text);
  log_error("%s", whole.text);
  reload_record_failure(m, all.failed ? e->text : all.p);
  reload_answer(asked, text, whole.text);
}

void replace_abandon(struct master *m)
{
  struct control_client *asked = m->replace.asked;
  if (m->replace.pid)
    kill(-m->replace.pid, SIGKILL);
  end_check(m);
  m->replace.asked = NULL;
  reload_answer(asked, STR(""), "the daemon is stopping");
}

/* ---- becoming it */

static int save(struct master *m, struct handover *h)
{
  struct handover_head *head = &h->head;
  uint32_t n = 0;
  for (const struct generation *g = m->generations; g; g = g->next)
    n++;
  head->shm_fd = m->shm_fd;
  head->heads_fd = m->heads_fd;
  head->serving = m->serving->number;
  head->last_number = m->last_number;
  head->started_ms = m->started_ms;
  head->serving_since_ms = m->serving_since_ms;
  head->last_wall_ms = m->last_wall_ms;
  head->log_level = m->log_level;
  head->log_json = m->log_json;
  head->failed = m->last_error != NULL;
  snprintf(head->version, sizeof head->version, "%s", PACKAGE_VERSION);
  snprintf(head->daemon, sizeof head->daemon, "%s", m->daemon);
  snprintf(head->user, sizeof head->user, "%s", m->o->user.name);
  snprintf(head->last_error, sizeof head->last_error, "%s", m->last_error ? m->last_error : "");
  if ((h->generations = calloc(n + 1, sizeof *h->generations)) == NULL)
    return -1;
  for (const struct generation *g = m->generations; g; g = g->next)
    generation_save(g, &h->generations[head->n_generations++]);
  return listeners_save(m->listeners, h) < 0 ? -1 : control_save(m->control, h);
}

/* All of H, and what systemd has passed; ON: open over execve. */
static int keep_open(const struct handover *h, bool on)
{
  AUTO_FREE int *fds = calloc(handover_fds_most(h), sizeof *fds);
  size_t n = fds ? handover_fds(h, fds) : 0;
  for (size_t i = 0; i < n; i++)
    fcntl(fds[i], F_SETFD, on ? 0 : FD_CLOEXEC);
  notify_keep_sockets(on);
  return fds ? 0 : -1;
}

/* Comes back only when it has failed. */
static int execute(const struct master *m, int handover_fd, struct err *e)
{
  char *variables[NOTIFY_VARIABLES + 1] = {NULL};
  AUTO_FREE char **environment = NULL;
  int n = notify_environment(variables);
  if (n >= 0 &&
      asprintf(&variables[n++], "MCPAUTH_HANDOVER=%ld:%d", (long)getpid(), handover_fd) > 0)
    environment = environment_for_program(variables, (size_t)n);
  if (environment)
    execve(program(m), m->o->argv, environment);
  err_set(e, "%s: %s", program(m), environment ? strerror(errno) : "out of memory");
  for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
    free(variables[i]);
  return -1;
}

static void take_place(struct master *m, struct err *e)
{
  struct handover *h = calloc(1, sizeof *h);
  AUTO_CLOSE int fd = -1;
  if (h == NULL || save(m, h) < 0) {
    err_set(e, "out of memory");
  } else if (handover_check(h, e) == 0 && (fd = handover_write(h, e)) >= 0) {
    log_info("%s takes the place of mcpauthd " PACKAGE_VERSION, program(m));
    if (fcntl(fd, F_SETFD, 0) < 0 || keep_open(h, true) < 0)
      err_set(e, "handover: %s", strerror(errno));
    else
      execute(m, fd, e);
    keep_open(h, false);
  }
  handover_free(h);
}

/* At the end of a turn, when whatever has happened in it is noted everywhere. */
static void go_on(struct task *t)
{
  struct master *m = container_of(t, struct master, replace.task);
  struct stat now;
  struct err e = {""};
  if (!m->replace.checked || m->loading || m->retiring || m->stopping)
    return;
  if (m->serving == NULL)
    err_set(&e, "no generation serves: restart the daemon");
  else if (stat(program(m), &now) < 0 || !safefile_same(&now, &m->replace.program))
    err_set(&e, "%s was changed while it was being checked", program(m));
  else
    take_place(m, &e);
  refuse(m, STR(""), &e);
  reload_again(m);
}

void replace_go_on(struct master *m)
{
  m->replace.task.run = go_on;
  loop_defer(m->loop, &m->replace.task);
}

/* ---- checking it */

static void read_output(struct master *m)
{
  char p[4096];
  ssize_t n = 1;
  while (m->replace.output.fd >= 0 && (n = read(m->replace.output.fd, p, sizeof p)) > 0)
    buf_add(&m->replace.text, p, (size_t)n); /* too much: the first of it was kept */
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    hang_up(m);
}

static void output_ready(struct watch *w, uint32_t events)
{
  (void)events;
  read_output(container_of(w, struct master, replace.output));
}

static void check_late(struct timer *t)
{
  struct master *m = container_of(t, struct master, replace.deadline);
  kill(-m->replace.pid, SIGKILL); /* seen by reaping */
}

/* Its first line is "mcpauthd VERSION handover LAYOUT". */
static bool introduces_itself(struct str line, struct str *ret_version, struct str *ret_layout)
{
  struct str word;
  return str_next(&line, ' ', &word) && str_is(word, "mcpauthd") &&
         str_next(&line, ' ', ret_version) && str_next(&line, ' ', &word) &&
         str_is(word, "handover") && str_next(&line, ' ', ret_layout) && line.n == 0;
}

static void describe(int status, char *out, size_t size)
{
  if (WIFSIGNALED(status))
    snprintf(out, size, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    snprintf(out, size, "ended with status %d", WEXITSTATUS(status));
}

static int judge(const struct master *m, int status, struct str *rest, struct err *e)
{
  char how[100];
  struct str line = STR(""), version, layout, all = *rest;
  describe(status, how, sizeof how);
  str_next(rest, '\n', &line);
  if (!introduces_itself(line, &version, &layout)) {
    *rest = all;
    return err_set(e, "%s is no mcpauthd that can take its place: its check %s", program(m), how);
  }
  if (!str_is(layout, handover_layout()))
    return err_set(e,
                   "%s is mcpauthd %.*s, which cannot take over what this one has: "
                   "restart the daemon",
                   program(m), STR_ARG(version));
  if (status != 0)
    return err_set(e, "%s (mcpauthd %.*s) cannot serve this configuration: its check %s",
                   program(m), STR_ARG(version), how);
  return 0;
}

void replace_reaped(struct master *m, int status)
{
  struct err e = {""};
  read_output(m); /* its last words come before its death */
  struct str text = buf_view(&m->replace.text);
  end_check(m);
  if (judge(m, status, &text, &e) < 0) {
    refuse(m, text, &e);
    return;
  }
  m->replace.checked = true;
  replace_go_on(m);
}

/* In the child. */
static void run_check(const struct master *m, int output)
{
  sigset_t none;
  char **environment = environment_for_program(NULL, 0);
  size_t n = 0;
  setpgid(0, 0);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  while (m->o->argv[n])
    n++;
  char **argv = calloc(n + 2, sizeof *argv);
  if (environment && argv && dup2(output, 1) == 1 && dup2(output, 2) == 2) {
    memcpy(argv, m->o->argv, n * sizeof *argv);
    argv[n] = strdup("--check");
    execve(program(m), argv, environment);
  }
  dprintf(output, "%s: %s\n", program(m), strerror(errno));
  _exit(1);
}

static int begin_check(struct master *m, struct err *e)
{
  int fds[2];
  struct replace *r = &m->replace;
  buf_done(&r->text);
  buf_init(&r->text, LINK_DATA_MAX);
  r->output = (struct watch){.fd = -1, .ready = output_ready};
  r->deadline.fire = check_late;
  if (stat(program(m), &r->program) < 0)
    return err_set(e, "%s: %s", program(m), strerror(errno));
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
    return err_set(e, "pipe: %s", strerror(errno));
  int pid = fork();
  if (pid == 0) {
    fcntl(fds[1], F_SETFL, 0); /* who writes there may wait */
    run_check(m, fds[1]);
  }
  int error = errno;
  close(fds[1]);
  if (pid > 0)
    setpgid(pid, pid);
  if (pid < 0 || loop_watch(m->loop, &r->output, fds[0], EPOLLIN) < 0 ||
      loop_timer_set(m->loop, &r->deadline, CHECK_MS) < 0) {
    if (r->output.fd < 0)
      close(fds[0]);
    if (pid > 0)
      kill(pid, SIGKILL);
    return err_set(e, "cannot run %s: %s", program(m), strerror(pid < 0 ? error : ENOMEM));
  }
  r->pid = pid;
  return 0;
}

void replace_ask(struct master *m, struct control_client *c)
{
  struct err e = {""};
  if (m->stopping) {
    if (c)
      control_finish(c, "the daemon is stopping");
    return;
  }
  reload_add(&m->replace.asked, c);
  if (m->replace.pid || m->replace.checked)
    return; /* shares it: a program that has changed since is refused */
  if (m->serving == NULL)
    err_set(&e, "no generation serves: restart the daemon");
  if (e.text[0] || begin_check(m, &e) < 0)
    refuse(m, STR(""), &e);
}
