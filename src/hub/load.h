/* What a leader does before it has workers: reading the configuration, with its errors as text for
 * whoever asked, and telling whether it is new.  Blocking, in the leader's process only. */
#ifndef HUB_LOAD_H
#define HUB_LOAD_H

#include "auth/loader.h"
#include "hub/leader.h"
#include "util/buf.h"

struct load {
  const struct leader_args *args;
  struct loader *loader;
  struct config_modules modules; /* the loader's */
  struct config *config;
  struct arena *report_arena;
  struct config_report report;
  char identity[65];
};

/* -1 with the errors, a line each, in ERRORS. */
int load_config(struct load *ld, const struct leader_args *args, struct buf *errors);
/* Warnings, to the log: once a generation, when it is going to serve. */
void load_log_warnings(const struct load *ld);

#endif
