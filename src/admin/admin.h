/* The admin process: health and metrics on listeners of their own, apart from the traffic, so that
 * they answer whatever the workers do.  Knows no service and holds no secret. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "config/config.h"
#include "ops/shm.h"

struct admin_args {
  const struct config *config;
  struct shm *shm;
  const int *listen_fds; /* parallel to config->admin_listen */
  int leader_fd;         /* the leader's messages are a worker's: hub/worker.h */
  uint64_t generation;
};

/* In a process of its own; the exit status. */
int admin_main(const struct admin_args *args);

#endif
