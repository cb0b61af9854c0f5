/* /callback/PROVIDER: the browser is back from the identity provider.  One path a provider, so that
 * no provider's answer is taken for another's (row 92); state and cookie must both be ours and
 * belong together (rows 94, 100); a state is used once.  In this order: state, cookie, the client
 * once more (row 190), the mark, the provider's own judgement. */
#include "oauth/callback.h"

#include <string.h>

#include "auth/login.h"
#include "oauth/answer.h"
#include "oauth/pages.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

/* ---- errors */

/* The same login from its beginning, with an id of its own. */
static int restart(struct arrival *v, bool again, struct str *ret_path, const char **ret_cookie)
{
  struct transaction t = v->t;
  t.again = again;
  return transaction_id(v->x->rq->arena, &t.id) < 0 ? -1
                                                    : consent_next(v->x, &t, ret_path, ret_cookie);
}

void callback_refused(struct arrival *v, int status, const char *why)
{
  struct buf b;
  exchange_refused_begin(v->x, status, why, &b);
  authorize_record(&b, &v->t);
  if (v->who) {
    record_member(&b, "issuer", str_of(v->who->issuer));
    record_member(&b, "subject", str_of(v->who->subject));
  }
  exchange_refused_end(v->x, &b);
}

void callback_error(struct arrival *v, const struct arrival_error *e)
{
  struct str again = {NULL, 0};
  const char *cookie = NULL;
  struct answer an = {.redirect = v->t.redirect,
                      .state = v->t.state,
                      .error = e->error,
                      .description = e->description};
  metric_add(METRIC_LOGINS_FAILED, 1);
  if (v->t.id.n && restart(v, e->another, &again, &cookie) < 0)
    again = (struct str){NULL, 0};
  callback_refused(v, e->status, e->record);
  page_error(v->x, &(struct page_error){.status = e->status,
                                        .title = e->title,
                                        .why = e->why,
                                        .now = e->now,
                                        .args = {e->arg},
                                        .n_args = 1,
                                        .back = answer_url(v->x->oauth, &an, v->x->rq->arena),
                                        .again = again,
                                        .another = e->another,
                                        .cookie = {cookie, str_of(cookie).n}});
}

void callback_ours(struct arrival *v, int status, const char *record)
{
  callback_error(v, &(struct arrival_error){
                        .status = status,
                        .title = ERROR_OURS,
                        .why = ERROR_OURS_WHY,
                        .now = ERROR_UNAVAILABLE_NOW,
                        .error = status == 503 ? "temporarily_unavailable" : "server_error",
                        .description = "The hub cannot do this now.",
                        .record = record,
                    });
}

static struct str provider_name(const struct arrival *v)
{
  return str_of(authorize_provider_name(v->provider));
}

/* Nothing is known of where to send the browser, or of whether it is the right one. */
static void lost(struct oauth_exchange *x, int status, enum text title, enum text why,
                 enum text now, const char *record)
{
  metric_add(METRIC_LOGINS_FAILED, 1);
  page_error(x, &(struct page_error){
                    .status = status, .title = title, .why = why, .now = now, .record = record});
}

/* ---- what the provider says */

/* The provider sent an error instead of a code (RFC 6749 section 4.1.2.1). */
static void provider_error(struct arrival *v, struct str error)
{
  struct answer no = {.redirect = v->t.redirect,
                      .state = v->t.state,
                      .error = "access_denied",
                      .description = "The person or the identity provider has said no."};
  bool busy = str_is(error, "temporarily_unavailable") || str_is(error, "server_error");
  log_info("request %s: '%s' answered %.*s", v->x->rq->id, v->provider->name,
           STR_ARG(str_slice(error, 0, 64)));
  if (str_is(error, "access_denied")) {
    const struct http_header gone = {
        STR("Set-Cookie"), str_of(transaction_uncookie(v->x->oauth, &v->t, v->x->rq->arena))};
    callback_refused(v, 403, "the provider answered access_denied");
    answer_send(v->x, &no, &gone, gone.value.n ? 1 : 0);
    return;
  }
  callback_error(v, &(struct arrival_error){
                        .status = busy ? 503 : 502,
                        .title = busy ? ERROR_UNAVAILABLE : ERROR_LOGIN,
                        .why = busy ? ERROR_UNAVAILABLE_WHY : ERROR_LOGIN_WHY,
                        .now = ERROR_UNAVAILABLE_NOW,
                        .arg = provider_name(v),
                        .error = busy ? "temporarily_unavailable" : "server_error",
                        .description = "The identity provider has refused the login.",
                        .record = "the provider answered with an error",
                    });
}

static void on_finished(void *arg, const struct login_outcome *o)
{
  struct arrival *v = arg;
  struct arrival_error e = {.arg = provider_name(v)};
  exchange_waited(v->x);
  if (o->result == MCPAUTH_OK && o->who) {
    callback_finish(v, o);
    return;
  }
  log_info("request %s: login through '%s': %s", v->x->rq->id, v->provider->name, o->reason);
  e.record = o->reason && o->reason[0] ? o->reason : "the provider refused";
  if (o->result == MCPAUTH_DENY) {
    e = (struct arrival_error){
        403,     ERROR_DENIED, ERROR_DENIED_WHY, ERROR_DENIED_NOW,
        e.arg,   true,         "access_denied",  "This account may not sign in here.",
        e.record};
  } else if (o->result == MCPAUTH_UNAVAIL) {
    e = (struct arrival_error){503,
                               ERROR_UNAVAILABLE,
                               ERROR_UNAVAILABLE_WHY,
                               ERROR_UNAVAILABLE_NOW,
                               e.arg,
                               false,
                               "temporarily_unavailable",
                               "The identity provider cannot be asked now.",
                               e.record};
  } else {
    e = (struct arrival_error){o->result == MCPAUTH_INVALID ? 400 : 502,
                               ERROR_LOGIN,
                               ERROR_LOGIN_WHY,
                               ERROR_START_AGAIN,
                               e.arg,
                               false,
                               "server_error",
                               "The identity provider's answer was not good.",
                               e.record};
  }
  callback_error(v, &e);
}

static void cancel_login(void *waiting)
{
  login_cancel(waiting);
}

/* name, value, … of the callback's query */
static int list_of(struct arrival *v, struct mcpauth_list *ret)
{
  const char **list = arena_array(v->x->rq->arena, v->params.n * 2 + 1, sizeof *list);
  if (list == NULL)
    return -1;
  for (size_t i = 0; i < v->params.n; i++) {
    list[2 * i] = arena_dup(v->x->rq->arena, v->params.v[i].name);
    list[2 * i + 1] = arena_dup(v->x->rq->arena, v->params.v[i].value);
    if (list[2 * i] == NULL || list[2 * i + 1] == NULL)
      return -1;
  }
  *ret = (struct mcpauth_list){v->params.n * 2, list};
  return 0;
}

static int login_of(struct arrival *v, struct mcpauth_login *l)
{
  struct arena *a = v->x->rq->arena;
  char text[3][TRANSACTION_DERIVED];
  transaction_nonce(&v->t, text[0]);
  transaction_challenge(&v->t, text[1]);
  transaction_verifier(&v->t, text[2]);
  *l = (struct mcpauth_login){
      .callback = arena_printf(a, "%s/callback/%s", v->x->oauth->issuer, v->provider->name),
      .state = arena_dup(a, params_get(&v->params, "state")),
      .nonce = arena_dup(a, str_of(text[0])),
      .code_challenge = arena_dup(a, str_of(text[1])),
      .code = arena_dup(a, params_get(&v->params, "code")),
      .code_verifier = arena_dup(a, str_of(text[2])),
      .again = v->t.again,
  };
  return l->callback && l->state && l->nonce && l->code_challenge && l->code && l->code_verifier &&
                 text[2][0]
             ? list_of(v, &l->parameters)
             : -1;
}

void callback_marked(struct arrival *v)
{
  struct oauth_exchange *x = v->x;
  struct login_request rq = {
      .provider = v->provider,
      .facts = {.request_id = x->rq->id,
                .service = v->service->name,
                .resource = v->service->resource,
                .address = x->address,
                .method = "GET",
                .tls = x->rq->tls},
      .arena = x->rq->arena,
  };
  struct str error = params_get(&v->params, "error");
  if (error.p) {
    provider_error(v, error);
  } else if (params_get(&v->params, "code").p == NULL) {
    provider_error(v, STR("no code"));
  } else if (login_of(v, &rq.login) < 0) {
    callback_ours(v, 500, "out of memory");
  } else {
    struct login_run *r = login_finish(x->oauth->o.auth, &rq, on_finished, v);
    if (r)
      exchange_wait(x, cancel_login, r);
  }
}

/* ---- the client once more */

static bool still_good(const struct arrival *v, const struct oauth_client *c)
{
  struct transaction t = {.expires_at = 0};
  struct param one = {STR("redirect_uri"), v->t.redirect};
  struct params p = {&one, 1};
  const char *why;
  struct str digest = {(const char *)c->digest, sizeof c->digest};
  return c->may_log_in && bytes_eq(digest, v->t.digest) &&
         authorize_redirect(v->x->oauth->o.config, c, &p, &t, &why) == AUTHORIZE_REDIRECT_OK;
}

static void on_client(void *arg, enum client_status status, const struct oauth_client *c,
                      const char *why)
{
  struct arrival *v = arg;
  exchange_waited(v->x);
  v->client = c;
  if (status == CLIENT_UNAVAILABLE) {
    log_warn("request %s: client: %s", v->x->rq->id, why);
    page_ours(v->x, 503, "the client cannot be looked up");
  } else if (status != CLIENT_FOUND || !still_good(v, c)) {
    lost(v->x, 400, ERROR_EXPIRED, ERROR_EXPIRED_WHY, ERROR_START_AGAIN,
         "the client has gone or changed");
  } else {
    callback_mark(v);
  }
}

static void cancel_client(void *waiting)
{
  client_cancel(waiting);
}

/* ---- the request */

/* NULL, or what is wrong, already answered. */
static bool opened(struct arrival *v)
{
  static const char *const single[] = {"state", "code", "error", "iss", NULL};
  struct oauth_exchange *x = v->x;
  enum transaction_status s = TRANSACTION_BAD;
  if (exchange_params(x, &v->params) == 0 && params_twice(&v->params, single) == NULL)
    s = transaction_open(x->oauth, TRANSACTION_STATE, params_get(&v->params, "state"), x->rq->arena,
                         &v->t);
  if (s != TRANSACTION_GOOD || v->t.denied) {
    lost(x, 400, ERROR_EXPIRED, ERROR_EXPIRED_WHY, ERROR_START_AGAIN, "state");
    return false;
  }
  if (!transaction_has_cookie(x, &v->t)) {
    lost(x, 403, ERROR_BROWSER, ERROR_BROWSER_WHY, ERROR_BROWSER_NOW, "another browser");
    return false;
  }
  return true;
}

/* Whether the path is that of the provider that the state was made for, at a service that has it.
 */
static bool placed(struct arrival *v)
{
  v->service = config_find_service(v->x->oauth->o.config, v->t.service);
  v->provider = v->service ? authorize_find_provider(v->service, v->t.provider) : NULL;
  struct str name = str_slice(v->x->below, 1, v->x->below.n);
  if (v->provider && str_is(name, v->provider->name))
    return true;
  lost(v->x, 400, ERROR_LOGIN, ERROR_EXPIRED_WHY, ERROR_START_AGAIN, "another provider");
  return false;
}

static void callback_run(struct oauth_exchange *x)
{
  struct arrival *v = arena_new_of(x->rq->arena, struct arrival);
  if (v == NULL) {
    page_ours(x, 500, "out of memory");
    return;
  }
  v->x = x;
  if (!opened(v) || !placed(v))
    return;
  struct client_run *r =
      client_find(x->oauth, x->rq->arena, v->t.client, CLIENT_AT_AUTHORIZE, on_client, v);
  if (r)
    exchange_wait(x, cancel_client, r);
}

const struct endpoint endpoint_callback = {
    .name = "callback",
    .path = "/callback",
    .match = MATCH_BELOW,
    .get = true,
    .run = callback_run,
};
