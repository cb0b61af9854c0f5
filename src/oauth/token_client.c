/* grant_type client_credentials (RFC 6749 section 4.4): clients of the configuration, for
 * themselves.  Their tokens satisfy the line of the built-in provider `clients`. */
#include "auth/hub_token.h"
#include "oauth/scopes.h"
#include "oauth/token.h"

/* The line of S that answers for configured clients, or NULL. */
static const struct config_provider *clients_line(const struct config_service *s)
{
  for (size_t i = 0; i < s->stack.n_auth; i++)
    if (config_is_clients(s->stack.auth[i].provider))
      return s->stack.auth[i].provider;
  return NULL;
}

static void succeed(struct token_run *r, const struct config_service *s,
                    const struct config_provider *line, struct str scope)
{
  struct oauth *o = r->x->oauth;
  struct err e = {""};
  struct token_success t = {
      .scope = scope,
      .service = s,
      .provider = str_of(line->name),
      .issuer = str_of(o->issuer),
      .subject = str_of(r->client->id),
  };
  const struct issue i = {
      .service = s,
      .provider = t.provider,
      .issuer = t.issuer,
      .subject = t.subject,
      .client = t.subject,
      .scope = scope,
      .grant = STR(""),
  };
  if (issue_token(o, &i, r->x->rq->arena, &t.access, &e) < 0)
    token_unavailable(r, e.text);
  else
    token_answer(r, &t);
}

/* What the administrator has written down for the client needs no `for`; anything else does. */
static int choose(struct token_run *r, const struct config_service *s,
                  const struct config_provider *line, struct scope_set *ret)
{
  const struct config *c = r->x->oauth->o.config;
  struct arena *a = r->x->rq->arena;
  const struct hub_person of = {.issuer = str_of(r->x->oauth->issuer),
                                .subject = str_of(r->client->id),
                                .client = str_of(r->client->id),
                                .scope = STR("")};
  struct str requested = params_get(&r->params, "scope");
  if (r->client->scopes.n)
    return scopes_asked(c, s, &r->client->scopes, requested, a, ret);
  struct principal *who = hub_principal(line, &of, NULL);
  int rc = who ? scopes_granted(c, s, NULL, requested, who, r->x->address, a, ret) : -1;
  principal_unref(who);
  return rc;
}

static void run(struct token_run *r)
{
  const struct config_service *s = token_resource(r);
  const struct config_provider *line = s ? clients_line(s) : NULL;
  struct scope_set asked;
  struct arena *a = r->x->rq->arena;
  if (line == NULL) {
    token_refuse(r, 400, "invalid_target",
                 s ? "The service takes no tokens of clients."
                   : "The parameter resource must name a service that this client may use.",
                 "resource");
    return;
  }
  struct str scope = {NULL, 0};
  if (choose(r, s, line, &asked) == 0)
    scope = scopes_text(&asked, a);
  if (scope.p == NULL)
    token_unavailable(r, "out of memory");
  else
    succeed(r, s, line, scope);
}

const struct token_grant token_client = {
    .name = "client_credentials", .grant = GRANT_CLIENT_CREDENTIALS, .run = run};
