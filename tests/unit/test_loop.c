/* The event loop: order, timers, and that whatever a callback removes or frees is left alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ops/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/cleanup.h"

static struct loop *loop;
static char seen[64]; /* what ran, a letter each */

static void saw(char c)
{
  size_t n = strlen(seen);
  if (n + 1 < sizeof seen)
    seen[n] = c;
}

static int setup(void **state)
{
  (void)state;
  memset(seen, 0, sizeof seen);
  loop = loop_new(NULL);
  return loop ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  loop_free(loop);
  return 0;
}

/* ---- timers */

struct named_timer {
  struct timer timer;
  char name;
  bool stops;
  struct timer *kills, *sets;
};

static void fire_named(struct timer *t)
{
  struct named_timer *n = container_of(t, struct named_timer, timer);
  saw(n->name);
  if (n->kills)
    loop_timer_stop(loop, n->kills);
  if (n->sets)
    loop_timer_set(loop, n->sets, 0);
  if (n->stops)
    loop_stop(loop);
}

static void test_timers_fire_in_order_of_time(void **state)
{
  (void)state;
  struct named_timer t[5] = {
      {.name = 'd'}, {.name = 'a'}, {.name = 'c'}, {.name = 'b'}, {.name = 'e', .stops = true}};
  const int ms[5] = {15, 0, 10, 5, 20};
  for (int i = 0; i < 5; i++) {
    t[i].timer.fire = fire_named;
    assert_int_equal(loop_timer_set(loop, &t[i].timer, ms[i]), 0);
  }
  loop_run(loop);
  assert_string_equal(seen, "abcde");
}

static void test_a_timer_never_fires_early(void **state)
{
  (void)state;
  struct named_timer t = {.timer.fire = fire_named, .stops = true};
  int64_t start = clock_mono_us();
  loop_timer_set(loop, &t.timer, 30);
  loop_run(loop);
  assert_true(clock_mono_us() - start >= 29000);
}

static void test_setting_a_set_timer_moves_it(void **state)
{
  (void)state;
  struct named_timer a = {.timer.fire = fire_named, .name = 'a', .stops = true};
  struct named_timer b = {.timer.fire = fire_named, .name = 'b'};
  loop_timer_set(loop, &a.timer, 1);
  loop_timer_set(loop, &b.timer, 5);
  loop_timer_set(loop, &a.timer, 10);
  loop_run(loop);
  assert_string_equal(seen, "ba");
}

static void test_a_stopped_timer_does_not_fire(void **state)
{
  (void)state;
  struct named_timer a = {.timer.fire = fire_named, .name = 'a'};
  struct named_timer b = {.timer.fire = fire_named, .name = 'b', .stops = true};
  loop_timer_set(loop, &a.timer, 1);
  loop_timer_set(loop, &b.timer, 5);
  loop_timer_stop(loop, &a.timer);
  loop_timer_stop(loop, &a.timer);
  loop_run(loop);
  assert_string_equal(seen, "b");
}

static void test_a_timer_stopped_by_another_of_the_same_turn_does_not_fire(void **state)
{
  (void)state;
  struct named_timer victim = {.timer.fire = fire_named, .name = 'v'};
  struct named_timer killer = {.timer.fire = fire_named, .name = 'k', .kills = &victim.timer};
  struct named_timer end = {.timer.fire = fire_named, .name = 'e', .stops = true};
  loop_timer_set(loop, &killer.timer, 0);
  loop_timer_set(loop, &victim.timer, 1);
  loop_timer_set(loop, &end.timer, 3);
  while (clock_mono_ms() < victim.timer.due_ms) {
  }
  loop_run(loop);
  assert_string_equal(seen, "ke");
}

/* Two that set each other at 0 ms would never let the turn end. */
static void test_timers_that_set_timers_do_not_hold_the_turn(void **state)
{
  (void)state;
  struct named_timer a = {.timer.fire = fire_named, .name = 'a'};
  struct named_timer b = {.timer.fire = fire_named, .name = 'b', .sets = &a.timer};
  struct named_timer end = {.timer.fire = fire_named, .name = 'e', .stops = true};
  a.sets = &b.timer;
  loop_timer_set(loop, &a.timer, 0);
  loop_timer_set(loop, &end.timer, 3);
  loop_run(loop);
  assert_non_null(strchr(seen, 'e'));
  loop_timer_stop(loop, &a.timer);
  loop_timer_stop(loop, &b.timer);
}

static void check_heap(unsigned seed)
{
  enum { N = 200 };
  struct named_timer t[N] = {{.name = 0}};
  srand(seed);
  for (int i = 0; i < N; i++)
    t[i].timer.fire = fire_named;
  for (int i = 0; i < 2000; i++) {
    struct timer *x = &t[rand() % N].timer;
    if (rand() % 3)
      loop_timer_set(loop, x, 1000 + rand() % 100000);
    else
      loop_timer_stop(loop, x);
  }
  /* What comes off the heap, by stopping the earliest of the set ones each time, is sorted: the
   * loop's own next timer is always the earliest. */
  for (int i = 0; i < N; i++)
    if (t[i].timer.slot == 1)
      for (int k = 0; k < N; k++)
        assert_true(t[k].timer.slot == 0 || t[k].timer.due_ms >= t[i].timer.due_ms);
  for (int i = 0; i < N; i++)
    loop_timer_stop(loop, &t[i].timer);
}

static void test_the_heap_keeps_the_earliest_first_under_random_use(void **state)
{
  (void)state;
  for (unsigned seed = 1; seed <= 50; seed++)
    check_heap(seed);
}

/* ---- descriptors */

struct end {
  struct watch watch;
  int fd, other;
  char name;
  bool stops, frees;
  struct end *kills, *moves; /* MOVES: to the descriptor of TO */
  struct end *to;
};

static struct end *end_new(char name)
{
  struct end *x = calloc(1, sizeof *x);
  int fds[2];
  assert_non_null(x);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  *x = (struct end){.watch.fd = -1, .fd = fds[0], .other = fds[1], .name = name};
  return x;
}

static void end_free(struct end *x)
{
  loop_unwatch(loop, &x->watch);
  close(x->fd);
  close(x->other);
  free(x);
}

static void end_ready(struct watch *w, uint32_t events)
{
  struct end *x = container_of(w, struct end, watch);
  char c;
  assert_true(events & EPOLLIN);
  saw(x->name);
  assert_int_equal(read(x->fd, &c, 1), 1);
  if (x->kills) {
    end_free(x->kills);
    x->kills = NULL;
  }
  if (x->moves) {
    loop_unwatch(loop, &x->moves->watch);
    assert_int_equal(loop_watch(loop, &x->moves->watch, x->to->fd, EPOLLIN), 0);
  }
  if (x->stops)
    loop_stop(loop);
  if (x->frees)
    end_free(x);
}

static void end_watch(struct end *x)
{
  x->watch.ready = end_ready;
  assert_int_equal(loop_watch(loop, &x->watch, x->fd, EPOLLIN), 0);
}

static void end_poke(struct end *x)
{
  assert_int_equal(write(x->other, "x", 1), 1);
}

static struct named_timer end_of_test = {.timer.fire = fire_named, .name = '.', .stops = true};

static void run_for(int64_t ms)
{
  end_of_test.timer.slot = 0;
  loop_timer_set(loop, &end_of_test.timer, ms);
  loop_run(loop);
}

static void test_a_readable_descriptor_calls_its_watch(void **state)
{
  (void)state;
  struct end *a = end_new('a');
  end_watch(a);
  end_poke(a);
  a->stops = true;
  loop_run(loop);
  assert_string_equal(seen, "a");
  end_free(a);
}

/* Two are ready in one turn, and whichever comes first frees the other. */
static void test_a_watch_freed_by_another_is_not_called_in_the_same_turn(void **state)
{
  (void)state;
  struct end *a = end_new('a'), *b = end_new('b');
  end_watch(a);
  end_watch(b);
  end_poke(a);
  end_poke(b);
  a->kills = b; /* epoll reports in the order of readiness: a first */
  run_for(200);
  assert_string_equal(seen, "a.");
  end_free(a);
}

static void test_a_watch_may_free_its_owner_in_its_own_callback(void **state)
{
  (void)state;
  struct end *a = end_new('a');
  a->frees = true;
  end_watch(a);
  end_poke(a);
  run_for(200);
  assert_string_equal(seen, "a.");
}

/* The event that the turn had fetched belongs to the old descriptor. */
static void test_a_watch_moved_to_another_descriptor_gets_no_stale_event(void **state)
{
  (void)state;
  struct end *a = end_new('a'), *b = end_new('b'), *quiet = end_new('q');
  end_watch(a);
  end_watch(b);
  end_poke(a);
  end_poke(b);
  a->moves = b;
  a->to = quiet;
  run_for(200);
  assert_string_equal(seen, "a.");
  end_free(a);
  end_free(b);
  end_free(quiet);
}

static void test_watching_again_changes_the_events(void **state)
{
  (void)state;
  struct end *a = end_new('a');
  end_watch(a);
  end_poke(a);
  assert_int_equal(loop_watch(loop, &a->watch, a->fd, EPOLLRDHUP), 0);
  run_for(200);
  assert_string_equal(seen, ".");
  end_free(a);
}

static void test_an_exclusive_watch_can_be_set_again(void **state)
{
  (void)state;
  struct end *a = end_new('a');
  a->watch.ready = end_ready;
  a->stops = true;
  assert_int_equal(loop_watch(loop, &a->watch, a->fd, EPOLLIN | EPOLLEXCLUSIVE), 0);
  assert_int_equal(loop_watch(loop, &a->watch, a->fd, EPOLLIN | EPOLLEXCLUSIVE), 0);
  end_poke(a);
  loop_run(loop);
  assert_string_equal(seen, "a");
  end_free(a);
}

static void test_watching_a_closed_descriptor_is_an_error(void **state)
{
  (void)state;
  struct watch w = {.fd = -1, .ready = end_ready};
  int fd = dup(0);
  close(fd);
  assert_int_equal(loop_watch(loop, &w, fd, EPOLLIN), -1);
  assert_int_equal(w.fd, -1);
}

/* ---- tasks and hooks */

struct named_task {
  struct task task;
  char name;
  struct named_task *defers;
  bool frees;
};

static void run_named(struct task *t)
{
  struct named_task *n = container_of(t, struct named_task, task);
  saw(n->name);
  if (n->defers)
    loop_defer(loop, &n->defers->task);
  if (n->frees)
    free(n);
}

static void hook_saw(struct turn_hook *h)
{
  (void)h;
  saw('h');
  loop_stop(loop);
}

static void test_a_turn_runs_timers_then_tasks_then_hooks(void **state)
{
  (void)state;
  struct named_task t = {.task.run = run_named, .name = 't'};
  struct named_timer m = {.timer.fire = fire_named, .name = 'm'};
  struct turn_hook h = {.run = hook_saw};
  loop_hook(loop, &h);
  loop_defer(loop, &t.task);
  loop_timer_set(loop, &m.timer, 0);
  loop_run(loop);
  assert_string_equal(seen, "mth");
}

static void test_a_task_deferred_by_a_task_runs_in_the_same_turn(void **state)
{
  (void)state;
  struct named_task b = {.task.run = run_named, .name = 'b'};
  struct named_task a = {.task.run = run_named, .name = 'a', .defers = &b};
  struct turn_hook h = {.run = hook_saw};
  loop_hook(loop, &h);
  loop_defer(loop, &a.task);
  loop_defer(loop, &a.task);
  loop_run(loop);
  assert_string_equal(seen, "abh");
}

static void test_an_undeferred_task_does_not_run(void **state)
{
  (void)state;
  struct named_task t[3] = {{.task.run = run_named, .name = 'a'},
                            {.task.run = run_named, .name = 'b'},
                            {.task.run = run_named, .name = 'c'}};
  struct turn_hook h = {.run = hook_saw};
  loop_hook(loop, &h);
  for (int i = 0; i < 3; i++)
    loop_defer(loop, &t[i].task);
  loop_undefer(loop, &t[2].task);
  loop_undefer(loop, &t[0].task);
  loop_defer(loop, &t[2].task);
  loop_run(loop);
  assert_string_equal(seen, "bch");
}

static void test_a_task_may_free_itself(void **state)
{
  (void)state;
  struct named_task *t = calloc(1, sizeof *t);
  assert_non_null(t);
  *t = (struct named_task){.task.run = run_named, .name = 't', .frees = true};
  struct turn_hook h = {.run = hook_saw};
  loop_hook(loop, &h);
  loop_defer(loop, &t->task);
  loop_run(loop);
  assert_string_equal(seen, "th");
}

/* Starving would be: the timer never fires. */
static void test_a_task_that_defers_itself_for_ever_starves_nobody(void **state)
{
  (void)state;
  struct named_task t = {.task.run = run_named, .name = 0};
  t.defers = &t;
  run_for(1);
  loop_defer(loop, &t.task);
  run_for(1);
  assert_string_equal(seen, "..");
  loop_undefer(loop, &t.task);
}

static struct turn_hook removed = {.run = hook_saw};

static void hook_removes(struct turn_hook *h)
{
  saw('r');
  loop_unhook(loop, &removed);
  loop_unhook(loop, h);
  loop_stop(loop);
}

static void test_a_hook_may_remove_itself_and_the_next(void **state)
{
  (void)state;
  struct turn_hook h = {.run = hook_removes};
  loop_hook(loop, &h);
  loop_hook(loop, &removed);
  loop_run(loop);
  run_for(1);
  assert_string_equal(seen, "r.");
}

static int turns_left;

static void hook_again(struct turn_hook *h)
{
  (void)h;
  if (--turns_left == 0)
    loop_stop(loop);
  loop_again(loop);
}

static void test_again_takes_another_turn_without_waiting(void **state)
{
  (void)state;
  struct turn_hook h = {.run = hook_again};
  int64_t start = clock_mono_ms();
  uint64_t before = loop_turns(loop);
  turns_left = 5;
  loop_hook(loop, &h);
  loop_run(loop);
  assert_int_equal(loop_turns(loop) - before, 5);
  assert_true(clock_mono_ms() - start < 20000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(test_timers_fire_in_order_of_time),
      T(test_a_timer_never_fires_early),
      T(test_setting_a_set_timer_moves_it),
      T(test_a_stopped_timer_does_not_fire),
      T(test_a_timer_stopped_by_another_of_the_same_turn_does_not_fire),
      T(test_timers_that_set_timers_do_not_hold_the_turn),
      T(test_the_heap_keeps_the_earliest_first_under_random_use),
      T(test_a_readable_descriptor_calls_its_watch),
      T(test_a_watch_freed_by_another_is_not_called_in_the_same_turn),
      T(test_a_watch_may_free_its_owner_in_its_own_callback),
      T(test_a_watch_moved_to_another_descriptor_gets_no_stale_event),
      T(test_watching_again_changes_the_events),
      T(test_an_exclusive_watch_can_be_set_again),
      T(test_watching_a_closed_descriptor_is_an_error),
      T(test_a_turn_runs_timers_then_tasks_then_hooks),
      T(test_a_task_deferred_by_a_task_runs_in_the_same_turn),
      T(test_an_undeferred_task_does_not_run),
      T(test_a_task_may_free_itself),
      T(test_a_task_that_defers_itself_for_ever_starves_nobody),
      T(test_a_hook_may_remove_itself_and_the_next),
      T(test_again_takes_another_turn_without_waiting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
