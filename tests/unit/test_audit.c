/* The audit writer: tickets, full disks, failed syncs, floods, anchors. */
#include "audit_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "ops/audit_heads.h"
#include "ops/shm.h"
#include "util/clock.h"

/* fdatasync of the code under test. */
static atomic_int sync_error; /* job threads sync too */
static atomic_uint syncs;
static atomic_long sync_takes_ns;

int fdatasync(int fd)
{
  syncs++;
  struct timespec t = {.tv_nsec = sync_takes_ns};
  nanosleep(&t, NULL);
  if (sync_error == 0)
    return fsync(fd);
  errno = sync_error;
  return -1;
}

/* ---- a loop that ends by itself */

static struct loop *loop;
static struct jobs *jobs;
static struct timer stop_timer;

static void stop_now(struct timer *t)
{
  (void)t;
  loop_stop(loop);
}

static void run_for(int64_t ms)
{
  stop_timer.fire = stop_now;
  assert_int_equal(loop_timer_set(loop, &stop_timer, ms), 0);
  loop_run(loop);
}

static int setup_loop(void **state)
{
  struct err e = {""};
  sync_error = 0;
  syncs = 0;
  loop = loop_new(&e);
  jobs = jobs_new(loop, 2, &e);
  return loop && jobs ? setup(state) : -1;
}

static int teardown_loop(void **state)
{
  jobs_free(jobs, 1000);
  loop_free(loop);
  return teardown(state);
}

struct decision {
  struct audit_ticket ticket;
  int answered; /* 0: not yet, 1: good, -1: bad */
};

static void written(struct audit_ticket *t, bool ok)
{
  struct decision *d = (struct decision *)(void *)t;
  assert_int_equal(d->answered, 0);
  d->answered = ok ? 1 : -1;
}

static void decide(struct audit *a, struct decision *d)
{
  *d = (struct decision){.ticket = {.written = written}};
  assert_int_equal(audit_put(a, "decision", "q1", STR("\"decision\":\"grant\""), &d->ticket), 0);
  assert_int_equal(d->answered, 0); /* never inside the call */
}

/* Turns until as many syncs have begun, and a little: one too many would be seen. */
static void run_until_synced(unsigned n)
{
  for (int turns = 0; turns < 6000 && syncs < n; turns++)
    run_for(10);
  run_for(20);
  assert_int_equal(syncs, n);
}

static void run_until_answered(const struct decision *d, int answer)
{
  for (int turns = 0; turns < 6000 && d->answered == 0; turns++)
    run_for(10);
  assert_int_equal(d->answered, answer);
}

static struct audit *open_log(bool strict)
{
  struct audit_options o = options("1.1");
  o.file = in_dir("log");
  o.sync_strict = strict;
  return open_audit(&o, loop, jobs);
}

static unsigned long long write_calls(void)
{
  size_t unused;
  unsigned long long n = 0;
  FILE *f = fopen("/proc/self/io", "r");
  char line[128];
  (void)unused;
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "syscw: %llu", &n) == 1)
      break;
  fclose(f);
  return n;
}

/* row 177 */
static void test_a_decision_is_in_the_file_when_its_ticket_is_answered(void **state)
{
  (void)state;
  struct audit *a = open_log(false);
  struct decision d;
  decide(a, &d);
  run_for(0);
  run_for(0);
  assert_int_equal(d.answered, 1);
  assert_int_equal(verify_one(in_dir("log")).r.records, 2);
  audit_close(a);
}

static void test_the_decisions_of_a_turn_go_out_in_one_write(void **state)
{
  (void)state;
  struct audit *a = open_log(false);
  static struct decision d[200];
  run_for(0);
  for (int i = 0; i < 200; i++)
    decide(a, &d[i]);
  unsigned long long before = write_calls();
  run_for(0);
  unsigned long long calls = write_calls() - before;
  assert_int_equal(d[199].answered, 1);
  assert_true(calls <= 20); /* the records, the loop's own wake-ups, and what valgrind writes */
  audit_close(a);
}

static void test_a_record_without_a_ticket_follows_within_the_turn(void **state)
{
  (void)state;
  struct audit *a = open_log(false);
  audit_put(a, "done", "q1", STR("\"status\":200"), NULL);
  run_for(0);
  assert_int_equal(verify_one(in_dir("log")).r.records, 2);
  audit_close(a);
}

static void test_records_reach_the_disk_by_one_sync_after_a_while(void **state)
{
  (void)state;
  struct audit *a = open_log(false);
  run_until_synced(1);
  audit_put(a, "done", "q1", STR(""), NULL);
  run_until_synced(2);
  run_for(150);
  assert_int_equal(syncs, 2); /* nothing new, nothing to do */
  audit_close(a);
}

static void test_a_client_that_left_is_not_called_and_its_record_stays(void **state)
{
  (void)state;
  struct audit *a = open_log(false);
  struct decision d[3];
  for (int i = 0; i < 3; i++)
    decide(a, &d[i]);
  audit_forget(a, &d[1].ticket);
  run_for(0);
  assert_int_equal(d[0].answered, 1);
  assert_int_equal(d[1].answered, 0);
  assert_int_equal(d[2].answered, 1);
  assert_int_equal(verify_one(in_dir("log")).r.records, 4);
  audit_close(a);
}

static void test_audit_off_answers_at_the_end_of_the_turn_and_writes_nothing(void **state)
{
  (void)state;
  struct audit_options o = options("1.1");
  o.to = AUDIT_OFF;
  struct audit *a = open_audit(&o, loop, jobs);
  struct decision d;
  decide(a, &d);
  run_for(0);
  assert_int_equal(d.answered, 1);
  audit_close(a);
}

/* ---- full disks */

/* row 178 */
static void test_a_full_disk_fails_the_ticket_and_readiness(void **state)
{
  (void)state;
  struct audit_options o = options("1.1");
  o.file = "/dev/full";
  struct audit *a = open_audit(&o, loop, jobs);
  assert_false(audit_healthy(a));
  struct decision d;
  decide(a, &d);
  run_for(0);
  assert_int_equal(d.answered, -1);
  assert_false(audit_healthy(a));
  audit_close(a);
}

static void limit_file(const char *path, long more)
{
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  struct rlimit r = {0};
  getrlimit(RLIMIT_FSIZE, &r);
  r.rlim_cur = more < 0 ? r.rlim_max : (rlim_t)(st.st_size + more);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* row 178: the write stops in the middle of the second record, for every length that is left. */
static void test_a_disk_that_fills_up_refuses_and_recovers_without_a_fault(void **state)
{
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  struct audit *a = open_log(false);
  unsigned lost = 0;
  for (long left = 0; left < 400; left += 23) {
    struct decision good, bad[3];
    decide(a, &good);
    run_for(0);
    assert_int_equal(good.answered, 1);
    limit_file(in_dir("log"), left);
    for (int i = 0; i < 3; i++)
      decide(a, &bad[i]);
    run_for(0);
    limit_file(in_dir("log"), -1);
    for (int i = 0; i < 3; i++)
      assert_int_equal(bad[i].answered, -1);
    assert_false(audit_healthy(a));
    lost += 3;
  }
  struct decision d;
  decide(a, &d);
  run_for(0);
  assert_int_equal(d.answered, 1);
  assert_true(audit_healthy(a));
  audit_close(a);
  struct verdict v = verify_one(in_dir("log"));
  assert_string_equal(v.first_fault, "");
  assert_int_equal(v.r.lost, lost);
}

/* row 178: with nobody calling, because readiness says no. */
static void test_writing_recovers_by_itself(void **state)
{
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  struct audit *a = open_log(false);
  run_for(0);
  limit_file(in_dir("log"), 10);
  audit_put(a, "done", "q", STR(""), NULL);
  run_for(0);
  limit_file(in_dir("log"), -1);
  assert_false(audit_healthy(a));
  run_for(1100);
  assert_true(audit_healthy(a));
  audit_close(a);
  assert_int_equal(verify_one(in_dir("log")).r.lost, 1);
}

/* row 178: others go on behind the blanked bytes. */
static void test_a_torn_write_of_one_leaves_the_records_of_others_whole(void **state)
{
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  struct audit *a = open_log(false);
  struct audit_options o = options("2.2");
  o.file = in_dir("log");
  struct audit *b = open_audit(&o, NULL, NULL);
  run_for(0);
  limit_file(in_dir("log"), 50);
  audit_put(a, "done", "q", STR(""), NULL);
  run_for(0);
  limit_file(in_dir("log"), -1);
  for (int i = 0; i < 5; i++)
    assert_int_equal(audit_put(b, "done", "q", STR(""), NULL), 0);
  audit_close(b);
  audit_close(a);
  struct verdict v = verify_one(in_dir("log"));
  assert_string_equal(v.first_fault, "");
  assert_int_equal(v.r.chains, 2);
}

/* row 177: SIGKILL in the middle of a write. */
static void test_a_record_torn_by_a_kill_is_told_from_tampering(void **state)
{
  (void)state;
  size_t n;
  struct audit_options o = options("1.1");
  o.file = in_dir("log");
  static struct audit *a; /* never closed: it was killed */
  a = open_audit(&o, NULL, NULL);
  audit_put(a, "decision", "a", STR("\"service\":\"notes\""), NULL);
  char *log = slurp(in_dir("log"), &n);
  audit_close(a);
  char *second = strchr(log, '\n') + 1;
  struct audit_options p = options("2.2");
  p.file = in_dir("log");
  for (size_t cut = 1; cut + 2 < strlen(second); cut += 7) {
    spill(in_dir("log"), log, (size_t)(second - log) + cut); /* the writer of the second died */
    struct verdict v = verify_one(in_dir("log"));
    assert_string_equal(v.first_fault, "");
    assert_int_equal(v.remarks, 1);
    struct audit *b = open_audit(&p, NULL, NULL);
    audit_close(b);
    v = verify_one(in_dir("log"));
    assert_string_equal(v.first_fault, "");
    assert_int_equal(v.r.records, 3);
  }
  free(log);
}

/* ---- the disk itself */

/* row 177 */
static void test_a_strict_ticket_waits_for_the_sync(void **state)
{
  (void)state;
  struct audit *a = open_log(true);
  run_until_synced(1);
  static struct decision d[100];
  for (int i = 0; i < 100; i++)
    decide(a, &d[i]);
  for (int i = 0; i < 100; i++)
    run_until_answered(&d[i], 1);
  run_until_synced(2); /* one for all */
  audit_close(a);
}

/* rows 177, 178 */
static void test_a_file_that_moves_away_and_cannot_be_synced_fails_its_strict_tickets(void **state)
{
  (void)state;
  struct audit *a = open_log(true);
  run_until_synced(1);
  struct decision d[3];
  char there[512];
  sync_takes_ns = 900 * 1000 * 1000;
  decide(a, &d[0]);
  run_for(20);
  decide(a, &d[1]);
  run_for(20);
  snprintf(there, sizeof there, "%s", in_dir("log.1"));
  assert_int_equal(rename(in_dir("log"), there), 0);
  sync_error = EIO;
  decide(a, &d[2]);
  run_for(20);
  sync_error = 0;
  sync_takes_ns = 0;
  run_until_answered(&d[0], d[0].answered ? d[0].answered : 1);
  run_until_answered(&d[1], -1);
  run_until_answered(&d[2], -1);
  decide(a, &d[1]);
  run_until_answered(&d[1], 1);
  audit_close(a);
}

/* row 178 */
static void test_a_failed_sync_fails_the_strict_tickets_and_the_file_is_opened_anew(void **state)
{
  (void)state;
  struct audit *a = open_log(true);
  run_until_synced(1);
  sync_error = EIO;
  struct decision d;
  decide(a, &d);
  run_until_answered(&d, -1);
  assert_false(audit_healthy(a));
  sync_error = 0;
  decide(a, &d);
  run_until_answered(&d, 1);
  assert_true(audit_healthy(a));
  audit_close(a);
  assert_string_equal(verify_one(in_dir("log")).first_fault, "");
}

static void test_strict_tickets_are_answered_when_the_log_is_closed(void **state)
{
  (void)state;
  struct audit *a = open_log(true);
  struct decision d;
  decide(a, &d);
  audit_close(a);
  assert_int_equal(d.answered, 1);
}

/* ---- standard output */

static void test_a_pipe_that_nobody_reads_refuses_and_does_not_block(void **state)
{
  (void)state;
  int fds[2], keep = dup(STDOUT_FILENO);
  assert_int_equal(pipe(fds), 0);
  fflush(stdout);
  dup2(fds[1], STDOUT_FILENO);
  struct audit_options o = options("1.1");
  o.to = AUDIT_STDOUT;
  struct audit *a = open_audit(&o, loop, jobs);
  static struct decision d[1000];
  unsigned good = 0;
  for (int i = 0; i < 1000; i++)
    decide(a, &d[i]);
  run_for(0);
  for (int i = 0; i < 1000; i++) {
    assert_int_not_equal(d[i].answered, 0);
    if (d[i].answered == 1) {
      assert_int_equal(good, (unsigned)i); /* the first ones, and no other */
      good++;
    }
  }
  bool healthy = audit_healthy(a);
  static char text[1 << 20];
  ssize_t n = read(fds[0], text, sizeof text);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  for (ssize_t more; n > 0 && (more = read(fds[0], text + n, sizeof text - (size_t)n)) > 0;)
    n += more;
  struct decision again;
  decide(a, &again);
  run_for(0);
  n += read(fds[0], text + n, sizeof text - (size_t)n);
  audit_close(a);
  dup2(keep, STDOUT_FILENO);
  close(keep);
  close(fds[0]);
  close(fds[1]);
  assert_true(good > 100 && good < 1000);
  assert_false(healthy);
  assert_int_equal(again.answered, 1);
  spill(in_dir("copy"), text, (size_t)n);
  struct verdict v = verify_one(in_dir("copy"));
  assert_string_equal(v.first_fault, "");
  assert_int_equal(v.r.records, good + 3); /* start, gap, again */
}

/* ---- floods */

/* row 168 */
static void test_a_flood_of_refusals_is_recorded_at_a_rate_and_counted_exactly(void **state)
{
  (void)state;
  struct audit_options o = options("1.1");
  o.file = in_dir("log");
  clock_freeze(1795234109000, 1000000);
  struct audit *a = open_audit(&o, NULL, NULL);
  for (int i = 0; i < 50000; i++) {
    if (i == 40000)
      clock_freeze(1795234109500, 1000500);
    audit_refused(a, "r", STR("\"status\":400"));
  }
  clock_freeze(1795234110000, 1001000);
  audit_refused(a, "r", STR("\"status\":400"));
  audit_close(a);
  clock_freeze(-1, -1);
  size_t n;
  char *text = slurp(in_dir("log"), &n);
  assert_int_equal(verify_one(in_dir("log")).r.records, 1 + 100 + 1 + 1 + 1);
  assert_non_null(strstr(text, "\"event\":\"refused_summary\",\"id\":\"\",\"count\":49900,"
                               "\"first\":\"2026-11-21T04:08:29.000Z\","
                               "\"last\":\"2026-11-21T04:08:29.500Z\""));
  free(text);
}

/* row 168 */
static void test_authenticated_decisions_are_never_dropped(void **state)
{
  (void)state;
  struct audit *a = open_log(false);
  static struct decision d[5000];
  for (int i = 0; i < 5000; i++)
    decide(a, &d[i]);
  run_for(0);
  assert_int_equal(verify_one(in_dir("log")).r.records, 5001);
  audit_close(a);
}

/* ---- anchors */

static struct audit_heads *heads;

/* The leaders of a test have the number of this process, as if it had been used again. */
static char leader_name[32];

static struct audit *open_leader(void)
{
  static int starts;
  struct err e = {""};
  snprintf(leader_name, sizeof leader_name, "%d.%d", (int)getpid(), ++starts);
  struct audit_options o = options(leader_name);
  heads = audit_heads_create(&e);
  o.file = in_dir("log");
  o.heads = heads;
  o.anchor_dir = dir;
  return open_audit(&o, NULL, NULL);
}

/* A worker of its own process: N decisions; KILLED: no end. */
static void run_worker(unsigned n, bool killed)
{
  pid_t pid = fork();
  if (pid == 0) {
    char writer[32];
    snprintf(writer, sizeof writer, "%d.5", (int)getpid());
    struct audit_options o = options(writer);
    o.file = in_dir("log");
    o.heads = heads;
    struct audit *a = audit_open(&o, NULL, NULL, NULL);
    for (unsigned i = 0; a && i < n; i++)
      audit_put(a, "decision", "x", STR("\"service\":\"notes\""), NULL);
    if (killed)
      kill(getpid(), SIGKILL);
    audit_close(a);
    _exit(a ? 0 : 1);
  }
  assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static const char *anchor(void)
{
  char name[64];
  snprintf(name, sizeof name, "audit-anchor.%s", leader_name);
  return in_dir(name);
}

static struct verdict verify_all(void)
{
  return verify((const char *const[]){in_dir("log"), NULL}, dir);
}

static void cut_last_line_of(const char *writer_end)
{
  size_t n;
  char *text = slurp(in_dir("log"), &n), *last = NULL;
  for (char *line = text; *line; line = strchr(line, '\n') + 1) {
    char *end = strchr(line, '\n');
    char *w = strstr(line, "\"w\":\"");
    char *quote = strchr(w + 5, '"');
    if (quote < end && memcmp(quote - strlen(writer_end), writer_end, strlen(writer_end)) == 0)
      last = line;
  }
  assert_non_null(last);
  char *end = strchr(last, '\n') + 1;
  memmove(last, end, n - (size_t)(end - text));
  spill(in_dir("log"), text, n - (size_t)(end - last));
  free(text);
}

static void test_a_daemon_with_workers_that_end_and_are_killed_has_no_fault(void **state)
{
  (void)state;
  struct audit *leader = open_leader();
  run_worker(10, false);
  audit_anchor_tick(leader);
  run_worker(10, true);
  audit_anchor_tick(leader);
  assert_string_equal(verify_all().first_fault, "");
  audit_close(leader);
  struct verdict v = verify_all();
  assert_string_equal(v.first_fault, "");
  assert_int_equal(v.r.chains, 3);
  assert_int_equal(v.r.open, 1);
}

/* row 176 */
static void test_a_record_cut_from_the_end_of_a_workers_chain_is_found(void **state)
{
  (void)state;
  for (int killed = 0; killed < 2; killed++) {
    struct audit *leader = open_leader();
    run_worker(10, killed != 0);
    audit_close(leader);
    assert_string_equal(verify_all().first_fault, "");
    cut_last_line_of(".5");
    assert_true(verify_all().r.faults > 0);
    unlink(in_dir("log"));
    unlink(anchor());
  }
}

/* row 176 */
static void test_a_file_cut_at_its_end_is_found_by_the_anchor_outside(void **state)
{
  (void)state;
  size_t n;
  struct audit *leader = open_leader();
  run_worker(10, false);
  audit_close(leader);
  char *text = slurp(in_dir("log"), &n);
  for (unsigned lines = 1; lines < 12; lines++) {
    size_t keep = n;
    for (unsigned i = 0; i < lines; i++)
      for (keep--; keep > 0 && text[keep - 1] != '\n';)
        keep--;
    spill(in_dir("log"), text, keep);
    if (verify_all().r.faults == 0)
      fail_msg("%u lines cut were not noticed", lines);
  }
  free(text);
}

/* row 176 */
static void test_a_log_put_back_to_an_older_state_is_found(void **state)
{
  (void)state;
  size_t n;
  struct audit *leader = open_leader();
  run_worker(10, false);
  audit_close(leader);
  char *text = slurp(in_dir("log"), &n);
  usleep(150000);
  leader = open_leader();
  run_worker(3, false);
  audit_close(leader);
  assert_string_equal(verify_all().first_fault, "");
  spill(in_dir("log"), text, n);
  assert_true(verify_all().r.faults > 0);
  free(text);
}

/* row 176 */
static void test_the_whole_chain_of_a_worker_that_was_removed_is_found(void **state)
{
  (void)state;
  struct audit *leader = open_leader();
  usleep(150000); /* what is as old as the oldest file may stand in an older one */
  run_worker(2, false);
  audit_close(leader);
  for (int i = 0; i < 4; i++)
    cut_last_line_of(".5");
  assert_true(verify_all().r.faults > 0);
}

/* row 176: kill -9 of everything, then a new leader. */
static void test_what_a_killed_leader_had_anchored_is_taken_over(void **state)
{
  (void)state;
  pid_t pid = fork();
  if (pid == 0) {
    struct audit *leader = open_leader();
    spill(in_dir("name"), leader_name, strlen(leader_name));
    run_worker(10, true);
    audit_anchor_tick(leader);
    kill(getpid(), SIGKILL);
  }
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  size_t n;
  char old[128], *name = slurp(in_dir("name"), &n);
  snprintf(old, sizeof old, "%s/audit-anchor.%s", dir, name);
  free(name);
  assert_int_equal(access(old, F_OK), 0);
  struct audit *leader = open_leader();
  assert_int_equal(access(old, F_OK), -1);
  audit_close(leader);
  assert_string_equal(verify_all().first_fault, "");
  cut_last_line_of(".5");
  assert_true(verify_all().r.faults > 0);
}

/* row 176 */
static void test_an_anchor_file_that_was_changed_is_found(void **state)
{
  (void)state;
  size_t n;
  struct audit *leader = open_leader();
  run_worker(10, false);
  audit_close(leader);
  char *text = slurp(anchor(), &n);
  for (size_t i = 0; i + 1 < n; i += 3) {
    text[i] ^= 1;
    spill(anchor(), text, n);
    if (verify_all().r.faults == 0)
      fail_msg("byte %zu", i);
    text[i] ^= 1;
  }
  free(text);
}

static void test_heads_of_two_hundred_writers_fit(void **state)
{
  (void)state;
  struct audit *leader = open_leader();
  struct audit_head head = {.n = 1};
  for (int i = 0; i < 250; i++) {
    char writer[32];
    snprintf(writer, sizeof writer, "%d.%d", (int)getpid(), i);
    int slot = audit_heads_claim(heads, writer);
    assert_true(slot >= 0);
    audit_heads_publish(heads, slot, &head);
  }
  audit_anchor_tick(leader);
  audit_close(leader);
  size_t n, named = 0;
  char *text = slurp(in_dir("log"), &n);
  for (char *p = text; (p = strstr(p, "\"as\":\"start\"")); p++)
    named++;
  assert_int_equal(named, 250);
  free(text);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_loop, teardown_loop)
  const struct CMUnitTest tests[] = {
      T(test_a_decision_is_in_the_file_when_its_ticket_is_answered),
      T(test_the_decisions_of_a_turn_go_out_in_one_write),
      T(test_a_record_without_a_ticket_follows_within_the_turn),
      T(test_records_reach_the_disk_by_one_sync_after_a_while),
      T(test_a_client_that_left_is_not_called_and_its_record_stays),
      T(test_audit_off_answers_at_the_end_of_the_turn_and_writes_nothing),
      T(test_a_full_disk_fails_the_ticket_and_readiness),
      T(test_a_disk_that_fills_up_refuses_and_recovers_without_a_fault),
      T(test_writing_recovers_by_itself),
      T(test_a_torn_write_of_one_leaves_the_records_of_others_whole),
      T(test_a_record_torn_by_a_kill_is_told_from_tampering),
      T(test_a_strict_ticket_waits_for_the_sync),
      T(test_a_file_that_moves_away_and_cannot_be_synced_fails_its_strict_tickets),
      T(test_a_failed_sync_fails_the_strict_tickets_and_the_file_is_opened_anew),
      T(test_strict_tickets_are_answered_when_the_log_is_closed),
      T(test_a_pipe_that_nobody_reads_refuses_and_does_not_block),
      T(test_a_flood_of_refusals_is_recorded_at_a_rate_and_counted_exactly),
      T(test_authenticated_decisions_are_never_dropped),
      T(test_a_daemon_with_workers_that_end_and_are_killed_has_no_fault),
      T(test_a_record_cut_from_the_end_of_a_workers_chain_is_found),
      T(test_a_file_cut_at_its_end_is_found_by_the_anchor_outside),
      T(test_a_log_put_back_to_an_older_state_is_found),
      T(test_the_whole_chain_of_a_worker_that_was_removed_is_found),
      T(test_what_a_killed_leader_had_anchored_is_taken_over),
      T(test_an_anchor_file_that_was_changed_is_found),
      T(test_heads_of_two_hundred_writers_fit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
