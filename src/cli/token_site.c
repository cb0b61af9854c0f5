/* Which file `mcpauth token` works on. */
#include <config.h>

#include "cli/token.h"

#include <stdlib.h>
#include <string.h>

#include "cli/site.h"

void token_site_done(struct token_site *s)
{
  free(s->file);
  free(s->instance);
  free(s->state_dir);
}

static int from_configuration(const struct token_args *a, struct token_site *ret, struct err *e)
{
  struct site s;
  const char *instance;
  if (site_open(a->cli, &s, e) < 0)
    return err_prefix(e, a->provider ? "--provider" : "without --file");
  const char *file = site_path_option(&s, "static-token", a->provider, "file", &instance, e);
  if (file) {
    ret->file = strdup(file);
    ret->instance = strdup(instance);
    ret->state_dir = strdup(s.state_dir);
  }
  site_done(&s);
  if (file == NULL)
    return -1;
  return ret->file && ret->instance && ret->state_dir ? 0 : err_set(e, "out of memory");
}

int token_site_find(const struct token_args *a, struct token_site *ret, struct err *e)
{
  *ret = (struct token_site){NULL, NULL, NULL};
  if (a->file == NULL)
    return from_configuration(a, ret, e);
  ret->file = strdup(a->file);
  return ret->file ? 0 : err_set(e, "out of memory");
}
