/* Strict JSON tokens; see scan.h.
 *
 * The way through a container keeps one bit a level (object or array), which is why the depth may
 * be at most 64: no recursion, no stack of ours.  The cursor is handed on by value, so that it
 * stays in a register: functions ..._at take it and return where they stopped, or NULL when they
 * failed, with the place and the reason in *S. */
#include "mcp/scan.h"

#include <string.h>

#include "util/base64url.h"
#include "util/limits.h"

_Static_assert(LIMIT_JSON_DEPTH <= 64, "one bit a level");

void scan_init(struct scan *s, struct str bytes)
{
  const char *p = bytes.p ? bytes.p : "";
  *s = (struct scan){.p = p, .end = p + bytes.n, .values = LIMIT_JSON_VALUES};
}

int scan_fail(struct scan *s, const char *what)
{
  if (s->what == NULL)
    s->what = what;
  return -1;
}

__attribute__((cold, noinline)) static const char *fail_at(struct scan *s, const char *p,
                                                           const char *what)
{
  s->p = p;
  scan_fail(s, what);
  return NULL;
}

static inline bool blank(char c)
{
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *blanks(const char *p, const char *end)
{
  while (p < end && blank(*p))
    p++;
  return p;
}

int scan_peek(struct scan *s)
{
  s->p = blanks(s->p, s->end);
  return s->p < s->end ? (unsigned char)*s->p : -1;
}

static int count(struct scan *s)
{
  if (s->values == 0) {
    s->limited = true;
    return scan_fail(s, "The body has too many values.");
  }
  s->values--;
  return 0;
}

/* ---- strings */

#define EACH(byte) (~UINT64_C(0) / 255 * (byte))

/* Which of the eight bytes of W end a run of plain text: the high bit of the lowest such byte is
 * set; bits above it may be set in error. */
static inline uint64_t special(uint64_t w, bool ascii)
{
  uint64_t quote = w ^ EACH('"'), slash = w ^ EACH('\\');
  uint64_t found = ((w - EACH(0x20)) & ~w) | ((quote - EACH(1)) & ~quote) |
                   ((slash - EACH(1)) & ~slash) | (ascii ? w : 0);
  return found & EACH(0x80);
}

/* The first byte from P on that is a quote, a backslash, a control character or, with ASCII, not
 * ASCII. */
static inline const char *run_end(const char *p, const char *end, bool ascii)
{
  uint64_t w;
  while ((size_t)(end - p) >= sizeof w) {
    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    uint64_t found = special(w, ascii);
    if (found)
      return p + __builtin_ctzll(found) / 8;
    p += sizeof w;
  }
  while (p < end && (unsigned char)*p >= 0x20 && !(ascii && (unsigned char)*p >= 0x80) &&
         *p != '"' && *p != '\\')
    p++;
  return p;
}

static inline const char *plain_end(const char *p, const char *end)
{
  return run_end(p, end, true);
}

const char *scan_text_end(const char *p, const char *end)
{
  return run_end(p, end, false);
}

static inline bool follows(unsigned char c)
{
  return (c & 0xc0) == 0x80;
}

/* The length of the well-formed UTF-8 character at P, which is not ASCII; 0: there is none. */
static inline size_t wide_char(const char *at, const char *end)
{
  const unsigned char *p = (const unsigned char *)at;
  size_t left = (size_t)(end - at);
  if (p[0] < 0xc2 || left < 2 || !follows(p[1]))
    return 0;
  if (p[0] < 0xe0)
    return 2;
  if (left < 3 || !follows(p[2]))
    return 0;
  if (p[0] < 0xf0) {
    bool overlong = p[0] == 0xe0 && p[1] < 0xa0, surrogate = p[0] == 0xed && p[1] >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (left < 4 || !follows(p[3]) || p[0] > 0xf4)
    return 0;
  bool overlong = p[0] == 0xf0 && p[1] < 0x90, beyond = p[0] == 0xf4 && p[1] >= 0x90;
  return overlong || beyond ? 0 : 4;
}

/* The four digits at P, which has that many bytes; -1 when they are none. */
static int hex4(const char *p)
{
  int value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(p[i]);
    if (digit < 0)
      return -1;
    value = value * 16 + digit;
  }
  return value;
}

static bool is_high(int unit)
{
  return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(int unit)
{
  return unit >= 0xdc00 && unit < 0xe000;
}

/* Bytes of the \u escape at P (a pair counts as one), 0 when malformed. */
static size_t unicode_escape(const char *p, const char *end, unsigned *ret)
{
  if (end - p < 6)
    return 0;
  int first = hex4(p + 2);
  if (first < 0 || is_low(first))
    return 0;
  *ret = (unsigned)first;
  if (!is_high(first))
    return 6;
  if (end - p < 12 || p[6] != '\\' || p[7] != 'u')
    return 0;
  int second = hex4(p + 8);
  if (!is_low(second))
    return 0;
  *ret = 0x10000 + ((unsigned)(first - 0xd800) << 10) + (unsigned)(second - 0xdc00);
  return 12;
}

/* Bytes of the escape at P, 0 when malformed; *RET is the character. */
static size_t escape(const char *p, const char *end, unsigned *ret)
{
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (end - p < 2)
    return 0;
  if (p[1] == 'u')
    return unicode_escape(p, end, ret);
  const char *at = p[1] ? strchr(from, p[1]) : NULL;
  if (at == NULL)
    return 0;
  *ret = (unsigned char)to[at - from];
  return 2;
}

/* Steps over what ends plain text at P and is no quote. */
static const char *odd_char(struct scan *s, const char *p, const char *end)
{
  unsigned unused;
  if (p == end)
    return fail_at(s, p, "The body ends inside a string.");
  if ((unsigned char)*p < 0x20)
    return fail_at(s, p, "A string contains a control character.");
  bool wide = *p != '\\';
  size_t n = wide ? wide_char(p, end) : escape(p, end, &unused);
  if (n == 0)
    return fail_at(s, p, wide ? "A string is not UTF-8." : "A string has a malformed escape.");
  return p + n;
}

/* Over the string whose opening quote P is. */
static inline const char *string_at(struct scan *s, const char *p, const char *end, bool *escaped)
{
  p = plain_end(p + 1, end);
  while (p == end || *p != '"') {
    *escaped |= p < end && *p == '\\';
    p = odd_char(s, p, end);
    if (p == NULL)
      return NULL;
    if (p < end && (unsigned char)*p < 0x80) /* else more that is not ASCII */
      p = plain_end(p, end);
  }
  return p + 1;
}

/* The string at s->p. */
static int text(struct scan *s, struct scan_text *ret)
{
  const char *from = s->p + 1;
  bool escaped = false;
  const char *p = string_at(s, s->p, s->end, &escaped);
  if (p == NULL)
    return -1;
  s->p = p;
  *ret = (struct scan_text){{from, (size_t)(p - 1 - from)}, escaped};
  return 0;
}

int scan_string(struct scan *s, struct scan_text *ret)
{
  if (scan_peek(s) != '"')
    return scan_fail(s, "A string is missing.");
  return count(s) < 0 ? -1 : text(s, ret);
}

static size_t encode(unsigned c, char out[4])
{
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = n; --i > 0; c >>= 6)
    out[i] = (char)(0x80 | (c & 0x3f));
  out[0] = (char)(lead[n] | c);
  return n;
}

size_t scan_char(struct str *raw, char out[4], bool *plain)
{
  size_t n;
  unsigned c;
  if (raw->n == 0)
    return 0;
  if (raw->p[0] == '\\') {
    n = escape(raw->p, raw->p + raw->n, &c);
    *plain &= raw->p[1] == '/';
    *raw = str_slice(*raw, n, raw->n);
    return encode(c, out);
  }
  n = (unsigned char)raw->p[0] < 0x80 ? 1 : wide_char(raw->p, raw->p + raw->n);
  memcpy(out, raw->p, n);
  *raw = str_slice(*raw, n, raw->n);
  return n;
}

size_t scan_decode(struct str raw, bool fold, char *out, bool *plain, bool *whole)
{
  size_t n = 0;
  char c[4];
  *whole = false;
  for (size_t k; (k = scan_char(&raw, c, plain)); n += k) {
    if (fold && k > 1) {
      bool long_s = k == 2 && memcmp(c, "\xc5\xbf", 2) == 0;
      bool kelvin = k == 3 && memcmp(c, "\xe2\x84\xaa", 3) == 0;
      if (!long_s && !kelvin)
        return n;
      c[0] = long_s ? 's' : 'k';
      k = 1;
    }
    if (n + k > SCAN_NAME_MAX)
      return n;
    memcpy(out + n, c, k);
  }
  *whole = true;
  return n;
}

/* ---- numbers and words */

static inline const char *digits(const char *p, const char *end)
{
  while (p < end && *p >= '0' && *p <= '9')
    p++;
  return p;
}

/* The digits that must stand at P; NULL when there are none. */
static inline const char *some_digits(const char *p, const char *end)
{
  const char *behind = digits(p, end);
  return behind == p ? NULL : behind;
}

static const char *fraction_at(const char *p, const char *end)
{
  if (p < end && *p == '.') {
    p = some_digits(p + 1, end);
    if (p == NULL)
      return NULL;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    p++;
    p += p < end && (*p == '+' || *p == '-');
    return some_digits(p, end);
  }
  return p;
}

static inline const char *number_at(struct scan *s, const char *p, const char *end)
{
  const char *from = p + (*p == '-'), *behind = digits(from, end);
  bool good = behind > from && (*from != '0' || behind == from + 1);
  if (good && behind < end && (*behind == '.' || *behind == 'e' || *behind == 'E'))
    behind = fraction_at(behind, end);
  return good && behind ? behind : fail_at(s, p, "A number is malformed.");
}

static const char *word_at(struct scan *s, const char *p, const char *end, struct str w)
{
  if ((size_t)(end - p) < w.n || memcmp(p, w.p, w.n) != 0)
    return fail_at(s, p, "A value is malformed.");
  return p + w.n;
}

/* Over the number, string or word at P. */
static inline const char *scalar_at(struct scan *s, const char *p, const char *end)
{
  bool unused = false;
  if (p == end)
    return fail_at(s, p, "The body ends where a value must stand.");
  switch (*p) {
  case '"':
    return string_at(s, p, end, &unused);
  case 't':
    return word_at(s, p, end, STR("true"));
  case 'f':
    return word_at(s, p, end, STR("false"));
  case 'n':
    return word_at(s, p, end, STR("null"));
  default:
    if (*p == '-' || (*p >= '0' && *p <= '9'))
      return number_at(s, p, end);
    return fail_at(s, p, "A value is malformed.");
  }
}

/* ---- containers */

int scan_open(struct scan *s, unsigned depth)
{
  if (depth >= LIMIT_JSON_DEPTH) {
    s->limited = true;
    return scan_fail(s, "The body is nested too deep.");
  }
  if (count(s) < 0)
    return -1;
  s->p++;
  return 0;
}

static const char *no_comma(struct scan *s, const char *p, const char *end)
{
  return fail_at(s, p,
                 p == end ? "The body ends inside an object or an array."
                          : "A comma or the end of an object or array is missing.");
}

int scan_more(struct scan *s, char close, bool *first)
{
  int c = scan_peek(s);
  bool was_first = *first;
  *first = false;
  if (c == close) {
    s->p++;
    return 0;
  }
  if (was_first)
    return 1; /* whatever stands there, a value is asked for next */
  if (c != ',')
    return no_comma(s, s->p, s->end), -1;
  s->p++;
  return 1;
}

int scan_name(struct scan *s, struct scan_text *ret)
{
  if (scan_peek(s) != '"')
    return scan_fail(s, "An object lacks a member's name.");
  if (text(s, ret) < 0)
    return -1;
  if (scan_peek(s) != ':')
    return scan_fail(s, "A colon is missing behind a member's name.");
  s->p++;
  return 0;
}

/* Over a member's name and its colon. */
static inline const char *name_at(struct scan *s, const char *p, const char *end)
{
  bool unused = false;
  p = blanks(p, end);
  if (p == end || *p != '"')
    return fail_at(s, p, "An object lacks a member's name.");
  p = string_at(s, p, end, &unused);
  if (p == NULL)
    return NULL;
  p = blanks(p, end);
  return p < end && *p == ':' ? p + 1 : fail_at(s, p, "A colon is missing behind a member's name.");
}

/* The containers around the cursor: how many, and which of them are objects, innermost lowest. */
struct around {
  uint64_t objects;
  unsigned open;
};

/* Behind a value: closes the containers that end here.  Stops where the next value stands, or, when
 * none is open any more, behind the last.  FIRST: P is behind an opening instead. */
static inline const char *behind_at(struct scan *s, const char *p, const char *end,
                                    struct around *in, bool first)
{
  while (in->open) {
    bool object = in->objects & 1;
    p = blanks(p, end);
    if (p < end && *p == (object ? '}' : ']')) {
      p++;
      in->objects >>= 1;
      in->open--;
      first = false;
      continue;
    }
    if (!first && (p == end || *p != ','))
      return no_comma(s, p, end);
    p += !first;
    return object ? name_at(s, p, end) : p;
  }
  return p;
}

int scan_value(struct scan *s, unsigned depth)
{
  const char *p = s->p, *end = s->end;
  struct around in = {0, 0};
  do {
    p = blanks(p, end);
    bool opens = p < end && (*p == '{' || *p == '[');
    s->p = p;
    if (opens) {
      if (scan_open(s, depth + in.open) < 0)
        return -1;
      in.objects = in.objects << 1 | (*p == '{');
      in.open++;
      p++;
    } else {
      p = count(s) < 0 ? NULL : scalar_at(s, p, end);
    }
    p = p ? behind_at(s, p, end, &in, opens) : NULL;
  } while (p && in.open);
  if (p == NULL)
    return -1;
  s->p = p;
  return 0;
}

int scan_end(struct scan *s)
{
  return scan_peek(s) < 0 ? 0 : scan_fail(s, "Bytes follow the message.");
}
