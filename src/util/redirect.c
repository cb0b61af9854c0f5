/* Redirect URIs; see redirect.h. */
#include "util/redirect.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/limits.h"

/* Schemes that a browser or a desktop runs itself instead of asking an application for them. */
static const char *const forbidden[] = {
    "about",  "blob", "chrome",     "data",     "file",        "filesystem", "ftp",
    "intent", "jar",  "javascript", "mailto",   "res",         "resource",   "search-ms",
    "shell",  "sms",  "tel",        "vbscript", "view-source", "ws",         "wss",
};

static const char *const texts[] = {
    [REDIRECT_OK] = "",
    [REDIRECT_SYNTAX] = "A redirect URI is an absolute URI of at most 2048 ASCII characters.",
    [REDIRECT_FRAGMENT] = "A redirect URI has no fragment.",
    [REDIRECT_SCHEME] = "A redirect URI with this scheme is never accepted.",
    [REDIRECT_HTTP] = "A redirect URI is https, or http at localhost, 127.0.0.1 or [::1].",
    [REDIRECT_PRIVATE] = "A redirect URI with a scheme of its own is for public clients only.",
    [REDIRECT_OWN] = "A redirect URI must not lead to this hub.",
    [REDIRECT_NOT_ALLOWED] = "The administrator of this hub does not allow this redirect URI.",
};

const char *redirect_error_text(enum redirect_error e)
{
  return (size_t)e < ARRAY_SIZE(texts) ? texts[e] : texts[REDIRECT_SYNTAX];
}

/* ---- the parts */

static bool uri_char(char c)
{
  return c > 0x20 && c < 0x7f && !strchr("\"<>\\^`{|}", c);
}

/* [a-z][a-z0-9+.-]* before the colon: capitals are the same scheme to others, so none here. */
static struct str scheme_of(struct str uri)
{
  size_t n = str_chr(uri, ':');
  for (size_t i = 0; i < n; i++) {
    char c = uri.p[i];
    if (!(c >= 'a' && c <= 'z') &&
        (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '.' || c == '-')))
      return (struct str){NULL, 0};
  }
  return n && n < uri.n ? str_slice(uri, 0, n) : (struct str){NULL, 0};
}

static bool is_forbidden(struct str scheme)
{
  for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
    if (str_is(scheme, forbidden[i]))
      return true;
  /* ms-msdt: and its like */
  return str_starts(scheme, "ms-");
}

/* "." and "..", written out or with %2e: what others would take away. */
static bool dot_segments(struct str path)
{
  struct str segment;
  while (str_next(&path, '/', &segment)) {
    size_t dots = 0, i = 0;
    while (i < segment.n) {
      if (segment.p[i] == '.')
        i++;
      else if (str_ieq(str_slice(segment, i, i + 3), STR("%2e")))
        i += 3;
      else
        break;
      dots++;
    }
    if (i == segment.n && (dots == 1 || dots == 2))
      return true;
  }
  return false;
}

static bool loopback_host(struct str host)
{
  return str_is(host, "localhost") || str_is(host, "127.0.0.1") || str_is(host, "::1");
}

static enum redirect_error parse_http(struct str uri, struct redirect *r)
{
  if (url_parse(uri, &r->url, NULL) < 0 || dot_segments(r->url.path))
    return REDIRECT_SYNTAX;
  r->place = r->url.authority;
  r->kind = REDIRECT_KIND_HTTPS;
  if (r->url.https)
    return REDIRECT_OK;
  r->kind = REDIRECT_KIND_LOOPBACK;
  return loopback_host(r->url.host) ? REDIRECT_OK : REDIRECT_HTTP;
}

static enum redirect_error parse_private(struct str uri, bool public_client, struct redirect *r)
{
  struct str rest = str_slice(uri, r->scheme.n + 1, uri.n);
  if (is_forbidden(r->scheme))
    return REDIRECT_SCHEME;
  /* "scheme:/path" and "scheme://name/path" (RFC 8252 section 7.1) */
  if (rest.n < 2 || rest.p[0] != '/' || str_chr(rest, '@') < rest.n ||
      dot_segments(str_slice(rest, 0, str_chr(rest, '?'))))
    return REDIRECT_SYNTAX;
  r->kind = REDIRECT_KIND_PRIVATE;
  r->place = str_slice(uri, 0, r->scheme.n + 1);
  return public_client ? REDIRECT_OK : REDIRECT_PRIVATE;
}

static bool escapes_are_whole(struct str uri)
{
  for (size_t i = str_chr(uri, '%'); i < uri.n; i++) {
    static const char digits[] = "0123456789abcdefABCDEF";
    if (uri.p[i] == '%' &&
        (i + 2 >= uri.n || !strchr(digits, uri.p[i + 1]) || !strchr(digits, uri.p[i + 2])))
      return false;
  }
  return true;
}

enum redirect_error redirect_parse(struct str uri, bool public_client, struct redirect *ret)
{
  struct redirect r = {.scheme = scheme_of(uri)};
  if (uri.n > LIMIT_REDIRECT_URI || r.scheme.n == 0)
    return REDIRECT_SYNTAX;
  if (str_chr(uri, '#') < uri.n)
    return REDIRECT_FRAGMENT;
  for (size_t i = 0; i < uri.n; i++)
    if (!uri_char(uri.p[i]))
      return REDIRECT_SYNTAX;
  if (!escapes_are_whole(uri))
    return REDIRECT_SYNTAX;
  bool http = str_is(r.scheme, "https") || str_is(r.scheme, "http");
  enum redirect_error e = http ? parse_http(uri, &r) : parse_private(uri, public_client, &r);
  if (e == REDIRECT_OK)
    *ret = r;
  return e;
}

/* ---- policy */

/* The origin of the hub; on loopback whatever loopback name has its port. */
static bool is_own(const struct url *own, const struct redirect *r)
{
  if (own == NULL || r->kind == REDIRECT_KIND_PRIVATE || r->url.port != own->port)
    return false;
  return str_eq(r->url.host, own->host) || (url_loopback(&r->url) && url_loopback(own));
}

/* The port of a loopback URI is of no account; without it, so that two can be compared. */
static bool same_but_for_port(struct str a, struct str b)
{
  struct redirect x, y;
  if (redirect_parse(a, true, &x) != REDIRECT_OK || redirect_parse(b, true, &y) != REDIRECT_OK ||
      x.kind != REDIRECT_KIND_LOOPBACK || y.kind != REDIRECT_KIND_LOOPBACK)
    return false;
  const char *path_a = x.url.authority.p + x.url.authority.n,
             *path_b = y.url.authority.p + y.url.authority.n;
  return str_eq(x.url.host, y.url.host) && str_eq(str_slice(a, (size_t)(path_a - a.p), a.n),
                                                  str_slice(b, (size_t)(path_b - b.p), b.n));
}

bool redirect_matches(struct str registered, struct str uri)
{
  return str_eq(registered, uri) || same_but_for_port(registered, uri);
}

/* Where the last path segment of URI begins; 0 when it has no path. */
static size_t last_segment(struct str uri)
{
  size_t scheme = scheme_of(uri).n, path = str_chr(uri, '?'), at = path;
  while (at > scheme && uri.p[at - 1] != '/')
    at--;
  return at;
}

/* TEXT against PATTERN, whose one '*' stands for any bytes but '/' and '?'. */
static bool segment_has(struct str pattern, struct str text)
{
  size_t star = str_chr(pattern, '*');
  struct str before = str_slice(pattern, 0, star), after = str_slice(pattern, star + 1, pattern.n);
  if (text.n < before.n + after.n || !str_eq(str_slice(text, 0, before.n), before) ||
      !str_eq(str_slice(text, text.n - after.n, text.n), after))
    return false;
  struct str middle = str_slice(text, before.n, text.n - after.n);
  return str_chr(middle, '/') == middle.n && str_chr(middle, '?') == middle.n;
}

static bool pattern_has(struct str pattern, struct str uri)
{
  size_t at = last_segment(pattern), end = last_segment(uri);
  if (str_chr(pattern, '*') == pattern.n)
    return redirect_matches(pattern, uri);
  struct str folder = str_slice(uri, 0, end);
  /* A folder is compared as a redirect URI, so that loopback ports are of no account in it. */
  return redirect_matches(str_slice(pattern, 0, at), folder) &&
         segment_has(str_slice(pattern, at, pattern.n), str_slice(uri, end, uri.n));
}

enum redirect_error redirect_acceptable(const struct redirect_policy *p, struct str uri,
                                        bool public_client, struct redirect *ret)
{
  struct redirect r;
  enum redirect_error e = redirect_parse(uri, public_client, &r);
  if (e != REDIRECT_OK)
    return e;
  if (is_own(p->own, &r))
    return REDIRECT_OWN;
  bool allowed = p->n_allow == 0;
  for (size_t i = 0; i < p->n_allow && !allowed; i++)
    allowed = pattern_has(str_of(p->allow[i]), uri);
  if (!allowed)
    return REDIRECT_NOT_ALLOWED;
  *ret = r;
  return REDIRECT_OK;
}

/* Where the path of a parsed redirect URI begins: its '/', or its end. */
static size_t path_of(struct str uri, const struct redirect *r)
{
  if (r->kind != REDIRECT_KIND_PRIVATE)
    return (size_t)(r->url.authority.p + r->url.authority.n - uri.p);
  size_t at = r->scheme.n + 1;
  if (!str_starts(str_slice(uri, at, uri.n), "//"))
    return at;
  at += 2;
  return at + str_chr(str_slice(uri, at, uri.n), '/');
}

int redirect_pattern(struct str pattern, struct err *e)
{
  struct redirect r;
  enum redirect_error bad = redirect_parse(pattern, true, &r);
  if (bad != REDIRECT_OK)
    return err_set(e, "%s", redirect_error_text(bad));
  size_t star = str_chr(pattern, '*');
  if (star == pattern.n)
    return 0;
  size_t path = path_of(pattern, &r);
  if (star < last_segment(pattern) || last_segment(pattern) <= path ||
      str_chr(str_slice(pattern, star + 1, pattern.n), '*') < pattern.n - star - 1)
    return err_set(e, "may have one '*', in its last path segment");
  return 0;
}
