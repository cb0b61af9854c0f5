/* Form parameters; see params.h. */
#include "oauth/params.h"

#include <string.h>

#include "util/base64url.h"
#include "util/limits.h"

int param_decode(struct str s, struct arena *a, struct str *ret)
{
  char *out = arena_alloc(a, s.n + 1);
  size_t n = 0;
  if (out == NULL)
    return -1;
  for (size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if (c == '%') {
      int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1,
          low = high < 0 ? -1 : hex_digit(s.p[i + 2]);
      if (low < 0)
        return -1;
      c = (char)(high * 16 + low);
      i += 2;
    } else if (c == '+') {
      c = ' ';
    }
    if (c == 0)
      return -1;
    out[n++] = c;
  }
  *ret = (struct str){out, n};
  return str_utf8(*ret) ? 0 : -1;
}

static size_t count_pairs(struct str text)
{
  size_t n = 0;
  struct str pair;
  while (str_next(&text, '&', &pair))
    n += pair.n > 0;
  return n;
}

int params_parse(struct str text, struct arena *a, struct params *ret)
{
  struct params p = {NULL, 0};
  struct str pair;
  size_t n = count_pairs(text);
  if (n > LIMIT_PARAMS || (n && (p.v = arena_array(a, n, sizeof *p.v)) == NULL))
    return -1;
  while (str_next(&text, '&', &pair)) {
    size_t at = str_chr(pair, '=');
    if (pair.n == 0)
      continue;
    if (param_decode(str_slice(pair, 0, at), a, &p.v[p.n].name) < 0 ||
        param_decode(str_slice(pair, at + 1, pair.n), a, &p.v[p.n].value) < 0)
      return -1;
    p.n++;
  }
  *ret = p;
  return 0;
}

size_t params_count(const struct params *p, const char *name)
{
  size_t n = 0;
  for (size_t i = 0; i < p->n; i++)
    n += str_is(p->v[i].name, name);
  return n;
}

struct str params_get(const struct params *p, const char *name)
{
  struct str found = {NULL, 0};
  for (size_t i = 0; i < p->n; i++) {
    if (!str_is(p->v[i].name, name))
      continue;
    if (found.p)
      return (struct str){NULL, 0};
    found = p->v[i].value;
  }
  return found.n ? found : (struct str){NULL, 0};
}

const char *params_twice(const struct params *p, const char *const *names)
{
  for (size_t i = 0; names[i]; i++)
    if (params_count(p, names[i]) > 1)
      return names[i];
  return NULL;
}

static bool unreserved(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c && strchr("-._~", c));
}

int param_encode(struct buf *b, struct str s)
{
  for (size_t i = 0; i < s.n; i++)
    if (unreserved(s.p[i]))
      buf_putc(b, s.p[i]);
    else
      buf_printf(b, "%%%02X", (unsigned char)s.p[i]);
  return b->failed ? -1 : 0;
}

int param_append(struct buf *b, const char *name, struct str value)
{
  buf_putc(b, str_chr(buf_view(b), '?') < b->n ? '&' : '?');
  buf_puts(b, name);
  buf_putc(b, '=');
  return param_encode(b, value);
}
