/* Which log `mcpauth audit` works on. */
#include <config.h>

#include "cli/audit.h"

#include <stdlib.h>
#include <string.h>

#include "cli/site.h"

void audit_site_done(struct audit_site *s)
{
  free(s->file);
  free(s->state_dir);
}

static int copy(struct audit_site *ret, const char *file, const char *state_dir, struct err *e)
{
  ret->file = file ? strdup(file) : NULL;
  ret->state_dir = strdup(state_dir);
  return (file && ret->file == NULL) || ret->state_dir == NULL ? err_set(e, "out of memory") : 0;
}

int audit_site_find(const struct cli *cli, const char *log, bool need, struct audit_site *ret,
                    struct err *e)
{
  struct site s;
  *ret = (struct audit_site){NULL, NULL};
  /* With both named there is nothing to look up. */
  if (cli->statedir && (log || !need))
    return copy(ret, log, cli->statedir, e);
  if (site_open(cli, &s, e) < 0)
    return log || !need ? copy(ret, log, MCPAUTH_STATEDIR, e) : err_prefix(e, "without a file");
  int r;
  if (log == NULL && need && s.audit_file == NULL)
    r = err_set(e, "the audit log of %s is no file", cli->confdir);
  else
    r = copy(ret, log ? log : need ? s.audit_file : NULL, s.state_dir, e);
  site_done(&s);
  return r;
}
