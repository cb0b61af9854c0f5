/* The Bearer challenge; see challenge.h.  Called where a request is answered 401 or 403. */
#include "http/challenge.h"

/* What RFC 6750 allows in error and scope, and every URL is made of: visible ASCII without '"' and
 * '\', so that nothing ever needs a quoted-pair. */
static bool plain(const char *z)
{
  if (z == NULL || *z == 0)
    return false;
  for (; *z; z++)
    if (*z <= ' ' || *z > '~' || *z == '"' || *z == '\\')
      return false;
  return true;
}

static bool scopes_plain(const struct challenge *c)
{
  for (size_t i = 0; i < c->n_scopes; i++)
    if (!plain(c->scopes[i]))
      return false;
  return c->n_scopes > 0;
}

/* "Bearer" is followed by a space, a parameter by a comma. */
static void open_parameter(struct buf *out, bool *first, const char *name)
{
  buf_puts(out, *first ? " " : ", ");
  buf_puts(out, name);
  buf_puts(out, "=\"");
  *first = false;
}

int challenge_format(struct buf *out, const struct challenge *c)
{
  bool first = true;
  buf_puts(out, "Bearer");
  if (plain(c->error)) {
    open_parameter(out, &first, "error");
    buf_puts(out, c->error);
    buf_putc(out, '"');
  }
  if (scopes_plain(c)) {
    open_parameter(out, &first, "scope");
    for (size_t i = 0; i < c->n_scopes; i++) {
      if (i)
        buf_putc(out, ' ');
      buf_puts(out, c->scopes[i]);
    }
    buf_putc(out, '"');
  }
  if (plain(c->resource_metadata)) {
    open_parameter(out, &first, "resource_metadata");
    buf_puts(out, c->resource_metadata);
    buf_putc(out, '"');
  }
  return out->failed ? -1 : 0;
}
