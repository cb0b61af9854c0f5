/* The environment that the daemon was started with, kept for the one thing that may look at it:
 * `env:NAME` in the configuration.  Everything else, libraries above all, sees an allow-list
 * (security c.3). */
#ifndef HUB_ENVIRONMENT_H
#define HUB_ENVIRONMENT_H

#include <stddef.h>

#include "util/err.h"

/* Copies and hides it; once, first of all.  What steers libraries (LD_*, *_proxy, SSLKEYLOGFILE, …)
 * is dropped for good. */
int environment_init(struct err *e);
/* Between these two getenv sees the original. */
void environment_reveal(void);
void environment_hide(void);
/* The original and the N of MORE, NULL-terminated, for a program that is run in our place; the
 * array is the caller's, the texts are not.  NULL: out of memory. */
char **environment_for_program(char *const *more, size_t n);
/* Wipes it: in processes that read no configuration. */
void environment_forget(void);

#endif
