/* What the files of `mcpauth audit` share. */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include "cli/cli.h"
#include "util/err.h"

/* The log that is meant, and where its key is. */
struct audit_site {
  char *file; /* NULL: none is configured, or none was asked for */
  char *state_dir;
};

/* LOG (--log) or, when it is NULL and NEED, the configuration's. */
int audit_site_find(const struct cli *cli, const char *log, bool need, struct audit_site *ret,
                    struct err *e);
void audit_site_done(struct audit_site *s);

/* Follows FILE from its last N records; the exit status. */
struct tail_options {
  const char *file;
  unsigned long n;
  bool follow, json;
};
int audit_tail(const struct tail_options *o, struct err *e);

#endif
