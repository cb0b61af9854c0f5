/* The provider that is in no file: `clients`, whose line answers for configured clients that come
 * with a token of the hub's own (design section 10).  The host answers for it; it is never asked.
 */
#include <string.h>

#include "config/binder.h"

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)rq, (void)config, (void)state;
  return MCPAUTH_IGNORE;
}

static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  (void)config, (void)state, (void)credential;
  return false;
}

static const struct mcpauth_provider clients = {
    .abi = MCPAUTH_ABI,
    .struct_size = sizeof(struct mcpauth_provider),
    .name = "clients",
    .version = "0.1",
    .description = "clients of the configuration, with tokens that they get from the hub",
    .claims = claims,
    .verify = verify,
};

const struct mcpauth_provider *config_builtin(struct str module)
{
  return str_is(module, clients.name) ? &clients : NULL;
}

bool config_is_clients(const struct config_provider *p)
{
  return p->table == &clients;
}

bool config_logs_in(const struct config_provider *p)
{
  const struct mcpauth_provider *t = p->table;
  return t->login_begin && (t->logs_in == NULL || t->logs_in(p->config));
}

bool config_can_log_in(const struct config_service *s)
{
  for (size_t i = 0; i < s->stack.n_auth; i++)
    if (config_logs_in(s->stack.auth[i].provider))
      return true;
  return false;
}

void builtin_add(struct binder *b)
{
  struct names *names = &b->providers;
  struct statement *s = NULL, **tail = &s;
  struct config_at at;
  for (size_t i = 0; i < names->n; i++)
    if (strcmp(names->v[i].name, clients.name) == 0)
      return;
  if (tree_parse(b->c->dir, STR("provider clients { }"), b->scratch, &tail, &at, NULL) < 0 ||
      s == NULL)
    bind_no_memory(b);
  else
    names->v[names->n++] = (struct named){.name = clients.name, .s = s, .builtin = true};
}
