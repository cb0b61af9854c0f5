/* mcpauth reload: has the daemon take the configuration up (--program: the installed program too),
 * and waits until it serves or was refused. */
#include <config.h>

#include <string.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* What the new program could not do: the package's script restarts the daemon then. */
enum { RELOAD_RESTART = 3 };

/* R is control_ask's.  A daemon that answers in other words is older than the request. */
static bool takes_restart(int r, const struct err *e)
{
  return r < 0 || strncmp(e->text, "unknown command", 15) == 0 ||
         str_ends(str_of(e->text), "restart the daemon");
}

static int run(const struct cli *cli, int argc, char **argv)
{
  struct err e = {""};
  CLEANUP(buf_done) struct buf answer;
  bool program = argc == 2 && strcmp(argv[1], "--program") == 0;
  buf_init(&answer, MIB(1));
  if (argc > 1 && !program)
    return cli_usage(&cmd_reload, "takes only --program");
  int r = control_ask(cli->control, program ? "replace" : "reload", &answer, &e);
  if (r == 0) {
    printf("%.*s", STR_ARG(buf_view(&answer)));
    return CLI_OK;
  }
  fprintf(stderr, "%.*smcpauth reload: %s\n", STR_ARG(buf_view(&answer)), e.text);
  return program && takes_restart(r, &e) ? RELOAD_RESTART : CLI_FAILED;
}

const struct cli_command cmd_reload = {
    .name = "reload",
    .synopsis = "[--program]",
    .summary = "have the running daemon take its configuration up, and wait for the outcome",
    .example = "mcpauth check && mcpauth reload",
    .run = run,
};
