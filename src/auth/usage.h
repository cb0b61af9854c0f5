/* Use counts of things that providers know by a key (a token's id): how often, when last, from
 * which address.  Summed in the worker's memory; written by a job at most once a minute and at the
 * end to STATE_DIR/usage/INSTANCE.PID.START.json, whole and by rename.  Files of workers that have
 * ended are folded into INSTANCE.json.  Called by count_use of the host; read by `mcpauth token`.
 */
#ifndef AUTH_USAGE_H
#define AUTH_USAGE_H

#include <jansson.h>

#include "ops/jobs.h"
#include "ops/loop.h"

struct usage;

/* L and J may be NULL (tests, tools): then nothing is written before usage_flush or usage_free.
 * Makes STATE_DIR/usage (0700) and folds what ended workers left. */
struct usage *usage_new(const char *state_dir, struct loop *l, struct jobs *j, struct err *e);
/* One use of KEY of the provider INSTANCE by the client at ADDRESS, at NOW (seconds since 1970).
 * Cheap, never blocks, never fails: past the bounds a use is not counted and the log says so once.
 */
void usage_count(struct usage *u, const char *instance, const char *key, const char *address,
                 int64_t now);
/* Writes now what has changed, in this thread. */
int usage_flush(struct usage *u, struct err *e);
/* Writes, folds this worker's files, frees. NULL is fine. */
void usage_free(struct usage *u);

/* The sum over all workers, dead and alive: {"KEY": {"uses": N, "last": SECONDS, "address": "…"}}.
 * *RET_KEYS is a new reference; empty when nothing was ever counted. */
int usage_read(const char *state_dir, const char *instance, json_t **ret_keys, struct err *e);

#endif
