/* Escaping and cleaning; see html.h. */
#include "oauth/html.h"

#include <string.h>

#include "util/cleanup.h"

int html_text(struct buf *b, struct str s)
{
  if (!str_utf8(s))
    return buf_puts(b, "\357\277\275"); /* U+FFFD */
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    switch (c) {
    case '&':
      buf_puts(b, "&amp;");
      break;
    case '<':
      buf_puts(b, "&lt;");
      break;
    case '>':
      buf_puts(b, "&gt;");
      break;
    case '"':
      buf_puts(b, "&quot;");
      break;
    case '\'':
      buf_puts(b, "&#39;");
      break;
    default:
      buf_putc(b, c < 0x20 || c == 0x7f ? ' ' : (char)c);
    }
  }
  return b->failed ? -1 : 0;
}

/* Ranges of characters that are not seen, or that move what is seen: controls, directions, joiners,
 * fillers, tags, variation selectors, private use. */
static const struct {
  uint32_t from, to;
} unseen[] = {
    {0x00ad, 0x00ad}, {0x034f, 0x034f},   {0x061c, 0x061c},   {0x115f, 0x1160},    {0x17b4, 0x17b5},
    {0x180b, 0x180f}, {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},    {0x2800, 0x2800},
    {0x3164, 0x3164}, {0xe000, 0xf8ff},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},    {0xffa0, 0xffa0},
    {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0x10ffff},
};

/* Marks that stand above and below others: a few belong to a letter, a heap of them hides lines. */
static bool combining(uint32_t c)
{
  return (c >= 0x0300 && c <= 0x036f) || (c >= 0x0483 && c <= 0x0489) ||
         (c >= 0x1ab0 && c <= 0x1aff) || (c >= 0x1dc0 && c <= 0x1dff) ||
         (c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe20 && c <= 0xfe2f);
}

static bool is_unseen(uint32_t c)
{
  for (size_t i = 0; i < ARRAY_SIZE(unseen); i++)
    if (c >= unseen[i].from && c <= unseen[i].to)
      return true;
  return false;
}

static bool blank(uint32_t c)
{
  return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The character at P of valid UTF-8; its length in *RET_N. */
static uint32_t decode(const char *p, size_t *ret_n)
{
  unsigned char c = (unsigned char)*p;
  size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  uint32_t value = n == 1 ? c : c & (0x7fu >> n);
  for (size_t i = 1; i < n; i++)
    value = value << 6 | ((unsigned char)p[i] & 0x3f);
  *ret_n = n;
  return value;
}

enum { MARKS_MAX = 2 };

int html_name(struct buf *b, struct str s)
{
  size_t n, shown = 0, marks = 0;
  bool space = false;
  if (!str_utf8(s))
    return 0;
  for (size_t i = 0; i < s.n; i += n) {
    uint32_t c = decode(s.p + i, &n);
    if (blank(c)) {
      space = shown > 0;
      continue;
    }
    marks = combining(c) ? marks + 1 : 0;
    if (is_unseen(c) || marks > MARKS_MAX || (combining(c) && shown == 0))
      continue;
    if (shown + space >= HTML_NAME_MAX) {
      buf_puts(b, "\342\200\246"); /* … */
      break;
    }
    if (space)
      buf_putc(b, ' ');
    shown += 1 + space;
    space = false;
    buf_add(b, s.p + i, n);
  }
  return b->failed ? -1 : 0;
}
