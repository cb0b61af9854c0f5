/* The worker's end of the store: batches, what is acknowledged and when, failing disks. */
#include "store_support.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static atomic_uint syncs;
static atomic_int sync_error;

/* SQLite's syncs come here. */
static int count_sync(int fd)
{
  syncs++;
  if (sync_error == 0)
    return (int)syscall(SYS_fdatasync, fd);
  errno = sync_error;
  return -1;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  return count_sync(fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
  return count_sync(fd);
}

static char *program;
static struct loop *loop;
static struct jobs *jobs;
static struct store *store;
static struct timer limit;
static unsigned pending;

static void too_late(struct timer *t)
{
  (void)t;
  fail_msg("nothing came for 30 s");
}

static int setup(void **state)
{
  struct err e = {""};
  if (make_dir(state) < 0)
    return -1;
  sync_error = 0;
  pending = 0;
  limit.fire = too_late;
  loop = loop_new(&e);
  jobs = jobs_new(loop, 4, &e);
  const struct store_options o = {.state_dir = dir, .keys = ring, .jobs = jobs, .loop = loop};
  store = store_open(&o, &e);
  return store ? 0 : -1;
}

static int teardown(void **state)
{
  sync_error = 0;
  jobs_free(jobs, 1000);
  store_close(store);
  loop_free(loop);
  return remove_dir(state);
}

/* ---- pieces of work */

struct piece {
  char id[40];
  enum { PIECE_ADD, PIECE_FAIL, PIECE_UNDO, PIECE_GET } kind;
  enum store_result result;
  int answered; /* 1: stored, -1: not */
  bool released;
  unsigned syncs_then;
};

static int work(void *arg, struct store_db *db)
{
  struct piece *p = arg;
  struct store_grant g = sample_grant(p->id);
  struct arena *a = arena_new(1024 * 1024);
  p->result = p->kind == PIECE_GET ? store_grant_get(db, g.id, a, &g) : store_grant_add(db, &g);
  arena_free(a);
  if (p->kind == PIECE_FAIL)
    return store_refresh_add(db, STR("nobody"), STR("token"), 1) == STORE_OK ? 0 : -1;
  return p->kind == PIECE_UNDO || p->result == STORE_FAILED ? -1 : 0;
}

static void done(void *arg, bool stored)
{
  struct piece *p = arg;
  assert_int_equal(p->answered, 0);
  assert_false(p->released);
  p->answered = stored ? 1 : -1;
  p->syncs_then = syncs;
}

static void released(void *arg)
{
  struct piece *p = arg;
  assert_false(p->released);
  p->released = true;
  if (--pending == 0)
    loop_stop(loop);
}

static struct store_task *submit(struct piece *p)
{
  struct store_task *t =
      store_submit(store, p->kind == PIECE_GET ? STORE_READ : STORE_WRITE, work, done, released, p);
  assert_non_null(t);
  pending++;
  return t;
}

static void run_all(void)
{
  assert_int_equal(loop_timer_set(loop, &limit, 30000), 0);
  while (pending)
    loop_run(loop);
  loop_timer_stop(loop, &limit);
}

static struct piece piece(int kind, const char *id)
{
  struct piece p = {.kind = kind};
  snprintf(p.id, sizeof p.id, "%s", id);
  return p;
}

static bool is_there(const char *id)
{
  struct piece p = piece(PIECE_GET, id);
  submit(&p);
  run_all();
  assert_int_equal(p.answered, 1);
  return p.result == STORE_OK;
}

/* ---- tests */

static void test_what_was_stored_is_read_by_the_other_connection(void **state)
{
  (void)state;
  struct piece p = piece(PIECE_ADD, "g1");
  assert_false(is_there("g1"));
  submit(&p);
  run_all();
  assert_int_equal(p.answered, 1);
  assert_true(is_there("g1"));
}

/* What this process has open must keep its locks, or the other would take the log away. */
static void test_another_process_that_comes_and_goes_takes_nothing_away(void **state)
{
  (void)state;
  struct piece p = piece(PIECE_ADD, "after");
  for (int i = 0; i < 2; i++) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
      execl(program, program, dir, i ? "after" : "none", (char *)NULL);
      _exit(9);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    if (i == 0) {
      submit(&p);
      run_all();
      assert_int_equal(p.answered, 1);
    }
  }
}

/* row 192 */
static void test_nothing_is_acknowledged_before_the_disk_has_it(void **state)
{
  (void)state;
  for (int i = 0; i < 20; i++) {
    char id[8];
    snprintf(id, sizeof id, "g%d", i);
    struct piece p = piece(PIECE_ADD, id);
    unsigned before = syncs;
    submit(&p);
    run_all();
    assert_int_equal(p.answered, 1);
    assert_true(p.syncs_then > before);
  }
}

static void test_writes_of_one_turn_share_a_commit(void **state)
{
  (void)state;
  static struct piece p[64];
  unsigned before = syncs;
  for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
    char id[16];
    snprintf(id, sizeof id, "many-%u", i);
    p[i] = piece(PIECE_ADD, id);
    submit(&p[i]);
  }
  run_all();
  for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
    assert_int_equal(p[i].answered, 1);
  assert_in_range(syncs - before, 1, 8);
}

static void test_one_that_fails_takes_nothing_of_the_others_with_it(void **state)
{
  (void)state;
  struct piece a = piece(PIECE_ADD, "a"), bad = piece(PIECE_FAIL, "bad"), b = piece(PIECE_ADD, "b"),
               undo = piece(PIECE_UNDO, "undo");
  submit(&a);
  submit(&bad);
  submit(&undo);
  submit(&b);
  run_all();
  assert_int_equal(a.answered, 1);
  assert_int_equal(bad.answered, -1);
  assert_int_equal(undo.answered, -1);
  assert_int_equal(b.answered, 1);
  assert_true(is_there("a"));
  assert_true(is_there("b"));
  assert_false(is_there("bad"));
  assert_false(is_there("undo"));
}

static void test_one_that_fails_alone_leaves_nothing_and_the_next_is_kept(void **state)
{
  (void)state;
  static const int kinds[] = {PIECE_FAIL, PIECE_UNDO};
  for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
    struct piece bad = piece(kinds[i], "bad"), next = piece(PIECE_ADD, i ? "next" : "first");
    submit(&bad);
    run_all();
    assert_int_equal(bad.answered, -1);
    assert_false(is_there("bad"));
    submit(&next);
    run_all();
    assert_int_equal(next.answered, 1);
    assert_true(is_there(next.id));
  }
}

static void test_who_left_is_not_called_and_what_had_not_begun_is_not_done(void **state)
{
  (void)state;
  struct piece p = piece(PIECE_ADD, "left");
  store_cancel(submit(&p));
  assert_true(p.released);
  assert_int_equal(p.answered, 0);
  assert_false(is_there("left"));
}

static void test_what_waits_is_bounded(void **state)
{
  (void)state;
  static struct piece p[3000];
  unsigned n = 0;
  for (; n < ARRAY_SIZE(p); n++) {
    p[n] = piece(PIECE_GET, "x");
    if (store_submit(store, STORE_READ, work, done, released, &p[n]) == NULL)
      break;
    pending++;
  }
  assert_in_range(n, 1000, 2999);
  run_all();
  for (unsigned i = 0; i < n; i++)
    assert_true(p[i].released);
}

static void test_a_disk_that_fails_acknowledges_nothing_and_recovers(void **state)
{
  (void)state;
  struct piece lost = piece(PIECE_ADD, "lost"), kept = piece(PIECE_ADD, "kept");
  sync_error = EIO;
  submit(&lost);
  run_all();
  assert_int_equal(lost.answered, -1);
  sync_error = 0;
  submit(&kept);
  run_all();
  assert_int_equal(kept.answered, 1);
  assert_true(is_there("kept"));
  assert_false(is_there("lost"));
}

static void test_a_full_disk_acknowledges_nothing_and_recovers(void **state)
{
  (void)state;
  struct rlimit was, small = {.rlim_cur = 16384};
  struct stat st;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
  assert_int_equal(stat(in_dir("store.db-wal"), &st), 0);
  small.rlim_cur = (rlim_t)st.st_size + 20000;
  small.rlim_max = was.rlim_max;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  static struct piece p[100];
  unsigned stored = 0;
  for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
    char id[16];
    snprintf(id, sizeof id, "full-%u", i);
    p[i] = piece(PIECE_ADD, id);
    submit(&p[i]);
    run_all();
    stored += p[i].answered == 1;
  }
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
  assert_in_range(stored, 0, 99);
  for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
    assert_int_equal(is_there(p[i].id), p[i].answered == 1);
  struct piece after = piece(PIECE_ADD, "after");
  submit(&after);
  run_all();
  assert_int_equal(after.answered, 1);
}

/* As the other process: whether the grant is there, or nothing is asked. */
static int come_and_go(const char *state_dir, const char *id)
{
  struct err e = {""};
  struct piece p = piece(PIECE_GET, id);
  struct keyring *keys = keyring_load(state_dir, false, &e);
  const struct store_options o = {.state_dir = state_dir, .keys = keys};
  struct store *s = keys ? store_open(&o, &e) : NULL;
  int r = s ? store_now(s, STORE_READ, work, &p, &e) : -1;
  store_close(s);
  keyring_free(keys);
  if (r < 0)
    fprintf(stderr, "%s\n", e.text);
  return r == 0 && (p.result == STORE_OK) == (strcmp(id, "none") != 0) ? 0 : 1;
}

int main(int argc, char **argv)
{
  if (argc == 3)
    return come_and_go(argv[1], argv[2]);
  program = argv[0];
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_what_was_stored_is_read_by_the_other_connection),
      T(test_another_process_that_comes_and_goes_takes_nothing_away),
      T(test_nothing_is_acknowledged_before_the_disk_has_it),
      T(test_writes_of_one_turn_share_a_commit),
      T(test_one_that_fails_takes_nothing_of_the_others_with_it),
      T(test_one_that_fails_alone_leaves_nothing_and_the_next_is_kept),
      T(test_who_left_is_not_called_and_what_had_not_begun_is_not_done),
      T(test_what_waits_is_bounded),
      T(test_a_disk_that_fails_acknowledges_nothing_and_recovers),
      T(test_a_full_disk_acknowledges_nothing_and_recovers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
