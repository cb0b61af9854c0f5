/* Which addresses a transfer may connect to (rows 107, 108): asked at connect time, on the numeric
 * address of every attempt, so that no name that changes its mind gets past it.  Pure. */
#ifndef HTTP_REACH_H
#define HTTP_REACH_H

#include <stdbool.h>
#include <sys/socket.h>

enum reach {
  REACH_ANY,                /* the administrator wrote the URL */
  REACH_LOOPBACK,           /* 127.0.0.0/8 and ::1 */
  REACH_PUBLIC,             /* a stranger wrote it: global unicast addresses, port 443 */
  REACH_PUBLIC_OR_LOOPBACK, /* the same for a hub that is itself on loopback only */
};

/* Families other than IPv4 and IPv6 are allowed by REACH_ANY only. */
bool reach_allows(enum reach policy, const struct sockaddr *address);

#endif
