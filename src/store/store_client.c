/* Clients that registered themselves; see store.h.  One that was never used is taken out after a
 * while, one that was used never is (row 105). */
#include <string.h>

#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { TOUCH_S = 3600 };

static struct place place_of(struct str id)
{
  return (struct place){"client", "registration", {id}, 0};
}

static int64_t count(struct store_db *db, const char *sql, const struct value *v, size_t n)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  return db_first(db, sql, v, n, &s) == ROW ? db_int(s, 0) : -1;
}

static enum store_result room(struct store_db *db, const struct store_client *c,
                              const struct store_client_limits *l)
{
  if (RUN(db, "DELETE FROM client WHERE used_at = 0 AND approved = 0 AND created_at < ?",
          INT(store_time(db) - l->unused_s)) < 0)
    return STORE_FAILED;
  int64_t mine = count(db, "SELECT count(*) FROM client WHERE source = ? AND used_at = 0",
                       VALUES(TEXT(c->source)));
  int64_t all = count(db, "SELECT count(*) FROM client WHERE used_at = 0", NULL, 0);
  if (mine < 0 || all < 0)
    return STORE_FAILED;
  if (mine >= l->per_source)
    return STORE_LIMIT;
  return all >= l->total ? STORE_FULL : STORE_OK;
}

enum store_result store_client_add(struct store_db *db, const struct store_client *c,
                                   const struct store_client_limits *limits)
{
  CLEANUP(buf_done) struct buf sealed;
  struct place p = place_of(c->id);
  enum store_result r = room(db, c, limits);
  buf_init(&sealed, LIMIT_KEYRING_TEXT * 2);
  if (r != STORE_OK)
    return r;
  if (db_seal(db, &p, c->registration, &sealed) < 0)
    return STORE_FAILED;
  int64_t n = RUN(db,
                  "INSERT INTO client (id, name, registration, key, source, approved, created_at,"
                  " used_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
                  TEXT(c->id), TEXT(c->name), BLOB(buf_view(&sealed)),
                  INT(keyring_sealed_by(buf_view(&sealed))), TEXT(c->source), INT(c->approved),
                  INT(store_time(db)));
  return n < 0 ? STORE_FAILED : n == 0 ? STORE_CONFLICT : STORE_OK;
}

static void read_columns(sqlite3_stmt *s, struct store_client *ret)
{
  *ret = (struct store_client){.id = db_view(s, 0),
                               .name = db_view(s, 1),
                               .source = db_view(s, 2),
                               .approved = db_int(s, 3) != 0,
                               .created_at = db_int(s, 4),
                               .used_at = db_int(s, 5)};
}

enum store_result store_client_get(struct store_db *db, struct str id, struct arena *a,
                                   struct store_client *ret)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(db, &s,
                       "SELECT id, name, source, approved, created_at, used_at, registration"
                       " FROM client WHERE id = ?",
                       TEXT(id));
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  struct store_client c;
  struct place p = place_of(id);
  read_columns(s, &c);
  enum store_result r = db_unseal(db, &p, db_view(s, 6), a, &c.registration);
  c.id = arena_str(a, c.id);
  c.name = arena_str(a, c.name);
  c.source = arena_str(a, c.source);
  if (r != STORE_OK)
    return r;
  if (c.id.p == NULL || c.name.p == NULL || c.source.p == NULL)
    return STORE_FAILED;
  *ret = c;
  return STORE_OK;
}

enum store_result store_client_used(struct store_db *db, struct str id)
{
  int64_t now = store_time(db);
  int64_t n = RUN(db, "UPDATE client SET used_at = ?1 WHERE id = ?2 AND used_at < ?1 - ?3",
                  INT(now), TEXT(id), INT(TOUCH_S));
  return n < 0 ? STORE_FAILED : STORE_OK;
}

enum store_result store_client_approve(struct store_db *db, struct str id)
{
  int64_t n = RUN(db, "UPDATE client SET approved = 1 WHERE id = ?", TEXT(id));
  return n < 0 ? STORE_FAILED : n == 0 ? STORE_NONE : STORE_OK;
}

struct removal {
  struct store_db *db;
  struct arena *ids;
  struct str list[256];
  size_t n;
};

static void note_grant(void *arg, const struct store_grant *g)
{
  struct removal *m = arg;
  if (m->n < ARRAY_SIZE(m->list) && (m->list[m->n] = arena_str(m->ids, g->id)).p)
    m->n++;
}

/* A portion at a time, until none is alive. */
static enum store_result revoke_all(struct store_db *db, struct str client, unsigned *ret_n)
{
  enum store_result r;
  struct store_grant_filter f = {.client = client};
  struct removal m = {.db = db};
  *ret_n = 0;
  do {
    m.n = 0;
    m.ids = arena_new(MIB(1));
    r = m.ids ? store_grant_each(db, &f, note_grant, &m) : STORE_FAILED;
    for (size_t i = 0; r == STORE_OK && i < m.n; i++) {
      r = store_grant_revoke(db, m.list[i], "the client was removed");
      *ret_n += r == STORE_OK;
    }
    arena_free(m.ids);
  } while (r == STORE_OK && m.n > 0);
  return r;
}

enum store_result store_client_remove(struct store_db *db, struct str id, unsigned *ret_grants)
{
  enum store_result r = revoke_all(db, id, ret_grants);
  if (r != STORE_OK)
    return r;
  int64_t n = RUN(db, "DELETE FROM client WHERE id = ?", TEXT(id));
  if (n < 0 || RUN(db, "DELETE FROM consent WHERE client = ?", TEXT(id)) < 0 ||
      RUN(db, "DELETE FROM code WHERE client = ? AND used_at = 0", TEXT(id)) < 0)
    return STORE_FAILED;
  return n == 0 && *ret_grants == 0 ? STORE_NONE : STORE_OK;
}

enum store_result store_client_each(struct store_db *db, store_client_fn *each, void *arg)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = db_first(db,
                          "SELECT id, name, source, approved, created_at, used_at FROM client"
                          " ORDER BY created_at, id",
                          NULL, 0, &s);
  for (; row == ROW; row = db_next(db, s)) {
    struct store_client c;
    read_columns(s, &c);
    each(arg, &c);
  }
  return row == ROW_FAILED ? STORE_FAILED : STORE_OK;
}
