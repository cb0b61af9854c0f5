/* What is kept of a login: the mark that its state is used, then consent, the person's tokens at
 * the provider, and the authorization code, in one transaction; recorded before it takes effect, so
 * that no code exists without its record (row 192).  See callback.h. */
#include "oauth/callback.h"

#include <stdlib.h>
#include <string.h>

#include "auth/login.h"
#include "oauth/answer.h"
#include "oauth/pages.h"
#include "oauth/token_text.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/shm.h"

enum {
  FINISH_ARENA = 1048576,
  CODE_BYTES = 32,
  TOLD_S = 30, /* for who reads and does nothing: the code, which lives 60, must not be too late */
};

/* ---- the mark */

struct mark {
  struct arrival *v;
  struct store_task *task;
  struct str id;
  enum store_result result;
  char bytes[TRANSACTION_ID];
};

static int mark_work(void *arg, struct store_db *db)
{
  struct mark *m = arg;
  /* As long as the same form could bring another state. */
  m->result =
      store_mark(db, "state", m->id, store_time(db) + TRANSACTION_FORM_S + TRANSACTION_STATE_S);
  return m->result == STORE_FAILED ? -1 : 0;
}

static void used(struct arrival *v)
{
  metric_add(METRIC_LOGINS_FAILED, 1);
  page_error(v->x, &(struct page_error){.status = 400,
                                        .title = ERROR_USED,
                                        .why = ERROR_USED_WHY,
                                        .now = ERROR_USED_NOW,
                                        .record = "state was used before"});
}

static void mark_done(void *arg, bool stored)
{
  struct mark *m = arg;
  struct arrival *v = m->v;
  exchange_waited(v->x);
  if (stored && m->result == STORE_OK)
    callback_marked(v);
  else if (stored && m->result == STORE_USED)
    used(v);
  else
    page_ours(v->x, 503, "the state could not be marked");
}

static void mark_cancel(void *waiting)
{
  struct mark *m = waiting;
  store_cancel(m->task);
}

void callback_mark(struct arrival *v)
{
  struct mark *m = calloc(1, sizeof *m);
  if (m) {
    m->v = v;
    memcpy(m->bytes, v->t.id.p, TRANSACTION_ID);
    m->id = (struct str){m->bytes, TRANSACTION_ID};
    m->task = store_submit(v->x->oauth->o.store, STORE_WRITE, mark_work, mark_done, free, m);
  }
  if (m == NULL || m->task == NULL) {
    free(m);
    page_ours(v->x, 503, "the store takes nothing now");
    return;
  }
  exchange_wait(v->x, mark_cancel, m);
}

/* ---- what is kept */

/* Everything in an arena of its own: the work goes on when the browser leaves. */
struct finish {
  struct arrival *v; /* the loop's */
  struct arena *arena;
  struct store_task *task;
  struct store_code code;
  struct store_consent consent;
  struct store_link link;
  struct store_upstream upstream;
  bool has_tokens, recalled, remember, registered;
  enum store_result result;
};

static int keep(struct finish *f, struct store_db *db)
{
  f->result = STORE_OK;
  /* A consent that was only remembered may have been taken back meanwhile; one that she did not
   * tick is for this login alone, also in a browser that remembers her for other applications. */
  if (f->recalled)
    f->result = store_consent_covers(db, &f->consent);
  else if (f->remember)
    f->result = store_consent_put(db, &f->consent);
  if (f->result == STORE_OK && f->has_tokens)
    f->result = store_upstream_put(db, &f->link, &f->upstream, -1);
  if (f->result == STORE_OK && f->registered)
    f->result = store_client_used(db, f->consent.client);
  f->code.expires_at = store_time(db) + CODE_S; /* also when our clock was set back (row 184) */
  if (f->result == STORE_OK)
    f->result = store_code_put(db, &f->code);
  return f->result == STORE_OK ? 0 : -1;
}

static int finish_work(void *arg, struct store_db *db)
{
  return keep(arg, db);
}

/* Whether the browser remembers her already. */
static bool remembered(const struct arrival *v, const struct person *p)
{
  struct person old;
  return person_read(v->x, v->x->rq->arena, &old) && old.remembered &&
         str_eq(old.issuer, p->issuer) && str_eq(old.subject, p->subject) &&
         str_eq(old.provider, p->provider);
}

static size_t cookies(struct arrival *v, struct http_header out[2])
{
  struct oauth *o = v->x->oauth;
  struct arena *a = v->x->rq->arena;
  struct person p = {str_of(v->who->issuer), str_of(v->who->subject), str_of(v->provider->name),
                     v->t.remember};
  const char *gone = transaction_uncookie(o, &v->t, a),
             *person = v->t.remember || !remembered(v, &p) ? person_cookie(o, &p, a) : NULL;
  size_t n = 0;
  if (gone)
    out[n++] = (struct http_header){STR("Set-Cookie"), str_of(gone)};
  if (person)
    out[n++] = (struct http_header){STR("Set-Cookie"), str_of(person)};
  return n;
}

/* The same request again, to be agreed to by whoever has signed in now. */
static void ask_again(struct arrival *v)
{
  struct transaction t = v->t;
  struct consent c = {
      .client = v->client, .service = v->service, .transaction = &t, .another = true};
  struct arena *a = v->x->rq->arena;
  t.issuer = t.subject = t.provider = t.refused = STR("");
  t.remember = false;
  if (transaction_id(a, &t.id) < 0 ||
      scopes_parse(v->x->oauth->o.config, t.scopes, a, &c.scopes.offered) < 0 ||
      consent_withhold(v->x, &c, v->who, &c.scopes) < 0 ||
      (t.scopes = scopes_text(&c.scopes.offered, a)).p == NULL)
    callback_ours(v, 500, "out of memory");
  else
    consent_page(v->x, &c);
}

/* She gets less than she was asked about: she is told, and goes back when she likes. */
static void tell(struct arrival *v, const struct answer *an)
{
  struct page p;
  struct str url = answer_url(v->x->oauth, an, v->x->rq->arena);
  struct http_header extra[3] = {{STR("Refresh"), page_refresh(v->x, url, TOLD_S)}};
  if (url.p == NULL || extra[0].value.p == NULL) {
    callback_ours(v, 500, "out of memory");
    return;
  }
  page_begin(&p, v->x, TEXT_TOLD_TITLE, NULL, 0);
  page_text(&p, "p", NULL, TEXT_TOLD, NULL, 0);
  consent_scope_list(&p, &v->withheld);
  page_text(&p, "p", "soft", TEXT_TOLD_HINT, NULL, 0);
  page_link(&p, "next", url, TEXT_BACK, true);
  page_send(&p, 200, extra, 1 + cookies(v, extra + 1));
}

static void finish_done(void *arg, bool stored)
{
  struct finish *f = arg;
  struct arrival *v = f->v;
  struct http_header set[2];
  struct answer an = {.redirect = v->t.redirect,
                      .state = v->t.state,
                      .code = arena_str(v->x->rq->arena, f->code.code)};
  exchange_waited(v->x);
  if (!stored && f->recalled && f->result == STORE_NONE) {
    ask_again(v);
    return;
  }
  if (!stored || an.code.p == NULL) {
    log_error("request %s: a login could not be kept: %s", v->x->rq->id,
              store_result_name(f->result));
    callback_ours(v, 503, "the login could not be kept");
    return;
  }
  metric_add(METRIC_LOGINS_FINISHED, 1);
  if (v->withheld.n)
    tell(v, &an);
  else
    answer_send(v->x, &an, set, cookies(v, set));
}

static void finish_release(void *arg)
{
  struct finish *f = arg;
  arena_free(f->arena);
}

static void finish_cancel(void *waiting)
{
  struct finish *f = waiting;
  store_cancel(f->task);
}

/* ---- making it */

/* Copies to the arena of F; what has no memory shows as a NULL pointer in the check of fill. */
static struct str copy(struct finish *f, struct str s)
{
  return arena_str(f->arena, s);
}

static void fill_person(struct finish *f, const struct arrival *v)
{
  struct str registered = v->t.registered.p ? v->t.registered : v->t.redirect;
  f->consent = (struct store_consent){.issuer = copy(f, str_of(v->who->issuer)),
                                      .subject = copy(f, str_of(v->who->subject)),
                                      .client = copy(f, v->t.client),
                                      .redirect = copy(f, registered),
                                      .service = copy(f, v->t.service),
                                      /* what was agreed to, not what came of it */
                                      .scopes = copy(f, v->t.scopes)};
  f->link = (struct store_link){copy(f, str_of(v->provider->name)), f->consent.issuer,
                                f->consent.subject};
}

static void fill_tokens(struct finish *f, const struct login_outcome *o)
{
  f->has_tokens = o->has_tokens;
  f->upstream = (struct store_upstream){.access_token = copy(f, o->tokens.access_token),
                                        .refresh_token = copy(f, o->tokens.refresh_token),
                                        .extra = copy(f, o->tokens.extra),
                                        .access_expires_at = o->tokens.access_expires_at};
}

/* More that /token wants back. */
static struct str code_data(struct finish *f, const struct arrival *v)
{
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, KIB(16));
  buf_puts(&b, "{\"resource\":");
  buf_json(&b, v->t.resource.p ? v->t.resource : STR(""));
  buf_puts(&b, ",\"request\":");
  buf_json(&b, str_of(v->x->rq->id));
  buf_putc(&b, '}');
  return b.failed ? (struct str){NULL, 0} : copy(f, buf_view(&b));
}

static int fill_code(struct finish *f, struct arrival *v)
{
  struct store_code *c = &f->code;
  char *claims = json_dumps(v->who->claims, JSON_COMPACT | JSON_SORT_KEYS);
  c->grant.principal = claims ? copy(f, str_of(claims)) : (struct str){NULL, 0};
  free(claims);
  c->code = random_text(f->arena, "", CODE_BYTES);
  c->grant.id = grant_id(f->arena);
  if (c->code.p == NULL || c->grant.id.p == NULL)
    return -1;
  c->grant.issuer = f->consent.issuer;
  c->grant.subject = f->consent.subject;
  c->grant.provider = f->link.provider;
  c->grant.client = f->consent.client;
  c->grant.client_name = copy(f, str_of(v->client->name));
  c->grant.service = f->consent.service;
  c->grant.scopes = copy(f, v->scopes);
  c->redirect = copy(f, v->t.redirect);
  c->challenge = copy(f, v->t.challenge);
  c->data = code_data(f, v);
  return c->grant.principal.p && c->grant.client_name.p && c->grant.scopes.p && c->redirect.p &&
                 c->challenge.p && c->data.p && c->grant.client.p && c->grant.issuer.p &&
                 c->grant.subject.p && c->grant.service.p && c->grant.provider.p
             ? 0
             : -1;
}

static struct finish *finish_new(struct arrival *v, const struct login_outcome *o)
{
  struct arena *a = arena_new(FINISH_ARENA);
  struct finish *f = a ? arena_new_of(a, struct finish) : NULL;
  if (f == NULL) {
    arena_free(a);
    return NULL;
  }
  f->v = v;
  f->arena = a;
  f->recalled = v->t.issuer.n > 0;
  f->remember = v->t.remember;
  f->registered = v->client->kind == CLIENT_REGISTERED;
  fill_person(f, v);
  fill_tokens(f, o);
  if (fill_code(f, v) < 0) {
    arena_free(a);
    return NULL;
  }
  return f;
}

/* ---- the record, then the store */

static void on_written(struct audit_ticket *t, bool ok)
{
  struct arrival *v = container_of(t, struct arrival, ticket);
  struct finish *f = v->finish;
  exchange_waited(v->x);
  if (ok)
    f->task = store_submit(v->x->oauth->o.store, STORE_WRITE, finish_work, finish_done,
                           finish_release, f);
  if (f->task) {
    exchange_wait(v->x, finish_cancel, f);
    return;
  }
  arena_free(f->arena);
  callback_ours(v, 503, ok ? "the store takes nothing now" : "the login could not be recorded");
}

static void forget_record(void *waiting)
{
  struct arrival *v = waiting;
  audit_forget(v->x->oauth->o.audit, &v->ticket);
  arena_free(v->finish->arena);
}

static int record(struct arrival *v)
{
  struct buf b;
  exchange_record_begin(v->x, &b);
  authorize_record(&b, &v->t);
  record_member(&b, "granted", v->scopes);
  record_member(&b, "issuer", str_of(v->who->issuer));
  record_member(&b, "subject", str_of(v->who->subject));
  record_member(&b, "grant", v->finish->code.grant.id);
  v->ticket = (struct audit_ticket){.written = on_written};
  int rc = b.failed
               ? -1
               : audit_put(v->x->oauth->o.audit, "login", v->x->rq->id, buf_view(&b), &v->ticket);
  buf_done(&b);
  return rc;
}

/* ---- the person */

static bool same_person(const struct arrival *v)
{
  return v->t.issuer.n == 0 ||
         (str_is(v->t.issuer, v->who->issuer) && str_is(v->t.subject, v->who->subject));
}

/* What was agreed to, and client and person may have now. */
static int entitled(struct arrival *v, bool *ret_nothing)
{
  const struct config *c = v->x->oauth->o.config;
  struct scope_set agreed, held;
  struct arena *a = v->x->rq->arena;
  if (scopes_parse(c, v->t.scopes, a, &agreed) < 0)
    return -1;
  bool some = agreed.n > 0;
  scopes_limit(&agreed, &v->client->scopes);
  if (scopes_entitled(c, v->who, v->x->address, &agreed, a, &held, &v->withheld) < 0)
    return -1;
  *ret_nothing = some && held.n == 0;
  v->scopes = scopes_text(&held, a);
  return v->scopes.p ? 0 : -1;
}

static void nothing_left(struct arrival *v)
{
  callback_error(v, &(struct arrival_error){
                        .status = 403,
                        .title = ERROR_NOTHING,
                        .why = ERROR_NOTHING_WHY,
                        .now = ERROR_DENIED_NOW,
                        .arg = v->t.client,
                        .another = true,
                        .error = "access_denied",
                        .description = "This account may not have any of these scopes.",
                        .record = "no scope is left that this person may hold",
                    });
}

static void unref(void *p)
{
  principal_unref(p);
}

void callback_finish(struct arrival *v, const struct login_outcome *o)
{
  bool nothing = false;
  v->who = principal_ref(o->who);
  if (arena_defer(v->x->rq->arena, unref, v->who) < 0) {
    principal_unref(v->who);
    callback_ours(v, 500, "out of memory");
    return;
  }
  if (!same_person(v)) {
    callback_refused(v, 200, "somebody else has signed in than the one who is remembered");
    ask_again(v);
    return;
  }
  if (entitled(v, &nothing) < 0) {
    callback_ours(v, 500, "out of memory");
    return;
  }
  if (nothing) {
    nothing_left(v);
    return;
  }
  v->finish = finish_new(v, o);
  if (v->finish == NULL || record(v) < 0) {
    if (v->finish)
      arena_free(v->finish->arena);
    callback_ours(v, 503, "the login could not be recorded");
    return;
  }
  exchange_wait(v->x, forget_record, v);
}
