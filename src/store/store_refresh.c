/* Refresh tokens; see store.h.  A family is a grant.  The successor of a token that was used is
 * kept sealed under the token itself, so that only who has that one gets it again. */
#include <string.h>

#include "store/store_grant.h"
#include "util/cleanup.h"
#include "util/limits.h"

static const char label[] = "refresh successor";

static int insert(struct store_db *db, struct str hash, struct str grant, int64_t generation,
                  int64_t expires_at)
{
  int64_t n = RUN(db,
                  "INSERT INTO refresh (hash, grant_id, generation, issued_at, expires_at, used_at,"
                  " successor) VALUES (?, ?, ?, ?, ?, 0, NULL)",
                  BLOB(hash), TEXT(grant), INT(generation), INT(store_time(db)), INT(expires_at));
  return n < 0 ? -1 : 0;
}

enum store_result store_refresh_add(struct store_db *db, struct str grant, struct str token,
                                    int64_t expires_at)
{
  unsigned char hash[DB_HASH];
  if (insert(db, db_hash(db, token, hash), grant, 0, expires_at) < 0 ||
      RUN(db, "UPDATE grants SET idle_at = ? WHERE id = ?", INT(expires_at), TEXT(grant)) < 0)
    return STORE_FAILED;
  return STORE_OK;
}

/* ---- what a token is */

static enum row find(struct store_db *db, struct str hash, sqlite3_stmt **ret)
{
  return QUERY(db, ret,
               "SELECT " GRANT_COLUMNS ", g.principal, r.generation, r.issued_at, r.expires_at,"
               " r.used_at, r.successor FROM refresh r JOIN grants g ON g.id = r.grant_id"
               " WHERE r.hash = ?",
               BLOB(hash));
}

static void read_times(struct store_db *db, sqlite3_stmt *s, int64_t grace_s,
                       struct store_refresh *ret)
{
  ret->generation = db_int(s, 15);
  ret->issued_at = db_int(s, 16);
  ret->expires_at = db_int(s, 17);
  ret->used_at = db_int(s, 18);
  ret->in_grace = ret->used_at > 0 && store_time(db) - ret->used_at <= grace_s;
}

enum store_result store_refresh_peek(struct store_db *db, struct str token, int64_t grace_s,
                                     struct arena *a, struct store_refresh *ret)
{
  unsigned char hash[DB_HASH];
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  struct store_refresh t = {.generation = 0};
  enum row row = find(db, db_hash(db, token, hash), &s);
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  enum store_result r = grant_read(db, s, a, &t.grant);
  if (r != STORE_OK && r != STORE_REVOKED && r != STORE_EXPIRED)
    return r;
  read_times(db, s, grace_s, &t);
  *ret = t;
  if (r == STORE_OK && t.used_at == 0 && t.expires_at <= store_time(db))
    return STORE_EXPIRED;
  return r;
}

/* ---- rotation */

/* The token is bound to its family and its place in it. */
static void aad_of(struct str grant, int64_t generation, struct buf *b)
{
  buf_str(b, grant);
  buf_printf(b, " %lld", (long long)generation);
}

static enum store_result same_again(struct store_db *db, sqlite3_stmt *s, struct str token,
                                    struct str aad, struct arena *a, struct str *ret)
{
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, LIMIT_CREDENTIAL);
  if (token_open(token, label, aad, db_view(s, 19), &text) < 0)
    return STORE_BROKEN;
  struct str copy = arena_str(a, buf_view(&text));
  if (copy.p == NULL) {
    err_set(&db->error, "out of memory");
    return STORE_FAILED;
  }
  *ret = copy;
  return STORE_AGAIN;
}

static enum store_result replayed(struct store_db *db, struct str grant)
{
  enum store_result r = store_grant_revoke(db, grant, "a used refresh token was presented");
  return r == STORE_OK ? STORE_REPLAYED : STORE_FAILED;
}

static enum store_result advance(struct store_db *db, struct str hash,
                                 const struct store_refresh *t, struct str token, struct str aad,
                                 struct str successor, int64_t expires_at)
{
  CLEANUP(buf_done) struct buf sealed;
  unsigned char next[DB_HASH];
  int64_t now = store_time(db);
  buf_init(&sealed, LIMIT_CREDENTIAL * 2);
  if (token_seal(token, label, aad, successor, &sealed, &db->error) < 0)
    return STORE_FAILED;
  int64_t n =
      RUN(db, "UPDATE refresh SET used_at = ?, successor = ? WHERE hash = ? AND used_at = 0",
          INT(now), BLOB(buf_view(&sealed)), BLOB(hash));
  if (n != 1) {
    err_set(&db->error, "a refresh token changed within a transaction");
    return STORE_FAILED;
  }
  if (insert(db, db_hash(db, successor, next), t->grant.id, t->generation + 1, expires_at) < 0 ||
      RUN(db, "UPDATE grants SET used_at = ?, idle_at = ? WHERE id = ?", INT(now), INT(expires_at),
          TEXT(t->grant.id)) < 0)
    return STORE_FAILED;
  return STORE_OK;
}

/* Used tokens are remembered until they expire, for a replay must be known as one: dropping the
 * oldest would let a thief make room for what he did.  A client that refreshes so often that they
 * become too many must log in again.  Looked at once in 256 times. */
static enum store_result judge_family(struct store_db *db, const struct store_refresh *t)
{
  if (t->generation % 256 != 255)
    return STORE_OK;
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row =
      QUERY(db, &s, "SELECT min(generation) FROM refresh WHERE grant_id = ?", TEXT(t->grant.id));
  if (row != ROW)
    return STORE_FAILED;
  int64_t n = t->generation - db_int(s, 0);
  db_end(&s);
  if (n < LIMIT_FAMILY)
    return STORE_OK;
  return store_grant_revoke(db, t->grant.id, "it was refreshed too often") == STORE_OK
             ? STORE_REVOKED
             : STORE_FAILED;
}

/* Of a token that exists; S is at its row. */
static enum store_result rotate(struct store_db *db, sqlite3_stmt **s, struct str hash,
                                struct store_refresh *t, struct str token, struct str successor,
                                int64_t expires_at, struct arena *a, struct str *ret_successor)
{
  CLEANUP(buf_done) struct buf aad;
  buf_init(&aad, LIMIT_WORD);
  aad_of(t->grant.id, t->generation, &aad);
  if (aad.failed || grant_keep(&t->grant, a) < 0) {
    err_set(&db->error, "out of memory");
    return STORE_FAILED;
  }
  if (t->used_at > 0 && t->in_grace)
    return same_again(db, *s, token, buf_view(&aad), a, ret_successor);
  db_end(s);
  if (t->used_at > 0)
    return replayed(db, t->grant.id);
  if (t->expires_at <= store_time(db))
    return STORE_EXPIRED;
  if (t->grant.expires_at > 0 && expires_at > t->grant.expires_at)
    expires_at = t->grant.expires_at;
  enum store_result r = judge_family(db, t);
  if (r == STORE_OK)
    r = advance(db, hash, t, token, buf_view(&aad), successor, expires_at);
  if (r == STORE_OK)
    *ret_successor = successor;
  return r;
}

enum store_result store_refresh_rotate(struct store_db *db, struct str token, struct str client,
                                       struct str successor, int64_t expires_at, int64_t grace_s,
                                       struct arena *a, struct str *ret_successor)
{
  unsigned char bytes[DB_HASH];
  struct str hash = db_hash(db, token, bytes);
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  struct store_refresh t = {.generation = 0};
  enum row row = find(db, hash, &s);
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  grant_view(s, &t.grant);
  read_times(db, s, grace_s, &t);
  if (!str_eq(t.grant.client, client))
    return STORE_CONFLICT;
  if (t.grant.revoked_at > 0)
    return STORE_REVOKED;
  if (t.grant.expires_at > 0 && t.grant.expires_at <= store_time(db))
    return STORE_EXPIRED;
  return rotate(db, &s, hash, &t, token, successor, expires_at, a, ret_successor);
}
