/* `mcpauth check`: loads the configuration as the daemon would, prints what it finds, changes
 * nothing.  Started as root it becomes the hub's `user` first, as the daemon does, so that what
 * passes here is readable there. */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "auth/loader.h"
#include "cli/blame.h"
#include "cli/cli.h"
#include "util/cleanup.h"
#include "util/limits.h"

static int check(const struct cli *cli, int argc, char **argv);

const struct cli_command cmd_check = {
    .name = "check",
    .synopsis = "[-v] [--as USER]",
    .summary = "check the configuration",
    .example = "mcpauth check -v",
    .run = check,
};

struct check {
  bool verbose;
  const char *as; /* NULL: the hub's `user` */
};

static const struct option options[] = {
    {"verbose", no_argument, NULL, 'v'},
    {"as", required_argument, NULL, 'a'},
    {NULL, 0, NULL, 0},
};

static int parse(int argc, char **argv, struct check *ret)
{
  for (int o; (o = getopt_long(argc, argv, "v", options, NULL)) != -1;)
    if (o == 'v')
      ret->verbose = true;
    else if (o == 'a')
      ret->as = optarg;
    else
      return cli_usage(&cmd_check, "there is no such option");
  return optind == argc ? CLI_OK : cli_usage(&cmd_check, "it takes no words");
}

static int failed(const char *what, const char *why)
{
  fprintf(stderr, "mcpauth check: %s: %s\n", what, why);
  return CLI_FAILED;
}

/* Becomes USER for good. */
static int become(const struct passwd *pw)
{
  if (initgroups(pw->pw_name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0)
    return failed(pw->pw_name, strerror(errno));
  return CLI_OK;
}

/* Whom the files are for: *RET is the user id that the daemon will have. */
static int choose_user(const struct cli *cli, const struct check *c, struct arena *arena,
                       uid_t *ret)
{
  const char *name = c->as;
  *ret = geteuid();
  if (name == NULL && config_user(cli->confdir, arena, &name, NULL) < 0)
    return CLI_OK; /* the load will say why, with all else that is wrong */
  struct passwd *pw = name[0] ? getpwnam(name) : NULL;
  if (name[0] == 0 || (pw == NULL && c->as == NULL))
    return CLI_OK;
  if (pw == NULL)
    return failed(name, "there is no such user");
  *ret = pw->pw_uid;
  return geteuid() == 0 && pw->pw_uid != 0 ? become(pw) : CLI_OK;
}

static void print_notes(const struct config *c)
{
  fputs("\n# The effective configuration:\n\n", stdout);
  config_print(c, stdout);
  fputs("\n# In words:\n", stdout);
  for (size_t i = 0; i < c->notes.n; i++)
    printf("# %s\n", c->notes.v[i]);
  printf("# fingerprint %.16s\n", c->fingerprint);
}

static int load(const struct cli *cli, const struct check *c, struct loader *loader,
                struct arena *arena, uid_t user)
{
  struct config_report report;
  struct config_modules modules = loader_modules(loader);
  struct config *config = config_load(cli->confdir, &modules, user, arena, &report);
  for (size_t i = 0; i < report.n; i++)
    config_finding_print(&report.v[i], stdout);
  if (config && c->verbose)
    print_notes(config);
  printf("%zu error%s, %zu warning%s\n", report.errors, report.errors == 1 ? "" : "s",
         report.warnings, report.warnings == 1 ? "" : "s");
  int status = config ? CLI_OK : CLI_FAILED;
  config_free(config);
  return status;
}

static void free_arena(struct arena **p)
{
  arena_free(*p);
}

static void free_loader(struct loader **p)
{
  loader_free(*p);
}

static int check(const struct cli *cli, int argc, char **argv)
{
  struct check c = {.verbose = false};
  struct err e = {""};
  uid_t user;
  int r = parse(argc, argv, &c);
  if (r != CLI_OK)
    return r;
  CLEANUP(free_arena) struct arena *arena = arena_new(MIB(16));
  if (arena == NULL)
    return failed("memory", "there is not enough");
  if (choose_user(cli, &c, arena, &user) != CLI_OK)
    return CLI_FAILED;
  CLEANUP(free_loader) struct loader *loader = blame_loader(cli, &e);
  if (loader == NULL)
    return failed(cli->plugindir, e.text);
  return load(cli, &c, loader, arena, user);
}
