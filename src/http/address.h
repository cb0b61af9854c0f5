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
 * of X-Forwarded-For that is not, without a port.  What cannot be read there makes it "unknown":
 * the client is certainly not the proxy that passed it on, and may not have its rights.  OUT gets
 * it NUL-terminated. */
void client_address(const struct http_request *rq, const struct networks *proxies, char *out,
                    size_t size);

#endif
