/* A worker's event loop: descriptors, timers and work for the end of the turn.  One thread, no
 * locks.  Objects are embedded in their owner; nothing is allocated per event.
 *
 * Order of a turn: due timers, ready descriptors, deferred tasks (those that tasks defer run in the
 * same turn, bounded), then the turn hooks in the order they were added, then wait. */
#ifndef OPS_LOOP_H
#define OPS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct loop;

struct watch {
  int fd; /* -1 when not watched: begin with that */
  uint32_t events;
  void (*ready)(struct watch *w, uint32_t events); /* EPOLL* bits */
};

struct timer {
  void (*fire)(struct timer *t);
  int64_t due_ms; /* clock_mono_ms */
  unsigned slot;  /* place in the heap, from 1; 0: not set */
};

struct task {
  void (*run)(struct task *t);
  struct task *next;
  bool queued;
};

/* Runs once a turn, after the tasks. */
struct turn_hook {
  void (*run)(struct turn_hook *h);
  struct turn_hook *next;
};

struct loop *loop_new(struct err *e);
void loop_free(struct loop *l);

/* EVENTS as of epoll_ctl (level-triggered unless EPOLLET is asked for; EPOLLEXCLUSIVE passes
 * through).  Watching again changes the events.  0 or -1. */
int loop_watch(struct loop *l, struct watch *w, int fd, uint32_t events);
/* Safe inside any callback: a removed watch is not called for events of the same turn.  To be
 * called before the descriptor is closed. */
void loop_unwatch(struct loop *l, struct watch *w);

/* One shot; setting a set timer moves it.  loop_timer_stop on an unset timer is fine. */
int loop_timer_set(struct loop *l, struct timer *t, int64_t ms);
void loop_timer_stop(struct loop *l, struct timer *t);

void loop_defer(struct loop *l, struct task *t);
void loop_undefer(struct loop *l, struct task *t);
void loop_hook(struct loop *l, struct turn_hook *h);
void loop_unhook(struct loop *l, struct turn_hook *h); /* fine when it is not there */

/* Turns until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* clock_mono_ms at the start of this turn. */
int64_t loop_now_ms(const struct loop *l);
/* Turns so far: the leader's watchdog looks at it through the shared page. */
uint64_t loop_turns(const struct loop *l);
/* Asks for another turn at once, without waiting. */
void loop_again(struct loop *l);

#endif
