/* The shared page: anonymous shared memory, made by the master, inherited by every process of every
 * generation.  Metrics (a slot per live process; its counts stay when it ends, so that counters
 * never fall), loop turns for the watchdog, revocation epochs, and the hub-wide marks that keep
 * forced JWKS fetches to one per 30 s.  Atomic words only: a crash leaves nothing locked. */
#ifndef OPS_SHM_H
#define OPS_SHM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ops/metrics.h"
#include "util/err.h"
#include "util/str.h"

enum { SHM_SLOTS = 1024, SHM_EPOCHS = 4096, SHM_FETCH_MARKS = 1024 };

struct shm;

struct shm *shm_create(struct err *e); /* master */
/* The same, with its descriptor (shared.h): *FD -1 makes a page; else the one that the program
 * before us has made and its processes still use, so its layout must be ours (hub/handover.h). */
struct shm *shm_map(int *fd, struct err *e);
size_t shm_size(void);
/* Takes a slot for this process; -1 when all are in use. */
int shm_attach(struct shm *s, int pid);
/* Frees the slot of a process that has ended, its counts kept, its gauges cleared (master, leader).
 */
void shm_fold(struct shm *s, int pid);

/* This process's counters, after shm_attach; in tests and tools a private page. */
void metric_add(enum metric m, uint64_t n);
void metric_set(enum metric m, int64_t v); /* gauges: summed over live processes */
uint64_t shm_total(struct shm *s, enum metric m);
/* Of the live process PID alone (status: what one worker has open); 0 when there is none. */
uint64_t shm_value_of(struct shm *s, int pid, enum metric m);

/* Watchdog: the worker stores, the leader reads. */
void shm_turn(struct shm *s, uint64_t turns);
/* How often a process with this watchdog stores its turns: some times in it, at least once a
 * second. */
int64_t shm_turn_ms(int64_t watchdog_ms);
uint64_t shm_turns_of(struct shm *s, int pid);

/* Revocation epochs.  An identity may be cached with its epoch when, after that was read, the
 * number of revocations is still the one sampled before the stack started; it is stale when its
 * epoch is another.  (shm_revoke moves the number first, then the epoch.) */
uint64_t shm_revocations(struct shm *s);
uint64_t shm_epoch(struct shm *s, struct str issuer, struct str subject);
void shm_revoke(struct shm *s, struct str issuer, struct str subject);
/* Everybody's: a process has died that may have ended a grant in the store and not said so. */
void shm_revoke_all(struct shm *s);

/* Whether URL may be fetched out of turn now: true at most once per INTERVAL_MS over the hub. */
bool shm_may_fetch(struct shm *s, struct str url, int64_t interval_ms);

#endif
