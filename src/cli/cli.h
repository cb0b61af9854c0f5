/* The mcpauth command: one file a subcommand, one row a subcommand in main.c. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

/* What stands before the subcommand. */
struct cli {
  const char *confdir;   /* -c DIR, MCPAUTH_CONFDIR, MCPAUTH_CONFDIR of the build */
  const char *statedir;  /* --state-dir DIR, MCPAUTH_STATEDIR, the configuration's, the build's;
                            NULL: the configuration decides */
  const char *control;   /* --control PATH, MCPAUTH_CONTROL, RUNDIR/control */
  const char *plugindir; /* --plugin-dir DIR[:DIR], the build's */
};

/* Exit statuses of every subcommand. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_command {
  const char *name;
  const char *actions;                                      /* words that may follow, or NULL */
  const char *synopsis;                                     /* after the name, for the usage line */
  const char *summary;                                      /* one line */
  const char *example;                                      /* a whole command line */
  int (*run)(const struct cli *cli, int argc, char **argv); /* argv[0] is the subcommand's name */
};

/* Prints "mcpauth NAME: MESSAGE" and the usage line to standard error; CLI_USAGE. */
int cli_usage(const struct cli_command *c, const char *message);

/* The table of main.c, in the order of the help; ended by NULL. */
extern const struct cli_command *const cli_commands[];

extern const struct cli_command cmd_completion;
extern const struct cli_command cmd_check, cmd_provider, cmd_token, cmd_jwt, cmd_audit, cmd_explain,
    cmd_reload, cmd_status, cmd_grants, cmd_clients, cmd_keys;

#endif
