/* Sealing anew after a rotation of the key ring; see store.h.  Each portion is a transaction of its
 * own, so that it can be interrupted at any time and goes on where it was (row 120).  A row that
 * does not open is marked (key 0) and left as it is: it is refused wherever it is read. */
#include <string.h>

#include "ops/log.h"
#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { COLUMNS = 3, PORTION = 256 };

/* A table with sealed columns.  `row` yields the parts of the key, the version, the columns;
 * `update` takes the columns, then the number of the key and the rowid. */
struct sealed_table {
  const char *name;
  int n_key, n_columns;
  const char *columns[COLUMNS];
  const char *old, *row, *update, *spoil;
};

#define OLD(table)   "SELECT rowid FROM " table " WHERE key NOT IN (0, ?) LIMIT ?"
#define SPOIL(table) "UPDATE " table " SET key = 0 WHERE rowid = ?"

static const struct sealed_table tables[] = {
    {"client",
     1,
     1,
     {"registration"},
     OLD("client"),
     "SELECT id, 0, registration FROM client WHERE rowid = ?",
     "UPDATE client SET registration = ?, key = ? WHERE rowid = ?",
     SPOIL("client")},
    {"grants",
     1,
     1,
     {"principal"},
     OLD("grants"),
     "SELECT id, 0, principal FROM grants WHERE rowid = ?",
     "UPDATE grants SET principal = ?, key = ? WHERE rowid = ?",
     SPOIL("grants")},
    {"code",
     1,
     2,
     {"principal", "data"},
     OLD("code"),
     "SELECT hash, 0, principal, data FROM code WHERE rowid = ?",
     "UPDATE code SET principal = ?, data = ?, key = ? WHERE rowid = ?",
     SPOIL("code")},
    {"upstream",
     3,
     3,
     {"access_token", "refresh_token", "extra"},
     OLD("upstream"),
     "SELECT provider, issuer, subject, version, access_token, refresh_token, extra FROM upstream"
     " WHERE rowid = ?",
     "UPDATE upstream SET access_token = ?, refresh_token = ?, extra = ?, key = ? WHERE rowid = ?",
     SPOIL("upstream")},
};

struct row_seals {
  struct buf sealed[COLUMNS];
};

static void done_seals(struct row_seals *r)
{
  for (int i = 0; i < COLUMNS; i++)
    buf_done(&r->sealed[i]);
}

/* Column I of the row that S is at; NULL stays NULL. */
static enum store_result seal_column(struct store_db *db, const struct sealed_table *t,
                                     sqlite3_stmt *s, int i, struct arena *a, struct buf *out)
{
  struct place p = {.table = t->name, .column = t->columns[i], .version = db_int(s, t->n_key)};
  struct str text, sealed = db_view(s, t->n_key + 1 + i);
  for (int k = 0; k < t->n_key; k++)
    p.key[k] = db_view(s, k);
  if (sealed.p == NULL)
    return STORE_OK;
  enum store_result r = db_unseal(db, &p, sealed, a, &text);
  if (r == STORE_OK && db_seal(db, &p, text, out) < 0)
    r = STORE_FAILED;
  return r;
}

static enum store_result seal_row(struct store_db *db, const struct sealed_table *t, int64_t rowid,
                                  struct row_seals *ret)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row row = db_first(db, t->row, VALUES(INT(rowid)), &s);
  if (row != ROW)
    return row == ROW_NONE ? STORE_NONE : STORE_FAILED;
  struct arena *a = arena_new(MIB(1));
  enum store_result r = a ? STORE_OK : STORE_FAILED;
  for (int i = 0; r == STORE_OK && i < t->n_columns; i++)
    r = seal_column(db, t, s, i, a, &ret->sealed[i]);
  arena_free(a);
  return r;
}

static enum store_result rewrap_row(struct store_db *db, const struct sealed_table *t,
                                    int64_t rowid)
{
  struct value v[COLUMNS + 2];
  size_t n = 0;
  CLEANUP(done_seals) struct row_seals seals;
  for (int i = 0; i < COLUMNS; i++)
    buf_init(&seals.sealed[i], LIMIT_KEYRING_TEXT * 2);
  uint32_t key = keyring_sealing(db->keys);
  enum store_result r = seal_row(db, t, rowid, &seals);
  if (r == STORE_NONE)
    return STORE_OK;
  if (r == STORE_BROKEN)
    return db_run(db, t->spoil, VALUES(INT(rowid))) < 0 ? STORE_FAILED : STORE_OK;
  if (r != STORE_OK)
    return r;
  for (int i = 0; i < t->n_columns; i++)
    v[n++] = BLOB(buf_view(&seals.sealed[i]));
  v[n++] = INT(key);
  v[n++] = INT(rowid);
  return db_run(db, t->update, v, n) < 0 ? STORE_FAILED : STORE_OK;
}

static int64_t find_old(struct store_db *db, const struct sealed_table *t, unsigned max,
                        int64_t rowids[PORTION])
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  unsigned n = 0;
  enum row row = db_first(db, t->old, VALUES(INT(keyring_sealing(db->keys)), INT(max)), &s);
  for (; row == ROW && n < max; row = db_next(db, s))
    rowids[n++] = db_int(s, 0);
  return row == ROW_FAILED ? -1 : (int64_t)n;
}

static enum store_result rewrap_table(struct store_db *db, const struct sealed_table *t,
                                      unsigned max, unsigned *ret_n)
{
  int64_t rowids[PORTION];
  int64_t n = find_old(db, t, max, rowids);
  enum store_result r = n < 0 ? STORE_FAILED : STORE_OK;
  for (int64_t i = 0; i < n && r == STORE_OK; i++)
    r = rewrap_row(db, t, rowids[i]);
  if (r == STORE_OK)
    *ret_n += (unsigned)n;
  return r;
}

enum store_result store_rewrap(struct store_db *db, unsigned max, unsigned *ret_n)
{
  if (max > PORTION)
    max = PORTION;
  *ret_n = 0;
  for (size_t i = 0; i < ARRAY_SIZE(tables) && *ret_n < max; i++) {
    enum store_result r = rewrap_table(db, &tables[i], max - *ret_n, ret_n);
    if (r != STORE_OK)
      return r;
  }
  /* Nothing is left: the proof that this ring sealed the store is the last. */
  return *ret_n == 0 && db_renew_proof(db) < 0 ? STORE_FAILED : STORE_OK;
}
