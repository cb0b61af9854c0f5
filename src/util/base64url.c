/* Strict base64url and hex; see base64url.h. */
#include "util/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* SPECIAL: the last two letters of the alphabet. */
static int value(unsigned char c, const char *special)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == (unsigned char)special[0] ? 62 : c == (unsigned char)special[1] ? 63 : -1;
}

static int decode(struct str in, const char *special, void *out, size_t cap, size_t *ret_n)
{
  unsigned char *to = out;
  unsigned bits = 0;
  uint32_t acc = 0;
  size_t n = 0;
  if (in.n % 4 == 1)
    return -1;
  for (size_t i = 0; i < in.n; i++) {
    int v = value((unsigned char)in.p[i], special);
    if (v < 0)
      return -1;
    acc = acc << 6 | (uint32_t)v;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      if (n == cap)
        return -1;
      to[n++] = (unsigned char)(acc >> bits);
    }
  }
  if (acc & ((1u << bits) - 1))
    return -1;
  *ret_n = n;
  return 0;
}

int base64url_decode(struct str in, void *out, size_t cap, size_t *ret_n)
{
  return decode(in, "-_", out, cap, ret_n);
}

int base64_decode(struct str in, void *out, size_t cap, size_t *ret_n)
{
  size_t padding = 0;
  while (padding < 2 && padding < in.n && in.p[in.n - padding - 1] == '=')
    padding++;
  return in.n % 4 ? -1 : decode(str_slice(in, 0, in.n - padding), "+/", out, cap, ret_n);
}

int base64url_encode(struct buf *out, struct str in)
{
  const unsigned char *p = (const unsigned char *)in.p;
  for (size_t i = 0; i < in.n; i += 3) {
    size_t left = in.n - i;
    uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                 (left > 2 ? (uint32_t)p[i + 2] : 0);
    char four[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63],
                    alphabet[v & 63]};
    buf_add(out, four, left > 2 ? 4 : left + 1);
  }
  return out->failed ? -1 : 0;
}

int hex_encode(struct buf *out, struct str in)
{
  static const char digit[] = "0123456789abcdef";
  char *to = in.n > SIZE_MAX / 2 ? NULL : buf_reserve(out, 2 * in.n);
  if (to == NULL) {
    out->failed = true;
    return -1;
  }
  for (size_t i = 0; i < in.n; i++) {
    unsigned char c = (unsigned char)in.p[i];
    to[2 * i] = digit[c >> 4];
    to[2 * i + 1] = digit[c & 15];
  }
  out->n += 2 * in.n;
  return 0;
}

int hex_digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int lower(char c)
{
  return c >= 'A' && c <= 'F' ? -1 : hex_digit(c);
}

int hex_decode(struct str in, void *out, size_t cap, size_t *ret_n)
{
  unsigned char *to = out;
  if (in.n % 2 || in.n / 2 > cap)
    return -1;
  for (size_t i = 0; i < in.n; i += 2) {
    int hi = lower(in.p[i]), lo = lower(in.p[i + 1]);
    if (hi < 0 || lo < 0)
      return -1;
    to[i / 2] = (unsigned char)(hi << 4 | lo);
  }
  *ret_n = in.n / 2;
  return 0;
}
