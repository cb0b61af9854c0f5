/* The configuration, for subcommands that look something up in it: paths, instances. */
#ifndef CLI_SITE_H
#define CLI_SITE_H

#include <sys/types.h>

#include "cli/cli.h"
#include "config/config.h"

struct site {
  struct config *config;
  struct loader *loader;
  struct arena *report;
  const char *state_dir;  /* --state-dir, or the configuration's */
  const char *audit_file; /* NULL: the audit log is no file */
};

/* -1 with E when it does not load here; the reasons are for `mcpauth check`.  Providers' own checks
 * do not run: a token file may be about to be made. */
int site_open(const struct cli *cli, struct site *ret, struct err *e);
void site_done(struct site *s);

/* The PATH option OPTION of the instance NAME (NULL: the only one) of the provider MODULE.
 * *RET_NAME is the instance.  NULL with E. */
const char *site_path_option(const struct site *s, const char *module, const char *name,
                             const char *option, const char **ret_name, struct err *e);

/* The group by which the hub reads its files: of the user that it becomes, or `mcpauth`; ours where
 * neither is. */
gid_t site_group(const struct cli *cli);

#endif
