/* Members of JSON documents; see json_text.h. */
#include "oauth/json_text.h"

#include <inttypes.h>

static void key_of(struct buf *b, const char *key)
{
  if (b->n && b->p[b->n - 1] != '{')
    buf_putc(b, ',');
  buf_json(b, str_of(key));
  buf_putc(b, ':');
}

void member_text(struct buf *b, const char *key, struct str value)
{
  key_of(b, key);
  buf_json(b, value);
}

void member_joined(struct buf *b, const char *key, const char *a, const char *z)
{
  struct buf joined;
  buf_init(&joined, 8192);
  buf_puts(&joined, a);
  buf_puts(&joined, z);
  b->failed = b->failed || joined.failed;
  member_text(b, key, buf_view(&joined));
  buf_done(&joined);
}

void member_words(struct buf *b, const char *key, const char *const *v, size_t n)
{
  key_of(b, key);
  buf_putc(b, '[');
  for (size_t i = 0; i < n; i++) {
    if (i)
      buf_putc(b, ',');
    buf_json(b, str_of(v[i]));
  }
  buf_putc(b, ']');
}

void member_number(struct buf *b, const char *key, int64_t value)
{
  key_of(b, key);
  buf_printf(b, "%" PRId64, value);
}

void member_bool(struct buf *b, const char *key, bool value)
{
  key_of(b, key);
  buf_puts(b, value ? "true" : "false");
}

void members_begin(struct buf *b)
{
  buf_putc(b, '{');
}

int members_end(struct buf *b)
{
  buf_putc(b, '}');
  return b->failed ? -1 : 0;
}
