/* The metrics page: every metric of ops/metrics.h in the Prometheus text format 0.0.4.  Pure but
 * for the shared page that it reads. */
#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

#include "ops/shm.h"
#include "util/buf.h"

#define PAGE_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends it to OUT; -1 when it does not fit. */
int page_metrics(struct shm *shm, uint64_t generation, struct buf *out);

#endif
