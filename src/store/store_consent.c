/* Consents, single-use marks and client documents; see store.h. */
#include <string.h>

#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ---- consents */

static bool have_word(struct str words, struct str word)
{
  struct str w;
  while (str_next(&words, ' ', &w))
    if (str_eq(w, word))
      return true;
  return false;
}

static bool have_all(struct str words, struct str wanted)
{
  struct str w;
  while (str_next(&wanted, ' ', &w))
    if (w.n && !have_word(words, w))
      return false;
  return true;
}

/* A and what B has beyond it; store.h wants them sorted only when they come in. */
static void join(struct str a, struct str b, struct buf *out)
{
  struct str w;
  buf_str(out, a);
  while (str_next(&b, ' ', &w))
    if (w.n && !have_word(a, w)) {
      if (out->n)
        buf_putc(out, ' ');
      buf_str(out, w);
    }
}

static enum row find(struct store_db *db, const struct store_consent *c, sqlite3_stmt **ret)
{
  return QUERY(db, ret,
               "SELECT scopes FROM consent WHERE issuer = ? AND subject = ? AND client = ?"
               " AND redirect = ? AND service = ?",
               TEXT(c->issuer), TEXT(c->subject), TEXT(c->client), TEXT(c->redirect),
               TEXT(c->service));
}

enum store_result store_consent_put(struct store_db *db, const struct store_consent *c)
{
  CLEANUP(buf_done) struct buf scopes;
  sqlite3_stmt *s = NULL;
  buf_init(&scopes, LIMIT_SCOPES * (LIMIT_SCOPE + 1));
  enum row row = find(db, c, &s);
  bool same = row == ROW && have_all(db_view(s, 0), c->scopes);
  if (row == ROW)
    join(db_view(s, 0), c->scopes, &scopes);
  else
    buf_str(&scopes, c->scopes);
  db_end(&s);
  if (row == ROW_FAILED)
    return STORE_FAILED;
  if (same) /* nobody's row is written anew for what it says already */
    return STORE_OK;
  if (scopes.failed)
    return STORE_LIMIT;
  return RUN(db,
             "INSERT INTO consent (issuer, subject, client, redirect, service, scopes, created_at)"
             " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET scopes = excluded.scopes",
             TEXT(c->issuer), TEXT(c->subject), TEXT(c->client), TEXT(c->redirect),
             TEXT(c->service), TEXT(buf_view(&scopes)), INT(store_time(db))) < 0
             ? STORE_FAILED
             : STORE_OK;
}

enum store_result store_consent_covers(struct store_db *db, const struct store_consent *c)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = find(db, c, &s);
  if (row == ROW_FAILED)
    return STORE_FAILED;
  return row == ROW && have_all(db_view(s, 0), c->scopes) ? STORE_OK : STORE_NONE;
}

enum store_result store_consent_forget(struct store_db *db, struct str issuer, struct str subject,
                                       struct str client)
{
  int64_t n = RUN(db,
                  "DELETE FROM consent WHERE issuer = ? AND subject = ?"
                  " AND (?3 = '' OR client = ?3)",
                  TEXT(issuer), TEXT(subject), TEXT(client));
  return n < 0 ? STORE_FAILED : n == 0 ? STORE_NONE : STORE_OK;
}

/* ---- marks */

/* The same value under two kinds is two marks. */
static struct str mark_hash(struct store_db *db, const char *kind, struct str value,
                            unsigned char hash[DB_HASH])
{
  unsigned char both[2 * DB_HASH];
  if (db_hash(db, str_of(kind), both).p == NULL || db_hash(db, value, both + DB_HASH).p == NULL)
    return (struct str){NULL, 0};
  return db_hash(db, (struct str){(char *)both, sizeof both}, hash);
}

/* Counting them all is dear: once in a while, and as many may come meanwhile. */
static int marks_room(struct store_db *db)
{
  if (db->marks_left > 0) {
    db->marks_left--;
    return 1;
  }
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  if (db_first(db, "SELECT count(*) FROM mark", NULL, 0, &s) != ROW)
    return -1;
  int64_t n = db_int(s, 0);
  if (n >= LIMIT_MARKS)
    return 0;
  db->marks_left = LIMIT_MARKS - (uint64_t)n < 1000 ? 0 : 1000;
  return 1;
}

enum store_result store_mark(struct store_db *db, const char *kind, struct str value,
                             int64_t expires_at)
{
  unsigned char hash[DB_HASH];
  if (expires_at <= store_time(db))
    return STORE_EXPIRED;
  int room = marks_room(db);
  if (room <= 0)
    return room < 0 ? STORE_FAILED : STORE_FULL;
  int64_t n = RUN(db, "INSERT INTO mark (hash, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                  BLOB(mark_hash(db, kind, value, hash)), INT(expires_at));
  return n < 0 ? STORE_FAILED : n == 0 ? STORE_USED : STORE_OK;
}

enum store_result store_marked(struct store_db *db, const char *kind, struct str value)
{
  unsigned char hash[DB_HASH];
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row =
      QUERY(db, &s, "SELECT 1 FROM mark WHERE hash = ?", BLOB(mark_hash(db, kind, value, hash)));
  return row == ROW ? STORE_OK : row == ROW_NONE ? STORE_NONE : STORE_FAILED;
}

/* ---- client documents */

enum store_result store_document_put(struct store_db *db, const struct store_document *d)
{
  /* The oldest make room, those last through which somebody is logged in: what is lost is fetched
   * again at her next login. */
  if (RUN(db,
          "DELETE FROM document WHERE rowid IN (SELECT rowid FROM document d ORDER BY EXISTS"
          " (SELECT 1 FROM grants g WHERE g.client = d.url AND g.revoked_at = 0), expires_at"
          " LIMIT max(0, (SELECT count(*) FROM document) - ?))",
          INT(LIMIT_DOCUMENTS - 1)) < 0)
    return STORE_FAILED;
  return RUN(db,
             "INSERT OR REPLACE INTO document (url, body, fetched_at, expires_at)"
             " VALUES (?, ?, ?, ?)",
             TEXT(d->url), TEXT(d->body), INT(d->fetched_at), INT(d->expires_at)) < 0
             ? STORE_FAILED
             : STORE_OK;
}

enum store_result store_document_get(struct store_db *db, struct str url, struct arena *a,
                                     struct store_document *ret)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = QUERY(
      db, &s, "SELECT url, body, fetched_at, expires_at FROM document WHERE url = ?", TEXT(url));
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  struct store_document d = {.url = db_text(s, 0, a),
                             .body = db_text(s, 1, a),
                             .fetched_at = db_int(s, 2),
                             .expires_at = db_int(s, 3)};
  if (d.url.p == NULL || d.body.p == NULL)
    return STORE_FAILED;
  *ret = d;
  return STORE_OK;
}
