/* Which log `mcpauth audit` works on. */
#include <config.h>

#include "cli/audit.h"

#include <stdlib.h>
#include <string.h>

void audit_site_done(struct audit_site *s)
{
  free(s->file);
  free(s->state_dir);
}

int audit_site_find(const struct cli *cli, const char *log, bool need, struct audit_site *ret,
                    struct err *e)
{
  *ret = (struct audit_site){NULL, NULL};
  if (log == NULL && need)
    return err_set(e, "which log? Give --log");
  ret->file = log ? strdup(log) : NULL;
  ret->state_dir = strdup(cli->statedir ? cli->statedir : MCPAUTH_STATEDIR);
  if ((log && ret->file == NULL) || ret->state_dir == NULL)
    return err_set(e, "out of memory");
  return 0;
}
