/* The shared page as shm.c and callers.c lay it out; nobody else includes this. */
#ifndef OPS_SHM_INSIDE_H
#define OPS_SHM_INSIDE_H

#include "ops/shm.h"
#include "util/hash.h"

enum {
  SHM_METRICS = 128, /* with room, so that the next program can use the page of this one */
  SHM_RATES = 16384,
  SHM_STREAMS = 8192,
  SHM_SESSIONS = 16384,
  SHM_TASKS = 16384,
  SHM_SERVICES = 16384,
};

struct slot {
  _Alignas(64) _Atomic int pid; /* 0: free */
  _Atomic uint64_t turns;
  _Atomic uint64_t values[SHM_METRICS];
};

_Static_assert((int)METRIC_COUNT <= (int)SHM_METRICS, "more metrics than a slot has room for");

struct mark {
  _Atomic uint64_t key;  /* hash of the URL; 0: free */
  _Atomic int64_t at_ms; /* of the last fetch out of turn; 0: never */
};

/* A rate: the time at which everything spent so far has been earned (GCRA). */
struct rate {
  _Atomic uint64_t key;
  _Atomic int64_t earned_us;
};

struct streams {
  _Atomic uint64_t key;
  _Atomic uint32_t open;
};

struct session {
  _Atomic uint64_t name;
  _Atomic int64_t expires_at, used_ms;
  _Atomic uint64_t owner;   /* of one that began with nobody */
  _Atomic int32_t waiting;  /* requests whose replies come on the session's stream */
  _Atomic int64_t asked_ms; /* of the last of them */
};

struct task_owner {
  _Atomic uint64_t task, owner;
  _Atomic int64_t given_ms;
};

struct access {
  _Atomic uint64_t service, generation, access;
};

struct shm {
  struct slot slots[SHM_SLOTS];
  _Atomic uint64_t revocations;
  _Atomic uint64_t epochs[SHM_EPOCHS];
  struct mark marks[SHM_FETCH_MARKS];
  struct hash_key key;
  struct rate rates[SHM_RATES];
  struct streams streams[SHM_STREAMS];
  _Atomic uint16_t held[SHM_SLOTS][SHM_STREAMS]; /* of STREAMS, by process: touched where used */
  struct session sessions[SHM_SESSIONS];
  struct task_owner tasks[SHM_TASKS];
  struct access access[SHM_SERVICES];
  _Atomic uint64_t generation; /* the latest that said what decides access */
};

/* The place of this process in SLOTS, or -1. */
int shm_place(const struct shm *s);
/* What the process in PLACE held is nobody's any more. */
void callers_fold(struct shm *s, size_t place);

#endif
