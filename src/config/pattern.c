/* Globs over names and URIs; see pattern.h. */
#define _GNU_SOURCE /* memmem, which is linear */
#include "config/pattern.h"

#include <string.h>

#include "util/limits.h"

/* ---- globs */

/* Whether S begins with WORD; cuts it off. */
static bool cut_front(struct str *s, struct str word)
{
  if (s->n < word.n || (word.n && memcmp(s->p, word.p, word.n) != 0))
    return false;
  *s = str_slice(*s, word.n, s->n);
  return true;
}

static bool cut_back(struct str *s, struct str word)
{
  if (s->n < word.n || (word.n && memcmp(s->p + s->n - word.n, word.p, word.n) != 0))
    return false;
  s->n -= word.n;
  return true;
}

/* The leftmost place is as good as any: what follows has the most room. */
static bool cut_through(struct str *s, struct str word)
{
  if (word.n == 0)
    return true;
  const char *at = s->n ? memmem(s->p, s->n, word.p, word.n) : NULL;
  if (at == NULL)
    return false;
  *s = str_slice(*s, (size_t)(at - s->p) + word.n, s->n);
  return true;
}

/* GLOB has a star. */
static bool glob_match(struct str glob, struct str s)
{
  size_t first = str_chr(glob, '*'), last = glob.n;
  while (glob.p[last - 1] != '*')
    last--;
  if (!cut_front(&s, str_slice(glob, 0, first)) || !cut_back(&s, str_slice(glob, last, glob.n)))
    return false;
  struct str rest = str_slice(glob, first, last), part;
  while (str_next(&rest, '*', &part))
    if (!cut_through(&s, part))
      return false;
  return true;
}

static bool match(struct str pattern, struct str s)
{
  return str_chr(pattern, '*') < pattern.n ? glob_match(pattern, s) : str_eq(pattern, s);
}

/* A query is matched by what stands behind the '?' of the glob, and by nothing else. */
static bool uri_match(struct str glob, struct str uri)
{
  size_t g = str_chr(glob, '?'), u = str_chr(uri, '?');
  return match(str_slice(glob, 0, g), str_slice(uri, 0, u)) &&
         match(str_slice(glob, g, glob.n), str_slice(uri, u, uri.n));
}

/* ---- names and URIs that are only one thing */

static bool unreserved(unsigned char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

static bool name_plain(struct str s)
{
  if (s.n == 0 || s.n > LIMIT_ITEM_NAME)
    return false;
  for (size_t i = 0; i < s.n; i++)
    if ((!unreserved((unsigned char)s.p[i]) && s.p[i] != '/') || s.p[i] == '~')
      return false;
  return true;
}

static int hex(char c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Escapes of what must be escaped and is no separator.  %25 is not among them: read twice it would
 * make any other. */
static bool escape_plain(struct str s, size_t i)
{
  int high = i + 2 < s.n ? hex(s.p[i + 1]) : -1, low = i + 2 < s.n ? hex(s.p[i + 2]) : -1;
  if (high < 0 || low < 0)
    return false;
  unsigned char c = (unsigned char)(high * 16 + low);
  return !unreserved(c) && c > 0x1f && c != 0x7f && c != '/' && c != '\\' && c != '%';
}

static bool uri_bytes_plain(struct str s)
{
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if (c == '%' && escape_plain(s, i))
      i += 2;
    else if (!unreserved(c) && (c == 0 || strchr("!$&'()*+,;=:@/?[]", c) == NULL))
      return false;
  }
  return true;
}

/* "a", but not "", ".", "..", "..;x". */
static bool segment_plain(struct str s)
{
  struct str name = str_slice(s, 0, str_chr(s, ';'));
  return name.n && !str_is(name, ".") && !str_is(name, "..");
}

static bool segments_plain(struct str path)
{
  struct str s;
  while (path.n)
    if (!str_next(&path, '/', &s) || !segment_plain(s) || (path.p && path.n == 0))
      return false;
  return true;
}

static bool port_plain(struct str port, struct str scheme)
{
  uint64_t number;
  if (!str_u64(port, 65535, &number))
    return false;
  return !(number == 80 && (str_is(scheme, "http") || str_is(scheme, "ws"))) &&
         !(number == 443 && (str_is(scheme, "https") || str_is(scheme, "wss")));
}

static bool host_plain(struct str host)
{
  for (size_t i = 0; i < host.n; i++)
    if ((host.p[i] >= 'A' && host.p[i] <= 'Z') || host.p[i] == '%')
      return false;
  return host.n == 0 || host.p[host.n - 1] != '.';
}

static bool authority_plain(struct str a, struct str scheme)
{
  if (str_is(scheme, "file"))
    return a.n == 0; /* file://localhost/x is file:///x */
  if (str_chr(a, '@') < a.n)
    return false;
  size_t bracket = str_chr(a, ']'), from = bracket < a.n ? bracket : 0;
  size_t colon = from + str_chr(str_slice(a, from, a.n), ':');
  if (colon < a.n && !port_plain(str_slice(a, colon + 1, a.n), scheme))
    return false;
  return host_plain(str_slice(a, 0, colon));
}

static bool scheme_plain(struct str s)
{
  if (s.n == 0 || s.p[0] < 'a' || s.p[0] > 'z')
    return false;
  for (size_t i = 0; i < s.n; i++)
    if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '+' &&
        s.p[i] != '-' && s.p[i] != '.')
      return false;
  return true;
}

/* Behind "scheme:". */
static bool hierarchy_plain(struct str rest, struct str scheme)
{
  if (!str_starts(rest, "//"))
    return rest.n && segments_plain(rest.p[0] == '/' ? str_slice(rest, 1, rest.n) : rest);
  rest = str_slice(rest, 2, rest.n);
  size_t slash = str_chr(rest, '/');
  return authority_plain(str_slice(rest, 0, slash), scheme) &&
         segments_plain(str_slice(rest, slash + 1, rest.n));
}

static bool uri_plain(struct str uri)
{
  if (uri.n == 0 || uri.n > LIMIT_ITEM_URI || !uri_bytes_plain(uri))
    return false;
  struct str path = str_slice(uri, 0, str_chr(uri, '?'));
  size_t colon = str_chr(path, ':');
  struct str scheme = str_slice(path, 0, colon);
  return colon < path.n && scheme_plain(scheme) &&
         hierarchy_plain(str_slice(path, colon + 1, path.n), scheme);
}

bool pattern_plain(enum rule_kind kind, struct str item)
{
  return kind == RULE_RESOURCE ? uri_plain(item) : name_plain(item);
}

/* ---- patterns */

static int parse(struct str text, struct config_pattern *ret, struct err *e)
{
  size_t stars = 0;
  if (text.n == 0)
    return err_set(e, "is empty");
  if (text.n > LIMIT_PATTERN)
    return err_set(e, "is longer than %d bytes", LIMIT_PATTERN);
  for (size_t i = 0; i < text.n; i++) {
    stars += text.p[i] == '*';
    if (i && text.p[i] == '*' && text.p[i - 1] == '*')
      return err_set(e, "has two '*' side by side: one stands for any run of bytes, '/' included");
  }
  if (stars > LIMIT_PATTERN_STARS)
    return err_set(e, "has more than %d '*'", LIMIT_PATTERN_STARS);
  *ret = (struct config_pattern){.text = text, .glob = stars > 0, .prefix = str_chr(text, '*')};
  return 0;
}

/* Whether GLOB matches anything plain: with its stars filled in, that is, and with the scheme that
 * a leading star leaves open. */
static bool can_match(enum rule_kind kind, struct str glob)
{
  char filled[LIMIT_PATTERN + 3] = "x:";
  bool open = kind == RULE_RESOURCE && str_chr(glob, ':') == glob.n;
  size_t at = open ? 2 : 0;
  if (open && glob.p[0] != '*')
    return false; /* no scheme, and no star that could bring one */
  for (size_t i = 0; i < glob.n; i++)
    filled[at++] = glob.p[i] == '*' ? 'x' : glob.p[i];
  return pattern_plain(kind, (struct str){filled, at});
}

int pattern_parse(enum rule_kind kind, struct str text, struct config_pattern *ret, struct err *e)
{
  struct config_pattern p;
  if (parse(text, &p, e) < 0)
    return -1;
  if (p.glob && !can_match(kind, text) && kind == RULE_RESOURCE)
    return err_set(e, "can never match: a '*' stands in canonical URIs only, see mcpauth.d(5)");
  if (p.glob && !can_match(kind, text))
    return err_set(e, "can never match: beside '*' only [A-Za-z0-9_./-] may stand in a pattern");
  *ret = p;
  return 0;
}

int pattern_parse_value(struct str text, struct config_pattern *ret, struct err *e)
{
  return parse(text, ret, e);
}

bool pattern_match(const struct config_pattern *p, enum rule_kind kind, struct str item, bool plain)
{
  if (!p->glob)
    return str_eq(p->text, item);
  if (!plain || item.n < p->prefix || memcmp(item.p, p->text.p, p->prefix) != 0)
    return false;
  return kind == RULE_RESOURCE ? uri_match(p->text, item) : glob_match(p->text, item);
}

/* The first and the last 8 bytes of S as numbers that can be compared under a mask: a shorter S
 * leaves zeros behind its first and in front of its last. */
static uint64_t first_bytes(struct str s)
{
  unsigned char v[8] = {0};
  uint64_t word;
  if (s.n)
    memcpy(v, s.p, s.n < 8 ? s.n : 8);
  memcpy(&word, v, sizeof word);
  return word;
}

static uint64_t last_bytes(struct str s)
{
  unsigned char v[8] = {0};
  size_t n = s.n < 8 ? s.n : 8;
  uint64_t word;
  if (n)
    memcpy(v + 8 - n, s.p + s.n - n, n);
  memcpy(&word, v, sizeof word);
  return word;
}

struct pattern_probe pattern_probe_of(struct str item)
{
  return (struct pattern_probe){first_bytes(item), last_bytes(item), item.n};
}

struct pattern_key pattern_key_of(const struct config_pattern *p)
{
  static const char ones[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
  struct str head = str_slice(p->text, 0, p->prefix), tail = p->text;
  size_t stars = 0;
  for (size_t i = 0; i < p->text.n; i++)
    if (p->text.p[i] == '*') {
      stars++;
      tail = str_slice(p->text, i + 1, p->text.n);
    }
  size_t of_head = head.n < 8 ? head.n : 8, of_tail = tail.n < 8 ? tail.n : 8;
  return (struct pattern_key){.head = first_bytes(head),
                              .head_mask = first_bytes((struct str){ones, of_head}),
                              .tail = last_bytes(tail),
                              .tail_mask = last_bytes((struct str){ones, of_tail}),
                              .least = p->text.n - stars,
                              .exact = stars == 0};
}

bool pattern_match_value(const struct config_pattern *p, struct str value)
{
  return match(p->text, value);
}

bool pattern_value_plain(struct str value)
{
  size_t from = 0;
  for (size_t i = 0; i <= value.n; i++) {
    unsigned char c = i < value.n ? (unsigned char)value.p[i] : '/';
    if (c < 0x20 || c == 0x7f || c == '%')
      return false;
    if (c != '/' && c != '\\')
      continue;
    struct str segment = str_slice(value, from, i);
    if (str_is(segment, ".") || str_is(segment, ".."))
      return false;
    from = i + 1;
  }
  return true;
}

bool pattern_covers(const struct config_pattern *outer, enum rule_kind kind,
                    const struct config_pattern *inner)
{
  if (!outer->glob)
    return !inner->glob && str_eq(outer->text, inner->text);
  if (!inner->glob)
    return pattern_match(outer, kind, inner->text, pattern_plain(kind, inner->text));
  /* The stars of INNER can only be matched by stars. */
  return kind == RULE_RESOURCE ? uri_match(outer->text, inner->text)
                               : glob_match(outer->text, inner->text);
}

/* ---- templates */

/* The length of A and B's common beginning is that of the shorter. */
static bool front_agrees(struct str a, struct str b)
{
  size_t n = a.n < b.n ? a.n : b.n;
  return n == 0 || memcmp(a.p, b.p, n) == 0;
}

static bool back_agrees(struct str a, struct str b)
{
  size_t n = a.n < b.n ? a.n : b.n;
  return n == 0 || memcmp(a.p + a.n - n, b.p + b.n - n, n) == 0;
}

static struct str behind_last(struct str s, char c)
{
  size_t i = s.n;
  while (i > 0 && s.p[i - 1] != c)
    i--;
  return str_slice(s, i, s.n);
}

enum pattern_reach pattern_reaches(const struct config_pattern *p, struct str t)
{
  size_t open = str_chr(t, '{');
  if (open == t.n)
    return pattern_match(p, RULE_RESOURCE, t, uri_plain(t)) ? REACH_ALL : REACH_NONE;
  struct str front = str_slice(t, 0, open), back = behind_last(t, '}');
  if (p->glob ? !front_agrees(str_slice(p->text, 0, p->prefix), front)
              : p->text.n < front.n || !front_agrees(p->text, front))
    return REACH_NONE;
  if (!back_agrees(p->glob ? behind_last(p->text, '*') : p->text, back))
    return REACH_NONE;
  bool all = p->glob && p->prefix <= front.n && p->prefix + 1 == p->text.n;
  return all ? REACH_ALL : REACH_SOME;
}
