/* /consent: the person's answer, which must come from our own page (row 96); /consent/next, a page
 * of ours that sends the browser on: to the identity provider, or back to the client.  (A redirect
 * straight from the POST would be stopped by form-action in some browsers.) */
#include <string.h>

#include "auth/login.h"
#include "oauth/answer.h"
#include "oauth/authorize.h"
#include "oauth/pages.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

enum { CONSENT_BODY = 65536 };

void authorize_stale(struct oauth_exchange *x)
{
  page_error(x, &(struct page_error){.status = 400,
                                     .title = ERROR_EXPIRED,
                                     .why = ERROR_EXPIRED_WHY,
                                     .now = ERROR_START_AGAIN,
                                     .record = "expired or foreign"});
}

/* ---- onwards */

int consent_next(struct oauth_exchange *x, const struct transaction *t, struct str *ret_path,
                 const char **ret_cookie)
{
  struct arena *a = x->rq->arena;
  struct buf b;
  buf_init(&b, LIMIT_LOGIN_STATE);
  *ret_cookie = NULL;
  *ret_path = (struct str){NULL, 0};
  if (transaction_seal(x->oauth, TRANSACTION_STATE, t, &b, NULL) == 0)
    *ret_path = str_of(arena_printf(a, "/consent/next?t=%.*s", STR_ARG(buf_view(&b))));
  buf_done(&b);
  if (!t->denied && ret_path->p)
    *ret_cookie = transaction_cookie(x->oauth, t, a);
  return ret_path->p && (t->denied || *ret_cookie) ? 0 : -1;
}

void consent_given(struct oauth_exchange *x, const struct transaction *t)
{
  struct str path;
  const char *cookie;
  if (consent_next(x, t, &path, &cookie) < 0) {
    page_ours(x, 500, "the login could not be sealed");
    return;
  }
  const struct http_header set = {STR("Set-Cookie"), str_of(cookie)};
  page_redirect(x, path, &set, cookie ? 1 : 0);
}

/* ---- the answer */

/* Browsers send Origin with every POST; what says nothing, or another, did not come from our page.
 */
static bool ours(const struct oauth_exchange *x)
{
  struct str origin = http_header(x->rq, "Origin"), site = http_header(x->rq, "Sec-Fetch-Site");
  const struct oauth *o = x->oauth;
  if (site.p && !str_is(site, "same-origin"))
    return false;
  if (str_ieq(origin, str_of(o->issuer)))
    return true;
  /* A hub on loopback is reached under every loopback name and port (route.c); the page was
   * fetched from the same one. */
  struct url u;
  struct str host = http_header(x->rq, "Host");
  return o->o.config->loopback_only && url_loopback(&o->o.config->public_parts) &&
         url_parse(origin, &u, NULL) == 0 && url_loopback(&u) && u.path.n == 0 &&
         str_eq(u.authority, host);
}

static void forged(struct oauth_exchange *x)
{
  page_error(x, &(struct page_error){.status = 403,
                                     .title = ERROR_FORGED,
                                     .why = ERROR_FORGED_WHY,
                                     .now = ERROR_START_AGAIN,
                                     .record = "the form came from elsewhere"});
}

static bool ticked(const struct params *p, const char *name)
{
  for (size_t i = 0; i < p->n; i++)
    if (str_is(p->v[i].name, "scope") && str_is(p->v[i].value, name))
      return true;
  return false;
}

/* Of what was offered: what the service needs, and what was ticked. */
static int choose(struct oauth_exchange *x, const struct config_service *s, const struct params *p,
                  struct transaction *t, bool *ret_nothing)
{
  struct scope_set offered, chosen = {NULL, 0};
  struct arena *a = x->rq->arena;
  if (scopes_parse(x->oauth->o.config, t->scopes, a, &offered) < 0)
    return -1;
  if (offered.n && (chosen.v = arena_array(a, offered.n, sizeof *chosen.v)) == NULL)
    return -1;
  for (size_t i = 0; i < offered.n; i++)
    if (scopes_required(s, offered.v[i]) || ticked(p, offered.v[i]->name))
      chosen.v[chosen.n++] = offered.v[i];
  *ret_nothing = offered.n && chosen.n == 0;
  t->scopes = scopes_text(&chosen, a);
  return t->scopes.p ? 0 : -1;
}

static void record_consent(struct oauth_exchange *x, const struct transaction *t)
{
  struct buf b;
  exchange_record_begin(x, &b);
  buf_printf(&b, ",\"decision\":\"%s\"", t->denied ? "deny" : "allow");
  authorize_record(&b, t);
  exchange_record_step(x, "consent", &b);
  metric_add(t->denied ? METRIC_CONSENTS_DENIED : METRIC_CONSENTS_GIVEN, 1);
}

static void decide(struct oauth_exchange *x, const struct params *p, struct transaction *t)
{
  const struct config_service *s = config_find_service(x->oauth->o.config, t->service);
  const struct config_provider *with =
      s ? authorize_find_provider(s, params_get(p, "login")) : NULL;
  bool nothing = false;
  t->denied = params_get(p, "cancel").p != NULL;
  if (s == NULL || (with == NULL && !t->denied)) {
    authorize_stale(x); /* a reload has taken it out (row 190) */
    return;
  }
  if (choose(x, s, p, t, &nothing) < 0) {
    page_ours(x, 500, "out of memory");
    return;
  }
  t->denied = t->denied || nothing;
  t->refused = STR("");
  t->provider = with ? str_of(with->name) : STR("");
  t->remember = params_get(p, "remember").p != NULL;
  record_consent(x, t);
  consent_given(x, t);
}

static void consent_run(struct oauth_exchange *x)
{
  static const char *const single[] = {"form", "login", "cancel", "remember", NULL};
  struct params p;
  struct transaction t;
  if (!ours(x))
    forged(x);
  else if (exchange_params(x, &p) < 0 || params_twice(&p, single) ||
           transaction_open(x->oauth, TRANSACTION_FORM, params_get(&p, "form"), x->rq->arena, &t) !=
               TRANSACTION_GOOD)
    authorize_stale(x);
  else
    decide(x, &p, &t);
}

const struct endpoint endpoint_consent = {
    .name = "consent",
    .path = "/consent",
    .match = MATCH_EXACT,
    .post = true,
    .max_body = CONSENT_BODY,
    .run = consent_run,
};

/* ---- sending on */

struct departure {
  struct oauth_exchange *x;
  struct transaction t;
  const struct config_provider *provider;
  struct str again;
};

static void unavailable(struct departure *d)
{
  page_error(d->x, &(struct page_error){.status = 503,
                                        .title = ERROR_UNAVAILABLE,
                                        .why = ERROR_UNAVAILABLE_WHY,
                                        .now = ERROR_UNAVAILABLE_NOW,
                                        .args = {str_of(authorize_provider_name(d->provider))},
                                        .n_args = 1,
                                        .again = d->again,
                                        .record = "the provider is unavailable"});
}

static void on_begun(void *arg, const struct login_outcome *o)
{
  struct departure *d = arg;
  exchange_waited(d->x);
  if (o->result == MCPAUTH_OK && o->redirect) {
    struct str name = str_of(authorize_provider_name(d->provider));
    metric_add(METRIC_LOGINS_BEGUN, 1);
    page_moving(d->x, str_of(o->redirect), TEXT_MOVING_LOGIN, name, NULL, 0);
    return;
  }
  log_warn("request %s: login through '%s' cannot begin: %s", d->x->rq->id, d->provider->name,
           o->reason);
  if (o->result == MCPAUTH_UNAVAIL)
    unavailable(d);
  else
    page_ours(d->x, 500, "the login cannot begin");
}

static void cancel_login(void *waiting)
{
  login_cancel(waiting);
}

static void depart(struct departure *d, const struct config_service *s, struct str state)
{
  struct oauth_exchange *x = d->x;
  struct arena *a = x->rq->arena;
  char nonce[TRANSACTION_DERIVED], challenge[TRANSACTION_DERIVED];
  transaction_nonce(&d->t, nonce);
  transaction_challenge(&d->t, challenge);
  struct login_request rq = {
      .provider = d->provider,
      .facts = {.request_id = x->rq->id,
                .service = s->name,
                .resource = s->resource,
                .address = x->address,
                .method = "GET",
                .tls = x->rq->tls},
      .login = {.callback = arena_printf(a, "%s/callback/%s", x->oauth->issuer, d->provider->name),
                .state = arena_dup(a, state),
                .nonce = nonce,
                .code_challenge = challenge,
                .login_hint = d->t.hint.p ? arena_dup(a, d->t.hint) : NULL,
                .again = d->t.again},
      .arena = a,
  };
  if (rq.login.callback == NULL || rq.login.state == NULL || !nonce[0] || !challenge[0]) {
    page_ours(x, 500, "out of memory");
    return;
  }
  struct login_run *r = login_begin(x->oauth->o.auth, &rq, on_begun, d);
  if (r)
    exchange_wait(x, cancel_login, r);
}

static void say_no(struct oauth_exchange *x, const struct transaction *t)
{
  struct answer an = {.redirect = t->redirect,
                      .state = t->state,
                      .error = "access_denied",
                      .description = "The person has said no."};
  struct str url = answer_url(x->oauth, &an, x->rq->arena);
  if (url.p)
    page_moving(x, url, TEXT_MOVING_BACK, STR(""), NULL, 0);
  else
    page_ours(x, 500, "out of memory");
}

static void other_browser(struct oauth_exchange *x)
{
  page_error(x, &(struct page_error){.status = 403,
                                     .title = ERROR_BROWSER,
                                     .why = ERROR_BROWSER_WHY,
                                     .now = ERROR_BROWSER_NOW,
                                     .record = "another browser"});
}

static void next_run(struct oauth_exchange *x)
{
  struct params p;
  struct departure *d = arena_new_of(x->rq->arena, struct departure);
  if (d == NULL) {
    page_ours(x, 500, "out of memory");
    return;
  }
  d->x = x;
  struct str state = exchange_params(x, &p) < 0 ? STR("") : params_get(&p, "t");
  if (transaction_open(x->oauth, TRANSACTION_STATE, state, x->rq->arena, &d->t) !=
      TRANSACTION_GOOD) {
    authorize_stale(x);
    return;
  }
  if (d->t.denied) {
    say_no(x, &d->t);
    return;
  }
  const struct config_service *s = config_find_service(x->oauth->o.config, d->t.service);
  d->provider = s ? authorize_find_provider(s, d->t.provider) : NULL;
  d->again = str_of(arena_printf(x->rq->arena, "/consent/next?t=%.*s", STR_ARG(state)));
  if (!transaction_has_cookie(x, &d->t))
    other_browser(x);
  else if (d->provider == NULL)
    authorize_stale(x);
  else
    depart(d, s, state);
}

const struct endpoint endpoint_next = {
    .name = "next",
    .path = "/consent/next",
    .match = MATCH_EXACT,
    .get = true,
    .run = next_run,
};
