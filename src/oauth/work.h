/* Pieces of work for the store: each has an arena of its own, because the request that wanted it
 * may be over before the job thread is (store.h).  A piece begins with struct work. */
#ifndef OAUTH_WORK_H
#define OAUTH_WORK_H

#include "oauth/exchange.h"
#include "store/store.h"

struct work {
  struct arena *arena; /* holds the piece itself */
  struct oauth *oauth;
  enum store_result result;
};

/* A zeroed piece of SIZE bytes; NULL when memory is short. */
void *work_new(struct oauth *o, size_t size);
/* Frees a piece: for store_submit's RELEASE, and when nothing was submitted.  NULL is fine. */
void work_free(void *piece);
#define work_new_of(oauth, type) ((type *)work_new((oauth), sizeof(type)))
/* S in the piece's arena; .p NULL when memory is short. */
struct str work_str(struct work *w, struct str s);
/* What a work function returns after RESULT: undone when the database could not tell. */
int work_end(struct work *w, enum store_result result);

#endif
