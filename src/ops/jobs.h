/* The worker's job threads: for what must block (store writes, blocking providers, fsync).  All
 * signals are blocked in them.  A job owns copies of its arguments.  Completion comes back to the
 * loop by eventfd.
 *
 * A lane bounds how many of its jobs may be queued or running (LANE_MAX): a hung provider fills its
 * own lane, never everybody's threads: a lane may use at most half of the threads. */
#ifndef OPS_JOBS_H
#define OPS_JOBS_H

#include "ops/loop.h"

struct jobs;
struct lane;

enum { LANE_MAX = 64 };

struct jobs *jobs_new(struct loop *l, unsigned threads, struct err *e);
/* Waits at most GRACE_MS for running jobs; then leaves their threads behind (the process is about
 * to end). */
void jobs_free(struct jobs *j, int64_t grace_ms);
struct lane *lane_new(struct jobs *j, const char *name);

struct job {
  void (*work)(void *arg);    /* in a job thread */
  void (*done)(void *arg);    /* in the loop thread, unless cancelled */
  void (*release)(void *arg); /* in the loop thread, last, also when cancelled; may be NULL */
  void *arg;
};

/* NULL when the lane is full or memory is short. The handle is valid until done or release ran. */
struct job_handle;
struct job_handle *job_submit(struct lane *lane, const struct job *job);
/* `done` will not be called; the thread, if it runs, is not interrupted. */
void job_cancel(struct job_handle *h);
unsigned lane_busy(const struct lane *lane);

#endif
