/* Numeric addresses and networks; see cidr.h. */
#include "util/cidr.h"

#include <arpa/inet.h>
#include <string.h>

enum { UNIX_BITS = 255 };

bool address_parse(struct str text, unsigned char ret_bytes[16], bool *ret_v4)
{
  static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  char z[INET6_ADDRSTRLEN];
  if (text.n == 0 || text.n >= sizeof z)
    return false;
  memcpy(z, text.p, text.n);
  z[text.n] = 0;
  *ret_v4 = inet_pton(AF_INET, z, ret_bytes + 12) == 1;
  if (*ret_v4) {
    memcpy(ret_bytes, mapped, sizeof mapped);
    return true;
  }
  return inet_pton(AF_INET6, z, ret_bytes) == 1;
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
  if (!address_parse(str_slice(text, 0, slash), c.bytes, &v4))
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

bool cidr_has(const struct cidr *c, const unsigned char bytes[16])
{
  if (cidr_unix(c))
    return false;
  unsigned whole = c->bits / 8, rest = c->bits % 8;
  if (memcmp(c->bytes, bytes, whole) != 0)
    return false;
  return rest == 0 || ((c->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}
