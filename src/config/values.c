/* Words and values; see values.h. */
#include "config/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/limits.h"

struct unit {
  const char *name;
  int64_t factor;
};

/* From large to small, so that formatting takes the first that divides. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[] = {{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}};

int value_bool(struct str word, bool *ret, struct err *e)
{
  bool on = str_is(word, "on");
  if (!on && !str_is(word, "off"))
    return err_set(e, "must be 'on' or 'off'");
  *ret = on;
  return 0;
}

int value_integer(struct str word, int64_t *ret, struct err *e)
{
  uint64_t v;
  if (!str_u64(word, INT64_MAX, &v))
    return err_set(e, "must be a decimal number");
  *ret = (int64_t)v;
  return 0;
}

/* NUMBER UNIT without a blank. */
static int scaled(struct str word, const struct unit *units, size_t n, int64_t *ret)
{
  size_t digits = 0;
  uint64_t v;
  while (digits < word.n && word.p[digits] >= '0' && word.p[digits] <= '9')
    digits++;
  struct str unit = str_slice(word, digits, word.n);
  if (!str_u64(str_slice(word, 0, digits), INT64_MAX, &v))
    return -1;
  for (size_t i = 0; i < n; i++)
    if (str_is(unit, units[i].name))
      return __builtin_mul_overflow((int64_t)v, units[i].factor, ret) ? -1 : 0;
  return -1;
}

int value_duration(struct str word, int64_t *ret, struct err *e)
{
  int64_t v = 0;
  if (!str_is(word, "0") && scaled(word, durations, ARRAY_SIZE(durations), &v) < 0)
    return err_set(e, "must be a number with its unit: 500ms 30s 10m 24h 7d");
  *ret = v;
  return 0;
}

int value_size(struct str word, int64_t *ret, struct err *e)
{
  int64_t v = 0;
  if (scaled(word, sizes, ARRAY_SIZE(sizes), &v) < 0)
    return err_set(e, "must be a number of bytes, with or without a unit: 4096 64k 4m 1g");
  *ret = v;
  return 0;
}

int value_choice(struct str word, const char *const *choices, int *ret, struct err *e)
{
  char list[256] = "";
  size_t n = 0, at = 0;
  for (; choices[n]; n++) {
    if (str_is(word, choices[n])) {
      *ret = (int)n;
      return 0;
    }
    int more = snprintf(list + at, sizeof list - at, "%s%s", n ? ", " : "", choices[n]);
    at += more > 0 && (size_t)more < sizeof list - at ? (size_t)more : 0;
  }
  const char *near = str_nearest(word, choices, n);
  return err_set(e, "must be one of %s%s%s%s", list, near ? "; did you mean '" : "",
                 near ? near : "", near ? "'?" : "");
}

int value_url(struct str word, struct url *ret, struct err *e)
{
  return url_parse(word, ret, e);
}

static bool default_port(const struct url *u)
{
  return u->port_written && u->port == (u->https ? 443 : 80);
}

int value_origin(struct str word, struct url *ret, struct err *e)
{
  struct url u;
  if (url_parse(word, &u, e) < 0)
    return -1;
  if (u.path.n || u.query.p)
    return err_set(e, "must be an origin: nothing may follow the host and port");
  if (default_port(&u))
    return err_set(e, "leave the default port :%u out", u.port);
  *ret = u;
  return 0;
}

int value_proxy(struct str word, struct err *e)
{
  struct url u;
  if (url_parse(word, &u, e) < 0)
    return -1;
  if (u.path.n || u.query.p)
    return err_set(e, "must be http://HOST:PORT");
  return 0;
}

int value_path(struct str word, struct err *e)
{
  if (word.n == 0 || word.p[0] != '/')
    return err_set(e, "must be an absolute path");
  if (word.n > 1024)
    return err_set(e, "the path is too long");
  return 0;
}

static bool alphanumeric(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int value_name(struct str word, struct err *e)
{
  bool good = word.n > 0 && word.n <= 64 && alphanumeric(word.p[0]);
  for (size_t i = 0; i < word.n; i++)
    good = good && (alphanumeric(word.p[i]) || word.p[i] == '-' || word.p[i] == '_');
  return good ? 0
              : err_set(e,
                        "a name has at most 64 lower-case letters, digits, '-' and '_', and begins "
                        "with a letter or digit");
}

int value_scope(struct str word, struct err *e)
{
  bool good = word.n > 0 && word.n <= LIMIT_SCOPE;
  for (size_t i = 0; i < word.n; i++) {
    unsigned char c = (unsigned char)word.p[i];
    good = good && c > 0x20 && c < 0x7f && c != '"' && c != '\\';
  }
  return good ? 0
              : err_set(e,
                        "a scope has at most %d visible ASCII characters other than '\"' and '\\'",
                        LIMIT_SCOPE);
}

static bool segment(struct str s)
{
  for (size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if (!alphanumeric(c) && !(c >= 'A' && c <= 'Z') && !strchr("._~-", c))
      return false;
  }
  return s.n && !str_is(s, ".") && !str_is(s, "..");
}

int value_service_path(struct str word, struct err *e)
{
  if (word.n == 0 || word.p[0] != '/')
    return err_set(e, "must begin with '/'");
  if (word.n == 1)
    return err_set(e, "a service at '/' would take every path: give it one of its own");
  if (word.n > LIMIT_SERVICE_PATH)
    return err_set(e, "is longer than %d bytes", LIMIT_SERVICE_PATH);
  if (word.p[word.n - 1] == '/')
    return err_set(e, "must not end with '/'");
  struct str rest = str_slice(word, 1, word.n), s;
  while (str_next(&rest, '/', &s))
    if (!segment(s))
      return err_set(e,
                     "'%.*s' is no path segment: letters, digits, '.', '_', '~' and '-' make one",
                     STR_ARG(s));
  return 0;
}

static void format(struct buf *out, int64_t v, const struct unit *units, size_t n)
{
  size_t i = 0;
  while (i + 1 < n && v % units[i].factor)
    i++;
  buf_printf(out, "%" PRId64 "%s", v / units[i].factor, units[i].name);
}

void value_format_duration(struct buf *out, int64_t ms)
{
  if (ms == 0)
    buf_puts(out, "0");
  else
    format(out, ms, durations, ARRAY_SIZE(durations));
}

void value_format_size(struct buf *out, int64_t bytes)
{
  if (bytes == 0)
    buf_puts(out, "0");
  else
    format(out, bytes, sizes, ARRAY_SIZE(sizes));
}
