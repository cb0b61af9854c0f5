/* Strings that carry their length; see str.h. */
#include "util/str.h"

#include <string.h>

struct str str_of(const char *z)
{
  return (struct str){z, z ? strlen(z) : 0};
}

bool str_eq(struct str a, struct str b)
{
  return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_is(struct str a, const char *z)
{
  return str_eq(a, str_of(z));
}

static char lower(char c)
{
  return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_ieq(struct str a, struct str b)
{
  if (a.n != b.n)
    return false;
  for (size_t i = 0; i < a.n; i++)
    if (lower(a.p[i]) != lower(b.p[i]))
      return false;
  return true;
}

bool str_iis(struct str a, const char *z)
{
  return str_ieq(a, str_of(z));
}

bool str_starts(struct str a, const char *z)
{
  size_t n = strlen(z);
  return a.n >= n && memcmp(a.p, z, n) == 0;
}

bool str_ends(struct str a, const char *z)
{
  size_t n = strlen(z);
  return a.n >= n && memcmp(a.p + (a.n - n), z, n) == 0;
}

size_t str_chr(struct str a, char c)
{
  const char *at = a.n ? memchr(a.p, c, a.n) : NULL;
  return at ? (size_t)(at - a.p) : a.n;
}

struct str str_slice(struct str a, size_t from, size_t to)
{
  if (to > a.n)
    to = a.n;
  if (from >= to)
    return (struct str){a.p, 0};
  return (struct str){a.p + from, to - from};
}

bool str_next(struct str *rest, char sep, struct str *ret_word)
{
  if (rest->p == NULL)
    return false;
  size_t at = str_chr(*rest, sep);
  *ret_word = (struct str){rest->p, at};
  if (at == rest->n)
    *rest = (struct str){NULL, 0};
  else
    *rest = (struct str){rest->p + at + 1, rest->n - at - 1};
  return true;
}

struct str str_trim(struct str a)
{
  while (a.n && (a.p[0] == ' ' || a.p[0] == '\t')) {
    a.p++;
    a.n--;
  }
  while (a.n && (a.p[a.n - 1] == ' ' || a.p[a.n - 1] == '\t'))
    a.n--;
  return a;
}

bool str_u64(struct str a, uint64_t max, uint64_t *ret)
{
  uint64_t v = 0;
  if (a.n == 0 || (a.n > 1 && a.p[0] == '0'))
    return false;
  for (size_t i = 0; i < a.n; i++) {
    if (a.p[i] < '0' || a.p[i] > '9')
      return false;
    if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
        __builtin_add_overflow(v, (uint64_t)(a.p[i] - '0'), &v))
      return false;
  }
  if (v > max)
    return false;
  *ret = v;
  return true;
}

/* Length of the well-formed sequence at p, or 0. */
static size_t utf8_step(const unsigned char *p, size_t n)
{
  if (p[0] < 0x80)
    return 1;
  size_t len = p[0] >= 0xc2 && p[0] < 0xe0   ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
  if (len == 0 || len > n)
    return 0;
  for (size_t i = 1; i < len; i++)
    if ((p[i] & 0xc0) != 0x80)
      return 0;
  bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
             (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
  return bad ? 0 : len;
}

bool str_utf8(struct str a)
{
  for (size_t i = 0, step; i < a.n; i += step) {
    step = utf8_step((const unsigned char *)a.p + i, a.n - i);
    if (step == 0)
      return false;
  }
  return true;
}

enum { NEAREST_MAX = 48 };

static size_t min3(size_t a, size_t b, size_t c)
{
  size_t m = a < b ? a : b;
  return m < c ? m : c;
}

/* Edit distance in which a swap of neighbours counts once. */
static size_t distance(struct str a, struct str b)
{
  size_t row[3][NEAREST_MAX + 1];
  for (size_t j = 0; j <= b.n; j++)
    row[0][j] = j;
  for (size_t i = 1; i <= a.n; i++) {
    size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= b.n; j++) {
      size_t cost = a.p[i - 1] != b.p[j - 1];
      now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
      if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
          before[j - 2] + 1 < now[j])
        now[j] = before[j - 2] + 1;
    }
  }
  return row[a.n % 3][b.n];
}

const char *str_nearest(struct str word, const char *const *names, size_t n)
{
  const char *best = NULL;
  size_t least = word.n / 3 + 2;
  if (word.n == 0 || word.n > NEAREST_MAX)
    return NULL;
  for (size_t i = 0; i < n; i++) {
    struct str name = str_of(names[i]);
    if (name.n == 0 || name.n > NEAREST_MAX)
      continue;
    size_t d = distance(word, name);
    if (d < least && d < word.n) {
      least = d;
      best = names[i];
    }
  }
  return best;
}

/* Eight bytes at a time: the top bit of each byte of the sum tells.  Bytes from 0x80 on hide in
 * their own top bit. */
bool str_ascii(struct str a)
{
  unsigned char all = 0;
  for (size_t i = 0; i < a.n; i++)
    all |= (unsigned char)a.p[i];
  return all < 0x80;
}

bool str_plain(struct str a)
{
  const uint64_t ones = 0x0101010101010101u, top = 0x80 * ones;
  size_t i = 0;
  for (; i + 8 <= a.n; i += 8) {
    uint64_t w, low, del;
    memcpy(&w, a.p + i, sizeof w);
    low = (w - 0x20 * ones) & ~w & top; /* may see one too many, behind a real one only */
    del = w ^ (0x7f * ones);
    if (low | ((del - ones) & ~del & top))
      return false;
  }
  for (; i < a.n; i++)
    if ((unsigned char)a.p[i] < 0x20 || a.p[i] == 0x7f)
      return false;
  return true;
}
