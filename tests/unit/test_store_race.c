/* Many that use one single-use object at once: exactly one succeeds (row 189).  STORE_RACES is the
 * number of rounds; each is 64 threads, a connection each, let go together. */
#include "store_support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 64, MONTH = 30 * 86400, GRACE = 120 };

struct round {
  unsigned number;
  atomic_uint ok, used, again, other;
  char successor[THREADS][40]; /* what each was given */
};

static struct round round_;
static pthread_barrier_t start, end;
static bool over;
static void (*try_once)(struct store_db *db, unsigned thread, struct arena *a);

static unsigned rounds(void)
{
  const char *text = getenv("STORE_RACES");
  return text ? (unsigned)strtoul(text, NULL, 10) : 25;
}

/* Atomicity is the question here, the disk is not. */
static void open_fast(struct store_db *db)
{
  open_db(db);
  assert_int_equal(db_exec(db, "PRAGMA synchronous=OFF"), 0);
}

static void count(enum store_result r)
{
  if (r == STORE_OK)
    round_.ok++;
  else if (r == STORE_USED)
    round_.used++;
  else if (r == STORE_AGAIN)
    round_.again++;
  else
    round_.other++;
}

static void *racer(void *arg)
{
  unsigned thread = (unsigned)(uintptr_t)arg;
  struct store_db db;
  open_fast(&db);
  for (;;) {
    pthread_barrier_wait(&start);
    if (over)
      break;
    struct arena *a = arena_new(1024 * 1024);
    try_once(&db, thread, a);
    arena_free(a);
    pthread_barrier_wait(&end);
  }
  db_close(&db);
  return NULL;
}

/* PREPARE makes the object of a round, JUDGE looks at what came of it; both on DB. */
static void race(void (*prepare)(struct store_db *db),
                 void (*once)(struct store_db *, unsigned, struct arena *),
                 void (*judge)(struct store_db *db, struct arena *a))
{
  pthread_t threads[THREADS];
  struct store_db db;
  open_fast(&db);
  try_once = once;
  over = false;
  pthread_barrier_init(&start, NULL, THREADS + 1);
  pthread_barrier_init(&end, NULL, THREADS + 1);
  for (uintptr_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, racer, (void *)i), 0);
  unsigned bad = 0;
  for (unsigned n = rounds(), i = 0; i < n; i++) {
    memset(&round_, 0, sizeof round_);
    round_.number = i;
    prepare(&db);
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&end);
    struct arena *a = arena_new(1024 * 1024);
    judge(&db, a);
    arena_free(a);
    bad += round_.ok != 1;
  }
  over = true;
  pthread_barrier_wait(&start);
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&start);
  pthread_barrier_destroy(&end);
  db_close(&db);
  assert_int_equal(bad, 0);
}

static const char *name_of(const char *what, char out[40])
{
  snprintf(out, 40, "%s-%010u-0000000", what, round_.number);
  return out;
}

/* ---- codes: rows 90, 189 */

static void prepare_code(struct store_db *db)
{
  char code[40], grant[40];
  struct store_code c = sample_code(name_of("code", code), name_of("grant", grant));
  assert_int_equal(TX(db, store_code_put(db, &c)), STORE_OK);
}

static void take_code(struct store_db *db, unsigned thread, struct arena *a)
{
  char code[40];
  struct store_code c;
  (void)thread;
  if (db_begin(db, STORE_WRITE) < 0)
    return;
  enum store_result r = store_code_take(db, str_of(name_of("code", code)), a, &c);
  if (r == STORE_OK && store_grant_add(db, &c.grant) != STORE_OK)
    r = STORE_FAILED;
  if (db_commit(db) == 0)
    count(r);
}

static void judge_code(struct store_db *db, struct arena *a)
{
  char grant[40];
  struct store_grant g;
  assert_int_equal(round_.used, THREADS - 1);
  assert_int_equal(TX(db, store_grant_get(db, str_of(name_of("grant", grant)), a, &g)),
                   STORE_REVOKED);
}

static void test_of_64_that_present_one_code_one_succeeds_and_its_grant_ends(void **state)
{
  (void)state;
  race(prepare_code, take_code, judge_code);
}

/* ---- refresh tokens: rows 102, 189 */

static void prepare_refresh(struct store_db *db)
{
  char token[40], id[40];
  struct store_grant g = sample_grant(name_of("grant", id));
  assert_int_equal(TX(db, store_grant_add(db, &g)), STORE_OK);
  assert_int_equal(
      TX(db, store_refresh_add(db, g.id, str_of(name_of("refresh", token)), clock_wall() + MONTH)),
      STORE_OK);
}

static void rotate(struct store_db *db, unsigned thread, struct arena *a)
{
  char token[40], mine[64];
  struct str got = {NULL, 0};
  snprintf(mine, sizeof mine, "next-%u-%u-0000000000", round_.number, thread);
  if (db_begin(db, STORE_WRITE) < 0)
    return;
  enum store_result r = store_refresh_rotate(db, str_of(name_of("refresh", token)), STR("client-1"),
                                             str_of(mine), clock_wall() + MONTH, GRACE, a, &got);
  if (db_commit(db) < 0)
    return;
  count(r);
  snprintf(round_.successor[thread], sizeof round_.successor[thread], "%.*s", STR_ARG(got));
}

/* One lineage survives: all were given the same. */
static void judge_refresh(struct store_db *db, struct arena *a)
{
  struct store_refresh t;
  assert_int_equal(round_.again, THREADS - 1);
  for (unsigned i = 0; i < THREADS; i++)
    assert_string_equal(round_.successor[0], round_.successor[i]);
  assert_int_equal(TX(db, store_refresh_peek(db, str_of(round_.successor[0]), GRACE, a, &t)),
                   STORE_OK);
  assert_int_equal(t.generation, 1);
}

static void test_of_64_that_present_one_refresh_token_all_get_one_successor(void **state)
{
  (void)state;
  race(prepare_refresh, rotate, judge_refresh);
}

/* ---- marks: rows 100, 189 */

static void prepare_nothing(struct store_db *db)
{
  (void)db;
}

static void set_mark(struct store_db *db, unsigned thread, struct arena *a)
{
  char name[40];
  (void)thread;
  (void)a;
  if (db_begin(db, STORE_WRITE) < 0)
    return;
  enum store_result r = store_mark(db, "state", str_of(name_of("state", name)), clock_wall() + 600);
  if (db_commit(db) == 0)
    count(r);
}

static void judge_mark(struct store_db *db, struct arena *a)
{
  (void)db;
  (void)a;
  assert_int_equal(round_.used, THREADS - 1);
}

static void test_of_64_that_submit_one_consent_one_goes_on(void **state)
{
  (void)state;
  race(prepare_nothing, set_mark, judge_mark);
}

/* ---- tokens upstream: row 126 */

static void prepare_upstream(struct store_db *db)
{
  const struct store_link l = {STR("google"), STR("iss"), STR("ann")};
  const struct store_upstream u = {.access_token = STR("t")};
  assert_int_equal(TX(db, store_upstream_put(db, &l, &u, -1)), STORE_OK);
}

static void lease(struct store_db *db, unsigned thread, struct arena *a)
{
  const struct store_link l = {STR("google"), STR("iss"), STR("ann")};
  (void)thread;
  (void)a;
  if (db_begin(db, STORE_WRITE) < 0)
    return;
  enum store_result r = store_upstream_lease(db, &l, round_.number + 1, 30);
  if (db_commit(db) == 0)
    count(r == STORE_CONFLICT ? STORE_USED : r);
}

static void test_of_64_that_find_an_expired_token_one_refreshes_it(void **state)
{
  (void)state;
  race(prepare_upstream, lease, judge_mark);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
  const struct CMUnitTest tests[] = {
      T(test_of_64_that_present_one_code_one_succeeds_and_its_grant_ends),
      T(test_of_64_that_present_one_refresh_token_all_get_one_successor),
      T(test_of_64_that_submit_one_consent_one_goes_on),
      T(test_of_64_that_find_an_expired_token_one_refreshes_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
