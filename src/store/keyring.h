/* The key ring of one state directory (STATE_DIR/keys.ring, JSON, mode 0600): the keys that seal
 * what the hub keeps or hands out to get back (AES-256-GCM), and those that sign its own tokens
 * (ES256).  Made at the first start by the leader, as `user`; inherited by the workers through the
 * fork; changed by `mcpauth keys` alone.  A worker looks once a second whether the file is another
 * (keyring_poll), so that a rotation needs no reload.
 *
 * Rotation: a new key is in the ring before it is used (a signing key for KEYRING_PUBLISH_S, the
 * time for which JWKS may be cached; a sealing key for KEYRING_SPREAD_S, until every worker has
 * read it); an old signing key is published until the last token that it signed has expired; an old
 * sealing key stays until `mcpauth keys rewrap` has sealed every row of the store anew and
 * KEYRING_KEEP_S have passed.
 *
 * Everything but keyring_poll, which is the loop's, may be called in any thread, without a lock: a
 * ring that was read again stands beside the one before, which lives until keyring_free. */
#ifndef STORE_KEYRING_H
#define STORE_KEYRING_H

#include <jansson.h>

#include "util/buf.h"
#include "util/err.h"

struct keyring;

enum {
  KEYRING_PUBLISH_S = 600, /* max-age of our JWKS: a key is published that long before it signs */
  KEYRING_SPREAD_S = 10,   /* until every worker has read a new ring */
  KEYRING_HURRY_S = 3,     /* the same where it is urgent: they look once a second, and times are
                              rounded down to one */
  KEYRING_KEEP_S = 86400,  /* what was signed or sealed outside of the store lives no longer */
  KEYRING_KEYS = 64,       /* of each kind */
  KEYRING_SEAL_OVERHEAD = 45, /* bytes that a sealed text is longer */
  KEYRING_DERIVED = 32,
  KEYRING_KID = 44 /* RFC 7638 thumbprint in base64url, and a NUL */
};

/* Reads the ring; makes one when there is none and MAKE.  NULL with E: unreadable, damaged, unsafe
 * (owner, mode), no place for a new one; also when there is none but a store that an earlier one
 * sealed. */
struct keyring *keyring_load(const char *state_dir, bool make, struct err *e);
void keyring_free(struct keyring *k); /* wipes; NULL is fine */
/* Reads it again if the file has changed: 1 it has, 0 it has not, -1 with E (the old keys stay). */
int keyring_poll(struct keyring *k, struct err *e);
/* How often it was: what was verified by an older one may be another thing now. */
uint64_t keyring_changes(const struct keyring *k);

/* ---- sealing
 *
 * LABEL says what the text is for ("session", "state", "upstream token"): what was sealed under one
 * label does not open under another.  AAD binds it to its place (row 119); it is not secret and not
 * in the result.  Every message has a key of its own, derived from 96 random bits, so that the
 * number of messages has no bound. */

/* Appends the sealed bytes (raw: base64url_encode them for a header or cookie). */
int keyring_seal(const struct keyring *k, const char *label, struct str aad, struct str text,
                 struct buf *out, struct err *e);
/* Appends the text.  -1 with nothing appended: not ours, changed, another label or AAD, or of a key
 * that is gone. */
int keyring_open(const struct keyring *k, const char *label, struct str aad, struct str sealed,
                 struct buf *out);
/* The id of the key that sealed; 0 when SEALED has not that form.  (For re-wrapping.) */
uint32_t keyring_sealed_by(struct str sealed);
/* The id of the key that seals now. */
uint32_t keyring_sealing(const struct keyring *k);
/* A key for another module's own use, from the sealing key in use and LABEL: it changes when that
 * is rotated. */
int keyring_derive(const struct keyring *k, const char *label, unsigned char ret[KEYRING_DERIVED],
                   struct err *e);
/* The same with a key of 128 bits or more that somebody else holds, such as a token that was
 * presented: whoever has not the token cannot open. */
int token_seal(struct str token, const char *label, struct str aad, struct str text,
               struct buf *out, struct err *e);
int token_open(struct str token, const char *label, struct str aad, struct str sealed,
               struct buf *out);

/* ---- signing */

/* Appends a compact JWT: {"alg":"ES256","kid":…,"typ":TYP} and CLAIMS (a JSON object as text). */
int keyring_sign(const struct keyring *k, struct str claims, const char *typ, struct buf *out,
                 struct err *e);
/* Whether we signed TOKEN: exactly our header with this TYP, a kid of the ring, the signature.
 * *RET_CLAIMS is a new reference to the payload, an object; the claims themselves (iss, aud, exp …)
 * are the caller's to judge. */
int keyring_verify(const struct keyring *k, struct str token, const char *typ, json_t **ret_claims,
                   struct err *e);
/* The public keys as a JWK Set (RFC 7517), those not yet and no longer in use included; valid as
 * long as the ring. */
struct str keyring_jwks(const struct keyring *k);

/* ---- management (mcpauth keys) */

enum keyring_kind { KEYRING_SEALING = 1, KEYRING_SIGNING };
enum keyring_state { KEYRING_COMING = 1, KEYRING_CURRENT, KEYRING_OLD };

struct keyring_info {
  enum keyring_kind kind;
  enum keyring_state state;
  char id[KEYRING_KID]; /* the number of a sealing key; kid */
  int64_t created_at;   /* seconds since 1970 */
  int64_t from;         /* used from then on */
};

/* Appends a key of KIND that is used after DELAY_S (negative: the default of that kind), and writes
 * the ring.  Signing keys that can have signed nothing that still lives are taken out. */
int keyring_rotate(struct keyring *k, enum keyring_kind kind, int64_t delay_s, struct err *e);
/* Takes out the sealing keys that were replaced KEEP_S ago or earlier (after a complete re-wrap);
 * their number, or -1. */
int keyring_drop_old(struct keyring *k, int64_t keep_s, struct err *e);
/* Takes out a signing key that is not in use: what it signed is worth nothing from now on. */
int keyring_drop(struct keyring *k, struct str kid, struct err *e);
size_t keyring_list(const struct keyring *k, struct keyring_info *ret, size_t max);
/* What tells this ring from every other; valid as long as the ring. */
const char *keyring_name(const struct keyring *k);

#endif
