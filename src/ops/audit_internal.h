/* What the files of the audit writer share: audit.c (queue, writes, tickets), audit_sync.c (the
 * disk), audit_anchor.c (the leader's anchors).  Nobody else includes this. */
#ifndef OPS_AUDIT_INTERNAL_H
#define OPS_AUDIT_INTERNAL_H

#include "ops/audit.h"
#include "ops/audit_chain.h"
#include "ops/audit_file.h"
#include "ops/audit_heads.h"

enum {
  AUDIT_QUEUE_MAX = 8 << 20, /* bytes waiting for the end of a turn */
  AUDIT_SYNC_MS = 100,       /* a record is on the disk after this and one sync */
  AUDIT_PROBE_MS = 1000,     /* how often an unhealthy log is tried again */
  AUDIT_REFUSED_A_SECOND = 100,
};

/* A queued record. */
struct audit_entry {
  size_t end; /* in the queue buffer */
  struct audit_ticket *ticket;
};

struct audit_entries {
  struct audit_entry *v;
  size_t n, cap;
};

/* First in, first out. */
struct audit_tickets {
  struct audit_ticket *first, **last;
};

/* What could not be written since the last record that could. */
struct audit_gap {
  bool open;
  uint64_t lost;
  int64_t since_ms;
  struct err why;
};

/* The refusals of this second. */
struct audit_refusals {
  int64_t second_ms; /* when it began, clock_mono_ms */
  uint64_t recorded, counted;
  int64_t first_ms, last_ms;
};

struct audit_sync;
struct audit_anchors;

struct audit {
  struct audit_file file;
  char writer[AUDIT_WRITER_MAX + 1];
  struct audit_hmac *hmac;
  struct audit_head head; /* of the last record that was written */
  struct audit_heads *heads;
  int slot;

  struct buf queue; /* records of this turn, up to their numbers */
  struct audit_entries entries;
  struct buf flying; /* the same, while they are written */
  struct audit_entries flights;
  struct buf out; /* bytes of one write */
  bool moved;     /* the file at the path is another one: say so with the next record */
  struct audit_gap gap;
  struct audit_tickets good, bad; /* to be told in this turn */
  struct audit_refusals refusals;
  struct timer refused_timer, probe_timer;
  char second[32]; /* text of the second SECOND_AT */
  int64_t second_at;

  struct loop *loop;
  struct turn_hook hook;
  uint64_t hooked_turn;
  bool closing;
  struct audit_sync *sync;
  struct audit_anchors *anchors;
};

/* audit.c */
void audit_flush(struct audit *a);
void audit_show_health(const struct audit *a);
void audit_fail(struct audit *a, uint64_t lost, const struct err *why);
void audit_tell(struct audit *a);
void audit_time(struct audit *a, char out[32]);
void audit_tickets_init(struct audit_tickets *t);
void audit_tickets_push(struct audit_tickets *t, struct audit_ticket *x);
void audit_tickets_move(struct audit_tickets *to, struct audit_tickets *from);
bool audit_tickets_remove(struct audit_tickets *t, const struct audit_ticket *x);

/* audit_sync.c */
struct audit_sync *audit_sync_new(struct audit *a, bool strict, struct jobs *j, struct err *e);
void audit_sync_free(struct audit_sync *s);
/* After a write: TICKET waits for the disk (strict), or is good. */
void audit_sync_ticket(struct audit_sync *s, struct audit_ticket *t);
void audit_sync_dirty(struct audit_sync *s);
/* The file is gone, and with it what was not synced. */
void audit_sync_lost(struct audit_sync *s);
bool audit_sync_forget(struct audit_sync *s, const struct audit_ticket *t);
bool audit_sync_healthy(const struct audit_sync *s);
/* Everything written so far, in this thread, at the end. */
void audit_sync_now(struct audit_sync *s);

/* audit_anchor.c */
struct audit_anchors *audit_anchors_new(struct audit *a, const char *dir, struct err *e);
void audit_anchors_free(struct audit_anchors *x); /* NULL is fine */
/* LAST: the process ends; write whatever has changed. */
void audit_anchors_tick(struct audit_anchors *x, bool last);
/* The file in the state directory, after the chain's last record. */
void audit_anchors_save(struct audit_anchors *x);

#endif
