/* Text of strangers on our pages (row 98), and the texts themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "oauth/html.h"
#include "oauth/language.h"
#include "util/cleanup.h"

static const struct {
  const char *text, *html;
} escapes[] = {
    {"plain", "plain"},
    {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
    {"\" onload=\"x", "&quot; onload=&quot;x"},
    {"' onload='x", "&#39; onload=&#39;x"},
    {"&lt;", "&amp;lt;"},
    {"a\nb\001c", "a b c"},
    {"\346\234\215\345\212\241", "\346\234\215\345\212\241"},
    {"\303\050<b>", "\357\277\275"}, /* no UTF-8: nothing of it */
};

static void test_markup_is_text(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(escapes); i++) {
    struct buf b;
    buf_init(&b, 4096);
    html_text(&b, str_of(escapes[i].text));
    assert_string_equal(b.p, escapes[i].html);
    buf_done(&b);
  }
}

static const struct {
  const char *name, *shown;
} names[] = {
    {"Claude", "Claude"},
    {"  My \t\n client  ", "My client"},
    {"\342\200\256gnp.exe", "gnp.exe"},                         /* right-to-left override */
    {"\342\201\246a\342\201\251b", "ab"},                       /* isolates */
    {"pay\342\200\213pal\357\273\277", "paypal"},               /* zero width space, BOM */
    {"a\302\255b", "ab"},                                       /* soft hyphen */
    {"a\343\205\244b", "ab"},                                   /* Hangul filler */
    {"\363\240\201\201x", "x"},                                 /* tag characters */
    {"a\342\200\250b\302\205c", "ab c"},                        /* line separator, next line */
    {"e\314\201\314\201\314\201\314\201", "e\314\201\314\201"}, /* a heap of accents */
    {"\314\201x", "x"},
    {"\357\270\217\342\200\215", ""},
    {"\350\203\241 \360\237\230\200", "\350\203\241 \360\237\230\200"},
    {"\377\376", ""},
};

static void test_names_lose_what_is_not_seen(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
    struct buf b;
    buf_init(&b, 4096);
    html_name(&b, str_of(names[i].name));
    if (!str_is(buf_view(&b), names[i].shown))
      fail_msg("name %zu: '%.*s'", i, STR_ARG(buf_view(&b)));
    buf_done(&b);
  }
}

static void test_a_long_name_is_cut_after_80_characters(void **state)
{
  struct buf name, shown;
  (void)state;
  buf_init(&name, 65536);
  buf_init(&shown, 65536);
  for (int i = 0; i < 10000; i++)
    buf_puts(&name, "\346\234\215"); /* three bytes each */
  html_name(&shown, buf_view(&name));
  assert_int_equal(shown.n, HTML_NAME_MAX * 3 + 3); /* and an ellipsis */
  buf_done(&name);
  buf_done(&shown);
}

static const struct {
  const char *accept;
  enum language language;
} accepts[] = {
    {"", LANGUAGE_EN},
    {"zh", LANGUAGE_ZH},
    {"zh-CN,zh;q=0.9,en;q=0.8", LANGUAGE_ZH},
    {"en-US,en;q=0.9,zh;q=0.8", LANGUAGE_EN},
    {"en;q=0.5, zh-Hans-CN;q=0.7", LANGUAGE_ZH},
    {"de, zh;q=0.1", LANGUAGE_ZH},
    {"de, fr", LANGUAGE_EN},
    {"zh;q=0", LANGUAGE_EN},
    {"zh;q=0, en;q=0.001", LANGUAGE_EN},
    {"zho", LANGUAGE_EN},
    {"ZH-tw", LANGUAGE_ZH},
    {"*", LANGUAGE_EN},
    {"zh;q=x, en;q=0.2", LANGUAGE_EN},
};

static void test_the_language_is_what_the_browser_asks_for(void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE(accepts); i++)
    if (language_choose(str_of(accepts[i].accept)) != accepts[i].language)
      fail_msg("%s", accepts[i].accept);
}

/* The places {1} … of a text, as a set. */
static unsigned places(const char *text)
{
  unsigned set = 0;
  for (; *text; text++)
    if (text[0] == '{' && text[1] >= '1' && text[1] <= '9' && text[2] == '}')
      set |= 1u << (text[1] - '1');
  return set;
}

static void test_every_text_says_the_same_things_in_every_language(void **state)
{
  (void)state;
  for (unsigned t = 0; t < TEXT_COUNT; t++) {
    const char *en = text_raw(LANGUAGE_EN, (enum text)t), *zh = text_raw(LANGUAGE_ZH, (enum text)t);
    assert_true(en[0] && zh[0] && str_utf8(str_of(zh)));
    if (places(en) != places(zh))
      fail_msg("%s / %s", en, zh);
  }
}

static void test_what_is_put_into_a_text_is_escaped_and_isolated(void **state)
{
  struct str args[] = {STR("<b>{2}"), STR("s")};
  struct buf b;
  (void)state;
  buf_init(&b, 4096);
  text_html(&b, LANGUAGE_EN, TEXT_CONSENT_LEAD, args, 2);
  assert_string_equal(b.p, "<bdi>&lt;b&gt;{2}</bdi> asks to use <bdi>s</bdi> in your name.");
  buf_done(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_markup_is_text),
      cmocka_unit_test(test_names_lose_what_is_not_seen),
      cmocka_unit_test(test_a_long_name_is_cut_after_80_characters),
      cmocka_unit_test(test_the_language_is_what_the_browser_asks_for),
      cmocka_unit_test(test_every_text_says_the_same_things_in_every_language),
      cmocka_unit_test(test_what_is_put_into_a_text_is_escaped_and_isolated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
