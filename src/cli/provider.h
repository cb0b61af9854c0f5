/* What the files of `mcpauth provider` share. */
#ifndef CLI_PROVIDER_H
#define CLI_PROVIDER_H

#include <mcpauth/provider.h>

#include "cli/cli.h"
#include "util/buf.h"

/* The actions; argv[0] is their name; all return the exit status. */
int provider_test(const struct cli *cli, int argc, char **argv);
int provider_new(const struct cli *cli, int argc, char **argv);
int provider_enable(const struct cli *cli, int argc, char **argv);
int provider_disable(const struct cli *cli, int argc, char **argv);

/* "URL", "on|off", "none|keycloak": what stands for the option's value in help. */
void provider_value(const struct mcpauth_option *o, struct buf *out);

#endif
