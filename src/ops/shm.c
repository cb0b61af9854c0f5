/* The shared page; see shm.h.
 *
 * Counters never fall and nothing is ever copied: a slot keeps its counts when its process has
 * ended, and the next process that takes the slot counts on from there.  The sum over all slots is
 * the total, whoever lives.  Only gauges and the turn count are cleared ("folding"). */
#include "ops/shm_inside.h"

#include <string.h>
#include <sys/mman.h>

#include "ops/shared.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { PROBES = 8 };

static struct slot private_slot; /* of a process that has attached to no page */
static struct slot *mine = &private_slot;

struct shm *shm_create(struct err *e)
{
  AUTO_CLOSE int fd = -1;
  return shm_map(&fd, e);
}

struct shm *shm_map(int *fd, struct err *e)
{
  bool is_new = *fd < 0;
  struct shm *s = shared_map("shared page", sizeof *s, fd, e);
  if (s && is_new && hash_key_new(&s->key) < 0) {
    err_set(e, "shared page: no random numbers");
    munmap(s, sizeof *s);
    return NULL;
  }
  return s;
}

size_t shm_size(void)
{
  return sizeof(struct shm);
}

int shm_place(const struct shm *s)
{
  return mine == &private_slot ? -1 : (int)(mine - s->slots);
}

int shm_attach(struct shm *s, int pid)
{
  mine = &private_slot; /* never the parent's */
  for (size_t i = 0; i < SHM_SLOTS; i++) {
    int free_pid = 0;
    if (atomic_compare_exchange_strong(&s->slots[i].pid, &free_pid, pid)) {
      mine = &s->slots[i];
      return 0;
    }
  }
  return -1;
}

static struct slot *slot_of(struct shm *s, int pid)
{
  for (size_t i = 0; i < SHM_SLOTS; i++)
    if (atomic_load_explicit(&s->slots[i].pid, memory_order_relaxed) == pid)
      return &s->slots[i];
  return NULL;
}

static bool is_gauge(enum metric m)
{
  return strcmp(metric_info[m].type, "gauge") == 0;
}

void shm_fold(struct shm *s, int pid)
{
  struct slot *slot = pid > 0 ? slot_of(s, pid) : NULL;
  if (slot == NULL)
    return;
  for (int m = 0; m < METRIC_COUNT; m++)
    if (is_gauge((enum metric)m))
      atomic_store(&slot->values[m], 0);
  atomic_store(&slot->turns, 0);
  callers_fold(s, (size_t)(slot - s->slots));
  atomic_store(&slot->pid, 0);
}

void metric_add(enum metric m, uint64_t n)
{
  atomic_fetch_add_explicit(&mine->values[m], n, memory_order_relaxed);
}

void metric_set(enum metric m, int64_t v)
{
  atomic_store_explicit(&mine->values[m], (uint64_t)v, memory_order_relaxed);
}

uint64_t shm_total(struct shm *s, enum metric m)
{
  uint64_t total = 0;
  for (size_t i = 0; i < SHM_SLOTS; i++)
    total += atomic_load_explicit(&s->slots[i].values[m], memory_order_relaxed);
  return total;
}

uint64_t shm_value_of(struct shm *s, int pid, enum metric m)
{
  struct slot *slot = pid > 0 ? slot_of(s, pid) : NULL;
  return slot ? atomic_load_explicit(&slot->values[m], memory_order_relaxed) : 0;
}

void shm_turn(struct shm *s, uint64_t turns)
{
  (void)s;
  atomic_store_explicit(&mine->turns, turns, memory_order_relaxed);
}

int64_t shm_turn_ms(int64_t watchdog_ms)
{
  int64_t ms = watchdog_ms / 4;
  return ms > 1000 ? 1000 : ms < 100 ? 100 : ms;
}

uint64_t shm_turns_of(struct shm *s, int pid)
{
  struct slot *slot = pid > 0 ? slot_of(s, pid) : NULL;
  return slot ? atomic_load_explicit(&slot->turns, memory_order_relaxed) : 0;
}

/* ---- FNV-1a with a final mix: who collides is only revoked or delayed once too often */

static uint64_t hash_add(uint64_t h, struct str s)
{
  for (size_t i = 0; i < s.n; i++)
    h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
  return (h ^ 0xff) * UINT64_C(1099511628211); /* ends the part: ("a","bc") is not ("ab","c") */
}

static uint64_t hash_mix(uint64_t h)
{
  h ^= h >> 33;
  h *= UINT64_C(0xff51afd7ed558ccd);
  h ^= h >> 33;
  return h;
}

static const uint64_t hash_basis = UINT64_C(14695981039346656037);

static _Atomic uint64_t *epoch_of(struct shm *s, struct str issuer, struct str subject)
{
  uint64_t h = hash_mix(hash_add(hash_add(hash_basis, issuer), subject));
  return &s->epochs[h % SHM_EPOCHS];
}

uint64_t shm_revocations(struct shm *s)
{
  return atomic_load(&s->revocations);
}

uint64_t shm_epoch(struct shm *s, struct str issuer, struct str subject)
{
  return atomic_load(epoch_of(s, issuer, subject));
}

void shm_revoke(struct shm *s, struct str issuer, struct str subject)
{
  atomic_fetch_add(&s->revocations, 1);
  atomic_fetch_add(epoch_of(s, issuer, subject), 1);
}

void shm_revoke_all(struct shm *s)
{
  atomic_fetch_add(&s->revocations, 1);
  for (size_t i = 0; i < SHM_EPOCHS; i++)
    atomic_fetch_add(&s->epochs[i], 1);
}

/* The URL's mark, taken on first use; when all places are taken it shares another's. */
static struct mark *mark_of(struct shm *s, uint64_t key)
{
  for (uint64_t i = 0; i < PROBES; i++) {
    struct mark *m = &s->marks[(key + i) % SHM_FETCH_MARKS];
    uint64_t seen = 0;
    if (atomic_compare_exchange_strong(&m->key, &seen, key) || seen == key)
      return m;
  }
  return &s->marks[key % SHM_FETCH_MARKS];
}

bool shm_may_fetch(struct shm *s, struct str url, int64_t interval_ms)
{
  uint64_t key = hash_mix(hash_add(hash_basis, url));
  struct mark *m = mark_of(s, key ? key : 1);
  int64_t now = clock_mono_ms(), last = atomic_load(&m->at_ms);
  if (last != 0 && now - last < interval_ms)
    return false;
  return atomic_compare_exchange_strong(&m->at_ms, &last, now ? now : 1);
}
