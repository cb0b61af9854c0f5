/* Callers in the shared page; see callers.h.
 *
 * Every table is open addressing over PROBES places.  A place changes its key with one
 * compare-and-swap; whoever loses a race or finds no place shares one, or does without. */
#include "ops/callers.h"

#include "ops/shm_inside.h"
#include "util/clock.h"

enum { PROBES = 8 };

uint64_t caller_key(struct shm *s, enum caller_kind kind, struct str a, struct str b, struct str c)
{
  const char k = (char)kind;
  uint64_t key = hash_parts(&s->key, (struct str[]){{&k, 1}, a, b, c}, 4);
  return key ? key : 1;
}

/* ---- rates */

/* The place of KEY; a place whose debt is paid off is as good as free.  With all taken, it shares
 * one: somebody waits a little too long. */
static struct rate *rate_of(struct shm *s, uint64_t key, int64_t now_us)
{
  struct rate *idle = NULL;
  for (uint64_t i = 0; i < PROBES; i++) {
    struct rate *r = &s->rates[(key + i) % SHM_RATES];
    if (atomic_load_explicit(&r->key, memory_order_relaxed) == key)
      return r;
    if (idle == NULL && atomic_load_explicit(&r->earned_us, memory_order_relaxed) <= now_us)
      idle = r;
  }
  if (idle)
    atomic_store_explicit(&idle->key, key, memory_order_relaxed);
  return idle ? idle : &s->rates[key % SHM_RATES];
}

static int64_t spend(struct shm *s, uint64_t key, unsigned rate, int64_t per_ms, bool take)
{
  if (key == 0 || rate == 0)
    return 0;
  int64_t now = clock_mono_us(), window = per_ms * 1000, each = window / rate;
  struct rate *r = rate_of(s, key, now);
  int64_t earned = atomic_load(&r->earned_us), from;
  do {
    from = earned > now ? earned : now;
    if (from + each > now + window)
      return (from + each - now - window) / 1000 + 1;
  } while (take && !atomic_compare_exchange_weak(&r->earned_us, &earned, from + each));
  return 0;
}

int64_t caller_spend(struct shm *s, uint64_t key, unsigned rate, int64_t per_ms)
{
  return spend(s, key, rate, per_ms, true);
}

int64_t caller_wait(struct shm *s, uint64_t key, unsigned rate, int64_t per_ms)
{
  return spend(s, key, rate, per_ms, false);
}

/* ---- streams */

static uint32_t streams_of(struct shm *s, uint64_t key)
{
  for (uint64_t i = 0; i < PROBES; i++) {
    uint32_t at = (uint32_t)((key + i) % SHM_STREAMS);
    if (atomic_load_explicit(&s->streams[at].key, memory_order_relaxed) == key)
      return at;
  }
  for (uint64_t i = 0; i < PROBES; i++) {
    uint32_t at = (uint32_t)((key + i) % SHM_STREAMS);
    uint64_t before = atomic_load(&s->streams[at].key);
    if (atomic_load(&s->streams[at].open) == 0 &&
        atomic_compare_exchange_strong(&s->streams[at].key, &before, key))
      return at;
  }
  return (uint32_t)(key % SHM_STREAMS);
}

uint32_t caller_stream_open(struct shm *s, uint64_t key, unsigned max)
{
  int place = shm_place(s);
  if (place < 0)
    return 0; /* a worker always has a place: no count, no stream */
  uint32_t at = streams_of(s, key);
  atomic_fetch_add(&s->held[place][at], 1);
  if (atomic_fetch_add(&s->streams[at].open, 1) < max)
    return at + 1;
  caller_stream_close(s, at + 1);
  return 0;
}

/* Never below 0: a process that dies between two steps must not open the limit for ever. */
static void give_back(struct streams *t, uint32_t n)
{
  uint32_t open = atomic_load(&t->open);
  while (!atomic_compare_exchange_weak(&t->open, &open, open > n ? open - n : 0)) {
  }
}

void caller_stream_close(struct shm *s, uint32_t handle)
{
  int place = shm_place(s);
  if (handle == 0 || place < 0)
    return;
  give_back(&s->streams[handle - 1], 1);
  atomic_fetch_sub(&s->held[place][handle - 1], 1);
}

void callers_fold(struct shm *s, size_t place)
{
  for (size_t i = 0; i < SHM_STREAMS; i++) {
    uint16_t n = atomic_exchange(&s->held[place][i], 0);
    if (n)
      give_back(&s->streams[i], n);
  }
}

/* ---- sessions */

static struct session *session_find(struct shm *s, uint64_t name)
{
  for (uint64_t i = 0; i < PROBES; i++) {
    struct session *t = &s->sessions[(name + i) % SHM_SESSIONS];
    if (atomic_load_explicit(&t->name, memory_order_acquire) == name)
      return t;
  }
  return NULL;
}

/* Takes the place that was used least lately. */
static struct session *session_take(struct shm *s, uint64_t name)
{
  struct session *oldest = &s->sessions[name % SHM_SESSIONS];
  for (uint64_t i = 1; i < PROBES; i++) {
    struct session *t = &s->sessions[(name + i) % SHM_SESSIONS];
    if (atomic_load(&t->used_ms) < atomic_load(&oldest->used_ms))
      oldest = t;
  }
  atomic_store(&oldest->name, 0);
  atomic_store(&oldest->expires_at, 0);
  atomic_store(&oldest->owner, 0);
  atomic_store(&oldest->waiting, 0);
  atomic_store_explicit(&oldest->name, name, memory_order_release);
  return oldest;
}

static struct session *session_of(struct shm *s, uint64_t name)
{
  struct session *t = session_find(s, name);
  if (t == NULL)
    t = session_take(s, name);
  atomic_store_explicit(&t->used_ms, clock_mono_ms(), memory_order_relaxed);
  return t;
}

void caller_session_seen(struct shm *s, uint64_t name, int64_t expires_at)
{
  struct session *t = session_of(s, name);
  int64_t until = expires_at ? expires_at : INT64_MAX, known = atomic_load(&t->expires_at);
  while (known < until && !atomic_compare_exchange_weak(&t->expires_at, &known, until)) {
  }
}

int64_t caller_session_expiry(struct shm *s, uint64_t name)
{
  struct session *t = session_find(s, name);
  return t ? atomic_load(&t->expires_at) : 0;
}

void caller_session_begun(struct shm *s, uint64_t name)
{
  session_of(s, name);
}

bool caller_session_claim(struct shm *s, uint64_t name, uint64_t owner)
{
  uint64_t nobody = 0;
  if (session_find(s, name) == NULL)
    return false;
  struct session *t = session_of(s, name);
  if (owner == 0)
    return atomic_load(&t->owner) == 0;
  return atomic_compare_exchange_strong(&t->owner, &nobody, owner) || nobody == owner;
}

void caller_session_asked(struct shm *s, uint64_t name)
{
  struct session *t = session_of(s, name);
  atomic_store(&t->asked_ms, clock_mono_ms());
  atomic_fetch_add(&t->waiting, 1);
}

void caller_session_answered(struct shm *s, uint64_t name)
{
  struct session *t = session_find(s, name);
  int32_t waiting = t ? atomic_load(&t->waiting) : 0;
  while (waiting > 0 && !atomic_compare_exchange_weak(&t->waiting, &waiting, waiting - 1)) {
  }
}

bool caller_session_waits(struct shm *s, uint64_t name, int64_t most_ms)
{
  struct session *t = session_find(s, name);
  return t && atomic_load(&t->waiting) > 0 && clock_mono_ms() - atomic_load(&t->asked_ms) < most_ms;
}

/* ---- tasks */

void caller_task_given(struct shm *s, uint64_t task, uint64_t owner)
{
  struct task_owner *oldest = &s->tasks[task % SHM_TASKS];
  for (uint64_t i = 0; i < PROBES; i++) {
    struct task_owner *t = &s->tasks[(task + i) % SHM_TASKS];
    if (atomic_load(&t->task) == task)
      return; /* whose it was first */
    if (atomic_load(&t->given_ms) < atomic_load(&oldest->given_ms))
      oldest = t;
  }
  atomic_store(&oldest->task, 0);
  atomic_store(&oldest->owner, owner);
  atomic_store(&oldest->given_ms, clock_mono_ms());
  atomic_store(&oldest->task, task);
}

bool caller_task_is(struct shm *s, uint64_t task, uint64_t owner)
{
  for (uint64_t i = 0; i < PROBES; i++) {
    struct task_owner *t = &s->tasks[(task + i) % SHM_TASKS];
    if (atomic_load(&t->task) == task)
      return atomic_load(&t->owner) == owner;
  }
  return false;
}

/* ---- what decides access */

static struct access *access_of(struct shm *s, uint64_t service)
{
  for (uint64_t i = 0; i < PROBES; i++) {
    struct access *a = &s->access[(service + i) % SHM_SERVICES];
    if (atomic_load(&a->service) == service)
      return a;
  }
  return NULL;
}

/* A place of a generation that is over goes first. */
static struct access *access_take(struct shm *s, uint64_t service)
{
  struct access *oldest = &s->access[service % SHM_SERVICES];
  for (uint64_t i = 1; i < PROBES; i++) {
    struct access *a = &s->access[(service + i) % SHM_SERVICES];
    if (atomic_load(&a->generation) < atomic_load(&oldest->generation))
      oldest = a;
  }
  atomic_store(&oldest->service, service);
  return oldest;
}

void caller_access_set(struct shm *s, uint64_t service, uint64_t generation, uint64_t access)
{
  struct access *a = access_of(s, service);
  if (a == NULL)
    a = access_take(s, service);
  if (atomic_load(&a->generation) > generation)
    return; /* a worker that was replaced late */
  atomic_store(&a->access, access);
  atomic_store(&a->generation, generation);
  uint64_t latest = atomic_load(&s->generation);
  while (latest < generation &&
         !atomic_compare_exchange_weak(&s->generation, &latest, generation)) {
  }
}

bool caller_access_changed(struct shm *s, uint64_t service, uint64_t generation, uint64_t access)
{
  struct access *a = access_of(s, service);
  if (atomic_load(&s->generation) <= generation)
    return false; /* this is the latest: the daemon ends */
  return a == NULL || atomic_load(&a->generation) <= generation ||
         atomic_load(&a->access) != access;
}
