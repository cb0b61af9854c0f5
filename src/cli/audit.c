/* mcpauth audit verify | tail. */
#include <config.h>

#include "cli/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ops/audit.h"
#include "ops/audit_verify.h"
#include "util/cleanup.h"

enum { OPT_LOG = 256, OPT_ANCHORS, OPT_JSON, ROTATED_MOST = 10000 };

static int fail(const char *action, const struct err *e)
{
  fprintf(stderr, "mcpauth audit %s: %s\n", action, e->text);
  return CLI_FAILED;
}

/* ------------------------------------------------------------------ verify */

/* One line a finding; a flood is cut, but no fault for the remarks before it. */
enum { FINDINGS_MOST = 100 };

struct findings {
  uint64_t n[2]; /* remarks, faults */
};

static void print_finding(void *arg, bool fault, const char *file, uint64_t line, const char *text)
{
  struct findings *f = arg;
  if (f->n[fault]++ < FINDINGS_MOST)
    printf("%s:%" PRIu64 ": %s: %s\n", file, line, fault ? "FAULT" : "note", text);
}

static void print_cut(const struct findings *f)
{
  for (int fault = 0; fault < 2; fault++)
    if (f->n[fault] > FINDINGS_MOST)
      printf("%" PRIu64 " more %s are not shown.\n", f->n[fault] - FINDINGS_MOST,
             fault ? "faults" : "remarks");
}

/* FILE, FILE.1, … as they were when they were opened: a hub that is at work may rotate them. */
struct log_file {
  char *path;
  int fd;
  dev_t dev;
  ino_t ino;
};

struct log_files {
  struct log_file v[ROTATED_MOST];
  unsigned n;
};

static void log_files_free(struct log_files *s)
{
  if (s == NULL)
    return;
  for (unsigned i = 0; i < s->n; i++) {
    close(s->v[i].fd);
    free(s->v[i].path);
  }
  free(s);
}

static char *numbered(const char *file, unsigned i)
{
  char *path = NULL;
  return asprintf(&path, i ? "%s.%u" : "%s", file, i) < 0 ? NULL : path;
}

/* While files are moved on one is missing for a moment. */
static int open_numbered(const char *path, const char *older)
{
  const struct timespec moment = {.tv_nsec = 10000000};
  for (int tries = 0;; tries++) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT || tries == 5 || access(older, F_OK) < 0)
      return fd;
    nanosleep(&moment, NULL);
  }
}

static bool is_open(const struct log_files *s, const struct stat *st)
{
  for (unsigned i = 0; i < s->n; i++)
    if (s->v[i].dev == st->st_dev && s->v[i].ino == st->st_ino)
      return true;
  return false;
}

/* 0: there is no such file. */
static int add_file(struct log_files *s, const char *file, unsigned i, struct err *e)
{
  AUTO_FREE char *path = numbered(file, i), *older = numbered(file, i + 1);
  struct stat st;
  if (path == NULL || older == NULL)
    return err_set(e, "out of memory");
  AUTO_CLOSE int fd = open_numbered(path, older);
  if (fd < 0 && errno == ENOENT && (i > 0 || access(older, F_OK) == 0))
    return i == 0; /* nobody has written since it was rotated */
  if (fd < 0 || fstat(fd, &st) < 0)
    return err_set(e, "cannot open %s: %s", path, strerror(errno));
  if (is_open(s, &st)) /* it was moved to this name since */
    return 1;
  s->v[s->n++] = (struct log_file){steal_ptr(&path), steal_fd(&fd), st.st_dev, st.st_ino};
  return 1;
}

/* The newest are opened first: what is moved meanwhile is met again, and nothing is passed over. */
static int open_set(struct log_files *s, const char *file, struct err *e)
{
  int r = 1;
  for (unsigned i = 0; i < ROTATED_MOST && r > 0; i++)
    r = add_file(s, file, i, e);
  return r;
}

static int verify_set(struct audit_verify *v, const struct log_files *s, struct err *e)
{
  for (unsigned i = s->n; i > 0; i--)
    if (audit_verify_fd(v, s->v[i - 1].path, s->v[i - 1].fd, e) < 0)
      return -1;
  return 0;
}

static int verify_all(struct audit_verify *v, const struct log_files *s, char **files,
                      struct err *e)
{
  if (verify_set(v, s, e) < 0)
    return -1;
  for (; *files; files++)
    if (audit_verify_file(v, *files, e) < 0)
      return -1;
  audit_verify_anchors(v);
  return 0;
}

static int conclude(const struct audit_verify *v, const struct findings *f, bool anchors)
{
  struct audit_verify_result r;
  audit_verify_result(v, &r);
  print_cut(f);
  printf("%" PRIu64 " records in %" PRIu64 " chains: %s\n", r.records, r.chains,
         r.faults ? "NOT what was written" : "no fault");
  if (r.faults)
    printf("%" PRIu64 " faults; one of each chain is shown, for what follows it cannot be told.\n",
           r.faults);
  if (r.lost)
    printf("%" PRIu64 " records could not be written at the time; their requests were refused.\n",
           r.lost);
  if (r.open)
    printf("%" PRIu64 " chains have no end: their writers are at work, or were killed. Records cut "
           "from their ends\nafter the last anchor that names them would not be noticed.\n",
           r.open);
  if (!anchors)
    puts("The anchors in the state directory were not compared (these are files by name): a cut at "
         "the end of the\nlast file, or a file of an earlier time in its place, would not be "
         "noticed.");
  return fflush(stdout) || r.faults ? CLI_FAILED : CLI_OK;
}

static int verify_with(const unsigned char key[32], const struct audit_site *s, char **files,
                       bool anchors, struct err *e)
{
  struct findings found = {{0, 0}};
  struct log_files *logs = calloc(1, sizeof *logs);
  struct audit_verify *v = audit_verify_new(key, print_finding, &found, e);
  int status = -1;
  if (logs == NULL)
    err_set(e, "out of memory");
  else if (v && (!anchors || audit_verify_read_anchors(v, s->state_dir, e) == 0) &&
           (s->file == NULL || open_set(logs, s->file, e) == 0) &&
           verify_all(v, logs, files, e) == 0)
    status = conclude(v, &found, anchors);
  audit_verify_free(v);
  log_files_free(logs);
  return status;
}

static int verify_site(const struct audit_site *s, char **files, bool anchors)
{
  struct err e = {""};
  unsigned char key[32];
  char path[4096];
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r) == 0) { /* one a rotated file */
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
  }
  snprintf(path, sizeof path, "%s/audit.key", s->state_dir);
  if (access(path, R_OK) < 0) /* audit_key would make one, with which nothing verifies */
    err_set(&e, "cannot read the key %s: run this as the user of the hub, or name --state-dir",
            path);
  else if (audit_key(s->state_dir, key, &e) == 0) {
    int status = verify_with(key, s, files, anchors, &e);
    OPENSSL_cleanse(key, sizeof key);
    if (status >= 0)
      return status;
  }
  return fail("verify", &e);
}

static int verify(const struct cli *cli, int argc, char **argv)
{
  static const struct option options[] = {{"log", required_argument, NULL, OPT_LOG},
                                          {"anchors", no_argument, NULL, OPT_ANCHORS},
                                          {NULL, 0, NULL, 0}};
  const char *log = NULL;
  bool anchors = false;
  struct err e = {""};
  CLEANUP(audit_site_done) struct audit_site s = {NULL, NULL};
  for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
    if (o == OPT_LOG)
      log = optarg;
    else if (o == OPT_ANCHORS)
      anchors = true;
    else
      return cli_usage(&cmd_audit, "unknown option");
  bool by_name = optind < argc;
  if (by_name && log)
    return cli_usage(&cmd_audit, "give --log or files");
  if (audit_site_find(cli, log, !by_name, &s, &e) < 0)
    return fail("verify", &e);
  return verify_site(&s, argv + optind, anchors || !by_name);
}

/* ------------------------------------------------------------------ tail */

static int tail(const struct cli *cli, int argc, char **argv)
{
  static const struct option options[] = {{"log", required_argument, NULL, OPT_LOG},
                                          {"json", no_argument, NULL, OPT_JSON},
                                          {"follow", no_argument, NULL, 'f'},
                                          {"lines", required_argument, NULL, 'n'},
                                          {NULL, 0, NULL, 0}};
  struct tail_options t = {.n = 10};
  struct err e = {""};
  uint64_t n;
  CLEANUP(audit_site_done) struct audit_site s = {NULL, NULL};
  const char *log = NULL;
  for (int o; (o = getopt_long(argc, argv, "fn:", options, NULL)) != -1;)
    switch (o) {
    case OPT_LOG:
      log = optarg;
      break;
    case OPT_JSON:
      t.json = true;
      break;
    case 'f':
      t.follow = true;
      break;
    case 'n':
      if (!str_u64(str_of(optarg), 1000000, &n))
        return cli_usage(&cmd_audit, "-n takes a number up to 1000000");
      t.n = n;
      break;
    default:
      return cli_usage(&cmd_audit, "unknown option");
    }
  if (optind < argc && log == NULL)
    log = argv[optind++];
  if (optind < argc)
    return cli_usage(&cmd_audit, "one file at a time");
  if (audit_site_find(cli, log, true, &s, &e) < 0)
    return fail("tail", &e);
  t.file = s.file;
  return audit_tail(&t, &e) < 0 ? fail("tail", &e) : CLI_OK;
}

static int run(const struct cli *cli, int argc, char **argv)
{
  if (argc > 1 && strcmp(argv[1], "verify") == 0)
    return verify(cli, argc - 1, argv + 1);
  if (argc > 1 && strcmp(argv[1], "tail") == 0)
    return tail(cli, argc - 1, argv + 1);
  return cli_usage(&cmd_audit, argc > 1 ? "there is no such action" : "which action?");
}

const struct cli_command cmd_audit = {
    .name = "audit",
    .actions = "verify tail",
    .synopsis = "verify [--log FILE | [--anchors] FILE...]\n"
                "       mcpauth audit tail [-f] [-n N] [--json] [FILE]",
    .summary = "check the audit log for tampering; show what it says",
    .example = "mcpauth audit tail -f",
    .run = run,
};
