/* Redirect URIs: what is accepted is plain ASCII with a harmless scheme that leads where it says;
 * two that match and are not the same bytes are loopback and differ in their port alone.  Input:
 * registered URI, LF, requested URI. */
#include <stdlib.h>
#include <string.h>

#include "util/redirect.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(struct str uri)
{
  struct redirect r;
  if (redirect_parse(uri, true, &r) != REDIRECT_OK)
    return;
  for (size_t i = 0; i < uri.n; i++)
    if (uri.p[i] <= 0x20 || uri.p[i] >= 0x7f || strchr("#\"<>\\", uri.p[i]))
      abort();
  if (r.place.n == 0 || str_iis(r.scheme, "javascript") || str_iis(r.scheme, "data"))
    abort();
  bool http = str_is(r.scheme, "http"), loopback = r.kind == REDIRECT_KIND_LOOPBACK;
  if (http != loopback || (loopback && !url_loopback(&r.url)))
    abort();
  if (redirect_parse(uri, false, &r) == REDIRECT_OK && r.kind == REDIRECT_KIND_PRIVATE)
    abort();
}

static void check_match(struct str a, struct str b)
{
  struct redirect x, y;
  if (redirect_matches(a, b) != redirect_matches(b, a))
    abort();
  if (!redirect_matches(a, b) || str_eq(a, b))
    return;
  if (redirect_parse(a, true, &x) != REDIRECT_OK || redirect_parse(b, true, &y) != REDIRECT_OK ||
      x.kind != REDIRECT_KIND_LOOPBACK || y.kind != x.kind || !str_eq(x.url.host, y.url.host) ||
      !str_eq(x.url.path, y.url.path) || x.url.port == y.url.port)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct str rest = {(const char *)p, n}, first;
  if (n == 0 || !str_next(&rest, '\n', &first) || rest.p == NULL)
    return 0;
  check(first);
  check(rest);
  check_match(first, rest);
  struct redirect r;
  const char *pattern = strndup(first.p, first.n);
  struct redirect_policy policy = {.allow = &pattern, .n_allow = 1};
  if (pattern && redirect_pattern(str_of(pattern), NULL) == 0)
    (void)redirect_acceptable(&policy, rest, true, &r);
  free((char *)(uintptr_t)pattern);
  return 0;
}
