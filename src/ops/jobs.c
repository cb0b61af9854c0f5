/* Job threads; see jobs.h.  One mutex guards the queues; what only the loop thread touches (counts
 * of lanes, cancellation after completion) needs none.
 *
 * A job goes queued → running → finished; the thread puts it on the finished list and rings the
 * eventfd, the loop delivers. */
#include "ops/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

struct job_handle {
  struct job job;
  struct lane *lane;
  struct job_handle *next;
  bool cancelled; /* loop thread only */
};

struct queue {
  struct job_handle *first, **end;
};

struct lane {
  struct jobs *jobs;
  struct lane *next;
  char *name;
  unsigned busy;       /* loop thread only: queued, running or not yet delivered */
  unsigned running;    /* under the lock */
  struct queue queued; /* under the lock */
};

struct jobs {
  struct loop *loop;
  struct watch watch;
  int bell; /* eventfd: something has finished */
  unsigned n_threads, lane_threads;
  pthread_t *threads;
  pthread_mutex_t lock;
  pthread_cond_t work, idle;
  /* under the lock */
  struct lane *lanes;
  struct queue finished;
  unsigned queued, running;
  bool stopping;
};

/* ---- queues */

static void queue_init(struct queue *q)
{
  q->first = NULL;
  q->end = &q->first;
}

static void queue_add(struct queue *q, struct job_handle *h)
{
  h->next = NULL;
  *q->end = h;
  q->end = &h->next;
}

static struct job_handle *queue_take(struct queue *q)
{
  struct job_handle *h = q->first;
  if (h && (q->first = h->next) == NULL)
    q->end = &q->first;
  return h;
}

static bool queue_remove(struct queue *q, struct job_handle *h)
{
  struct job_handle **at = &q->first;
  while (*at && *at != h)
    at = &(*at)->next;
  if (*at == NULL)
    return false;
  *at = h->next;
  if (h->next == NULL)
    q->end = at;
  return true;
}

/* ---- in the job threads */

static void ring(const struct jobs *j)
{
  uint64_t one = 1;
  /* Fails only when it has been rung 2^64 times without an answer: then it is readable anyway. */
  ssize_t n = write(j->bell, &one, sizeof one);
  (void)n;
}

/* Lanes take turns: the one served goes to the end of the list. */
static struct job_handle *next_job(struct jobs *j)
{
  for (struct lane **at = &j->lanes, *lane; (lane = *at); at = &lane->next) {
    if (lane->queued.first == NULL || lane->running >= j->lane_threads)
      continue;
    struct lane **end = at;
    while (*end)
      end = &(*end)->next;
    if (lane->next) {
      *at = lane->next;
      lane->next = NULL;
      *end = lane;
    }
    return queue_take(&lane->queued);
  }
  return NULL;
}

static void run_job(struct jobs *j, struct job_handle *h)
{
  j->queued--;
  j->running++;
  h->lane->running++;
  pthread_mutex_unlock(&j->lock);
  h->job.work(h->job.arg);
  pthread_mutex_lock(&j->lock);
  h->lane->running--;
  j->running--;
  /* Rung once for what the loop takes at once. */
  bool first = j->finished.first == NULL;
  queue_add(&j->finished, h);
  if (j->running == 0 && j->queued == 0)
    pthread_cond_signal(&j->idle);
  if (!first)
    return;
  /* Not under the lock, for which the loop would wait as soon as it hears the bell.  Who frees J
   * joins this thread, or leaves the bell to it. */
  pthread_mutex_unlock(&j->lock);
  ring(j);
  pthread_mutex_lock(&j->lock);
}

static void *thread_main(void *arg)
{
  struct jobs *j = arg;
  pthread_mutex_lock(&j->lock);
  while (!j->stopping) {
    struct job_handle *h = next_job(j);
    if (h)
      run_job(j, h);
    else
      pthread_cond_wait(&j->work, &j->lock);
  }
  pthread_mutex_unlock(&j->lock);
  return NULL;
}

/* ---- in the loop thread */

static void deliver(struct job_handle *h, bool done)
{
  h->lane->busy--;
  if (done && !h->cancelled)
    h->job.done(h->job.arg);
  if (h->job.release)
    h->job.release(h->job.arg);
  free(h);
}

static struct job_handle *take_finished(struct jobs *j)
{
  pthread_mutex_lock(&j->lock);
  struct job_handle *h = queue_take(&j->finished);
  pthread_mutex_unlock(&j->lock);
  return h;
}

static void finished(struct watch *w, uint32_t events)
{
  (void)events;
  struct jobs *j = container_of(w, struct jobs, watch);
  uint64_t n;
  if (read(w->fd, &n, sizeof n) < 0)
    return;
  for (struct job_handle *h; (h = take_finished(j));)
    deliver(h, true);
}

/* All signals are blocked while threads are made, so that they begin with that. */
static int start_threads(struct jobs *j, unsigned threads)
{
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int error = 0;
  while (j->n_threads < threads && error == 0) {
    error = pthread_create(&j->threads[j->n_threads], NULL, thread_main, j);
    if (error == 0)
      j->n_threads++;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return error;
}

static void init_sync(struct jobs *j)
{
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&j->lock, NULL);
  pthread_cond_init(&j->work, NULL);
  pthread_cond_init(&j->idle, &monotonic);
  pthread_condattr_destroy(&monotonic);
  queue_init(&j->finished);
}

struct jobs *jobs_new(struct loop *l, unsigned threads, struct err *e)
{
  struct jobs *j = calloc(1, sizeof *j);
  if (threads == 0)
    threads = 1;
  if (j == NULL || (j->threads = calloc(threads, sizeof *j->threads)) == NULL) {
    free(j);
    err_set(e, "out of memory");
    return NULL;
  }
  init_sync(j);
  j->loop = l;
  j->lane_threads = threads > 1 ? threads / 2 : 1;
  j->watch = (struct watch){.fd = -1, .ready = finished};
  j->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (j->bell < 0 || loop_watch(l, &j->watch, j->bell, EPOLLIN) < 0) {
    err_set(e, "job threads: eventfd: %s", strerror(errno));
    cleanup_close(&j->bell);
    free(j->threads);
    free(j);
    return NULL;
  }
  int error = start_threads(j, threads);
  if (error) {
    err_set(e, "job threads: cannot start %u: %s", threads, strerror(error));
    jobs_free(j, 0);
    return NULL;
  }
  return j;
}

struct lane *lane_new(struct jobs *j, const char *name)
{
  struct lane *lane = calloc(1, sizeof *lane);
  if (lane == NULL || (lane->name = strdup(name)) == NULL) {
    free(lane);
    return NULL;
  }
  lane->jobs = j;
  queue_init(&lane->queued);
  pthread_mutex_lock(&j->lock);
  lane->next = j->lanes;
  j->lanes = lane;
  pthread_mutex_unlock(&j->lock);
  return lane;
}

struct job_handle *job_submit(struct lane *lane, const struct job *job)
{
  struct jobs *j = lane->jobs;
  if (lane->busy >= LANE_MAX)
    return NULL;
  struct job_handle *h = calloc(1, sizeof *h);
  if (h == NULL)
    return NULL;
  h->job = *job;
  h->lane = lane;
  lane->busy++;
  pthread_mutex_lock(&j->lock);
  queue_add(&lane->queued, h);
  j->queued++;
  pthread_mutex_unlock(&j->lock);
  pthread_cond_signal(&j->work); /* not under the lock, which is the first that it takes */
  return h;
}

void job_cancel(struct job_handle *h)
{
  struct jobs *j = h->lane->jobs;
  h->cancelled = true;
  pthread_mutex_lock(&j->lock);
  /* Not begun: it never will; release comes through the loop, not inside this call. */
  if (queue_remove(&h->lane->queued, h)) {
    j->queued--;
    queue_add(&j->finished, h);
    ring(j);
  }
  pthread_mutex_unlock(&j->lock);
}

unsigned lane_busy(const struct lane *lane)
{
  return lane->busy;
}

/* ---- the end */

/* True when nothing is queued or running any more. */
static bool wait_idle(struct jobs *j, int64_t grace_ms)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += grace_ms / 1000;
  until.tv_nsec += grace_ms % 1000 * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  int error = 0;
  while ((j->running || j->queued) && error == 0)
    error = pthread_cond_timedwait(&j->idle, &j->lock, &until);
  return j->running == 0;
}

static void free_lane(struct lane *lane)
{
  for (struct job_handle *h; (h = queue_take(&lane->queued));)
    deliver(h, false);
  free(lane->name);
  free(lane);
}

static void free_lanes(struct jobs *j)
{
  for (struct job_handle *h; (h = queue_take(&j->finished));)
    deliver(h, false);
  for (struct lane *lane = j->lanes, *next; lane; lane = next) {
    next = lane->next;
    free_lane(lane);
  }
}

void jobs_free(struct jobs *j, int64_t grace_ms)
{
  if (j == NULL)
    return;
  pthread_mutex_lock(&j->lock);
  bool idle = wait_idle(j, grace_ms);
  j->stopping = true;
  pthread_cond_broadcast(&j->work);
  pthread_mutex_unlock(&j->lock);
  loop_unwatch(j->loop, &j->watch);
  if (!idle) { /* a thread that hangs keeps what it may still touch */
    for (unsigned i = 0; i < j->n_threads; i++)
      pthread_detach(j->threads[i]);
    return;
  }
  for (unsigned i = 0; i < j->n_threads; i++)
    pthread_join(j->threads[i], NULL);
  free_lanes(j);
  close(j->bell);
  pthread_mutex_destroy(&j->lock);
  pthread_cond_destroy(&j->work);
  pthread_cond_destroy(&j->idle);
  free(j->threads);
  free(j);
}
