/* The event loop; see loop.h.  epoll for descriptors, a binary heap for timers, a list for deferred
 * tasks.
 *
 * Callbacks free their own objects, and those of others, at will: nothing of a watch, timer or task
 * is read after its callback began, and what is removed disappears from the batch of events that is
 * being worked on. */
#include "ops/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/clock.h"

enum {
  BATCH = 256,          /* events taken a turn */
  TASKS_A_TURN = 10000, /* tasks that defer tasks for ever must not starve the rest */
  WAIT_MOST_MS = 60000,
};

struct loop {
  int epoll;
  bool stop, again, firing;
  uint64_t turns;
  int64_t now_ms;
  struct timer **heap; /* [1 .. n_timers], the next to fire first */
  unsigned n_timers, heap_size;
  struct task *tasks, *last_task;
  struct turn_hook *hooks, *next_hook;
  int n_events, at_event; /* of the batch being worked on */
  struct epoll_event events[BATCH];
};

struct loop *loop_new(struct err *e)
{
  struct loop *l = calloc(1, sizeof *l);
  if (l == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  l->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (l->epoll < 0) {
    err_set(e, "epoll_create1: %s", strerror(errno));
    free(l);
    return NULL;
  }
  l->now_ms = clock_mono_ms();
  return l;
}

void loop_free(struct loop *l)
{
  if (l == NULL)
    return;
  for (unsigned i = 1; i <= l->n_timers; i++)
    l->heap[i]->slot = 0;
  close(l->epoll);
  free(l->heap);
  free(l);
}

/* ---- descriptors */

/* Events of W that this turn has fetched and not yet delivered. */
static void forget_events(struct loop *l, const struct watch *w)
{
  for (int i = l->at_event; i < l->n_events; i++)
    if (l->events[i].data.ptr == w)
      l->events[i].data.ptr = NULL;
}

int loop_watch(struct loop *l, struct watch *w, int fd, uint32_t events)
{
  struct epoll_event ev = {.events = events, .data = {.ptr = w}};
  /* The kernel does not modify exclusive watches; they begin anew. */
  bool modify = w->fd == fd && !((events | w->events) & EPOLLEXCLUSIVE);
  if (w->fd >= 0 && !modify)
    loop_unwatch(l, w);
  if ((!modify || epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &ev) < 0) &&
      epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
    w->fd = -1;
    return -1;
  }
  w->fd = fd;
  w->events = events;
  return 0;
}

void loop_unwatch(struct loop *l, struct watch *w)
{
  if (w->fd < 0)
    return;
  struct epoll_event unused = {0};
  epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, &unused); /* gone already when the owner closed it */
  forget_events(l, w);
  w->fd = -1;
  w->events = 0;
}

static void run_events(struct loop *l)
{
  while (l->at_event < l->n_events) {
    struct epoll_event *ev = &l->events[l->at_event++];
    struct watch *w = ev->data.ptr;
    if (w)
      w->ready(w, ev->events);
  }
  l->n_events = l->at_event = 0;
}

/* ---- timers */

static void heap_put(struct loop *l, unsigned slot, struct timer *t)
{
  l->heap[slot] = t;
  t->slot = slot;
}

static void heap_up(struct loop *l, unsigned slot, struct timer *t)
{
  for (; slot > 1 && l->heap[slot / 2]->due_ms > t->due_ms; slot /= 2)
    heap_put(l, slot, l->heap[slot / 2]);
  heap_put(l, slot, t);
}

static void heap_down(struct loop *l, unsigned slot, struct timer *t)
{
  for (unsigned child; (child = slot * 2) <= l->n_timers; slot = child) {
    if (child < l->n_timers && l->heap[child + 1]->due_ms < l->heap[child]->due_ms)
      child++;
    if (l->heap[child]->due_ms >= t->due_ms)
      break;
    heap_put(l, slot, l->heap[child]);
  }
  heap_put(l, slot, t);
}

static int heap_grow(struct loop *l)
{
  if (l->n_timers + 1 < l->heap_size)
    return 0;
  unsigned size = l->heap_size ? l->heap_size * 2 : 64;
  struct timer **heap = reallocarray(l->heap, size, sizeof(struct timer *));
  if (heap == NULL)
    return -1;
  l->heap = heap;
  l->heap_size = size;
  return 0;
}

int loop_timer_set(struct loop *l, struct timer *t, int64_t ms)
{
  loop_timer_stop(l, t);
  if (heap_grow(l) < 0)
    return -1;
  t->due_ms = clock_mono_ms() + (ms > 0 ? ms : 0);
  if (l->firing && t->due_ms <= l->now_ms) /* a timer that sets itself must not hold the turn */
    t->due_ms = l->now_ms + 1;
  heap_up(l, ++l->n_timers, t);
  return 0;
}

void loop_timer_stop(struct loop *l, struct timer *t)
{
  unsigned slot = t->slot;
  if (slot == 0)
    return;
  t->slot = 0;
  struct timer *last = l->heap[l->n_timers--];
  if (last == t)
    return;
  if (slot > 1 && l->heap[slot / 2]->due_ms > last->due_ms)
    heap_up(l, slot, last);
  else
    heap_down(l, slot, last);
}

static void run_timers(struct loop *l)
{
  l->firing = true;
  while (l->n_timers > 0 && l->heap[1]->due_ms <= l->now_ms) {
    struct timer *t = l->heap[1];
    loop_timer_stop(l, t);
    t->fire(t);
  }
  l->firing = false;
}

/* ---- tasks and hooks */

void loop_defer(struct loop *l, struct task *t)
{
  if (t->queued)
    return;
  t->queued = true;
  t->next = NULL;
  if (l->tasks)
    l->last_task->next = t;
  else
    l->tasks = t;
  l->last_task = t;
}

void loop_undefer(struct loop *l, struct task *t)
{
  if (!t->queued)
    return;
  struct task *before = NULL;
  for (struct task *at = l->tasks; at != t; at = at->next)
    before = at;
  if (before)
    before->next = t->next;
  else
    l->tasks = t->next;
  if (l->last_task == t)
    l->last_task = before;
  t->queued = false;
}

static void run_tasks(struct loop *l)
{
  for (int n = 0; l->tasks && n < TASKS_A_TURN; n++) {
    struct task *t = l->tasks;
    l->tasks = t->next;
    t->queued = false;
    t->run(t);
  }
}

void loop_hook(struct loop *l, struct turn_hook *h)
{
  struct turn_hook **at = &l->hooks;
  while (*at)
    at = &(*at)->next;
  h->next = NULL;
  *at = h;
}

void loop_unhook(struct loop *l, struct turn_hook *h)
{
  struct turn_hook **at = &l->hooks;
  while (*at && *at != h)
    at = &(*at)->next;
  if (*at == NULL)
    return;
  *at = h->next;
  if (l->next_hook == h)
    l->next_hook = h->next;
}

static void run_hooks(struct loop *l)
{
  for (struct turn_hook *h = l->hooks; h; h = l->next_hook) {
    l->next_hook = h->next;
    h->run(h);
  }
}

/* ---- turns */

static int wait_ms(const struct loop *l)
{
  if (l->again || l->tasks)
    return 0;
  if (l->n_timers == 0)
    return WAIT_MOST_MS;
  int64_t ms = l->heap[1]->due_ms - clock_mono_ms();
  if (ms < 0)
    return 0;
  return ms < WAIT_MOST_MS ? (int)ms : WAIT_MOST_MS;
}

static void wait_for_events(struct loop *l)
{
  int n = epoll_wait(l->epoll, l->events, BATCH, wait_ms(l));
  l->again = false;
  l->at_event = 0;
  l->n_events = n > 0 ? n : 0; /* EINTR: a turn without events */
}

void loop_run(struct loop *l)
{
  for (l->stop = false; !l->stop;) {
    l->turns++;
    l->now_ms = clock_mono_ms();
    run_timers(l);
    run_events(l);
    run_tasks(l);
    run_hooks(l);
    if (!l->stop)
      wait_for_events(l);
  }
}

void loop_stop(struct loop *l)
{
  l->stop = true;
}

int64_t loop_now_ms(const struct loop *l)
{
  return l->now_ms;
}

uint64_t loop_turns(const struct loop *l)
{
  return l->turns;
}

void loop_again(struct loop *l)
{
  l->again = true;
}
