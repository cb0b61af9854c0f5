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

/* One hop's address: some proxies write the port too, "192.0.2.7:4711" and "[2001:db8::7]:4711". */
static bool read_hop(struct str word, unsigned char bytes[16], struct str *ret)
{
  uint64_t n;
  bool v4, bracket = word.n && word.p[0] == '[';
  size_t colon = str_chr(word, ':'), end = bracket ? str_chr(word, ']') : colon;
  *ret = word;
  if (address_parse(word, bytes, &v4))
    return true;
  *ret = str_slice(word, bracket, end);
  struct str rest = str_slice(word, end + bracket, word.n);
  bool port = rest.n > 1 && rest.p[0] == ':' && str_u64(str_slice(rest, 1, rest.n), UINT16_MAX, &n);
  bool whole = bracket && end + 1 == word.n;
  return address_parse(*ret, bytes, &v4) && v4 == !bracket && (port || whole);
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
    struct str list = rq->headers[i].value, word, address;
    while (last_word(&list, &word)) {
      unsigned char bytes[16];
      bool good = read_hop(word, bytes, &address);
      snprintf(out, size, "%.*s", STR_ARG(good ? address : STR("unknown")));
      if (!good || !any_inside(proxies, bytes))
        return;
    }
  }
}
