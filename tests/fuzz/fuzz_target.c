/* What target_parse accepts consists of accepted characters, splits where it says, and cannot be
 * read as another path by anything that decodes or normalises (row 48). */
#include <stdlib.h>
#include <string.h>

#include "http/target.h"
#include "util/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(struct str path)
{
  if (path.n == 0 || path.p[0] != '/' || memchr(path.p, '%', path.n) || memchr(path.p, 0, path.n) ||
      memchr(path.p, '\\', path.n) || memchr(path.p, ';', path.n))
    abort();
  for (size_t i = 0; i + 1 < path.n; i++) {
    if (path.p[i] != '/')
      continue;
    size_t end = i + 1;
    while (end < path.n && path.p[end] != '/')
      end++;
    struct str segment = str_slice(path, i + 1, end);
    if (segment.n == 0 || str_is(segment, ".") || str_is(segment, ".."))
      abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct str raw = {(const char *)data, size};
  struct target t;
  if (target_parse(raw, &t) != TARGET_OK)
    return 0;
  if (raw.n > LIMIT_TARGET || t.path.p != raw.p)
    abort();
  check_path(t.path);
  size_t used = t.path.n + (t.query.p ? t.query.n + 1 : 0);
  if (used != raw.n)
    abort();
  return 0;
}
