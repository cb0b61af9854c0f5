/* google-oauth: people log in with Google; of an organisation (Workspace) when told.  With
 * `own_tokens on` it also takes access tokens that Google issued to this same application, after
 * asking Google whose they are: a token of any other application is refused.  Requests, replies,
 * keys and metadata are the host's work.  See mcpauth-google-oauth(5). */
#include <mcpauth/provider.h>

#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

struct config {
  const char *issuer, *tokeninfo_url, *client_id;
  const struct mcpauth_secret *client_secret;
  struct mcpauth_list hosted_domain, request_scope, map;
  bool offline, all_scopes, verified_email, own_tokens;
  int64_t leeway, reuse;
};

/* clang-format off */
#define MINUTE ((int64_t)60000)
#define OPTION(word, kind, member, text, ...)                                                      \
  {.name = word, .type = MCPAUTH_##kind, .offset = offsetof(struct config, member), .help = text,  \
   .since = "0.1", __VA_ARGS__}

static const struct mcpauth_option options[] = {
    OPTION("client_id", STRING, client_id, "The application, as Google's console shows it",
           .flags = MCPAUTH_REQUIRED, .metavar = "TEXT"),
    OPTION("client_secret", SECRET, client_secret, "Its secret",
           .flags = MCPAUTH_REQUIRED, .metavar = "SECRET"),
    OPTION("hosted_domain", LIST, hosted_domain, "Only people of these organisations (Workspace, the claim `hd`); else everybody with a Google account",
           .metavar = "DOMAIN"),
    OPTION("verified_email", BOOL, verified_email, "Whether people are refused whose address Google has not verified",
           .fallback = "on"),
    OPTION("request_scope", LIST, request_scope, "What Google is asked for; openid must be in it; drive.readonly stands for its URL",
           .fallback = "openid email profile", .metavar = "SCOPE"),
    OPTION("all_scopes", BOOL, all_scopes, "Whether people are refused who leave out one of request_scope on Google's page",
           .fallback = "on"),
    OPTION("offline", BOOL, offline, "Whether Google is asked for a refresh token, which makes it ask for consent at every login",
           .fallback = "on"),
    OPTION("map", PAIRS, map, "Copies the claim at a JSON pointer to a /name of the principal", .metavar = "CLAIM NAME"),
    OPTION("own_tokens", BOOL, own_tokens, "Whether access tokens that Google issued to this application are accepted too",
           .fallback = "off"),
    OPTION("reuse", DURATION, reuse, "How long Google is not asked again about such a token, at most until it expires",
           .fallback = "5m", .max = 60 * MINUTE),
    OPTION("leeway", DURATION, leeway, "How far Google's clock may be from ours", .fallback = "30s", .max = MINUTE),
    OPTION("issuer", URL, issuer, "Google, or what stands in for it",
           .fallback = "https://accounts.google.com", .flags = MCPAUTH_HTTPS, .metavar = "URL"),
    OPTION("tokeninfo_url", URL, tokeninfo_url, "Where Google is asked about an access token",
           .fallback = "https://oauth2.googleapis.com/tokeninfo", .flags = MCPAUTH_HTTPS, .metavar = "URL"),
    {.name = NULL},
};

static const char *const copied[] = {"/email", "/email", "/email_verified", "/email_verified",
                                     "/name", "/name", "/hd", "/tenant"};
static const struct mcpauth_list profile = {4, copied + 4}, all_claims = {8, copied};
/* clang-format on */

/* Google's own abbreviations; the replies have the URLs. */
static const struct alias {
  const char *name, *url;
} aliases[] = {{"email", "https://www.googleapis.com/auth/userinfo.email"},
               {"profile", "https://www.googleapis.com/auth/userinfo.profile"}};
static const char prefix[] = "https://www.googleapis.com/auth/";

struct state {
  const struct config *c;
  struct mcpauth_keyset *keys; /* the host's, like the next */
  struct mcpauth_issuer *issuer;
};

/* One login, refresh or token. */
struct work {
  const struct config *c;
  struct state *s;
  const struct mcpauth_claims *document;
  const char *access_token;
  struct mcpauth_principal who; /* subject NULL: not known yet */
};

static const char *text(const struct mcpauth_claims *claims, const char *pointer)
{
  struct mcpauth_value v = host->claim(claims, pointer);
  return v.type == MCPAUTH_TEXT && v.count ? v.text : NULL;
}

/* Booleans of Google may be strings. */
static bool is_true(const struct mcpauth_claims *claims, const char *pointer)
{
  const char *word = text(claims, pointer);
  return host->claim(claims, pointer).type == MCPAUTH_TRUE || (word && strcmp(word, "true") == 0);
}

static bool has(struct mcpauth_list list, const char *word)
{
  for (size_t i = 0; word && i < list.n; i++)
    if (strcmp(list.v[i], word) == 0)
      return true;
  return false;
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  (void)h;
  if (!has(c->request_scope, "openid"))
    return host->report(self, "request_scope", "openid must be asked for");
  for (size_t i = 0; i < c->hosted_domain.n; i++)
    if (strchr(c->hosted_domain.v[i], '.') == NULL || strpbrk(c->hosted_domain.v[i], "@*/ "))
      return host->report(self, "hosted_domain", "'%s' is no domain", c->hosted_domain.v[i]);
  for (size_t i = 0; i < c->map.n; i += 2)
    if (c->map.v[i][0] != '/' || c->map.v[i + 1][0] != '/')
      return host->report(self, "map", "'%s' and '%s' must begin with /", c->map.v[i],
                          c->map.v[i + 1]);
  return 0;
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **ret_state)
{
  const struct config *c = config;
  const struct mcpauth_keyset_source source = {.issuer = c->issuer};
  struct state state = {c, h->keyset(self, &source), h->issuer(self, c->issuer, NULL)};
  struct state *copy = state.keys && state.issuer ? malloc(sizeof *copy) : NULL;
  if (copy)
    *copy = state;
  *ret_state = copy;
  return copy ? 0 : -1;
}

/* ---- scopes */

static const char *full_scope(struct mcpauth_request *rq, const char *scope)
{
  for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
    if (strcmp(scope, aliases[i].name) == 0)
      return aliases[i].url;
  return strcmp(scope, "openid") == 0 || strstr(scope, "://")
             ? scope
             : host->text(rq, "%s%s", prefix, scope);
}

/* As it is asked for: Google knows its two abbreviations. */
static const char *asked_scope(struct mcpauth_request *rq, const char *scope)
{
  bool known = strcmp(scope, "email") == 0 || strcmp(scope, "profile") == 0;
  return known ? scope : full_scope(rq, scope);
}

static const char *scope_of(struct mcpauth_request *rq, const struct config *c)
{
  const char *all = "";
  for (size_t i = 0; all && i < c->request_scope.n; i++) {
    const char *one = asked_scope(rq, c->request_scope.v[i]);
    all = one ? host->text(rq, "%s%s%s", all, *all ? " " : "", one) : NULL;
  }
  return all;
}

/* The first of request_scope that is not in GRANTED, or NULL. */
static const char *left_out(struct mcpauth_request *rq, const struct config *c,
                            const struct mcpauth_claims *reply)
{
  struct mcpauth_list granted;
  if (!c->all_scopes || text(reply, "/scope") == NULL)
    return NULL; /* RFC 6749 section 5.1: as asked for */
  if (host->scopes(rq, reply, "/scope", &granted) < 0)
    return "scope";
  for (size_t i = 0; i < c->request_scope.n; i++)
    if (!has(granted, full_scope(rq, c->request_scope.v[i])) &&
        !has(granted, c->request_scope.v[i]))
      return c->request_scope.v[i];
  return NULL;
}

/* ---- who it is */

/* ABOUT: ID token or userinfo. */
static enum mcpauth_result conclude(struct mcpauth_request *rq, struct work *w,
                                    const struct mcpauth_claims *about)
{
  const struct config *c = w->c;
  bool verified = is_true(about, "/email_verified");
  if (c->hosted_domain.n && !has(c->hosted_domain, text(about, "/hd")))
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "of %s, not of hosted_domain",
                        text(about, "/hd") ? text(about, "/hd") : "no organisation");
  if (c->verified_email && !verified)
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED,
                        "Google has not verified the address");
  w->who.issuer = c->issuer; /* one spelling, whichever the token has */
  if (w->who.subject == NULL)
    w->who.subject = text(about, "/sub");
  if (w->who.subject == NULL)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "Google names no subject");
  if (host->set_principal(rq, &w->who) < 0 ||
      host->copy_claims(rq, about, verified ? &all_claims : &profile) < 0 ||
      (verified && host->set_claim(rq, "/email_verified", "true") < 0) ||
      host->copy_claims(rq, about, &c->map) < 0)
    return MCPAUTH_ERROR;
  return MCPAUTH_OK;
}

static enum mcpauth_result informed(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result, int status,
                                    const struct mcpauth_claims *info)
{
  struct work *w = arg;
  const struct mcpauth_principal *known = host->principal(rq);
  const char *expected = w->who.subject ? w->who.subject : known ? known->subject : NULL;
  const char *sub = text(info, "/sub");
  (void)status;
  if (result != MCPAUTH_OK)
    return result;
  if (sub == NULL || (expected && strcmp(sub, expected) != 0))
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "userinfo is of somebody else");
  return conclude(rq, w, info);
}

static enum mcpauth_result ask_userinfo(struct mcpauth_request *rq, struct work *w)
{
  const struct mcpauth_question q = {.url = text(w->document, "/userinfo_endpoint"),
                                     .bearer = w->access_token};
  if (q.url == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "the metadata has no userinfo");
  return host->ask(rq, &q, informed, w);
}

/* ---- logins */

static enum mcpauth_result identified(struct mcpauth_request *rq, void *arg,
                                      enum mcpauth_result result, const struct mcpauth_claims *id)
{
  return result == MCPAUTH_OK ? conclude(rq, arg, id) : result;
}

static enum mcpauth_result granted(struct mcpauth_request *rq, void *arg,
                                   enum mcpauth_result result, const struct mcpauth_granted *g)
{
  struct work *w = arg;
  bool refreshed = host->tokens(rq) != NULL;
  const char *scheme = strstr(w->c->issuer, "://");
  const char *const issuers[] = {w->c->issuer, scheme ? scheme + 3 : w->c->issuer};
  if (result != MCPAUTH_OK)
    return result;
  const char *missing = refreshed ? NULL : left_out(rq, w->c, g->reply);
  if (missing)
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "%s was not granted", missing);
  w->access_token = host->text(rq, "%s", g->tokens.access_token);
  if (g->id_token == NULL && refreshed)
    return ask_userinfo(rq, w);
  if (g->id_token == NULL)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "Google gave no ID token");
  const struct mcpauth_id_token id = {.keys = w->s->keys,
                                      .issuers = {2, issuers},
                                      .client_id = w->c->client_id,
                                      .token = g->id_token,
                                      .nonce = refreshed ? NULL : host->login(rq)->nonce,
                                      .access_token = g->tokens.access_token,
                                      .leeway_ms = w->c->leeway};
  return host->id_token(rq, &id, identified, w);
}

static enum mcpauth_result begin_at(struct mcpauth_request *rq, void *arg,
                                    enum mcpauth_result result,
                                    const struct mcpauth_claims *document)
{
  const struct config *c = ((struct state *)arg)->c;
  const struct mcpauth_login *l = host->login(rq);
  const char *endpoint = text(document, "/authorization_endpoint"), *scope = scope_of(rq, c);
  const char *prompt = c->offline ? (l->again ? "select_account consent" : "consent")
                                  : (l->again ? "select_account" : NULL);
  /* `hd` only pre-selects an account on Google's page; what counts is the claim (conclude). */
  const char *const v[] = {"scope",       scope,
                           "nonce",       l->nonce,
                           "login_hint",  l->login_hint,
                           "access_type", c->offline ? "offline" : NULL,
                           "prompt",      prompt,
                           "hd",          c->hosted_domain.n == 1 ? c->hosted_domain.v[0] : NULL};
  if (result != MCPAUTH_OK)
    return result;
  if (endpoint == NULL || scope == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE,
                        "the metadata has no authorization_endpoint");
  return host->authorize(rq, endpoint, c->client_id,
                         &(struct mcpauth_list){sizeof v / sizeof *v, v});
}

static enum mcpauth_result login_begin(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config;
  return host->discover(rq, ((struct state *)state)->issuer, begin_at, state);
}

/* RFC 9207, which Google says it does (row 92). */
static bool answered_by_google(struct mcpauth_request *rq, const struct config *c)
{
  struct mcpauth_list p = host->login(rq)->parameters;
  for (size_t i = 0; i + 1 < p.n; i += 2)
    if (strcmp(p.v[i], "iss") == 0)
      return strcmp(p.v[i + 1], c->issuer) == 0;
  return true;
}

static enum mcpauth_result exchange_at(struct mcpauth_request *rq, void *arg,
                                       enum mcpauth_result result,
                                       const struct mcpauth_claims *document)
{
  struct work *w = arg;
  const struct mcpauth_tokens *t = host->tokens(rq);
  const struct mcpauth_grant g = {.url = text(document, "/token_endpoint"),
                                  .client_id = w->c->client_id,
                                  .client_secret = w->c->client_secret,
                                  .secret_in_form = true};
  w->document = document;
  if (result != MCPAUTH_OK)
    return result;
  if (g.url == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE,
                        "the metadata has no token_endpoint");
  if (t == NULL || t->refresh_token)
    return host->grant(rq, &g, granted, w);
  if (t->access_token == NULL || t->access_expires_at <= host->now())
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED,
                        "Google gave no refresh token, and its access token is over");
  w->access_token = t->access_token;
  return ask_userinfo(rq, w);
}

static struct work *work_new(struct mcpauth_request *rq, struct state *s)
{
  struct work *w = host->alloc(rq, sizeof *w);
  if (w)
    *w = (struct work){.c = s->c, .s = s, .who = {.client = s->c->client_id}};
  return w;
}

static enum mcpauth_result login_finish(struct mcpauth_request *rq, const void *config, void *state)
{
  struct work *w = work_new(rq, state);
  if (w == NULL)
    return MCPAUTH_ERROR;
  if (!answered_by_google(rq, config))
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED,
                        "the answer came from another provider (iss)");
  return host->discover(rq, w->s->issuer, exchange_at, w);
}

static enum mcpauth_result refresh(struct mcpauth_request *rq, const void *config, void *state)
{
  struct work *w = work_new(rq, state);
  (void)config;
  return w ? host->discover(rq, w->s->issuer, exchange_at, w) : MCPAUTH_ERROR;
}

/* ---- own tokens */

static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  static const char form[] = "ya29.";
  (void)state;
  return ((const struct config *)config)->own_tokens && credential->source != MCPAUTH_FROM_BASIC &&
         credential->value.n >= sizeof form &&
         memcmp(credential->value.p, form, sizeof form - 1) == 0;
}

/* A number, or one in quotes. */
static int64_t seconds(const struct mcpauth_claims *info, const char *pointer)
{
  const char *word = text(info, pointer);
  double n = word ? strtod(word, NULL) : host->claim(info, pointer).number;
  return n > 0 && n < 1e9 ? (int64_t)n : 0;
}

static enum mcpauth_result userinfo_at(struct mcpauth_request *rq, void *arg,
                                       enum mcpauth_result result,
                                       const struct mcpauth_claims *document)
{
  struct work *w = arg;
  w->document = document;
  return result == MCPAUTH_OK ? ask_userinfo(rq, w) : result;
}

/* Whose token it is: `aud`, and `azp` where it is said, must both be us. */
static enum mcpauth_result told(struct mcpauth_request *rq, struct work *w,
                                const struct mcpauth_claims *info)
{
  const char *aud = text(info, "/aud"), *azp = text(info, "/azp"), *us = w->c->client_id;
  int64_t left = seconds(info, "/expires_in");
  if (aud == NULL || strcmp(aud, us) != 0 || (azp && strcmp(azp, us) != 0))
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_WRONG_AUDIENCE,
                        "the token was issued to another application");
  if (left == 0 || text(info, "/sub") == NULL)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED, "it is over, or names nobody");
  w->who.subject = host->text(rq, "%s", text(info, "/sub"));
  w->who.expires_at = host->now() + left;
  w->who.reuse_ms = w->c->reuse;
  if (w->c->hosted_domain.n == 0)
    return conclude(rq, w, info);
  return host->discover(rq, w->s->issuer, userinfo_at, w); /* only there is `hd` */
}

static enum mcpauth_result tokeninfo(struct mcpauth_request *rq, void *arg,
                                     const struct mcpauth_http_reply *reply)
{
  const struct mcpauth_claims *info = host->json(rq, reply->body);
  if (reply->status == 400 && info)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "Google does not know it");
  if (reply->status != 200 || info == NULL)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "tokeninfo: status %d %s",
                        reply->status, reply->error);
  return told(rq, arg, info);
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
  const struct config *c = config;
  struct work *w = work_new(rq, state);
  if (!c->own_tokens)
    return MCPAUTH_IGNORE;
  const struct mcpauth_bytes token = host->credential(rq)->value;
  if (w == NULL || (w->access_token = host->text(rq, "%.*s", (int)token.n, token.p)) == NULL)
    return MCPAUTH_ERROR;
  const char *const v[] = {"access_token", w->access_token}; /* not in the URL: those are logged */
  const char *form = host->form(rq, &(struct mcpauth_list){2, v});
  if (form == NULL)
    return MCPAUTH_ERROR;
  const struct mcpauth_http_request ask = {
      .method = "POST", .url = c->tokeninfo_url, .headers = headers, .body = {form, strlen(form)}};
  return host->http(rq, &ask, tokeninfo, w);
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider),
    .name = "google-oauth", .version = "0.1", .description = "Log in with Google",
    .flags = MCPAUTH_REMOTE, .options = options, .config_size = sizeof(struct config),
    .check = check, .start = start, .stop = free, .claims = claims, .verify = verify,
    .login_begin = login_begin, .login_finish = login_finish, .refresh = refresh};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
