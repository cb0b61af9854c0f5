/* Text of strangers on pages: what comes out has no markup, no control and no invisible characters,
 * and a name has an end.  Languages are chosen from whatever a browser says. */
#include <stdlib.h>
#include <string.h>

#include "oauth/html.h"
#include "oauth/language.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static size_t characters(struct str s)
{
  size_t count = 0;
  for (size_t i = 0; i < s.n; i++)
    count += ((unsigned char)s.p[i] & 0xc0) != 0x80;
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct str text = {(const char *)p, n};
  struct buf html, name, again;
  if (n == 0)
    return 0;
  buf_init(&html, 1 << 20);
  buf_init(&name, 1 << 20);
  buf_init(&again, 1 << 20);
  html_text(&html, text);
  for (size_t i = 0; i < html.n; i++)
    if (strchr("<>\"'", html.p[i]) && html.p[i])
      abort();
  if (!str_utf8(buf_view(&html)))
    abort();
  html_name(&name, text);
  if (!str_utf8(buf_view(&name)) || characters(buf_view(&name)) > HTML_NAME_MAX + 1)
    abort();
  for (size_t i = 0; i < name.n; i++)
    if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
      abort();
  if (language_choose(text) >= LANGUAGE_COUNT)
    abort();
  text_html(&again, LANGUAGE_ZH, TEXT_CONSENT_LEAD, &text, 1);
  buf_done(&html);
  buf_done(&name);
  buf_done(&again);
  return 0;
}
