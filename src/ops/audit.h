/* The audit log: JSON lines, one `decision` record before a request is forwarded and one `done`
 * record after it, with the same id (design invariant 10).
 *
 * Each writing process ("writer") keeps its own chain: records carry "w" (writer), "n" (1, 2, …)
 * and "mac", HMAC-SHA-256 over the record with the previous mac in front (audit_chain.h).  All
 * append to one file (O_APPEND, one write a turn and writer).  One process, the leader, anchors the
 * heads of all chains in its own chain and in the state directory, so that a chain cut at its end
 * is noticed (audit_heads.h).  `mcpauth audit verify` checks chains, anchors and rotation
 * (audit_verify.h).
 *
 * A failed write refuses every request whose decision was in it (503): nothing is forwarded without
 * its record.  Writing recovers by itself, and the first record then says how many are missing. */
#ifndef OPS_AUDIT_H
#define OPS_AUDIT_H

#include "ops/jobs.h"
#include "ops/loop.h"
#include "util/buf.h"

struct audit;
struct audit_heads;

/* One waiting decision; embedded in the request. */
struct audit_ticket {
  void (*written)(struct audit_ticket *t, bool ok); /* in the loop, at the end of the turn */
  struct audit_ticket *next;
};

enum audit_to { AUDIT_FILE = 1, AUDIT_STDOUT, AUDIT_OFF };

struct audit_options {
  enum audit_to to;   /* AUDIT_OFF: accepts everything and writes nothing */
  const char *file;   /* of AUDIT_FILE */
  bool sync_strict;   /* written() waits for the disk, not only for the write */
  size_t rotate_size; /* bytes; 0: never */
  unsigned keep;      /* rotated files kept: FILE.1 … FILE.KEEP */
  const char *writer; /* "PID.START", [A-Za-z0-9._-]: unique over the life of the file, and PID
                         is the process's own */
  unsigned char key[32];
  struct audit_heads *heads; /* where this chain's head is published; NULL: nowhere */
  const char *anchor_dir;    /* the state directory: this writer anchors all heads; NULL: it does
                                not.  The leader anchors. */
};

/* L and J may be NULL in a process without a loop (master, tools): then every put is written at
 * once, and tickets are not accepted. -1 (NULL) when the file cannot be opened; a disk that is full
 * is no error here: audit_healthy says so. */
struct audit *audit_open(const struct audit_options *o, struct loop *l, struct jobs *j,
                         struct err *e);
/* Writes what is queued and the end of the chain.  Tickets that still wait are answered. */
void audit_close(struct audit *a);

/* Queues a record: EVENT ("decision", "done", "refused", "start", "reload", …; [a-z_]), ID (request
 * id or ""), MEMBERS: the rest as `"k":v,"k":v` without braces, already JSON (may be empty).  With
 * a TICKET, written() is called after the write of this turn (never inside this call).  -1: not
 * queued (too large, not one line, out of memory): treat as a failed write. */
int audit_put(struct audit *a, const char *event, const char *id, struct str members,
              struct audit_ticket *ticket);
/* The client has left: written() will not be called; the record stays. */
void audit_forget(struct audit *a, struct audit_ticket *t);
/* A refusal before authentication: the first 100 of a second are recorded, the others counted by
 * one `refused_summary` record with first and last time. */
void audit_refused(struct audit *a, const char *id, struct str members);
/* Another event that strangers can cause as often as they like: counts into the same 100. */
void audit_limited(struct audit *a, const char *event, const char *id, struct str members);
/* false while the last write or sync failed: readiness. */
bool audit_healthy(const struct audit *a);
/* Of a writer that anchors and has no loop: call about once a second. */
void audit_anchor_tick(struct audit *a);

/* The heads of all chains of one daemon, in memory that its processes share; made by the master
 * before the first fork. */
struct audit_heads *audit_heads_create(struct err *e);
/* The same, with its descriptor: see shm_map. */
struct audit_heads *audit_heads_map(int *fd, struct err *e);
size_t audit_heads_size(void);

/* The key of this state directory, made when absent (0600).  Every process of a daemon gets the
 * same. */
int audit_key(const char *state_dir, unsigned char ret_key[32], struct err *e);

/* One daemon a log (row 182): takes FILE.lock for the processes of DAEMON (any text that names the
 * daemon: "PID.START" of the master).  Several processes of one daemon may hold it, those of
 * another are refused.  The lock lasts until *RET_FD is closed. */
int audit_lock(const char *file, const char *daemon, int *ret_fd, struct err *e);

#endif
