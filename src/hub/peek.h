/* Whom the daemon is to become, before anything else of the configuration is read: a daemon that
 * was started as root reads all of it as that user. */
#ifndef HUB_PEEK_H
#define HUB_PEEK_H

#include "util/err.h"

/* The word after `user` in the `hub` block of DIR's *.conf; "" when there is none.  -1 with E when
 * a file cannot be read or is not in the grammar. */
int peek_user(const char *dir, char ret_user[64], struct err *e);

#endif
