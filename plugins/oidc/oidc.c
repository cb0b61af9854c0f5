/* oidc: people log in at any OpenID provider (OpenID Connect Core 1.0, authorization code with
 * PKCE), found by discovery: Keycloak, Entra, Okta, Auth0 and the like.  With `own_tokens on` it
 * also takes the JWT access tokens that the provider issued to this same application.  Requests,
 * replies, keys and metadata are the host's work.  See mcpauth-oidc(5). */
#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

enum { ISSUER_SIZE = 513, TENANTS = 32, PARAMETERS = 48 };
enum preset { NONE, KEYCLOAK, ENTRA, OKTA, AUTH0, ANY };
enum offline { OFFLINE_AUTO, OFFLINE_ON, OFFLINE_OFF };

struct config {
  const char *issuer, *client_id, *client_key_id, *jwks_uri, *subject_claim;
  const struct mcpauth_secret *client_secret, *client_key;
  struct mcpauth_list tenants, request_scope, parameters, algorithms, map, audiences;
  bool secret_in_form, userinfo, trust_email, own_tokens;
  int offline, preset;
  int64_t leeway, reuse;
};

/* clang-format off */
static const char *const presets[] = {"none", "keycloak", "entra", "okta", "auth0", NULL};
static const char *const offlines[] = {"auto", "on", "off", NULL};

#define MINUTE ((int64_t)60000)
#define OPTION(word, kind, member, text, ...)                                                      \
  {.name = word, .type = MCPAUTH_##kind, .offset = offsetof(struct config, member), .help = text,  \
   .since = "0.1", __VA_ARGS__}

static const struct mcpauth_option options[] = {
    OPTION("issuer", URL, issuer, "The provider, byte for byte as it names itself",
           .flags = MCPAUTH_REQUIRED | MCPAUTH_HTTPS, .metavar = "URL"),
    OPTION("client_id", STRING, client_id, "The application, as registered at the provider",
           .flags = MCPAUTH_REQUIRED, .metavar = "TEXT"),
    OPTION("client_secret", SECRET, client_secret, "Its secret; without it and client_key a public client",
           .metavar = "SECRET"),
    OPTION("secret_in_form", BOOL, secret_in_form, "Whether the secret goes into the form (client_secret_post) instead of a Basic header",
           .fallback = "off"),
    OPTION("client_key", SECRET, client_key, "Its private key in PEM, instead of a secret (private_key_jwt)",
           .metavar = "SECRET"),
    OPTION("client_key_id", STRING, client_key_id, "The `kid` under which the provider knows client_key",
           .metavar = "TEXT"),
    OPTION("tenants", LIST, tenants, "Entra: the tenants whose people may log in, where the issuer is that of many",
           .metavar = "ID"),
    OPTION("jwks_uri", URL, jwks_uri, "Where the keys are, when not where discovery says", .flags = MCPAUTH_HTTPS, .metavar = "URL"),
    OPTION("request_scope", LIST, request_scope, "What the provider is asked for; openid must be in it",
           .fallback = "openid profile email", .metavar = "SCOPE"),
    OPTION("offline", CHOICE, offline, "Whether offline_access is asked for too; auto: when the provider lists it",
           .fallback = "auto", .choices = offlines),
    OPTION("parameters", PAIRS, parameters, "More parameters for the authorization endpoint", .metavar = "NAME VALUE"),
    OPTION("userinfo", BOOL, userinfo, "Whether the userinfo endpoint is asked too; its claims win over the ID token's",
           .fallback = "off"),
    OPTION("claims", CHOICE, preset, "Whose conventions fill /role, /tenant and /groups of the principal",
           .fallback = "none", .choices = presets),
    OPTION("map", PAIRS, map, "Copies the claim at a JSON pointer to a /name of the principal; wins over `claims`",
           .metavar = "CLAIM NAME"),
    OPTION("trust_email", BOOL, trust_email, "Whether /email is taken although the provider does not say that it was verified",
           .fallback = "off"),
    OPTION("subject_claim", STRING, subject_claim, "JSON pointer of the subject: what one person keeps for ever",
           .fallback = "/sub", .metavar = "CLAIM"),
    OPTION("algorithms", LIST, algorithms, "What `alg` of tokens may be; else every one that the keys are for",
           .metavar = "ALG"),
    OPTION("leeway", DURATION, leeway, "How far the provider's clock may be from ours",
           .fallback = "30s", .max = MINUTE),
    OPTION("own_tokens", BOOL, own_tokens, "Whether access tokens that the provider issued to this application are accepted too",
           .fallback = "off"),
    OPTION("audience", LIST, audiences, "What `aud` of such tokens must name, one of these; else client_id", .metavar = "TEXT"),
    OPTION("reuse", DURATION, reuse, "How long such a token is not verified again, at most until it expires",
           .fallback = "5m", .max = 60 * MINUTE),
    {.name = NULL},
};

/* What each provider calls the things that rules are about. */
static const struct rule {
  enum preset preset;
  const char *from, *to;
} rules[] = {
    {KEYCLOAK, "/realm_access/roles", "/role"}, {KEYCLOAK, "/groups", "/groups"},
    {ENTRA, "/roles", "/role"}, {ENTRA, "/tid", "/tenant"}, {ENTRA, "/groups", "/groups"},
    {OKTA, "/groups", "/groups"}, {AUTH0, "/org_id", "/tenant"},
    {AUTH0, "/permissions", "/permissions"},
    {ANY, "/name", "/name"}, {ANY, "/groups", "/groups"},
};
/* clang-format on */

struct state {
  const struct config *c;
  struct mcpauth_keyset *keys; /* the host's, like the next */
  struct mcpauth_issuer *issuer;
  char *tenants[TENANTS];      /* issuers of `tenants` */
  struct mcpauth_list issuers; /* whose ID tokens are taken */
};

/* One login or refresh. */
struct work {
  struct state *s;
  const struct mcpauth_claims *document, *id; /* ID: NULL when a refresh gave no ID token */
  const char *access_token;
};

static bool has(struct mcpauth_list list, const char *word)
{
  for (size_t i = 0; i < list.n; i++)
    if (strcmp(list.v[i], word) == 0)
      return true;
  return false;
}

static const char *text(const struct mcpauth_claims *claims, const char *pointer)
{
  struct mcpauth_value v = host->claim(claims, pointer);
  return v.type == MCPAUTH_TEXT && v.count ? v.text : NULL;
}

/* ---- options */

static const char *const manies[] = {"/organizations/", "/common/", "/consumers/"};

/* Where the issuer of many tenants has the tenant's place; NULL when it has none. */
static const char *many(const char *issuer, size_t *ret_n)
{
  for (size_t i = 0; i < sizeof manies / sizeof *manies; i++) {
    const char *at = strstr(issuer, manies[i]);
    *ret_n = strlen(manies[i]) - 2;
    if (at)
      return at + 1;
  }
  return NULL;
}

/* What the hub itself says to the authorization endpoint. */
static const char *const reserved[] = {
    "client_id", "redirect_uri",   "response_type",         "state",     "nonce",
    "scope",     "code_challenge", "code_challenge_method", "login_hint"};

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
  size_t n;
  (void)h;
  if (!has(c->request_scope, "openid"))
    return host->report(self, "request_scope", "openid must be asked for");
  if (strstr(c->issuer, "/.well-known/"))
    return host->report(self, "issuer", "an issuer is what stands before /.well-known/");
  if (c->client_secret && c->client_key)
    return host->report(self, "client_key", "give one of client_secret and client_key");
  if (c->client_key && host->jwt_sign(NULL, c->client_key, NULL, NULL) == NULL)
    return host->report(self, "client_key", "this is no private key in PEM that can sign");
  if (c->tenants.n > TENANTS)
    return host->report(self, "tenants", "more than %d tenants", TENANTS);
  if ((c->tenants.n != 0) != (many(c->issuer, &n) != NULL))
    return host->report(self, c->tenants.n ? "tenants" : "issuer",
                        "an issuer of many tenants (…/organizations/v2.0) goes with `tenants`, "
                        "and only that");
  if (c->subject_claim[0] != '/')
    return host->report(self, "subject_claim", "a JSON pointer begins with /");
  for (size_t i = 0; i < c->map.n; i += 2)
    if (c->map.v[i][0] != '/' || c->map.v[i + 1][0] != '/' || !c->map.v[i + 1][1] ||
        strpbrk(c->map.v[i + 1] + 1, "/~") || strcmp(c->map.v[i + 1], "/account") == 0)
      return host->report(self, "map", "'%s' must be a JSON pointer, and '%s' a / and a name",
                          c->map.v[i], c->map.v[i + 1]);
  return check_parameters(c, self);
}

/* BEFORE, TENANT and what comes behind the N bytes at AT in ISSUER. */
static char *put_tenant(const char *issuer, const char *at, size_t n, const char *tenant)
{
  size_t before = (size_t)(at - issuer), size = strlen(issuer) + strlen(tenant) + 1;
  char *new = malloc(size);
  if (new == NULL)
    return NULL;
  memcpy(new, issuer, before);
  strcpy(new + before, tenant);
  strcat(new, at + n);
  return new;
}

static void stop(void *state)
{
  struct state *s = state;
  for (size_t i = 0; s && i < TENANTS; i++)
    free(s->tenants[i]);
  free(s);
}

/* Entra's keys of all tenants are beside its metadata. */
static char *tenants_keys(const char *issuer)
{
  static const char tail[] = "/v2.0", keys[] = "/discovery/v2.0/keys";
  size_t n = strlen(issuer);
  char *url = n > sizeof tail ? malloc(n + sizeof keys) : NULL;
  if (url == NULL)
    return NULL;
  strcpy(url, issuer);
  url[strcmp(url + n - 5, tail) == 0 ? n - 5 : n] = 0;
  strcat(url, keys);
  return url;
}

static int open_tenants(struct mcpauth_instance *self, struct state *s)
{
  size_t n;
  const char *at = many(s->c->issuer, &n);
  for (size_t i = 0; i < s->c->tenants.n; i++)
    if ((s->tenants[i] = put_tenant(s->c->issuer, at, n, s->c->tenants.v[i])) == NULL)
      return -1;
  s->issuers = (struct mcpauth_list){s->c->tenants.n, (const char *const *)s->tenants};
  char *named = put_tenant(s->c->issuer, at, n, "{tenantid}");
  char *uri = s->c->jwks_uri ? NULL : tenants_keys(s->c->issuer);
  const struct mcpauth_keyset_source keys = {.jwks_uri = uri ? uri : s->c->jwks_uri};
  if (named && keys.jwks_uri) {
    s->issuer = host->issuer(self, s->c->issuer, named);
    s->keys = host->keyset(self, &keys);
  }
  free(named);
  free(uri);
  return s->issuer && s->keys ? 0 : -1;
}

static int open_one(struct mcpauth_instance *self, struct state *s)
{
  const struct config *c = s->c;
  const struct mcpauth_keyset_source keys = {.jwks_uri = c->jwks_uri,
                                             .issuer = c->jwks_uri ? NULL : c->issuer};
  s->issuers = (struct mcpauth_list){1, &c->issuer};
  s->issuer = host->issuer(self, c->issuer, NULL);
  s->keys = host->keyset(self, &keys);
  return s->issuer && s->keys ? 0 : -1;
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **ret_state)
{
  struct state *s = calloc(1, sizeof *s);
  (void)h;
  if (s == NULL)
    return -1;
  s->c = config;
  if ((s->c->tenants.n ? open_tenants(self, s) : open_one(self, s)) < 0) {
    stop(s);
    return -1;
  }
  *ret_state = s;
  return 0;
}

/* ---- who it is */

static int copy_claims(struct mcpauth_request *rq, const struct config *c,
                       const struct mcpauth_claims *from)
{
  enum mcpauth_value_type verified = host->claim(from, "/email_verified").type;
  static const char *const email[] = {"/email", "/email", "/email_verified", "/email_verified"};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    const char *const pair[] = {rules[i].from, rules[i].to};
    if ((rules[i].preset == ANY || rules[i].preset == (enum preset)c->preset) &&
        host->copy_claims(rq, from, &(struct mcpauth_list){2, pair}) < 0)
      return -1;
  }
  /* row 24: an address that nobody verified is nobody's; "no" is never overruled */
  bool good = verified == MCPAUTH_TRUE || (verified == MCPAUTH_ABSENT && c->trust_email);
  if (good && host->copy_claims(rq, from, &(struct mcpauth_list){4, email}) < 0)
    return -1;
  return host->copy_claims(rq, from, &c->map);
}

/* ISSUER and SUBJECT of the ID token; of the grant when a refresh gave none. */
static int name_person(struct mcpauth_request *rq, const struct work *w)
{
  struct mcpauth_principal who = {.client = w->s->c->client_id};
  if (w->id) {
    who.issuer = text(w->id, "/iss");
    who.subject = text(w->id, w->s->c->subject_claim);
    return host->set_principal(rq, &who);
  }
  who.issuer = host->principal(rq)->issuer;
  who.subject = host->principal(rq)->subject;
  if (host->set_principal(rq, &who) < 0)
    return -1;
  return host->set_claims(rq, host->principal_claims(rq), "");
}

static enum mcpauth_result conclude(struct mcpauth_request *rq, struct work *w,
                                    const struct mcpauth_claims *userinfo)
{
  const struct config *c = w->s->c;
  if (w->id && text(w->id, c->subject_claim) == NULL)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "the ID token has no %s",
                        c->subject_claim);
  if (w->id == NULL && userinfo == NULL)
    return MCPAUTH_OK; /* a refresh that said nothing new */
  if (name_person(rq, w) < 0 || (w->id && copy_claims(rq, c, w->id) < 0) ||
      (userinfo && copy_claims(rq, c, userinfo) < 0))
    return MCPAUTH_ERROR;
  return MCPAUTH_OK;
}

/* ---- userinfo (OpenID Connect Core section 5.3) */

/* The subject that the userinfo must be about: an answer about somebody else is an attack. */
static const char *expected_sub(struct mcpauth_request *rq, const struct work *w)
{
  if (w->id)
    return text(w->id, "/sub");
  const struct mcpauth_principal *p = host->principal(rq);
  return p && strcmp(w->s->c->subject_claim, "/sub") == 0 ? p->subject : NULL;
}

static enum mcpauth_result informed(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result, int status,
                                    const struct mcpauth_claims *info)
{
  struct work *w = arg;
  (void)status;
  if (result != MCPAUTH_OK)
    return result;
  const char *sub = text(info, "/sub"), *expected = expected_sub(rq, w);
  if (sub == NULL || (expected && strcmp(sub, expected) != 0))
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "userinfo is of somebody else");
  return conclude(rq, w, info);
}

static enum mcpauth_result ask_userinfo(struct mcpauth_request *rq, struct work *w)
{
  const struct mcpauth_question q = {.url = text(w->document, "/userinfo_endpoint"),
                                     .bearer = w->access_token};
  return q.url ? host->ask(rq, &q, informed, w) : conclude(rq, w, NULL);
}

/* ---- the grants */

static enum mcpauth_result identified(struct mcpauth_request *rq, void *arg,
                                      enum mcpauth_result result, const struct mcpauth_claims *id)
{
  struct work *w = arg;
  if (result != MCPAUTH_OK)
    return result;
  w->id = id;
  return w->s->c->userinfo ? ask_userinfo(rq, w) : conclude(rq, w, NULL);
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
  if (g->id_token == NULL && refreshed)
    return ask_userinfo(rq, w);
  if (g->id_token == NULL)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "the provider gave no ID token");
  const struct mcpauth_id_token id = {
      .keys = w->s->keys,
      .issuers = w->s->issuers,
      .client_id = c->client_id,
      .token = g->id_token,
      .nonce = refreshed ? NULL : host->login(rq)->nonce,
      .access_token = g->tokens.access_token,
      .algorithms = c->algorithms,
      .leeway_ms = c->leeway,
  };
  return host->id_token(rq, &id, identified, w);
}

/* private_key_jwt (OpenID Connect Core section 9). */
static const char *assertion(struct mcpauth_request *rq, const struct config *c, const char *url)
{
  unsigned char unique[32];
  const char *code = host->tokens(rq) ? host->tokens(rq)->refresh_token : host->login(rq)->code;
  host->sha256((struct mcpauth_bytes){code, strlen(code)}, unique);
  const char *id = host->json_text(rq, (struct mcpauth_bytes){c->client_id, strlen(c->client_id)});
  const char *aud = host->json_text(rq, (struct mcpauth_bytes){url, strlen(url)});
  long long now = (long long)host->now();
  const char *claims =
      id && aud ? host->text(rq,
                             "{\"iss\":%s,\"sub\":%s,\"aud\":%s,\"iat\":%lld,\"exp\":%lld,"
                             "\"jti\":\"%lld-%02x%02x%02x%02x%02x%02x%02x%02x\"}",
                             id, id, aud, now, now + 60, now, unique[0], unique[1], unique[2],
                             unique[3], unique[4], unique[5], unique[6], unique[7])
                : NULL;
  return claims ? host->jwt_sign(rq, c->client_key, c->client_key_id, claims) : NULL;
}

static enum mcpauth_result grant(struct mcpauth_request *rq, struct work *w)
{
  const struct config *c = w->s->c;
  struct mcpauth_grant g = {.url = text(w->document, "/token_endpoint"),
                            .client_id = c->client_id,
                            .client_secret = c->client_secret,
                            .secret_in_form = c->secret_in_form};
  if (g.url == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE,
                        "the metadata has no token_endpoint");
  if (c->client_key && (g.client_assertion = assertion(rq, c, g.url)) == NULL)
    return MCPAUTH_ERROR;
  return host->grant(rq, &g, granted, w);
}

/* ---- begin */

static bool lists(const struct mcpauth_claims *document, const char *name, const char *word)
{
  struct mcpauth_value all = host->claim(document, name);
  char at[64];
  for (size_t i = 0; all.type == MCPAUTH_ARRAY && i < all.count && i < 1000; i++) {
    snprintf(at, sizeof at, "%s/%zu", name, i);
    const char *one = text(document, at);
    if (one && strcmp(one, word) == 0)
      return true;
  }
  return false;
}

static const char *scope_of(struct mcpauth_request *rq, const struct config *c,
                            const struct mcpauth_claims *document)
{
  static const char offline[] = "offline_access";
  const char *scope = "";
  for (size_t i = 0; scope && i < c->request_scope.n; i++)
    scope = host->text(rq, "%s%s%s", scope, *scope ? " " : "", c->request_scope.v[i]);
  bool more = c->offline == OFFLINE_ON ||
              (c->offline == OFFLINE_AUTO && lists(document, "/scopes_supported", offline));
  if (scope && more && !has(c->request_scope, offline))
    scope = host->text(rq, "%s %s", scope, offline);
  return scope;
}

/* What `parameters` say of it, and that the person must show who she is. */
static const char *prompt_of(struct mcpauth_request *rq, const struct config *c)
{
  const char *said = NULL;
  bool again = host->login(rq)->again;
  for (size_t i = 0; i < c->parameters.n; i += 2)
    if (strcmp(c->parameters.v[i], "prompt") == 0)
      said = c->parameters.v[i + 1];
  if (said == NULL || !again)
    return again ? "login" : said;
  return host->text(rq, "login %s", said);
}

static enum mcpauth_result begin_at(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result,
                                    const struct mcpauth_claims *document)
{
  const struct config *c = ((struct state *)arg)->c;
  const struct mcpauth_login *l = host->login(rq);
  const char *v[PARAMETERS] = {
      "scope",  scope_of(rq, c, document), "nonce", l->nonce, "login_hint", l->login_hint,
      "prompt", prompt_of(rq, c)};
  struct mcpauth_list more = {8, v};
  const char *endpoint = text(document, "/authorization_endpoint");
  if (result != MCPAUTH_OK)
    return result;
  if (endpoint == NULL || v[1] == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE,
                        "the metadata has no authorization_endpoint");
  for (size_t i = 0; i < c->parameters.n && more.n + 1 < PARAMETERS; i += 2) {
    if (strcmp(c->parameters.v[i], "prompt") == 0)
      continue;
    v[more.n++] = c->parameters.v[i];
    v[more.n++] = c->parameters.v[i + 1];
  }
  return host->authorize(rq, endpoint, c->client_id, &more);
}

static enum mcpauth_result login_begin(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  return host->discover(rq, ((struct state *)state)->issuer, begin_at, state);
}

/* ---- finish and refresh */

/* RFC 9207: whose answer this is (row 92). */
static bool answered_by(struct mcpauth_request *rq, const struct work *w)
{
  struct mcpauth_list p = host->login(rq)->parameters;
  bool must = host->claim(w->document, "/authorization_response_iss_parameter_supported").type ==
              MCPAUTH_TRUE;
  for (size_t i = 0; i + 1 < p.n; i += 2)
    if (strcmp(p.v[i], "iss") == 0)
      return has(w->s->issuers, p.v[i + 1]);
  return !must;
}

static enum mcpauth_result finish_at(struct mcpauth_request *rq, void *arg,
                                     enum mcpauth_result result,
                                     const struct mcpauth_claims *document)
{
  struct work *w = arg;
  w->document = document;
  if (result != MCPAUTH_OK)
    return result;
  if (!answered_by(rq, w))
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED,
                        "the answer came from another provider (iss)");
  return grant(rq, w);
}

static enum mcpauth_result refresh_at(struct mcpauth_request *rq, void *arg,
                                      enum mcpauth_result result,
                                      const struct mcpauth_claims *document)
{
  struct work *w = arg;
  const struct mcpauth_tokens *t = host->tokens(rq);
  w->document = document;
  if (result != MCPAUTH_OK)
    return result;
  if (t->refresh_token)
    return grant(rq, w);
  w->access_token = t->access_token;
  if (t->access_token == NULL || (t->access_expires_at && t->access_expires_at <= host->now()) ||
      text(document, "/userinfo_endpoint") == NULL)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED,
                        "the provider gave no refresh token, and its access token is over");
  return ask_userinfo(rq, w);
}

static enum mcpauth_result work(struct mcpauth_request *rq, void *state, mcpauth_issuer_fn *then)
{
  struct work *w = host->alloc(rq, sizeof *w);
  if (w == NULL)
    return MCPAUTH_ERROR;
  w->s = state;
  return host->discover(rq, w->s->issuer, then, w);
}

static enum mcpauth_result login_finish(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  return work(rq, state, finish_at);
}

static enum mcpauth_result refresh(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  return work(rq, state, refresh_at);
}

/* ---- own tokens */

static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  char issuer[ISSUER_SIZE];
  return ((const struct config *)config)->own_tokens && credential->source != MCPAUTH_FROM_BASIC &&
         host->jwt_issuer(credential->value, issuer, sizeof issuer) == 0 &&
         has(((struct state *)state)->issuers, issuer);
}

/* The application that a token was issued to, as RFC 9068, OpenID Connect, Okta and Entra say it.
 */
static const char *client_of(const struct mcpauth_claims *token)
{
  static const char *const places[] = {"/azp", "/client_id", "/cid", "/appid"};
  const char *client = NULL;
  for (size_t i = 0; client == NULL && i < sizeof places / sizeof *places; i++)
    client = text(token, places[i]);
  return client;
}

static enum mcpauth_result verified(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result, const struct mcpauth_claims *token)
{
  const struct config *c = ((struct state *)arg)->c;
  if (result != MCPAUTH_OK)
    return result;
  const char *client = client_of(token);
  double exp = host->claim(token, "/exp").number;
  struct mcpauth_principal who = {.issuer = text(token, "/iss"),
                                  .subject = text(token, c->subject_claim),
                                  .client = client,
                                  .expires_at = exp < 253402300800.0 ? (int64_t)exp : 253402300800,
                                  .reuse_ms = c->reuse};
  if (client == NULL || strcmp(client, c->client_id) != 0)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED,
                        "the token was issued to another application");
  if (who.subject == NULL ||
      host->scopes(rq, token, host->claim(token, "/scope").type ? "/scope" : "/scp", &who.scopes) <
          0)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED,
                        "no subject, or scopes are malformed");
  if (host->set_principal(rq, &who) < 0 || copy_claims(rq, c, token) < 0)
    return MCPAUTH_ERROR;
  return MCPAUTH_OK;
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  struct state *s = state;
  const struct mcpauth_list client = {1, &c->client_id};
  const struct mcpauth_jwt_policy policy = {.issuers = s->issuers,
                                            .audiences = c->audiences.n ? c->audiences : client,
                                            .algorithms = c->algorithms,
                                            .leeway_ms = c->leeway,
                                            .max_lifetime_ms = 24 * 60 * MINUTE};
  if (!c->own_tokens)
    return MCPAUTH_IGNORE;
  return host->jwt_verify(rq, s->keys, &policy, host->credential(rq)->value, verified, s);
}

static struct mcpauth_list issuers(const void *config)
{
  const struct config *c = config;
  return (struct mcpauth_list){c->own_tokens && c->tenants.n == 0 ? 1 : 0, &c->issuer};
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider),
    .name = "oidc", .version = "0.1",
    .description = "Log in at any OpenID provider (Keycloak, Entra, Okta, Auth0, ...)",
    .options = options, .config_size = sizeof(struct config), .check = check, .start = start,
    .stop = stop, .claims = claims, .verify = verify, .issuers = issuers,
    .login_begin = login_begin, .login_finish = login_finish, .refresh = refresh};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
