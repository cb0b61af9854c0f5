/* What the files of the key set share; nobody else includes it.
 *
 *   keyset.c         opening, verifying, waiting; files and secrets
 *   keyset_remote.c  the life of a URL: fetch, discovery, refresh, breaker, forced fetches
 *   keyset_store.c   the last good keys of a URL in the state directory */
#ifndef AUTH_KEYSET_IMPL_H
#define AUTH_KEYSET_IMPL_H

#include <sys/stat.h>

#include "auth/keyset.h"

enum keyset_kind { KEYSET_SHARED = 1, KEYSET_FILE, KEYSET_JWKS_URI, KEYSET_ISSUER };

/* What a running fetch is after. */
enum remote_step { STEP_NONE = 0, STEP_OPENID, STEP_OAUTH, STEP_JWKS };

/* Circular lists: an empty one points at itself. */
struct keyset_link {
  struct keyset_link *prev, *next;
};

struct remote {
  char *url;      /* as configured: names the stored file and the hub-wide mark */
  char *jwks_uri; /* NULL until discovery has found it */
  bool discovered;
  int64_t discovered_ms;
  int64_t fetched_ms;      /* clock_mono_ms of the last success, by us or a sibling */
  int64_t fetched_wall_ms; /* the same since 1970: tells which copy is newer */
  int64_t lifetime_ms;
  int64_t quiet_until_ms;   /* until then an unknown kid asks nobody */
  int64_t sibling_until_ms; /* until then another worker's fetch is waited for; 0: not */
  unsigned failures;        /* in a row */
  enum remote_step step;
  struct fetch *fetch;
  struct timer refresh, sibling;
  char *path; /* of the stored keys; NULL: none are kept */
  struct stat stored;
};

struct keyset {
  struct keyset_env env;
  char *name, *ca_file, *egress_proxy;
  enum keyset_kind kind;
  struct jwks *keys; /* NULL: none yet */
  struct keyset_link waiting;
  unsigned n_waiting;
  char *file;
  struct stat file_stat;
  struct timer look;
  struct remote remote;
};

/* What a verification that lacks a key may hope for. */
enum remote_hope { HOPE_WAIT = 1, HOPE_AGAIN, HOPE_NONE, HOPE_UNKNOWN };

int remote_open(struct keyset *ks, const char *url, struct err *e);
void remote_done(struct keyset *ks);
/* HOPE_WAIT: keyset_settled will be called; HOPE_AGAIN: there are new keys, now; HOPE_NONE: there
 * is no such key; HOPE_UNKNOWN: the source does not answer. */
enum remote_hope remote_want(struct keyset *ks);
/* Whether the keys that we have are too old to be trusted. */
bool remote_too_old(const struct keyset *ks);
/* Whether the last attempt failed. */
bool remote_failing(const struct keyset *ks);

/* keyset.c: takes over KEYS. */
void keyset_adopt(struct keyset *ks, struct jwks *keys);
/* keyset.c: judges everybody who waits, for good. */
void keyset_settled(struct keyset *ks);

/* One stored key set. */
struct stored {
  struct jwks *keys;
  char *jwks_uri;     /* NULL when there is none */
  int64_t fetched_ms; /* since 1970 */
  int64_t lifetime_s;
};

/* "STATE_DIR/keys/SHA256.json"; NULL when out of memory. */
char *store_path(const char *state_dir, const char *url);
/* -1 with E when there is nothing usable for URL. */
int store_load(const char *path, const char *url, struct stored *ret, struct stat *ret_stat,
               struct err *e);
/* The document to keep, to be freed; NULL with E. BODY has been read as a key set before. */
char *store_document(const char *url, const char *jwks_uri, struct str body, int64_t fetched_ms,
                     int64_t lifetime_s, struct err *e);
/* Writes it in a job; failures are logged. */
void store_save(struct lane *lane, const char *path, char *document);

#endif
