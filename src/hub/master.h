/* The master process: owns the listening sockets, the control socket, the shared page and the
 * generations.  Loads no provider and parses no traffic. */
#ifndef HUB_MASTER_H
#define HUB_MASTER_H

#include "hub/handover.h"
#include "hub/privileges.h"

struct master_options {
  const char *confdir;             /* all paths absolute */
  const char *state_dir;           /* NULL: the configuration's */
  const char *control, *port_file; /* port_file may be NULL */
  const char *plugin_dir;
  char **argv; /* to run the program again in our place: its path first, all paths absolute */
  struct handover *handover; /* by the program whose place we take; NULL: this is a start */
  struct identity user;      /* whom to become; who we are when there is nobody to become */
};

/* Runs until the daemon ends; its exit status. */
int master_run(const struct master_options *o);

#endif
