/* bearer-jwt: access tokens that are JWTs of an issuer that the administrator trusts (RFC 7519, RFC
 * 9068).  The host verifies signature and claims; here stand the options, whose token it is, and
 * what of it becomes the principal.  See mcpauth-bearer-jwt(5). */
#include <mcpauth/provider.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

enum { ISSUER_SIZE = 513 };
enum preset { NONE, KEYCLOAK, ENTRA, AUTH0, COGNITO, WORKOS, GOOGLE, ANY };

struct config {
  struct mcpauth_list issuers, audiences, algorithms, types, map;
  const char *jwks_uri, *key_file, *subject_claim, *client_claim;
  const struct mcpauth_secret *shared_secret;
  int64_t leeway, max_age, max_lifetime, reuse;
  bool require_nbf, require_iat;
  int preset;
};

/* clang-format off */
static const char *const algorithms[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
                                         "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"};
static const char *const presets[] = {"none", "keycloak", "entra", "auth0", "cognito", "workos", "google", NULL};

#define MINUTE ((int64_t)60000)
#define YEAR   (365 * 24 * 60 * MINUTE)
#define OPTION(word, kind, member, text, ...)                                                      \
  {.name = word, .type = MCPAUTH_##kind, .offset = offsetof(struct config, member), .help = text,  \
   .since = "0.1", __VA_ARGS__}

static const struct mcpauth_option options[] = {
    OPTION("issuer", LIST, issuers, "Whose tokens are accepted: what `iss` must be, byte for byte",
           .flags = MCPAUTH_REQUIRED, .metavar = "URL"),
    OPTION("audience", LIST, audiences, "What `aud` must name, one of these; else the URL of the service that is called",
           .metavar = "TEXT"),
    OPTION("jwks_uri", URL, jwks_uri, "Where the keys are; with no source of keys they are found by discovery of the issuer",
           .metavar = "URL"),
    OPTION("key_file", PATH, key_file, "The keys: PEM public keys, certificates or a JWKS; read again when changed",
           .metavar = "PATH"),
    OPTION("shared_secret", SECRET, shared_secret, "The secret of HS256, HS384, HS512, at least 32 bytes",
           .metavar = "SECRET"),
    OPTION("algorithms", LIST, algorithms, "What `alg` may be; else every one that the keys are for",
           .metavar = "ALG"),
    OPTION("types", LIST, types, "What `typ` in the header may be, `none` when it may be absent; else at+jwt JWT none",
           .metavar = "TYP"),
    OPTION("leeway", DURATION, leeway, "How far the issuer's clock may be from ours, for exp, nbf and iat",
           .fallback = "30s", .max = MINUTE),
    OPTION("max_lifetime", DURATION, max_lifetime, "Tokens made for longer than this (exp - iat) are refused",
           .fallback = "24h", .min = MINUTE, .max = YEAR),
    OPTION("max_age", DURATION, max_age, "Tokens issued longer ago than this, or without `iat`, are refused; 0s: no limit",
           .fallback = "0s", .max = YEAR),
    OPTION("require_iat", BOOL, require_iat, "Whether tokens without `iat` are refused", .fallback = "off"),
    OPTION("require_nbf", BOOL, require_nbf, "Whether tokens without `nbf` are refused", .fallback = "off"),
    OPTION("claims", CHOICE, preset, "Whose conventions fill /role, /tenant, /groups and /email of the principal",
           .fallback = "none", .choices = presets),
    OPTION("map", PAIRS, map, "Copies the claim at a JSON pointer to a /name of the principal; wins over `claims`",
           .metavar = "CLAIM NAME"),
    OPTION("subject_claim", STRING, subject_claim, "JSON pointer of the subject: what one person keeps for ever",
           .fallback = "/sub", .metavar = "CLAIM"),
    OPTION("client_claim", STRING, client_claim, "JSON pointer of the client; else /client_id, or /azp",
           .metavar = "CLAIM"),
    OPTION("reuse", DURATION, reuse, "How long a verified token is not verified again, at most until it expires",
           .fallback = "5m", .max = 60 * MINUTE),
    {.name = NULL},
};

/* What each issuer's software calls the things that rules are about. */
static const struct rule {
  enum preset preset;
  const char *from, *to;
} rules[] = {
    {KEYCLOAK, "/realm_access/roles", "/role"}, {KEYCLOAK, "/groups", "/groups"},
    {ENTRA, "/roles", "/role"}, {ENTRA, "/tid", "/tenant"}, {ENTRA, "/groups", "/groups"},
    {AUTH0, "/permissions", "/permissions"}, {AUTH0, "/org_id", "/tenant"},
    {COGNITO, "/cognito:groups", "/groups"},
    {WORKOS, "/role", "/role"}, {WORKOS, "/org_id", "/tenant"}, {WORKOS, "/permissions", "/permissions"},
    {GOOGLE, "/hd", "/tenant"},
    {ANY, "/email", "/email"}, /* of all but NONE, and only when it was verified (row 24) */
};
/* clang-format on */

static bool has(struct mcpauth_list list, const char *word)
{
  for (size_t i = 0; i < list.n; i++)
    if (strcmp(list.v[i], word) == 0)
      return true;
  return false;
}

/* Https, or http to this machine. */
static bool safe_url(const char *url)
{
  static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    size_t n = strlen(hosts[i]);
    if (strncmp(url, hosts[i], n) == 0 && strchr(":/", url[n])) /* or the end */
      return true;
  }
  return strncmp(url, "https://", 8) == 0;
}

static int check_algorithms(const struct config *c, struct mcpauth_instance *self)
{
  for (size_t i = 0; i < c->algorithms.n; i++) {
    const char *alg = c->algorithms.v[i];
    if (!has((struct mcpauth_list){sizeof algorithms / sizeof *algorithms, algorithms}, alg))
      return host->report(self, "algorithms", "there is no '%s'; see the manual", alg);
    if ((alg[0] == 'H') != (c->shared_secret != NULL))
      return host->report(self, "algorithms", "%s %s a shared_secret", alg,
                          c->shared_secret ? "does not use" : "needs");
  }
  return 0;
}

static int check_pointers(const struct config *c, struct mcpauth_instance *self)
{
  if (c->subject_claim[0] != '/' || (c->client_claim && c->client_claim[0] != '/'))
    return host->report(self, c->subject_claim[0] != '/' ? "subject_claim" : "client_claim",
                        "a JSON pointer begins with /");
  for (size_t i = 0; i < c->map.n; i += 2) {
    const char *from = c->map.v[i], *to = c->map.v[i + 1];
    if (from[0] != '/')
      return host->report(self, "map", "'%s' is no JSON pointer: it begins with /", from);
    if (to[0] != '/' || to[1] == 0 || strpbrk(to + 1, "/~") || strcmp(to, "/account") == 0)
      return host->report(self, "map", "'%s' must be / and a name, and not /account", to);
  }
  return 0;
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  int sources = !!c->jwks_uri + !!c->key_file + !!c->shared_secret;
  (void)h;
  for (size_t i = 0; i < c->issuers.n; i++) {
    if (!safe_url(c->issuers.v[i]))
      return host->report(self, "issuer", "'%s' must be https:// (http:// only on loopback)",
                          c->issuers.v[i]);
    if (strstr(c->issuers.v[i], "/.well-known/"))
      return host->report(self, "issuer", "an issuer is what stands before /.well-known/");
  }
  if (sources > 1)
    return host->report(self, NULL, "give one of jwks_uri, key_file and shared_secret");
  if (sources == 0 && c->issuers.n != 1)
    return host->report(self, "issuer", "with several issuers give jwks_uri or key_file");
  if (c->jwks_uri && !safe_url(c->jwks_uri))
    return host->report(self, "jwks_uri", "keys come over https (http:// only on loopback)");
  if (c->key_file && access(c->key_file, R_OK) < 0)
    return host->report(self, "key_file", "%s: %s", c->key_file, strerror(errno));
  return check_algorithms(c, self) < 0 ? -1 : check_pointers(c, self);
}

struct state {
  const struct config *c;
  struct mcpauth_keyset *keys; /* the host's */
};

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **ret_state)
{
  const struct config *c = config;
  bool discover = !c->jwks_uri && !c->key_file && !c->shared_secret;
  const struct mcpauth_keyset_source source = {c->jwks_uri, discover ? c->issuers.v[0] : NULL,
                                               c->key_file, c->shared_secret};
  struct state state = {c, h->keyset(self, &source)};
  struct state *copy = state.keys ? malloc(sizeof *copy) : NULL;
  if (copy)
    *copy = state;
  *ret_state = copy;
  return copy ? 0 : -1;
}

static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  char issuer[ISSUER_SIZE];
  (void)state;
  return credential->source != MCPAUTH_FROM_BASIC &&
         host->jwt_issuer(credential->value, issuer, sizeof issuer) == 0 &&
         has(((const struct config *)config)->issuers, issuer);
}

static struct mcpauth_list issuers(const void *config)
{
  return ((const struct config *)config)->issuers;
}

static const char *text(const struct mcpauth_claims *token, const char *pointer)
{
  struct mcpauth_value v = host->claim(token, pointer);
  return v.type == MCPAUTH_TEXT ? v.text : NULL;
}

static int copy_claim(struct mcpauth_request *rq, const struct mcpauth_claims *token,
                      const char *from, const char *to)
{
  const char *json = host->claim_json(rq, token, from);
  return json ? host->set_claim(rq, to, json) : 0;
}

static int copy_claims(struct mcpauth_request *rq, const struct config *c,
                       const struct mcpauth_claims *token)
{
  bool verified = host->claim(token, "/email_verified").type == MCPAUTH_TRUE;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if ((rules[i].preset == (enum preset)c->preset ||
         (rules[i].preset == ANY && c->preset != NONE && verified)) &&
        copy_claim(rq, token, rules[i].from, rules[i].to) < 0)
      return -1;
  for (size_t i = 0; i < c->map.n; i += 2)
    if (copy_claim(rq, token, c->map.v[i], c->map.v[i + 1]) < 0)
      return -1;
  return 0;
}

/* No later than the year 9999: what is beyond does not fit everywhere (row 8). */
static int64_t seconds(double time)
{
  return time < 253402300800.0 ? (int64_t)time : 253402300800;
}

static enum mcpauth_result verified(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result, const struct mcpauth_claims *token)
{
  const struct config *c = ((struct state *)arg)->c;
  if (result != MCPAUTH_OK)
    return result;
  const char *use = text(token, "/token_use"),
             *client = text(token, c->client_claim ? c->client_claim : "/client_id");
  bool has_scope = host->claim(token, "/scope").type != MCPAUTH_ABSENT;
  struct mcpauth_principal who = {
      .issuer = text(token, "/iss"),
      .subject = text(token, c->subject_claim),
      .client = client || c->client_claim ? client : text(token, "/azp"),
      .expires_at = seconds(host->claim(token, "/exp").number) + c->leeway / 1000,
      .reuse_ms = c->reuse};
  if (c->preset == COGNITO && (use == NULL || strcmp(use, "access") != 0))
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "token_use is not access");
  if (who.subject == NULL)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "no subject");
  if (host->scopes(rq, token, has_scope ? "/scope" : "/scp", &who.scopes) < 0)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "scopes are malformed");
  if (host->set_principal(rq, &who) < 0)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "subject or client unfit");
  return copy_claims(rq, c, token) < 0 ? MCPAUTH_ERROR : MCPAUTH_OK;
}

/* The service's URL is the only fact that is looked at, and the host keeps answers by service: so
 * they may be reused. */
static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  struct state *s = state;
  const struct mcpauth_list resource = {1, &host->facts(rq)->resource};
  /* clang-format off */
  const struct mcpauth_jwt_policy policy = {
      .issuers = c->issuers, .audiences = c->audiences.n ? c->audiences : resource,
      .algorithms = c->algorithms, .types = c->types, .leeway_ms = c->leeway,
      .max_age_ms = c->max_age, .max_lifetime_ms = c->max_lifetime,
      .require_iat = c->require_iat, .require_nbf = c->require_nbf};
  return host->jwt_verify(rq, s->keys, &policy, host->credential(rq)->value, verified, s);
}

static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider),
    .name = "bearer-jwt", .version = "0.1.0",
    .description = "JWT access tokens of an issuer that you trust",
    .options = options, .config_size = sizeof(struct config), .check = check, .start = start,
    .stop = free, .claims = claims, .verify = verify, .issuers = issuers};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
