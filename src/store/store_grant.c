/* Grants; see store.h.  Their table is `grants`; what belongs to one (refresh tokens, codes, tokens
 * upstream) ends with it. */
#include "store/store_grant.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/limits.h"

static struct place principal_place(struct str id)
{
  return (struct place){"grants", "principal", {id}, 0};
}

static int seal_principal(struct store_db *db, struct str id, struct str principal,
                          struct buf *sealed)
{
  struct place p = principal_place(id);
  buf_init(sealed, LIMIT_KEYRING_TEXT * 2);
  return db_seal(db, &p, principal, sealed);
}

/* ---- adding */

/* A code that was presented twice ends what comes of it, also what comes later. */
static enum row replayed(struct store_db *db, struct str id)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  return QUERY(db, &s, "SELECT 1 FROM code WHERE grant_id = ? AND replayed_at > 0", TEXT(id));
}

enum store_result store_grant_add(struct store_db *db, const struct store_grant *g)
{
  CLEANUP(buf_done) struct buf sealed;
  int64_t now = store_time(db);
  int sealing = seal_principal(db, g->id, g->principal, &sealed);
  enum row row = replayed(db, g->id);
  if (sealing < 0 || row == ROW_FAILED)
    return STORE_FAILED;
  if (row == ROW)
    return STORE_REVOKED;
  int64_t n =
      RUN(db,
          "INSERT INTO grants (id, issuer, subject, provider, client, client_name, service, scopes,"
          " principal, key, created_at, used_at, checked_at, idle_at, expires_at, revoked_at, why)"
          " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?11, ?11, ?11, ?11, ?12, 0, '') ON CONFLICT DO "
          "NOTHING",
          TEXT(g->id), TEXT(g->issuer), TEXT(g->subject), TEXT(g->provider), TEXT(g->client),
          TEXT(g->client_name), TEXT(g->service), TEXT(g->scopes), BLOB(buf_view(&sealed)),
          INT(keyring_sealed_by(buf_view(&sealed))), INT(now), INT(g->expires_at));
  return n < 0 ? STORE_FAILED : n == 0 ? STORE_CONFLICT : STORE_OK;
}

/* ---- reading */

void grant_view(sqlite3_stmt *s, struct store_grant *ret)
{
  *ret = (struct store_grant){.id = db_view(s, 0),
                              .issuer = db_view(s, 1),
                              .subject = db_view(s, 2),
                              .provider = db_view(s, 3),
                              .client = db_view(s, 4),
                              .client_name = db_view(s, 5),
                              .service = db_view(s, 6),
                              .scopes = db_view(s, 7),
                              .created_at = db_int(s, 8),
                              .used_at = db_int(s, 9),
                              .checked_at = db_int(s, 10),
                              .expires_at = db_int(s, 11),
                              .revoked_at = db_int(s, 12),
                              .why = db_view(s, 13)};
}

int grant_keep(struct store_grant *g, struct arena *a)
{
  struct str *const all[] = {&g->id,          &g->issuer,  &g->subject, &g->provider, &g->client,
                             &g->client_name, &g->service, &g->scopes,  &g->why};
  for (size_t i = 0; i < ARRAY_SIZE(all); i++)
    if ((*all[i] = arena_str(a, *all[i])).p == NULL)
      return -1;
  return 0;
}

enum store_result grant_read(struct store_db *db, sqlite3_stmt *s, struct arena *a,
                             struct store_grant *ret)
{
  struct store_grant g;
  grant_view(s, &g);
  struct str sealed = db_view(s, 14);
  if (grant_keep(&g, a) < 0) {
    err_set(&db->error, "out of memory");
    return STORE_FAILED;
  }
  if (g.revoked_at > 0) {
    *ret = g;
    return STORE_REVOKED;
  }
  struct place p = principal_place(g.id);
  enum store_result r = db_unseal(db, &p, sealed, a, &g.principal);
  if (r != STORE_OK)
    return r;
  *ret = g;
  return g.expires_at > 0 && g.expires_at <= store_time(db) ? STORE_EXPIRED : STORE_OK;
}

enum store_result store_grant_get(struct store_db *db, struct str id, struct arena *a,
                                  struct store_grant *ret)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row =
      QUERY(db, &s, "SELECT " GRANT_COLUMNS ", g.principal FROM grants g WHERE g.id = ?", TEXT(id));
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  return grant_read(db, s, a, ret);
}

enum store_result store_grant_newest(struct store_db *db, struct str provider, struct str issuer,
                                     struct str subject, struct str service, int64_t since,
                                     struct arena *a, struct store_grant *ret)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(
      db, &s,
      "SELECT " GRANT_COLUMNS ", g.principal FROM grants g"
      " WHERE issuer = ? AND subject = ? AND provider = ? AND service = ?"
      " AND revoked_at = 0 AND checked_at >= ? AND (expires_at = 0 OR expires_at > ?)"
      " ORDER BY checked_at DESC LIMIT 1",
      TEXT(issuer), TEXT(subject), TEXT(provider), TEXT(service), INT(since), INT(store_time(db)));
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  return grant_read(db, s, a, ret);
}

enum store_result store_grant_each(struct store_db *db, const struct store_grant_filter *f,
                                   store_grant_fn *each, void *arg)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(db, &s,
                       "SELECT " GRANT_COLUMNS " FROM grants g WHERE (?1 = '' OR id = ?1)"
                       " AND (?2 = '' OR issuer = ?2) AND (?3 = '' OR subject = ?3)"
                       " AND (?4 = '' OR provider = ?4) AND (?5 = '' OR client = ?5)"
                       " AND (?6 = '' OR service = ?6)"
                       " AND (?7 OR (revoked_at = 0 AND (expires_at = 0 OR expires_at > ?8)))"
                       " ORDER BY created_at, id",
                       TEXT(f->id), TEXT(f->issuer), TEXT(f->subject), TEXT(f->provider),
                       TEXT(f->client), TEXT(f->service), INT(f->dead), INT(store_time(db)));
  for (; row == ROW; row = db_next(db, s)) {
    struct store_grant g;
    grant_view(s, &g);
    each(arg, &g);
  }
  return row == ROW_FAILED ? STORE_FAILED : STORE_OK;
}

/* ---- changing */

/* Why an update met no live row. */
static enum store_result ended(struct store_db *db, struct str id)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(db, &s, "SELECT revoked_at FROM grants WHERE id = ?", TEXT(id));
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  return db_int(s, 0) > 0 ? STORE_REVOKED : STORE_EXPIRED;
}

enum store_result store_grant_checked(struct store_db *db, struct str id, struct str principal,
                                      struct str scopes)
{
  CLEANUP(buf_done) struct buf sealed;
  buf_init(&sealed, 1);
  if (principal.p && seal_principal(db, id, principal, &sealed) < 0)
    return STORE_FAILED;
  int64_t n =
      RUN(db,
          "UPDATE grants SET checked_at = ?1, principal = coalesce(?2, principal),"
          " key = CASE WHEN ?2 IS NULL THEN key ELSE ?3 END,"
          " scopes = CASE WHEN ?4 THEN ?5 ELSE scopes END"
          " WHERE id = ?6 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > ?1)",
          INT(store_time(db)), BLOB(buf_view(&sealed)), INT(keyring_sealed_by(buf_view(&sealed))),
          INT(scopes.p != NULL), TEXT(scopes), TEXT(id));
  return n < 0 ? STORE_FAILED : n > 0 ? STORE_OK : ended(db, id);
}

/* What we hold of her tokens, unless another grant, or a login that is not finished, needs it. */
static int forget_upstream(struct store_db *db, struct str id)
{
  return RUN(db,
             "DELETE FROM upstream AS u WHERE EXISTS (SELECT 1 FROM grants g WHERE g.id = ?1"
             "  AND g.provider = u.provider AND g.issuer = u.issuer AND g.subject = u.subject)"
             " AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.revoked_at = 0"
             "  AND g.provider = u.provider AND g.issuer = u.issuer AND g.subject = u.subject)"
             " AND NOT EXISTS (SELECT 1 FROM code c WHERE c.used_at = 0"
             "  AND c.provider = u.provider AND c.issuer = u.issuer AND c.subject = u.subject)",
             TEXT(id)) < 0
             ? -1
             : 0;
}

enum store_result store_grant_revoke(struct store_db *db, struct str id, const char *why)
{
  int64_t n = RUN(db,
                  "UPDATE grants SET revoked_at = ?, why = ?, principal = NULL"
                  " WHERE id = ? AND revoked_at = 0",
                  INT(store_time(db)), TEXT(str_of(why)), TEXT(id));
  if (n < 0 || RUN(db, "DELETE FROM code WHERE grant_id = ? AND used_at = 0", TEXT(id)) < 0 ||
      RUN(db, "UPDATE refresh SET successor = NULL WHERE grant_id = ?", TEXT(id)) < 0 ||
      forget_upstream(db, id) < 0)
    return STORE_FAILED;
  if (n == 0) {
    enum store_result r = ended(db, id);
    return r == STORE_REVOKED ? STORE_USED : r;
  }
  db_move_epoch(db);
  return STORE_OK;
}
