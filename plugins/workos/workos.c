/* workos: people log in with WorkOS AuthKit.  Two ways, which go together: the hub logs them in
 * (client_id), or AuthKit is the authorization server of the service itself (`external on`): MCP
 * clients then find it in the service's metadata and bring its access tokens.  Organisation, role
 * and permissions come along.  Requests, replies, keys and metadata are the host's work.  See
 * mcpauth-workos(5). */
#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

enum { ISSUER_SIZE = 513, PARAMETERS = 48 };

struct config {
  const char *authkit_domain, *client_id, *environment_client_id, *connection;
  const struct mcpauth_secret *client_secret;
  struct mcpauth_list organization, request_scope, parameters, map;
  bool external, own_tokens;
  int64_t leeway, reuse;
};

/* clang-format off */
#define MINUTE ((int64_t)60000)
#define OPTION(word, kind, member, text, ...)                                                      \
  {.name = word, .type = MCPAUTH_##kind, .offset = offsetof(struct config, member), .help = text,  \
   .since = "0.1", __VA_ARGS__}

static const struct mcpauth_option options[] = {
    OPTION("authkit_domain", URL, authkit_domain, "AuthKit's own or custom domain, byte for byte as it names itself",
           .flags = MCPAUTH_REQUIRED | MCPAUTH_HTTPS, .metavar = "URL"),
    OPTION("client_id", STRING, client_id, "The Connect application through which the hub logs people in", .metavar = "TEXT"),
    OPTION("client_secret", SECRET, client_secret, "Its secret", .metavar = "SECRET"),
    OPTION("environment_client_id", STRING, environment_client_id, "The environment's client id: what `aud` of access tokens names that are for no resource",
           .metavar = "TEXT"),
    OPTION("organization", LIST, organization, "Only people who act for one of these organisations; of one AuthKit is told",
           .metavar = "ORG_ID"),
    OPTION("connection", STRING, connection, "The SSO connection that AuthKit is to use", .metavar = "CONN_ID"),
    OPTION("request_scope", LIST, request_scope, "What AuthKit is asked for; openid must be in it",
           .fallback = "openid profile email offline_access", .metavar = "SCOPE"),
    OPTION("parameters", PAIRS, parameters, "More parameters for the authorization endpoint", .metavar = "NAME VALUE"),
    OPTION("map", PAIRS, map, "Copies the claim at a JSON pointer to a /name of the principal", .metavar = "CLAIM NAME"),
    OPTION("external", BOOL, external, "Whether access tokens are accepted that AuthKit issued for the service's URL, to any client",
           .fallback = "off"),
    OPTION("own_tokens", BOOL, own_tokens, "Whether access tokens are accepted that AuthKit issued to client_id",
           .fallback = "off"),
    OPTION("leeway", DURATION, leeway, "How far AuthKit's clock may be from ours", .fallback = "30s", .max = MINUTE),
    OPTION("reuse", DURATION, reuse, "How long an accepted token is not verified again, at most until it expires",
           .fallback = "5m", .max = 60 * MINUTE),
    {.name = NULL},
};

static const char *const copied[] = {"/name", "/name", "/org_id", "/tenant", "/role", "/role",
                                     "/permissions", "/permissions"};
static const char *const address[] = {"/email", "/email", "/email_verified", "/email_verified"};
/* clang-format on */

struct state {
  const struct config *c;
  struct mcpauth_keyset *keys; /* the host's, like the next */
  struct mcpauth_issuer *issuer;
};

/* One login or refresh. */
struct work {
  struct state *s;
  const struct mcpauth_claims *document, *id, *access,
      *info; /* what has been said so far, or NULL */
  const char *access_token;
};

static const char *text(const struct mcpauth_claims *claims, const char *pointer)
{
  struct mcpauth_value v = host->claim(claims, pointer);
  return v.type == MCPAUTH_TEXT && v.count ? v.text : NULL;
}

static bool has(struct mcpauth_list list, const char *word)
{
  for (size_t i = 0; word && i < list.n; i++)
    if (strcmp(list.v[i], word) == 0)
      return true;
  return false;
}

/* What the hub itself says to the authorization endpoint. */
static const char *const reserved[] = {
    "client_id",  "redirect_uri", "response_type",   "state",
    "nonce",      "scope",        "code_challenge",  "code_challenge_method",
    "login_hint", "prompt",       "organization_id", "connection_id"};

static int check_parameters(const struct config *c, struct mcpauth_instance *self)
{
  const struct mcpauth_list ours = {sizeof reserved / sizeof *reserved, reserved};
  for (size_t i = 0; i < c->parameters.n; i += 2)
    if (has(ours, c->parameters.v[i]))
      return host->report(self, "parameters", "'%s' is the hub's to say", c->parameters.v[i]);
  return 0;
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  (void)h;
  if (!c->client_id && !c->external)
    return host->report(self, "client_id", "give client_id and client_secret, or `external on`");
  if (!c->client_id != !c->client_secret)
    return host->report(self, "client_secret", "client_id and client_secret go together");
  if (c->own_tokens && !c->client_id)
    return host->report(self, "own_tokens", "needs a client_id: tokens of which application?");
  if (!has(c->request_scope, "openid"))
    return host->report(self, "request_scope", "openid must be asked for");
  for (size_t i = 0; i < c->organization.n; i++)
    if (strncmp(c->organization.v[i], "org_", 4) != 0)
      return host->report(self, "organization", "'%s' is no id of an organisation (org_...)",
                          c->organization.v[i]);
  for (size_t i = 0; i < c->map.n; i += 2)
    if (c->map.v[i][0] != '/' || c->map.v[i + 1][0] != '/')
      return host->report(self, "map", "'%s' and '%s' must begin with /", c->map.v[i],
                          c->map.v[i + 1]);
  return check_parameters(c, self);
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **ret_state)
{
  const struct config *c = config;
  const struct mcpauth_keyset_source source = {.issuer = c->authkit_domain};
  struct state state = {c, h->keyset(self, &source), h->issuer(self, c->authkit_domain, NULL)};
  struct state *copy = state.keys && state.issuer ? malloc(sizeof *copy) : NULL;
  if (copy)
    *copy = state;
  *ret_state = copy;
  return copy ? 0 : -1;
}

static bool logs_in(const void *config)
{
  return ((const struct config *)config)->client_id != NULL;
}

/* ---- who it is */

static int copy_claims(struct mcpauth_request *rq, const struct config *c,
                       const struct mcpauth_claims *from)
{
  if (from == NULL)
    return 0;
  bool verified = host->claim(from, "/email_verified").type == MCPAUTH_TRUE; /* row 24 */
  if (host->copy_claims(rq, from, &(struct mcpauth_list){8, copied}) < 0 ||
      (verified && host->copy_claims(rq, from, &(struct mcpauth_list){4, address}) < 0))
    return -1;
  return host->copy_claims(rq, from, &c->map);
}

/* The organisation that the person acts for: what was said last counts. */
static enum mcpauth_result judge_organization(struct mcpauth_request *rq, const struct config *c,
                                              const char *organization)
{
  if (c->organization.n == 0 || has(c->organization, organization))
    return MCPAUTH_OK;
  return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED,
                      "acts for %s, not for one of ours",
                      organization ? organization : "no organisation");
}

static enum mcpauth_result conclude(struct mcpauth_request *rq, struct work *w)
{
  const struct config *c = w->s->c;
  const struct mcpauth_claims *said[] = {w->access, w->info, w->id};
  const struct mcpauth_principal *known = host->principal(rq);
  struct mcpauth_principal who = {.issuer = c->authkit_domain, .client = c->client_id};
  const char *organization = NULL;
  for (size_t i = 0; i < 3; i++) {
    who.subject = who.subject ? who.subject : text(said[i], "/sub");
    organization = organization ? organization : text(said[i], "/org_id");
  }
  if (who.subject == NULL && known == NULL)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "AuthKit names no subject");
  if (who.subject == NULL)
    return MCPAUTH_OK; /* a refresh that said nothing new */
  if (judge_organization(rq, c, organization) != MCPAUTH_OK)
    return MCPAUTH_DENY;
  if (host->set_principal(rq, &who) < 0)
    return MCPAUTH_ERROR;
  for (size_t i = 3; i > 0; i--)
    if (copy_claims(rq, c, said[i - 1]) < 0)
      return MCPAUTH_ERROR;
  return MCPAUTH_OK;
}

/* ---- what is asked after a grant: ID token, access token, userinfo */

static enum mcpauth_result informed(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result, int status,
                                    const struct mcpauth_claims *info)
{
  struct work *w = arg;
  const char *sub = text(info, "/sub"), *expected = text(w->id, "/sub");
  (void)status;
  if (result != MCPAUTH_OK)
    return result;
  if (sub == NULL || (expected && strcmp(sub, expected) != 0))
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "userinfo is of somebody else");
  w->info = info;
  return conclude(rq, w);
}

static enum mcpauth_result ask_userinfo(struct mcpauth_request *rq, struct work *w)
{
  const struct mcpauth_question q = {.url = text(w->document, "/userinfo_endpoint"),
                                     .bearer = w->access_token};
  return q.url ? host->ask(rq, &q, informed, w) : conclude(rq, w);
}

/* It came from AuthKit itself: one that is for somebody else only says nothing. */
static enum mcpauth_result read_access(struct mcpauth_request *rq, void *arg,
                                       enum mcpauth_result result,
                                       const struct mcpauth_claims *access)
{
  struct work *w = arg;
  const char *sub = text(access, "/sub"), *expected = text(w->id, "/sub");
  if (result == MCPAUTH_UNAVAIL)
    return result;
  if (sub && (expected == NULL || strcmp(sub, expected) == 0))
    w->access = access;
  return ask_userinfo(rq, w);
}

static struct mcpauth_list own_audiences(const struct config *c, const char *v[3])
{
  size_t n = 0;
  if (c->client_id)
    v[n++] = c->client_id;
  if (c->environment_client_id)
    v[n++] = c->environment_client_id;
  return (struct mcpauth_list){n, v};
}

static enum mcpauth_result look_at_access(struct mcpauth_request *rq, struct work *w)
{
  const char *v[3];
  const struct config *c = w->s->c;
  const struct mcpauth_jwt_policy policy = {
      .issuers = {1, &c->authkit_domain}, .audiences = own_audiences(c, v), .leeway_ms = c->leeway};
  const struct mcpauth_bytes token = {w->access_token, strlen(w->access_token)};
  return host->jwt_verify(rq, w->s->keys, &policy, token, read_access, w);
}

static enum mcpauth_result identified(struct mcpauth_request *rq, void *arg,
                                      enum mcpauth_result result, const struct mcpauth_claims *id)
{
  struct work *w = arg;
  if (result != MCPAUTH_OK)
    return result;
  w->id = id;
  return look_at_access(rq, w);
}

static enum mcpauth_result granted(struct mcpauth_request *rq, void *arg,
                                   enum mcpauth_result result, const struct mcpauth_granted *g)
{
  struct work *w = arg;
  const struct config *c = w->s->c;
  bool refreshed = host->tokens(rq) != NULL;
  if (result != MCPAUTH_OK)
    return result;
  w->access_token = host->text(rq, "%s", g->tokens.access_token);
  if (w->access_token == NULL)
    return MCPAUTH_ERROR;
  if (g->id_token == NULL && !refreshed)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "AuthKit gave no ID token");
  if (g->id_token == NULL)
    return look_at_access(rq, w);
  const struct mcpauth_id_token id = {.keys = w->s->keys,
                                      .issuers = {1, &c->authkit_domain},
                                      .client_id = c->client_id,
                                      .token = g->id_token,
                                      .nonce = refreshed ? NULL : host->login(rq)->nonce,
                                      .access_token = g->tokens.access_token,
                                      .leeway_ms = c->leeway};
  return host->id_token(rq, &id, identified, w);
}

/* ---- logins */

static enum mcpauth_result begin_at(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result,
                                    const struct mcpauth_claims *document)
{
  const struct config *c = ((struct state *)arg)->c;
  const struct mcpauth_login *l = host->login(rq);
  const char *endpoint = text(document, "/authorization_endpoint"), *scope = "";
  for (size_t i = 0; scope && i < c->request_scope.n; i++)
    scope = host->text(rq, "%s%s%s", scope, *scope ? " " : "", c->request_scope.v[i]);
  const char *v[PARAMETERS] = {
      "scope",           scope,
      "nonce",           l->nonce,
      "login_hint",      l->login_hint,
      "prompt",          l->again ? "login" : NULL,
      "organization_id", c->organization.n == 1 ? c->organization.v[0] : NULL,
      "connection_id",   c->connection};
  struct mcpauth_list more = {12, v};
  if (result != MCPAUTH_OK)
    return result;
  if (endpoint == NULL || scope == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE,
                        "the metadata has no authorization_endpoint");
  for (size_t i = 0; i < c->parameters.n && more.n < PARAMETERS; i++)
    v[more.n++] = c->parameters.v[i];
  return host->authorize(rq, endpoint, c->client_id, &more);
}

static enum mcpauth_result login_begin(struct mcpauth_request *rq, const void *config, void *state)
{
  if (!logs_in(config))
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "without client_id nobody logs in");
  return host->discover(rq, ((struct state *)state)->issuer, begin_at, state);
}

/* RFC 9207: whose answer this is (row 92). */
static bool answered_by(struct mcpauth_request *rq, const struct work *w)
{
  struct mcpauth_list p = host->login(rq)->parameters;
  bool must = host->claim(w->document, "/authorization_response_iss_parameter_supported").type ==
              MCPAUTH_TRUE;
  for (size_t i = 0; i + 1 < p.n; i += 2)
    if (strcmp(p.v[i], "iss") == 0)
      return strcmp(p.v[i + 1], w->s->c->authkit_domain) == 0;
  return !must;
}

static enum mcpauth_result exchange_at(struct mcpauth_request *rq, void *arg,
                                       enum mcpauth_result result,
                                       const struct mcpauth_claims *document)
{
  struct work *w = arg;
  const struct mcpauth_tokens *t = host->tokens(rq);
  const struct mcpauth_grant g = {.url = text(document, "/token_endpoint"),
                                  .client_id = w->s->c->client_id,
                                  .client_secret = w->s->c->client_secret,
                                  .secret_in_form = true};
  w->document = document;
  if (result != MCPAUTH_OK)
    return result;
  if (t == NULL && !answered_by(rq, w))
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED,
                        "the answer came from another provider (iss)");
  if (g.url == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE,
                        "the metadata has no token_endpoint");
  if (t == NULL || t->refresh_token)
    return host->grant(rq, &g, granted, w);
  return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED,
                      "AuthKit gave no refresh token: ask for offline_access");
}

static enum mcpauth_result exchange(struct mcpauth_request *rq, struct state *s)
{
  struct work *w = host->alloc(rq, sizeof *w);
  if (w == NULL || s->c->client_id == NULL)
    return MCPAUTH_ERROR;
  w->s = s;
  return host->discover(rq, s->issuer, exchange_at, w);
}

static enum mcpauth_result login_finish(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  return exchange(rq, state);
}

static enum mcpauth_result refresh(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  return exchange(rq, state);
}

/* ---- access tokens of AuthKit */

static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  char issuer[ISSUER_SIZE];
  const struct config *c = config;
  (void)state;
  return (c->external || c->own_tokens) && credential->source != MCPAUTH_FROM_BASIC &&
         host->jwt_issuer(credential->value, issuer, sizeof issuer) == 0 &&
         strcmp(issuer, c->authkit_domain) == 0;
}

/* Whether `aud`, a word or several, names WORD. */
static bool names_audience(const struct mcpauth_claims *token, const char *word)
{
  struct mcpauth_value aud = host->claim(token, "/aud");
  char at[32];
  for (size_t i = 0; aud.type == MCPAUTH_ARRAY && i < aud.count; i++) {
    snprintf(at, sizeof at, "/aud/%zu", i);
    if (text(token, at) && strcmp(text(token, at), word) == 0)
      return true;
  }
  return aud.type == MCPAUTH_TEXT && strcmp(aud.text, word) == 0;
}

static enum mcpauth_result verified(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result, const struct mcpauth_claims *token)
{
  const struct config *c = ((struct state *)arg)->c;
  if (result != MCPAUTH_OK)
    return result;
  const char *client = text(token, "/client_id");
  double exp = host->claim(token, "/exp").number;
  bool for_us = c->external && names_audience(token, host->facts(rq)->resource);
  bool by_us = c->own_tokens && client && strcmp(client, c->client_id) == 0;
  struct mcpauth_principal who = {.issuer = c->authkit_domain,
                                  .subject = text(token, "/sub"),
                                  .client = client,
                                  .expires_at = exp < 253402300800.0 ? (int64_t)exp : 253402300800,
                                  .reuse_ms = c->reuse};
  if (!for_us && !by_us)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_WRONG_AUDIENCE,
                        "the token was issued to another application");
  if (judge_organization(rq, c, text(token, "/org_id")) != MCPAUTH_OK)
    return MCPAUTH_DENY;
  if (host->scopes(rq, token, "/scope", &who.scopes) < 0)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "scopes are malformed");
  if (host->set_principal(rq, &who) < 0 || copy_claims(rq, c, token) < 0)
    return MCPAUTH_ERROR;
  return MCPAUTH_OK;
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  struct state *s = state;
  const char *v[3];
  struct mcpauth_list audiences = {0, v};
  if (!c->external && !c->own_tokens)
    return MCPAUTH_IGNORE;
  if (c->own_tokens)
    audiences = own_audiences(c, v);
  if (c->external)
    v[audiences.n++] = host->facts(rq)->resource;
  const struct mcpauth_jwt_policy policy = {.issuers = {1, &c->authkit_domain},
                                            .audiences = audiences,
                                            .leeway_ms = c->leeway,
                                            .require_sub = true,
                                            .max_lifetime_ms = 24 * 60 * MINUTE};
  return host->jwt_verify(rq, s->keys, &policy, host->credential(rq)->value, verified, s);
}

static struct mcpauth_list issuers(const void *config)
{
  const struct config *c = config;
  return (struct mcpauth_list){c->external || c->own_tokens ? 1 : 0, &c->authkit_domain};
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider),
    .name = "workos", .version = "0.1", .description = "Log in with WorkOS AuthKit",
    .options = options, .config_size = sizeof(struct config), .check = check, .start = start,
    .stop = free, .claims = claims, .verify = verify, .issuers = issuers,
    .login_begin = login_begin, .login_finish = login_finish, .refresh = refresh,
    .logs_in = logs_in};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
