/* Looking things up in a loaded configuration; see config.h.  Called by everybody above. */
#include "config/config.h"

const struct config_service *config_find_service(const struct config *c, struct str name)
{
  for (size_t i = 0; i < c->n_services; i++)
    if (str_is(name, c->services[i].name))
      return &c->services[i];
  return NULL;
}

const struct config_provider *config_find_line(const struct config_service *s, struct str provider)
{
  for (size_t i = 0; i < s->stack.n_auth; i++)
    if (str_is(provider, s->stack.auth[i].provider->name))
      return s->stack.auth[i].provider;
  return NULL;
}

bool config_client_serves(const struct config_client *c, const struct config_service *s)
{
  if (c == NULL || c->n_services == 0)
    return true;
  for (size_t i = 0; i < c->n_services; i++)
    if (c->services[i] == s)
      return true;
  return false;
}
