/* The request target's grammar; see target.h.  Called by admission, and by the configuration for
 * the paths of services. */
#include "http/target.h"

#include "util/limits.h"

static bool segment_char(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '~' || c == '-';
}

static bool segment_ok(struct str s)
{
  if (s.n == 0 || str_is(s, ".") || str_is(s, ".."))
    return false;
  for (size_t i = 0; i < s.n; i++)
    if (!segment_char(s.p[i]))
      return false;
  return true;
}

/* PATH begins with '/'. */
static bool path_ok(struct str path)
{
  struct str rest = str_slice(path, 1, path.n), segment;
  if (rest.n == 0)
    return true;
  if (rest.p[rest.n - 1] == '/')
    rest.n--;
  if (rest.n == 0)
    return false; /* "//" */
  while (str_next(&rest, '/', &segment))
    if (!segment_ok(segment))
      return false;
  return true;
}

static bool query_ok(struct str query)
{
  for (size_t i = 0; i < query.n; i++)
    if (query.p[i] <= ' ' || query.p[i] > '~' || query.p[i] == '#')
      return false;
  return true;
}

enum target_error target_parse(struct str raw, struct target *ret)
{
  if (raw.n > LIMIT_TARGET)
    return TARGET_TOO_LONG;
  if (raw.n == 0 || raw.p[0] != '/')
    return TARGET_NOT_ORIGIN_FORM;
  size_t mark = str_chr(raw, '?');
  struct target t = {.path = str_slice(raw, 0, mark)};
  if (mark < raw.n)
    t.query = (struct str){raw.p + mark + 1, raw.n - mark - 1};
  if (!path_ok(t.path))
    return TARGET_BAD_PATH;
  if (!query_ok(t.query))
    return TARGET_BAD_QUERY;
  *ret = t;
  return TARGET_OK;
}
