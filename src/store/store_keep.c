/* Taking out what is over; see store.h.
 *
 * What has expired stays for a while after that: an expired code or token that is presented is told
 * from an unknown one, a clock that was wrong for a moment takes nothing with it, and a replay is
 * known for what it is. */
#include "store/sqlite.h"
#include "util/cleanup.h"

enum { HOUR = 3600, DAY = 86400, RARELY = 60 };

/* ---- what is over */

struct broom {
  const char *sql; /* of the time before which, and of how many */
  int64_t after_s;
};

static const struct broom brooms[] = {
    {"DELETE FROM code WHERE rowid IN (SELECT rowid FROM code WHERE expires_at < ? LIMIT ?)", HOUR},
    {"DELETE FROM mark WHERE rowid IN (SELECT rowid FROM mark WHERE expires_at < ? LIMIT ?)", HOUR},
    {"DELETE FROM refresh WHERE hash IN (SELECT hash FROM refresh WHERE expires_at < ? LIMIT ?)",
     DAY},
    {"UPDATE refresh SET successor = NULL WHERE hash IN (SELECT hash FROM refresh"
     " WHERE successor IS NOT NULL AND used_at < ? LIMIT ?)",
     HOUR},
    {"DELETE FROM grants WHERE rowid IN (SELECT rowid FROM grants"
     " WHERE revoked_at > 0 AND revoked_at < ? LIMIT ?)",
     30 * DAY},
    {"DELETE FROM grants WHERE rowid IN (SELECT rowid FROM grants"
     " WHERE expires_at > 0 AND expires_at < ? LIMIT ?)",
     DAY},
    /* Its last refresh token has expired, and its last access token. */
    {"DELETE FROM grants WHERE rowid IN (SELECT rowid FROM grants"
     " WHERE revoked_at = 0 AND idle_at < ? LIMIT ?)",
     DAY},
    /* At /token a client is known by it for as long as somebody is logged in there. */
    {"DELETE FROM document WHERE rowid IN (SELECT rowid FROM document d WHERE expires_at < ?"
     " AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.client = d.url AND g.revoked_at = 0) LIMIT "
     "?)",
     7 * DAY},
    {"DELETE FROM client WHERE rowid IN (SELECT rowid FROM client WHERE used_at = 0"
     " AND approved = 0 AND created_at < ? LIMIT ?)",
     DAY},
};

/* Looks at the whole table: once in a while. */
static const struct broom upstream_broom = {
    "DELETE FROM upstream WHERE rowid IN (SELECT rowid FROM upstream u WHERE updated_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.issuer = u.issuer"
    "  AND g.subject = u.subject AND g.provider = u.provider AND g.revoked_at = 0) LIMIT ?)",
    DAY};

static int sweep_with(struct store_db *db, const struct broom *b, unsigned max, unsigned *n)
{
  if (*n >= max)
    return 0;
  int64_t gone = db_run(db, b->sql, VALUES(INT(store_time(db) - b->after_s), INT(max - *n)));
  if (gone < 0)
    return -1;
  *n += (unsigned)gone;
  return 0;
}

enum store_result store_sweep(struct store_db *db, unsigned max, unsigned *ret_n)
{
  *ret_n = 0;
  for (size_t i = 0; i < ARRAY_SIZE(brooms); i++)
    if (sweep_with(db, &brooms[i], max, ret_n) < 0)
      return STORE_FAILED;
  if (db->sweeps++ % RARELY == 0 && sweep_with(db, &upstream_broom, max, ret_n) < 0)
    return STORE_FAILED;
  return STORE_OK;
}
