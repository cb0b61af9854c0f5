/* mcpauthd: options, then the process is put in order before anything else happens, then the master
 * takes over (master.c). */
#include <config.h>

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "config/config.h"
#include "hub/environment.h"
#include "hub/handover.h"
#include "hub/load.h"
#include "hub/master.h"
#include "hub/notify.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/str.h"

enum { OPT_STATE_DIR = 256, OPT_CONTROL, OPT_PORT_FILE, OPT_PLUGIN_DIR, OPT_CHECK };

static const char default_control[] = MCPAUTH_RUNDIR "/control";
static bool only_check;

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"port-file", required_argument, NULL, OPT_PORT_FILE},
    {"plugin-dir", required_argument, NULL, OPT_PLUGIN_DIR},
    {"check", no_argument, NULL, OPT_CHECK},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void help(FILE *to)
{
  fputs("usage: mcpauthd [-c DIR] [--state-dir DIR] [--control PATH] [--port-file FILE]\n"
        "                [--plugin-dir DIR[:DIR]] [--check]\n\n"
        "Guards MCP servers as the files in " MCPAUTH_CONFDIR " say; runs in the foreground and\n"
        "logs to standard error.  SIGHUP or `mcpauth reload` takes a new configuration\n"
        "up, SIGUSR2 or `mcpauth reload --program` the installed program too; SIGTERM\n"
        "finishes what is in flight and ends.\n\n"
        "  -c DIR             configuration folder (" MCPAUTH_CONFDIR ")\n"
        "  --state-dir DIR    keys, use counts (the configuration's, else " MCPAUTH_STATEDIR ")\n"
        "  --control PATH     socket for `mcpauth reload` and `mcpauth status`\n"
        "                     (" MCPAUTH_RUNDIR "/control)\n"
        "  --port-file FILE   written when it serves: a line a listener, `LISTEN PORT`\n"
        "  --plugin-dir DIRS  where providers are (" MCPAUTH_PLUGINDIR ")\n"
        "  --check            only try whether this program can serve the configuration\n\n"
        "Example: mcpauthd -c /etc/mcpauth.d\n"
        "See mcpauthd(8), mcpauth.d(5); `mcpauth check` tries a configuration.\n",
        to);
}

/* The daemon leaves the folder that it was started in. */
static char *absolute(const char *path)
{
  char here[PATH_MAX];
  char *whole = NULL;
  if (path[0] == '/')
    return strdup(path);
  if (getcwd(here, sizeof here) == NULL || asprintf(&whole, "%s/%s", here, path) < 0)
    return NULL;
  return whole;
}

/* The same for each part of DIR[:DIR]. */
static char *absolute_list(const char *list)
{
  char *all = strdup("");
  struct str rest = str_of(list), part;
  while (all && str_next(&rest, ':', &part)) {
    AUTO_FREE char *old = all, *one = strndup(part.p, part.n), *whole = NULL;
    all = NULL;
    if (one == NULL || (whole = absolute(one)) == NULL ||
        asprintf(&all, "%s%s%s", old, *old ? ":" : "", whole) < 0)
      return NULL;
  }
  return all;
}

static int take_option(int option, const char *value, struct master_options *o)
{
  const char **to = NULL;
  switch (option) {
  case 'c':
    to = &o->confdir;
    break;
  case OPT_STATE_DIR:
    to = &o->state_dir;
    break;
  case OPT_CONTROL:
    to = &o->control;
    break;
  case OPT_PORT_FILE:
    to = &o->port_file;
    break;
  case OPT_PLUGIN_DIR:
    o->plugin_dir = absolute_list(value);
    return o->plugin_dir ? 0 : -1;
  case OPT_CHECK:
    only_check = true;
    return 0;
  default:
    return -1;
  }
  *to = absolute(value);
  return *to ? 0 : -1;
}

/* Where this program is: the name that it was started by, since what is installed there later is to
 * take its place. */
static char *program_path(const char *name)
{
  char path[PATH_MAX];
  if (name && strchr(name, '/'))
    return absolute(name);
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  return n > 0 ? strndup(path, (size_t)n) : NULL;
}

/* The command line once more, independent of the folder that we leave; only what was said: the
 * next program may have other defaults. */
static int make_argv(struct master_options *o, const char *name)
{
  static const char *const words[] = {"-c", "--state-dir", "--control", "--port-file",
                                      "--plugin-dir"};
  static char *argv[2 * ARRAY_SIZE(words) + 2];
  const char *values[] = {o->confdir, o->state_dir, o->control, o->port_file, o->plugin_dir};
  const char *defaults[] = {MCPAUTH_CONFDIR, NULL, default_control, NULL, MCPAUTH_PLUGINDIR};
  size_t n = 0;
  if ((argv[n++] = program_path(name)) == NULL)
    return -1;
  for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
    if (values[i] == NULL || (defaults[i] && strcmp(values[i], defaults[i]) == 0))
      continue;
    argv[n++] = strdup(words[i]);
    argv[n++] = strdup(values[i]);
    if (argv[n - 2] == NULL || argv[n - 1] == NULL)
      return -1;
  }
  o->argv = argv;
  return 0;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct master_options *o)
{
  for (int c; (c = getopt_long(argc, argv, "c:hV", options, NULL)) != -1;)
    if (c == 'h') {
      help(stdout);
      return 0;
    } else if (c == 'V') {
      puts("mcpauthd " PACKAGE_VERSION);
      return 0;
    } else if (take_option(c, optarg, o) < 0) {
      help(stderr);
      return 2;
    }
  if (optind == argc && make_argv(o, argv[0]) == 0)
    return -1;
  if (optind == argc) {
    fprintf(stderr, "mcpauthd: cannot find out where this program is\n");
    return 1;
  }
  fprintf(stderr, "mcpauthd: unexpected argument '%s'\n", argv[optind]);
  help(stderr);
  return 2;
}

/* Root becomes the `user` of the configuration. */
static int find_user(struct master_options *o, struct err *e)
{
  const char *user = "";
  struct arena *a = arena_new(MIB(16));
  if (a == NULL)
    return err_set(e, "out of memory");
  int r = geteuid() == 0 ? config_user(o->confdir, a, &user, e) : 0;
  if (r == 0)
    r = privileges_find(user, &o->user, e);
  arena_free(a);
  if (r < 0)
    return -1;
  if (o->user.uid == 0)
    log_warn("running as root, and the configuration names nobody to become: set `user` in the "
             "hub block");
  return 0;
}

/* The program before us had its user already, and knew the name. */
static void keep_user(struct master_options *o)
{
  o->user = (struct identity){.uid = geteuid(), .gid = getegid()};
  memcpy(o->user.name, o->handover->head.user, sizeof o->user.name);
}

/* Descriptors that a careless parent left open; systemd's stay, and what was handed over. */
static int close_inherited(const struct handover *h, struct err *e)
{
  unsigned n = notify_fds();
  AUTO_FREE int *keep = calloc(n + (h ? handover_fds_most(h) : 1), sizeof *keep);
  if (keep == NULL)
    return err_set(e, "out of memory");
  for (unsigned i = 0; i < n; i++)
    keep[i] = NOTIFY_FDS_FROM + (int)i;
  size_t n_handed = h ? handover_fds(h, keep + n) : 0;
  for (size_t i = 0; i < n_handed; i++)
    fcntl(keep[n + i], F_SETFD, FD_CLOEXEC);
  return close_all_but(keep, n + n_handed, e);
}

static int prepare(struct master_options *o, struct err *e)
{
  if (notify_init(e) < 0 || handover_take(&o->handover, e) < 0 || environment_init(e) < 0 ||
      close_inherited(o->handover, e) < 0)
    return -1;
  prctl(PR_SET_NAME, "mcpauthd");
  if (privileges_harden(e) < 0)
    return -1;
  if (o->handover) {
    keep_user(o);
    return 0;
  }
  return find_user(o, e);
}

/* For a running daemon whose place this program is to take (replace.c). */
static void introduce(void)
{
  printf("mcpauthd " PACKAGE_VERSION " handover %s\n", handover_layout());
  fflush(stdout);
}

/* --check: what a leader would do, up to its listeners. */
static int check(const struct master_options *o)
{
  struct err e = {""};
  static struct load load; /* freed by the end */
  const struct leader_args args = {.confdir = o->confdir,
                                   .state_dir = o->state_dir,
                                   .plugin_dir = o->plugin_dir,
                                   .user = &o->user,
                                   .serving = "",
                                   .link_fd = -1};
  CLEANUP(buf_done) struct buf errors;
  buf_init(&errors, MIB(1));
  if (privileges_drop(&o->user, &e) < 0) {
    log_error("%s", e.text);
    return 1;
  }
  if (load_config(&load, &args, &errors) < 0) {
    printf("%.*s", STR_ARG(buf_view(&errors)));
    return 1;
  }
  printf("%s: ok\n", o->confdir);
  return 0;
}

int main(int argc, char **argv)
{
  struct err e = {""};
  static struct master_options o = {
      .confdir = MCPAUTH_CONFDIR,
      .control = default_control,
      .plugin_dir = MCPAUTH_PLUGINDIR,
  };
  int status = parse(argc, argv, &o);
  if (status >= 0)
    return status;
  log_init(only_check ? "check" : "master", false, MCPAUTH_LOG_INFO);
  if (only_check)
    introduce();
  if (prepare(&o, &e) < 0) {
    log_error("%s", e.text);
    return 1;
  }
  return only_check ? check(&o) : master_run(&o);
}
