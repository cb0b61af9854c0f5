/* The judgement of an authorization request; see authorize.h.  Pure. */
#include <string.h>

#include "auth/login.h"
#include "oauth/authorize.h"
#include "oauth/resource.h"
#include "util/redirect.h"

/* ---- the redirect URI (rows 84, 86, 88) */

static enum authorize_redirect judge_redirect(const struct config *c,
                                              const struct oauth_client *client, struct str uri,
                                              const char **ret_why)
{
  struct redirect parts;
  struct redirect_policy policy = {.own = &c->public_parts};
  if (client->kind != CLIENT_CONFIGURED) {
    policy.allow = c->oauth.redirect_allow.v;
    policy.n_allow = c->oauth.redirect_allow.n;
  }
  enum redirect_error e =
      redirect_acceptable(&policy, uri, client->auth == CLIENT_AUTH_NONE, &parts);
  *ret_why = redirect_error_text(e);
  return e == REDIRECT_OK ? AUTHORIZE_REDIRECT_OK : AUTHORIZE_REDIRECT_REFUSED;
}

enum authorize_redirect authorize_redirect(const struct config *c,
                                           const struct oauth_client *client,
                                           const struct params *p, struct transaction *t,
                                           const char **ret_why)
{
  const struct config_words *all = &client->redirect_uris;
  struct str uri = params_get(p, "redirect_uri"), registered = {NULL, 0};
  if (uri.p == NULL && all->n == 1)
    uri = str_of(all->v[0]); /* RFC 6749 section 3.1.2.3 */
  if (uri.p == NULL)
    return AUTHORIZE_REDIRECT_MISSING;
  for (size_t i = 0; i < all->n && registered.p == NULL; i++)
    if (redirect_matches(str_of(all->v[i]), uri))
      registered = str_of(all->v[i]);
  if (registered.p == NULL)
    return AUTHORIZE_REDIRECT_FOREIGN;
  t->redirect = uri;
  t->registered = str_eq(registered, uri) ? (struct str){NULL, 0} : registered;
  return judge_redirect(c, client, uri, ret_why);
}

/* ---- the protocol */

static struct authorize_error refuse(const char *error, const char *description)
{
  return (struct authorize_error){error, description, false};
}

/* RFC 7636 section 4.2: what base64url makes of SHA-256. */
static bool is_challenge(struct str s)
{
  for (size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-' &&
        c != '_')
      return false;
  }
  return s.n == 43;
}

bool authorize_has_word(struct str list, const char *word)
{
  struct str w;
  while (str_next(&list, ' ', &w))
    if (str_is(w, word))
      return true;
  return false;
}

struct authorize_error authorize_protocol(const struct params *p, const struct oauth_client *client)
{
  struct str type = params_get(p, "response_type"), mode = params_get(p, "response_mode");
  if (params_get(p, "request").p)
    return refuse("request_not_supported", "Requests as JWT are not supported.");
  if (params_get(p, "request_uri").p)
    return refuse("request_uri_not_supported", "Requests by reference are not supported.");
  if (type.p == NULL)
    return refuse("invalid_request", "response_type is missing.");
  if (!str_is(type, "code"))
    return refuse("unsupported_response_type", "Only response_type=code is supported.");
  if (mode.p && !str_is(mode, "query"))
    return refuse("invalid_request", "Only response_mode=query is supported.");
  if (!client->may_log_in)
    return refuse("unauthorized_client", "This client has not the grant type authorization_code.");
  if (params_get(p, "code_challenge").p == NULL)
    return refuse("invalid_request", "code_challenge is missing: PKCE is required.");
  if (!str_is(params_get(p, "code_challenge_method"), "S256"))
    return refuse("invalid_request", "code_challenge_method must be S256.");
  if (!is_challenge(params_get(p, "code_challenge")))
    return refuse("invalid_request", "code_challenge is no base64url of a SHA-256.");
  if (authorize_has_word(params_get(p, "prompt"), "none"))
    return refuse("interaction_required", "Nobody is signed in without being asked here.");
  return (struct authorize_error){NULL, NULL, false};
}

/* ---- the service */

size_t authorize_providers(const struct config_service *s, const struct config_provider **ret,
                           size_t max)
{
  size_t n = 0;
  for (size_t i = 0; i < s->stack.n_auth; i++) {
    const struct config_line *l = &s->stack.auth[i];
    bool known = l->control == CONTROL_OPTIONAL || !login_capable(l->provider);
    for (size_t k = 0; k < n && !known; k++)
      known = ret[k] == l->provider;
    if (!known && n < max)
      ret[n++] = l->provider;
  }
  return n;
}

static bool logs_in(const struct config_service *s)
{
  const struct config_provider *p[AUTHORIZE_PROVIDERS];
  return authorize_providers(s, p, AUTHORIZE_PROVIDERS) > 0;
}

static const struct config_service *implied_service(const struct config *c)
{
  const struct config_service *only = NULL;
  if (c->oauth.default_service)
    return c->oauth.default_service;
  for (size_t i = 0; i < c->n_services; i++) {
    if (!logs_in(&c->services[i]))
      continue;
    if (only)
      return NULL;
    only = &c->services[i];
  }
  return only;
}

struct authorize_error authorize_service(const struct config *c, const struct params *p,
                                         const struct config_service **ret)
{
  struct str resource = params_get(p, "resource");
  const struct config_service *found = NULL;
  if (params_count(p, "resource") > 1)
    return refuse("invalid_target", "One resource a login: several were sent.");
  for (size_t i = 0; resource.p && i < c->n_services && !found; i++)
    if (resource_is(resource, &c->services[i]))
      found = &c->services[i];
  if (resource.p && found == NULL)
    return refuse("invalid_target", "resource is no service of this hub.");
  if (resource.p == NULL && (found = implied_service(c)) == NULL)
    return (struct authorize_error){"invalid_target",
                                    "resource is missing, and there are several services.", true};
  if (!logs_in(found))
    return refuse("invalid_target", "Nobody can log in to this service here.");
  *ret = found;
  return (struct authorize_error){NULL, NULL, false};
}

/* ---- names */

const char *authorize_provider_name(const struct config_provider *p)
{
  static const struct {
    const char *module, *name;
  } known[] = {{"google-oauth", "Google"}, {"github-oauth", "GitHub"}, {"workos", "WorkOS"}};
  for (size_t i = 0; i < ARRAY_SIZE(known); i++)
    if (strcmp(p->module, known[i].module) == 0 && strcmp(p->name, p->module) == 0)
      return known[i].name;
  return p->name;
}

const struct config_provider *authorize_find_provider(const struct config_service *s,
                                                      struct str name)
{
  const struct config_provider *p[AUTHORIZE_PROVIDERS];
  size_t n = authorize_providers(s, p, AUTHORIZE_PROVIDERS);
  for (size_t i = 0; i < n; i++)
    if (str_is(name, p[i]->name))
      return p[i];
  return NULL;
}
