/* From statements to struct config: resolves names, fills structs, runs lints.  Called by load.c
 * and by tests that have texts instead of files. */
#ifndef CONFIG_BIND_H
#define CONFIG_BIND_H

#include "config/report.h"

/* One file. */
struct config_source {
  const char *name; /* as positions show it */
  struct str text;
};

/* NULL when there was an error.  DIR is copied into the configuration. */
struct config *config_bind(const char *dir, const struct config_source *sources, size_t n,
                           const struct config_modules *modules, unsigned user_id,
                           struct findings *f);
/* `user` of the hub block without binding anything, in ARENA; "" when there is none, or when the
 * sources do not parse (which is reported). */
const char *config_find_user(const struct config_source *sources, size_t n, struct arena *arena,
                             struct findings *f);

#endif
