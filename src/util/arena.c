/* Arena allocator; see arena.h. */
#include "util/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_FIRST = 2048, BLOCK_MOST = 65536, ALIGN = 16 };

struct block {
  struct block *next;
  size_t used, size;
  _Alignas(ALIGN) unsigned char data[];
};

struct deferred {
  struct deferred *next;
  void (*release)(void *);
  void *p;
};

struct arena {
  size_t max, total;
  struct block *blocks; /* newest first; only the newest is allocated from */
  struct deferred *deferred;
  bool wipes;
};

struct arena *arena_new(size_t max)
{
  struct arena *a = calloc(1, sizeof *a);
  if (a)
    a->max = max;
  return a;
}

void arena_wipes(struct arena *a)
{
  a->wipes = true;
}

void arena_free(struct arena *a)
{
  if (a == NULL)
    return;
  for (struct deferred *d = a->deferred; d; d = d->next)
    d->release(d->p);
  for (struct block *b = a->blocks, *next; b; b = next) {
    next = b->next;
    if (a->wipes)
      explicit_bzero(b->data, b->used);
    free(b);
  }
  free(a);
}

static struct block *add_block(struct arena *a, size_t n)
{
  size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_FIRST;
  if (size > BLOCK_MOST)
    size = BLOCK_MOST;
  if (size < n)
    size = n;
  if (size > a->max - a->total)
    size = a->max - a->total;
  if (size < n)
    return NULL;
  struct block *b = malloc(sizeof *b + size);
  if (b == NULL)
    return NULL;
  *b = (struct block){.next = a->blocks, .size = size};
  a->blocks = b;
  a->total += size;
  return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
  if (n == 0)
    n = 1;
  if (n > a->max)
    return NULL;
  n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
  struct block *b = a->blocks;
  if (b == NULL || b->size - b->used < n)
    b = add_block(a, n);
  if (b == NULL)
    return NULL;
  void *p = b->data + b->used;
  b->used += n;
  return memset(p, 0, n);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
  size_t bytes;
  if (__builtin_mul_overflow(n, size, &bytes))
    return NULL;
  return arena_alloc(a, bytes);
}

char *arena_dup(struct arena *a, struct str s)
{
  size_t bytes;
  if (__builtin_add_overflow(s.n, (size_t)1, &bytes))
    return NULL;
  char *p = arena_alloc(a, bytes);
  if (p && s.n)
    memcpy(p, s.p, s.n);
  return p;
}

struct str arena_str(struct arena *a, struct str s)
{
  char *p = arena_dup(a, s);
  return (struct str){p, p ? s.n : 0};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
  va_list ap, again;
  va_start(ap, format);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, format, ap);
  va_end(ap);
  char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
  if (p)
    vsnprintf(p, (size_t)n + 1, format, again);
  va_end(again);
  return p;
}

int arena_defer(struct arena *a, void (*release)(void *), void *p)
{
  struct deferred *d = arena_new_of(a, struct deferred);
  if (d == NULL)
    return -1;
  *d = (struct deferred){a->deferred, release, p};
  a->deferred = d;
  return 0;
}

size_t arena_size(const struct arena *a)
{
  return a->total;
}
