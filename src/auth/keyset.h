/* Verification keys of one source, kept fresh in one worker's loop (design 8.1, security R8).
 *
 *   file        PEM public keys or a JWKS; looked at once a second, re-read when it has changed, a
 *               bad new content keeps the old keys
 *   shared      a secret for HS256/384/512
 *   jwks_uri    a JWKS; cached for as long as Cache-Control says (10 min when it says nothing,
 *               always between 60 s and 24 h), refreshed in the background at three quarters of
 *               that with jitter; when that fails the old keys serve for 24 h more
 *   issuer      the same, where jwks_uri comes from OpenID discovery, then RFC 8414; the document's
 *               `issuer` must equal ours byte for byte
 *
 * A token whose kid nobody knows forces a fetch, at most one in 30 s over the whole hub, and all
 * verifications that need it wait for that one (row 163).  The last good key set of each URL is in
 * STATE_DIR/keys/SHA256(URL).json, which is read at start, so that a restart during an outage
 * changes nothing, and by the other workers, so that one fetch serves all.  After 5 failures in a
 * row nobody waits any more and the source is probed every 10 s.
 *
 * host.c makes mcpauth_host.keyset and .jwt_verify of this.  Everything runs in the loop's thread
 * but the writing of files, which are jobs. */
#ifndef AUTH_KEYSET_H
#define AUTH_KEYSET_H

#include <jansson.h>
#include <mcpauth/provider.h>

#include "auth/jwt.h"
#include "http/fetch.h"
#include "ops/jobs.h"
#include "ops/loop.h"
#include "ops/shm.h"

enum {
  KEYSET_LIFETIME_MS = 600 * 1000, /* when Cache-Control says nothing */
  KEYSET_LIFETIME_MIN_MS = 60 * 1000,
  KEYSET_LIFETIME_MAX_MS = 86400 * 1000,
  KEYSET_STALE_MS = 86400 * 1000, /* keys live on after that without a successful fetch */
  KEYSET_FORCED_MS = 30 * 1000,   /* between fetches that unknown kids force, over the hub */
  KEYSET_SIBLING_MS = 3 * 1000,   /* how long another worker's fetch is waited for */
  KEYSET_FETCH_MS = 10 * 1000,    /* total time of one reply */
  KEYSET_BREAKER = 5,             /* failures in a row until nobody waits */
  KEYSET_PROBE_MS = 10 * 1000,    /* between attempts while it is open */
  KEYSET_WAITERS = 10000,         /* verifications waiting at once; more are UNAVAIL */
};

struct keyset;
struct keyset_wait;

/* What a worker lends to its key sets; everything must outlive them. */
struct keyset_env {
  struct loop *loop;
  struct fetcher *fetcher;
  struct shm *shm;       /* NULL: nobody else fetches */
  struct lane *lane;     /* for writing files; NULL: nothing is kept */
  const char *state_dir; /* NULL: nothing is kept */
};

/* Exactly one of jwks_uri, issuer, file and shared.  Copied by keyset_open. */
struct keyset_source {
  const char *jwks_uri, *issuer, *file;
  struct str shared;                  /* .p NULL when it is another kind; at least 32 bytes */
  const char *ca_file, *egress_proxy; /* of fetches; NULL: system CAs, no proxy */
};

/* Opens a key set and begins to fetch.  NAME (the instance's) stands in log lines.  NULL with E:
 * not exactly one source, a bad URL, a short secret, a file that is unreadable, unsafe (owner other
 * than root and us, or writable by others) or has no usable key.  An unreachable URL is no error.
 */
struct keyset *keyset_open(const struct keyset_env *env, const char *name,
                           const struct keyset_source *source, struct err *e);
/* No verification may be waiting: cancel them first.  NULL is fine. */
void keyset_free(struct keyset *ks);

/* What became of one verification. */
struct keyset_answer {
  enum mcpauth_result result; /* OK; INVALID with why; UNAVAIL: no keys, or too old to tell;
                                 IGNORE: the text has not the form of a JWT */
  enum mcpauth_why why;
  const char *reason; /* words for the audit record; "" for OK */
  json_t *claims;     /* OK: the payload, an object; borrowed, valid until DONE returns
                         (json_incref keeps it).  NULL otherwise */
};

typedef void keyset_done_fn(void *arg, const struct keyset_answer *answer);

/* Verifies TOKEN by POLICY (jwt_verify) at the time of clock_wall.  Mostly DONE is called before
 * this returns, and NULL is returned.  When keys must come first it returns a handle, TOKEN and
 * POLICY having been copied, and DONE is called from the loop, at most KEYSET_FETCH_MS * 3 later;
 * until then keyset_cancel takes it back and DONE is not called. */
struct keyset_wait *keyset_verify(struct keyset *ks, struct str token,
                                  const struct mcpauth_jwt_policy *policy, keyset_done_fn *done,
                                  void *arg);
/* The same for an ID token (jwt_parse_id_token). */
struct keyset_wait *keyset_verify_id(struct keyset *ks, struct str token,
                                     const struct mcpauth_jwt_policy *policy, keyset_done_fn *done,
                                     void *arg);
void keyset_cancel(struct keyset_wait *w);

#endif
