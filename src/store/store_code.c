/* Authorization codes; see store.h.  A code is used up by whoever presents it; presented again, it
 * ends what came of it (row 90), also when that comes only later. */
#include <string.h>

#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/limits.h"

static struct place place_of(const char *column, struct str hash)
{
  return (struct place){"code", column, {hash}, 0};
}

static int seal(struct store_db *db, const char *column, struct str hash, struct str text,
                struct buf *out)
{
  struct place p = place_of(column, hash);
  return db_seal(db, &p, text, out);
}

enum store_result store_code_put(struct store_db *db, const struct store_code *c)
{
  CLEANUP(buf_done) struct buf principal, data;
  unsigned char bytes[DB_HASH];
  struct str hash = db_hash(db, c->code, bytes);
  const struct store_grant *g = &c->grant;
  buf_init(&principal, LIMIT_KEYRING_TEXT * 2);
  buf_init(&data, LIMIT_KEYRING_TEXT * 2);
  if (seal(db, "principal", hash, g->principal, &principal) < 0 ||
      seal(db, "data", hash, c->data, &data) < 0)
    return STORE_FAILED;
  int64_t n = RUN(
      db,
      "INSERT INTO code (hash, grant_id, issuer, subject, provider, client, client_name, service,"
      " scopes, principal, grant_expires_at, redirect, challenge, data, key, expires_at, used_at,"
      " replayed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)"
      " ON CONFLICT DO NOTHING",
      BLOB(hash), TEXT(g->id), TEXT(g->issuer), TEXT(g->subject), TEXT(g->provider),
      TEXT(g->client), TEXT(g->client_name), TEXT(g->service), TEXT(g->scopes),
      BLOB(buf_view(&principal)), INT(g->expires_at), TEXT(c->redirect), TEXT(c->challenge),
      BLOB(buf_view(&data)), INT(keyring_sealed_by(buf_view(&principal))), INT(c->expires_at));
  return n < 0 ? STORE_FAILED : n == 0 ? STORE_CONFLICT : STORE_OK;
}

/* ---- taking */

static enum store_result again(struct store_db *db, struct str hash, struct arena *a,
                               struct store_code *ret)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(db, &s,
                       "UPDATE code SET replayed_at = ? WHERE hash = ?"
                       " RETURNING grant_id, issuer, subject, client, service",
                       INT(store_time(db)), BLOB(hash));
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  *ret = (struct store_code){.grant = {.id = db_text(s, 0, a),
                                       .issuer = db_text(s, 1, a),
                                       .subject = db_text(s, 2, a),
                                       .client = db_text(s, 3, a),
                                       .service = db_text(s, 4, a)}};
  db_end(&s);
  if (ret->grant.id.p == NULL)
    return STORE_FAILED;
  return store_grant_revoke(db, ret->grant.id, "its code was presented again") == STORE_FAILED
             ? STORE_FAILED
             : STORE_USED;
}

static int read_code(sqlite3_stmt *s, struct arena *a, struct store_code *c)
{
  *c = (struct store_code){.grant = {.id = db_text(s, 0, a),
                                     .issuer = db_text(s, 1, a),
                                     .subject = db_text(s, 2, a),
                                     .provider = db_text(s, 3, a),
                                     .client = db_text(s, 4, a),
                                     .client_name = db_text(s, 5, a),
                                     .service = db_text(s, 6, a),
                                     .scopes = db_text(s, 7, a),
                                     .expires_at = db_int(s, 8)},
                           .redirect = db_text(s, 9, a),
                           .challenge = db_text(s, 10, a),
                           .expires_at = db_int(s, 11)};
  const struct store_grant *g = &c->grant;
  return g->id.p && g->issuer.p && g->subject.p && g->provider.p && g->client.p &&
                 g->client_name.p && g->service.p && g->scopes.p && c->redirect.p && c->challenge.p
             ? 0
             : -1;
}

enum store_result store_code_take(struct store_db *db, struct str code, struct arena *a,
                                  struct store_code *ret)
{
  unsigned char bytes[DB_HASH];
  struct str hash = db_hash(db, code, bytes);
  int64_t now = store_time(db);
  /* Taken first, then read: RETURNING would keep the row in a table of its own. */
  int64_t taken =
      RUN(db, "UPDATE code SET used_at = ? WHERE hash = ? AND used_at = 0", INT(now), BLOB(hash));
  if (taken < 0)
    return STORE_FAILED;
  if (taken == 0)
    return again(db, hash, a, ret);
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(db, &s,
                       "SELECT grant_id, issuer, subject, provider, client, client_name, service,"
                       " scopes, grant_expires_at, redirect, challenge, expires_at, principal, data"
                       " FROM code WHERE hash = ?",
                       BLOB(hash));
  if (row != ROW)
    return STORE_FAILED;
  struct store_code c;
  if (read_code(s, a, &c) < 0) {
    err_set(&db->error, "out of memory");
    return STORE_FAILED;
  }
  if (c.expires_at <= now)
    return STORE_EXPIRED;
  struct place principal = place_of("principal", hash), data = place_of("data", hash);
  enum store_result r = db_unseal(db, &principal, db_view(s, 12), a, &c.grant.principal);
  if (r == STORE_OK)
    r = db_unseal(db, &data, db_view(s, 13), a, &c.data);
  if (r == STORE_OK)
    *ret = c;
  return r;
}
