/* Job threads: delivery in the loop, lanes that cannot starve each other, cancellation, the end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ops/jobs.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/clock.h"

static struct loop *loop;
static struct jobs *jobs;

static int setup(void **state)
{
  (void)state;
  loop = loop_new(NULL);
  jobs = loop ? jobs_new(loop, 4, NULL) : NULL;
  return jobs ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  jobs_free(jobs, 2000);
  loop_free(loop);
  return 0;
}

struct probe {
  sem_t gate; /* work waits for it when held */
  bool held, stops;
  bool one; /* of a probe with a single job: its thread is looked at */
  atomic_int worked;
  int done, released;
  pthread_t worker, deliverer;
  sigset_t blocked;
};

static void probe_work(void *arg)
{
  struct probe *p = arg;
  if (p->one) {
    p->worker = pthread_self();
    pthread_sigmask(SIG_BLOCK, NULL, &p->blocked);
  }
  if (p->held)
    sem_wait(&p->gate);
  atomic_fetch_add(&p->worked, 1);
}

static void probe_done(void *arg)
{
  struct probe *p = arg;
  p->done++;
  p->deliverer = pthread_self();
}

static void probe_release(void *arg)
{
  struct probe *p = arg;
  p->released++;
  if (p->stops)
    loop_stop(loop);
}

static struct job job_of(struct probe *p)
{
  return (struct job){probe_work, probe_done, probe_release, p};
}

static struct job_handle *submit(struct lane *lane, struct probe *p)
{
  struct job job = job_of(p);
  return job_submit(lane, &job);
}

static void stop_now(struct timer *t)
{
  (void)t;
  loop_stop(loop);
}

static void run_for(int64_t ms)
{
  struct timer t = {.fire = stop_now};
  loop_timer_set(loop, &t, ms);
  loop_run(loop);
  loop_timer_stop(loop, &t);
}

static void wait_worked(struct probe *p, int n)
{
  int64_t until = clock_mono_ms() + 60000;
  while (atomic_load(&p->worked) < n && clock_mono_ms() < until)
    usleep(500);
}

/* Turns until N of its jobs are given back. */
static void run_until_released(const struct probe *p, int n)
{
  for (int turns = 0; turns < 3000 && p->released < n; turns++)
    run_for(20);
  assert_int_equal(p->released, n);
}

static void test_work_runs_elsewhere_and_done_in_the_loop_thread(void **state)
{
  (void)state;
  struct probe p = {.stops = true, .one = true};
  assert_non_null(submit(lane_new(jobs, "a"), &p));
  run_for(5000);
  assert_int_equal(p.worked, 1);
  assert_int_equal(p.done, 1);
  assert_int_equal(p.released, 1);
  assert_false(pthread_equal(p.worker, pthread_self()));
  assert_true(pthread_equal(p.deliverer, pthread_self()));
}

static void test_all_signals_are_blocked_in_job_threads(void **state)
{
  (void)state;
  struct probe p = {.stops = true, .one = true};
  submit(lane_new(jobs, "a"), &p);
  run_for(5000);
  assert_int_equal(sigismember(&p.blocked, SIGTERM), 1);
  assert_int_equal(sigismember(&p.blocked, SIGHUP), 1);
  assert_int_equal(sigismember(&p.blocked, SIGCHLD), 1);
}

/* row 133: four threads, one lane full of jobs that hang; another lane is served at once. */
static void test_a_lane_that_hangs_leaves_threads_to_the_others(void **state)
{
  (void)state;
  struct probe hung = {.held = true}, ok = {.stops = true};
  struct lane *bad = lane_new(jobs, "bad"), *good = lane_new(jobs, "good");
  sem_init(&hung.gate, 0, 0);
  for (int i = 0; i < 10; i++)
    assert_non_null(submit(bad, &hung));
  submit(good, &ok);
  int64_t start = clock_mono_ms();
  run_for(5000);
  assert_int_equal(ok.done, 1);
  assert_true(clock_mono_ms() - start < 4000);
  assert_int_equal(hung.worked, 0);
  for (int i = 0; i < 10; i++)
    sem_post(&hung.gate);
  run_until_released(&hung, 10);
}

/* row 133 */
static void test_a_full_lane_refuses(void **state)
{
  (void)state;
  struct probe hung = {.held = true};
  struct lane *lane = lane_new(jobs, "bad");
  sem_init(&hung.gate, 0, 0);
  for (int i = 0; i < LANE_MAX; i++)
    assert_non_null(submit(lane, &hung));
  assert_null(submit(lane, &hung));
  assert_int_equal(lane_busy(lane), LANE_MAX);
  for (int i = 0; i < LANE_MAX; i++)
    sem_post(&hung.gate);
  run_until_released(&hung, LANE_MAX);
  assert_int_equal(lane_busy(lane), 0);
}

static void test_cancelling_a_running_job_detaches_it(void **state)
{
  (void)state;
  struct probe p = {.held = true};
  sem_init(&p.gate, 0, 0);
  struct job_handle *h = submit(lane_new(jobs, "a"), &p);
  run_for(20);
  job_cancel(h);
  assert_int_equal(p.released, 0);
  sem_post(&p.gate);
  run_until_released(&p, 1);
  assert_int_equal(p.done, 0);
}

static void test_cancelling_a_queued_job_never_runs_it(void **state)
{
  (void)state;
  struct probe hung = {.held = true}, p = {0};
  struct lane *lane = lane_new(jobs, "a");
  sem_init(&hung.gate, 0, 0);
  submit(lane, &hung);
  submit(lane, &hung);
  job_cancel(submit(lane, &p));
  assert_int_equal(p.released, 0); /* not inside job_cancel */
  run_for(20);
  assert_int_equal(p.released, 1);
  sem_post(&hung.gate);
  sem_post(&hung.gate);
  run_until_released(&hung, 2);
  assert_int_equal(p.worked, 0);
  assert_int_equal(p.done, 0);
}

static void test_jobs_of_a_lane_begin_in_order(void **state)
{
  (void)state;
  struct probe p[3] = {{.held = true}, {.held = true}, {.held = false}};
  struct lane *lane = lane_new(jobs, "a");
  for (int i = 0; i < 2; i++)
    sem_init(&p[i].gate, 0, 0);
  for (int i = 0; i < 3; i++)
    submit(lane, &p[i]);
  run_for(20);
  assert_int_equal(p[2].worked, 0); /* half of four threads: the third waits */
  sem_post(&p[0].gate);
  wait_worked(&p[2], 1);
  assert_int_equal(p[2].worked, 1);
  assert_int_equal(p[1].worked, 0);
  sem_post(&p[1].gate);
  run_until_released(&p[1], 1);
}

static void test_the_end_waits_for_running_jobs_and_releases_them(void **state)
{
  (void)state;
  struct loop *l = loop_new(NULL);
  struct jobs *j = jobs_new(l, 2, NULL);
  struct probe p = {0};
  assert_non_null(submit(lane_new(j, "a"), &p));
  jobs_free(j, 2000);
  assert_int_equal(p.worked, 1);
  assert_int_equal(p.done, 0);
  assert_int_equal(p.released, 1);
  loop_free(l);
}

/* row 133: a provider that hangs for ever cannot hold the worker's end. */
static void test_the_end_is_bounded_when_a_job_hangs(void **state)
{
  (void)state;
  static struct probe p = {.held = true}; /* outlives the test: its thread does */
  struct loop *l = loop_new(NULL);
  struct jobs *j = jobs_new(l, 2, NULL);
  sem_init(&p.gate, 0, 0);
  submit(lane_new(j, "a"), &p);
  int64_t start = clock_mono_ms();
  jobs_free(j, 50);
  assert_true(clock_mono_ms() - start < 20000);
  assert_int_equal(p.released, 0);
  loop_free(l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(test_work_runs_elsewhere_and_done_in_the_loop_thread),
      T(test_all_signals_are_blocked_in_job_threads),
      T(test_a_lane_that_hangs_leaves_threads_to_the_others),
      T(test_a_full_lane_refuses),
      T(test_cancelling_a_running_job_detaches_it),
      T(test_cancelling_a_queued_job_never_runs_it),
      T(test_jobs_of_a_lane_begin_in_order),
      T(test_the_end_waits_for_running_jobs_and_releases_them),
      T(test_the_end_is_bounded_when_a_job_hangs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
