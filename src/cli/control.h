/* The command line's end of the daemon's control socket (hub/control.h). */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include "util/buf.h"
#include "util/err.h"

/* Sends COMMAND and waits for the answer.  0: done, ANSWER has what came before `ok`.  -1: nobody
 * answers at PATH, or not as agreed.  1: the daemon said no; E has why, ANSWER what came before. */
int control_ask(const char *path, const char *command, struct buf *answer, struct err *e);

#endif
