/* What the hub keeps: one struct store a worker, SQLite behind it (STATE_DIR/store.db, WAL shared
 * by the workers of all generations, synchronous FULL, STRICT tables; store_sqlite*.c).  src/oauth,
 * src/auth's hub tokens and the commands use it.
 *
 * Work is a function that runs in a job thread with a struct store_db and calls any number of the
 * typed functions below.  Whatever it writes is one transaction: all of it is on the disk before
 * `done (arg, true)` is called, or none of it is and `done (arg, false)`.  Writes that wait at the
 * same time share a commit (a savepoint each), reads run beside them.
 *
 * Codes and tokens of our own are kept as SHA-256 only.  Registrations, principals and upstream
 * tokens are sealed by the key ring; the associated data names table, row and column, so that what
 * was moved to another row does not open (row 119).
 *
 * Strings that are given are copied or bound before the call returns; those that come back live in
 * the arena that was given (make one for each piece of work, free it in `release`).  Times are
 * seconds since 1970.  A work function need not log what failed: that is done once, by its caller
 * here. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "config/config.h"
#include "ops/jobs.h"
#include "store/keyring.h"
#include "util/arena.h"

struct store;
struct store_db; /* a connection inside a transaction: never kept beyond the work */

/* What one typed function says.  Only OK means that what was asked for has happened. */
enum store_result {
  STORE_OK = 1,
  STORE_NONE,     /* there is no such thing (or it expired so long ago that it was swept) */
  STORE_EXPIRED,  /* it was, and its time is over */
  STORE_USED,     /* single-use, and used before */
  STORE_AGAIN,    /* refresh: replayed within the grace; the same successor is given again */
  STORE_REPLAYED, /* refresh: replayed after it; the grant has just been revoked */
  STORE_REVOKED,  /* the grant has ended */
  STORE_CONFLICT, /* somebody else changed it first; or it exists already */
  STORE_FULL,     /* a limit of the hub: 503 */
  STORE_LIMIT,    /* a limit of this caller: 429 */
  STORE_BROKEN,   /* the row does not open: damaged or moved; it is never used */
  STORE_FAILED    /* the database cannot tell: let the work return -1 */
};
const char *store_result_name(enum store_result r);

/* ------------------------------------------------------------------ the worker's end */

struct store_options {
  const char *state_dir;
  const struct keyring *keys; /* outlives the store */
  struct jobs *jobs;          /* NULL: a command, which calls store_now alone */
  struct loop *loop;          /* NULL likewise */
  bool sweep;                 /* this worker takes out what is over, once a minute (worker 1) */
};

/* Whether this configuration has anything to keep: the hub is an authorization server. */
bool store_needed(const struct config *c);
/* One daemon at a state directory: DAEMON names it, all its generations share the lock (the leader
 * holds *RET_FD).  -1 with E when another daemon has it. */
int store_lock(const char *state_dir, const char *daemon, int *ret_fd, struct err *e);
/* Opens, makes or migrates; blocks.  After the fork only.  NULL with E: not writable, a newer
 * schema, another ring's store, damaged. */
struct store *store_open(const struct store_options *o, struct err *e);
void store_close(struct store *s); /* after jobs_free; NULL is fine */

/* Both in a job thread (in the caller's, from store_now).  0: keep what was written; -1: undo it,
 * and `done` is told false. */
typedef int store_work_fn(void *arg, struct store_db *db);
typedef void store_done_fn(void *arg, bool stored); /* in the loop's thread */

struct store_task;
enum store_mode { STORE_READ = 1, STORE_WRITE };

/* Never calls DONE or RELEASE before it returns.  RELEASE (ARG) comes last, also after
 * store_cancel; it may be NULL.  NULL when too much waits (503): then nothing is called. */
struct store_task *store_submit(struct store *s, enum store_mode mode, store_work_fn *work,
                                store_done_fn *done, void (*release)(void *), void *arg);
/* DONE will not be called; work that has begun is finished and kept, other work is released now. */
void store_cancel(struct store_task *t);
/* Whether it has not begun: then it is cancelled.  Else it goes on, and DONE will be called: for
 * what must be said whoever is left to hear it. */
bool store_withdraw(struct store_task *t);
/* The same at once, for commands and tests: blocks.  -1 with E. */
int store_now(struct store *s, enum store_mode mode, store_work_fn *work, void *arg, struct err *e);

/* ------------------------------------------------------------------ for work functions */

/* The time by which things expire: clock_wall, but never behind what the store has already seen
 * (row 184). */
int64_t store_time(struct store_db *db);

/* ---- clients that registered themselves (RFC 7591) */

struct store_client {
  struct str id;           /* ours, random */
  struct str name;         /* what lists show; untrusted text */
  struct str registration; /* JSON, sealed: redirect URIs, keys, secret, … as src/oauth wants it */
  struct str source;       /* whom to count it for: the address's network, as text */
  bool approved;           /* the operator answers for it; kept although unused */
  int64_t created_at, used_at; /* used_at 0: nobody has ever logged in through it */
};

struct store_client_limits {
  unsigned total, per_source; /* of unused ones: of all sources; of one */
  int64_t unused_s;           /* an unused one older than that is taken out */
};

/* OK; CONFLICT (the id exists); LIMIT (too many unused ones of this source); FULL.  created_at and
 * used_at are set here. */
enum store_result store_client_add(struct store_db *db, const struct store_client *c,
                                   const struct store_client_limits *limits);
enum store_result store_client_get(struct store_db *db, struct str id, struct arena *a,
                                   struct store_client *ret);
/* A login through it has succeeded: never evicted from now on.  At most one write an hour. */
enum store_result store_client_used(struct store_db *db, struct str id);
enum store_result store_client_approve(struct store_db *db, struct str id);
/* With its consents and codes; its grants are revoked.  *RET_GRANTS how many. */
enum store_result store_client_remove(struct store_db *db, struct str id, unsigned *ret_grants);
typedef void store_client_fn(void *arg, const struct store_client *c); /* registration: .p NULL */
enum store_result store_client_each(struct store_db *db, store_client_fn *each, void *arg);

/* ---- client documents (client_id is a URL), also what could not be fetched */

struct store_document {
  struct str url;
  struct str body; /* as src/oauth wants to have it back; "": could not be had */
  int64_t fetched_at, expires_at;
};
enum store_result store_document_put(struct store_db *db, const struct store_document *d);
/* OK also when it has expired: look at expires_at. */
enum store_result store_document_get(struct store_db *db, struct str url, struct arena *a,
                                     struct store_document *ret);

/* ---- single-use marks: `state`, jti of assertions */

/* OK the first time; USED; FULL when there are too many (refuse then).  KIND is short ("state"),
 * VALUE is hashed.  A mark is kept until EXPIRES_AT, which is when what it marks is worthless. */
enum store_result store_mark(struct store_db *db, const char *kind, struct str value,
                             int64_t expires_at);
/* Whether it is there: OK or NONE. */
enum store_result store_marked(struct store_db *db, const char *kind, struct str value);

/* ---- consents */

struct store_consent {
  struct str issuer, subject, client, redirect, service;
  struct str scopes; /* sorted, one space between: what was agreed to */
  int64_t created_at;
};
/* Adds to what was agreed to before. */
enum store_result store_consent_put(struct store_db *db, const struct store_consent *c);
/* C->scopes is looked at: OK when every one of them was agreed to, else NONE. */
enum store_result store_consent_covers(struct store_db *db, const struct store_consent *c);
/* What this person has agreed to at CLIENT ("": at every client). */
enum store_result store_consent_forget(struct store_db *db, struct str issuer, struct str subject,
                                       struct str client);

/* ---- grants: who let which client use which service, through which provider */

struct store_grant {
  struct str id; /* ours, random, in access tokens */
  struct str issuer, subject;
  struct str provider; /* instance */
  struct str client, client_name;
  struct str service;
  struct str scopes;    /* sorted, one space between */
  struct str principal; /* JSON, sealed: the claims that the provider established */
  int64_t created_at, used_at;
  int64_t checked_at; /* the provider's last good answer */
  int64_t expires_at; /* absolute; 0: never */
  int64_t revoked_at; /* 0: alive */
  struct str why;     /* it was revoked */
};

/* created_at, used_at and checked_at are set here. CONFLICT: the id exists. */
enum store_result store_grant_add(struct store_db *db, const struct store_grant *g);
/* OK; REVOKED and EXPIRED (RET is filled in either case); NONE; BROKEN. */
enum store_result store_grant_get(struct store_db *db, struct str id, struct arena *a,
                                  struct store_grant *ret);
/* Of the live grants that this person, known to this provider, has at this service, the one about
 * which the provider was asked last, if that was at SINCE or later.  OK, NONE, BROKEN. */
enum store_result store_grant_newest(struct store_db *db, struct str provider, struct str issuer,
                                     struct str subject, struct str service, int64_t since,
                                     struct arena *a, struct store_grant *ret);
/* The provider says that she is still who she was: now, with these claims and these scopes (.p
 * NULL: as before). OK, REVOKED, EXPIRED, NONE. */
enum store_result store_grant_checked(struct store_db *db, struct str id, struct str principal,
                                      struct str scopes);
/* Ends it, its refresh tokens, its unused codes, and what we hold of the person's tokens at the
 * provider if no other grant of hers needs it.  OK; USED: it was revoked before; NONE. */
enum store_result store_grant_revoke(struct store_db *db, struct str id, const char *why);

/* Empty members match everything. */
struct store_grant_filter {
  struct str id, issuer, subject, provider, client, service;
  bool dead; /* those that have ended, too */
};
typedef void store_grant_fn(void *arg, const struct store_grant *g); /* principal: .p NULL */
enum store_result store_grant_each(struct store_db *db, const struct store_grant_filter *f,
                                   store_grant_fn *each, void *arg);

/* ---- authorization codes */

struct store_code {
  struct str code;          /* the text; only its hash is kept.  Not set by store_code_take */
  struct store_grant grant; /* the draft: id (make it now), who, client, service, scopes, principal;
                               its expires_at and client_name too */
  struct str redirect;      /* the redirect URI, byte for byte as it was asked with */
  struct str challenge;     /* S256 */
  struct str data; /* anything more that src/oauth wants back (resource, nonce …); sealed */
  int64_t expires_at;
};

enum store_result store_code_put(struct store_db *db, const struct store_code *c);
/* Uses it up, whoever presents it, before any binding is looked at: OK (compare client, redirect,
 * challenge; then store_grant_add (&ret->grant) and store_refresh_add in the same work); USED (the
 * grant that came of it has just been revoked: RET->grant.id, issuer and subject are set); EXPIRED;
 * NONE; BROKEN. */
enum store_result store_code_take(struct store_db *db, struct str code, struct arena *a,
                                  struct store_code *ret);

/* ---- refresh tokens: a family is a grant */

struct store_refresh {
  struct store_grant grant;               /* as store_grant_get */
  int64_t generation;                     /* from 0 */
  int64_t issued_at, expires_at, used_at; /* used_at 0: it is the newest */
  bool in_grace;                          /* used, and AGAIN is what rotating would say */
};

/* The first one of a grant. */
enum store_result store_refresh_add(struct store_db *db, struct str grant, struct str token,
                                    int64_t expires_at);
/* What it is, changing nothing: OK (used or not: look), REVOKED, EXPIRED, NONE, BROKEN. */
enum store_result store_refresh_peek(struct store_db *db, struct str token, int64_t grace_s,
                                     struct arena *a, struct store_refresh *ret);
/* TOKEN, which CLIENT presents, is used up and SUCCESSOR takes its place.  OK; AGAIN: it was used
 * at most GRACE_S ago, and *RET_SUCCESSOR (in A) is the one given then; REPLAYED: it was used
 * before that, and the whole grant is revoked now; CONFLICT: it is another client's (nothing
 * changes); REVOKED (now too, when the family has become too large), EXPIRED, NONE, BROKEN.  After
 * OK *RET_SUCCESSOR is SUCCESSOR. */
enum store_result store_refresh_rotate(struct store_db *db, struct str token, struct str client,
                                       struct str successor, int64_t expires_at, int64_t grace_s,
                                       struct arena *a, struct str *ret_successor);

/* ---- tokens that the identity provider issued for a person */

struct store_link { /* whose */
  struct str provider, issuer, subject;
};
struct store_upstream {
  struct str access_token, refresh_token; /* "": none */
  struct str extra;                       /* JSON object or "" */
  int64_t access_expires_at;              /* 0: unknown */
  int64_t updated_at;
  int64_t version; /* for compare-and-swap, from 1 */
};

/* What comes back is wiped with the arena. */
enum store_result store_upstream_get(struct store_db *db, const struct store_link *l,
                                     struct arena *a, struct store_upstream *ret);
/* VERSION: the one that was read; 0 when there must be none; -1: a new login, whatever was there.
 * CONFLICT: somebody else was first (read again). */
enum store_result store_upstream_put(struct store_db *db, const struct store_link *l,
                                     const struct store_upstream *u, int64_t version);
/* Single flight over all workers: OK to one caller a VERSION until SECONDS have passed, CONFLICT to
 * the others (wait, read again).  Ends with store_upstream_put. */
enum store_result store_upstream_lease(struct store_db *db, const struct store_link *l,
                                       int64_t version, int64_t seconds);

/* ---- housekeeping */

/* Takes out at most MAX rows of what is over; *RET_N how many.  (The worker with SWEEP does.) */
enum store_result store_sweep(struct store_db *db, unsigned max, unsigned *ret_n);
/* Seals at most MAX rows anew that were sealed by a key other than the one that seals now; *RET_N
 * how many, 0 when all are done.  Resumable: what is done stays done. */
enum store_result store_rewrap(struct store_db *db, unsigned max, unsigned *ret_n);

#endif
