/* The mcpauth command: options before the subcommand, then one of the commands below.  */
#include <config.h>

#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/str.h"

/* One row a subcommand, in the order of the help. */
const struct cli_command *const cli_commands[] = {
    /* clang-format off */
    &cmd_check,
    &cmd_explain,
    &cmd_provider,
    &cmd_token,
    &cmd_jwt,
    &cmd_audit,
    &cmd_grants,
    &cmd_clients,
    &cmd_keys,
    &cmd_reload,
    &cmd_status,
    &cmd_completion,
    NULL, /* clang-format on */
};

enum { OPT_STATE_DIR = 256, OPT_CONTROL, OPT_PLUGIN_DIR };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"plugin-dir", required_argument, NULL, OPT_PLUGIN_DIR},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const char *env_or(const char *name, const char *fallback)
{
  const char *v = getenv(name);
  return v && *v ? v : fallback;
}

int cli_usage(const struct cli_command *c, const char *message)
{
  fprintf(stderr, "mcpauth %s: %s\nusage: mcpauth %s %s\n", c->name, message, c->name, c->synopsis);
  return CLI_USAGE;
}

static void help(FILE *to)
{
  fputs("usage: mcpauth [-c DIR] [--state-dir DIR] [--control PATH] COMMAND ...\n\n", to);
  for (size_t i = 0; cli_commands[i]; i++)
    fprintf(to, "  %-10s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
  fputs("\nExample: mcpauth check -v\n`mcpauth COMMAND --help` says more; see also mcpauth(1).\n",
        to);
}

static int command_help(const struct cli_command *c)
{
  printf("%s\n\nusage: mcpauth %s %s\n\nExample: %s\n", c->summary, c->name, c->synopsis,
         c->example);
  return CLI_OK;
}

static const struct cli_command *find(const char *name)
{
  for (size_t i = 0; cli_commands[i]; i++)
    if (strcmp(cli_commands[i]->name, name) == 0)
      return cli_commands[i];
  return NULL;
}

static int unknown(const char *name)
{
  const char *names[ARRAY_SIZE(cli_commands)];
  size_t n = 0;
  while (cli_commands[n]) {
    names[n] = cli_commands[n]->name;
    n++;
  }
  const char *near = str_nearest(str_of(name), names, n);
  fprintf(stderr, "mcpauth: there is no command '%s'", name);
  if (near)
    fprintf(stderr, "; did you mean '%s'?", near);
  fputs("\n`mcpauth --help` lists them.\n", stderr);
  return CLI_USAGE;
}

/* Behind the command, or behind its action. */
static bool asks_for_help(int argc, char **argv)
{
  for (int i = 1; i < argc && i < 3; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  return false;
}

int main(int argc, char **argv)
{
  struct cli cli = {
      .confdir = env_or("MCPAUTH_CONFDIR", MCPAUTH_CONFDIR),
      .statedir = env_or("MCPAUTH_STATEDIR", NULL),
      .control = env_or("MCPAUTH_CONTROL", MCPAUTH_RUNDIR "/control"),
      .plugindir = MCPAUTH_PLUGINDIR,
  };
  for (int o; (o = getopt_long(argc, argv, "+c:hV", options, NULL)) != -1;)
    switch (o) {
    case 'c':
      cli.confdir = optarg;
      break;
    case OPT_STATE_DIR:
      cli.statedir = optarg;
      break;
    case OPT_CONTROL:
      cli.control = optarg;
      break;
    case OPT_PLUGIN_DIR:
      cli.plugindir = optarg;
      break;
    case 'h':
      help(stdout);
      return CLI_OK;
    case 'V':
      puts("mcpauth " PACKAGE_VERSION);
      return CLI_OK;
    default:
      help(stderr);
      return CLI_USAGE;
    }
  if (optind == argc) {
    help(stderr);
    return CLI_USAGE;
  }
  const struct cli_command *c = find(argv[optind]);
  if (c == NULL)
    return unknown(argv[optind]);
  argc -= optind;
  argv += optind;
  optind = 0; /* the subcommand parses its own */
  if (asks_for_help(argc, argv))
    return command_help(c);
  return c->run(&cli, argc, argv);
}
