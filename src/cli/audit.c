/* mcpauth audit verify | tail. */
#include <config.h>

#include "cli/audit.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
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

/* One line a finding; a flood of them is cut. */
enum { FINDINGS_MOST = 100 };

static void print_finding(void *arg, bool fault, const char *file, uint64_t line, const char *text)
{
  unsigned *printed = arg;
  if ((*printed)++ < FINDINGS_MOST)
    printf("%s:%" PRIu64 ": %s: %s\n", file, line, fault ? "FAULT" : "note", text);
}

/* FILE.n … FILE.1 FILE */
static int verify_set(struct audit_verify *v, const char *file, struct err *e)
{
  char path[4096];
  unsigned last = 0;
  while (last < ROTATED_MOST) {
    snprintf(path, sizeof path, "%s.%u", file, last + 1);
    if (access(path, F_OK) < 0)
      break;
    last++;
  }
  for (; last > 0; last--) {
    AUTO_FREE char *older = NULL;
    if (asprintf(&older, "%s.%u", file, last) < 0)
      return err_set(e, "out of memory");
    if (audit_verify_file(v, older, e) < 0)
      return -1;
  }
  return audit_verify_file(v, file, e);
}

static int verify_all(struct audit_verify *v, const struct audit_site *s, char **files,
                      bool anchors, struct err *e)
{
  if (s->file && verify_set(v, s->file, e) < 0)
    return -1;
  for (; *files; files++)
    if (audit_verify_file(v, *files, e) < 0)
      return -1;
  return anchors ? audit_verify_anchors(v, s->state_dir, e) : 0;
}

static int conclude(const struct audit_verify *v, bool anchors)
{
  struct audit_verify_result r;
  audit_verify_result(v, &r);
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

static int verify_site(const struct audit_site *s, char **files, bool anchors)
{
  struct err e = {""};
  unsigned char key[32];
  unsigned printed = 0;
  char path[4096];
  snprintf(path, sizeof path, "%s/audit.key", s->state_dir);
  if (access(path, R_OK) < 0) /* audit_key would make one, with which nothing verifies */
    err_set(&e, "cannot read the key %s: run this as the user of the hub, or name --state-dir",
            path);
  else if (audit_key(s->state_dir, key, &e) == 0) {
    struct audit_verify *v = audit_verify_new(key, print_finding, &printed, &e);
    int status = v && verify_all(v, s, files, anchors, &e) == 0 ? conclude(v, anchors) : -1;
    audit_verify_free(v);
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
