/* Header fields; see headers.h.  Called by admission and by everything that answers. */
#include "http/headers.h"

#include "util/cleanup.h"

/* tchar of RFC 9110 section 5.6.2, one bit a character. */
static const uint32_t token_bits[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff, 0, 0, 0, 0};

bool header_token(struct str name)
{
  for (size_t i = 0; i < name.n; i++) {
    unsigned char c = (unsigned char)name.p[i];
    if (!(token_bits[c >> 5] >> (c & 31) & 1))
      return false;
  }
  return name.n > 0;
}

bool header_value(struct str value)
{
  if (str_plain(value)) /* nearly every one */
    return true;
  for (size_t i = 0; i < value.n; i++) {
    unsigned char c = (unsigned char)value.p[i];
    if ((c < ' ' && c != '\t') || c == 0x7f)
      return false;
  }
  return true;
}

static bool host_char(char c, bool literal)
{
  bool digit = c >= '0' && c <= '9';
  if (literal)
    return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
  return digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == '_';
}

/* Where the host ends, or 0: "[" literal "]" or a name. */
static size_t host_end(struct str host)
{
  bool literal = host.n && host.p[0] == '[';
  size_t i = literal ? 1 : 0, from = i;
  while (i < host.n && host_char(host.p[i], literal))
    i++;
  if (i == from)
    return 0;
  if (!literal)
    return i;
  return i < host.n && host.p[i] == ']' ? i + 1 : 0;
}

bool header_authority(struct str host)
{
  size_t end = host_end(host);
  if (end == 0)
    return false;
  if (end == host.n)
    return true;
  uint64_t port;
  return host.p[end] == ':' && str_u64(str_slice(host, end + 1, host.n), 65535, &port);
}

struct str http_header(const struct http_request *rq, const char *name)
{
  for (size_t i = 0; i < rq->n_headers; i++)
    if (str_iis(rq->headers[i].name, name))
      return rq->headers[i].value;
  return (struct str){0};
}

size_t http_header_count(const struct http_request *rq, const char *name)
{
  size_t count = 0;
  for (size_t i = 0; i < rq->n_headers; i++)
    count += str_iis(rq->headers[i].name, name);
  return count;
}

/* ---- what we send */

/* Fields that say where the message goes, how long it is or what this hop does. */
static bool ours_alone(struct str name)
{
  static const char *const names[] = {
      "Host",   "Content-Length", "Transfer-Encoding", "Connection",          "Keep-Alive",
      "TE",     "Trailer",        "Upgrade",           "Proxy-Authorization", "Proxy-Connection",
      "Expect", "Accept-Encoding"};
  for (size_t i = 0; i < ARRAY_SIZE(names); i++)
    if (str_iis(name, names[i]))
      return true;
  return false;
}

int header_sendable(const struct http_header *h, struct err *e)
{
  if (!header_token(h->name))
    return err_set(e, "the name of a header field is not a token");
  if (ours_alone(h->name))
    return err_set(e, "header field '%.*s' cannot be sent", STR_ARG(str_slice(h->name, 0, 64)));
  if (!header_value(h->value) || !str_ascii(h->value))
    return err_set(e, "header field '%.*s' has control or non-ASCII bytes",
                   STR_ARG(str_slice(h->name, 0, 64)));
  return 0;
}

int header_method_sendable(struct str method, struct err *e)
{
  bool ok = method.n > 0 && method.n < LIMIT_METHOD;
  for (size_t i = 0; ok && i < method.n; i++)
    ok = method.p[i] >= 'A' && method.p[i] <= 'Z';
  if (!ok || str_is(method, "HEAD") || str_is(method, "CONNECT") || str_is(method, "TRACE"))
    return err_set(e, "method '%.*s' cannot be sent", STR_ARG(str_slice(method, 0, LIMIT_METHOD)));
  return 0;
}
