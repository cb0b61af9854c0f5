/* Exact comparison of JSON numbers; see decimal.h. */
#include "util/decimal.h"

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

/* Steps over digits; how many. */
static size_t digits(struct str s, size_t *at)
{
  size_t from = *at;
  while (*at < s.n && is_digit(s.p[*at]))
    ++*at;
  return *at - from;
}

/* [eE][+-]?DIGITS at the end of S. */
static bool parse_exponent(struct str s, size_t at, int64_t *ret)
{
  *ret = 0;
  if (at == s.n)
    return true;
  if (s.p[at] != 'e' && s.p[at] != 'E')
    return false;
  bool negative = ++at < s.n && s.p[at] == '-';
  if (at < s.n && (s.p[at] == '-' || s.p[at] == '+'))
    at++;
  size_t from = at, n = digits(s, &at);
  while (n > 1 && s.p[from] == '0') {
    from++;
    n--;
  }
  if (n == 0 || n > 9 || at != s.n)
    return false;
  for (; from < at; from++)
    *ret = *ret * 10 + (s.p[from] - '0');
  if (negative)
    *ret = -*ret;
  return true;
}

bool decimal_parse(struct str text, struct decimal *ret)
{
  struct decimal d = {.negative = text.n && text.p[0] == '-'};
  size_t at = d.negative, from = at, whole = digits(text, &at), end;
  int64_t exponent;
  if (whole == 0 || (whole > 1 && text.p[from] == '0'))
    return false;
  if (at < text.n && text.p[at] == '.') {
    at++;
    if (digits(text, &at) == 0)
      return false;
  }
  end = at;
  if (!parse_exponent(text, at, &exponent))
    return false;
  size_t first = from;
  while (first < end && (text.p[first] == '0' || text.p[first] == '.'))
    first++;
  d.zero = first == end;
  d.digits = str_slice(text, first, end);
  size_t point = from + whole;
  int64_t place = first < point ? (int64_t)(point - first) - 1 : -(int64_t)(first - point);
  d.top = place + exponent;
  *ret = d;
  return true;
}

/* The next digit of D; 0 behind its last. */
static int next_digit(struct str *d)
{
  if (d->n && d->p[0] == '.')
    *d = str_slice(*d, 1, d->n);
  int digit = d->n ? d->p[0] - '0' : 0;
  *d = str_slice(*d, 1, d->n);
  return digit;
}

/* Of numbers that are not 0, without their signs. */
static int compare_size(const struct decimal *a, const struct decimal *b)
{
  struct str x = a->digits, y = b->digits;
  if (a->top != b->top)
    return a->top < b->top ? -1 : 1;
  while (x.n || y.n) {
    int i = next_digit(&x), j = next_digit(&y);
    if (i != j)
      return i - j;
  }
  return 0;
}

static int sign(const struct decimal *d)
{
  return d->zero ? 0 : d->negative ? -1 : 1;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
  int of_a = sign(a), of_b = sign(b);
  if (of_a != of_b || of_a == 0)
    return of_a - of_b;
  return of_a < 0 ? compare_size(b, a) : compare_size(a, b);
}
