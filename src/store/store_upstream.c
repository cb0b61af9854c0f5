/* Tokens that identity providers issued; see store.h.  Sealed a column at a time, bound to the
 * person, the provider and the version, so that an older one that was put back does not open. */
#include <string.h>

#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/limits.h"

static struct place place_of(const struct store_link *l, const char *column, int64_t version)
{
  return (struct place){"upstream", column, {l->provider, l->issuer, l->subject}, version};
}

static enum store_result unseal(struct store_db *db, const struct store_link *l, sqlite3_stmt *s,
                                struct arena *a, struct store_upstream *u)
{
  struct place access = place_of(l, "access_token", u->version);
  struct place refresh = place_of(l, "refresh_token", u->version);
  struct place extra = place_of(l, "extra", u->version);
  enum store_result r = db_unseal(db, &access, db_view(s, 3), a, &u->access_token);
  if (r == STORE_OK)
    r = db_unseal(db, &refresh, db_view(s, 4), a, &u->refresh_token);
  if (r == STORE_OK)
    r = db_unseal(db, &extra, db_view(s, 5), a, &u->extra);
  return r;
}

enum store_result store_upstream_get(struct store_db *db, const struct store_link *l,
                                     struct arena *a, struct store_upstream *ret)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(db, &s,
                       "SELECT access_expires_at, updated_at, version, access_token,"
                       " refresh_token, extra FROM upstream WHERE provider = ? AND issuer = ?"
                       " AND subject = ?",
                       TEXT(l->provider), TEXT(l->issuer), TEXT(l->subject));
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  struct store_upstream u = {
      .access_expires_at = db_int(s, 0), .updated_at = db_int(s, 1), .version = db_int(s, 2)};
  enum store_result r = unseal(db, l, s, a, &u);
  if (r == STORE_OK)
    *ret = u;
  return r;
}

static int64_t version_of(struct store_db *db, const struct store_link *l)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(db, &s,
                       "SELECT version FROM upstream WHERE provider = ? AND issuer = ?"
                       " AND subject = ?",
                       TEXT(l->provider), TEXT(l->issuer), TEXT(l->subject));
  return row == ROW ? db_int(s, 0) : row == ROW_NONE ? 0 : -1;
}

static int seal(struct store_db *db, const struct store_link *l, const char *column,
                int64_t version, struct str text, struct buf *out)
{
  struct place p = place_of(l, column, version);
  buf_init(out, LIMIT_KEYRING_TEXT * 2);
  return db_seal(db, &p, text, out);
}

static enum store_result replace(struct store_db *db, const struct store_link *l,
                                 const struct store_upstream *u, int64_t version)
{
  CLEANUP(buf_done) struct buf access = {.p = NULL}, refresh = {.p = NULL}, extra = {.p = NULL};
  if (seal(db, l, "access_token", version, u->access_token, &access) < 0 ||
      seal(db, l, "refresh_token", version, u->refresh_token, &refresh) < 0 ||
      seal(db, l, "extra", version, u->extra, &extra) < 0)
    return STORE_FAILED;
  return RUN(db,
             "INSERT OR REPLACE INTO upstream (provider, issuer, subject, access_token,"
             " refresh_token, extra, key, access_expires_at, updated_at, version, leased_until)"
             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
             TEXT(l->provider), TEXT(l->issuer), TEXT(l->subject), BLOB(buf_view(&access)),
             BLOB(buf_view(&refresh)), BLOB(buf_view(&extra)),
             INT(keyring_sealed_by(buf_view(&access))), INT(u->access_expires_at),
             INT(store_time(db)), INT(version)) < 0
             ? STORE_FAILED
             : STORE_OK;
}

enum store_result store_upstream_put(struct store_db *db, const struct store_link *l,
                                     const struct store_upstream *u, int64_t version)
{
  int64_t now = version_of(db, l);
  if (now < 0)
    return STORE_FAILED;
  if (version >= 0 && version != now)
    return STORE_CONFLICT;
  return replace(db, l, u, now + 1);
}

enum store_result store_upstream_lease(struct store_db *db, const struct store_link *l,
                                       int64_t version, int64_t seconds)
{
  int64_t n = RUN(db,
                  "UPDATE upstream SET leased_until = ?1 + ?2 WHERE provider = ?3 AND issuer = ?4"
                  " AND subject = ?5 AND version = ?6 AND leased_until <= ?1",
                  INT(store_time(db)), INT(seconds), TEXT(l->provider), TEXT(l->issuer),
                  TEXT(l->subject), INT(version));
  if (n != 0)
    return n < 0 ? STORE_FAILED : STORE_OK;
  int64_t now = version_of(db, l);
  return now < 0 ? STORE_FAILED : now == 0 ? STORE_NONE : STORE_CONFLICT;
}
