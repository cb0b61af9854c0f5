/* The audit log: JSON lines, one `decision` record before a request is forwarded and one `done`
 * record after it, with the same id (design invariant 10).
 *
 * Each writing process ("writer") keeps its own chain: records carry "w" (writer), "n" (1, 2, …) and
 * "mac", HMAC-SHA-256 over the record with the previous mac in front; the master's own chain anchors
 * the start and end of every writer.  All append to one file (O_APPEND, one write a turn and
 * writer).  `mcpauth audit verify` checks chains, anchors and rotation.
 *
 * A failed write refuses every request whose decision was in it (503): nothing is forwarded without
 * its record. */
#ifndef OPS_AUDIT_H
#define OPS_AUDIT_H

#include "ops/jobs.h"
#include "ops/loop.h"
#include "util/buf.h"

struct audit;

/* One waiting decision; embedded in the request. */
struct audit_ticket {
  void (*written)(struct audit_ticket *t, bool ok); /* in the loop, at the end of the turn */
  struct audit_ticket *next;
};

enum audit_to { AUDIT_FILE = 1, AUDIT_STDOUT, AUDIT_OFF };

struct audit_options {
  enum audit_to to;      /* AUDIT_OFF: accepts everything and writes nothing */
  const char *file;      /* of AUDIT_FILE */
  bool sync_strict;      /* written() waits for the disk, not only for the write */
  size_t rotate_size;    /* bytes; 0: never */
  unsigned keep;         /* rotated files kept: FILE.1 … FILE.KEEP */
  const char *writer;    /* unique over the life of the file: "PID.START" */
  unsigned char key[32];
};

/* L and J may be NULL in a process without a loop (master, tools): then every put is written at
 * once. */
struct audit *audit_open(const struct audit_options *o, struct loop *l, struct jobs *j,
                         struct err *e);
void audit_close(struct audit *a); /* writes what is queued and the end of the chain */

/* Queues a record: EVENT ("decision", "done", "refused", "start", "reload", …), ID (request id or
 * ""), MEMBERS: the rest as `"k":v,"k":v` without braces, already JSON.  With a TICKET, written()
 * is called after the write of this turn (never inside this call).  -1: not queued (too large, out
 * of memory): treat as a failed write. */
int audit_put(struct audit *a, const char *event, const char *id, struct str members,
              struct audit_ticket *ticket);
/* The client has left: written() will not be called; the record stays. */
void audit_forget(struct audit *a, struct audit_ticket *t);
/* A refusal before authentication: recorded, beyond a rate only counted with first and last. */
void audit_refused(struct audit *a, const char *id, struct str members);
/* false while the last write failed: readiness. */
bool audit_healthy(const struct audit *a);

/* The key of this state directory, made when absent (0600). */
int audit_key(const char *state_dir, unsigned char ret_key[32], struct err *e);

#endif
