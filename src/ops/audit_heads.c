/* Shared heads of the audit chains; see audit_heads.h. */
#include "ops/audit_heads.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ops/shared.h"
#include "util/cleanup.h"

enum { MAC_WORDS = AUDIT_MAC / 8, NAME_WORDS = (AUDIT_WRITER_MAX + 1) / 8 };

struct slot {
  atomic_int state;
  atomic_uint sequence;
  _Atomic uint64_t name[NAME_WORDS];
  _Atomic uint64_t n;
  _Atomic int64_t at_ms;
  _Atomic uint64_t mac[MAC_WORDS];
};

struct audit_heads {
  struct slot slots[AUDIT_SLOTS];
};

struct audit_heads *audit_heads_create(struct err *e)
{
  AUTO_CLOSE int fd = -1;
  return audit_heads_map(&fd, e);
}

struct audit_heads *audit_heads_map(int *fd, struct err *e)
{
  return shared_map("audit heads", sizeof(struct audit_heads), fd, e);
}

size_t audit_heads_size(void)
{
  return sizeof(struct audit_heads);
}

static void words_store(_Atomic uint64_t *to, const void *from, size_t n)
{
  uint64_t w[NAME_WORDS];
  memcpy(w, from, n * sizeof *w);
  for (size_t i = 0; i < n; i++)
    atomic_store_explicit(&to[i], w[i], memory_order_relaxed);
}

static void words_load(void *to, _Atomic uint64_t *from, size_t n)
{
  uint64_t w[NAME_WORDS];
  for (size_t i = 0; i < n; i++)
    w[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
  memcpy(to, w, n * sizeof *w);
}

int audit_heads_claim(struct audit_heads *h, const char *writer)
{
  char name[AUDIT_WRITER_MAX + 1] = "";
  size_t n = strlen(writer);
  if (n > AUDIT_WRITER_MAX)
    return -1;
  memcpy(name, writer, n);
  for (int i = 0; i < AUDIT_SLOTS; i++) {
    struct slot *s = &h->slots[i];
    int free_state = AUDIT_SLOT_FREE;
    if (!atomic_compare_exchange_strong(&s->state, &free_state, AUDIT_SLOT_BUSY))
      continue;
    struct audit_head none = {0};
    words_store(s->name, name, NAME_WORDS);
    /* Also after a writer that died in the middle: the next publish ends with an even number. */
    atomic_store(&s->sequence, 0);
    audit_heads_publish(h, i, &none);
    atomic_store(&s->state, AUDIT_SLOT_LIVE);
    return i;
  }
  return -1;
}

void audit_heads_publish(struct audit_heads *h, int slot, const struct audit_head *head)
{
  struct slot *s = &h->slots[slot];
  unsigned at = atomic_load_explicit(&s->sequence, memory_order_relaxed);
  atomic_store_explicit(&s->sequence, at + 1, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
  atomic_store_explicit(&s->n, head->n, memory_order_relaxed);
  atomic_store_explicit(&s->at_ms, head->at_ms, memory_order_relaxed);
  words_store(s->mac, head->mac, MAC_WORDS);
  atomic_store_explicit(&s->sequence, at + 2, memory_order_release);
}

void audit_heads_end(struct audit_heads *h, int slot)
{
  atomic_store(&h->slots[slot].state, AUDIT_SLOT_ENDED);
}

/* The process in "PID.START". */
static bool gone(const char *writer)
{
  long pid = strtol(writer, NULL, 10);
  return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static bool read_head(struct slot *s, struct audit_head *ret)
{
  for (int tries = 0; tries < 1000; tries++) {
    unsigned before = atomic_load_explicit(&s->sequence, memory_order_acquire);
    ret->n = atomic_load_explicit(&s->n, memory_order_relaxed);
    ret->at_ms = atomic_load_explicit(&s->at_ms, memory_order_relaxed);
    words_load(ret->mac, s->mac, MAC_WORDS);
    atomic_thread_fence(memory_order_acquire);
    unsigned after = atomic_load_explicit(&s->sequence, memory_order_relaxed);
    if (before == after && before % 2 == 0)
      return true;
  }
  return false;
}

bool audit_heads_read(struct audit_heads *h, int i, struct audit_head_view *ret)
{
  struct slot *s = &h->slots[i];
  int state = atomic_load(&s->state);
  if (state != AUDIT_SLOT_LIVE && state != AUDIT_SLOT_ENDED)
    return false;
  words_load(ret->writer, s->name, NAME_WORDS);
  ret->writer[AUDIT_WRITER_MAX] = 0;
  /* Looked at before the head is read: a writer that ends in between is seen the next time. */
  ret->ended = state == AUDIT_SLOT_ENDED || gone(ret->writer);
  if (!read_head(s, &ret->head)) {
    if (!ret->ended)
      return false;
    ret->head = (struct audit_head){0}; /* died while publishing: its last head is not known */
  }
  return atomic_load(&s->state) == state;
}

bool audit_heads_release(struct audit_heads *h, int i)
{
  int state = atomic_load(&h->slots[i].state);
  return (state == AUDIT_SLOT_LIVE || state == AUDIT_SLOT_ENDED) &&
         atomic_compare_exchange_strong(&h->slots[i].state, &state, AUDIT_SLOT_FREE);
}
