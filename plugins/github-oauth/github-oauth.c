/* github-oauth: people log in with GitHub or a GitHub Enterprise server, of an organisation or team
 * when told.  GitHub speaks OAuth 2.0 without ID tokens: its API says who somebody is.  With
 * `own_tokens on` it also takes user tokens that GitHub issued to this same application, after
 * asking GitHub whether it did: personal tokens and those of other applications are refused.  See
 * mcpauth-github-oauth(5). */
#define _GNU_SOURCE /* strcasestr */
#include <mcpauth/provider.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

/* GitHub writes 2 to 4 KiB about a team: a page must stay below what the host reads of a reply. */
enum { TEAM_PAGES = 20, TEAMS_A_PAGE = 50, GROUPS = 512, LONGEST_NAME = 100 };

struct config {
  const char *base_url, *api_url, *client_id;
  const struct mcpauth_secret *client_secret;
  struct mcpauth_list organization, team, request_scope, map;
  bool verified_email, own_tokens;
  int64_t reuse;
};

/* clang-format off */
#define MINUTE ((int64_t)60000)
#define OPTION(word, kind, member, text, ...)                                                      \
  {.name = word, .type = MCPAUTH_##kind, .offset = offsetof(struct config, member), .help = text,  \
   .since = "0.1", __VA_ARGS__}

static const struct mcpauth_option options[] = {
    OPTION("client_id", STRING, client_id, "The OAuth App or GitHub App, as GitHub shows it",
           .flags = MCPAUTH_REQUIRED, .metavar = "TEXT"),
    OPTION("client_secret", SECRET, client_secret, "Its secret",
           .flags = MCPAUTH_REQUIRED, .metavar = "SECRET"),
    OPTION("organization", LIST, organization, "Only members of one of these organisations, or of one of `team`",
           .metavar = "NAME"),
    OPTION("team", LIST, team, "Only members of one of these teams, or of one of `organization`", .metavar = "ORG/TEAM"),
    OPTION("verified_email", BOOL, verified_email, "Whether people are refused who have no verified primary address",
           .fallback = "off"),
    OPTION("request_scope", LIST, request_scope, "What GitHub is asked for; read:org comes along with organization and team",
           .fallback = "read:user user:email", .metavar = "SCOPE"),
    OPTION("map", PAIRS, map, "Copies a member of GitHub's user, at a JSON pointer, to a /name of the principal",
           .metavar = "CLAIM NAME"),
    OPTION("own_tokens", BOOL, own_tokens, "Whether user tokens that GitHub issued to this application are accepted too",
           .fallback = "off"),
    OPTION("reuse", DURATION, reuse, "How long GitHub is not asked again about such a token",
           .fallback = "5m", .max = 60 * MINUTE),
    OPTION("base_url", URL, base_url, "GitHub, or a GitHub Enterprise server; also the issuer of its people",
           .fallback = "https://github.com", .flags = MCPAUTH_HTTPS, .metavar = "URL"),
    OPTION("api_url", URL, api_url, "Its API; else https://api.github.com, or BASE_URL/api/v3 of an Enterprise server",
           .flags = MCPAUTH_HTTPS, .metavar = "URL"),
    {.name = NULL},
};
/* clang-format on */

/* One login, refresh or token: what is asked, one thing after the other (next). */
struct work {
  const struct config *c;
  const char *token;
  const struct mcpauth_claims *user; /* NULL: not asked yet */
  const char *email;                 /* verified and primary, or NULL */
  bool emails_asked;
  size_t organization, page; /* asked so far */
  bool teams_done, member;
  const char *groups[GROUPS]; /* ORG, ORG/TEAM */
  size_t n_groups;
  struct mcpauth_principal who;
};

static enum mcpauth_result next(struct mcpauth_request *rq, struct work *w);

static const char *text(const struct mcpauth_claims *claims, const char *pointer)
{
  struct mcpauth_value v = host->claim(claims, pointer);
  return v.type == MCPAUTH_TEXT && v.count ? v.text : NULL;
}

static bool has(struct mcpauth_list list, const char *word)
{
  for (size_t i = 0; i < list.n; i++)
    if (strcmp(list.v[i], word) == 0)
      return true;
  return false;
}

/* GitHub's names are one whatever their case. */
static bool has_name(struct mcpauth_list list, const char *name)
{
  for (size_t i = 0; i < list.n; i++)
    if (strcasecmp(list.v[i], name) == 0)
      return true;
  return false;
}

/* ---- options */

/* GitHub's names: letters, digits, '-', '_' and '.'. */
static bool is_name(const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
      return false;
  return n > 0 && n <= LONGEST_NAME && s[0] != '.';
}

/* Paths are put behind it, and it is the issuer of people: one spelling. */
static bool ends_with_slash(const char *url)
{
  return url && url[0] && url[strlen(url) - 1] == '/';
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  (void)h;
  if (ends_with_slash(c->base_url) || ends_with_slash(c->api_url))
    return host->report(self, ends_with_slash(c->base_url) ? "base_url" : "api_url",
                        "leave out the slash at its end");
  if (!is_name(c->client_id, strlen(c->client_id)))
    return host->report(self, "client_id", "'%s' is no client id of GitHub", c->client_id);
  for (size_t i = 0; i < c->organization.n; i++)
    if (!is_name(c->organization.v[i], strlen(c->organization.v[i])))
      return host->report(self, "organization", "'%s' is no name of an organisation",
                          c->organization.v[i]);
  for (size_t i = 0; i < c->team.n; i++) {
    const char *team = c->team.v[i], *slash = strchr(team, '/');
    if (!slash || !is_name(team, (size_t)(slash - team)) || !is_name(slash + 1, strlen(slash + 1)))
      return host->report(self, "team", "'%s' is not ORGANISATION/TEAM", team);
  }
  for (size_t i = 0; i < c->map.n; i += 2)
    if (c->map.v[i][0] != '/' || c->map.v[i + 1][0] != '/')
      return host->report(self, "map", "'%s' and '%s' must begin with /", c->map.v[i],
                          c->map.v[i + 1]);
  return 0;
}

static const char *api(struct mcpauth_request *rq, const struct config *c, const char *path)
{
  if (c->api_url)
    return host->text(rq, "%s%s", c->api_url, path);
  if (strcmp(c->base_url, "https://github.com") == 0)
    return host->text(rq, "https://api.github.com%s", path);
  return host->text(rq, "%s/api/v3%s", c->base_url, path);
}

static bool limited_to_some(const struct config *c)
{
  return c->organization.n || c->team.n;
}

/* ---- asking GitHub */

static const char *const headers[] = {"Accept: application/vnd.github+json",
                                      "X-GitHub-Api-Version: 2022-11-28", NULL};

static enum mcpauth_result ask(struct mcpauth_request *rq, struct work *w, const char *path,
                               mcpauth_answer_fn *then)
{
  const struct mcpauth_question q = {
      .url = path ? api(rq, w->c, path) : NULL, .bearer = w->token, .headers = headers};
  return q.url ? host->ask(rq, &q, then, w) : MCPAUTH_ERROR;
}

/* GitHub says 403 to those who ask too often: that is no answer to what was asked. */
static bool too_often(int status, const struct mcpauth_claims *answer)
{
  const char *message = text(answer, "/message");
  return status == 403 && message && strcasestr(message, "rate limit");
}

static enum mcpauth_result rate_limited(struct mcpauth_request *rq)
{
  return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "GitHub limits the rate");
}

/* ---- who it is */

static const char *groups_json(struct mcpauth_request *rq, const struct work *w)
{
  const char *word[GROUPS];
  size_t size = 3, n = 1; /* the brackets and the NUL */
  for (size_t i = 0; i < w->n_groups; i++) {
    word[i] = host->json_text(rq, (struct mcpauth_bytes){w->groups[i], strlen(w->groups[i])});
    if (word[i] == NULL)
      return NULL;
    size += strlen(word[i]) + 1;
  }
  char *json = host->alloc(rq, size);
  if (json == NULL)
    return NULL;
  json[0] = '[';
  for (size_t i = 0; i < w->n_groups; i++)
    n += (size_t)snprintf(json + n, size - n, "%s%s", i ? "," : "", word[i]);
  memcpy(json + n, "]", 2);
  return json;
}

static int set_groups(struct mcpauth_request *rq, const struct work *w)
{
  const char *json = groups_json(rq, w);
  if (json == NULL || host->set_claim(rq, "/groups", json) < 0)
    return -1;
  for (size_t i = 0; i < w->n_groups; i++)
    if (strchr(w->groups[i], '/') == NULL)
      return host->set_claim(rq, "/tenant", host->text(rq, "\"%s\"", w->groups[i]));
  return 0;
}

static int set_email(struct mcpauth_request *rq, const char *email)
{
  const char *json = host->json_text(rq, (struct mcpauth_bytes){email, strlen(email)});
  return json && host->set_claim(rq, "/email", json) == 0
             ? host->set_claim(rq, "/email_verified", "true")
             : -1;
}

static enum mcpauth_result conclude(struct mcpauth_request *rq, struct work *w)
{
  static const char *const v[] = {"/login", "/login", "/name", "/name"};
  const struct mcpauth_list profile = {4, v};
  struct mcpauth_value id = host->claim(w->user, "/id");
  if (id.type != MCPAUTH_NUMBER || id.number < 1 || id.number > 9007199254740992.0)
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "GitHub's user has no id");
  if (limited_to_some(w->c) && !w->member)
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED,
                        "%s is in none of the organisations and teams",
                        text(w->user, "/login") ? text(w->user, "/login") : "the person");
  if (w->c->verified_email && w->email == NULL)
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "no verified primary address");
  w->who.issuer = w->c->base_url;
  w->who.subject = host->text(rq, "%.0f", id.number); /* names can be taken over, numbers cannot */
  w->who.client = w->c->client_id;
  if (host->set_principal(rq, &w->who) < 0 || host->copy_claims(rq, w->user, &profile) < 0 ||
      (w->email && set_email(rq, w->email) < 0) ||
      (limited_to_some(w->c) && set_groups(rq, w) < 0) ||
      host->copy_claims(rq, w->user, &w->c->map) < 0)
    return MCPAUTH_ERROR;
  return MCPAUTH_OK;
}

static void add_group(struct work *w, const char *group, bool counts)
{
  if (group && w->n_groups < GROUPS)
    w->groups[w->n_groups++] = group;
  w->member = w->member || (group && counts);
}

/* ---- the questions, in their order */

static enum mcpauth_result told_user(struct mcpauth_request *rq, void *arg,
                                     enum mcpauth_result result, int status,
                                     const struct mcpauth_claims *answer)
{
  struct work *w = arg;
  if (too_often(status, answer))
    return rate_limited(rq);
  if (result != MCPAUTH_OK)
    return result;
  w->user = answer;
  return next(rq, w);
}

/* The one address that is primary and verified. */
static enum mcpauth_result told_emails(struct mcpauth_request *rq, void *arg,
                                       enum mcpauth_result result, int status,
                                       const struct mcpauth_claims *answer)
{
  struct work *w = arg;
  char at[32];
  if (too_often(status, answer))
    return rate_limited(rq);
  if (result == MCPAUTH_UNAVAIL || result == MCPAUTH_INVALID)
    return result; /* 403, 404: the person did not grant user:email */
  size_t n = result == MCPAUTH_OK ? host->claim(answer, "").count : 0;
  for (size_t i = 0; i < n && i < 1000; i++) {
    snprintf(at, sizeof at, "/%zu/primary", i);
    bool primary = host->claim(answer, at).type == MCPAUTH_TRUE;
    snprintf(at, sizeof at, "/%zu/verified", i);
    bool verified = host->claim(answer, at).type == MCPAUTH_TRUE;
    snprintf(at, sizeof at, "/%zu/email", i);
    if (primary && verified)
      w->email = text(answer, at);
  }
  return next(rq, w);
}

static enum mcpauth_result told_membership(struct mcpauth_request *rq, void *arg,
                                           enum mcpauth_result result, int status,
                                           const struct mcpauth_claims *answer)
{
  struct work *w = arg;
  const char *state = text(answer, "/state"), *name = w->c->organization.v[w->organization++];
  if (too_often(status, answer))
    return rate_limited(rq);
  if (result == MCPAUTH_UNAVAIL || result == MCPAUTH_INVALID)
    return result; /* 403: the organisation keeps this application out; 404: no member */
  if (result == MCPAUTH_OK && state && strcmp(state, "active") == 0)
    add_group(w, name, true);
  return next(rq, w);
}

static enum mcpauth_result told_teams(struct mcpauth_request *rq, void *arg,
                                      enum mcpauth_result result, int status,
                                      const struct mcpauth_claims *answer)
{
  struct work *w = arg;
  char at[48];
  if (too_often(status, answer))
    return rate_limited(rq);
  if (result == MCPAUTH_UNAVAIL || result == MCPAUTH_INVALID)
    return result;
  size_t n = result == MCPAUTH_OK ? host->claim(answer, "").count : 0;
  for (size_t i = 0; i < n; i++) {
    snprintf(at, sizeof at, "/%zu/organization/login", i);
    const char *organization = text(answer, at);
    snprintf(at, sizeof at, "/%zu/slug", i);
    const char *slug = text(answer, at);
    const char *team = organization && slug ? host->text(rq, "%s/%s", organization, slug) : NULL;
    if (team && (has_name(w->c->team, team) || has_name(w->c->organization, organization)))
      add_group(w, team, has_name(w->c->team, team));
  }
  w->teams_done = n < TEAMS_A_PAGE || ++w->page >= TEAM_PAGES;
  return next(rq, w);
}

static enum mcpauth_result next(struct mcpauth_request *rq, struct work *w)
{
  if (w->user == NULL)
    return ask(rq, w, "/user", told_user);
  if (!w->emails_asked) {
    w->emails_asked = true;
    return ask(rq, w, "/user/emails", told_emails);
  }
  if (w->organization < w->c->organization.n)
    return ask(rq, w,
               host->text(rq, "/user/memberships/orgs/%s", w->c->organization.v[w->organization]),
               told_membership);
  if (limited_to_some(w->c) && !w->teams_done)
    return ask(rq, w, host->text(rq, "/user/teams?per_page=%d&page=%zu", TEAMS_A_PAGE, w->page + 1),
               told_teams);
  return conclude(rq, w);
}

/* ---- logins */

static struct work *work_new(struct mcpauth_request *rq, const struct config *c)
{
  struct work *w = host->alloc(rq, sizeof *w);
  if (w)
    w->c = c;
  return w;
}

static enum mcpauth_result login_begin(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  const struct mcpauth_login *l = host->login(rq);
  const char *scope = "", *url = host->text(rq, "%s/login/oauth/authorize", c->base_url);
  (void)state;
  for (size_t i = 0; scope && i < c->request_scope.n; i++)
    scope = host->text(rq, "%s%s%s", scope, *scope ? " " : "", c->request_scope.v[i]);
  if (scope && limited_to_some(c) && !has(c->request_scope, "read:org"))
    scope = host->text(rq, "%s read:org", scope);
  const char *const v[] = {"scope",       scope,    "login",
                           l->login_hint, "prompt", l->again ? "select_account" : NULL};
  if (scope == NULL || url == NULL)
    return MCPAUTH_ERROR;
  return host->authorize(rq, url, c->client_id, &(struct mcpauth_list){sizeof v / sizeof *v, v});
}

static enum mcpauth_result granted(struct mcpauth_request *rq, void *arg,
                                   enum mcpauth_result result, const struct mcpauth_granted *g)
{
  struct work *w = arg;
  if (result != MCPAUTH_OK)
    return result;
  w->token = host->text(rq, "%s", g->tokens.access_token);
  return w->token ? next(rq, w) : MCPAUTH_ERROR;
}

static enum mcpauth_result grant(struct mcpauth_request *rq, struct work *w)
{
  const struct mcpauth_grant g = {.url =
                                      host->text(rq, "%s/login/oauth/access_token", w->c->base_url),
                                  .client_id = w->c->client_id,
                                  .client_secret = w->c->client_secret,
                                  .secret_in_form = true};
  return host->grant(rq, &g, granted, w);
}

static enum mcpauth_result login_finish(struct mcpauth_request *rq, const void *config, void *state)
{
  struct work *w = work_new(rq, config);
  (void)state;
  return w ? grant(rq, w) : MCPAUTH_ERROR;
}

/* ---- is this token ours? */

/* GET /user alone would accept tokens of any application, and personal ones. */
static enum mcpauth_result told_token(struct mcpauth_request *rq, void *arg,
                                      enum mcpauth_result result, int status,
                                      const struct mcpauth_claims *answer)
{
  struct work *w = arg;
  const char *client = text(answer, "/app/client_id"), *expires = text(answer, "/expires_at");
  if (too_often(status, answer))
    return rate_limited(rq);
  if (status == 404 || status == 422)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED,
                        "GitHub did not issue this token to this application, or has ended it");
  if (result == MCPAUTH_INVALID) /* 401 is about client_secret here */
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "GitHub refuses client_secret");
  if (result != MCPAUTH_OK)
    return result;
  if (client == NULL || strcmp(client, w->c->client_id) != 0)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_WRONG_AUDIENCE,
                        "the token was issued to another application");
  int64_t until = host->time_of(expires);
  if (until < 0 || (until && until <= host->now()))
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED, "it is over");
  if (host->tokens(rq) == NULL) { /* a credential and no refresh */
    w->who.expires_at = until;
    w->who.reuse_ms = w->c->reuse;
    if (host->scopes(rq, answer, "/scopes", &w->who.scopes) < 0)
      return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "scopes are malformed");
  }
  return next(rq, w);
}

static enum mcpauth_result check_token(struct mcpauth_request *rq, struct work *w)
{
  const char *basic = host->basic(rq, w->c->client_id, w->c->client_secret);
  const char *const all[] = {headers[0], headers[1], basic, NULL};
  const char *path = host->text(rq, "/applications/%s/token", w->c->client_id);
  const char *token = host->json_text(rq, (struct mcpauth_bytes){w->token, strlen(w->token)});
  const char *body = token ? host->text(rq, "{\"access_token\":%s}", token) : NULL;
  if (basic == NULL || path == NULL || body == NULL)
    return MCPAUTH_ERROR;
  const struct mcpauth_question q = {
      .url = api(rq, w->c, path), .headers = all, .body = {body, strlen(body)}};
  return host->ask(rq, &q, told_token, w);
}

static enum mcpauth_result refresh(struct mcpauth_request *rq, const void *config, void *state)
{
  struct work *w = work_new(rq, config);
  const struct mcpauth_tokens *t = host->tokens(rq);
  (void)state;
  if (w == NULL)
    return MCPAUTH_ERROR;
  if (t->refresh_token)
    return grant(rq, w);
  w->token = t->access_token;
  if (w->token == NULL)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED, "there is no token to show");
  return check_token(rq, w); /* tokens of OAuth Apps live until they are revoked */
}

/* ---- own tokens */

/* User tokens of OAuth Apps and of GitHub Apps; personal ones (ghp_, github_pat_) are nobody's. */
static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  const struct mcpauth_bytes *v = &credential->value;
  (void)state;
  return ((const struct config *)config)->own_tokens && credential->source != MCPAUTH_FROM_BASIC &&
         v->n > 4 && (memcmp(v->p, "gho_", 4) == 0 || memcmp(v->p, "ghu_", 4) == 0);
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  struct work *w = work_new(rq, c);
  (void)state;
  if (!c->own_tokens)
    return MCPAUTH_IGNORE;
  const struct mcpauth_bytes token = host->credential(rq)->value;
  if (w == NULL || (w->token = host->text(rq, "%.*s", (int)token.n, token.p)) == NULL)
    return MCPAUTH_ERROR;
  return check_token(rq, w);
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider),
    .name = "github-oauth", .version = "0.1",
    .description = "Log in with GitHub or a GitHub Enterprise server",
    .flags = MCPAUTH_REMOTE, .options = options, .config_size = sizeof(struct config),
    .check = check, .claims = claims, .verify = verify,
    .login_begin = login_begin, .login_finish = login_finish, .refresh = refresh};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
