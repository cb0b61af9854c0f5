/* Patterns of rules: "KIND PATTERN", an item a line behind it.  A glob matches as the textbook's
 * matcher says, and only what is plain; the key never rejects what matches; a pattern that covers
 * another matches what that one does (rows 69 and 75). */
#include <stdlib.h>
#include <string.h>

#include "config/pattern.h"
#include "util/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { ITEM_MOST = 200 };

/* Star by star, with going back: slow and plain. */
static bool textbook(struct str glob, struct str s)
{
  size_t g = 0, i = 0, star = SIZE_MAX, mark = 0;
  while (i < s.n) {
    if (g < glob.n && glob.p[g] == '*') {
      star = g++;
      mark = i;
    } else if (g < glob.n && glob.p[g] == s.p[i]) {
      g++;
      i++;
    } else if (star != SIZE_MAX) {
      g = star + 1;
      i = ++mark;
    } else {
      return false;
    }
  }
  while (g < glob.n && glob.p[g] == '*')
    g++;
  return g == glob.n;
}

static void check_item(const struct config_pattern *p, enum rule_kind kind, struct str item)
{
  struct pattern_key key = pattern_key_of(p);
  struct pattern_probe probe = pattern_probe_of(item);
  struct config_pattern literal;
  bool plain = pattern_plain(kind, item), matched = pattern_match(p, kind, item, plain);
  if (matched && !pattern_agrees(&key, &probe))
    abort();
  if (matched != (p->glob ? plain && textbook(p->text, item) : str_eq(p->text, item)) &&
      /* a query is matched apart */
      !(kind == RULE_RESOURCE && !matched && str_chr(item, '?') < item.n))
    abort();
  if (pattern_match_value(p, item) != textbook(p->text, item))
    abort();
  if (pattern_parse(kind, item, &literal, NULL) == 0 && !literal.glob &&
      pattern_covers(p, kind, &literal) != matched)
    abort();
  if (matched && str_chr(item, '{') == item.n && kind == RULE_RESOURCE &&
      pattern_reaches(p, item) != REACH_ALL)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct str rest = {(const char *)p, n}, line, word;
  struct config_pattern pattern;
  enum rule_kind kind;
  if (n == 0 || !str_next(&rest, '\n', &line) || !str_next(&line, ' ', &word) ||
      !rule_kind_parse(word, &kind) || line.p == NULL ||
      pattern_parse(kind, line, &pattern, NULL) < 0)
    return 0;
  while (str_next(&rest, '\n', &word))
    if (word.n <= ITEM_MOST)
      check_item(&pattern, kind, word);
  return 0;
}
