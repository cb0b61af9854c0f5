/* The list filter: what it cuts, what it leaves alone, and that neither depends on how the bytes
 * come (rows 70 and 71). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mcp/list.h"

/* Shows what does not begin with "x", whatever it is. */
static bool show(void *arg, enum list_kind kind, struct str item)
{
  (void)arg;
  (void)kind;
  return !str_starts(item, "x");
}

static bool show_all(void *arg, enum list_kind kind, struct str item)
{
  (void)arg;
  (void)kind;
  (void)item;
  return true;
}

/* What passes of IN in pieces of STEP bytes; false when the filter failed (OUT has what passed). */
static bool run(bool sse, struct str in, size_t step, list_show_fn *fn, struct buf *out)
{
  struct list l;
  struct str part;
  bool good = true;
  buf_clear(out);
  list_init(&l, sse, fn, NULL);
  for (size_t i = 0; good && i < in.n; i += step) {
    good = list_feed(&l, str_slice(in, i, i + step), &part) == 0;
    if (good)
      buf_str(out, part);
  }
  good = good && list_end(&l) == 0;
  assert_true(good == (l.what == NULL));
  if (!good)
    assert_int_equal(list_feed(&l, STR("{}"), &part), -1);
  list_done(&l);
  return good;
}

static void check(bool sse, const char *name, const char *in, const char *want)
{
  struct buf out;
  buf_init(&out, 1 << 24);
  size_t n = strlen(in);
  for (size_t step = 1; step <= n; step = step < 40 ? step + 1 : n > step ? n : n + 1)
    if (!run(sse, str_of(in), step, show, &out) || !str_is(buf_view(&out), want))
      fail_msg("%s in pieces of %zu:\n%.*s\nnot\n%s", name, step, STR_ARG(buf_view(&out)), want);
  buf_done(&out);
}

static const struct {
  const char *name, *in, *out;
} replies[] = {
    {"the middle one",
     "{\"result\":{\"tools\":[{\"name\":\"a\"},{\"name\":\"x\"},{\"name\":\"b\"}]}}",
     "{\"result\":{\"tools\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}"},
    {"the first", "{\"result\":{\"tools\":[{\"name\":\"x\"},{\"name\":\"b\"}]}}",
     "{\"result\":{\"tools\":[{\"name\":\"b\"}]}}"},
    {"the first two",
     "{\"result\":{\"tools\":[{\"name\":\"x\"},{\"name\":\"x2\"},{\"name\":\"b\"}]}}",
     "{\"result\":{\"tools\":[{\"name\":\"b\"}]}}"},
    {"the last", "{\"result\":{\"tools\":[{\"name\":\"a\"},{\"name\":\"x\"}]}}",
     "{\"result\":{\"tools\":[{\"name\":\"a\"}]}}"},
    {"all, and the cursor stays",
     "{\"result\":{\"tools\":[{\"name\":\"x\"},{\"name\":\"x2\"}],\"nextCursor\":\"\"}}",
     "{\"result\":{\"tools\":[],\"nextCursor\":\"\"}}"},
    {"none", "{\"result\":{\"tools\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}",
     "{\"result\":{\"tools\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}"},
    {"an empty list", "{\"result\":{\"tools\":[ ]}}", "{\"result\":{\"tools\":[ ]}}"},
    {"no list", "{\"result\":{\"tools\":null}}", "{\"result\":{\"tools\":null}}"},
    {"white space",
     "{ \"result\" :\n {\t\"tools\" : [ \n {\"name\" : \"x\"} , {\"name\":\"a\"}\n,\n "
     "{\"name\":\"x\"} ,{\"name\":\"b\"} ] \r\n} } \n",
     "{ \"result\" :\n {\t\"tools\" : [  {\"name\":\"a\"} ,{\"name\":\"b\"} ] \r\n} } \n"},
    {"prompts", "{\"result\":{\"prompts\":[{\"name\":\"x\"},{\"name\":\"b\"}]}}",
     "{\"result\":{\"prompts\":[{\"name\":\"b\"}]}}"},
    {"resources by URI, not name",
     "{\"result\":{\"resources\":[{\"uri\":\"x:1\",\"name\":\"a\"},{\"uri\":\"f:1\",\"name\":\"x\"}"
     "]}}",
     "{\"result\":{\"resources\":[{\"uri\":\"f:1\",\"name\":\"x\"}]}}"},
    {"templates",
     "{\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"x:{a}\"},{\"uriTemplate\":\"f:{a}\"}]}"
     "}",
     "{\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"f:{a}\"}]}}"},
    {"two lists in one result",
     "{\"result\":{\"tools\":[{\"name\":\"x\"}],\"prompts\":[{\"name\":\"a\"},{\"name\":\"x\"}]}}",
     "{\"result\":{\"tools\":[],\"prompts\":[{\"name\":\"a\"}]}}"},
    {"a list that stands twice",
     "{\"result\":{\"tools\":[{\"name\":\"x\"}],\"tools\":[{\"name\":\"x\"}]},\"result\":{"
     "\"tools\":["
     "{\"name\":\"x\"}]}}",
     "{\"result\":{\"tools\":[],\"tools\":[]},\"result\":{\"tools\":[]}}"},
    {"names with escapes",
     "{\"r\\u0065sult\":{\"too\\u006cs\":[{\"n\\u0061me\":\"\\u0078\"},{\"name\":\"\\u0061\"}]}}",
     "{\"r\\u0065sult\":{\"too\\u006cs\":[{\"name\":\"\\u0061\"}]}}"},
    {"names that lax readers take for ours", "{\"Result\":{\"TOOL\xc5\xbf\":[{\"name\":\"x\"}]}}",
     "{\"Result\":{\"TOOL\xc5\xbf\":[]}}"},
    {"items without a name, or with two, or that are no objects",
     "{\"result\":{\"tools\":[{},{\"name\":1},{\"name\":\"a\",\"name\":\"a\"},1,\"a\",[],null,"
     "[{\"name\":\"a\"}],{\"name\":\"b\"}]}}",
     "{\"result\":{\"tools\":[{\"name\":\"b\"}]}}"},
    {"unknown members stay as they are",
     "{\"jsonrpc\":\"2.0\",\"id\":1e2,\"x\":[1,{\"tools\":[{\"name\":\"x\"}]}],\"result\":{\"_"
     "meta\":"
     "{\"tools\":[{\"name\":\"x\"}]},\"tools\":[{\"z\":\"\\u00e9\\/"
     "\",\"name\":\"a\",\"inputSchema\":"
     "{\"tools\":[{\"name\":\"x\"}],\"$defs\":{\"result\":{\"prompts\":[\"x\"]}}}}],\"more\":-0.50}"
     "}",
     "{\"jsonrpc\":\"2.0\",\"id\":1e2,\"x\":[1,{\"tools\":[{\"name\":\"x\"}]}],\"result\":{\"_"
     "meta\":"
     "{\"tools\":[{\"name\":\"x\"}]},\"tools\":[{\"z\":\"\\u00e9\\/"
     "\",\"name\":\"a\",\"inputSchema\":"
     "{\"tools\":[{\"name\":\"x\"}],\"$defs\":{\"result\":{\"prompts\":[\"x\"]}}}}],\"more\":-0.50}"
     "}"},
    {"an error", "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"x\"}}",
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"x\"}}"},
    {"a batch", "[{\"result\":{\"tools\":[{\"name\":\"x\"}]}},{\"result\":{\"tools\":[]}}]",
     "[{\"result\":{\"tools\":[]}},{\"result\":{\"tools\":[]}}]"},
    {"cacheScope public",
     "{\"result\":{\"ttlMs\":5,\"cacheScope\":\"public\",\"tools\":[{\"name\":\"a\"}]}}",
     "{\"result\":{\"ttlMs\":5,\"cacheScope\":\"private\",\"tools\":[{\"name\":\"a\"}]}}"},
    {"cacheScope behind the list, spelled oddly, of no known value",
     "{\"result\":{\"tools\":[],\"cacheScope\" : \"pub\\u006cic\" "
     ",\"CacheScope\":1,\"cacheScope\":null"
     "}}",
     "{\"result\":{\"tools\":[],\"cacheScope\" : \"private\" ,\"CacheScope\":\"private\","
     "\"cacheScope\":\"private\"}}"},
    {"cacheScope elsewhere",
     "{\"cacheScope\":\"public\",\"result\":{\"a\":{\"cacheScope\":\"public\"}}}",
     "{\"cacheScope\":\"public\",\"result\":{\"a\":{\"cacheScope\":\"public\"}}}"},
    {"no object at all", "\"x\"", "\"x\""},
    {"a number", " 1 ", " 1 "},
    {"a number that the end ends", "-1.5e3", "-1.5e3"},
    {"a result that is no object", "{\"result\":[{\"tools\":[{\"name\":\"x\"}]}]}",
     "{\"result\":[{\"tools\":[{\"name\":\"x\"}]}]}"},
};

/* row 70 */
static void test_hidden_items_are_cut_and_nothing_else_changes(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
    check(false, replies[i].name, replies[i].in, replies[i].out);
}

/* row 70: the same replies as the data of an event */
static void test_replies_in_event_streams_are_filtered_alike(void **state)
{
  struct buf in, want;
  (void)state;
  buf_init(&in, 1 << 20);
  buf_init(&want, 1 << 20);
  for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    if (strpbrk(replies[i].in, "\r\n"))
      continue;
    buf_clear(&in);
    buf_clear(&want);
    buf_printf(&in, ": hi\nid: 1\nevent: message\ndata: %s\n\ndata:%s\r\n\r\n", replies[i].in,
               replies[i].in);
    buf_printf(&want, ": hi\nid: 1\nevent: message\ndata: %s\n\ndata:%s\r\n\r\n", replies[i].out,
               replies[i].out);
    check(true, replies[i].name, in.p, want.p);
  }
  buf_done(&in);
  buf_done(&want);
}

#define LIST "{\"result\":{\"tools\":[{\"name\":\"x\"}]}}"
#define CUT  "{\"result\":{\"tools\":[]}}"

static const struct {
  const char *name, *in, *out;
} streams[] = {
    {"CR ends lines", "data: " LIST "\r\rdata: " LIST "\r\r", "data: " CUT "\r\rdata: " CUT "\r\r"},
    {"data in several lines",
     "data: {\"result\":\ndata: {\"tools\":[{\ndata: \"name\":\"x\"}\ndata:,{\"name\":\r\n"
     "data:  \"a\"\ndata: }]\ndata:\ndata: }}\n\n",
     "data: {\"result\":\ndata: {\"tools\":[\ndata: \ndata:{\"name\":\r\ndata:  \"a\"\n"
     "data: }]\ndata:\ndata: }}\n\n"},
    {"other fields between the lines of an item",
     "data: {\"result\":{\"tools\":[{\nid: 7\ndata:\"name\":\n: comment\ndata:\"x\"}]}}\n\n",
     "data: {\"result\":{\"tools\":[\nid: 7\ndata:\n: comment\ndata:]}}\n\n"},
    {"BOM",
     "\xef\xbb\xbf"
     "data: " LIST "\n\n",
     "\xef\xbb\xbf"
     "data: " CUT "\n\n"},
    {"priming, comments, retry", "id: 1\nretry: 5\ndata:\n\n:\n\ndata\n\ndata: \n\n",
     "id: 1\nretry: 5\ndata:\n\n:\n\ndata\n\ndata: \n\n"},
    {"an endpoint", "event: endpoint\ndata: /message?x={\n\n",
     "event: endpoint\ndata: /message?x={\n\n"},
    {"data that is no JSON", "data: hello {\ndata: {\n\n", "data: hello {\ndata: {\n\n"},
    {"another type is not ours", "event: x\ndata: {\"no json\n\ndata: " LIST "\n\n",
     "event: x\ndata: {\"no json\n\ndata: " CUT "\n\n"},
    {"a type is looked for in its own line only", "event:message\ndata:" LIST "\n\n",
     "event:message\ndata:" CUT "\n\n"},
    {"an empty type is a message", "event\ndata:" LIST "\n\nevent:\ndata:" LIST "\n\n",
     "event\ndata:" CUT "\n\nevent:\ndata:" CUT "\n\n"},
    {"fields that look like data", "Data: " LIST "\ndatas: " LIST "\ndat: {\ndata : {\n\n",
     "Data: " LIST "\ndatas: " LIST "\ndat: {\ndata : {\n\n"},
    {"an event that was not finished", "data: " CUT "\n\ndata: {\"result\"",
     "data: " CUT "\n\ndata: {\"result\""},
};

static void test_the_framing_of_events_passes_as_it_is(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++)
    check(true, streams[i].name, streams[i].in, streams[i].out);
}

/* The bytes of an item whose end has not come are nobody's yet. */
static void check_fails(bool sse, const char *in)
{
  struct buf out;
  buf_init(&out, 1 << 20);
  for (size_t step = 1; step <= strlen(in); step++) {
    if (run(sse, str_of(in), step, show, &out))
      fail_msg("passed in pieces of %zu: %s", step, in);
    if (out.p && strstr(out.p, "\"x"))
      fail_msg("hidden item passed of %s: %s", in, out.p);
  }
  buf_done(&out);
}

static void test_a_malformed_reply_ends_the_reply(void **state)
{
  static const char *const bad[] = {
      "tru",
      "1 2",
      "01",
      "\"y",
      "{",
      "[",
      "{}}",
      "{}{}",
      "{} x",
      "{\"a\"}",
      "{\"a\":}",
      "{,}",
      "{a:1}",
      "{\"a\":1,}",
      "[1,]",
      "[1 2]",
      "{\"a\":1 \"b\":2}",
      "{\"a\":[}",
      "[}",
      "]",
      "{\"a\":tru}",
      "{\"a\":01}",
      "{\"a\":1.}",
      "{\"a\":NaN}",
      "{\"a\":\"\\x\"}",
      "{\"a\":\"\\u12g4\"}",
      "{\"a\":\"\t\"}",
      "{\"result\":{\"tools\":{\"name\":\"x\"}}}",
      "{\"result\":{\"tools\":\"x\"}}",
      "{\"result\":{\"cacheScope\":{}}}",
      "{\"result\":{\"cacheScope\":[]}}",
      "{\"result\":{\"tools\":[{\"name\":\"x\"}",
      "{\"result\":{\"tools\":[{\"name\":\"x\"},]}}",
      "{\"result\":{\"tools\":[,{\"name\":\"x\"}]}}",
      "{\"result\":{\"tools\":[{\"name\":\"x\"}}}",
      "{\"result\":{\"tools\":[{\"name\":\"x\"} {\"name\":\"a\"}]}}",
      "{\"res\xff\":1}",
      "{\"result\":{\"tools\":[{\"name\":\"x}]}}",
      "\xef\xbb\xbf{}",
      "{\"a\":/**/1}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    check_fails(false, bad[i]);
}

static void test_a_malformed_message_ends_the_stream(void **state)
{
  static const char *const bad[] = {
      "data: {\n\n",
      "data: {\"result\":{\"tools\":[{\"name\":\"x\"}\n\n",
      "data: {}}\n\n",
      "data: {\"a\":\"\ndata: \"}\n\n",
      "data: [1\n\ndata: ]\n\n",
      /* data that passed because its event was none of ours, which then becomes a message */
      "event: y\ndata: {\"result\":1}\nevent: message\n\n",
      "event: y\ndata: {}\nevent\n\n",
      "event: y\ndata: {}\nevent:\n\n",
  };
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    check_fails(true, bad[i]);
}

static void test_nothing_is_passed_of_an_item_before_it_is_judged(void **state)
{
  struct list l;
  struct str part;
  (void)state;
  list_init(&l, false, show, NULL);
  assert_int_equal(list_feed(&l, STR("{\"result\":{\"tools\":["), &part), 0);
  assert_int_equal(part.n, 20);
  assert_int_equal(list_feed(&l, STR("{\"name\":\"a\",\"x\":["), &part), 0);
  assert_int_equal(part.n, 0);
  assert_int_equal(list_feed(&l, STR("]}"), &part), 0);
  assert_true(str_is(part, "{\"name\":\"a\",\"x\":[]}"));
  assert_int_equal(list_end(&l), -1);
  list_done(&l);
}

static void test_items_and_depth_have_limits(void **state)
{
  struct buf in, out;
  (void)state;
  buf_init(&in, 1 << 24);
  buf_init(&out, 1 << 24);
  for (size_t extra = 0; extra < 2; extra++) {
    static const char before[] = "{\"name\":\"a\",\"d\":\"", behind[] = "\"}";
    size_t n = LIMIT_LIST_ITEM - (sizeof before - 1) - (sizeof behind - 1) + extra;
    buf_clear(&in);
    buf_printf(&in, "{\"result\":{\"tools\":[%s", before);
    memset(buf_reserve(&in, n), 'a', n);
    in.n += n;
    buf_printf(&in, "%s]}}", behind);
    assert_int_equal(run(false, buf_view(&in), 65536, show, &out), extra == 0);
    if (extra == 0)
      assert_true(str_eq(buf_view(&in), buf_view(&out)));
  }
  for (size_t depth = LIMIT_LIST_DEPTH; depth <= LIMIT_LIST_DEPTH + 1; depth++) {
    buf_clear(&in);
    buf_puts(&in, "{\"a\":");
    for (size_t i = 1; i < depth; i++)
      buf_putc(&in, '[');
    for (size_t i = 1; i < depth; i++)
      buf_putc(&in, ']');
    buf_putc(&in, '}');
    assert_int_equal(run(false, buf_view(&in), 100, show, &out), depth <= LIMIT_LIST_DEPTH);
  }
  buf_done(&in);
  buf_done(&out);
}

static void test_a_filter_that_shows_all_changes_nothing(void **state)
{
  struct buf out;
  (void)state;
  buf_init(&out, 1 << 20);
  for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    if (strstr(replies[i].in, "cacheScope\"") || strstr(replies[i].name, "without a name"))
      continue;
    assert_true(run(false, str_of(replies[i].in), 7, show_all, &out));
    assert_true(str_is(buf_view(&out), replies[i].in));
  }
  buf_done(&out);
}

static void test_an_empty_reply_is_whole(void **state)
{
  struct list l;
  (void)state;
  list_init(&l, false, show, NULL);
  assert_int_equal(list_end(&l), 0);
  list_done(&l);
}

/* row 71 */
static void test_without_anything_to_hide_only_the_cache_scope_changes(void **state)
{
  struct buf out;
  (void)state;
  buf_init(&out, 1 << 20);
  assert_true(run(
      false, str_of("{\"result\":{\"tools\":[{},1,{\"name\":\"x\"}],\"cacheScope\":\"public\"}}"),
      3, NULL, &out));
  assert_true(
      str_is(buf_view(&out),
             "{\"result\":{\"tools\":[{},1,{\"name\":\"x\"}],\"cacheScope\":\"private\"}}"));
  buf_done(&out);
}

struct kinds {
  enum list_kind seen[8];
  size_t n;
};

static bool note_kind(void *arg, enum list_kind kind, struct str item)
{
  struct kinds *k = arg;
  (void)item;
  k->seen[k->n++] = kind;
  return true;
}

static void test_it_is_told_what_kind_of_item_it_is(void **state)
{
  static const char in[] =
      "{\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"a\"}],\"tools\":[{"
      "\"name\":\"b\"}],\"resources\":[{\"uri\":\"c\"}],\"prompts\":[{\"name\":"
      "\"d\"}]}}";
  struct kinds k = {.n = 0};
  struct list l;
  struct str part;
  (void)state;
  list_init(&l, false, note_kind, &k);
  assert_int_equal(list_feed(&l, str_of(in), &part), 0);
  list_done(&l);
  assert_int_equal(k.n, 4);
  assert_true(k.seen[0] == LIST_TEMPLATES && k.seen[1] == LIST_TOOLS &&
              k.seen[2] == LIST_RESOURCES && k.seen[3] == LIST_PROMPTS);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hidden_items_are_cut_and_nothing_else_changes),
      cmocka_unit_test(test_replies_in_event_streams_are_filtered_alike),
      cmocka_unit_test(test_the_framing_of_events_passes_as_it_is),
      cmocka_unit_test(test_a_malformed_reply_ends_the_reply),
      cmocka_unit_test(test_a_malformed_message_ends_the_stream),
      cmocka_unit_test(test_nothing_is_passed_of_an_item_before_it_is_judged),
      cmocka_unit_test(test_items_and_depth_have_limits),
      cmocka_unit_test(test_a_filter_that_shows_all_changes_nothing),
      cmocka_unit_test(test_an_empty_reply_is_whole),
      cmocka_unit_test(test_without_anything_to_hide_only_the_cache_scope_changes),
      cmocka_unit_test(test_it_is_told_what_kind_of_item_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
