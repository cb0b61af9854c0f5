/* Pieces of work for the store; see work.h. */
#include "oauth/work.h"

void *work_new(struct oauth *o, size_t size)
{
  struct arena *a = arena_new(MIB(1));
  struct work *w = a ? arena_alloc(a, size) : NULL;
  if (w == NULL) {
    arena_free(a);
    return NULL;
  }
  w->arena = a;
  w->oauth = o;
  w->result = STORE_FAILED;
  return w;
}

void work_free(void *piece)
{
  struct work *w = piece;
  if (w)
    arena_free(w->arena);
}

struct str work_str(struct work *w, struct str s)
{
  return s.n ? arena_str(w->arena, s) : STR("");
}

int work_end(struct work *w, enum store_result result)
{
  w->result = result;
  return result == STORE_FAILED ? -1 : 0;
}
