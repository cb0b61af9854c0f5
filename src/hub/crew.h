/* The processes of a generation, in its leader: N workers and the admin process.  Starts them,
 * replaces those that end unasked, watches that their loops turn, and ends them. */
#ifndef HUB_CREW_H
#define HUB_CREW_H

#include "hub/link.h"
#include "hub/worker.h"
#include "ops/loop.h"

struct crew;

struct crew_options {
  struct worker_args worker; /* but for .leader_fd and .number */
  const int *admin_fds;      /* parallel to config->admin_listen */
  bool log_json;
  int log_level;
};

struct crew_events {
  void *self;
  void (*ready)(void *self);                    /* the first time that everybody is ready */
  void (*failed)(void *self, const char *text); /* somebody ended before that time */
  void (*changed)(void *self);                  /* the list of members */
  void (*retired)(void *self);                  /* ending: nobody accepts any more */
  void (*empty)(void *self);                    /* all have ended, after drain or shutdown */
};

struct crew *crew_new(struct loop *l, const struct crew_options *o, const struct crew_events *ev,
                      struct err *e);
int crew_start(struct crew *c, struct err *e);
/* A child of this process has ended. */
void crew_reaped(struct crew *c, int pid, int status);
/* WORKER_DRAIN or WORKER_QUIT. */
void crew_drain(struct crew *c, enum worker_message how);
void crew_shutdown(struct crew *c);
/* At most MOST of the living, into RET; how many. */
size_t crew_list(const struct crew *c, struct link_member *ret, size_t most);

#endif
