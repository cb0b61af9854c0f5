/* The form of one audit record and its place in its writer's chain.  Pure; used by the writer
 * (audit.c), the verifier and `mcpauth audit tail`.
 *
 *   {"t":"2026-11-21T04:08:29.123Z","w":"WRITER","event":"EVENT","id":"ID",MEMBERS,"n":N,"mac":"HEX"}
 *
 * mac = HMAC-SHA-256 (key, mac of record N-1 of this writer | the bytes before `,"mac"`); before
 * the first record stand 32 zero bytes. */
#ifndef OPS_AUDIT_CHAIN_H
#define OPS_AUDIT_CHAIN_H

#include "util/buf.h"
#include "util/err.h"

enum { AUDIT_MAC = 32, AUDIT_WRITER_MAX = 47, AUDIT_EVENT_MAX = 31, AUDIT_ID_MAX = 128 };

/* The last record of a chain: its number, its mac, and when it was written. */
struct audit_head {
  uint64_t n;
  int64_t at_ms;
  unsigned char mac[AUDIT_MAC];
};

/* A keyed HMAC, reused from record to record. */
struct audit_hmac;
struct audit_hmac *audit_hmac_new(const unsigned char key[32], struct err *e);
void audit_hmac_free(struct audit_hmac *h);
int audit_hmac_step(struct audit_hmac *h, const unsigned char previous[AUDIT_MAC], struct str bytes,
                    unsigned char ret_mac[AUDIT_MAC]);

/* The begin of a record, up to and with MEMBERS; -1 when a part would not be one line of the form
 * above.  audit_record_end adds what follows and moves HEAD on. */
int audit_record_begin(struct buf *out, const char *time, const char *writer, const char *event,
                       const char *id, struct str members);
int audit_record_end(struct buf *out, struct str begin, struct audit_hmac *h,
                     struct audit_head *head); /* leaves at_ms alone */

struct audit_record {
  struct str time, writer, event, id;
  struct str members; /* as given to audit_record_begin */
  struct str body;    /* what the mac covers */
  struct audit_head head;
};

/* LINE without its newline. */
bool audit_record_parse(struct str line, struct audit_record *ret);
/* Whether NAME can stand for a writer. */
bool audit_writer_valid(struct str name);
/* `"KEY":"` TEXT `"` or a number inside MEMBERS written by ourselves (no nested look-alikes are
 * possible before it); .p NULL when absent. */
struct str audit_member(struct str members, const char *key);

#endif
