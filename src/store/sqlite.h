/* SQLite behind store.h: one connection, its statements, sealed columns.  store_*.c alone.
 *
 * SQL is always a literal (QUERY and RUN put it behind ""), values are always bound (row 123); a
 * statement is prepared once a connection and found again by the address of its text. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>

#include "store/store.h"
#include "util/digest.h"

enum {
  DB_STATEMENTS = 160,
  DB_BUSY_MS = 5000, /* how long one waits for another process's transaction */
  DB_HASH = SHA256_SIZE,
};

struct statement {
  const char *sql;
  sqlite3_stmt *stmt;
};

struct store_db {
  sqlite3 *sqlite;
  const struct keyring *keys;
  const char *path;
  int epoch_fd; /* store.epoch, or -1 */
  struct statement cache[DB_STATEMENTS];
  size_t n_cache;
  int64_t high_water; /* of the wall clock, as far as the store knows */
  int64_t wall_0, mono_0;
  unsigned sweeps;
  uint64_t marks_left; /* until the marks are counted again */
  int64_t busy_since;  /* of the busy handler */
  bool epoch_moved;    /* by this transaction: store.epoch follows the commit */
  bool broken_file;    /* an I/O error: to be opened anew */
  struct err error;    /* of the work that failed; "" when none has */
};

/* ---- a connection (store_sqlite.c) */

int db_open(struct store_db *db, const char *path, const struct keyring *keys, struct err *e);
void db_close(struct store_db *db);
/* Notes what SQLite says; -1. */
int db_fail(struct store_db *db, const char *doing);
int db_begin(struct store_db *db, enum store_mode mode);
int db_commit(struct store_db *db);
/* Around one piece of work among several in a transaction. */
int db_savepoint(struct store_db *db);
int db_release(struct store_db *db);
void db_rollback(struct store_db *db);
int db_exec(struct store_db *db, const char *sql);

/* ---- statements */

struct value {
  enum { VALUE_NULL = 0, VALUE_INT, VALUE_TEXT, VALUE_BLOB } kind;
  struct str s;
  int64_t i;
};

static inline struct value INT(int64_t i) {
  return (struct value){.kind = VALUE_INT, .i = i};
}

static inline struct value
TEXT(struct str s) {
  return (struct value){.kind = VALUE_TEXT, .s = s};
}

static inline struct value
BLOB(struct str s) {
  return (struct value){.kind = VALUE_BLOB, .s = s};
}

enum row {
  ROW = 1,
  ROW_NONE,
  ROW_FAILED
};

/* Binds and takes the first step.  *RET is to be db_end in every case. */
enum row db_first(struct store_db *db, const char *sql, const struct value *v, size_t n,
                  sqlite3_stmt **ret);
enum row db_next(struct store_db *db, sqlite3_stmt *s);
void db_end(sqlite3_stmt **s);
/* Runs to the end; the number of rows that it changed, or -1. */
int64_t db_run(struct store_db *db, const char *sql, const struct value *v, size_t n);

#define VALUES(...)                                                                                \
  (const struct value[]){__VA_ARGS__},                                                             \
      sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value)
#define QUERY(db, ret, literal, ...) db_first(db, "" literal, VALUES(__VA_ARGS__), ret)
#define RUN(db, literal, ...)        db_run(db, "" literal, VALUES(__VA_ARGS__))

/* Column I as text or bytes, copied into A; .p NULL for NULL and when memory is short. */
struct str db_text(sqlite3_stmt *s, int i, struct arena *a);
/* The same, valid until the next step. */
struct str db_view(sqlite3_stmt *s, int i);
int64_t db_int(sqlite3_stmt *s, int i);

/* ---- sealed columns */

/* Which field of which row: table, column, and up to three parts of the row's key. */
struct place {
  const char *table, *column;
  struct str key[3];
  int64_t version;
};

/* Appends what TEXT is sealed to. */
int db_seal(struct store_db *db, const struct place *p, struct str text, struct buf *out);
/* *RET in A, wiped with it; STORE_OK, STORE_BROKEN or STORE_FAILED. */
enum store_result db_unseal(struct store_db *db, const struct place *p, struct str sealed,
                            struct arena *a, struct str *ret);
/* SHA-256 of a code or token, of which nothing else is kept (row 118).  When OpenSSL fails the work
 * fails, and .p is NULL: bound it is NULL, which no row has. */
struct str db_hash(struct store_db *db, struct str text, unsigned char ret[DB_HASH]);

/* ---- what several files need */

/* store_schema.c: makes or migrates, and judges whose store it is. */
int db_prepare(struct store_db *db, struct err *e);
/* The proof that this ring sealed the store, by the key that seals now. */
int db_renew_proof(struct store_db *db);
int64_t db_meta(struct store_db *db, const char *key, int64_t absent);
int db_meta_set(struct store_db *db, const char *key, int64_t value);
/* store_time.c */
int db_open_epoch(struct store_db *db, const char *state_dir, struct err *e);
/* An older copy of the store was put back: every grant of it ends (row 122). */
int db_judge_epoch(struct store_db *db, unsigned *ret_revoked);
void db_move_epoch(struct store_db *db);
void db_write_epoch(struct store_db *db);
/* Looks at the clock; false when it has jumped ahead: nothing is swept then. */
bool db_judge_clock(struct store_db *db);

#endif
