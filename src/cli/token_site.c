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

/* Nothing refuses such a token: rules that ask for a scope do not meet it. */
static void note_scopes(const struct token_args *a, const struct config *c)
{
  for (size_t i = 0; i < a->n_scopes; i++) {
    bool known = false;
    for (size_t k = 0; k < c->n_scopes; k++)
      known = known || strcmp(c->scopes[k]->name, a->scopes[i]) == 0;
    if (!known)
      fprintf(stderr, "note: the configuration declares no scope '%.128s'\n", a->scopes[i]);
  }
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
    note_scopes(a, s.config);
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
