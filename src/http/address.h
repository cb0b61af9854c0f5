/* Networks and client addresses: CIDR lists, and who the client is behind trusted proxies.  Pure.
 */
#ifndef HTTP_ADDRESS_H
#define HTTP_ADDRESS_H

#include <sys/socket.h>

#include "http/server.h"
#include "util/cidr.h"

struct networks {
  const struct cidr *v;
  size_t n;
};

bool networks_have(const struct networks *nets, const struct sockaddr *peer);
/* The client's numeric address: the peer's, or, when the peer is in PROXIES, the right-most address
 * of X-Forwarded-For that is not.  Something unreadable there ends the walk at the last proxy that
 * was read.  OUT gets it NUL-terminated. */
void client_address(const struct http_request *rq, const struct networks *proxies, char *out,
                    size_t size);

#endif
