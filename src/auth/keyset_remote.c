/* The life of a key set that comes from a URL; see keyset.h for the rules and keyset_impl.h for the
 * parts.  One fetch at a time; every outcome passes through succeeded or failed, which set the
 * timer for the next one and wake everybody who waits. */
#include <config.h> /* asprintf */

#include "auth/keyset_impl.h"

#include <stdio.h>
#include <string.h>

#include "ops/log.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/limits.h"
#include "util/safefile.h"
#include "util/url.h"

enum { SIBLING_LOOK_MS = 250, REDISCOVER_MS = 86400 * 1000, LONGEST_SAID = 120 };

static int64_t age_ms(const struct keyset *ks)
{
  return clock_mono_ms() - ks->remote.fetched_ms;
}

bool remote_too_old(const struct keyset *ks)
{
  return age_ms(ks) > ks->remote.lifetime_ms + KEYSET_STALE_MS;
}

bool remote_failing(const struct keyset *ks)
{
  return ks->remote.failures > 0;
}

/* Https, or http on this machine (invariant: keys are never read over a wire in the clear). */
static int check_url(const char *text, struct err *e)
{
  struct url u;
  if (url_parse(str_of(text), &u, e) < 0)
    return -1;
  if (!u.https && !url_loopback(&u))
    return err_set(e, "keys come over https only");
  return 0;
}

/* ------------------------------------------------------------------ when to look next */

/* At three quarters of the lifetime, give or take a twentieth, so that workers and hubs do not all
 * come at once. */
static void schedule_refresh(struct keyset *ks)
{
  struct remote *r = &ks->remote;
  int64_t at = r->lifetime_ms / 100 * (70 + arc4random_uniform(11)) - age_ms(ks);
  loop_timer_set(ks->env.loop, &r->refresh, at > 0 ? at : 0);
}

static void schedule_retry(struct keyset *ks)
{
  struct remote *r = &ks->remote;
  int64_t ms = r->failures >= KEYSET_BREAKER ? KEYSET_PROBE_MS : 1000 << (r->failures - 1);
  loop_timer_set(ks->env.loop, &r->refresh, ms < KEYSET_PROBE_MS ? ms : KEYSET_PROBE_MS);
}

/* ------------------------------------------------------------------ copies of siblings */

static int replace_uri(struct remote *r, const char *uri)
{
  char *copy = strdup(uri);
  if (copy == NULL)
    return -1;
  free(r->jwks_uri);
  r->jwks_uri = copy;
  return 0;
}

/* Milliseconds since S was fetched. */
static int64_t stored_age(const struct stored *s)
{
  int64_t age = clock_wall_ms() - s->fetched_ms;
  return age > 0 ? age : 0;
}

static void take_stored(struct keyset *ks, struct stored *s)
{
  struct remote *r = &ks->remote;
  r->fetched_wall_ms = s->fetched_ms;
  r->fetched_ms = clock_mono_ms() - stored_age(s);
  r->lifetime_ms = s->lifetime_s * 1000;
  r->failures = 0;
  if (s->jwks_uri && r->jwks_uri == NULL && replace_uri(r, s->jwks_uri) == 0) {
    r->discovered = true;
    r->discovered_ms = r->fetched_ms;
  }
  keyset_adopt(ks, steal_ptr(&s->keys));
  schedule_refresh(ks);
}

/* Takes the stored keys when they are news; false when there are none. */
static bool load_stored(struct keyset *ks)
{
  struct remote *r = &ks->remote;
  struct stored s;
  struct stat st;
  struct err e = {""};
  if (r->path == NULL || stat(r->path, &st) < 0 || safefile_same(&st, &r->stored))
    return false;
  r->stored = st;
  if (store_load(r->path, r->url, &s, NULL, &e) < 0) {
    log_warn("provider %s: stored keys are not used: %s", ks->name, e.text);
    return false;
  }
  bool news = (ks->keys == NULL || s.fetched_ms > r->fetched_wall_ms) &&
              stored_age(&s) <= s.lifetime_s * 1000 + KEYSET_STALE_MS;
  if (news)
    take_stored(ks, &s);
  jwks_free(s.keys);
  free(s.jwks_uri);
  return news;
}

/* ------------------------------------------------------------------ outcomes */

static void failed(struct keyset *ks, const char *what, const char *why)
{
  struct remote *r = &ks->remote;
  r->step = STEP_NONE;
  r->failures++;
  r->discovered = false; /* perhaps the keys have moved */
  metric_add(METRIC_JWKS_FAILURES, 1);
  if (r->failures == 1 || r->failures == KEYSET_BREAKER)
    log_warn("provider %s: keys of %s: %s: %s%s", ks->name, r->url, what, why,
             ks->keys ? "; the old keys go on serving" : "; there are no keys");
  schedule_retry(ks);
  keyset_settled(ks);
}

static int64_t lifetime_of(const struct fetch_reply *reply)
{
  int64_t s = reply->max_age_s;
  if (s < 0)
    return KEYSET_LIFETIME_MS;
  if (s < KEYSET_LIFETIME_MIN_MS / 1000)
    return KEYSET_LIFETIME_MIN_MS;
  return s > KEYSET_LIFETIME_MAX_MS / 1000 ? KEYSET_LIFETIME_MAX_MS : s * 1000;
}

static void keep(struct keyset *ks, struct str body)
{
  struct remote *r = &ks->remote;
  struct err e = {""};
  if (r->path == NULL)
    return;
  char *document =
      store_document(r->url, r->jwks_uri, body, r->fetched_wall_ms, r->lifetime_ms / 1000, &e);
  if (document)
    store_save(ks->env.lane, r->path, document);
  else
    log_warn("provider %s: keys cannot be kept: %s", ks->name, e.text);
}

static void succeeded(struct keyset *ks, struct jwks *keys, const struct fetch_reply *reply)
{
  struct remote *r = &ks->remote;
  if (r->failures)
    log_info("provider %s: keys of %s are there again", ks->name, r->url);
  r->step = STEP_NONE;
  r->failures = 0;
  r->fetched_ms = clock_mono_ms();
  r->fetched_wall_ms = clock_wall_ms();
  r->lifetime_ms = lifetime_of(reply);
  metric_add(METRIC_JWKS_FETCHES, 1);
  keyset_adopt(ks, keys);
  keep(ks, reply->body);
  schedule_refresh(ks);
  keyset_settled(ks);
}

/* ------------------------------------------------------------------ fetching */

static void on_reply(void *arg, const struct fetch_reply *reply);

static void start(struct keyset *ks, enum remote_step step, const char *url)
{
  static const char *const headers[] = {"Accept: application/json, application/jwk-set+json", NULL};
  struct fetch_request rq = {
      .method = "GET",
      .url = url,
      .headers = headers,
      .timeout_ms = KEYSET_FETCH_MS,
      .max_reply = LIMIT_JWKS_BYTES,
      .ca_file = ks->ca_file,
      .egress_proxy = ks->egress_proxy,
  };
  struct err e = {""};
  ks->remote.step = step;
  ks->remote.fetch = fetch_start(ks->env.fetcher, &rq, on_reply, ks, &e);
  if (ks->remote.fetch == NULL)
    failed(ks, "fetch", e.text);
}

/* OpenID Connect Discovery 4: behind the issuer, without its last slash. */
static void start_openid(struct keyset *ks)
{
  AUTO_FREE char *url = NULL;
  struct str issuer = str_of(ks->remote.url);
  if (str_ends(issuer, "/"))
    issuer.n--;
  if (asprintf(&url, "%.*s/.well-known/openid-configuration", STR_ARG(issuer)) < 0) {
    url = NULL;
    failed(ks, "discovery", "out of memory");
    return;
  }
  start(ks, STEP_OPENID, url);
}

/* RFC 8414 section 3.1: between the host and the path. */
static void start_oauth(struct keyset *ks)
{
  AUTO_FREE char *url = NULL;
  struct url u;
  struct err e = {""};
  if (url_parse(str_of(ks->remote.url), &u, &e) < 0) {
    failed(ks, "discovery", e.text);
    return;
  }
  if (str_ends(u.path, "/"))
    u.path.n--;
  if (asprintf(&url, "%s://%.*s/.well-known/oauth-authorization-server%.*s",
               u.https ? "https" : "http", STR_ARG(u.authority), STR_ARG(u.path)) < 0) {
    url = NULL;
    failed(ks, "discovery", "out of memory");
    return;
  }
  start(ks, STEP_OAUTH, url);
}

/* Whether the address of the keys may be used as it is known. */
static bool knows_where(const struct keyset *ks)
{
  const struct remote *r = &ks->remote;
  if (ks->kind == KEYSET_JWKS_URI)
    return true;
  return r->jwks_uri && r->discovered && clock_mono_ms() - r->discovered_ms < REDISCOVER_MS;
}

static void begin(struct keyset *ks)
{
  loop_timer_stop(ks->env.loop, &ks->remote.refresh);
  if (knows_where(ks))
    start(ks, STEP_JWKS, ks->remote.jwks_uri);
  else
    start_openid(ks);
}

/* The metadata document: who it says it is, and where its keys are. */
static int read_metadata(struct keyset *ks, struct str body, struct err *e)
{
  CLEANUP(json_drop) json_t *doc = json_parse(body, LIMIT_JWT_DEPTH, LIMIT_JSON_VALUES, e);
  struct str uri = json_str(doc, "jwks_uri");
  if (doc == NULL)
    return -1;
  if (!str_is(json_str(doc, "issuer"), ks->remote.url))
    return err_set(e, "the document is of another issuer: '%.*s'",
                   STR_ARG(str_slice(json_str(doc, "issuer"), 0, LONGEST_SAID)));
  if (uri.p == NULL)
    return err_set(e, "jwks_uri is missing");
  if (check_url(uri.p, e) < 0)
    return err_prefix(e, "jwks_uri");
  if (str_starts(str_of(ks->remote.url), "https:") && !str_starts(uri, "https:"))
    return err_set(e, "jwks_uri is not https");
  if (replace_uri(&ks->remote, uri.p) < 0)
    return err_set(e, "out of memory");
  ks->remote.discovered = true;
  ks->remote.discovered_ms = clock_mono_ms();
  return 0;
}

static void on_metadata(struct keyset *ks, const struct fetch_reply *reply)
{
  struct err e = {""};
  /* Not there is a reason to look in the second place; wrong is not. */
  if (ks->remote.step == STEP_OPENID && reply->status >= 400 && reply->status < 500)
    start_oauth(ks);
  else if (read_metadata(ks, reply->body, &e) < 0)
    failed(ks, "discovery", e.text);
  else
    start(ks, STEP_JWKS, ks->remote.jwks_uri);
}

static void on_keys(struct keyset *ks, const struct fetch_reply *reply)
{
  struct err e = {""};
  struct jwks *keys = jwks_parse(reply->body, false, &e);
  if (keys == NULL)
    failed(ks, "document", e.text);
  else
    succeeded(ks, keys, reply);
}

static void on_reply(void *arg, const struct fetch_reply *reply)
{
  struct keyset *ks = arg;
  struct remote *r = &ks->remote;
  char status[32];
  bool missing = r->step == STEP_OPENID && reply->status >= 400 && reply->status < 500;
  r->fetch = NULL;
  if (reply->status != 200 && !missing) {
    snprintf(status, sizeof status, "status %d", reply->status);
    failed(ks, r->step == STEP_JWKS ? "fetch" : "discovery", reply->status ? status : reply->error);
  } else if (r->step == STEP_JWKS)
    on_keys(ks, reply);
  else
    on_metadata(ks, reply);
}

/* ------------------------------------------------------------------ timers */

static void on_refresh(struct timer *t)
{
  struct remote *r = container_of(t, struct remote, refresh);
  struct keyset *ks = container_of(r, struct keyset, remote);
  if (!load_stored(ks) || age_ms(ks) >= r->lifetime_ms / 100 * 70)
    begin(ks);
}

static void on_sibling(struct timer *t)
{
  struct remote *r = container_of(t, struct remote, sibling);
  struct keyset *ks = container_of(r, struct keyset, remote);
  if (!load_stored(ks) && clock_mono_ms() < r->sibling_until_ms) {
    loop_timer_set(ks->env.loop, t, SIBLING_LOOK_MS);
    return;
  }
  r->sibling_until_ms = 0;
  keyset_settled(ks);
}

/* ------------------------------------------------------------------ from keyset.c */

enum remote_hope remote_want(struct keyset *ks)
{
  struct remote *r = &ks->remote;
  int64_t now = clock_mono_ms();
  if (r->failures < KEYSET_BREAKER && (r->fetch || r->sibling_until_ms))
    return HOPE_WAIT;
  if (load_stored(ks))
    return HOPE_AGAIN;
  if (r->failures)
    return HOPE_UNKNOWN;
  if (now < r->quiet_until_ms)
    return HOPE_NONE;
  r->quiet_until_ms = now + KEYSET_FORCED_MS;
  if (ks->env.shm == NULL || shm_may_fetch(ks->env.shm, str_of(r->url), KEYSET_FORCED_MS)) {
    begin(ks);
    return r->fetch ? HOPE_WAIT : HOPE_UNKNOWN;
  }
  r->sibling_until_ms = now + KEYSET_SIBLING_MS;
  loop_timer_set(ks->env.loop, &r->sibling, SIBLING_LOOK_MS);
  return HOPE_WAIT;
}

int remote_open(struct keyset *ks, const char *url, struct err *e)
{
  struct remote *r = &ks->remote;
  r->refresh.fire = on_refresh;
  r->sibling.fire = on_sibling;
  r->lifetime_ms = KEYSET_LIFETIME_MS;
  if (check_url(url, e) < 0)
    return err_prefix(e, "%s", url);
  r->url = strdup(url);
  if (r->url == NULL || (ks->kind == KEYSET_JWKS_URI && replace_uri(r, url) < 0))
    return err_set(e, "out of memory");
  if (ks->env.lane && ks->env.state_dir && (r->path = store_path(ks->env.state_dir, url)) == NULL)
    return err_set(e, "out of memory");
  if (!load_stored(ks))
    begin(ks);
  return 0;
}

void remote_done(struct keyset *ks)
{
  struct remote *r = &ks->remote;
  if (r->fetch)
    fetch_cancel(r->fetch);
  loop_timer_stop(ks->env.loop, &r->refresh);
  loop_timer_stop(ks->env.loop, &r->sibling);
  free(r->url);
  free(r->jwks_uri);
  free(r->path);
}
