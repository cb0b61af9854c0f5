/* Client authentication; see client_auth.h. */
#include "oauth/client_auth.h"

#include <openssl/evp.h>
#include <string.h>

#include "auth/jwt.h"
#include "oauth/token_text.h"
#include "util/clock.h"
#include "util/json.h"

#define CLIENT_ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

enum {
  ASSERTION_LIFETIME_MS = 300 * 1000,
  ASSERTION_LEEWAY_MS = 30 * 1000,
  BASIC_MOST = 4096,
};

/* What the request brought. */
struct presented {
  struct str id;
  struct str secret;    /* .p NULL: none */
  struct str assertion; /* likewise */
};

struct client_auth_run {
  struct oauth_exchange *x;
  struct presented presented;
  client_auth_fn *done;
  void *arg;
  struct client_run *finding;
  struct store_task *marking;
  bool fetching; /* KEYS, and what they say of the assertion: */
  enum jwt_status judged;
  struct client_keys keys;
  const struct oauth_client *client;
};

static void refuse(struct client_auth_run *r, int status, const char *error,
                   const char *description)
{
  struct client_verdict v = {NULL, status, error, description};
  r->done(r->arg, &v);
}

static void invalid_client(struct client_auth_run *r, const char *description)
{
  refuse(r, 401, "invalid_client", description);
}

static void proved(struct client_auth_run *r)
{
  struct client_verdict v = {.client = r->client};
  r->done(r->arg, &v);
}

/* ---- what was presented */

/* The two halves of Basic are form-encoded (RFC 6749 section 2.3.1). */
static int decode(struct str s, struct arena *a, struct str *ret)
{
  return str_chr(s, '&') < s.n || str_chr(s, '=') < s.n ? -1 : param_decode(s, a, ret);
}

static int read_basic(struct oauth_exchange *x, struct presented *ret)
{
  struct arena *a = x->rq->arena;
  struct str header = http_header(x->rq, "Authorization");
  if (header.p == NULL)
    return 0;
  if (header.n > BASIC_MOST || !str_iis(str_slice(header, 0, 6), "Basic "))
    return -1;
  struct str text = str_trim(str_slice(header, 6, header.n));
  unsigned char *raw = arena_alloc(a, text.n + 1);
  if (raw == NULL || text.n == 0 || text.n % 4 != 0)
    return -1;
  int n = EVP_DecodeBlock(raw, (const unsigned char *)text.p, (int)text.n);
  if (n < 0)
    return -1;
  struct str both = {(const char *)raw, (size_t)n};
  while (both.n && str_ends(text, "=") && both.p[both.n - 1] == 0) {
    both.n--; /* what padding stood for */
    text.n--;
  }
  size_t colon = str_chr(both, ':');
  if (colon == both.n || decode(str_slice(both, 0, colon), a, &ret->id) < 0 ||
      decode(str_slice(both, colon + 1, both.n), a, &ret->secret) < 0)
    return -1;
  if (ret->secret.n == 0)
    ret->secret.p = NULL; /* "id:" is what some public clients send */
  return ret->id.n ? 0 : -1;
}

/* The client_id that an assertion names, unverified; .p NULL. */
static struct str named_by(struct str assertion, struct arena *a)
{
  enum jwt_status status;
  struct jwt *t = jwt_parse(assertion, &status, NULL);
  struct str sub = t ? json_str(jwt_payload(t), "sub") : (struct str){NULL, 0};
  struct str copy = sub.n ? arena_str(a, sub) : (struct str){NULL, 0};
  jwt_free(t);
  return copy;
}

/* NULL, or what is wrong with the request. */
static const char *read_all(struct oauth_exchange *x, const struct params *p, struct presented *ret)
{
  static const char *const names[] = {"client_id", "client_secret", "client_assertion",
                                      "client_assertion_type", NULL};
  *ret = (struct presented){.id = {NULL, 0}};
  if (params_twice(p, names))
    return "A parameter stands there twice.";
  if (read_basic(x, ret) < 0)
    return "The Authorization header is not of the form that clients use here.";
  struct str id = params_get(p, "client_id"), secret = params_get(p, "client_secret");
  ret->assertion = params_get(p, "client_assertion");
  if (ret->assertion.p && !str_is(params_get(p, "client_assertion_type"), CLIENT_ASSERTION_TYPE))
    return "The client_assertion_type is unknown.";
  if ((ret->secret.p != NULL) + (secret.p != NULL) + (ret->assertion.p != NULL) > 1)
    return "The client proves itself in more than one way.";
  if (ret->id.p && id.p && !str_eq(ret->id, id))
    return "The request names two clients.";
  if (ret->id.p == NULL)
    ret->id = id;
  if (ret->id.p == NULL && ret->assertion.p)
    ret->id = named_by(ret->assertion, x->rq->arena);
  if (secret.p)
    ret->secret = secret;
  return ret->id.p ? NULL : "The request names no client.";
}

/* ---- proofs */

static bool secret_good(const struct client_impl *impl, struct str secret, struct arena *a)
{
  if (impl->configured && impl->configured->secret)
    return secret_eq(impl->configured->secret, secret);
  struct str hash = hash_hex(a, secret);
  return impl->secret.n && hash.p && bytes_eq(hash, impl->secret);
}

struct mark {
  struct work work;
  struct client_auth_run *run;
  struct str value;
  int64_t good_s; /* for how long the assertion is */
};

static int mark(void *arg, struct store_db *db)
{
  struct mark *m = arg;
  return work_end(&m->work,
                  store_mark(db, "client_assertion", m->value, store_time(db) + m->good_s));
}

static void marked(void *arg, bool stored)
{
  struct mark *m = arg;
  struct client_auth_run *r = m->run;
  r->marking = NULL;
  if (!stored || m->work.result == STORE_FULL)
    refuse(r, 503, "temporarily_unavailable", "The assertion cannot be checked now.");
  else if (m->work.result != STORE_OK)
    invalid_client(r, "The assertion was used before.");
  else
    proved(r);
}

/* Single-use (row 111): the mark is the client's, so that nobody can use up another's jti. */
static bool use_up(struct client_auth_run *r, const json_t *claims)
{
  struct mark *m = work_new_of(r->x->oauth, struct mark);
  struct str jti = json_str(claims, "jti");
  if (m == NULL)
    return false;
  m->run = r;
  m->value = str_of(arena_printf(m->work.arena, "%s\n%.*s", r->client->id, STR_ARG(jti)));
  /* A NumericDate may have a fraction (RFC 7519 section 2). */
  double exp = json_number_value(json_object_get(claims, "exp"));
  m->good_s = (int64_t)exp + 1 + ASSERTION_LEEWAY_MS / 1000 - clock_wall();
  r->marking = store_submit(r->x->oauth->o.store, STORE_WRITE, mark, marked, work_free, m);
  if (r->marking == NULL)
    work_free(m);
  return r->marking != NULL;
}

static struct jwks *keys_of(const struct client_impl *impl)
{
  struct jwks *keys = jwks_parse(impl->keys, false, NULL);
  return keys ? keys : jwks_parse_pem(impl->keys, NULL);
}

static enum jwt_status judge(const struct client_auth_run *r, const struct jwt *t,
                             const struct jwks *keys)
{
  const struct oauth *o = r->x->oauth;
  const char *issuers[] = {r->client->id};
  const char *endpoint = arena_printf(r->x->rq->arena, "%s/token", o->issuer);
  const char *audiences[] = {o->issuer, endpoint ? endpoint : o->issuer};
  static const char *const types[] = {"JWT", "client-authentication+jwt", "none"};
  const struct mcpauth_jwt_policy policy = {
      .issuers = {1, issuers},
      .audiences = {2, audiences},
      .types = {ARRAY_SIZE(types), types},
      .leeway_ms = ASSERTION_LEEWAY_MS,
      .max_lifetime_ms = ASSERTION_LIFETIME_MS,
      .require_sub = true,
  };
  if (!str_is(json_str(jwt_payload(t), "sub"), r->client->id))
    return JWT_BAD_CLAIM;
  return jwt_verify(t, keys, &policy, clock_wall(), NULL);
}

/* T is good, or NULL. */
static void assertion_judged(struct client_auth_run *r, const struct jwt *t)
{
  struct str jti = t ? json_str(jwt_payload(t), "jti") : (struct str){NULL, 0};
  if (t == NULL)
    invalid_client(r, "The assertion is not good.");
  else if (jti.n == 0 || jti.n > LIMIT_CLIENT)
    invalid_client(r, "The assertion has no jti.");
  else if (!use_up(r, jwt_payload(t)))
    refuse(r, 503, "temporarily_unavailable", "The assertion cannot be checked now.");
}

/* ---- keys that have to be fetched */

static struct jwt *assertion_of(const struct client_auth_run *r)
{
  enum jwt_status status;
  return jwt_parse(r->presented.assertion, &status, NULL);
}

static bool try_keys(struct client_keys *k, const struct jwks *keys)
{
  struct client_auth_run *r = container_of(k, struct client_auth_run, keys);
  struct jwt *t = assertion_of(r);
  r->judged = t ? judge(r, t, keys) : JWT_MALFORMED;
  jwt_free(t);
  return r->judged != JWT_UNKNOWN_KEY;
}

static void keys_found(struct client_keys *k, enum client_status status)
{
  struct client_auth_run *r = container_of(k, struct client_auth_run, keys);
  r->fetching = false;
  if (status == CLIENT_UNAVAILABLE) {
    refuse(r, 503, "temporarily_unavailable", "The client's keys (jwks_uri) cannot be had now.");
  } else if (status == CLIENT_FOUND) {
    struct jwt *t = r->judged == JWT_VALID ? assertion_of(r) : NULL;
    assertion_judged(r, t);
    jwt_free(t);
  } else {
    invalid_client(r, "There are no keys at the client's jwks_uri.");
  }
}

static void find_keys(struct client_auth_run *r)
{
  r->keys = (struct client_keys){.try_keys = try_keys, .done = keys_found};
  r->fetching = client_keys_find(&r->keys, r->x->oauth, client_impl(r->client)->keys_uri,
                                 r->x->rq->arena) == 0;
  if (!r->fetching)
    refuse(r, 503, "temporarily_unavailable", "The client's keys (jwks_uri) cannot be had now.");
}

static void check_assertion(struct client_auth_run *r)
{
  const struct client_impl *impl = client_impl(r->client);
  static const struct jwks none = {.n = 0};
  struct jwt *t = assertion_of(r);
  struct jwks *keys = impl->keys_uri.n ? NULL : keys_of(impl);
  enum jwt_status status = t ? judge(r, t, keys ? keys : &none) : JWT_MALFORMED;
  /* Nothing is fetched for what is wrong in any case. */
  if (status == JWT_UNKNOWN_KEY && impl->keys_uri.n)
    find_keys(r);
  else
    assertion_judged(r, status == JWT_VALID ? t : NULL);
  jwks_free(keys);
  jwt_free(t);
}

static void check(struct client_auth_run *r)
{
  const struct presented *p = &r->presented;
  switch (r->client->auth) {
  case CLIENT_AUTH_NONE:
    if (p->secret.p || p->assertion.p)
      invalid_client(r, "This client has no secret.");
    else
      proved(r);
    return;
  case CLIENT_AUTH_SECRET:
    if (p->secret.p && secret_good(client_impl(r->client), p->secret, r->x->rq->arena))
      proved(r);
    else
      invalid_client(r, "The client's secret is missing or wrong.");
    return;
  case CLIENT_AUTH_KEY:
    if (p->assertion.p)
      check_assertion(r);
    else
      invalid_client(r, "This client proves itself with an assertion (private_key_jwt).");
    return;
  }
  invalid_client(r, "The client cannot prove itself.");
}

/* ---- the whole */

static void found(void *arg, enum client_status status, const struct oauth_client *c,
                  const char *why)
{
  struct client_auth_run *r = arg;
  (void)why;
  r->finding = NULL;
  r->client = c;
  switch (status) {
  case CLIENT_FOUND:
    check(r);
    return;
  case CLIENT_UNKNOWN:
    invalid_client(r, "There is no such client: it has to register again.");
    return;
  case CLIENT_REFUSED:
    invalid_client(r, "This client is not accepted.");
    return;
  case CLIENT_UNAVAILABLE:
    break;
  }
  refuse(r, 503, "temporarily_unavailable", "The client cannot be looked up now.");
}

struct client_auth_run *client_authenticate(struct oauth_exchange *x, const struct params *p,
                                            client_auth_fn *done, void *arg)
{
  struct client_auth_run *r = arena_new_of(x->rq->arena, struct client_auth_run);
  if (r == NULL) {
    struct client_verdict v = {NULL, 500, "server_error", "Out of memory."};
    done(arg, &v);
    return NULL;
  }
  *r = (struct client_auth_run){.x = x, .done = done, .arg = arg};
  const char *wrong = read_all(x, p, &r->presented);
  if (wrong) {
    refuse(r, 400, "invalid_request", wrong);
    return NULL;
  }
  r->finding = client_find(x->oauth, x->rq->arena, r->presented.id, CLIENT_AT_TOKEN, found, r);
  return r->finding || r->marking || r->fetching ? r : NULL;
}

void client_auth_cancel(struct client_auth_run *r)
{
  if (r == NULL)
    return;
  client_cancel(r->finding);
  if (r->fetching)
    client_keys_cancel(&r->keys);
  if (r->marking)
    store_cancel(r->marking);
}
