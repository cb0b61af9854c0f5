/* Sealed message endpoints of the legacy transport; see endpoint.h. */
#include "mcp/endpoint.h"

#include <string.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ---- which URLs we follow */

/* Visible ASCII that a URL may hold, as in util/url.c; a '%' only before two hex digits. */
static bool url_text(struct str s)
{
  for (size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}#", c))
      return false;
    if (c == '%' && (i + 2 >= s.n || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0))
      return false;
  }
  return true;
}

/* Encoded dots, slashes and controls mean one thing to us and may mean another to the upstream. */
static bool plain_path(struct str path)
{
  if (path.n == 0 || path.p[0] != '/')
    return false;
  for (size_t i = 0; i < path.n; i++) {
    if (path.p[i] != '%')
      continue;
    int c = hex_digit(path.p[i + 1]) * 16 + hex_digit(path.p[i + 2]);
    if (c < 0x20 || c == 0x7f || c == '.' || c == '/' || c == '\\')
      return false;
  }
  struct str segment;
  while (str_next(&path, '/', &segment))
    if (str_is(segment, ".") || str_is(segment, ".."))
      return false;
  return true;
}

static bool same_origin(const struct url *a, const struct url *b)
{
  return a->https == b->https && a->port == b->port && str_eq(a->host, b->host);
}

/* Whether DATA brings its own scheme ("x:" before any '/', '?'). */
static bool has_scheme(struct str data)
{
  size_t colon = str_chr(data, ':');
  return colon < data.n && colon < str_chr(data, '/') && colon < str_chr(data, '?');
}

/* OUT = path and query of the absolute URL TEXT, if it is at BASE's origin. */
static int absolute(const struct url *base, struct str text, struct buf *out, struct err *e)
{
  struct url u;
  if (url_parse(text, &u, e) < 0)
    return err_prefix(e, "message endpoint");
  if (!same_origin(base, &u))
    return err_set(e, "message endpoint: another origin than the upstream's");
  buf_str(out, u.path.n ? u.path : STR("/"));
  if (u.query.p) {
    buf_putc(out, '?');
    buf_str(out, u.query);
  }
  return 0;
}

static void relative(const struct url *base, struct str data, struct buf *out)
{
  struct str path = base->path;
  if (data.p[0] == '/')
    path.n = 0;
  else if (data.p[0] != '?')
    while (path.n && path.p[path.n - 1] != '/')
      path.n--;
  buf_str(out, path);
  if (path.n == 0 && data.p[0] != '/')
    buf_putc(out, '/');
  buf_str(out, data);
}

int endpoint_resolve(const struct url *base, struct str data, struct buf *ret, struct err *e)
{
  CLEANUP(buf_done) struct buf url, out;
  buf_init(&url, LIMIT_ENDPOINT + 16);
  buf_init(&out, LIMIT_ENDPOINT);
  if (data.n == 0 || data.n > LIMIT_ENDPOINT)
    return err_set(e, "message endpoint: empty or longer than %d bytes", LIMIT_ENDPOINT);
  if (!url_text(data))
    return err_set(e, "message endpoint: contains a character that a URL cannot have");
  if (str_starts(data, "//")) {
    buf_puts(&url, base->https ? "https:" : "http:");
    buf_str(&url, data);
    data = buf_view(&url);
  }
  if (!has_scheme(data))
    relative(base, data, &out);
  else if (absolute(base, data, &out, e) < 0)
    return -1;
  if (out.failed || url.failed)
    return err_set(e, "message endpoint: longer than %d bytes", LIMIT_ENDPOINT);
  struct str target = buf_view(&out);
  if (!url_text(target) || !plain_path(str_slice(target, 0, str_chr(target, '?'))))
    return err_set(e, "message endpoint: the path has dot segments or encoded separators");
  return buf_str(ret, target) < 0 ? err_set(e, "out of memory") : 0;
}

/* ---- sealing */

int endpoint_seal(struct sealer *sealer, const struct seal_owner *owner, const struct url *base,
                  struct str data, struct buf *out, uint64_t *ret_name, struct err *e)
{
  CLEANUP(buf_done) struct buf target;
  buf_init(&target, LIMIT_ENDPOINT);
  if (endpoint_resolve(base, data, &target, e) < 0)
    return -1;
  if (seal_make(sealer, SEAL_ENDPOINT, owner, buf_view(&target), out, ret_name) < 0)
    return err_set(e, "the message endpoint could not be sealed");
  return 0;
}
