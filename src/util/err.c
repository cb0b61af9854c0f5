/* Error texts; see err.h. */
#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, const char *format, ...)
{
  if (e == NULL)
    return -1;
  va_list ap;
  va_start(ap, format);
  vsnprintf(e->text, sizeof e->text, format, ap);
  va_end(ap);
  return -1;
}

int err_prefix(struct err *e, const char *format, ...)
{
  if (e == NULL)
    return -1;
  char old[ERR_TEXT_MAX];
  memcpy(old, e->text, sizeof old);
  va_list ap;
  va_start(ap, format);
  int n = vsnprintf(e->text, sizeof e->text, format, ap);
  va_end(ap);
  size_t at = n < 0 ? 0 : (size_t)n, left = at < sizeof e->text ? sizeof e->text - at : 0;
  size_t keep = strnlen(old, sizeof old - 1);
  if (left > 3) { /* what does not fit is cut at the end */
    if (keep > left - 3)
      keep = left - 3;
    memcpy(e->text + at, ": ", 2);
    memcpy(e->text + at + 2, old, keep);
    e->text[at + 2 + keep] = 0;
  }
  return -1;
}
