/* The leader of a generation; see leader.h.  First, blocking: the configuration, the listeners, the
 * keys.  Then a loop in which workers are replaced until the master says drain, or is gone. */
#include <config.h>

#include "hub/leader.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/crew.h"
#include "hub/link.h"
#include "hub/load.h"
#include "ops/log.h"
#include "store/store.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

struct leader {
  const struct leader_args *args;
  struct load load;
  const struct config *config;
  int *listen_fds, *admin_fds;
  int audit_lock, store_lock;
  struct keyring *keys;
  struct worker_args worker;
  struct loop *loop;
  struct crew *crew;
  struct audit *audit; /* its own chain, which anchors those of the workers */
  struct watch link, signals;
  struct timer second;
  bool failed, ending;
};

enum step { STEP_GO = 0, STEP_FAILED, STEP_END /* nothing to say: unchanged, or told to end */ };

/* ---- asking the master, before there is a loop */

/* The answer to what was sent: STEP_GO with *RET_FD (-1 when none came). */
static enum step ask(const struct leader *ld, int *ret_fd, struct err *e)
{
  static struct link_packet p;
  if (link_receive(ld->args->link_fd, &p) != LINK_GOT)
    return STEP_END;
  if (p.kind == LINK_SOCKET) {
    *ret_fd = p.fd;
    return STEP_GO;
  }
  if (p.fd >= 0)
    close(p.fd);
  if (p.kind != LINK_REFUSED)
    return STEP_END; /* drain, shutdown */
  err_set(e, "%s", p.data);
  return STEP_FAILED;
}

static enum step tell_facts(const struct leader *ld, struct err *e)
{
  const struct config *c = ld->config;
  int none = -1;
  struct link_facts f = {
      .drain_timeout_ms = c->drain_timeout_ms,
      .max_generations = c->max_generations,
      .services = (uint32_t)c->n_services,
      .log_level = c->log_level,
      .log_json = c->log_json,
  };
  memcpy(f.identity, ld->load.identity, sizeof f.identity);
  if (strlen(c->state_dir) >= sizeof f.state_dir) {
    err_set(e, "state_dir: the path is too long");
    return STEP_FAILED;
  }
  strcpy(f.state_dir, c->state_dir);
  if (link_send(ld->args->link_fd, LINK_FACTS, &f, sizeof f, -1) < 0)
    return STEP_END;
  return ask(ld, &none, e);
}

static enum step get_listener(const struct leader *ld, const struct config_listen *l, bool admin,
                              uint32_t order, int *ret_fd, struct err *e)
{
  struct link_listen w = {
      .address = l->address, .address_len = l->address_len, .order = order, .admin = admin};
  if (strlen(l->text) >= sizeof w.text ||
      (l->systemd_name && strlen(l->systemd_name) >= sizeof w.systemd_name)) {
    err_set(e, "%s:%u:%u: error: listen: too long", l->at.file, l->at.line, l->at.column);
    return STEP_FAILED;
  }
  strcpy(w.text, l->text);
  if (l->systemd_name)
    strcpy(w.systemd_name, l->systemd_name);
  w.mode = (uint32_t)strtoul(l->unix_mode ? l->unix_mode : "0666", NULL, 8);
  if (link_send(ld->args->link_fd, LINK_LISTEN, &w, sizeof w, -1) < 0)
    return STEP_END;
  enum step s = ask(ld, ret_fd, e);
  if (s == STEP_FAILED)
    err_prefix(e, "%s:%u:%u: error", l->at.file, l->at.line, l->at.column);
  return s;
}

static enum step get_listeners(struct leader *ld, struct err *e)
{
  const struct config *c = ld->config;
  enum step s = STEP_GO;
  ld->listen_fds = calloc(c->n_listen + 1, sizeof(int));
  ld->admin_fds = calloc(c->n_admin_listen + 1, sizeof(int));
  if (ld->listen_fds == NULL || ld->admin_fds == NULL) {
    err_set(e, "out of memory");
    return STEP_FAILED;
  }
  for (size_t i = 0; i < c->n_listen && s == STEP_GO; i++)
    s = get_listener(ld, &c->listen[i], false, (uint32_t)i + 1, &ld->listen_fds[i], e);
  for (size_t i = 0; i < c->n_admin_listen && s == STEP_GO; i++)
    s = get_listener(ld, &c->admin_listen[i], true, (uint32_t)(c->n_listen + i) + 1,
                     &ld->admin_fds[i], e);
  return s;
}

/* ---- what workers get */

static int lock_audit(struct leader *ld, struct err *e)
{
  if (ld->config->audit_to != AUDIT_FILE)
    return 0;
  return audit_lock(ld->config->audit_file, ld->args->daemon, &ld->audit_lock, e);
}

static int lock_store(struct leader *ld, struct err *e)
{
  if (!store_needed(ld->config))
    return 0;
  return store_lock(ld->config->state_dir, ld->args->daemon, &ld->store_lock, e);
}

static int prepare_worker(struct leader *ld, struct err *e)
{
  const struct config *c = ld->config;
  struct worker_args *w = &ld->worker;
  *w = (struct worker_args){
      .config = c,
      .shm = ld->args->shm,
      .audit_heads = ld->args->audit_heads,
      .listen_fds = ld->listen_fds,
      .leader_fd = -1,
      .generation = ld->args->number,
  };
  w->keys = ld->keys = keyring_load(c->state_dir, true, e);
  if (ld->keys == NULL || audit_key(c->state_dir, w->audit_key, e) < 0)
    return err_prefix(e, "state_dir");
  return lock_store(ld, e) < 0 ? -1 : lock_audit(ld, e);
}

static int open_audit(struct leader *ld, struct err *e)
{
  const struct config *c = ld->config;
  char writer[48];
  snprintf(writer, sizeof writer, "%ld.%lld", (long)getpid(), (long long)clock_wall_ms());
  struct audit_options o = {
      .to = c->audit_to,
      .file = c->audit_file,
      .sync_strict = c->audit_sync_strict,
      .rotate_size = c->audit_rotate_size,
      .keep = c->audit_keep,
      .writer = writer,
      .heads = ld->args->audit_heads,
      .anchor_dir = c->audit_to == AUDIT_OFF ? NULL : c->state_dir,
  };
  memcpy(o.key, ld->worker.audit_key, sizeof o.key);
  ld->audit = audit_open(&o, NULL, NULL, e);
  OPENSSL_cleanse(o.key, sizeof o.key);
  return ld->audit ? 0 : -1;
}

/* EVENT with the generation and, when there is one, a text. */
static void record(struct leader *ld, const char *event, struct str text)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, LIMIT_AUDIT_RECORD);
  buf_printf(&b, "\"generation\":%llu", (unsigned long long)ld->args->number);
  if (text.n) {
    buf_puts(&b, ",\"error\":");
    buf_json(&b, str_slice(text, 0, 2000));
  } else {
    buf_printf(&b, ",\"configuration\":\"%s\"", ld->config->fingerprint);
  }
  if (b.failed || audit_put(ld->audit, event, "", buf_view(&b), NULL) < 0)
    log_error("audit: a %s record could not be written", event);
}

/* ---- the crew's news */

static void on_crew_changed(void *self)
{
  struct leader *ld = self;
  static struct link_member list[LINK_CREW_MAX];
  size_t n = ld->crew ? crew_list(ld->crew, list, LINK_CREW_MAX) : 0;
  if (ld->link.fd >= 0)
    link_send(ld->link.fd, LINK_CREW, list, n * sizeof list[0], -1);
  int64_t ready = 0;
  for (size_t i = 0; i < n; i++)
    ready += list[i].number > 0 && list[i].ready;
  metric_set(METRIC_WORKERS, ready);
}

static void on_crew_failed(void *self, const char *text)
{
  struct leader *ld = self;
  ld->failed = ld->ending = true;
  link_text(ld->args->link_fd, LINK_FAILED, str_of(text));
  crew_drain(ld->crew, WORKER_DRAIN); /* some may serve already: what they were asked is answered */
}

static void on_crew_ready(void *self)
{
  struct leader *ld = self;
  struct err e = {""};
  if (open_audit(ld, &e) < 0) {
    on_crew_failed(ld, e.text);
    return;
  }
  record(ld, ld->args->serving[0] ? "reload" : "start", STR(""));
  load_log_warnings(&ld->load);
  link_send(ld->args->link_fd, LINK_READY, "", 0, -1);
}

static void on_crew_retired(void *self)
{
  struct leader *ld = self;
  if (ld->link.fd >= 0)
    link_send(ld->link.fd, LINK_RETIRED, "", 0, -1);
}

static void on_crew_empty(void *self)
{
  struct leader *ld = self;
  loop_stop(ld->loop);
}

/* ---- the loop */

static void hang_up(struct leader *ld)
{
  int fd = ld->link.fd;
  if (fd < 0)
    return;
  loop_unwatch(ld->loop, &ld->link);
  close(fd);
}

static void obey(struct leader *ld, const struct link_packet *p)
{
  if (p->kind == LINK_SHUTDOWN) {
    ld->ending = true;
    crew_shutdown(ld->crew);
  } else if (p->kind == LINK_DRAIN || p->kind == LINK_QUIT) {
    ld->ending = true;
    crew_drain(ld->crew, p->kind == LINK_QUIT ? WORKER_QUIT : WORKER_DRAIN);
  } else if (p->kind == LINK_REFUSED_RELOAD && ld->audit) {
    record(ld, "reload_failed", (struct str){p->data, p->n});
  } else if (p->kind == LINK_REVOKED && ld->audit) {
    if (audit_put(ld->audit, "grant_revoked", "", (struct str){p->data, p->n}, NULL) < 0)
      log_error("audit: a grant_revoked record could not be written");
  }
}

static void on_link(struct watch *w, uint32_t events)
{
  struct leader *ld = container_of(w, struct leader, link);
  static struct link_packet p;
  (void)events;
  if (link_receive(w->fd, &p) != LINK_GOT) {
    hang_up(ld);
    if (!ld->ending)
      log_warn("the master is gone: draining");
    ld->ending = true;
    crew_drain(ld->crew, WORKER_DRAIN);
    return;
  }
  if (p.fd >= 0)
    close(p.fd);
  obey(ld, &p);
}

static void on_signal(struct watch *w, uint32_t events)
{
  struct leader *ld = container_of(w, struct leader, signals);
  struct signalfd_siginfo s;
  int status, pid;
  (void)events;
  while (read(w->fd, &s, sizeof s) == (ssize_t)sizeof s) {
  }
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    crew_reaped(ld->crew, pid, status);
}

static void on_second(struct timer *t)
{
  struct leader *ld = container_of(t, struct leader, second);
  if (ld->audit)
    audit_anchor_tick(ld->audit);
  loop_timer_set(ld->loop, t, 1000);
}

static int watch_all(struct leader *ld, struct err *e)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  ld->link = (struct watch){.fd = -1, .ready = on_link};
  ld->signals = (struct watch){.fd = -1, .ready = on_signal};
  ld->second.fire = on_second;
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0 || loop_watch(ld->loop, &ld->signals, fd, EPOLLIN) < 0 ||
      loop_watch(ld->loop, &ld->link, ld->args->link_fd, EPOLLIN) < 0 ||
      loop_timer_set(ld->loop, &ld->second, 1000) < 0)
    return err_set(e, "cannot watch the workers: %s", strerror(errno));
  return 0;
}

static int make_crew(struct leader *ld, struct err *e)
{
  const struct crew_options o = {
      .worker = ld->worker,
      .admin_fds = ld->admin_fds,
      .log_json = ld->config->log_json,
      .log_level = ld->config->log_level,
  };
  const struct crew_events ev = {
      ld, on_crew_ready, on_crew_failed, on_crew_changed, on_crew_retired, on_crew_empty};
  if ((ld->loop = loop_new(e)) == NULL || watch_all(ld, e) < 0 ||
      (ld->crew = crew_new(ld->loop, &o, &ev, e)) == NULL)
    return -1;
  if (crew_start(ld->crew, e) < 0) {
    on_crew_failed(ld, e->text);
    return 0; /* the loop ends those who were started */
  }
  return 0;
}

/* ---- from the first word to the last */

static enum step load(struct leader *ld, struct buf *errors)
{
  const struct leader_args *args = ld->args;
  struct err e = {""};
  if (load_config(&ld->load, args, errors) < 0)
    return STEP_FAILED;
  ld->config = ld->load.config;
  if (strcmp(ld->load.identity, args->serving) == 0) {
    link_send(args->link_fd, LINK_UNCHANGED, "", 0, -1);
    return STEP_END;
  }
  log_init("leader", ld->config->log_json, ld->config->log_level);
  link_text(args->link_fd, LINK_STAGE, STR("asking for its listeners"));
  enum step s = tell_facts(ld, &e);
  if (s == STEP_GO)
    s = get_listeners(ld, &e);
  if (s == STEP_GO && prepare_worker(ld, &e) < 0)
    s = STEP_FAILED;
  if (s == STEP_FAILED)
    buf_printf(errors, "%s\n", e.text);
  return s;
}

static int lead(struct leader *ld)
{
  struct err e = {""};
  link_text(ld->args->link_fd, LINK_STAGE, STR("starting its workers"));
  if (make_crew(ld, &e) < 0) {
    link_text(ld->args->link_fd, LINK_FAILED, str_of(e.text));
    return 1;
  }
  loop_run(ld->loop);
  if (ld->audit)
    audit_close(ld->audit);
  return ld->failed ? 1 : 0;
}

static int become(const struct leader_args *args, struct err *e)
{
  if (close_all_but(&args->link_fd, 1, e) < 0 || privileges_drop(args->user, e) < 0)
    return -1;
  child_begin("mcpauthd-leader");
  if (shm_attach(args->shm, getpid()) < 0)
    return err_set(e, "too many processes: the shared page is full");
  return 0;
}

int leader_main(const struct leader_args *args)
{
  static struct leader ld;
  struct err e = {""};
  CLEANUP(buf_done) struct buf errors;
  buf_init(&errors, LINK_DATA_MAX);
  log_init("leader", args->log_json, args->log_level);
  ld.args = args;
  ld.audit_lock = ld.store_lock = -1;
  ld.link.fd = -1;
  if (become(args, &e) < 0) {
    link_text(args->link_fd, LINK_FAILED, str_of(e.text));
    return 1;
  }
  switch (load(&ld, &errors)) {
  case STEP_GO:
    return lead(&ld);
  case STEP_FAILED:
    if (errors.failed)
      buf_init(&errors, LINK_DATA_MAX);
    link_text(args->link_fd, LINK_FAILED,
              errors.n ? buf_view(&errors) : STR("too many errors to list: try `mcpauth check`"));
    return 1;
  case STEP_END:
    return 0;
  }
  return 1;
}
