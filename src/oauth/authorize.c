/* /authorize (RFC 6749 section 4.1, OAuth 2.1): judges client and redirect URI, whose failure is a
 * page here and never a redirect (row 86), then the rest, whose failure goes back to the client;
 * shows the consent page, or goes on where this person has agreed before (row 95). */
#include "oauth/authorize.h"

#include <string.h>

#include "oauth/answer.h"
#include "oauth/client_impl.h"
#include "oauth/html.h"
#include "oauth/known.h"
#include "oauth/pages.h"
#include "ops/log.h"

/* One request at work; in the request's arena. */
struct authorize {
  struct oauth_exchange *x;
  struct params params;
  struct str client_id;
  const struct oauth_client *client;
  const struct config_service *service;
  struct transaction t;
  struct scope_choice scopes;
  struct person person; /* who signed in last in this browser, if that is known */
};

static const char *const known[] = {"client_id",      "redirect_uri",
                                    "response_type",  "response_mode",
                                    "scope",          "state",
                                    "code_challenge", "code_challenge_method",
                                    "request",        "request_uri",
                                    "prompt",         "login_hint",
                                    "nonce",          NULL};

void authorize_record(struct buf *b, const struct transaction *t)
{
  record_member(b, "client", t->client);
  record_member(b, "redirect", t->redirect);
  record_member(b, "service", t->service);
  record_member(b, "scopes", t->scopes);
  if (t->provider.n)
    record_member(b, "provider", t->provider);
}

/* ---- pages, while nothing is known of where to send an error */

static void malformed(struct authorize *a, struct str what)
{
  page_error(a->x, &(struct page_error){.status = 400,
                                        .title = ERROR_REQUEST,
                                        .why = ERROR_REQUEST_WHY,
                                        .now = ERROR_REQUEST_NOW,
                                        .args = {what},
                                        .n_args = 1,
                                        .record = "the request is malformed"});
}

static void unknown_client(struct authorize *a)
{
  page_error(a->x, &(struct page_error){.status = 400,
                                        .title = ERROR_CLIENT,
                                        .why = ERROR_CLIENT_WHY,
                                        .now = ERROR_CLIENT_NOW,
                                        .args = {a->client_id},
                                        .n_args = 1,
                                        .record = "unknown client"});
}

static void refused_client(struct authorize *a, const char *why)
{
  page_error(a->x, &(struct page_error){.status = 400,
                                        .title = ERROR_CLIENT_REFUSED,
                                        .why = ERROR_CLIENT_REFUSED_WHY,
                                        .now = ERROR_CLIENT_REFUSED_NOW,
                                        .args = {a->client_id, str_of(why)},
                                        .n_args = 2,
                                        .record = why});
}

static void refused_redirect(struct authorize *a, enum authorize_redirect e, const char *why)
{
  static const enum text whys[] = {
      [AUTHORIZE_REDIRECT_MISSING] = ERROR_REDIRECT_MISSING_WHY,
      [AUTHORIZE_REDIRECT_FOREIGN] = ERROR_REDIRECT_WHY,
      [AUTHORIZE_REDIRECT_REFUSED] = ERROR_REDIRECT_REFUSED_WHY,
  };
  page_error(a->x, &(struct page_error){
                       .status = 400,
                       .title = ERROR_REDIRECT,
                       .why = whys[e],
                       .now = ERROR_REDIRECT_NOW,
                       .args = {params_get(&a->params, "redirect_uri"), str_of(why)},
                       .n_args = 2,
                       .record = "redirect_uri",
                   });
}

/* ---- errors that go back to the client */

static struct answer error_answer(const struct authorize *a, const struct authorize_error *e)
{
  return (struct answer){.redirect = a->t.redirect,
                         .state = a->t.state,
                         .error = e->error,
                         .description = e->description};
}

/* The application has to be told which service: what a person can do about it. */
static void which_service(struct authorize *a, const struct authorize_error *e)
{
  struct page p;
  const struct config *c = a->x->oauth->o.config;
  struct answer an = error_answer(a, e);
  page_begin(&p, a->x, ERROR_TARGET, NULL, 0);
  page_text(&p, "p", NULL, ERROR_TARGET_WHY, NULL, 0);
  page_text(&p, "h2", NULL, TEXT_WHAT_NOW, NULL, 0);
  page_text(&p, "p", NULL, ERROR_TARGET_NOW, NULL, 0);
  buf_puts(&p.b, "<ul>\n");
  for (size_t i = 0; i < c->n_services; i++) {
    const struct config_provider *v[AUTHORIZE_PROVIDERS];
    if (authorize_providers(&c->services[i], v, AUTHORIZE_PROVIDERS) == 0)
      continue;
    buf_puts(&p.b, "<li><bdi>");
    html_text(&p.b, str_of(c->services[i].resource));
    buf_puts(&p.b, "</bdi></li>\n");
  }
  buf_puts(&p.b, "</ul>\n");
  page_link(&p, "back", answer_url(a->x->oauth, &an, a->x->rq->arena), TEXT_BACK, true);
  page_send(&p, 400, NULL, 0);
}

static void refuse(struct authorize *a, const struct authorize_error *e)
{
  struct answer an = error_answer(a, e);
  exchange_refused(a->x, 400, e->description);
  if (e->which_service)
    which_service(a, e);
  else
    answer_send(a->x, &an, NULL, 0);
}

/* ---- consent */

/* The same request, whoever signs in; .p NULL when it would be too long. */
static struct str as_another(const struct authorize *a)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, LIMIT_TARGET);
  buf_str(&b, a->x->path);
  for (size_t i = 0; known[i]; i++) {
    struct str value = params_get(&a->params, known[i]);
    if (value.p && strcmp(known[i], "prompt") != 0)
      param_append(&b, known[i], value);
  }
  if (a->t.resource.p)
    param_append(&b, "resource", a->t.resource);
  param_append(&b, "prompt", STR("select_account"));
  return b.failed ? (struct str){NULL, 0} : arena_str(a->x->rq->arena, buf_view(&b));
}

static void ask(struct authorize *a)
{
  struct consent c = {.client = a->client,
                      .service = a->service,
                      .transaction = &a->t,
                      .scopes = a->scopes,
                      .as_another = a->scopes.withheld.n ? as_another(a) : STR("")};
  struct buf b;
  exchange_record_begin(a->x, &b);
  authorize_record(&b, &a->t);
  exchange_record_step(a->x, "authorize", &b);
  consent_page(a->x, &c);
}

/* false: with her name in it, it would be too long for a state. */
static bool recall(struct authorize *a)
{
  struct transaction t = a->t;
  t.issuer = a->person.issuer;
  t.subject = a->person.subject;
  t.provider = a->person.provider;
  t.refused = (struct str){NULL, 0};
  t.remember = true;
  if (transaction_size(&t) > LIMIT_LOGIN_STATE)
    return false;
  a->t = t;
  return true;
}

static void go_on(struct authorize *a)
{
  struct buf b;
  exchange_record_begin(a->x, &b);
  authorize_record(&b, &a->t);
  buf_puts(&b, ",\"remembered\":true");
  exchange_record_step(a->x, "authorize", &b);
  consent_given(a->x, &a->t);
}

/* Whatever she may not hold of it, she is told: then the page is shown, also when she has agreed
 * before. */
static void on_known(void *arg, bool agreed, const struct principal *who)
{
  struct authorize *a = arg;
  exchange_waited(a->x);
  const struct consent c = {.client = a->client, .service = a->service};
  if (who && consent_withhold(a->x, &c, who, &a->scopes) < 0) {
    page_ours(a->x, 500, "out of memory");
    return;
  }
  if (a->scopes.withheld.n) {
    a->t.scopes = scopes_text(&a->scopes.offered, a->x->rq->arena);
    agreed = false;
  }
  if (a->t.scopes.p == NULL)
    page_ours(a->x, 500, "out of memory");
  else if (agreed && recall(a))
    go_on(a);
  else
    ask(a);
}

static void cancel_known(void *waiting)
{
  known_cancel(waiting);
}

/* Row 95: a page that another site has opened never goes on by itself. */
static bool opened_by_person(const struct oauth_exchange *x)
{
  struct str site = http_header(x->rq, "Sec-Fetch-Site");
  return str_is(site, "none") || str_is(site, "same-origin");
}

static void ask_or_recall(struct authorize *a)
{
  struct oauth_exchange *x = a->x;
  struct known_question q = {.person = &a->person, .transaction = &a->t};
  struct known *k = NULL;
  /* With a prompt for the person it may be somebody else who signs in. */
  if (!a->t.again && person_read(x, x->rq->arena, &a->person))
    q.provider = authorize_find_provider(a->service, a->person.provider);
  q.consent =
      a->person.remembered && params_get(&a->params, "prompt").p == NULL && opened_by_person(x);
  if (q.provider && (q.consent || scopes_bound(&a->scopes.offered)))
    k = known_find(x->oauth, &q, on_known, a);
  if (k)
    exchange_wait(x, cancel_known, k);
  else
    ask(a);
}

/* ---- the request */

/* What depends on who the person is cannot be judged before she has signed in. */
static int choose_scopes(struct authorize *a, const struct config *c)
{
  struct str asked = params_get(&a->params, "scope");
  struct scope_set all, *refused = &a->scopes.refused;
  struct arena *arena = a->x->rq->arena;
  if (scopes_asked(c, a->service, &a->client->scopes, asked, arena, &a->scopes.offered) < 0 ||
      scopes_asked(c, a->service, NULL, asked, arena, &all) < 0)
    return -1;
  *refused = (struct scope_set){all.n ? arena_array(arena, all.n, sizeof all.v[0]) : NULL, 0};
  if (all.n && refused->v == NULL)
    return -1;
  for (size_t i = 0; i < all.n; i++) {
    bool offered = false;
    for (size_t k = 0; k < a->scopes.offered.n; k++)
      offered = offered || a->scopes.offered.v[k] == all.v[i];
    if (!offered)
      refused->v[refused->n++] = all.v[i];
  }
  return 0;
}

static int fill(struct authorize *a)
{
  const struct params *p = &a->params;
  struct transaction *t = &a->t;
  struct arena *arena = a->x->rq->arena;
  struct str hint = params_get(p, "login_hint");
  t->client = a->client_id;
  t->digest = (struct str){(const char *)a->client->digest, sizeof a->client->digest};
  t->challenge = params_get(p, "code_challenge");
  t->resource = params_get(p, "resource");
  t->service = str_of(a->service->name);
  t->scopes = scopes_text(&a->scopes.offered, arena);
  t->refused = scopes_text(&a->scopes.refused, arena);
  struct str prompt = params_get(p, "prompt");
  t->again = authorize_has_word(prompt, "login") || authorize_has_word(prompt, "select_account");
  if (hint.n <= LIMIT_LOGIN_HINT)
    t->hint = hint;
  return t->scopes.p && t->refused.p ? transaction_id(arena, &t->id) : -1;
}

/* Whether `state` can carry all of it, whichever provider is chosen. */
static bool fits(const struct authorize *a)
{
  const struct config_provider *v[AUTHORIZE_PROVIDERS];
  size_t n = authorize_providers(a->service, v, AUTHORIZE_PROVIDERS), longest = 0;
  for (size_t i = 0; i < n; i++)
    if (strlen(v[i]->name) > longest)
      longest = strlen(v[i]->name);
  struct transaction t = a->t;
  t.refused = (struct str){NULL, 0};
  return transaction_size(&t) + longest * 4 / 3 + 2 <= LIMIT_LOGIN_STATE;
}

static void judged(struct authorize *a)
{
  const struct config *c = a->x->oauth->o.config;
  static const struct authorize_error large = {"invalid_request", "The request is too long.",
                                               false};
  if (choose_scopes(a, c) < 0 || fill(a) < 0)
    page_ours(a->x, 500, "out of memory");
  else if (!fits(a))
    refuse(a, &large);
  else
    ask_or_recall(a);
}

static void judge(struct authorize *a)
{
  const struct config *c = a->x->oauth->o.config;
  const char *why = "";
  enum authorize_redirect r = authorize_redirect(c, a->client, &a->params, &a->t, &why);
  if (r != AUTHORIZE_REDIRECT_OK) {
    refused_redirect(a, r, why);
    return;
  }
  a->t.state = params_get(&a->params, "state");
  struct authorize_error e = authorize_protocol(&a->params, a->client);
  if (e.error == NULL)
    e = authorize_service(c, &a->params, &a->service);
  if (e.error == NULL && !config_client_serves(client_impl(a->client)->configured, a->service))
    e = (struct authorize_error){"invalid_target", "This client is not for that service.", false};
  if (e.error)
    refuse(a, &e);
  else
    judged(a);
}

static void on_client(void *arg, enum client_status status, const struct oauth_client *client,
                      const char *why)
{
  struct authorize *a = arg;
  exchange_waited(a->x);
  a->client = client;
  switch (status) {
  case CLIENT_FOUND:
    judge(a);
    return;
  case CLIENT_UNKNOWN:
    unknown_client(a);
    return;
  case CLIENT_REFUSED:
    refused_client(a, why);
    return;
  case CLIENT_UNAVAILABLE:
    break;
  }
  log_warn("request %s: client: %s", a->x->rq->id, why);
  page_ours(a->x, 503, "the client cannot be looked up");
}

static void cancel_client(void *waiting)
{
  client_cancel(waiting);
}

static void authorize_run(struct oauth_exchange *x)
{
  struct authorize *a = arena_new_of(x->rq->arena, struct authorize);
  if (a == NULL) {
    page_ours(x, 500, "out of memory");
    return;
  }
  a->x = x;
  if (exchange_params(x, &a->params) < 0) {
    malformed(a, STR("?"));
    return;
  }
  const char *twice = params_twice(&a->params, known);
  a->client_id = params_get(&a->params, "client_id");
  if (twice || a->client_id.p == NULL || a->client_id.n > LIMIT_CLIENT) {
    malformed(a, str_of(twice ? twice : "client_id"));
    return;
  }
  struct client_run *r =
      client_find(x->oauth, x->rq->arena, a->client_id, CLIENT_AT_AUTHORIZE, on_client, a);
  if (r)
    exchange_wait(x, cancel_client, r);
}

const struct endpoint endpoint_authorize = {
    .name = "authorize",
    .path = "/authorize",
    .match = MATCH_EXACT,
    .get = true,
    .run = authorize_run,
};
