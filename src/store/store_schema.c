/* The tables of the store, their migrations, and whose store it is: made or migrated in one
 * transaction by whichever process opens it first.  A newer schema, a file of something else, and a
 * store that another key ring sealed are refused, and nothing is changed in them (row 120). */
#include <stdio.h>
#include <string.h>

#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* "mcpA" */
enum { APPLICATION = 0x6d637041 };

/* A step a version; steps only add (design section 8.1: an old generation may still drain).  `key`
 * is the number of the ring's key that sealed the row. */
static const char *const steps[] = {
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE ring (name TEXT PRIMARY KEY, proof BLOB NOT NULL) STRICT;"

    "CREATE TABLE client ("
    "  id TEXT PRIMARY KEY, name TEXT NOT NULL, registration BLOB NOT NULL, key INTEGER NOT NULL,"
    "  source TEXT NOT NULL, approved INTEGER NOT NULL, created_at INTEGER NOT NULL,"
    "  used_at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX client_unused ON client (source, created_at) WHERE used_at = 0;"

    "CREATE TABLE document ("
    "  url TEXT PRIMARY KEY, body TEXT NOT NULL, fetched_at INTEGER NOT NULL,"
    "  expires_at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX document_expires ON document (expires_at);"

    "CREATE TABLE mark (hash BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX mark_expires ON mark (expires_at);"

    "CREATE TABLE consent ("
    "  issuer TEXT NOT NULL, subject TEXT NOT NULL, client TEXT NOT NULL, redirect TEXT NOT NULL,"
    "  service TEXT NOT NULL, scopes TEXT NOT NULL, created_at INTEGER NOT NULL,"
    "  PRIMARY KEY (issuer, subject, client, redirect, service)) STRICT;"

    "CREATE TABLE grants ("
    "  id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, provider TEXT NOT NULL,"
    "  client TEXT NOT NULL, client_name TEXT NOT NULL, service TEXT NOT NULL,"
    "  scopes TEXT NOT NULL, principal BLOB, key INTEGER NOT NULL, created_at INTEGER NOT NULL,"
    "  used_at INTEGER NOT NULL, checked_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    "  revoked_at INTEGER NOT NULL, why TEXT NOT NULL, idle_at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX grants_person ON grants (issuer, subject, provider);"
    "CREATE INDEX grants_client ON grants (client);"
    "CREATE INDEX grants_revoked ON grants (revoked_at) WHERE revoked_at > 0;"
    "CREATE INDEX grants_idle ON grants (idle_at) WHERE revoked_at = 0;"
    "CREATE INDEX grants_expires ON grants (expires_at) WHERE expires_at > 0;"

    "CREATE TABLE code ("
    "  hash BLOB PRIMARY KEY, grant_id TEXT NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
    "  provider TEXT NOT NULL, client TEXT NOT NULL, client_name TEXT NOT NULL,"
    "  service TEXT NOT NULL, scopes TEXT NOT NULL, principal BLOB NOT NULL,"
    "  grant_expires_at INTEGER NOT NULL, redirect TEXT NOT NULL, challenge TEXT NOT NULL,"
    "  data BLOB NOT NULL, key INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    "  used_at INTEGER NOT NULL, replayed_at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX code_grant ON code (grant_id);"
    "CREATE INDEX code_expires ON code (expires_at);"

    "CREATE TABLE refresh ("
    "  hash BLOB PRIMARY KEY, grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,"
    "  generation INTEGER NOT NULL, issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    "  used_at INTEGER NOT NULL, successor BLOB) STRICT, WITHOUT ROWID;"
    "CREATE INDEX refresh_grant ON refresh (grant_id, generation);"
    "CREATE INDEX refresh_expires ON refresh (expires_at);"
    "CREATE INDEX refresh_successor ON refresh (used_at) WHERE successor IS NOT NULL;"

    "CREATE TABLE upstream ("
    "  provider TEXT NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
    "  access_token BLOB NOT NULL, refresh_token BLOB NOT NULL, extra BLOB NOT NULL,"
    "  key INTEGER NOT NULL, access_expires_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
    "  version INTEGER NOT NULL, leased_until INTEGER NOT NULL,"
    "  PRIMARY KEY (provider, issuer, subject)) STRICT;",
};

/* ---- numbers that the store knows about itself */

int64_t db_meta(struct store_db *db, const char *key, int64_t absent)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row r = QUERY(db, &s, "SELECT value FROM meta WHERE key = ?", TEXT(str_of(key)));
  return r == ROW ? db_int(s, 0) : absent;
}

int db_meta_set(struct store_db *db, const char *key, int64_t value)
{
  return RUN(db, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", TEXT(str_of(key)),
             INT(value)) < 0
             ? -1
             : 0;
}

/* ---- versions */

static int pragma(struct store_db *db, const char *sql, int64_t *ret)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  if (db_first(db, sql, NULL, 0, &s) != ROW)
    return -1;
  *ret = db_int(s, 0);
  return 0;
}

static int set_pragma(struct store_db *db, const char *name, int64_t value)
{
  char sql[64];
  snprintf(sql, sizeof sql, "PRAGMA %s=%lld", name, (long long)value);
  return db_exec(db, sql);
}

static int migrate(struct store_db *db, struct err *e)
{
  int64_t version, application;
  const int64_t ours = (int64_t)ARRAY_SIZE(steps);
  if (pragma(db, "PRAGMA user_version", &version) < 0 ||
      pragma(db, "PRAGMA application_id", &application) < 0)
    return -1;
  if (version ? application != APPLICATION : application != 0)
    return err_set(e, "it is a database of something else");
  if (version > ours)
    return err_set(e, "it was made by a newer mcpauth (schema %lld, this one knows %lld)",
                   (long long)version, (long long)ours);
  for (int64_t i = version; i < ours; i++)
    if (db_exec(db, steps[i]) < 0)
      return -1;
  if (version == ours)
    return 0;
  return set_pragma(db, "user_version", ours) < 0 ||
                 set_pragma(db, "application_id", APPLICATION) < 0
             ? -1
             : 0;
}

/* ---- whose it is */

static const struct place proof_place = {"ring", "proof", {{NULL, 0}}, 0};

static int claim(struct store_db *db)
{
  CLEANUP(buf_done) struct buf proof;
  buf_init(&proof, 256);
  if (db_seal(db, &proof_place, STR("mcpauth"), &proof) < 0)
    return -1;
  return RUN(db, "INSERT INTO ring (name, proof) VALUES (?, ?)",
             TEXT(str_of(keyring_name(db->keys))), BLOB(buf_view(&proof))) < 0
             ? -1
             : 0;
}

int db_renew_proof(struct store_db *db)
{
  CLEANUP(buf_done) struct buf proof;
  buf_init(&proof, 256);
  if (db_seal(db, &proof_place, STR("mcpauth"), &proof) < 0)
    return -1;
  return RUN(db, "UPDATE ring SET proof = ?", BLOB(buf_view(&proof))) < 0 ? -1 : 0;
}

static int judge_proof(struct store_db *db, struct str proof, struct err *e)
{
  struct str text;
  struct arena *a = arena_new(KIB(64));
  enum store_result r = a ? db_unseal(db, &proof_place, proof, a, &text) : STORE_FAILED;
  arena_free(a);
  if (r == STORE_BROKEN)
    return err_set(e,
                   "the key that sealed it (number %u) is not in the key ring: put the right "
                   "keys.ring back",
                   keyring_sealed_by(proof));
  return r == STORE_OK ? 0 : err_set(e, "out of memory");
}

static int judge_ring(struct store_db *db, struct err *e)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  enum row r = db_first(db, "SELECT name, proof FROM ring", NULL, 0, &s);
  if (r == ROW_FAILED)
    return -1;
  if (r == ROW_NONE)
    return claim(db);
  if (!str_is(db_view(s, 0), keyring_name(db->keys)))
    return err_set(e,
                   "another key ring sealed it (%.*s, not %s): put the right keys.ring back, or "
                   "move the store away and lose what is in it",
                   STR_ARG(db_view(s, 0)), keyring_name(db->keys));
  return judge_proof(db, db_view(s, 1), e);
}

int db_prepare(struct store_db *db, struct err *e)
{
  struct err why = {""};
  int r = db_begin(db, STORE_WRITE);
  if (r == 0 && (r = migrate(db, &why)) == 0)
    r = judge_ring(db, &why);
  if (r == 0) {
    db->high_water = db_meta(db, "clock", 0);
    r = db->error.text[0] ? -1 : db_commit(db);
  }
  if (r == 0)
    return 0;
  db_rollback(db);
  return err_set(e, "the store %s cannot be used: %s", db->path,
                 why.text[0] ? why.text : db->error.text);
}
