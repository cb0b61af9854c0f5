/* Memory that is freed together: one arena a request, one a configuration.  Everything handed out
 * is zeroed and aligned for any type.  An arena has a maximum; past it, or out of memory, every
 * function returns NULL and the arena stays usable. */
#ifndef UTIL_ARENA_H
#define UTIL_ARENA_H

#include "util/str.h"

struct arena;

/* MAX is the most bytes that it will hold at once.  NULL when out of memory. */
struct arena *arena_new(size_t max);
/* What A holds will be overwritten before it is freed: it may hold secrets. */
void arena_wipes(struct arena *a);
void arena_free(struct arena *a); /* NULL is fine */
void *arena_alloc(struct arena *a, size_t n);
/* N elements of SIZE, the product checked. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* A copy with a NUL behind it, which .n does not count in. */
char *arena_dup(struct arena *a, struct str s);
struct str arena_str(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Calls RELEASE (P) when the arena is freed, in reverse order of registration; -1 when it cannot
 * (then the caller still owns P). */
int arena_defer(struct arena *a, void (*release)(void *), void *p);
/* Bytes asked of the system so far. */
size_t arena_size(const struct arena *a);

#define arena_new_of(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

#endif
