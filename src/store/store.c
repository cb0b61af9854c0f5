/* The worker's end of the store: two channels, one that writes and one that reads, each with a
 * connection of its own and at most one job at a time; see store.h.
 *
 * What is submitted in one turn of the loop, or while a job runs, becomes one batch: one job, one
 * transaction.  In a batch of writes each piece of work has a savepoint, so that one that fails
 * takes nothing of the others with it; the commit, which waits for the disk, is shared. */
#include <config.h>

#include "store/store.h"

#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ops/daemon_lock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"
#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

enum {
  BATCH = 64,
  SWEEP_FIRST_MS = 5000,
  SWEEP_MS = 60000,
  SWEEP_AGAIN_MS = 100,
  SWEEP_ROWS = 500,
  PROBE_MS = 1000, /* while it fails: whether it works again */
};

struct store_task {
  struct channel *channel;
  struct store_task *next;
  store_work_fn *work;
  store_done_fn *done;
  void (*release)(void *);
  void *arg;
  bool cancelled; /* the loop's */
  bool begun;     /* the loop's */
  bool stored;    /* the job's, then the loop's */
};

struct channel {
  struct store *store;
  enum store_mode mode;
  struct store_db db;
  bool open;
  struct lane *lane;
  struct task kick;
  struct store_task *waiting, **end; /* the loop's */
  size_t n_waiting;
  struct store_task *batch; /* the job's while one runs */
  bool failed, wrote;       /* likewise: the last batch */
  bool failing;             /* likewise: until one has succeeded */
  bool sick;                /* the loop's: what it was after the last batch */
  bool running;
};

struct store {
  char *dir, *path;
  const struct keyring *keys;
  struct jobs *jobs;
  struct loop *loop;
  struct channel reader, writer;
  struct timer sweep, probe;
  struct store_task *sweeping;
  unsigned swept;
};

const char *store_result_name(enum store_result r)
{
  switch (r) {
  case STORE_OK:
    return "ok";
  case STORE_NONE:
    return "unknown";
  case STORE_EXPIRED:
    return "expired";
  case STORE_USED:
    return "used before";
  case STORE_AGAIN:
    return "given again";
  case STORE_REPLAYED:
    return "replayed";
  case STORE_REVOKED:
    return "revoked";
  case STORE_CONFLICT:
    return "changed meanwhile";
  case STORE_FULL:
    return "full";
  case STORE_LIMIT:
    return "over a limit";
  case STORE_BROKEN:
    return "damaged";
  case STORE_FAILED:
    return "failed";
  }
  return "?";
}

bool store_needed(const struct config *c)
{
  return c->oauth.enabled;
}

int store_lock(const char *state_dir, const char *daemon, int *ret_fd, struct err *e)
{
  char path[4096], what[4200];
  int n = snprintf(path, sizeof path, "%s/store.lock", state_dir);
  if (n < 0 || (size_t)n >= sizeof path)
    return err_set(e, "the path of the state directory is too long");
  snprintf(what, sizeof what, "uses the state directory %s", state_dir);
  return daemon_lock(path, daemon, what, ret_fd, e);
}

/* ---- in a job thread */

static void do_work(struct store_db *db, struct store_task *t)
{
  t->stored = t->work(t->arg, db) == 0 && db->error.text[0] == 0;
}

static void say_failed(struct store_db *db)
{
  if (db->error.text[0])
    log_error("store: %s", db->error.text);
  db->error.text[0] = 0;
}

/* One piece among others: it keeps or loses only what is its own. */
static void run_among(struct store_db *db, struct store_task *t)
{
  if (db_savepoint(db) < 0)
    return;
  do_work(db, t);
  if (sqlite3_get_autocommit(db->sqlite)) { /* a full disk has undone the whole transaction */
    t->stored = false;
    return;
  }
  if (!t->stored) {
    say_failed(db);
    if (db_exec(db, "ROLLBACK TO work") < 0)
      return;
  }
  if (db_release(db) < 0)
    t->stored = false;
}

/* The only piece: the transaction is its savepoint, and SQLite keeps no second copy of each page
 * that it changes. */
static int run_alone(struct store_db *db, struct store_task *t)
{
  do_work(db, t);
  if (sqlite3_get_autocommit(db->sqlite)) {
    t->stored = false;
    return -1;
  }
  if (t->stored)
    return db_commit(db);
  say_failed(db);
  db_rollback(db);
  return 0;
}

static void none_stored(struct store_task *batch)
{
  for (struct store_task *t = batch; t; t = t->next)
    t->stored = false;
}

static bool any_stored(const struct store_task *batch)
{
  while (batch && !batch->stored)
    batch = batch->next;
  return batch != NULL;
}

static int run_writes(struct store_db *db, struct store_task *batch)
{
  if (db_begin(db, STORE_WRITE) < 0)
    return -1;
  if (batch->next == NULL)
    return run_alone(db, batch);
  for (struct store_task *t = batch; t && !sqlite3_get_autocommit(db->sqlite); t = t->next)
    run_among(db, t);
  if (!sqlite3_get_autocommit(db->sqlite) && db_commit(db) == 0)
    return 0;
  db_rollback(db);
  return -1;
}

static int run_reads(struct store_db *db, struct store_task *batch)
{
  if (db_begin(db, STORE_READ) < 0)
    return -1;
  for (struct store_task *t = batch; t; t = t->next) {
    do_work(db, t);
    say_failed(db);
  }
  db_rollback(db); /* it only read */
  return 0;
}

static int open_channel(struct channel *c, struct err *e)
{
  struct store *s = c->store;
  if (db_open(&c->db, s->path, s->keys, e) < 0)
    return -1;
  if (db_prepare(&c->db, e) < 0 ||
      (c->mode == STORE_WRITE && db_open_epoch(&c->db, s->dir, e) < 0)) {
    db_close(&c->db);
    return -1;
  }
  if (c->mode == STORE_READ && db_exec(&c->db, "PRAGMA query_only=ON") < 0) {
    err_set(e, "%s", c->db.error.text);
    db_close(&c->db);
    return -1;
  }
  c->open = true;
  return 0;
}

/* After an I/O error nothing that the connection remembers is to be trusted. */
static int reopen(struct channel *c, struct err *e)
{
  if (c->open && !c->db.broken_file)
    return 0;
  if (c->open)
    db_close(&c->db);
  c->open = false;
  return open_channel(c, e);
}

static int try_batch(struct channel *c, struct err *e)
{
  if (reopen(c, e) < 0)
    return -1;
  int64_t before = sqlite3_total_changes64(c->db.sqlite);
  int r = c->mode == STORE_WRITE ? run_writes(&c->db, c->batch) : run_reads(&c->db, c->batch);
  c->wrote = any_stored(c->batch) && sqlite3_total_changes64(c->db.sqlite) != before;
  return r < 0 ? err_set(e, "%s", c->db.error.text) : 0;
}

/* A disk that is full fails every batch: said once, and when it works again, which a batch that had
 * nothing to write cannot tell. */
static void run_batch(void *arg)
{
  struct channel *c = arg;
  struct err e = {""};
  c->failed = try_batch(c, &e) < 0;
  if (c->failed)
    none_stored(c->batch);
  else if (c->db.broken_file) { /* which a piece of the batch has met alone */
    c->failed = true;
    err_set(&e, "an error of the file");
  }
  if (c->failed && !c->failing)
    log_error("store: cannot be %s: %s; what needs it is refused until it works again",
              c->mode == STORE_WRITE ? "written" : "read", e.text);
  bool well = !c->failed && (c->mode == STORE_READ || c->wrote);
  if (well && c->failing)
    log_warn("store: works again");
  c->failing = c->failed || (c->failing && !well);
}

/* ---- in the loop */

static bool is_sick(const struct store *s)
{
  return s->reader.sick || s->writer.sick;
}

/* Nobody is sent to a hub that is not ready: it must find out by itself that all is well again. */
static void note_health(struct channel *c)
{
  struct store *s = c->store;
  bool was = is_sick(s);
  c->sick = c->failing;
  metric_set(METRIC_STORE_FAILING, is_sick(s));
  if (is_sick(s) && !was)
    loop_timer_set(s->loop, &s->probe, PROBE_MS);
}

static void finish(struct store_task *t)
{
  if (!t->cancelled && t->done)
    t->done(t->arg, t->stored);
  if (t->release)
    t->release(t->arg);
  free(t);
}

static void finish_all(struct store_task *t)
{
  for (struct store_task *next; t; t = next) {
    next = t->next;
    finish(t);
  }
}

static void on_batch(void *arg)
{
  struct channel *c = arg;
  struct store_task *batch = c->batch;
  if (c->mode == STORE_WRITE)
    metric_add(c->failed ? METRIC_STORE_FAILURES : METRIC_STORE_COMMITS, 1);
  note_health(c);
  c->batch = NULL;
  c->running = false;
  if (c->waiting)
    loop_defer(c->store->loop, &c->kick);
  finish_all(batch);
}

/* The jobs end before the batch was delivered. */
static void on_batch_released(void *arg)
{
  struct channel *c = arg;
  struct store_task *batch = c->batch;
  if (!c->running)
    return;
  c->batch = NULL;
  c->running = false;
  for (struct store_task *t = batch; t; t = t->next)
    t->cancelled = true;
  finish_all(batch);
}

static void count_waiting(const struct store *s)
{
  metric_set(METRIC_STORE_WAITING, (int64_t)(s->reader.n_waiting + s->writer.n_waiting));
}

static struct store_task *take(struct channel *c)
{
  struct store_task *batch = NULL, **end = &batch;
  for (unsigned n = 0; n < BATCH && c->waiting; n++) {
    struct store_task *t = c->waiting;
    c->waiting = t->next;
    c->n_waiting--;
    t->begun = true;
    t->next = NULL;
    *end = t;
    end = &t->next;
  }
  if (c->waiting == NULL)
    c->end = &c->waiting;
  count_waiting(c->store);
  return batch;
}

static void on_kick(struct task *task)
{
  struct channel *c = container_of(task, struct channel, kick);
  if (c->running || c->waiting == NULL)
    return;
  const struct job job = {
      .work = run_batch, .done = on_batch, .release = on_batch_released, .arg = c};
  c->batch = take(c);
  c->running = true;
  if (job_submit(c->lane, &job))
    return;
  struct store_task *batch = c->batch; /* no memory for the job */
  c->batch = NULL;
  c->running = false;
  if (c->waiting)
    loop_defer(c->store->loop, &c->kick);
  finish_all(batch);
}

struct store_task *store_submit(struct store *s, enum store_mode mode, store_work_fn *work,
                                store_done_fn *done, void (*release)(void *), void *arg)
{
  struct channel *c = mode == STORE_WRITE ? &s->writer : &s->reader;
  if (c->n_waiting >= LIMIT_STORE_QUEUE)
    return NULL;
  struct store_task *t = malloc(sizeof *t);
  if (t == NULL)
    return NULL;
  *t =
      (struct store_task){.channel = c, .work = work, .done = done, .release = release, .arg = arg};
  *c->end = t;
  c->end = &t->next;
  c->n_waiting++;
  count_waiting(s);
  if (!c->running)
    loop_defer(s->loop, &c->kick);
  return t;
}

static void unqueue(struct store_task *t)
{
  struct channel *c = t->channel;
  struct store_task **at = &c->waiting;
  while (*at != t)
    at = &(*at)->next;
  *at = t->next;
  if (t->next == NULL)
    c->end = at;
  c->n_waiting--;
  count_waiting(c->store);
}

void store_cancel(struct store_task *t)
{
  t->cancelled = true;
  if (t->begun)
    return;
  unqueue(t);
  finish(t);
}

bool store_withdraw(struct store_task *t)
{
  if (t->begun)
    return false;
  store_cancel(t);
  return true;
}

int store_now(struct store *s, enum store_mode mode, store_work_fn *work, void *arg, struct err *e)
{
  struct channel *c = mode == STORE_WRITE ? &s->writer : &s->reader;
  struct store_db *db = &c->db;
  if (reopen(c, e) < 0)
    return -1;
  if (db_begin(db, mode) == 0) {
    if (work(arg, db) == 0 && db->error.text[0] == 0 && db_commit(db) == 0)
      return 0;
    db_rollback(db);
  }
  return err_set(e, "the store %s: %s", s->path,
                 db->error.text[0] ? db->error.text : "what was written is undone");
}

/* ---- probing */

static int probe_work(void *arg, struct store_db *db)
{
  const struct channel *c = arg;
  if (c->mode == STORE_WRITE)
    return db_meta_set(db, "probe", clock_wall());
  db_meta(db, "probe", 0);
  return db->error.text[0] ? -1 : 0;
}

/* Each channel that fails and has nothing else to do. */
static void on_probe(struct timer *t)
{
  struct store *s = container_of(t, struct store, probe);
  struct channel *both[] = {&s->reader, &s->writer};
  for (size_t i = 0; i < ARRAY_SIZE(both); i++)
    if (both[i]->sick && !both[i]->running && both[i]->waiting == NULL)
      store_submit(s, both[i]->mode, probe_work, NULL, NULL, both[i]);
  if (is_sick(s))
    loop_timer_set(s->loop, t, PROBE_MS);
}

/* ---- sweeping */

static int sweep_work(void *arg, struct store_db *db)
{
  struct store *s = arg;
  s->swept = 0;
  if (!db_judge_clock(db))
    return db->error.text[0] ? -1 : 0;
  return store_sweep(db, SWEEP_ROWS, &s->swept) == STORE_OK ? 0 : -1;
}

static void on_swept(void *arg, bool stored)
{
  struct store *s = arg;
  s->sweeping = NULL;
  /* There is more: soon again, but others come between. */
  loop_timer_set(s->loop, &s->sweep, stored && s->swept >= SWEEP_ROWS ? SWEEP_AGAIN_MS : SWEEP_MS);
}

static void on_sweep(struct timer *t)
{
  struct store *s = container_of(t, struct store, sweep);
  s->sweeping = store_submit(s, STORE_WRITE, sweep_work, on_swept, NULL, s);
  if (s->sweeping == NULL)
    loop_timer_set(s->loop, &s->sweep, SWEEP_MS);
}

/* ---- opening */

static int epoch_work(void *arg, struct store_db *db)
{
  return db_judge_epoch(db, arg);
}

/* Of one process of a daemon: what an older copy would bring back to life ends here. */
static int start_epoch(struct store *s, struct err *e)
{
  unsigned revoked = 0;
  if (store_now(s, STORE_WRITE, epoch_work, &revoked, e) < 0)
    return -1;
  if (revoked)
    log_error("store: an older copy of %s was put back: its %u grants have been revoked, everybody "
              "must log in again",
              s->path, revoked);
  return 0;
}

/* After a crash, what is there is looked through before it is used. */
static int check_work(void *arg, struct store_db *db)
{
  struct err *e = arg;
  CLEANUP(db_end) sqlite3_stmt *st = NULL;
  if (db_first(db, "PRAGMA quick_check(1)", NULL, 0, &st) != ROW)
    return -1;
  return str_is(db_view(st, 0), "ok") ? 0 : err_set(e, "%.*s", STR_ARG(db_view(st, 0)));
}

static int check_integrity(struct store *s, struct err *e)
{
  struct err found = {""};
  if (store_now(s, STORE_READ, check_work, &found, e) == 0)
    return 0;
  return found.text[0] ? err_set(e, "the store %s is damaged: %s", s->path, found.text) : -1;
}

static bool was_left_open(const struct store *s)
{
  char wal[4200];
  struct stat st;
  int n = snprintf(wal, sizeof wal, "%s-wal", s->path);
  return n > 0 && (size_t)n < sizeof wal && stat(wal, &st) == 0 && st.st_size > 0;
}

static void init_channel(struct store *s, struct channel *c, enum store_mode mode)
{
  c->store = s;
  c->mode = mode;
  c->end = &c->waiting;
  c->kick.run = on_kick;
}

static int start_jobs(struct store *s, const struct store_options *o, struct err *e)
{
  s->loop = o->loop;
  s->probe.fire = on_probe;
  s->writer.lane = lane_new(o->jobs, "store writes");
  s->reader.lane = lane_new(o->jobs, "store reads");
  if (s->writer.lane == NULL || s->reader.lane == NULL)
    return err_set(e, "out of memory");
  if (!o->sweep)
    return 0;
  s->sweep.fire = on_sweep;
  return loop_timer_set(s->loop, &s->sweep, SWEEP_FIRST_MS) < 0 ? err_set(e, "out of memory") : 0;
}

struct store *store_open(const struct store_options *o, struct err *e)
{
  struct store *s = calloc(1, sizeof *s);
  if (s == NULL || (s->dir = strdup(o->state_dir)) == NULL ||
      asprintf(&s->path, "%s/store.db", o->state_dir) < 0) {
    err_set(e, "out of memory");
    store_close(s);
    return NULL;
  }
  s->keys = o->keys;
  init_channel(s, &s->writer, STORE_WRITE);
  init_channel(s, &s->reader, STORE_READ);
  bool look = o->sweep && was_left_open(s);
  if (open_channel(&s->writer, e) < 0 || open_channel(&s->reader, e) < 0 ||
      (look && check_integrity(s, e) < 0) || (o->sweep && start_epoch(s, e) < 0) ||
      (o->jobs && start_jobs(s, o, e) < 0)) {
    store_close(s);
    return NULL;
  }
  return s;
}

static void close_channel(struct channel *c)
{
  if (c->store && c->store->loop)
    loop_undefer(c->store->loop, &c->kick);
  while (c->waiting) {
    struct store_task *t = c->waiting;
    c->waiting = t->next;
    t->cancelled = true;
    finish(t);
  }
  if (c->open && !c->running)
    db_close(&c->db);
}

void store_close(struct store *s)
{
  if (s == NULL)
    return;
  if (s->loop) {
    loop_timer_stop(s->loop, &s->sweep);
    loop_timer_stop(s->loop, &s->probe);
  }
  close_channel(&s->reader);
  close_channel(&s->writer);
  if (s->reader.running || s->writer.running)
    return; /* a thread that hangs was left behind; it may still look at all this */
  free(s->path);
  free(s->dir);
  free(s);
}
