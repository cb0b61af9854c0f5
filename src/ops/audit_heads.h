/* The heads (last number and mac) of all audit chains of one daemon, in shared memory: a slot a
 * writer, written by that writer alone, read by the leader that anchors.  A slot is guarded by a
 * sequence number (odd while it is written), so a writer that dies leaves nothing locked: a head
 * that was half written is read as the one before was never superseded, that is, not at all. */
#ifndef OPS_AUDIT_HEADS_H
#define OPS_AUDIT_HEADS_H

#include "ops/audit.h"
#include "ops/audit_chain.h"

enum { AUDIT_SLOTS = 256 };

enum audit_slot_state { AUDIT_SLOT_FREE = 0, AUDIT_SLOT_LIVE, AUDIT_SLOT_ENDED, AUDIT_SLOT_BUSY };

/* A writer's slot, or -1 when all are in use (then only this writer's tail is not anchored). */
int audit_heads_claim(struct audit_heads *h, const char *writer);
void audit_heads_publish(struct audit_heads *h, int slot, const struct audit_head *head);
void audit_heads_end(struct audit_heads *h, int slot);

struct audit_head_view {
  char writer[AUDIT_WRITER_MAX + 1];
  struct audit_head head;
  bool ended; /* closed, or its process is gone */
};

/* Slot I; false when it is free or holds no whole head. */
bool audit_heads_read(struct audit_heads *h, int i, struct audit_head_view *ret);
/* Frees the slot of a writer that has ended, once: false when another leader did. */
bool audit_heads_release(struct audit_heads *h, int i);

#endif
