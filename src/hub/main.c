/* mcpauthd: options, then the process is put in order before anything else happens, then the master
 * takes over (master.c). */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "hub/environment.h"
#include "hub/master.h"
#include "hub/notify.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/str.h"

enum { OPT_STATE_DIR = 256, OPT_CONTROL, OPT_PORT_FILE, OPT_PLUGIN_DIR };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"port-file", required_argument, NULL, OPT_PORT_FILE},
    {"plugin-dir", required_argument, NULL, OPT_PLUGIN_DIR},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void help(FILE *to)
{
  fputs(
      "usage: mcpauthd [-c DIR] [--state-dir DIR] [--control PATH] [--port-file FILE]\n"
      "                [--plugin-dir DIR[:DIR]]\n\n"
      "Guards MCP servers as the files in " MCPAUTH_CONFDIR " say; runs in the foreground and\n"
      "logs to standard error.  SIGHUP or `mcpauth reload` takes a new configuration up, SIGTERM\n"
      "finishes what is in flight and ends.\n\n"
      "  -c DIR             configuration folder (" MCPAUTH_CONFDIR ")\n"
      "  --state-dir DIR    keys, use counts (the configuration's, else " MCPAUTH_STATEDIR ")\n"
      "  --control PATH     socket for `mcpauth reload` and `mcpauth status`\n"
      "                     (" MCPAUTH_RUNDIR "/control)\n"
      "  --port-file FILE   written when it serves: a line a listener, `LISTEN PORT`\n"
      "  --plugin-dir DIRS  where providers are (" MCPAUTH_PLUGINDIR ")\n\n"
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
  default:
    return -1;
  }
  *to = absolute(value);
  return *to ? 0 : -1;
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
  if (optind == argc)
    return -1;
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

/* Descriptors that a careless parent left open; systemd's stay. */
static int close_inherited(struct err *e)
{
  int keep[NOTIFY_FDS_MAX];
  unsigned n = notify_fds();
  for (unsigned i = 0; i < n; i++)
    keep[i] = NOTIFY_FDS_FROM + (int)i;
  return close_all_but(keep, n, e);
}

static int prepare(struct master_options *o, struct err *e)
{
  if (notify_init(e) < 0 || environment_init(e) < 0 || close_inherited(e) < 0)
    return -1;
  if (privileges_harden(e) < 0)
    return -1;
  return find_user(o, e);
}

int main(int argc, char **argv)
{
  struct err e = {""};
  static struct master_options o = {
      .confdir = MCPAUTH_CONFDIR,
      .control = MCPAUTH_RUNDIR "/control",
      .plugin_dir = MCPAUTH_PLUGINDIR,
  };
  int status = parse(argc, argv, &o);
  if (status >= 0)
    return status;
  log_init("master", false, MCPAUTH_LOG_INFO);
  if (prepare(&o, &e) < 0) {
    log_error("%s", e.text);
    return 1;
  }
  return master_run(&o);
}
