/* Networks and client addresses; see address.h. */
#include "http/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool any_inside(const struct networks *nets, const unsigned char bytes[16])
{
  for (size_t i = 0; i < nets->n; i++)
    if (cidr_has(&nets->v[i], bytes))
      return true;
  return false;
}

bool networks_have(const struct networks *nets, const struct sockaddr *peer)
{
  unsigned char bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (peer->sa_family == AF_INET) {
    memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    return any_inside(nets, bytes);
  }
  if (peer->sa_family == AF_INET6) {
    memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    return any_inside(nets, bytes);
  }
  for (size_t i = 0; i < nets->n; i++)
    if (cidr_unix(&nets->v[i]))
      return peer->sa_family == AF_UNIX;
  return false;
}

/* Cuts the last element of a comma-separated list; false when none is left. */
static bool last_word(struct str *list, struct str *ret)
{
  if (list->n == 0)
    return false;
  size_t at = list->n;
  while (at > 0 && list->p[at - 1] != ',')
    at--;
  *ret = str_trim(str_slice(*list, at, list->n));
  list->n = at ? at - 1 : 0;
  return true;
}

void client_address(const struct http_request *rq, const struct networks *proxies, char *out,
                    size_t size)
{
  snprintf(out, size, "%s", rq->peer_address);
  if (!networks_have(proxies, (const struct sockaddr *)&rq->peer))
    return;
  /* Several fields are one list, the last field being the nearest hop (RFC 9110 5.3). */
  for (size_t i = rq->n_headers; i-- > 0;) {
    if (!str_iis(rq->headers[i].name, "X-Forwarded-For"))
      continue;
    struct str list = rq->headers[i].value, word;
    while (last_word(&list, &word)) {
      unsigned char bytes[16];
      bool v4;
      if (!address_parse(word, bytes, &v4))
        return;
      snprintf(out, size, "%.*s", STR_ARG(word));
      if (!any_inside(proxies, bytes))
        return;
    }
  }
}
