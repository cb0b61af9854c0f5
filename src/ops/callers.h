/* What all workers of all generations know together about callers: how fast they ask, how many
 * streams they hold, until when their sessions are covered by a credential, whose a task is.  Part
 * of the shared page (shm.h): tables of atomic words with a bounded number of places, found by
 * hashes that nobody outside can aim at.  When a table is full, limits bite a little early and what
 * says "this is yours" is forgotten: never the other way round.
 *
 * Used by src/hub. */
#ifndef OPS_CALLERS_H
#define OPS_CALLERS_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/shm.h"
#include "util/str.h"

/* What a number stands for: the same words of two kinds are two numbers.  Never 0. */
enum caller_kind {
  CALLER_PRINCIPAL = 1, /* issuer, subject */
  CALLER_CLIENT,        /* issuer, client */
  CALLER_ADDRESS,       /* address */
  CALLER_FAILURES,      /* address, service: credentials that were no good */
  CALLER_OWNER,         /* issuer, subject, client */
  CALLER_TASK,          /* service, task id */
  CALLER_SERVICE,       /* service */
  CALLER_REGISTRATION,  /* network: clients that register */
};
uint64_t caller_key(struct shm *s, enum caller_kind kind, struct str a, struct str b, struct str c);

/* At most RATE in PER_MS, all at once or spread.  0 when one more was taken, else how many
 * milliseconds until there is room.  KEY 0 and RATE 0: no limit. */
int64_t caller_spend(struct shm *s, uint64_t key, unsigned rate, int64_t per_ms);
/* The same without taking. */
int64_t caller_wait(struct shm *s, uint64_t key, unsigned rate, int64_t per_ms);

/* One stream more of KEY: a handle for caller_stream_close, or 0 when MAX are open.  What a process
 * has open ends with it (shm_fold). */
uint32_t caller_stream_open(struct shm *s, uint64_t key, unsigned max);
void caller_stream_close(struct shm *s, uint32_t handle);

/* A credential that lasts until EXPIRES_AT (seconds since 1970; 0: for ever) was shown on the
 * session NAME (mcp/seal.h). */
void caller_session_seen(struct shm *s, uint64_t name, int64_t expires_at);
/* The latest of these, INT64_MAX for ever; 0 when none is known. */
int64_t caller_session_expiry(struct shm *s, uint64_t name);
/* A session began with nobody. */
void caller_session_begun(struct shm *s, uint64_t name);
/* It belongs to the first who logs in and uses it: whether that is OWNER.  OWNER 0 asks whether it
 * is still nobody's.  False when it is not known (any more), since it may have become somebody's.
 */
bool caller_session_claim(struct shm *s, uint64_t name, uint64_t owner);

/* A request was sent whose reply comes on the stream of session NAME; a reply came; whether one is
 * waited for that was asked for less than MOST_MS ago. */
void caller_session_asked(struct shm *s, uint64_t name);
void caller_session_answered(struct shm *s, uint64_t name);
bool caller_session_waits(struct shm *s, uint64_t name, int64_t most_ms);

/* Tasks belong to whom their id was given first. */
void caller_task_given(struct shm *s, uint64_t task, uint64_t owner);
bool caller_task_is(struct shm *s, uint64_t task, uint64_t owner);

/* What decides access to a service (a hash), as of GENERATION. */
void caller_access_set(struct shm *s, uint64_t service, uint64_t generation, uint64_t access);
/* Whether a later generation than GENERATION decides about the service otherwise, or has it no
 * more. */
bool caller_access_changed(struct shm *s, uint64_t service, uint64_t generation, uint64_t access);

#endif
