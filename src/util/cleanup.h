/* Ownership that leaves a scope visibly.
 *
 *   CLEANUP (buf_done) struct buf b;      calls buf_done (&b) at the end of the scope
 *   AUTO_FREE char *p = malloc (n);       frees it
 *   AUTO_CLOSE int fd = open (...);       closes it when it is >= 0
 *   return steal_ptr (&p);                hands it over and forgets it
 */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void cleanup_free(void *pp)
{
  free(*(void **)pp);
}

static inline void cleanup_close(int *fd)
{
  if (*fd >= 0)
    close(*fd);
}

static inline int steal_fd(int *fd)
{
  int old = *fd;
  *fd = -1;
  return old;
}

#define AUTO_FREE  CLEANUP(cleanup_free)
#define AUTO_CLOSE CLEANUP(cleanup_close)
#define steal_ptr(pp)                                                                              \
  __extension__({                                                                                  \
    __typeof__(*(pp)) stolen_ = *(pp);                                                             \
    *(pp) = NULL;                                                                                  \
    stolen_;                                                                                       \
  })

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
