/* Languages and texts; see language.h. */
#include "oauth/language.h"

#include "oauth/html.h"

static const char *const tags[LANGUAGE_COUNT] = {[LANGUAGE_EN] = "en", [LANGUAGE_ZH] = "zh"};

static const char *const texts[TEXT_COUNT][LANGUAGE_COUNT] = {
#define X(symbol, en, zh) [symbol] = {(en), (zh)},
    TEXTS(X)
#undef X
};

const char *language_tag(enum language l)
{
  return tags[l];
}

/* Weight in thousandths of ";q=0.8", 1000 when there is none, 0 when it is malformed. */
static unsigned weight(struct str parameters)
{
  struct str part;
  while (str_next(&parameters, ';', &part)) {
    part = str_trim(part);
    if (part.n < 3 || !str_ieq(str_slice(part, 0, 2), STR("q=")))
      continue;
    struct str digits = str_slice(part, 3, part.n);
    unsigned value = part.p[2] == '1' ? 1000 : 0, scale = 100;
    if (part.p[2] == '1')
      return value;
    for (size_t i = 1; i < digits.n && i < 4; i++, scale /= 10)
      value += digits.p[i] >= '0' && digits.p[i] <= '9' ? (unsigned)(digits.p[i] - '0') * scale : 0;
    return value;
  }
  return 1000;
}

/* "zh", "zh-Hans-CN" */
static bool is_language(struct str range, const char *tag)
{
  size_t n = str_of(tag).n;
  return range.n >= n && str_iis(str_slice(range, 0, n), tag) &&
         (range.n == n || range.p[n] == '-');
}

enum language language_choose(struct str accept)
{
  enum language best = LANGUAGE_EN;
  unsigned most = 0;
  struct str item;
  while (str_next(&accept, ',', &item)) {
    size_t end = str_chr(item, ';');
    struct str range = str_trim(str_slice(item, 0, end));
    unsigned q = weight(str_slice(item, end, item.n));
    for (unsigned l = 0; l < LANGUAGE_COUNT; l++)
      if (q > most && is_language(range, tags[l])) {
        best = (enum language)l;
        most = q;
      }
  }
  return best;
}

const char *text_raw(enum language l, enum text t)
{
  return texts[t][l];
}

/* Which of the N places stands at P, or N. */
static size_t place_at(const char *p, size_t n)
{
  if (p[0] != '{' || p[1] < '1' || p[1] > '9' || p[2] != '}')
    return n;
  size_t i = (size_t)(p[1] - '1');
  return i < n ? i : n;
}

static int put(struct buf *b, const char *p, const struct str *args, size_t n, bool isolated)
{
  while (*p) {
    size_t i = place_at(p, n), run = 1;
    if (i < n) {
      buf_puts(b, isolated ? "<bdi>" : "");
      html_text(b, args[i]);
      buf_puts(b, isolated ? "</bdi>" : "");
      p += 3;
      continue;
    }
    while (p[run] && p[run] != '{')
      run++;
    html_text(b, (struct str){p, run});
    p += run;
  }
  return b->failed ? -1 : 0;
}

int text_html(struct buf *b, enum language l, enum text t, const struct str *args, size_t n)
{
  return put(b, texts[t][l], args, n, true);
}

int text_title(struct buf *b, enum language l, enum text t, const struct str *args, size_t n)
{
  return put(b, texts[t][l], args, n, false);
}
