/* Audit records on their way to the disk: fdatasync in a job thread, at most one at a time, within
 * 100 ms of a write; with `sync strict` the tickets of all writes since the last sync wait for the
 * next one together (group commit).
 *
 * After a failed sync the kernel may have dropped what it could not write, and the next sync of the
 * same descriptor would say that all is well.  So the file counts as lost: it is opened anew, the
 * waiting tickets fail, and the chain says why. */
#include "ops/audit_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/log.h"
#include "util/cleanup.h"

enum { SYNC_RETRY_MS = 20 };

struct audit_sync {
  struct audit *audit;
  bool strict, dirty, timing, failed;
  struct lane *lane; /* NULL: in this thread */
  struct job_handle *running;
  struct timer timer;
  struct audit_tickets waiting; /* for the next sync */
  struct audit_tickets syncing; /* for the one that runs */
};

struct sync_job {
  struct audit_sync *sync;
  int fd;
  int error;
};

static void sync_begin(struct audit_sync *s);

static void later(struct audit_sync *s, int64_t ms)
{
  if (s->timing || s->audit->loop == NULL || s->audit->closing)
    return;
  s->timing = loop_timer_set(s->audit->loop, &s->timer, ms) == 0;
  if (!s->timing)
    log_error("out of memory for the timer of the audit log's sync");
}

static void sync_due(struct timer *t)
{
  struct audit_sync *s = container_of(t, struct audit_sync, timer);
  s->timing = false;
  sync_begin(s);
  audit_tell(s->audit);
}

static void sync_ended(struct audit_sync *s, int error)
{
  struct audit *a = s->audit;
  if (error == 0) {
    s->failed = false;
    audit_show_health(a);
    audit_tickets_move(&a->good, &s->syncing);
    return;
  }
  struct err e = {""};
  err_set(&e, "cannot sync %s: %s", a->file.path, strerror(error));
  s->failed = true;
  s->dirty = false;
  audit_file_forget(&a->file);
  audit_tickets_move(&a->bad, &s->syncing);
  audit_tickets_move(&a->bad, &s->waiting); /* written to the same lost file meanwhile */
  audit_fail(a, 0, &e);
}

/* What cannot be synced at all (a terminal, /dev/null) needs none. */
static int sync_fd(int fd)
{
  return fdatasync(fd) < 0 && errno != EINVAL && errno != EROFS ? errno : 0;
}

static void sync_work(void *arg)
{
  struct sync_job *j = arg;
  j->error = sync_fd(j->fd);
}

static void sync_done(void *arg)
{
  struct sync_job *j = arg;
  struct audit_sync *s = j->sync;
  s->running = NULL;
  sync_ended(s, j->error);
  if (s->dirty && s->strict)
    sync_begin(s);
  else if (s->dirty)
    later(s, AUDIT_SYNC_MS);
  audit_tell(s->audit);
}

static void sync_release(void *arg)
{
  struct sync_job *j = arg;
  close(j->fd);
  free(j);
}

static struct sync_job *sync_job_new(struct audit_sync *s)
{
  struct sync_job *j = malloc(sizeof *j);
  int fd = j ? fcntl(s->audit->file.fd, F_DUPFD_CLOEXEC, 3) : -1;
  if (fd < 0) {
    free(j);
    return NULL;
  }
  *j = (struct sync_job){.sync = s, .fd = fd};
  return j;
}

static void sync_begin(struct audit_sync *s)
{
  if (!s->dirty || s->running || s->audit->file.fd < 0)
    return;
  if (s->lane == NULL) {
    audit_sync_now(s);
    return;
  }
  struct sync_job *j = sync_job_new(s);
  struct job job = {.work = sync_work, .done = sync_done, .release = sync_release, .arg = j};
  s->running = j ? job_submit(s->lane, &job) : NULL;
  if (s->running == NULL) {
    if (j)
      sync_release(j);
    later(s, SYNC_RETRY_MS);
    return;
  }
  s->dirty = false;
  audit_tickets_move(&s->syncing, &s->waiting);
}

void audit_sync_now(struct audit_sync *s)
{
  if (s->running) {
    job_cancel(s->running); /* what it was for is part of what follows */
    s->running = NULL;
    s->dirty = true;
  }
  audit_tickets_move(&s->syncing, &s->waiting);
  if (s->audit->file.to != AUDIT_FILE || !s->dirty)
    return;
  s->dirty = false;
  sync_ended(s, s->audit->file.fd >= 0 ? sync_fd(s->audit->file.fd) : 0);
}

void audit_sync_ticket(struct audit_sync *s, struct audit_ticket *t)
{
  bool wait = s->strict && s->audit->file.to == AUDIT_FILE;
  audit_tickets_push(wait ? &s->waiting : &s->audit->good, t);
}

void audit_sync_dirty(struct audit_sync *s)
{
  if (s->audit->file.to != AUDIT_FILE)
    return;
  s->dirty = true;
  if (s->audit->closing)
    return;
  later(s, s->strict ? 0 : AUDIT_SYNC_MS);
}

void audit_sync_lost(struct audit_sync *s)
{
  s->dirty = false;
  audit_tickets_move(&s->audit->bad, &s->waiting);
}

bool audit_sync_forget(struct audit_sync *s, const struct audit_ticket *t)
{
  return audit_tickets_remove(&s->waiting, t) || audit_tickets_remove(&s->syncing, t);
}

bool audit_sync_healthy(const struct audit_sync *s)
{
  return !s->failed;
}

struct audit_sync *audit_sync_new(struct audit *a, bool strict, struct jobs *j, struct err *e)
{
  struct audit_sync *s = calloc(1, sizeof *s);
  if (s == NULL || (j && (s->lane = lane_new(j, "audit")) == NULL)) {
    free(s);
    err_set(e, "out of memory");
    return NULL;
  }
  s->audit = a;
  s->strict = strict && a->loop != NULL;
  s->timer.fire = sync_due;
  audit_tickets_init(&s->waiting);
  audit_tickets_init(&s->syncing);
  return s;
}

void audit_sync_free(struct audit_sync *s)
{
  if (s == NULL)
    return;
  if (s->running)
    job_cancel(s->running);
  if (s->timing)
    loop_timer_stop(s->audit->loop, &s->timer);
  free(s);
}
