/* The master: policy over generations.  See master.h; generation.c has their mechanics, reload.c
 * the queue of requests, status.c what `mcpauth status` shows. */
#include <config.h>

#include "hub/master_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/leader.h"
#include "hub/notify.h"
#include "ops/log.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

enum {
  LIVED_WELL_MS = 10000, /* a leader that dies later is replaced at once */
  RETIRE_MS = 2000,      /* the most that a reload waits for the old generation to stop accepting */
  RESPAWN_FIRST_MS = 500,
  RESPAWN_MOST_MS = 10000,
};

/* ---- starting generations */

/* What another program serves is never what we would serve. */
static const char *identity_of(const struct generation *serving)
{
  if (serving == NULL)
    return "";
  return serving->inherited ? "of another program" : serving->facts.identity;
}

static int run_leader(void *self, uint64_t number, int link_fd)
{
  const struct master *m = self;
  const struct leader_args args = {
      .confdir = m->o->confdir,
      .state_dir = m->o->state_dir,
      .plugin_dir = m->o->plugin_dir,
      .user = &m->o->user,
      .serving = identity_of(m->serving),
      .shm = m->shm,
      .audit_heads = m->audit_heads,
      .daemon = m->daemon,
      .log_json = m->log_json,
      .log_level = m->log_level,
      .link_fd = link_fd,
      .number = number,
  };
  return leader_main(&args);
}

int master_load(struct master *m)
{
  const struct generation_lead lead = {m, run_leader};
  struct err e = {""};
  struct generation *g = generation_start(m->loop, m->last_number + 1, &m->events, &lead, &e);
  if (g == NULL) {
    log_error("cannot start a leader: %s", e.text);
    return -1;
  }
  m->last_number = g->number;
  g->next = m->generations;
  m->generations = g;
  m->loading = g;
  return 0;
}

/* Nobody serves: try again, the longer the more often it has failed. */
static void respawn_later(struct master *m)
{
  if (m->respawn_ms < RESPAWN_FIRST_MS)
    m->respawn_ms = RESPAWN_FIRST_MS;
  log_warn("no generation serves: trying again in %lld ms", (long long)m->respawn_ms);
  loop_timer_set(m->loop, &m->respawn, m->respawn_ms);
  m->respawn_ms = m->respawn_ms * 2 < RESPAWN_MOST_MS ? m->respawn_ms * 2 : RESPAWN_MOST_MS;
}

static void respawn(struct timer *t)
{
  struct master *m = container_of(t, struct master, respawn);
  if (m->stopping || m->loading || m->serving)
    return;
  if (master_load(m) < 0)
    respawn_later(m);
}

/* ---- what generations report */

static int on_listen(void *self, struct generation *g, const struct link_listen *want,
                     struct err *e)
{
  struct master *m = self;
  return listeners_get(m->listeners, want, g->number, e);
}

/* Made for the user while we may still give it away. */
static int make_state_dir(const struct master *m, const char *path, struct err *e)
{
  struct stat st;
  if (path[0] != '/')
    return err_set(e, "state_dir %s: not an absolute path", path);
  if (stat(path, &st) == 0)
    return S_ISDIR(st.st_mode) ? 0 : err_set(e, "state_dir %s: not a folder", path);
  if (mkdir(path, 0700) < 0)
    return err_set(e, "state_dir %s: %s", path, strerror(errno));
  AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return err_set(e, "state_dir %s: %s", path, strerror(errno));
  if (m->o->user.uid != geteuid() && fchown(fd, m->o->user.uid, m->o->user.gid) < 0)
    return err_set(e, "state_dir %s: %s", path, strerror(errno));
  return 0;
}

static int on_facts(void *self, struct generation *g, struct err *e)
{
  return make_state_dir(self, g->facts.state_dir, e);
}

/* The oldest that drain beyond the limit are ended early: a storm of reloads must not pile up. */
static void limit_draining(struct master *m, uint32_t most)
{
  uint32_t n = 0;
  for (struct generation *g = m->generations; g; g = g->next) /* newest first */
    if (g->state == GENERATION_ENDING && !g->shut && ++n > most) {
      log_info("generation %llu is ended early: more than %u drain", (unsigned long long)g->number,
               most);
      generation_shutdown(g);
    }
}

static void write_ports(struct master *m)
{
  struct err e = {""};
  if (m->o->port_file && listeners_write_ports(m->listeners, m->o->port_file, &e) < 0)
    log_error("%s", e.text);
}

/* The first generation serves: nothing is left that needs root. */
static int give_up_root(struct master *m, struct err *e)
{
  const struct identity *id = &m->o->user;
  if (geteuid() == id->uid)
    return 0;
  if (control_give(m->control, id->uid, id->gid, e) < 0)
    return -1;
  listeners_give(m->listeners, id->uid, id->gid);
  return privileges_drop(id, e);
}

static void say_what_next(const struct master *m, const struct generation *g)
{
  if (g->facts.services == 0)
    log_warn("no service is configured: write %s/NAME.conf with a `service NAME { … }` block "
             "(mcpauth.d(5) has examples), try it with `mcpauth check`, then `mcpauth reload`",
             m->o->confdir);
}

/* Connections that are made from now on meet the new generation: so can be said. */
static void taken_up(struct master *m, enum reload_result result)
{
  m->retiring = NULL;
  loop_timer_stop(m->loop, &m->retire);
  notify_ready();
  reload_done(m, result, "");
}

static void on_ready(void *self, struct generation *g)
{
  struct master *m = self;
  struct err e = {""};
  struct generation *old = m->serving;
  m->log_json = g->facts.log_json;
  m->log_level = g->facts.log_level;
  log_init("master", m->log_json, m->log_level);
  m->loading = NULL;
  m->serving = g;
  m->serving_since_ms = clock_mono_ms();
  write_ports(m);
  if (give_up_root(m, &e) < 0) {
    log_error("%s", e.text);
    m->status = 1;
    master_stop(m, true);
    return;
  }
  listeners_commit(m->listeners, g->number);
  log_info("generation %llu serves: %u services", (unsigned long long)g->number, g->facts.services);
  say_what_next(m, g);
  notify_status("generation %llu, %u services", (unsigned long long)g->number, g->facts.services);
  if (old)
    generation_drain(old);
  limit_draining(m, g->facts.max_generations);
  m->retiring = old;
  if (old == NULL || loop_timer_set(m->loop, &m->retire, RETIRE_MS) < 0)
    taken_up(m, RELOAD_STARTED);
}

static void on_retired(void *self, struct generation *g)
{
  struct master *m = self;
  if (m->retiring == g)
    taken_up(m, RELOAD_TAKEN);
}

static void on_retire(struct timer *t)
{
  taken_up(container_of(t, struct master, retire), RELOAD_TAKEN);
}

static void on_unchanged(void *self, struct generation *g)
{
  struct master *m = self;
  (void)g;
  m->loading = NULL;
  if (m->serving == NULL) { /* lost in the meantime: the same configuration, from the beginning */
    if (master_load(m) < 0)
      respawn_later(m);
    return;
  }
  log_info("reload: the effective configuration is unchanged");
  notify_ready();
  reload_done(m, RELOAD_UNCHANGED, "");
}

void master_log_lines(struct str text)
{
  struct str line;
  while (str_next(&text, '\n', &line))
    if (line.n)
      log_error("%.*s", STR_ARG(line));
}

static void on_failed(void *self, struct generation *g, const char *text)
{
  struct master *m = self;
  m->loading = NULL;
  listeners_abandon(m->listeners, g->number);
  master_log_lines(str_of(text));
  if (m->started_once) /* who never served is not ready by failing: `systemctl start` would be told
                          so */
    notify_ready();
  if (m->serving) {
    log_error("the new configuration was refused; generation %llu goes on",
              (unsigned long long)m->serving->number);
    link_text(m->serving->link.fd, LINK_REFUSED_RELOAD, str_of(text));
  } else if (m->started_once && !m->stopping) {
    respawn_later(m);
  } else if (!m->stopping) {
    m->status = 1;
    master_stop(m, true);
  }
  reload_done(m, RELOAD_FAILED, text);
}

static void on_lost(void *self, struct generation *g)
{
  struct master *m = self;
  if (m->serving != g)
    return;
  m->serving = NULL;
  if (m->stopping || m->loading)
    return;
  if (clock_mono_ms() - m->serving_since_ms >= LIVED_WELL_MS)
    m->respawn_ms = 0;
  if (m->respawn_ms == 0 && master_load(m) == 0)
    m->respawn_ms = RESPAWN_FIRST_MS;
  else
    respawn_later(m);
}

static void end_if_empty(struct master *m)
{
  if (m->stopping && m->generations == NULL)
    loop_stop(m->loop);
}

static void on_ended(void *self, struct generation *g)
{
  struct master *m = self;
  log_debug("generation %llu has ended", (unsigned long long)g->number);
  on_retired(m, g);
  if (m->serving == g) /* its leader drained by itself: nobody asked it to */
    m->serving = NULL;
}

/* ---- the end */

void master_stop(struct master *m, bool now)
{
  bool first = !m->stopping;
  m->stopping = true;
  if (first) {
    log_info("stopping%s", now ? " at once" : ": requests in flight are finished");
    notify_stopping();
    notify_status("stopping");
    listeners_end(m->listeners);
    loop_timer_stop(m->loop, &m->respawn);
    reload_abandon(m);
    replace_abandon(m);
  }
  m->serving = NULL;
  for (struct generation *g = m->generations; g; g = g->next)
    if (now || g == m->loading)
      generation_shutdown(g);
    else
      generation_quit(g);
  m->loading = m->retiring = NULL;
  loop_timer_stop(m->loop, &m->retire);
  end_if_empty(m);
}

/* ---- signals */

static void reap(struct master *m)
{
  int status, pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    shm_fold(m->shm, pid);
    if (pid == m->replace.pid)
      replace_reaped(m, status);
    for (struct generation *g = m->generations; g; g = g->next)
      if (g->pid == pid && !g->reaped) {
        generation_reaped(g, status);
        break;
      }
  }
  generation_collect(&m->generations);
  end_if_empty(m);
}

static void on_signal(struct watch *w, uint32_t events)
{
  struct master *m = container_of(w, struct master, signals);
  struct signalfd_siginfo s;
  (void)events;
  if (read(w->fd, &s, sizeof s) != (ssize_t)sizeof s)
    return;
  if (s.ssi_signo == SIGCHLD)
    reap(m);
  else if (s.ssi_signo == SIGHUP)
    reload_ask(m, NULL);
  else if (s.ssi_signo == SIGUSR2)
    replace_ask(m, NULL);
  else
    master_stop(m, m->stopping);
}

static int watch_signals(struct master *m, struct err *e)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGUSR2);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  m->signals = (struct watch){.fd = -1, .ready = on_signal};
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0 || loop_watch(m->loop, &m->signals, fd, EPOLLIN) < 0)
    return err_set(e, "signalfd: %s", strerror(errno));
  return 0;
}

/* ---- the control socket */

/* A word of a command, in base64url; false when it is missing or too long. */
static bool take_word(struct str *words, char *to, size_t size, struct str *ret)
{
  struct str word;
  size_t n;
  if (!str_next(words, ' ', &word) || base64url_decode(word, to, size, &n) < 0 || n == 0)
    return false;
  *ret = (struct str){to, n};
  return true;
}

static void record_revoked(struct master *m, struct str issuer, struct str subject,
                           struct str grant)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, LINK_DATA_MAX);
  buf_puts(&b, "\"issuer\":");
  buf_json(&b, issuer);
  buf_puts(&b, ",\"subject\":");
  buf_json(&b, subject);
  buf_puts(&b, ",\"grant\":");
  buf_json(&b, grant);
  if (b.failed || m->serving == NULL ||
      link_text(m->serving->link.fd, LINK_REVOKED, buf_view(&b)) < 0)
    log_error("audit: a grant_revoked record could not be written");
}

/* `mcpauth grants revoke` has ended a grant of this person in the store: what workers remember of
 * her is asked for again, her streams end (row 187). */
static const char *revoke_person(struct master *m, struct str words)
{
  char issuer_text[LIMIT_ISSUER], subject_text[LIMIT_SUBJECT], grant_text[LIMIT_SUBJECT];
  struct str issuer, subject, grant;
  if (!take_word(&words, issuer_text, sizeof issuer_text, &issuer) ||
      !take_word(&words, subject_text, sizeof subject_text, &subject) ||
      !take_word(&words, grant_text, sizeof grant_text, &grant))
    return "revoke takes an issuer, a subject and a grant, each in base64url";
  shm_revoke(m->shm, issuer, subject);
  record_revoked(m, issuer, subject, grant);
  return NULL;
}

static void on_command(void *self, struct control_client *c, struct str line)
{
  struct master *m = self;
  if (str_is(line, "reload")) {
    reload_ask(m, c);
  } else if (str_is(line, "replace")) {
    replace_ask(m, c);
  } else if (str_is(line, "status")) {
    status_say(m, c);
    control_finish(c, NULL);
  } else if (str_is(line, "stop")) {
    control_finish(c, NULL);
    master_stop(m, false);
  } else if (str_starts(line, "revoke ")) {
    control_finish(c, revoke_person(m, str_slice(line, 7, line.n)));
  } else {
    control_finish(c, "unknown command: reload, replace, status, revoke and stop are known");
  }
}

static void on_client_gone(void *self, struct control_client *c)
{
  reload_forget(self, c);
}

/* ---- life */

static void on_watchdog(struct timer *t)
{
  struct master *m = container_of(t, struct master, watchdog);
  notify_watchdog();
  loop_timer_set(m->loop, t, notify_watchdog_ms());
}

/* What processes share: new, or as the program before us has made it. */
static int share(struct master *m, const struct handover *h, struct err *e)
{
  m->shm_fd = h ? h->head.shm_fd : -1;
  m->heads_fd = h ? h->head.heads_fd : -1;
  if (!(m->shm = shm_map(&m->shm_fd, e)) || !(m->audit_heads = audit_heads_map(&m->heads_fd, e)))
    return -1;
  if (h)
    shm_fold(m->shm, getpid()); /* our place of before, which we take again */
  shm_attach(m->shm, getpid());
  return 0;
}

static int prepare(struct master *m, struct err *e)
{
  const struct control_handler handler = {m, on_command, on_client_gone};
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) /* workers whose leader died are ours */
    return err_set(e, "PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
  if (share(m, m->o->handover, e) < 0 || !(m->loop = loop_new(e)))
    return -1;
  if (!(m->listeners = listeners_new()))
    return err_set(e, "out of memory");
  m->replace.output.fd = -1;
  m->respawn.fire = respawn;
  m->watchdog.fire = on_watchdog;
  m->pace.fire = reload_pace;
  m->retire.fire = on_retire;
  if (watch_signals(m, e) < 0 ||
      !(m->control = control_open(m->loop, m->o->control, m->o->handover, &handler, e)))
    return -1;
  if (notify_watchdog_ms() > 0 && loop_timer_set(m->loop, &m->watchdog, 0) < 0)
    return err_set(e, "out of memory");
  return 0;
}

/* Newest first, as they were. */
static int restore_generations(struct master *m, const struct handover *h, struct err *e)
{
  struct generation **at = &m->generations;
  for (uint32_t i = 0; i < h->head.n_generations; i++) {
    bool serving = h->generations[i].number == h->head.serving;
    *at = generation_restore(m->loop, &h->generations[i], serving, &m->events, e);
    if (*at == NULL)
      return -1;
    if (serving)
      m->serving = *at;
    at = &(*at)->next;
  }
  return 0;
}

/* Everything goes on as the program before us has left it; then our own first load. */
static int go_on(struct master *m, const struct handover *h, struct err *e)
{
  struct control_client *waiting = NULL;
  m->started_once = true;
  m->last_number = h->head.last_number;
  m->serving_since_ms = h->head.serving_since_ms;
  m->last_wall_ms = h->head.last_wall_ms;
  memcpy(m->predecessor, h->head.version, sizeof m->predecessor);
  if (h->head.failed && (m->last_error = strdup(h->head.last_error)) == NULL)
    return err_set(e, "out of memory");
  if (listeners_restore(m->listeners, h) < 0)
    return err_set(e, "out of memory");
  if (restore_generations(m, h, e) < 0)
    return -1;
  control_restore_clients(m->control, h, &waiting);
  log_info("mcpauthd " PACKAGE_VERSION " has taken the place of %s, configuration in %s",
           m->predecessor, m->o->confdir);
  reload_resume(m, waiting);
  reap(m); /* whoever has ended on the way: their signal may be gone */
  return 0;
}

static int begin(struct master *m, struct err *e)
{
  if (m->o->handover)
    return go_on(m, m->o->handover, e);
  if (master_load(m) < 0)
    return -1;
  log_info("mcpauthd " PACKAGE_VERSION " starts, configuration in %s", m->o->confdir);
  return 0;
}

/* As a daemon is when it starts, or as it was in the program before us. */
static void identify(struct master *m)
{
  const struct handover *h = m->o->handover;
  m->started_ms = h ? h->head.started_ms : clock_mono_ms();
  m->log_level = h ? h->head.log_level : MCPAUTH_LOG_INFO;
  m->log_json = h && h->head.log_json;
  if (h)
    memcpy(m->daemon, h->head.daemon, sizeof m->daemon);
  else
    snprintf(m->daemon, sizeof m->daemon, "%ld.%lld", (long)getpid(), (long long)clock_wall_ms());
  log_init("master", m->log_json, m->log_level);
}

int master_run(const struct master_options *o)
{
  static struct master m;
  struct err e = {""};
  m.o = o;
  identify(&m);
  m.events = (struct generation_events){&m,        on_listen,  on_facts, on_ready, on_unchanged,
                                        on_failed, on_retired, on_lost,  on_ended};
  if (prepare(&m, &e) < 0 || begin(&m, &e) < 0) {
    if (e.text[0])
      log_error("%s", e.text);
    control_close(m.control);
    return 1;
  }
  loop_run(m.loop);
  control_close(m.control);
  log_info("ended");
  return m.status;
}
