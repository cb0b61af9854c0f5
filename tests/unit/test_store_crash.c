/* What survives: kill -9 at random instants, a wrong ring, damaged and exchanged rows, a newer
 * schema, an older copy that is put back, interrupted re-wraps.  STORE_KILLS is the number of
 * kills.
 */
#include "store_support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { MONTH = 30 * 86400, GRACE = 120, GRANTS = 64 };

static struct store_db db;
static struct arena *arena;

static int setup(void **state)
{
  if (make_dir(state) < 0)
    return -1;
  arena = arena_new(64 * 1024 * 1024);
  return arena ? 0 : -1;
}

static int teardown(void **state)
{
  arena_free(arena);
  clock_freeze(-1, -1);
  return remove_dir(state);
}

static void refused(const char *why)
{
  struct err e = {""};
  if (db_open(&db, in_dir("store.db"), ring, &e) == 0) {
    assert_int_equal(db_prepare(&db, &e), -1);
    db_close(&db);
  }
  if (strstr(e.text, why) == NULL)
    fail_msg("\"%s\" does not say \"%s\"", e.text, why);
}

/* ---- kill -9: rows 189, 192 */

/* What a writer says behind each commit, before it begins the next. */
struct ack {
  enum { ACK_GRANT = 1, ACK_ROTATE, ACK_REVOKE, ACK_TAKE } what;
  unsigned grant, generation;
};

struct model {
  bool made[GRANTS], revoked[GRANTS], taken[GRANTS];
  unsigned generation[GRANTS];
};

static unsigned base; /* of this kill's names */

static struct str name(const char *what, unsigned grant, unsigned generation)
{
  return str_of(arena_printf(arena, "%s-%u-%u-%u-0123456789", what, base, grant, generation));
}

static struct store_grant grant_of(unsigned i)
{
  struct store_grant g = sample_grant("");
  g.id = name("grant", i, 0);
  return g;
}

static int make_grant(unsigned i)
{
  struct store_grant g = grant_of(i);
  struct store_code c = sample_code("", "");
  c.code = name("code", i, 0);
  c.grant = g;
  c.expires_at += MONTH;
  return store_grant_add(&db, &g) == STORE_OK &&
                 store_refresh_add(&db, g.id, name("refresh", i, 0), clock_wall() + MONTH) ==
                     STORE_OK &&
                 store_code_put(&db, &c) == STORE_OK
             ? 0
             : -1;
}

/* One transaction of the writer; what it will say of it. */
static int step(struct model *m, struct ack *ack)
{
  unsigned i = (unsigned)rand() % GRANTS;
  struct str got;
  struct store_code c;
  *ack = (struct ack){.what = ACK_GRANT, .grant = i};
  if (!m->made[i])
    return make_grant(i);
  if (m->revoked[i])
    return 1;
  unsigned dice = (unsigned)rand() % 8;
  if (dice == 0) {
    ack->what = ACK_REVOKE;
    return store_grant_revoke(&db, grant_of(i).id, "test") == STORE_OK ? 0 : -1;
  }
  if (dice == 1 && !m->taken[i]) {
    ack->what = ACK_TAKE;
    return store_code_take(&db, name("code", i, 0), arena, &c) == STORE_OK ? 0 : -1;
  }
  *ack = (struct ack){ACK_ROTATE, i, m->generation[i] + 1};
  return store_refresh_rotate(&db, name("refresh", i, m->generation[i]), STR("client-1"),
                              name("refresh", i, ack->generation), clock_wall() + MONTH, GRACE,
                              arena, &got) == STORE_OK
             ? 0
             : -1;
}

static void apply(struct model *m, const struct ack *a)
{
  switch (a->what) {
  case ACK_GRANT:
    m->made[a->grant] = true;
    break;
  case ACK_ROTATE:
    m->generation[a->grant] = a->generation;
    break;
  case ACK_REVOKE:
    m->revoked[a->grant] = true;
    break;
  case ACK_TAKE:
    m->taken[a->grant] = true;
    break;
  }
}

static void write_until_killed(int report)
{
  static struct model m;
  open_db(&db);
  srand((unsigned)getpid());
  for (;;) {
    struct ack ack;
    if (db_begin(&db, STORE_WRITE) < 0)
      _exit(1);
    int r = step(&m, &ack);
    if (r < 0 || db_commit(&db) < 0)
      _exit(2);
    if (r > 0)
      continue;
    apply(&m, &ack);
    if (write(report, &ack, sizeof ack) != sizeof ack)
      _exit(3);
  }
}

/* Everything that was acknowledged holds; at most one transaction more has happened. */
static void judge_grant(const struct model *m, unsigned i)
{
  struct store_refresh t;
  struct store_code c;
  if (!m->made[i])
    return;
  enum store_result r =
      TX(&db, store_refresh_peek(&db, name("refresh", i, m->generation[i]), GRACE, arena, &t));
  if (m->revoked[i])
    assert_int_equal(r, STORE_REVOKED);
  else
    assert_true(r == STORE_OK || r == STORE_REVOKED);
  if (m->generation[i] > 0) {
    r = TX(&db,
           store_refresh_peek(&db, name("refresh", i, m->generation[i] - 1), GRACE, arena, &t));
    assert_true(r == STORE_OK || r == STORE_REVOKED);
    assert_true(t.used_at > 0);
  }
  r = TX(&db, store_code_take(&db, name("code", i, 0), arena, &c));
  if (m->taken[i])
    assert_int_equal(r, STORE_USED);
  else if (!m->revoked[i])
    assert_true(r == STORE_OK || r == STORE_USED || r == STORE_NONE);
}

static void judge_integrity(void)
{
  CLEANUP(db_end) sqlite3_stmt *s = NULL;
  assert_int_equal(db_begin(&db, STORE_READ), 0);
  assert_int_equal(db_first(&db, "PRAGMA integrity_check", NULL, 0, &s), ROW);
  assert_true(str_is(db_view(s, 0), "ok"));
  db_end(&s);
  db_rollback(&db);
}

static unsigned kill_once(unsigned round)
{
  static struct model m;
  struct ack ack;
  unsigned n = 0;
  int report[2], status;
  memset(&m, 0, sizeof m);
  base = round;
  assert_int_equal(pipe(report), 0);
  pid_t pid = fork();
  if (pid == 0)
    write_until_killed(report[1]);
  close(report[1]);
  unsigned wanted = 10 + (unsigned)rand() % 40;
  while (n < wanted && read(report[0], &ack, sizeof ack) == sizeof ack) {
    apply(&m, &ack);
    n++;
  }
  kill(pid, SIGKILL);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status));
  for (; read(report[0], &ack, sizeof ack) == sizeof ack; n++)
    apply(&m, &ack);
  close(report[0]);
  open_db(&db);
  judge_integrity();
  for (unsigned i = 0; i < GRANTS; i++)
    judge_grant(&m, i);
  db_close(&db);
  return n;
}

static void test_kills_lose_nothing_acknowledged_and_revive_nothing(void **state)
{
  (void)state;
  const char *text = getenv("STORE_KILLS");
  unsigned kills = text ? (unsigned)strtoul(text, NULL, 10) : 20, acks = 0;
  srand(1);
  for (unsigned i = 0; i < kills; i++)
    acks += kill_once(i);
  assert_true(acks >= 10 * kills);
}

/* ---- whose store, which schema */

static void make_store(void)
{
  struct store_grant g = sample_grant("g1");
  struct store_link l = {g.provider, g.issuer, g.subject};
  struct store_upstream u = {.access_token = STR("upstream-canary"),
                             .refresh_token = STR("refresh-canary")};
  struct store_code c = sample_code("code-canary-0123456789", "g2");
  open_db(&db);
  assert_int_equal(TX(&db, store_grant_add(&db, &g)), STORE_OK);
  assert_int_equal(
      TX(&db, store_refresh_add(&db, g.id, STR("mine-canary-0123456789"), clock_wall() + MONTH)),
      STORE_OK);
  assert_int_equal(TX(&db, store_upstream_put(&db, &l, &u, 0)), STORE_OK);
  assert_int_equal(TX(&db, store_code_put(&db, &c)), STORE_OK);
}

static void change(const char *sql)
{
  sqlite3 *raw;
  assert_int_equal(sqlite3_open(in_dir("store.db"), &raw), SQLITE_OK);
  char *why = NULL;
  if (sqlite3_exec(raw, sql, NULL, NULL, &why) != SQLITE_OK)
    fail_msg("%s", why);
  sqlite3_close(raw);
}

/* row 120 */
static void test_a_store_of_another_ring_is_refused_and_left_as_it_is(void **state)
{
  (void)state;
  struct stat before, after;
  make_store();
  db_close(&db);
  assert_int_equal(mkdir(in_dir("other"), 0700), 0);
  struct keyring *right = ring;
  ring = keyring_load(in_dir("other"), true, NULL);
  assert_int_equal(stat(in_dir("store.db"), &before), 0);
  refused("another key ring");
  assert_int_equal(stat(in_dir("store.db"), &after), 0);
  assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
  keyring_free(ring);
  ring = right;
  struct store_grant g;
  open_db(&db);
  assert_int_equal(TX(&db, store_grant_get(&db, STR("g1"), arena, &g)), STORE_OK);
  db_close(&db);
}

static void test_a_newer_schema_is_refused(void **state)
{
  (void)state;
  make_store();
  db_close(&db);
  change("PRAGMA user_version=99");
  refused("newer mcpauth (schema 99");
}

static void test_a_database_of_something_else_is_refused(void **state)
{
  (void)state;
  change("CREATE TABLE theirs (x); PRAGMA user_version=1");
  assert_int_equal(chmod(in_dir("store.db"), 0600), 0);
  refused("something else");
}

static void test_a_file_that_is_no_database_is_refused(void **state)
{
  (void)state;
  FILE *f = fopen(in_dir("store.db"), "w");
  assert_non_null(f);
  for (int i = 0; i < 1000; i++)
    fputs("no database at all\n", f);
  fclose(f);
  assert_int_equal(chmod(in_dir("store.db"), 0600), 0);
  refused("not a database");
}

/* rows 121, 124 */
static void test_the_files_are_their_owners_alone(void **state)
{
  (void)state;
  static const char *const files[] = {"store.db", "store.db-wal", "store.db-shm"};
  struct stat st;
  umask(0);
  make_store();
  umask(022);
  for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
    assert_int_equal(stat(in_dir(files[i]), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
  }
  db_close(&db);
  assert_int_equal(chmod(in_dir("store.db"), 0640), 0);
  refused("0600");
}

/* ---- what is in the file */

static bool file_has(const char *file, const char *text)
{
  AUTO_CLOSE int fd = open(in_dir(file), O_RDONLY);
  struct stat st;
  if (fd < 0)
    return false;
  assert_int_equal(fstat(fd, &st), 0);
  AUTO_FREE char *p = malloc((size_t)st.st_size + 1);
  assert_non_null(p);
  assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
  size_t n = strlen(text);
  for (off_t i = 0; i + (off_t)n <= st.st_size; i++)
    if (memcmp(p + i, text, n) == 0)
      return true;
  return false;
}

/* rows 118, 119 */
static void test_no_token_and_no_code_is_in_the_files(void **state)
{
  (void)state;
  struct str got;
  make_store();
  assert_int_equal(TX(&db, store_refresh_rotate(&db, STR("mine-canary-0123456789"), STR("client-1"),
                                                STR("next-canary-0123456789"), clock_wall() + MONTH,
                                                GRACE, arena, &got)),
                   STORE_OK);
  static const char *const files[] = {"store.db", "store.db-wal"};
  for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
    assert_false(file_has(files[i], "canary"));
    assert_false(file_has(files[i], "ann@example.com"));
  }
  assert_true(file_has("store.db-wal", "Claude")); /* the search finds what is there */
  db_close(&db);
}

/* row 124 */
static void test_nothing_of_what_was_deleted_stays_in_the_file(void **state)
{
  (void)state;
  struct store_client c = {.id = STR("deleted-canary"),
                           .name = STR("name-canary"),
                           .registration = STR("{}"),
                           .source = STR("x")};
  const struct store_client_limits limits = {100, 100, 86400};
  unsigned grants;
  open_db(&db);
  assert_int_equal(TX(&db, store_client_add(&db, &c, &limits)), STORE_OK);
  db_close(&db);
  assert_true(file_has("store.db", "name-canary"));
  open_db(&db);
  assert_int_equal(TX(&db, store_client_remove(&db, c.id, &grants)), STORE_OK);
  db_close(&db);
  assert_false(file_has("store.db", "canary"));
}

/* row 119 */
static void test_tokens_that_were_moved_to_another_person_do_not_open(void **state)
{
  (void)state;
  struct store_upstream u, bobs = {.access_token = STR("bob")};
  struct store_grant g = sample_grant("g1");
  struct store_link ann = {g.provider, g.issuer, g.subject}, bob = ann;
  bob.subject = STR("bob");
  make_store();
  assert_int_equal(TX(&db, store_upstream_put(&db, &bob, &bobs, 0)), STORE_OK);
  db_close(&db);
  change("UPDATE upstream SET access_token = (SELECT access_token FROM upstream WHERE subject ="
         " 'ann') WHERE subject = 'bob'");
  open_db(&db);
  assert_int_equal(TX(&db, store_upstream_get(&db, &bob, arena, &u)), STORE_BROKEN);
  assert_int_equal(TX(&db, store_upstream_get(&db, &ann, arena, &u)), STORE_OK);
  db_close(&db);
}

static void test_a_damaged_row_is_never_used(void **state)
{
  (void)state;
  struct store_grant g;
  struct store_refresh t;
  struct store_code c;
  make_store();
  db_close(&db);
  change("UPDATE grants SET principal = CAST(substr(principal, 1, 50) || x'00' AS BLOB)");
  change("UPDATE code SET data = x'01'");
  open_db(&db);
  assert_int_equal(TX(&db, store_grant_get(&db, STR("g1"), arena, &g)), STORE_BROKEN);
  assert_int_equal(
      TX(&db, store_refresh_peek(&db, STR("mine-canary-0123456789"), GRACE, arena, &t)),
      STORE_BROKEN);
  assert_int_equal(TX(&db, store_code_take(&db, STR("code-canary-0123456789"), arena, &c)),
                   STORE_BROKEN);
  db_close(&db);
}

/* ---- an older copy: row 122 */

static struct store *open_store(void)
{
  struct err e = {""};
  const struct store_options o = {.state_dir = dir, .keys = ring, .sweep = true};
  struct store *s = store_open(&o, &e);
  if (s == NULL)
    fail_msg("%s", e.text);
  return s;
}

static char g1[] = "g1";

static int add_work(void *arg, struct store_db *d)
{
  struct store_grant g = sample_grant(arg);
  return store_grant_add(d, &g) == STORE_OK ? 0 : -1;
}

static int revoke_work(void *arg, struct store_db *d)
{
  return store_grant_revoke(d, str_of(arg), "test") == STORE_OK ? 0 : -1;
}

static int get_work(void *arg, struct store_db *d)
{
  struct store_grant g;
  *(enum store_result *)arg = store_grant_get(d, STR("g1"), arena, &g);
  return 0;
}

static enum store_result get_g1(struct store *s)
{
  enum store_result r = STORE_FAILED;
  assert_int_equal(store_now(s, STORE_READ, get_work, &r, NULL), 0);
  return r;
}

static void copy(const char *from, const char *to)
{
  char command[400];
  snprintf(command, sizeof command, "cp '%s/%s' '%s/%s'", dir, from, dir, to);
  assert_int_equal(system(command), 0);
}

static void test_an_older_copy_that_is_put_back_revives_no_grant(void **state)
{
  (void)state;
  struct store *s = open_store();
  assert_int_equal(store_now(s, STORE_WRITE, add_work, g1, NULL), 0);
  store_close(s);
  copy("store.db", "copy");
  s = open_store();
  assert_int_equal(get_g1(s), STORE_OK); /* a restart is no such thing */
  assert_int_equal(store_now(s, STORE_WRITE, revoke_work, g1, NULL), 0);
  store_close(s);
  copy("copy", "store.db");
  s = open_store();
  assert_int_equal(get_g1(s), STORE_REVOKED);
  store_close(s);
}

/* ---- re-wrapping: row 120 */

static void fill(unsigned n)
{
  open_db(&db);
  assert_int_equal(db_begin(&db, STORE_WRITE), 0);
  for (unsigned i = 0; i < n; i++) {
    struct store_grant g = grant_of(i);
    struct store_link l = {g.provider, g.issuer, g.id};
    struct store_upstream u = {.access_token = STR("token"), .refresh_token = STR("refresh")};
    assert_int_equal(store_grant_add(&db, &g), STORE_OK);
    assert_int_equal(store_upstream_put(&db, &l, &u, 0), STORE_OK);
  }
  assert_int_equal(db_commit(&db), 0);
  db_close(&db);
}

static bool rewrap_portion(void)
{
  unsigned n;
  assert_int_equal(TX(&db, store_rewrap(&db, 20, &n)), STORE_OK);
  return n > 0;
}

static void judge_filled(unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    struct store_grant g = grant_of(i);
    struct store_link l = {g.provider, g.issuer, g.id};
    struct store_upstream u;
    assert_int_equal(TX(&db, store_grant_get(&db, g.id, arena, &g)), STORE_OK);
    assert_int_equal(TX(&db, store_upstream_get(&db, &l, arena, &u)), STORE_OK);
    assert_true(str_is(u.refresh_token, "refresh"));
  }
}

static void test_a_rewrap_that_is_killed_again_and_again_ends_with_all_rows_readable(void **state)
{
  (void)state;
  enum { N = 200 };
  fill(N);
  assert_int_equal(keyring_rotate(ring, KEYRING_SEALING, 0, NULL), 0);
  for (unsigned i = 0; i < 20; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      open_db(&db);
      while (rewrap_portion())
        ;
      _exit(0);
    }
    nanosleep(&(struct timespec){.tv_nsec = 1000000 * (1 + i)}, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
  }
  open_db(&db);
  judge_filled(N);
  while (rewrap_portion())
    ;
  assert_int_equal(keyring_drop_old(ring, 0, NULL), 1);
  judge_filled(N);
  db_close(&db);
  open_db(&db); /* the new key alone is proof enough */
  db_close(&db);
}

static void test_a_store_whose_key_is_gone_is_refused(void **state)
{
  (void)state;
  fill(3);
  assert_int_equal(keyring_rotate(ring, KEYRING_SEALING, 0, NULL), 0);
  assert_int_equal(keyring_drop_old(ring, 0, NULL), 1);
  refused("(number 1) is not in the key ring");
}

/* ---- two daemons: row 182 of the audit log, here for the store */

static void test_one_daemon_a_state_directory(void **state)
{
  (void)state;
  struct err e = {""};
  int first = -1, again = -1, other = -1;
  assert_int_equal(store_lock(dir, "1.1", &first, &e), 0);
  assert_int_equal(store_lock(dir, "1.1", &again, &e), 0);
  assert_int_equal(store_lock(dir, "2.2", &other, &e), -1);
  assert_non_null(strstr(e.text, "another daemon (1.1) uses the state directory"));
  close(first);
  close(again);
  assert_int_equal(store_lock(dir, "2.2", &other, &e), 0);
  close(other);
}

/* ---- beginning together */

static void test_processes_that_make_a_store_at_once_all_succeed(void **state)
{
  (void)state;
  int status, bad = 0;
  for (int round = 0; round < 5; round++) {
    unlink(in_dir("store.db"));
    unlink(in_dir("store.db-wal"));
    unlink(in_dir("store.db-shm"));
    for (int i = 0; i < 8; i++)
      if (fork() == 0) {
        struct err e = {""};
        const struct store_options o = {.state_dir = dir, .keys = ring, .sweep = i == 0};
        _exit(store_open(&o, &e) ? 0 : 1);
      }
    for (int i = 0; i < 8; i++)
      bad += wait(&status) < 0 || status != 0;
  }
  assert_int_equal(bad, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_kills_lose_nothing_acknowledged_and_revive_nothing),
      T(test_a_store_of_another_ring_is_refused_and_left_as_it_is),
      T(test_a_newer_schema_is_refused),
      T(test_a_database_of_something_else_is_refused),
      T(test_a_file_that_is_no_database_is_refused),
      T(test_the_files_are_their_owners_alone),
      T(test_no_token_and_no_code_is_in_the_files),
      T(test_nothing_of_what_was_deleted_stays_in_the_file),
      T(test_tokens_that_were_moved_to_another_person_do_not_open),
      T(test_a_damaged_row_is_never_used),
      T(test_an_older_copy_that_is_put_back_revives_no_grant),
      T(test_a_rewrap_that_is_killed_again_and_again_ends_with_all_rows_readable),
      T(test_a_store_whose_key_is_gone_is_refused),
      T(test_one_daemon_a_state_directory),
      T(test_processes_that_make_a_store_at_once_all_succeed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
