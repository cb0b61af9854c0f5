/* /register: dynamic client registration (RFC 7591).  Anybody may, so everything is bounded: the
 * body, how fast one network may, how many unused ones there are (row 105).  Called by oauth.c. */
#include <arpa/inet.h>
#include <string.h>

#include "oauth/client_impl.h"
#include "oauth/json_text.h"
#include "oauth/token_text.h"
#include "ops/callers.h"
#include "ops/metrics.h"
#include "util/clock.h"
#include "util/json.h"

enum {
  MINUTE_MS = 60000,
  UNUSED_S = 86400,
  UNUSED_MINUTES = 20, /* unused ones of one network: what it may register in that time */
};

struct registration {
  struct work work;
  struct oauth_exchange *x;
  struct client_metadata metadata;
  struct str secret; /* "": none */
  struct store_client client;
  struct store_client_limits limits;
};

/* ---- who asks */

/* An IPv4 address; of an IPv6 address the /64, which is one customer. */
static struct str network_of(const char *address, struct arena *a)
{
  struct in6_addr v6;
  char text[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, address, &v6) != 1)
    return arena_str(a, str_of(address));
  memset(v6.s6_addr + 8, 0, 8);
  if (inet_ntop(AF_INET6, &v6, text, sizeof text) == NULL)
    return arena_str(a, str_of(address));
  return arena_str(a, str_of(text));
}

/* 0, or how many milliseconds to wait. */
static int64_t spend(const struct oauth *o, struct str network)
{
  struct shm *shm = o->o.shm;
  if (shm == NULL)
    return 0;
  uint64_t key = caller_key(shm, CALLER_REGISTRATION, network, STR(""), STR(""));
  return caller_spend(shm, key, o->o.config->oauth.registrations_per_address, MINUTE_MS);
}

/* ---- the reply */

static void put_reply(struct buf *b, const struct registration *r)
{
  static const char *const grants[] = {"authorization_code", "refresh_token"};
  static const char *const code[] = {"code"};
  const struct client_metadata *m = &r->metadata;
  members_begin(b);
  member_text(b, "client_id", r->client.id);
  member_number(b, "client_id_issued_at", clock_wall());
  if (r->secret.n) {
    member_text(b, "client_secret", r->secret);
    member_number(b, "client_secret_expires_at", 0);
  }
  if (m->name.n)
    member_text(b, "client_name", m->name);
  member_words(b, "redirect_uris", m->redirect_uris.v, m->redirect_uris.n);
  member_text(b, "token_endpoint_auth_method",
              m->auth == CLIENT_AUTH_NONE  ? STR("none")
              : m->auth == CLIENT_AUTH_KEY ? STR("private_key_jwt")
              : m->post                    ? STR("client_secret_post")
                                           : STR("client_secret_basic"));
  member_words(b, "grant_types", grants, m->grants & GRANT_REFRESH ? 2 : 1);
  member_words(b, "response_types", code, 1);
  if (m->scope.n)
    member_text(b, "scope", m->scope);
  if (m->keys.n) {
    buf_puts(b, ",\"jwks\":");
    buf_str(b, m->keys);
  }
  if (m->keys_uri.n)
    member_text(b, "jwks_uri", m->keys_uri);
  members_end(b);
}

static void record(struct oauth_exchange *x, const struct registration *r)
{
  struct buf b;
  exchange_record_begin(x, &b);
  record_member(&b, "client", r->client.id);
  record_member(&b, "client_name", r->metadata.name);
  record_member(&b, "redirect_uri", str_of(r->metadata.redirect_uris.v[0]));
  exchange_record(x, "client_registered", &b);
}

static void answer(struct oauth_exchange *x, const struct registration *r)
{
  CLEANUP(buf_wipe) struct buf b;
  buf_init(&b, MIB(1));
  put_reply(&b, r);
  if (b.failed) {
    exchange_error(x, 500, "server_error", "The reply does not fit.");
    return;
  }
  record(x, r);
  metric_add(METRIC_CLIENTS_REGISTERED, 1);
  exchange_json(x, 201, buf_view(&b));
}

static void too_many(struct oauth_exchange *x, int64_t wait_ms)
{
  char seconds[24];
  snprintf(seconds, sizeof seconds, "%lld", (long long)(wait_ms / 1000 + 1));
  const struct http_header retry = {STR("Retry-After"), str_of(seconds)};
  exchange_refused(x, 429, "too many registrations from this address");
  exchange_send(x, 429, "application/json",
                STR("{\"error\":\"temporarily_unavailable\",\"error_description\":\"Too many "
                    "clients are registered from this address.\"}\n"),
                &retry, 1);
}

static void stored(void *arg, bool done)
{
  struct registration *r = arg;
  struct oauth_exchange *x = r->x;
  exchange_waited(x);
  enum store_result result = done ? r->work.result : STORE_FAILED;
  if (result == STORE_OK) {
    answer(x, r);
  } else if (result == STORE_LIMIT) {
    too_many(x, MINUTE_MS);
  } else {
    exchange_refused(x, 503, store_result_name(result));
    exchange_error(x, 503, "temporarily_unavailable", "No client can be registered now.");
  }
}

/* ---- the request */

static int add(void *arg, struct store_db *db)
{
  struct registration *r = arg;
  return work_end(&r->work, store_client_add(db, &r->client, &r->limits));
}

static int make_client(struct registration *r)
{
  struct arena *a = r->work.arena;
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, MIB(1));
  if (r->metadata.auth == CLIENT_AUTH_SECRET) {
    r->secret = random_text(a, "", 32);
    r->metadata.secret = hash_hex(a, r->secret);
    if (r->secret.p == NULL || r->metadata.secret.p == NULL)
      return -1;
  }
  if (client_metadata_put(&r->metadata, &b) < 0)
    return -1;
  r->client.id = random_text(a, "mcp-", 16);
  r->client.name = r->metadata.name;
  r->client.registration = arena_str(a, buf_view(&b));
  return r->client.id.p && r->client.registration.p ? 0 : -1;
}

static void cancel(void *task)
{
  store_cancel(task);
}

static void submit(struct registration *r)
{
  struct oauth_exchange *x = r->x;
  const struct config_oauth *c = &r->work.oauth->o.config->oauth;
  r->limits =
      (struct store_client_limits){.total = c->max_registrations,
                                   .per_source = c->registrations_per_address * UNUSED_MINUTES,
                                   .unused_s = UNUSED_S};
  struct store_task *task =
      make_client(r) == 0 ? store_submit(x->oauth->o.store, STORE_WRITE, add, stored, work_free, r)
                          : NULL;
  if (task) {
    exchange_wait(x, cancel, task);
    return;
  }
  work_free(r);
  exchange_refused(x, 503, "the store is busy");
  exchange_error(x, 503, "temporarily_unavailable", "No client can be registered now.");
}

static void run(struct oauth_exchange *x)
{
  struct metadata_error bad = {NULL, ""};
  struct err e = {""};
  struct redirect_policy policy = client_policy(x->oauth);
  struct registration *r = work_new_of(x->oauth, struct registration);
  if (r == NULL) {
    exchange_error(x, 503, "temporarily_unavailable", "No client can be registered now.");
    return;
  }
  r->x = x;
  r->client.source = network_of(x->address, r->work.arena);
  int64_t wait_ms = spend(x->oauth, r->client.source);
  CLEANUP(json_drop)
  json_t *body = wait_ms ? NULL : json_parse(buf_view(&x->rq->body), 8, 1000, &e);
  if (wait_ms) {
    too_many(x, wait_ms);
  } else if (body == NULL) {
    exchange_refused(x, 400, "no JSON");
    exchange_error(x, 400, "invalid_client_metadata", "The body is not one JSON object.");
  } else if (client_metadata_judge(&policy, body, false, r->work.arena, &r->metadata, &bad) < 0) {
    exchange_refused(x, 400, bad.text);
    exchange_error(x, 400, bad.error, bad.text);
  } else if (client_keys_misfit(x->oauth, &r->metadata)) {
    const char *why = client_keys_misfit(x->oauth, &r->metadata);
    exchange_refused(x, 400, why);
    exchange_error(x, 400, "invalid_client_metadata", why);
  } else {
    submit(r);
    return;
  }
  work_free(r);
}

static void run_if_on(struct oauth_exchange *x)
{
  if (x->oauth->o.config->oauth.registration)
    run(x);
  else
    exchange_error(x, 404, "not_found", "Clients do not register here.");
}

const struct endpoint endpoint_register = {
    .name = "register",
    .path = "/register",
    .match = MATCH_EXACT,
    .post = true,
    .open = true,
    .content_type = "application/json",
    .max_body = LIMIT_REGISTRATION,
    .run = run_if_on,
};
