/* What the service manager wants to know (sd_notify(3)) and what it hands us (sd_listen_fds(3)),
 * without libsystemd. */
#ifndef HUB_NOTIFY_H
#define HUB_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/* Reads and forgets NOTIFY_SOCKET, WATCHDOG_* and LISTEN_*: before environment_init. */
int notify_init(struct err *e);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
void notify_watchdog(void);
/* How often notify_watchdog is to be called; 0: never. */
int64_t notify_watchdog_ms(void);
/* Descriptors that were passed: NOTIFY_FDS_FROM … NOTIFY_FDS_FROM + n - 1. */
enum { NOTIFY_FDS_FROM = 3, NOTIFY_FDS_MAX = 64 };
unsigned notify_fds(void);
/* The socket called NAME (FileDescriptorName=), checked to be listening; -1 with E. */
int notify_socket(const char *name, struct err *e);

/* What the program that takes our place is to find in its environment: at most NOTIFY_VARIABLES
 * texts of the caller's, whose number is returned; -1: out of memory.  KEEP false: the sockets that
 * systemd passed are closed on exec again (they are open over it after true). */
enum { NOTIFY_VARIABLES = 5 };
int notify_environment(char *ret[NOTIFY_VARIABLES]);
void notify_keep_sockets(bool keep);

#endif
