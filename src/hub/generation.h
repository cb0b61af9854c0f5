/* A generation as the master sees it: the leader's process, what it has said, and a deadline for
 * whatever is expected of it.  A generation is a process group of its own, so that nothing of it
 * can be left behind. */
#ifndef HUB_GENERATION_H
#define HUB_GENERATION_H

#include "hub/handover.h"
#include "ops/loop.h"

enum generation_state {
  GENERATION_LOADING = 1, /* until it says READY, FAILED or UNCHANGED, or dies */
  GENERATION_SERVING,
  GENERATION_ENDING, /* draining, or what is left of a failed or lost one */
};

struct generation;

/* What the master makes of it.  G stays valid during the call. */
struct generation_events {
  void *self;
  /* The answer to LINK_LISTEN: the socket (the master's), or -1 with E. */
  int (*listen)(void *self, struct generation *g, const struct link_listen *want, struct err *e);
  /* It has read its configuration (LINK_FACTS, answered like LINK_LISTEN but without a descriptor);
   * -1 with E refuses it. */
  int (*facts)(void *self, struct generation *g, struct err *e);
  void (*ready)(void *self, struct generation *g);
  void (*unchanged)(void *self, struct generation *g);
  void (*failed)(void *self, struct generation *g, const char *text);
  /* It was told to drain, and accepts no more. */
  void (*retired)(void *self, struct generation *g);
  /* Its leader has died although it was serving. */
  void (*lost)(void *self, struct generation *g);
  /* No process of it is left: G is freed after this. */
  void (*ended)(void *self, struct generation *g);
};

struct generation {
  struct generation *next; /* the master's list */
  const struct generation_events *events;
  struct loop *loop;
  uint64_t number;
  enum generation_state state;
  int pid;     /* the leader's, and the process group's */
  bool reaped; /* the leader; members of its group may be left */
  bool shut;   /* told to end at once */
  int64_t started_ms;
  struct watch link;
  struct timer deadline;
  char stage[256];
  char version[32]; /* of its program */
  bool inherited;   /* its program is the one whose place we have taken */
  struct link_facts facts;
  struct link_member crew[LINK_CREW_MAX];
  size_t n_crew;
};

/* Forks it; LEAD runs in the child with the leader's end of the link and returns the exit status.
 */
struct generation_lead {
  void *self;
  int (*run)(void *self, uint64_t number, int link_fd);
};
struct generation *generation_start(struct loop *l, uint64_t number,
                                    const struct generation_events *events,
                                    const struct generation_lead *lead, struct err *e);
/* Stop accepting, finish, end; bounded by drain_timeout and a bit. */
void generation_drain(struct generation *g);
/* The same for a daemon that ends: idle connections are closed at once. */
void generation_quit(struct generation *g);
/* End now; bounded by some seconds. */
void generation_shutdown(struct generation *g);
/* The leader has ended with wait status STATUS. */
void generation_reaped(struct generation *g, int status);
/* After every reaping: frees those of the list of which nothing is left. */
void generation_collect(struct generation **list);
void generation_free(struct generation *g);
/* For the program that takes this one's place, and in that (NULL with E).  Not while it loads. */
void generation_save(const struct generation *g, struct handover_generation *to);
struct generation *generation_restore(struct loop *l, const struct handover_generation *from,
                                      bool serving, const struct generation_events *events,
                                      struct err *e);

#endif
