/* /revoke (RFC 7009) and /introspect (RFC 7662): what becomes of a token, and what it is.  Both are
 * for the client that the token was issued to; introspection also for configured clients that may
 * (row 113).  A token that is unknown, or another's, is answered like one that is dead already. */
#include "auth/hub_token.h"
#include "oauth/client_auth.h"
#include "oauth/json_text.h"
#include "ops/log.h"
#include "ops/shm.h"
#include "util/clock.h"
#include "util/json.h"

enum kind { KIND_NONE = 0, KIND_ACCESS, KIND_REFRESH };

struct inspection {
  struct work work;
  struct token_call *call; /* the loop's; NULL: the client has left */
  struct str request_id, address;
  struct str token, client;
  bool revoke;

  enum kind kind;
  struct hub_token access; /* of KIND_ACCESS */
  struct store_refresh refresh;
  struct store_grant grant;
  bool alive;
  bool ended; /* something was revoked just now */
  bool again; /* it had been before: perhaps by a worker that died before it could say so */
};

/* One request; in its arena. */
struct token_call {
  struct oauth_exchange *x;
  struct params params;
  bool revoke;
  const struct oauth_client *client;
  struct client_auth_run *proof;
  struct store_task *task;
  struct inspection *inspection; /* while there is a task */
};

/* ---- in the job thread */

static bool is_mine(const struct inspection *i, struct str client)
{
  return str_eq(client, i->client);
}

static enum store_result look_at_access(struct inspection *i, struct store_db *db)
{
  const struct hub_token *t = &i->access;
  enum store_result result = store_marked(db, HUB_TOKEN_REVOKED, t->jti);
  if (result != STORE_NONE)
    return result == STORE_OK ? STORE_REVOKED : result;
  return t->grant.n ? store_grant_get(db, t->grant, i->work.arena, &i->grant) : STORE_OK;
}

static enum store_result revoke_access(struct inspection *i, struct store_db *db)
{
  enum store_result result =
      store_mark(db, HUB_TOKEN_REVOKED, i->access.jti, i->access.expires_at + 60);
  i->ended = result == STORE_OK;
  i->again = result == STORE_USED;
  return result == STORE_USED ? STORE_OK : result;
}

static int inspect_access(struct inspection *i, struct store_db *db)
{
  enum store_result result = look_at_access(i, db);
  i->alive = result == STORE_OK && i->access.expires_at > store_time(db);
  i->again = result == STORE_REVOKED && is_mine(i, i->access.client);
  if (i->alive && i->revoke && is_mine(i, i->access.client))
    result = revoke_access(i, db);
  else if (result == STORE_NONE || result == STORE_REVOKED || result == STORE_EXPIRED)
    result = STORE_OK;
  return work_end(&i->work, result);
}

static int inspect_refresh(struct inspection *i, struct store_db *db)
{
  enum store_result result = store_refresh_peek(db, i->token, 0, i->work.arena, &i->refresh);
  i->kind = result == STORE_NONE ? KIND_NONE : KIND_REFRESH;
  i->grant = i->refresh.grant;
  i->alive = result == STORE_OK && i->refresh.used_at == 0;
  i->again = result == STORE_REVOKED && is_mine(i, i->grant.client);
  /* Also one that was used: its login ends. */
  if (result == STORE_OK && i->revoke && is_mine(i, i->grant.client)) {
    result = store_grant_revoke(db, i->grant.id, "revoked by the client");
    i->ended = result == STORE_OK;
  }
  if (result == STORE_NONE || result == STORE_REVOKED || result == STORE_EXPIRED ||
      result == STORE_USED)
    result = STORE_OK;
  return work_end(&i->work, result);
}

static int inspect(void *arg, struct store_db *db)
{
  struct inspection *i = arg;
  return i->kind == KIND_ACCESS ? inspect_access(i, db) : inspect_refresh(i, db);
}

/* ---- answers */

static void refuse(struct token_call *c, int status, const char *error, const char *description)
{
  exchange_waited(c->x);
  exchange_refused(c->x, status, description);
  exchange_error(c->x, status, error, description);
}

static void unavailable(struct token_call *c)
{
  refuse(c, 503, "temporarily_unavailable", "The store cannot be asked now.");
}

static void record_revocation(const struct inspection *i)
{
  CLEANUP(buf_done) struct buf b;
  bool access = i->kind == KIND_ACCESS;
  buf_init(&b, LIMIT_AUDIT_RECORD);
  buf_puts(&b, "\"endpoint\":\"revoke\"");
  record_member(&b, "address", i->address);
  record_member(&b, "client", i->client);
  record_member(&b, "what", access ? STR("access_token") : STR("refresh_token"));
  if (i->grant.id.n)
    record_member(&b, "grant", i->grant.id);
  if (access)
    record_member(&b, "jti", i->access.jti);
  record_member(&b, "issuer", access ? i->access.issuer : i->grant.issuer);
  record_member(&b, "subject", access ? i->access.subject : i->grant.subject);
  if (b.failed ||
      audit_put(i->work.oauth->o.audit, "token_revoked", i->request_id.p, buf_view(&b), NULL) < 0)
    log_error("request %s: the record token_revoked could not be written", i->request_id.p);
}

/* What workers know of the person is of yesterday now; then it is acknowledged (row 187), if
 * somebody is still there. */
static void note_revocation(const struct inspection *i)
{
  struct shm *shm = i->work.oauth->o.shm;
  bool access = i->kind == KIND_ACCESS;
  if (shm && (i->ended || i->again))
    shm_revoke(shm, access ? i->access.issuer : i->grant.issuer,
               access ? i->access.subject : i->grant.subject);
  if (i->ended)
    record_revocation(i);
}

static void put_times(struct buf *b, const struct inspection *i)
{
  bool access = i->kind == KIND_ACCESS;
  member_number(b, "exp", access ? i->access.expires_at : i->refresh.expires_at);
  member_number(b, "iat", access ? i->access.issued_at : i->refresh.issued_at);
}

/* The client's own token, or one for a service of a client that may ask. */
static bool may_see(const struct token_call *c, const struct inspection *i)
{
  const struct config *conf = c->x->oauth->o.config;
  const struct config_client *who = client_impl(c->client)->configured;
  bool access = i->kind == KIND_ACCESS;
  if (is_mine(i, access ? i->access.client : i->grant.client))
    return true;
  for (size_t k = 0; who && who->introspection && k < conf->n_services; k++) {
    const struct config_service *s = &conf->services[k];
    bool meant =
        access ? str_is(i->access.audience, s->resource) : str_is(i->grant.service, s->name);
    if (meant && config_client_serves(who, s))
      return true;
  }
  return false;
}

static void answer_introspection(struct token_call *c, const struct inspection *i)
{
  CLEANUP(buf_done) struct buf b;
  bool access = i->kind == KIND_ACCESS;
  buf_init(&b, KIB(16));
  if (!i->alive || !may_see(c, i)) {
    exchange_json(c->x, 200, STR("{\"active\":false}\n"));
    return;
  }
  members_begin(&b);
  member_bool(&b, "active", true);
  member_text(&b, "token_type", access ? STR("Bearer") : STR("refresh_token"));
  member_text(&b, "iss", str_of(c->x->oauth->issuer));
  member_text(&b, "client_id", access ? i->access.client : i->grant.client);
  member_text(&b, "scope", access ? i->access.scope : i->grant.scopes);
  if (access) {
    member_text(&b, "sub", json_text(json_object_get(i->access.claims, "sub")));
    member_text(&b, "aud", i->access.audience);
    member_text(&b, "jti", i->access.jti);
  }
  member_text(&b, "username", access ? i->access.subject : i->grant.subject);
  put_times(&b, i);
  if (members_end(&b) < 0)
    unavailable(c);
  else
    exchange_json(c->x, 200, buf_view(&b));
}

static void inspected(void *arg, bool stored)
{
  struct inspection *i = arg;
  struct token_call *c = i->call;
  bool good = stored && i->work.result == STORE_OK;
  if (good && i->revoke)
    note_revocation(i);
  if (c == NULL)
    return;
  c->task = NULL;
  if (!good) {
    unavailable(c);
    return;
  }
  exchange_waited(c->x);
  if (i->revoke)
    exchange_json(c->x, 200, STR("{}\n"));
  else
    answer_introspection(c, i);
}

/* ---- the request */

static void release(void *arg)
{
  struct inspection *i = arg;
  hub_token_done(&i->access);
  work_free(i);
}

static void submit(struct token_call *c, struct str token)
{
  struct oauth *o = c->x->oauth;
  const char *reason;
  const struct hub_tokens ours = {o->o.config, o->o.keys, o->o.store};
  struct inspection *i = work_new_of(o, struct inspection);
  if (i == NULL) {
    unavailable(c);
    return;
  }
  i->call = c;
  i->request_id = work_str(&i->work, str_of(c->x->rq->id));
  i->address = work_str(&i->work, str_of(c->x->address));
  i->revoke = c->revoke;
  i->token = work_str(&i->work, token);
  i->client = work_str(&i->work, str_of(c->client->id));
  if (hub_token_read(&ours, token, &i->access, &reason) == 0)
    i->kind = KIND_ACCESS;
  if (i->token.p && i->client.p && i->request_id.p && i->address.p)
    c->task = store_submit(o->o.store, c->revoke ? STORE_WRITE : STORE_READ, inspect, inspected,
                           release, i);
  c->inspection = c->task ? i : NULL;
  if (c->task)
    return;
  release(i);
  unavailable(c);
}

static void proved(void *arg, const struct client_verdict *v)
{
  struct token_call *c = arg;
  struct str token = params_get(&c->params, "token");
  c->proof = NULL;
  c->client = v->client;
  if (v->error)
    refuse(c, v->status, v->error, v->description);
  else if (!c->revoke && v->client->auth == CLIENT_AUTH_NONE)
    refuse(c, 401, "invalid_client", "Introspection needs a client that can prove itself.");
  else if (token.p == NULL)
    refuse(c, 400, "invalid_request", "The token is missing.");
  else
    submit(c, token);
}

static void cancel(void *arg)
{
  struct token_call *c = arg;
  client_auth_cancel(c->proof);
  if (c->task && !store_withdraw(c->task))
    c->inspection->call = NULL;
}

static void run(struct oauth_exchange *x, bool revoke)
{
  static const char *const once[] = {"token", "token_type_hint", NULL};
  struct token_call *c = arena_new_of(x->rq->arena, struct token_call);
  if (c == NULL) {
    exchange_error(x, 503, "temporarily_unavailable", "Out of memory.");
    return;
  }
  c->x = x;
  c->revoke = revoke;
  exchange_wait(x, cancel, c);
  if (exchange_params(x, &c->params) < 0 || params_twice(&c->params, once))
    refuse(c, 400, "invalid_request", "The body is malformed, or a parameter stands twice.");
  else
    c->proof = client_authenticate(x, &c->params, proved, c);
}

static void run_revoke(struct oauth_exchange *x)
{
  run(x, true);
}

static void run_introspect(struct oauth_exchange *x)
{
  run(x, false);
}

const struct endpoint endpoint_revoke = {
    .name = "revoke",
    .path = "/revoke",
    .match = MATCH_EXACT,
    .post = true,
    .open = true,
    .max_body = LIMIT_FORM,
    .run = run_revoke,
};

const struct endpoint endpoint_introspect = {
    .name = "introspect",
    .path = "/introspect",
    .match = MATCH_EXACT,
    .post = true,
    .open = true,
    .max_body = LIMIT_FORM,
    .run = run_introspect,
};
