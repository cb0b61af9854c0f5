/* Which file `mcpauth token` works on. */
#include <config.h>

#include "cli/token.h"

#include <stdlib.h>
#include <string.h>

void token_site_done(struct token_site *s)
{
  free(s->file);
  free(s->instance);
  free(s->state_dir);
}

int token_site_find(const struct token_args *a, struct token_site *ret, struct err *e)
{
  *ret = (struct token_site){NULL, NULL, NULL};
  if (a->file == NULL)
    return err_set(e, "which tokens? Give --file");
  ret->file = strdup(a->file);
  return ret->file ? 0 : err_set(e, "out of memory");
}
