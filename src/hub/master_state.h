/* What the parts of the master share: master.c, reload.c, status.c. */
#ifndef HUB_MASTER_STATE_H
#define HUB_MASTER_STATE_H

#include "hub/control.h"
#include "hub/generation.h"
#include "hub/listener.h"
#include "hub/master.h"
#include "ops/audit.h"
#include "ops/shm.h"
#include "util/buf.h"

struct master {
  const struct master_options *o;
  struct loop *loop;
  struct shm *shm;
  struct audit_heads *audit_heads;
  char daemon[48]; /* names this daemon: "PID.START" */
  bool log_json;   /* as the serving generation is configured */
  int log_level;
  struct control *control;
  struct listeners *listeners;
  struct generation_events events;
  struct watch signals;
  struct timer respawn, watchdog, pace, retire;
  int64_t started_ms, serving_since_ms, respawn_ms;
  bool started_once, stopping;
  int status; /* of the process, at its end */

  struct generation *generations; /* all, newest first */
  struct generation *loading, *serving;
  struct generation *retiring; /* may still accept: whoever asked for the reload waits for it */
  uint64_t last_number;

  /* reload.c */
  struct control_client *asked; /* answered by the load in progress */
  struct control_client *next;  /* by the one after it */
  bool again;                   /* there is to be one after it */
  char *last_error;             /* of the last reload, when it failed */
  int64_t last_wall_ms;         /* of the last reload */
};

/* master.c */
int master_load(struct master *m);
void master_stop(struct master *m, bool now);

/* reload.c: requests that come while a configuration is being loaded share the next load, because
 * what they want taken up may have been written after this one was read.  C may be NULL (SIGHUP).
 */
enum reload_result { RELOAD_STARTED = 1, RELOAD_TAKEN, RELOAD_UNCHANGED, RELOAD_FAILED };
void reload_pace(struct timer *t); /* of m->pace */
void reload_ask(struct master *m, struct control_client *c);
void reload_done(struct master *m, enum reload_result result, const char *text);
void reload_forget(struct master *m, struct control_client *c);
void reload_abandon(struct master *m); /* the daemon stops */

/* status.c: the state as one line of JSON. */
void status_say(struct master *m, struct control_client *c);

#endif
