/* Identity cache and single flight in front of the calls of providers; see identify.h.
 *
 * A flight is one call under way with everybody who waits for its answer.  It ends when the answer
 * is there or when the last waiter has left; that the first one leaves changes nothing.  Who may
 * take the answer of a call that was made with somebody else's request: everybody when it is an OK
 * that the provider allows to reuse; otherwise those whose request looks the same, or all if the
 * provider never looked.  The rest ask for themselves. */
#include "auth/identify.h"

#include <stdlib.h>
#include <string.h>

#include "ops/metrics.h"
#include "store/keyring.h"
#include "ops/shm.h"
#include "util/clock.h"

enum { FLIGHT_BUCKETS = 1024 };

struct flight {
  struct flight *chain; /* in its bucket, when listed */
  struct identify *table;
  bool listed, ending, keyed;
  struct cache_key key;
  struct cache_mark mark;
  struct mcpauth_instance *instance;
  struct mcpauth_request *call;
  struct identify_line *first; /* who waits */
};

struct identify {
  struct host *host;
  struct cache *cache;
  struct hash_secret secret;
  struct flight *flights[FLIGHT_BUCKETS];
};

struct identify *identify_new(struct host *h)
{
  struct identify *t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  t->host = h;
  t->cache = cache_new(h->options.dry_run ? 0 : IDENTITY_CACHE_MAX);
  if (t->cache == NULL || hash_secret_init(&t->secret) < 0) {
    identify_free(t);
    return NULL;
  }
  return t;
}

void identify_free(struct identify *t)
{
  if (t == NULL)
    return;
  cache_free(t->cache);
  free(t);
}

/* ---- the cache */

/* A key ring that was read again may lack a key that signed what is known. */
static uint64_t ring_changes(const struct identify *t)
{
  const struct keyring *keys = t->host->options.keys;
  return keys ? keyring_changes(keys) : 0;
}

/* Neither number ever falls: their sum stays only when both do. */
uint64_t identify_revocations(const struct identify *t)
{
  struct shm *shm = t->host->options.shm;
  return (shm ? shm_revocations(shm) : 0) + ring_changes(t);
}

static uint64_t epoch_of(const struct identify *t, const struct principal *p)
{
  struct shm *shm = t->host->options.shm;
  return shm ? shm_epoch(shm, str_of(p->issuer), str_of(p->subject)) : 0;
}

struct principal *identify_cached(struct identify *t, const struct identify_line *l)
{
  struct cache_found f;
  if (!l->keyed || !l->instance->reuses ||
      !cache_get(t->cache, &l->key, clock_mono_ms(), clock_wall(), &f))
    return NULL;
  if (f.mark.files == l->instance->files && f.mark.revocations == epoch_of(t, f.principal)) {
    metric_add(METRIC_CACHE_HITS, 1);
    return f.principal;
  }
  cache_drop(t->cache, &l->key);
  return NULL;
}

/* How long an OK may be kept, in milliseconds.  The expiry becomes a lifetime here, so that a wall
 * clock that is set back revives nothing. */
static int64_t lifetime_of(const struct principal *p)
{
  int64_t most = p->reuse_ms < IDENTITY_TTL_MS ? p->reuse_ms : IDENTITY_TTL_MS;
  int64_t left = p->expires_at ? p->expires_at - clock_wall() : INT64_MAX;
  if (left <= 0)
    return 0;
  return left < most / 1000 + 1 ? (left * 1000 < most ? left * 1000 : most) : most;
}

/* MARK is of the time before the call.  The epoch is read before the count is compared, and a
 * revocation moves the count before the epoch: one that comes in between is seen by either. */
static void keep(struct identify *t, const struct cache_key *key, struct mcpauth_instance *i,
                 struct cache_mark mark, const struct call_answer *a)
{
  if (a->result != MCPAUTH_OK)
    return;
  i->reuses = a->principal->reuse_ms > 0;
  int64_t lifetime = i->reuses ? lifetime_of(a->principal) : 0;
  if (lifetime <= 0)
    return;
  struct cache_mark now = {epoch_of(t, a->principal), i->files};
  if (identify_revocations(t) == mark.revocations && now.files == mark.files)
    cache_put(t->cache, key, a->principal, now, clock_mono_ms() + lifetime);
}

struct principal *identify_known(struct identify *t, const struct cache_key *key)
{
  struct cache_found f;
  if (!cache_get(t->cache, key, clock_mono_ms(), clock_wall(), &f))
    return NULL;
  if (f.mark.revocations == epoch_of(t, f.principal) && f.mark.files == ring_changes(t)) {
    metric_add(METRIC_CACHE_HITS, 1);
    return f.principal;
  }
  cache_drop(t->cache, key);
  return NULL;
}

void identify_keep(struct identify *t, const struct cache_key *key, struct principal *p,
                   uint64_t revocations)
{
  int64_t lifetime = lifetime_of(p);
  struct cache_mark now = {epoch_of(t, p), ring_changes(t)};
  if (lifetime > 0 && identify_revocations(t) == revocations)
    cache_put(t->cache, key, p, now, clock_mono_ms() + lifetime);
}

/* ---- flights */

static struct flight **bucket(struct identify *t, const struct cache_key *key)
{
  return &t->flights[cache_hash(&t->secret, key) % FLIGHT_BUCKETS];
}

static struct flight *find(struct identify *t, const struct cache_key *key)
{
  struct flight *f = *bucket(t, key);
  while (f && !cache_key_eq(&f->key, key))
    f = f->chain;
  return f;
}

static void list_flight(struct flight *f)
{
  struct flight **at = bucket(f->table, &f->key);
  f->chain = *at;
  *at = f;
  f->listed = true;
}

static void unlist_flight(struct flight *f)
{
  if (!f->listed)
    return;
  struct flight **at = bucket(f->table, &f->key);
  while (*at != f)
    at = &(*at)->chain;
  *at = f->chain;
  f->listed = false;
}

static const char *certificate_of(const struct mcpauth_facts *f)
{
  return f->certificate ? f->certificate->sha256 : "";
}

static bool same_look(const struct mcpauth_facts *a, const struct mcpauth_facts *b)
{
  return strcmp(a->address, b->address) == 0 && strcmp(a->method, b->method) == 0 &&
         a->tls == b->tls && strcmp(certificate_of(a), certificate_of(b)) == 0;
}

static void join(struct flight *f, struct identify_line *l)
{
  l->same_look = same_look(l->facts, call_facts(f->call));
  l->flight = f;
  l->at = &f->first;
  l->next = f->first;
  if (l->next)
    l->next->at = &l->next;
  f->first = l;
}

static void leave(struct identify_line *l)
{
  *l->at = l->next;
  if (l->next)
    l->next->at = l->at;
  l->flight = NULL;
}

void identify_cancel(struct identify_line *l)
{
  struct flight *f = l->flight;
  if (f == NULL)
    return;
  leave(l);
  if (f->first || f->ending)
    return;
  unlist_flight(f);
  call_cancel(f->call);
  free(f);
}

static bool may_take(const struct identify_line *l, const struct call_answer *a)
{
  if (l->same_look || !a->looked)
    return true;
  return a->result == MCPAUTH_OK && a->principal->reuse_ms > 0;
}

static void give(struct identify_line *l, const struct call_answer *a)
{
  struct call_answer own = *a;
  if (own.principal)
    principal_ref(own.principal);
  json_incref(own.claims);
  l->done(l, &own);
  call_answer_done(&own);
}

static bool fly(struct identify *t, struct identify_line *l, bool listed, struct call_answer *ret);

/* With its own request, sharing nothing. */
static void ask_again(struct identify *t, struct identify_line *l)
{
  struct call_answer a;
  if (!fly(t, l, false, &a))
    return;
  l->done(l, &a);
  call_answer_done(&a);
}

/* Whoever is called here may cancel any of the others. */
static void answered(void *arg, struct call_answer *a)
{
  struct flight *f = arg;
  unlist_flight(f);
  f->ending = true;
  if (f->keyed)
    keep(f->table, &f->key, f->instance, f->mark, a);
  while (f->first) {
    struct identify_line *l = f->first;
    leave(l);
    if (may_take(l, a))
      give(l, a);
    else
      ask_again(f->table, l);
  }
  free(f);
}

/* Calls the provider.  true: *RET is the answer already. */
static bool fly(struct identify *t, struct identify_line *l, bool listed, struct call_answer *ret)
{
  struct flight *f = calloc(1, sizeof *f);
  if (f == NULL) {
    *ret = (struct call_answer){.result = MCPAUTH_ERROR, .reason = "out of memory"};
    return true;
  }
  struct call_spec spec = {.instance = l->instance,
                           .kind = l->account ? CALL_ACCOUNT : CALL_VERIFY,
                           .credential = l->credential,
                           .facts = l->facts,
                           .who = l->who,
                           .known = l->known,
                           .done = answered,
                           .arg = f};
  *f = (struct flight){.table = t,
                       .keyed = l->keyed,
                       .key = l->key,
                       .mark = {l->revocations, l->instance->files},
                       .instance = l->instance};
  metric_add(METRIC_PROVIDER_CALLS, 1);
  f->call = call_start(&spec, ret);
  if (f->call == NULL) {
    if (f->keyed)
      keep(t, &f->key, f->instance, f->mark, ret);
    free(f);
    return true;
  }
  if (listed)
    list_flight(f);
  join(f, l);
  return false;
}

/* Begun before a revocation or another file that L came after. */
static bool stale(const struct flight *f, const struct identify_line *l)
{
  return f->mark.revocations != l->revocations || f->mark.files != l->instance->files;
}

bool identify_start(struct identify *t, struct identify_line *l, struct call_answer *ret)
{
  bool share = l->keyed && l->instance->reuses && !t->host->options.dry_run;
  struct flight *f = share ? find(t, &l->key) : NULL;
  if (f && stale(f, l)) {
    unlist_flight(f); /* for those who came in time */
    f = NULL;
  }
  if (l->keyed)
    metric_add(METRIC_CACHE_MISSES, 1);
  if (f == NULL)
    return fly(t, l, share, ret);
  join(f, l);
  return false;
}
