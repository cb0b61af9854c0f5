/* What the host does for providers that are OAuth clients (include/mcpauth/provider.h): sending the
 * browser to an authorization endpoint, the two grants of a login, questions to an API.  Replies
 * are judged once, here, so that "cannot tell" is never taken for "no": a provider's 5xx, 429 or
 * page of HTML ends nobody's grant. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "auth/call.h"
#include "auth/form.h"
#include "auth/loader.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/limits.h"

enum { PARAMETERS = 64, HEADERS = 16 };

enum mcpauth_result call_because(struct mcpauth_request *rq, enum mcpauth_result result,
                                 enum mcpauth_why why, const char *format, ...)
{
  va_list ap;
  va_start(ap, format);
  vsnprintf(rq->reason, sizeof rq->reason, format, ap);
  va_end(ap);
  rq->why = why;
  return result;
}

const char *host_text(struct mcpauth_request *rq, const char *format, ...)
{
  va_list ap, again;
  va_start(ap, format);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, format, ap);
  va_end(ap);
  char *text = n < 0 ? NULL : arena_alloc(rq->arena, (size_t)n + 1);
  if (text)
    vsnprintf(text, (size_t)n + 1, format, again);
  va_end(again);
  return text;
}

/* ---- the browser */

enum mcpauth_result host_authorize(struct mcpauth_request *rq, const char *endpoint,
                                   const char *client_id, const struct mcpauth_list *more)
{
  const struct mcpauth_login *l = host_login(rq);
  const char *v[PARAMETERS];
  size_t n = more ? more->n : 0;
  if (rq->spec.kind != CALL_LOGIN_BEGIN || endpoint == NULL || client_id == NULL ||
      n > PARAMETERS - 12)
    return call_misuse(rq, "authorize: an argument is missing, or it is not login_begin");
  const char *const own[] = {"response_type",
                             "code",
                             "client_id",
                             client_id,
                             "redirect_uri",
                             l->callback,
                             "state",
                             l->state,
                             "code_challenge",
                             l->code_challenge,
                             "code_challenge_method",
                             "S256"};
  memcpy(v, own, sizeof own);
  if (n)
    memcpy(v + ARRAY_SIZE(own), more->v, n * sizeof *v);
  const char *form = host_form(rq, &(struct mcpauth_list){ARRAY_SIZE(own) + n, v});
  const char *url =
      form ? host_text(rq, "%s%c%s", endpoint, strchr(endpoint, '?') ? '&' : '?', form) : NULL;
  return host_login_redirect(rq, url) == 0 ? MCPAUTH_OK : MCPAUTH_ERROR;
}

/* ---- replies */

static bool is_form(const struct mcpauth_http_reply *reply)
{
  return str_starts(str_of(reply->content_type), "application/x-www-form-urlencoded");
}

static void drop(void *json)
{
  json_decref(json);
}

/* What REPLY says, an object or array that lives as long as the request; NULL when it is neither.
 */
static json_t *parse(struct mcpauth_request *rq, const struct mcpauth_http_reply *reply)
{
  struct str body = str_of_bytes(reply->body);
  json_t *j = is_form(reply) ? form_parse(body)
                             : json_parse(body, LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, NULL);
  if ((json_is_object(j) || json_is_array(j)) && arena_defer(rq->arena, drop, j) == 0)
    return j;
  json_decref(j);
  return NULL;
}

static bool passing(int status)
{
  return status == 0 || status == 408 || status == 425 || status == 429 || status >= 500;
}

static enum mcpauth_result cannot_tell(struct mcpauth_request *rq, const char *what,
                                       const struct mcpauth_http_reply *reply)
{
  if (reply->status == 0)
    return call_because(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "%s: %s", what, reply->error);
  return call_because(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "%s: status %d", what, reply->status);
}

/* ---- questions */

struct asking {
  mcpauth_answer_fn *then;
  void *arg;
};

static enum mcpauth_result asked(struct mcpauth_request *rq, void *arg,
                                 const struct mcpauth_http_reply *reply)
{
  struct asking *a = arg;
  json_t *j = parse(rq, reply);
  const struct mcpauth_claims *answer = (const struct mcpauth_claims *)(void *)j;
  bool good = reply->status >= 200 && reply->status < 300;
  enum mcpauth_result result = MCPAUTH_ERROR;
  if (passing(reply->status) || (good && j == NULL))
    result = cannot_tell(rq, "the provider's API", reply);
  else if (reply->status == 401)
    result = call_because(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED,
                          "the provider does not accept the token");
  else if (good)
    result = MCPAUTH_OK;
  else
    call_because(rq, result, MCPAUTH_WHY_NONE, "the provider's API answers %d", reply->status);
  return a->then(rq, a->arg, result, reply->status, answer);
}

enum mcpauth_result host_ask(struct mcpauth_request *rq, const struct mcpauth_question *q,
                             mcpauth_answer_fn *then, void *arg)
{
  static const char agent[] = "User-Agent: mcpauth", json[] = "Content-Type: application/json";
  const char *headers[HEADERS + 4];
  size_t n = 0;
  struct asking *a = arena_new_of(rq->arena, struct asking);
  if (q == NULL || q->url == NULL || then == NULL || a == NULL)
    return call_misuse(rq, "ask: an argument is missing");
  *a = (struct asking){then, arg};
  for (; q->headers && q->headers[n]; n++) {
    if (n == HEADERS)
      return call_misuse(rq, "ask: too many headers");
    headers[n] = q->headers[n];
  }
  headers[n++] = agent; /* GitHub refuses those who have none */
  if (q->body.n)
    headers[n++] = json;
  if (q->bearer && (headers[n++] = host_text(rq, "Authorization: Bearer %s", q->bearer)) == NULL)
    return call_misuse(rq, "out of memory");
  headers[n] = NULL;
  struct mcpauth_http_request http = {
      .method = q->body.n ? "POST" : "GET", .url = q->url, .headers = headers, .body = q->body};
  return wait_http(rq, &http, asked, a);
}

/* ---- grants */

struct granting {
  mcpauth_grant_fn *then;
  void *arg;
};

/* What an error of RFC 6749 section 5.2, or of those who invented their own, says about us. */
static enum mcpauth_result result_of(const char *error)
{
  static const struct {
    const char *error;
    enum mcpauth_result result;
  } known[] = {
      {"invalid_grant", MCPAUTH_INVALID},        {"bad_verification_code", MCPAUTH_INVALID},
      {"bad_refresh_token", MCPAUTH_INVALID},    {"expired_token", MCPAUTH_INVALID},
      {"interaction_required", MCPAUTH_INVALID}, {"consent_required", MCPAUTH_INVALID},
      {"login_required", MCPAUTH_INVALID},       {"access_denied", MCPAUTH_DENY},
      {"unverified_user_email", MCPAUTH_DENY},   {"temporarily_unavailable", MCPAUTH_UNAVAIL},
      {"server_error", MCPAUTH_UNAVAIL},         {"slow_down", MCPAUTH_UNAVAIL},
      {"too_many_requests", MCPAUTH_UNAVAIL},    {"rate_limit_exceeded", MCPAUTH_UNAVAIL},
  };
  for (size_t i = 0; i < ARRAY_SIZE(known); i++)
    if (strcmp(error, known[i].error) == 0)
      return known[i].result;
  return MCPAUTH_ERROR;
}

static const char *text_of(const json_t *reply, const char *name)
{
  struct str s = json_str(reply, name);
  return s.p && s.n && strlen(s.p) == s.n ? s.p : NULL;
}

static enum mcpauth_result grant_refused(struct mcpauth_request *rq, const json_t *reply,
                                         int status)
{
  const char *error = text_of(reply, "error"), *more = text_of(reply, "error_description");
  enum mcpauth_result result = error ? result_of(error) : MCPAUTH_ERROR;
  call_because(rq, result, MCPAUTH_WHY_NOT_ACCEPTED, "the token endpoint says %s%s%s (%d)",
               error ? error : "nothing", more ? ": " : "", more ? more : "", status);
  if (result == MCPAUTH_ERROR)
    log_error("provider %s: %s", rq->spec.instance->provider->name, rq->reason);
  return result;
}

/* A number, or one in quotes. */
static int64_t seconds_of(const json_t *v)
{
  uint64_t n = 0;
  if (json_is_string(v))
    return str_u64(json_text(v), INT32_MAX, &n) ? (int64_t)n : 0;
  double d = json_is_number(v) ? json_number_value(v) : 0;
  return d > 0 && d <= INT32_MAX ? (int64_t)d : 0;
}

static enum mcpauth_result grant_given(struct mcpauth_request *rq, const struct granting *g,
                                       const json_t *reply)
{
  const char *type = text_of(reply, "token_type");
  int64_t seconds = seconds_of(json_object_get(reply, "expires_in"));
  struct mcpauth_granted granted = {
      .reply = (const struct mcpauth_claims *)(const void *)reply,
      .tokens = {.access_token = text_of(reply, "access_token"),
                 .refresh_token = text_of(reply, "refresh_token"),
                 .access_expires_at = seconds ? clock_wall() + seconds : 0},
      .id_token = text_of(reply, "id_token"),
      .scope = text_of(reply, "scope"),
  };
  if (granted.tokens.access_token == NULL || (type && !str_iis(str_of(type), "Bearer"))) {
    enum mcpauth_result r = call_because(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE,
                                         "the token endpoint's reply has no Bearer access_token");
    return g->then(rq, g->arg, r, NULL);
  }
  if (host_set_tokens(rq, &granted.tokens) < 0)
    return MCPAUTH_ERROR;
  return g->then(rq, g->arg, MCPAUTH_OK, &granted);
}

static enum mcpauth_result grant_answered(struct mcpauth_request *rq, void *arg,
                                          const struct mcpauth_http_reply *reply)
{
  struct granting *g = arg;
  json_t *j = parse(rq, reply);
  if (passing(reply->status) || !json_is_object(j))
    return g->then(rq, g->arg, cannot_tell(rq, "the token endpoint", reply), NULL);
  if (reply->status != 200 || json_object_get(j, "error")) /* GitHub says errors with a 200 */
    return g->then(rq, g->arg, grant_refused(rq, j, reply->status), NULL);
  return grant_given(rq, g, j);
}

struct parameters {
  const char *v[PARAMETERS];
  size_t n;
};

static void add(struct parameters *p, const char *name, const char *value)
{
  p->v[p->n++] = name;
  p->v[p->n++] = value; /* NULL is left out by host_form */
}

static void add_grant(struct mcpauth_request *rq, struct parameters *p)
{
  const struct mcpauth_login *l = &rq->login;
  if (rq->spec.kind == CALL_REFRESH) {
    add(p, "grant_type", "refresh_token");
    add(p, "refresh_token", rq->tokens.refresh_token);
    return;
  }
  add(p, "grant_type", "authorization_code");
  add(p, "code", l->code);
  add(p, "redirect_uri", l->callback);
  add(p, "code_verifier", l->code_verifier);
}

static void add_client(struct mcpauth_request *rq, struct parameters *p,
                       const struct mcpauth_grant *g)
{
  if (g->client_assertion) {
    add(p, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    add(p, "client_assertion", g->client_assertion);
  }
  if (g->client_secret == NULL || g->client_assertion || g->secret_in_form)
    add(p, "client_id", g->client_id);
  if (g->client_secret && g->secret_in_form) {
    struct str secret = secret_expose((const struct secret *)(const void *)g->client_secret);
    add(p, "client_secret", arena_dup(rq->arena, secret));
  }
}

static bool can_grant(const struct mcpauth_request *rq, const struct mcpauth_grant *g)
{
  bool something = (rq->spec.kind == CALL_REFRESH && rq->tokens.refresh_token) ||
                   (rq->spec.kind == CALL_LOGIN_FINISH && rq->login.code);
  return something && g && g->url && g->client_id && g->parameters.n <= PARAMETERS / 2;
}

enum mcpauth_result host_grant(struct mcpauth_request *rq, const struct mcpauth_grant *grant,
                               mcpauth_grant_fn *then, void *arg)
{
  struct parameters p = {.n = 0};
  struct granting *g = arena_new_of(rq->arena, struct granting);
  if (!can_grant(rq, grant) || then == NULL || g == NULL)
    return call_misuse(rq, "grant: nothing to present, or an argument is missing");
  *g = (struct granting){then, arg};
  add_grant(rq, &p);
  add_client(rq, &p, grant);
  for (size_t i = 0; i + 1 < grant->parameters.n; i += 2)
    add(&p, grant->parameters.v[i], grant->parameters.v[i + 1]);
  const char *form = host_form(rq, &(struct mcpauth_list){p.n, p.v});
  bool basic = grant->client_secret && !grant->secret_in_form && !grant->client_assertion;
  const char *headers[] = {"Content-Type: application/x-www-form-urlencoded",
                           "Accept: application/json", "User-Agent: mcpauth",
                           basic ? host_basic(rq, grant->client_id, grant->client_secret) : NULL,
                           NULL};
  if (form == NULL || (basic && headers[3] == NULL))
    return call_misuse(rq, "out of memory");
  struct mcpauth_http_request http = {
      .method = "POST", .url = grant->url, .headers = headers, .body = {form, strlen(form)}};
  return wait_http(rq, &http, grant_answered, g);
}
