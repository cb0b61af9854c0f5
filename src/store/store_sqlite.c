/* One SQLite connection: opening, transactions, statements, sealed columns; see sqlite.h. */
#include <config.h>

#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/log.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

/* ---- a connection */

int db_fail(struct store_db *db, const char *doing)
{
  int code = sqlite3_extended_errcode(db->sqlite);
  if (db->error.text[0] == 0)
    err_set(&db->error, "%s: %s (%d)", doing, sqlite3_errmsg(db->sqlite), code);
  if ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CORRUPT)
    db->broken_file = true;
  return -1;
}

int db_exec(struct store_db *db, const char *sql)
{
  return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(db, sql);
}

/* Sleeps of a millisecond: transactions are short, and SQLite's own pauses grow to 100. */
static int on_busy(void *self, int count)
{
  struct store_db *db = self;
  int64_t now = clock_mono_ms();
  if (count == 0)
    db->busy_since = now;
  /* The clock of a test may stand still: the count ends it, too. */
  if (now - db->busy_since > DB_BUSY_MS || count > DB_BUSY_MS)
    return 0;
  usleep(1000 + (unsigned)(now * 7919 + (intptr_t)db / 64) % 500);
  return 1;
}

/* Opened only when there is none: closing any descriptor of the file takes this process's locks off
 * it, those of its other connection included, and the next process that closes the store would take
 * the log away from under us. */
static int make_file(const char *path, struct err *e)
{
  struct stat st;
  if (lstat(path, &st) < 0) {
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if ((fd < 0 && errno != EEXIST) || lstat(path, &st) < 0)
      return err_set(e, "cannot open the store %s: %s", path, strerror(errno));
  }
  if (!S_ISREG(st.st_mode) || (st.st_mode & 077))
    return err_set(e, "the store %s must be a file that its owner alone can read (mode 0600)",
                   path);
  return 0;
}

/* Making a new file one with a WAL needs it alone, and SQLite does not wait for that: two workers
 * that begin at once meet here. */
static int patiently(struct store_db *db, const char *sql)
{
  int r = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
  for (int i = 0; (r & 0xff) == SQLITE_BUSY && i < DB_BUSY_MS; i++) {
    usleep(1000);
    r = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
  }
  return r == SQLITE_OK ? 0 : db_fail(db, sql);
}

static int set_up(struct store_db *db)
{
  sqlite3_extended_result_codes(db->sqlite, 1);
  sqlite3_busy_handler(db->sqlite, on_busy, db);
  if (sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
      sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) != SQLITE_OK)
    return db_fail(db, "setting up SQLite");
  if (patiently(db, "PRAGMA journal_mode=WAL") < 0)
    return -1;
  return db_exec(db, "PRAGMA synchronous=FULL;"
                     "PRAGMA foreign_keys=ON;"
                     "PRAGMA secure_delete=ON;" /* row 124 */
                     "PRAGMA cell_size_check=ON;"
                     "PRAGMA temp_store=MEMORY;");
}

int db_open(struct store_db *db, const char *path, const struct keyring *keys, struct err *e)
{
  *db = (struct store_db){.keys = keys, .path = path, .epoch_fd = -1};
  db->wall_0 = clock_wall();
  db->mono_0 = clock_mono_ms();
  if (make_file(path, e) < 0)
    return -1;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  if (sqlite3_open_v2(path, &db->sqlite, flags, NULL) == SQLITE_OK && set_up(db) == 0)
    return 0;
  err_set(e, "the store %s cannot be used: %s", path,
          db->error.text[0] ? db->error.text
          : db->sqlite      ? sqlite3_errmsg(db->sqlite)
                            : "out of memory");
  db_close(db);
  return -1;
}

void db_close(struct store_db *db)
{
  for (size_t i = 0; i < db->n_cache; i++)
    sqlite3_finalize(db->cache[i].stmt);
  db->n_cache = 0;
  sqlite3_close(db->sqlite);
  db->sqlite = NULL;
  if (db->epoch_fd >= 0)
    close(db->epoch_fd);
  db->epoch_fd = -1;
}

/* Prepared once, like every statement: parsing these costs as much as running them. */
static int control(struct store_db *db, const char *sql)
{
  return db_run(db, sql, NULL, 0) < 0 ? -1 : 0;
}

int db_begin(struct store_db *db, enum store_mode mode)
{
  db->error.text[0] = 0;
  db->epoch_moved = false;
  return control(db, mode == STORE_WRITE ? "BEGIN IMMEDIATE" : "BEGIN");
}

int db_savepoint(struct store_db *db)
{
  return control(db, "SAVEPOINT work");
}

int db_release(struct store_db *db)
{
  return control(db, "RELEASE work");
}

int db_commit(struct store_db *db)
{
  if (control(db, "COMMIT") < 0) {
    db_rollback(db);
    return -1;
  }
  if (db->epoch_moved)
    db_write_epoch(db);
  return 0;
}

void db_rollback(struct store_db *db)
{
  /* After a full disk SQLite has done it already. */
  if (!sqlite3_get_autocommit(db->sqlite))
    control(db, "ROLLBACK");
}

/* ---- statements */

static sqlite3_stmt *prepared(struct store_db *db, const char *sql)
{
  for (size_t i = 0; i < db->n_cache; i++)
    if (db->cache[i].sql == sql)
      return db->cache[i].stmt;
  if (db->n_cache == DB_STATEMENTS) {
    err_set(&db->error, "too many statements");
    return NULL;
  }
  struct statement *s = &db->cache[db->n_cache];
  if (sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL) !=
      SQLITE_OK) {
    db_fail(db, sql);
    return NULL;
  }
  s->sql = sql;
  db->n_cache++;
  return s->stmt;
}

static int bind_value(sqlite3_stmt *s, int i, const struct value *v)
{
  switch (v->kind) {
  case VALUE_NULL:
    return sqlite3_bind_null(s, i);
  case VALUE_INT:
    return sqlite3_bind_int64(s, i, v->i);
  case VALUE_TEXT:
    return sqlite3_bind_text64(s, i, v->s.p ? v->s.p : "", v->s.n, SQLITE_STATIC, SQLITE_UTF8);
  case VALUE_BLOB:
    return v->s.p ? sqlite3_bind_blob64(s, i, v->s.p, v->s.n, SQLITE_STATIC)
                  : sqlite3_bind_null(s, i);
  }
  return SQLITE_MISUSE;
}

enum row db_next(struct store_db *db, sqlite3_stmt *s)
{
  int r = sqlite3_step(s);
  if (r == SQLITE_ROW)
    return ROW;
  if (r == SQLITE_DONE)
    return ROW_NONE;
  db_fail(db, sqlite3_sql(s));
  return ROW_FAILED;
}

/* What is bound is static: it must stay until db_end, which all callers see to by their scope. */
enum row db_first(struct store_db *db, const char *sql, const struct value *v, size_t n,
                  sqlite3_stmt **ret)
{
  sqlite3_stmt *s = prepared(db, sql);
  *ret = s;
  if (s == NULL)
    return ROW_FAILED;
  for (size_t i = 0; i < n; i++)
    if (bind_value(s, (int)i + 1, &v[i]) != SQLITE_OK) {
      db_fail(db, sql);
      return ROW_FAILED;
    }
  return db_next(db, s);
}

void db_end(sqlite3_stmt **s)
{
  if (*s == NULL)
    return;
  sqlite3_reset(*s);
  sqlite3_clear_bindings(*s);
  *s = NULL;
}

int64_t db_run(struct store_db *db, const char *sql, const struct value *v, size_t n)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row r = db_first(db, sql, v, n, &s);
  while (r == ROW)
    r = db_next(db, s);
  return r == ROW_FAILED ? -1 : sqlite3_changes64(db->sqlite);
}

struct str db_view(sqlite3_stmt *s, int i)
{
  const void *p = sqlite3_column_blob(s, i);
  size_t n = (size_t)sqlite3_column_bytes(s, i);
  if (p == NULL && sqlite3_column_type(s, i) == SQLITE_NULL)
    return (struct str){NULL, 0};
  return (struct str){p ? p : "", n};
}

struct str db_text(sqlite3_stmt *s, int i, struct arena *a)
{
  struct str v = db_view(s, i);
  return v.p ? arena_str(a, v) : v;
}

int64_t db_int(sqlite3_stmt *s, int i)
{
  return sqlite3_column_int64(s, i);
}

/* ---- sealed columns */

static const char label[] = "store";

/* Each part behind its length, so that no two places have the same bytes. */
static void put(struct buf *b, struct str part)
{
  buf_printf(b, "%zu:", part.n);
  buf_str(b, part);
}

static void place_print(const struct place *p, struct buf *b)
{
  put(b, str_of(p->table));
  put(b, str_of(p->column));
  for (size_t i = 0; i < ARRAY_SIZE(p->key); i++)
    put(b, p->key[i]);
  buf_printf(b, "%lld", (long long)p->version);
}

int db_seal(struct store_db *db, const struct place *p, struct str text, struct buf *out)
{
  CLEANUP(buf_done) struct buf aad;
  buf_init(&aad, KIB(16));
  place_print(p, &aad);
  if (aad.failed)
    return err_set(&db->error, "the key of a row of %s is too long", p->table);
  return keyring_seal(db->keys, label, buf_view(&aad), text, out, &db->error);
}

struct opened {
  struct buf buf;
};

static void wipe_opened(void *p)
{
  struct opened *o = p;
  buf_wipe(&o->buf);
}

enum store_result db_unseal(struct store_db *db, const struct place *p, struct str sealed,
                            struct arena *a, struct str *ret)
{
  CLEANUP(buf_done) struct buf aad;
  buf_init(&aad, KIB(16));
  place_print(p, &aad);
  struct opened *o = arena_new_of(a, struct opened);
  if (o == NULL || aad.failed || arena_defer(a, wipe_opened, o) < 0) {
    err_set(&db->error, "out of memory");
    return STORE_FAILED;
  }
  buf_init(&o->buf, LIMIT_KEYRING_TEXT);
  if (keyring_open(db->keys, label, buf_view(&aad), sealed, &o->buf) < 0) {
    log_error(
        "store: %s of a row of %s does not open (key %u): it was changed, moved, or sealed by "
        "a key that is gone; it is not used",
        p->column, p->table, keyring_sealed_by(sealed));
    return STORE_BROKEN;
  }
  *ret = buf_view(&o->buf);
  return STORE_OK;
}

struct str db_hash(struct store_db *db, struct str text, unsigned char ret[DB_HASH])
{
  if (sha256(text, ret) == 0)
    return (struct str){(const char *)ret, DB_HASH};
  err_set(&db->error, "SHA-256 fails");
  return (struct str){NULL, 0};
}
