/* What the parts of the master share: master.c, reload.c, replace.c, status.c. */
#ifndef HUB_MASTER_STATE_H
#define HUB_MASTER_STATE_H

#include <sys/stat.h>

#include "hub/control.h"
#include "hub/generation.h"
#include "hub/listener.h"
#include "hub/master.h"
#include "ops/audit.h"
#include "ops/shm.h"
#include "util/buf.h"

/* Another program that is to take our place; replace.c */
struct replace {
  struct control_client *asked;
  int pid;             /* checks it: 0 when nobody does */
  bool checked;        /* well: it follows when no load is in progress */
  struct stat program; /* what is being checked */
  struct watch output;
  struct timer deadline;
  struct buf text;
  struct task task; /* taking our place */
};

struct master {
  const struct master_options *o;
  struct loop *loop;
  struct shm *shm;
  struct audit_heads *audit_heads;
  int shm_fd, heads_fd; /* theirs */
  char daemon[48];      /* names this daemon: "PID.START" */
  bool log_json;        /* as the serving generation is configured */
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
  char predecessor[32]; /* version of the program whose place we take, until our first load is over
                         */
  struct replace replace;

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
void master_log_lines(struct str text); /* as errors */

/* reload.c: requests that come while a configuration is being loaded share the next load, because
 * what they want taken up may have been written after this one was read.  C may be NULL (SIGHUP).
 */
enum reload_result { RELOAD_STARTED = 1, RELOAD_TAKEN, RELOAD_UNCHANGED, RELOAD_FAILED };
void reload_pace(struct timer *t); /* of m->pace */
void reload_ask(struct master *m, struct control_client *c);
void reload_done(struct master *m, enum reload_result result, const char *text);
/* Another program was refused: counted, recorded and shown like a refused configuration. */
void reload_record_failure(struct master *m, const char *text);
void reload_again(
    struct master *m); /* the load that those wait for who came too late for the last */
void reload_forget(struct master *m, struct control_client *c);
void reload_abandon(struct master *m); /* the daemon stops */
/* The first load of a program that has taken another's place, for those who ASKED that one. */
void reload_resume(struct master *m, struct control_client *asked);
void reload_add(struct control_client **list, struct control_client *c); /* C may be NULL */
/* TEXT, then `ok` or ERROR, to everybody of LIST. */
void reload_answer(struct control_client *list, struct str text, const char *error);

/* replace.c: the installed program takes our place, when it can.  C may be NULL (SIGUSR2). */
void replace_ask(struct master *m, struct control_client *c);
void replace_go_on(struct master *m); /* a load is over */
void replace_reaped(struct master *m, int status);
void replace_abandon(struct master *m); /* the daemon stops */

/* status.c: the state as one line of JSON. */
void status_say(struct master *m, struct control_client *c);

#endif
