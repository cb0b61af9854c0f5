/* introspect: asks the authorization server that issued a token whether it is good (RFC 7662); for
 * opaque tokens, and for JWTs whose revocation must count at once.  The hub is a client there, by
 * secret or by private key (RFC 7523).  See mcpauth-introspect(5). */
#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

enum { ISSUER_SIZE = 513, MAX_REPLY = 65536, ASSERTION_LIFE = 60, REFUSED = 1024 };
enum method { BASIC, POST };

struct config {
  const char *url, *issuer, *client_id, *key_id, *subject_claim;
  const struct mcpauth_secret *client_secret, *private_key;
  struct mcpauth_list audiences, prefix, map;
  int64_t timeout, reuse, reuse_inactive, leeway;
  bool require_audience;
  int method;
};

/* Tokens that are not worth a question; the last that hashes to a place has it. */
struct state {
  const struct config *config;
  struct refused {
    unsigned char token[32]; /* SHA-256 */
    int64_t until;           /* seconds since 1970 */
  } refused[REFUSED];
};

/* clang-format off */
#define OPTION(name_, type_, member) .name = name_, .type = MCPAUTH_##type_, .offset = offsetof(struct config, member), .since = "0.1"
static const char *const methods[] = {"basic", "post", NULL};
static const struct mcpauth_option options[] = {
    {OPTION("url", URL, url), .flags = MCPAUTH_REQUIRED | MCPAUTH_HTTPS, .metavar = "URL", .help = "The introspection endpoint"},
    {OPTION("issuer", URL, issuer), .flags = MCPAUTH_REQUIRED, .metavar = "URL",
     .help = "Whose tokens these are: issuer of the principals, and what `iss` must be where there is one"},
    {OPTION("client_id", STRING, client_id), .flags = MCPAUTH_REQUIRED, .metavar = "TEXT",
     .help = "The hub's name at the authorization server"},
    {OPTION("client_secret", SECRET, client_secret), .metavar = "SECRET",
     .help = "The hub's secret there; this or `private_key`"},
    {OPTION("client_auth", CHOICE, method), .fallback = "basic", .choices = methods,
     .help = "Where the secret goes: in the Authorization header, or in the body"},
    {OPTION("private_key", SECRET, private_key), .metavar = "SECRET", .help = "A private key in PEM, for private_key_jwt"},
    {OPTION("key_id", STRING, key_id), .metavar = "TEXT", .help = "The `kid` of what the private key signs"},
    {OPTION("audience", LIST, audiences), .metavar = "TEXT ...",
     .help = "What `aud` must name, one of these (default: the URL of the service)"},
    {OPTION("require_audience", BOOL, require_audience), .fallback = "on",
     .help = "Whether tokens whose `aud` the server does not tell are refused"},
    {OPTION("prefix", LIST, prefix), .metavar = "TEXT ...",
     .help = "Opaque tokens are sent only when they begin with one of these (default: all but the hub's own)"},
    {OPTION("map", PAIRS, map), .metavar = "CLAIM NAME",
     .help = "Copies a member of the answer (JSON pointer) to a claim of the principal"},
    {OPTION("subject_claim", STRING, subject_claim), .fallback = "/sub", .metavar = "CLAIM",
     .help = "Where the subject is, as a JSON pointer"},
    {OPTION("leeway", DURATION, leeway), .fallback = "30s", .min = 0, .max = 60000,
     .help = "How far the server's clock may be from ours, for `nbf`"},
    {OPTION("timeout", DURATION, timeout), .fallback = "3s", .min = 100, .max = 30000, .help = "How long the endpoint may take"},
    {OPTION("reuse", DURATION, reuse), .fallback = "30s", .min = 0, .max = 300000,
     .help = "How long an answer stands, at most until the token expires: how late a revocation counts"},
    {OPTION("reuse_inactive", DURATION, reuse_inactive), .fallback = "5s", .min = 0, .max = 60000,
     .help = "How long a token stays refused that the server calls inactive, in whole seconds"},
    {.name = NULL}};
/* clang-format on */

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  if ((c->client_secret != NULL) == (c->private_key != NULL))
    return h->report(self, "client_secret", "one of `client_secret` and `private_key` is needed");
  if (c->private_key && h->jwt_sign(NULL, c->private_key, NULL, NULL) == NULL)
    return h->report(self, "private_key", "it is no private key in PEM that can sign");
  for (size_t i = 0; i < c->map.n; i++)
    if (c->map.v[i][0] != '/')
      return h->report(self, "map", "'%.60s' is no JSON pointer: it begins with '/'", c->map.v[i]);
  if (c->subject_claim[0] != '/')
    return h->report(self, "subject_claim", "a JSON pointer begins with '/'");
  return 0;
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **state)
{
  struct state *s = MCPAUTH_HAS(h, copy_claims) ? calloc(1, sizeof *s) : NULL;
  if (s == NULL) {
    h->log(self, MCPAUTH_LOG_ERROR, "memory is short, or the hub too old");
    return -1;
  }
  s->config = config;
  *state = s;
  return 0;
}

static void stop(void *state)
{
  free(state);
}

static bool starts_with(struct mcpauth_bytes v, const char *prefix)
{
  size_t n = strlen(prefix);
  return v.n >= n && memcmp(v.p, prefix, n) == 0;
}

/* A JWT tells whose it is; an opaque token is ours by its beginning.  Nobody else's is ever sent.
 */
static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  const struct config *c = config;
  char issuer[ISSUER_SIZE];
  (void)state;
  if (credential->source == MCPAUTH_FROM_BASIC || starts_with(credential->value, "mcpa_"))
    return false;
  if (host->jwt_issuer(credential->value, issuer, sizeof issuer) == 0)
    return strcmp(issuer, c->issuer) == 0;
  for (size_t i = 0; i < c->prefix.n; i++)
    if (starts_with(credential->value, c->prefix.v[i]))
      return true;
  return c->prefix.n == 0;
}

static struct mcpauth_list issuers(const void *config)
{
  return (struct mcpauth_list){1, &((const struct config *)config)->issuer};
}

static enum mcpauth_result no(struct mcpauth_request *rq, enum mcpauth_why why, const char *words)
{
  return host->refuse(rq, MCPAUTH_INVALID, why, "%s", words);
}

/* Whether the server has lately called the token inactive, or (SAYS_SO) does so now. */
static bool inactive(struct mcpauth_request *rq, struct state *s, bool says_so)
{
  unsigned char key[32];
  host->sha256(host->credential(rq)->value, key);
  struct refused *r = &s->refused[(key[0] | (unsigned)key[1] << 8) % REFUSED];
  int64_t now = host->now(), most = s->config->reuse_inactive / 1000;
  if (says_so) {
    memcpy(r->token, key, sizeof key);
    r->until = now + most;
    return true;
  } /* more than was given is left when the clock was set back */
  return r->until > now && r->until <= now + most && memcmp(r->token, key, sizeof key) == 0;
}

/* ---- the answer */

static enum mcpauth_result cannot_tell(struct mcpauth_request *rq, const char *words, int status)
{
  return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "the server %.120s (status %d)", words,
                      status);
}

static bool names(const struct mcpauth_list *wanted, const char *text)
{
  for (size_t i = 0; text && i < wanted->n; i++)
    if (strcmp(wanted->v[i], text) == 0)
      return true;
  return false;
}

/* RFC 7662 section 2.2: `aud` is a string or an array of them, or not told. */
static bool for_us(struct mcpauth_request *rq, const struct config *c,
                   const struct mcpauth_claims *said)
{
  const struct mcpauth_list resource = {1, &host->facts(rq)->resource},
                            *wanted = c->audiences.n ? &c->audiences : &resource;
  struct mcpauth_value aud = host->claim(said, "/aud");
  char at[32];
  if (aud.type == MCPAUTH_ABSENT)
    return !c->require_audience;
  if (aud.type == MCPAUTH_TEXT)
    return names(wanted, aud.text);
  for (size_t i = 0; aud.type == MCPAUTH_ARRAY && i < aud.count; i++) {
    snprintf(at, sizeof at, "/aud/%zu", i);
    if (names(wanted, host->claim(said, at).text))
      return true;
  }
  return false;
}

/* Refresh tokens and tokens bound to a proof are active too, and no bearer tokens. */
static bool is_bearer(const struct mcpauth_claims *said)
{
  struct mcpauth_value type = host->claim(said, "/token_type");
  return type.type == MCPAUTH_ABSENT || (type.text && (strcasecmp(type.text, "bearer") == 0 ||
                                                       strcmp(type.text, "access_token") == 0));
}

/* Seconds; false when it is there and no time.  No later than the year 9999. */
static bool read_time(const struct mcpauth_claims *said, const char *pointer, int64_t *out)
{
  struct mcpauth_value v = host->claim(said, pointer);
  *out = 0;
  if (v.type == MCPAUTH_ABSENT)
    return true;
  if (v.type != MCPAUTH_NUMBER || !(v.number >= 1))
    return false;
  *out = v.number < 253402300800.0 ? (int64_t)v.number : 253402300800;
  return true;
}

static enum mcpauth_result grant(struct mcpauth_request *rq, const struct config *c,
                                 const struct mcpauth_claims *said, int64_t exp)
{
  struct mcpauth_principal who = {.issuer = c->issuer,
                                  .subject = host->claim(said, c->subject_claim).text,
                                  .client = host->claim(said, "/client_id").text,
                                  .expires_at = exp,
                                  .reuse_ms = c->reuse};
  if (who.subject == NULL || *who.subject == 0)
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "the server names no subject");
  if (host->scopes(rq, said, "/scope", &who.scopes) < 0)
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "scopes are malformed");
  if (host->set_principal(rq, &who) < 0)
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "subject or client unfit");
  return host->copy_claims(rq, said, &c->map) < 0 ? MCPAUTH_ERROR : MCPAUTH_OK;
}

static enum mcpauth_result answered(struct mcpauth_request *rq, void *arg,
                                    const struct mcpauth_http_reply *reply)
{
  struct state *s = arg;
  const struct config *c = s->config;
  int64_t exp, nbf;
  if (reply->status != 200)
    return cannot_tell(rq, reply->status ? "did not answer the question" : reply->error,
                       reply->status);
  const struct mcpauth_claims *said = host->json(rq, reply->body);
  enum mcpauth_value_type active = said ? host->claim(said, "/active").type : MCPAUTH_ABSENT;
  if (active == MCPAUTH_FALSE && inactive(rq, s, true))
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "the server says that it is not active");
  if (active != MCPAUTH_TRUE || !read_time(said, "/exp", &exp) || !read_time(said, "/nbf", &nbf))
    return cannot_tell(rq, "answered something that RFC 7662 does not know", reply->status);
  struct mcpauth_value iss = host->claim(said, "/iss");
  if (iss.type != MCPAUTH_ABSENT && (iss.text == NULL || strcmp(iss.text, c->issuer) != 0))
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "the token is of another issuer");
  if (exp && host->now() >= exp)
    return no(rq, MCPAUTH_WHY_EXPIRED, "expired");
  if (nbf > host->now() + c->leeway / 1000)
    return no(rq, MCPAUTH_WHY_NOT_YET_VALID, "not yet valid");
  if (!is_bearer(said))
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "it is no bearer token");
  if (!for_us(rq, c, said))
    return no(rq, MCPAUTH_WHY_WRONG_AUDIENCE, "not for this service");
  return grant(rq, c, said, exp);
}

/* clang-format off */

/* RFC 7523 section 3; the request's id makes it unique. */
static const char *assertion(struct mcpauth_request *rq, const struct config *c)
{
  const char *id = host->json_text(rq, (struct mcpauth_bytes){c->client_id, strlen(c->client_id)}),
             *url = host->json_text(rq, (struct mcpauth_bytes){c->url, strlen(c->url)});
  long long now = (long long)host->now();
  const char *said = !id || !url ? NULL
      : host->text(rq, "{\"iss\":%s,\"sub\":%s,\"aud\":%s,\"jti\":\"%s-%lld\",\"iat\":%lld,\"exp\":%lld}",
                   id, id, url, host->facts(rq)->request_id, now, now, now + ASSERTION_LIFE);
  return said ? host->jwt_sign(rq, c->private_key, c->key_id, said) : NULL;
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  const char *basic = NULL, *secret = NULL, *signed_by = NULL;
  struct mcpauth_bytes token = host->credential(rq)->value, known;
  if (inactive(rq, state, false))
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "the server said lately that it is not active");
  if (c->private_key)
    signed_by = assertion(rq, c);
  else if (c->method == BASIC)
    basic = host->basic(rq, c->client_id, c->client_secret);
  else if ((known = host->secret_bytes(c->client_secret)).n)
    secret = host->text(rq, "%.*s", (int)known.n, known.p);
  const char *const pairs[] = {
      "token", host->text(rq, "%.*s", (int)token.n, token.p), "token_type_hint", "access_token",
      "client_id", basic ? NULL : c->client_id, "client_secret", secret, "client_assertion", signed_by,
      "client_assertion_type", signed_by ? "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" : NULL};
  const char *body = host->form(rq, &(struct mcpauth_list){sizeof pairs / sizeof *pairs, pairs});
  if (body == NULL || pairs[1] == NULL || (!basic && !secret && !signed_by))
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "the question cannot be made");
  const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json", basic, NULL};
  const struct mcpauth_http_request request = {.method = "POST", .url = c->url, .headers = headers, .body = {body, strlen(body)},
                                               .timeout_ms = c->timeout, .max_reply = MAX_REPLY};
  return host->http(rq, &request, answered, state);
}

static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider), .name = "introspect", .version = "0.1.0",
    .description = "Asks the server that issued a token whether it is good", .flags = MCPAUTH_REMOTE, .options = options,
    .config_size = sizeof(struct config), .check = check, .start = start, .stop = stop, .claims = claims, .verify = verify,
    .issuers = issuers};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
