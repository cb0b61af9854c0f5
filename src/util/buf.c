/* Bounded buffers; see buf.h. */
#include "util/buf.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
  *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
  free(b->p);
  buf_init(b, b->max);
}

void buf_wipe(struct buf *b)
{
  if (b->p)
    OPENSSL_cleanse(b->p, b->cap);
  buf_done(b);
}

void buf_clear(struct buf *b)
{
  b->n = 0;
  b->failed = false;
  if (b->p)
    b->p[0] = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
  if (b->failed || n > b->max - b->n) {
    b->failed = true;
    return NULL;
  }
  size_t need = b->n + n + 1;
  if (need > b->cap) {
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
      cap *= 2;
    if (cap - 1 > b->max) /* the short ways in look at the capacity alone */
      cap = b->max + 1;
    char *p = malloc(cap);
    if (p == NULL) {
      b->failed = true;
      return NULL;
    }
    if (b->p) {
      memcpy(p, b->p, b->n);
      OPENSSL_cleanse(b->p, b->n);
      free(b->p);
    }
    b->p = p;
    b->cap = cap;
  }
  b->p[b->n + n] = 0;
  return b->p + b->n;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
  char *to;
  if (n < b->cap - b->n && !b->failed) { /* most bytes find room */
    to = b->p + b->n;
    to[n] = 0;
  } else {
    to = buf_reserve(b, n);
  }
  if (to == NULL)
    return -1;
  if (n)
    memcpy(to, p, n);
  b->n += n;
  return 0;
}

int buf_str(struct buf *b, struct str s)
{
  return buf_add(b, s.p, s.n);
}

int buf_puts(struct buf *b, const char *z)
{
  return buf_add(b, z, strlen(z));
}

int buf_u64(struct buf *b, uint64_t v)
{
  char digits[20];
  size_t at = sizeof digits;
  do
    digits[--at] = (char)('0' + v % 10);
  while ((v /= 10) != 0);
  return buf_add(b, digits + at, sizeof digits - at);
}

int buf_putc(struct buf *b, char c)
{
  return buf_add(b, &c, 1);
}

int buf_printf(struct buf *b, const char *format, ...)
{
  va_list ap, again;
  va_start(ap, format);
  va_copy(again, ap);
  size_t room = b->failed ? 0 : b->cap - b->n;
  int n = vsnprintf(room ? b->p + b->n : NULL, room, format, ap);
  va_end(ap);
  char *to = n < 0 ? NULL : buf_reserve(b, (size_t)n);
  if (to && (size_t)n >= room)
    vsnprintf(to, (size_t)n + 1, format, again);
  va_end(again);
  if (to == NULL) {
    b->failed = true;
    return -1;
  }
  b->n += (size_t)n;
  return 0;
}

/* One character at p, of at most n bytes; what it is written as goes to OUT. */
static size_t json_step(const unsigned char *p, size_t n, char out[16])
{
  static const char short_form[] = "\b\t\n\f\r\"\\", letter[] = "btnfr\"\\";
  const char *at = p[0] ? strchr(short_form, p[0]) : NULL;
  if (at) {
    snprintf(out, 16, "\\%c", letter[at - short_form]);
    return 1;
  }
  if (p[0] < 0x20 || p[0] == 0x7f) {
    snprintf(out, 16, "\\u%04x", p[0]);
    return 1;
  }
  size_t step = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
  if (step > n || !str_utf8((struct str){(const char *)p, step})) {
    snprintf(out, 16, "\\ufffd");
    return 1;
  }
  if (step == 2 && p[0] == 0xc2 && p[1] < 0xa0) {
    snprintf(out, 16, "\\u%04x", p[1]);
  } else if (step == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
    snprintf(out, 16, "\\u20%02x", p[2] - 0x80);
  } else {
    memcpy(out, p, step);
    out[step] = 0;
  }
  return step;
}

int buf_json(struct buf *b, struct str s)
{
  buf_putc(b, '"');
  for (size_t i = 0, run = 0; i <= s.n; i += run) {
    /* Plain ASCII goes over in one piece. */
    for (run = 0; i + run < s.n; run++) {
      unsigned char c = (unsigned char)s.p[i + run];
      if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
        break;
    }
    if (run)
      buf_add(b, s.p + i, run);
    if (i + run >= s.n)
      break;
    char out[16];
    run += json_step((const unsigned char *)s.p + i + run, s.n - i - run, out);
    buf_puts(b, out);
  }
  return buf_putc(b, '"');
}

void buf_consume(struct buf *b, size_t n)
{
  if (n >= b->n) {
    b->n = 0;
  } else {
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
  }
  if (b->p)
    b->p[b->n] = 0;
}

struct str buf_view(const struct buf *b)
{
  return (struct str){b->p, b->n};
}

void buf_cut(struct buf *b, size_t n)
{
  if (n >= b->n)
    return;
  b->n = n;
  b->p[n] = 0;
}
