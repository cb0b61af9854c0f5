/* Networks and client addresses; see address.h. */
#include "http/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { UNIX_BITS = 255 };

/* Any numeric address to its 16-byte form. */
static bool parse_numeric(struct str text, unsigned char bytes[16], bool *ret_v4)
{
  static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  char z[INET6_ADDRSTRLEN];
  if (text.n == 0 || text.n >= sizeof z)
    return false;
  memcpy(z, text.p, text.n);
  z[text.n] = 0;
  *ret_v4 = inet_pton(AF_INET, z, bytes + 12) == 1;
  if (*ret_v4) {
    memcpy(bytes, mapped, sizeof mapped);
    return true;
  }
  return inet_pton(AF_INET6, z, bytes) == 1;
}

int cidr_parse(struct str text, struct cidr *ret, struct err *e)
{
  struct cidr c = {.bits = 128};
  uint64_t bits;
  bool v4;
  if (str_is(text, "unix")) {
    ret->bits = UNIX_BITS;
    return 0;
  }
  size_t slash = str_chr(text, '/');
  if (!parse_numeric(str_slice(text, 0, slash), c.bytes, &v4))
    return err_set(e, "'%.*s' is no numeric address or network", STR_ARG(text));
  if (slash < text.n) {
    if (!str_u64(str_slice(text, slash + 1, text.n), v4 ? 32 : 128, &bits))
      return err_set(e, "'%.*s' has no proper prefix length", STR_ARG(text));
    c.bits = (unsigned)bits + (v4 ? 96 : 0);
  }
  *ret = c;
  return 0;
}

bool cidr_unix(const struct cidr *c)
{
  return c->bits == UNIX_BITS;
}

static bool inside(const struct cidr *c, const unsigned char bytes[16])
{
  if (cidr_unix(c))
    return false;
  unsigned whole = c->bits / 8, rest = c->bits % 8;
  if (memcmp(c->bytes, bytes, whole) != 0)
    return false;
  return rest == 0 || ((c->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

static bool any_inside(const struct networks *nets, const unsigned char bytes[16])
{
  for (size_t i = 0; i < nets->n; i++)
    if (inside(&nets->v[i], bytes))
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
      if (!parse_numeric(word, bytes, &v4))
        return;
      snprintf(out, size, "%.*s", STR_ARG(word));
      if (!any_inside(proxies, bytes))
        return;
    }
  }
}
