/* A worker: one process, one event loop.  worker_main runs after the fork and never returns to the
 * leader's code. */
#ifndef HUB_WORKER_H
#define HUB_WORKER_H

#include "config/config.h"
#include "ops/shm.h"
#include "store/keyring.h"

struct worker_args {
  const struct config *config;
  struct shm *shm;
  struct audit_heads *audit_heads;
  const int *listen_fds; /* parallel to config->listen */
  int leader_fd;         /* socketpair to the leader, one byte a message, see below */
  unsigned number;       /* from 1 */
  uint64_t generation;
  unsigned char audit_key[32];
  struct keyring *keys; /* of the whole hub; this process's own since the fork */
};

/* Messages, one byte each.  To the worker: DRAIN (stop accepting, finish, exit 0), QUIT (the same,
 * and no other generation follows: idle connections are closed at once), SHUTDOWN (end
 * every request now, exit 0); end of file means that the leader died: as DRAIN.  From the worker:
 * READY once it serves; RETIRED once it accepts no more; FAILED followed by the error text up to
 * end of file. */
enum worker_message {
  WORKER_DRAIN = 'd',
  WORKER_QUIT = 'q',
  WORKER_SHUTDOWN = 's',
  WORKER_READY = 'r',
  WORKER_RETIRED = 'a',
  WORKER_FAILED = 'f'
};

/* The exit status. */
int worker_main(const struct worker_args *args);

#endif
