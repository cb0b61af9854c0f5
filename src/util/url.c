/* URL parser; see url.h. */
#include "util/url.h"

#include <arpa/inet.h>
#include <string.h>

static bool host_char(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static int parse_host(struct str authority, struct url *u, struct err *e)
{
  size_t end;
  if (authority.n && authority.p[0] == '[') {
    struct in6_addr a;
    char text[64];
    end = str_chr(authority, ']');
    if (end == authority.n || end - 1 >= sizeof text)
      return err_set(e, "unclosed [ in the host");
    u->host = str_slice(authority, 1, end);
    memcpy(text, u->host.p, u->host.n);
    text[u->host.n] = 0;
    if (inet_pton(AF_INET6, text, &a) != 1)
      return err_set(e, "'%s' is no IPv6 address", text);
    end++;
  } else {
    end = str_chr(authority, ':');
    u->host = str_slice(authority, 0, end);
    for (size_t i = 0; i < u->host.n; i++)
      if (!host_char(u->host.p[i]))
        return err_set(e, "the host must be in lower-case letters, digits, '-' and '.'");
  }
  if (u->host.n == 0 || u->host.n > 255)
    return err_set(e, "the host is missing or too long");
  if (end == authority.n)
    return 0;
  uint64_t port;
  if (authority.p[end] != ':' ||
      !str_u64(str_slice(authority, end + 1, authority.n), 65535, &port) || port == 0)
    return err_set(e, "the port must be a number from 1 to 65535");
  u->port = (uint16_t)port;
  u->port_written = true;
  return 0;
}

static bool target_char(char c)
{
  return c > 0x20 && c < 0x7f && !strchr("\"<>\\^`{|}#", c);
}

int url_parse(struct str text, struct url *ret, struct err *e)
{
  struct url u = {0};
  if (str_starts(text, "https://")) {
    u.https = true;
    u.port = 443;
    text = str_slice(text, 8, text.n);
  } else if (str_starts(text, "http://")) {
    u.port = 80;
    text = str_slice(text, 7, text.n);
  } else {
    return err_set(e, "must begin with https:// or http://");
  }
  size_t end = 0;
  while (end < text.n && text.p[end] != '/' && text.p[end] != '?')
    end++;
  u.authority = str_slice(text, 0, end);
  if (str_chr(u.authority, '@') < u.authority.n)
    return err_set(e, "must not contain a user name or password");
  if (parse_host(u.authority, &u, e) < 0)
    return -1;
  struct str rest = str_slice(text, end, text.n);
  for (size_t i = 0; i < rest.n; i++)
    if (!target_char(rest.p[i]))
      return err_set(e, rest.p[i] == '#' ? "must not have a fragment"
                                         : "contains a character that a URL cannot have");
  size_t q = str_chr(rest, '?');
  u.path = str_slice(rest, 0, q);
  if (q < rest.n)
    u.query = str_slice(rest, q + 1, rest.n);
  *ret = u;
  return 0;
}

bool url_loopback(const struct url *u)
{
  char text[64];
  struct in_addr v4;
  if (str_is(u->host, "localhost") || str_is(u->host, "::1"))
    return true;
  if (u->host.n >= sizeof text)
    return false;
  memcpy(text, u->host.p, u->host.n);
  text[u->host.n] = 0;
  return inet_pton(AF_INET, text, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}
