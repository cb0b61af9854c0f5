/* Single values inside bytes that a gate has accepted; see gate.h.  Rules ask for them by pointer;
 * nothing here can fail for its syntax, and if it did (a caller's mistake) a value would be absent.
 */
#include <string.h>

#include "mcp/gate.h"
#include "mcp/scan.h"
#include "util/limits.h"

static enum gate_type type_of(int c)
{
  switch (c) {
  case '{':
    return GATE_OBJECT;
  case '[':
    return GATE_ARRAY;
  case '"':
    return GATE_TEXT;
  case 't':
    return GATE_TRUE;
  case 'f':
    return GATE_FALSE;
  case 'n':
    return GATE_NULL;
  default:
    return GATE_NUMBER;
  }
}

static const struct gate_value absent = {GATE_ABSENT, {NULL, 0}};

/* Steps over the value at the cursor. */
static struct gate_value take(struct scan *s)
{
  int c = scan_peek(s);
  const char *from = s->p;
  if (c < 0 || scan_value(s, 0) < 0)
    return absent;
  return (struct gate_value){type_of(c), {from, (size_t)(s->p - from)}};
}

static bool text_is(struct str raw, struct str text)
{
  char c[4];
  bool plain = true;
  size_t n;
  if (memchr(raw.p, '\\', raw.n) == NULL)
    return str_eq(raw, text);
  while ((n = scan_char(&raw, c, &plain))) {
    if (n > text.n || memcmp(text.p, c, n) != 0)
      return false;
    text = str_slice(text, n, text.n);
  }
  return text.n == 0;
}

static struct str unquote(struct str raw)
{
  return raw.n >= 2 ? str_slice(raw, 1, raw.n - 1) : STR("");
}

bool gate_text_is(struct str raw, struct str text)
{
  return text_is(unquote(raw), text);
}

struct str gate_text(struct str raw, struct arena *a)
{
  struct str rest = unquote(raw), ret = {NULL, 0};
  char *out = arena_alloc(a, rest.n + 1); /* decoding never makes it longer */
  bool plain = true;
  char c[4];
  if (out == NULL)
    return ret;
  ret.p = out;
  for (size_t n; (n = scan_char(&rest, c, &plain)); ret.n += n)
    memcpy(out + ret.n, c, n);
  return ret;
}

/* A reference token in which ~0 and ~1 are undone, in OUT of TOKEN.n bytes; .p NULL when malformed.
 */
static struct str token_text(struct str token, char *out)
{
  size_t n = 0;
  for (size_t i = 0; i < token.n; i++) {
    char c = token.p[i];
    if (c == '~') {
      if (++i == token.n || (token.p[i] != '0' && token.p[i] != '1'))
        return (struct str){NULL, 0};
      c = token.p[i] == '0' ? '~' : '/';
    }
    out[n++] = c;
  }
  return (struct str){out, n};
}

/* One character in lower case, as readers fold it that do not mind case: ASCII, and the two letters
 * outside that fold to ASCII. */
static size_t fold(char c[4], size_t n)
{
  if (n == 1 && c[0] >= 'A' && c[0] <= 'Z')
    c[0] = (char)(c[0] + 32);
  bool long_s = n == 2 && memcmp(c, "\xc5\xbf", 2) == 0,
       kelvin = n == 3 && memcmp(c, "\xe2\x84\xaa", 3) == 0;
  if (!long_s && !kelvin)
    return n;
  c[0] = long_s ? 's' : 'k';
  return 1;
}

/* The next character of a pointer's token, which knows no escapes. */
static size_t token_char(struct str *s, char out[4])
{
  unsigned char c = s->n ? (unsigned char)s->p[0] : 0;
  size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  n = n < s->n ? n : s->n;
  memcpy(out, s->p, n);
  *s = str_slice(*s, n, s->n);
  return n;
}

/* Whether some reader takes the member RAW for NAME (row 73). */
static bool text_folds_to(struct str raw, struct str name)
{
  char a[4], b[4];
  bool plain = true;
  size_t n;
  while ((n = scan_char(&raw, a, &plain))) {
    size_t of_name = name.n ? token_char(&name, b) : 0;
    n = fold(a, n);
    if (of_name == 0 || fold(b, of_name) != n || memcmp(a, b, n) != 0)
      return false;
  }
  return name.n == 0;
}

/* Whether the first letters rule that out, as they mostly do. */
static bool differs(struct str raw, struct str name)
{
  unsigned char a = raw.n ? (unsigned char)raw.p[0] : 0;
  unsigned char b = name.n ? (unsigned char)name.p[0] : 0;
  return a && b && a < 0x80 && b < 0x80 && a != '\\' && (a | 0x20) != (b | 0x20);
}

static struct gate_value in_object(struct scan *s, struct str name)
{
  struct gate_value found = absent;
  struct scan_text at;
  bool first = true;
  unsigned names = 0;
  int more;
  if (scan_open(s, 0) < 0)
    return absent;
  while ((more = scan_more(s, '}', &first)) > 0) {
    if (scan_name(s, &at) < 0)
      return absent;
    struct gate_value v = take(s);
    if (v.type == GATE_ABSENT)
      return absent;
    if (differs(at.raw, name) || !text_folds_to(at.raw, name))
      continue;
    names++;
    if (text_is(at.raw, name))
      found = v;
  }
  if (more < 0)
    return absent;
  bool twice = names > 1 && found.type != GATE_ABSENT;
  return twice ? (struct gate_value){GATE_TWICE, {NULL, 0}} : found;
}

static struct gate_value in_array(struct str raw, struct str token)
{
  struct gate_value v;
  uint64_t index;
  if (!str_u64(token, LIMIT_JSON_VALUES, &index))
    return absent;
  while (gate_next(&raw, &v))
    if (index-- == 0)
      return v;
  return absent;
}

static struct gate_value step_plain(struct gate_value in, struct str token)
{
  struct scan s;
  scan_init(&s, in.raw);
  if (in.type == GATE_OBJECT)
    return in_object(&s, token);
  return in.type == GATE_ARRAY ? in_array(in.raw, token) : absent;
}

static struct gate_value step_escaped(struct gate_value in, struct str token)
{
  char name[LIMIT_ITEM];
  struct str wanted = token_text(token, name);
  return wanted.p ? step_plain(in, wanted) : absent;
}

static struct gate_value step(struct gate_value in, struct str token)
{
  bool escaped = str_chr(token, '~') < token.n;
  return escaped ? step_escaped(in, token) : step_plain(in, token);
}

struct gate_value gate_at(struct str json, struct str pointer)
{
  struct scan s;
  scan_init(&s, json);
  if (pointer.n == 0)
    return take(&s);
  int c = scan_peek(&s);
  struct gate_value v = {type_of(c), {s.p, (size_t)(s.end - s.p)}};
  struct str rest = str_slice(pointer, 1, pointer.n), token;
  if (c < 0 || pointer.p[0] != '/' || pointer.n > LIMIT_ITEM)
    return absent;
  while (v.type != GATE_TWICE && str_next(&rest, '/', &token))
    v = step(v, token);
  return v;
}

bool gate_next(struct str *cursor, struct gate_value *ret)
{
  struct scan s;
  scan_init(&s, *cursor);
  int c = scan_peek(&s);
  if (c != '[' && c != ',')
    return false;
  s.p++;
  if (c == '[' && scan_peek(&s) == ']')
    return false;
  *ret = take(&s);
  *cursor = (struct str){s.p, (size_t)(s.end - s.p)};
  return ret->type != GATE_ABSENT;
}
