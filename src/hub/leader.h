/* The leader of a generation: reads the configuration as the user that serves, loads the providers,
 * asks the master for listeners, forks the workers and the admin process and replaces them.  It
 * serves nothing itself and starts no provider. */
#ifndef HUB_LEADER_H
#define HUB_LEADER_H

#include "hub/privileges.h"
#include "ops/audit.h"
#include "ops/shm.h"

struct leader_args {
  const char *confdir;
  const char *state_dir; /* NULL: the configuration's */
  const char *plugin_dir;
  const struct identity *user; /* to become before anything is read */
  const char *serving; /* identity of the configuration that is being served; "" when none is */
  struct shm *shm;
  struct audit_heads *audit_heads;
  const char *daemon; /* names this daemon to the lock of the audit log */
  bool log_json;
  int log_level;
  int link_fd; /* to the master: link.h */
  uint64_t number;
};

/* In a process of its own; the exit status. */
int leader_main(const struct leader_args *args);

#endif
