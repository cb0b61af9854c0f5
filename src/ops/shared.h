/* Memory that all processes of a daemon share: a memfd, so that a program which takes this one's
 * place (hub/handover.h) goes on with it.  For shm.c and audit_heads.c. */
#ifndef OPS_SHARED_H
#define OPS_SHARED_H

#include <stddef.h>

#include "util/err.h"

/* SIZE bytes, zero at first.  *FD -1: new ones, and *FD becomes the caller's descriptor of them;
 * else those of *FD, which must be of just that size.  NULL with E naming WHAT. */
void *shared_map(const char *what, size_t size, int *fd, struct err *e);

#endif
