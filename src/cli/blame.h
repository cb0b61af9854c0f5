/* Names the provider whose crash takes a command along. */
#ifndef CLI_BLAME_H
#define CLI_BLAME_H

#include "auth/loader.h"
#include "cli/cli.h"

/* loader_new of the command's plugin folder.  From then on a crash while a provider is loaded, or
 * checks its options, is told with the provider's file before the command dies of it. */
struct loader *blame_loader(const struct cli *cli, struct err *e);

#endif
