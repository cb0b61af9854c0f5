/* mcpauth reload: has the daemon take the configuration up, and waits until it serves or was
 * refused. */
#include <config.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "util/cleanup.h"
#include "util/limits.h"

static int run(const struct cli *cli, int argc, char **argv)
{
  struct err e = {""};
  CLEANUP(buf_done) struct buf answer;
  buf_init(&answer, MIB(1));
  (void)argv;
  if (argc > 1)
    return cli_usage(&cmd_reload, "takes no arguments");
  int r = control_ask(cli->control, "reload", &answer, &e);
  if (r == 0) {
    printf("%.*s", STR_ARG(buf_view(&answer)));
    return CLI_OK;
  }
  fprintf(stderr, "%.*smcpauth reload: %s\n", STR_ARG(buf_view(&answer)), e.text);
  return CLI_FAILED;
}

const struct cli_command cmd_reload = {
    .name = "reload",
    .synopsis = "",
    .summary = "have the running daemon take its configuration up, and wait for the outcome",
    .example = "mcpauth check && mcpauth reload",
    .run = run,
};
