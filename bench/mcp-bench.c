/* What judging a message costs, without a hub around it: the JSON gate, the gate with rules behind
 * it, the list filter; printed beside the targets.  bench/mcp-bench [MILLISECONDS a row].  Each
 * figure is the least of several rounds, for these take microseconds and a neighbour takes
 * milliseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../tests/support/fake_modules.h"
#include "config/bind.h"
#include "mcp/list.h"
#include "mcp/policy.h"

enum { ROUNDS = 7, RULES = 200, TOOLS = 100 };

static double milliseconds = 100;
static struct arena *forever;

static double now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fail(const char *what)
{
  fprintf(stderr, "mcp-bench: %s\n", what);
  exit(2);
}

/* ---- what is measured: each does the work once */

struct work {
  const char *name;
  void (*once)(const struct work *w);
  struct str bytes;
  double target_us; /* 0: none */
};

static struct arena *scratch;

static void gate_once(const struct work *w)
{
  struct gate g;
  struct gate_fault f;
  if (gate_read(w->bytes, scratch, &g, &f) < 0)
    fail(f.what);
}

static struct config *config;
static struct policy_caller caller;

/* The gate, the operation and the rules, as for a request. */
static void judge_once(const struct work *w)
{
  struct http_request rq = {.method = STR("POST")};
  struct gate g;
  struct gate_fault f;
  struct operation op;
  struct operation_fault of;
  struct policy_decision d;
  if (gate_read(w->bytes, scratch, &g, &f) < 0 || operation_of(&rq, &g, &op, &of) < 0)
    fail("a message is refused");
  policy_decide(&config->services[0], &caller, &op, g.arguments, scratch, &d);
  if (d.verdict != POLICY_ALLOW)
    fail("the rules refuse it");
}

static bool show_odd(void *arg, enum list_kind kind, struct str item)
{
  (void)arg;
  (void)kind;
  return item.p[item.n - 1] & 1;
}

static bool show_by_rules(void *arg, enum list_kind kind, struct str item)
{
  (void)arg;
  (void)kind;
  return policy_listed(&config->services[0], &caller, RULE_TOOL, item, scratch);
}

static void filter(const struct work *w, bool sse, list_show_fn *show)
{
  struct list l;
  struct str part;
  list_init(&l, sse, show, NULL);
  for (size_t i = 0; i < w->bytes.n; i += 16384)
    if (list_feed(&l, str_slice(w->bytes, i, i + 16384), &part) < 0)
      fail(l.what);
  if (list_end(&l) < 0)
    fail(l.what);
  list_done(&l);
}

static void list_once(const struct work *w)
{
  filter(w, false, show_odd);
}

static void list_rules_once(const struct work *w)
{
  filter(w, false, show_by_rules);
}

static void list_sse_once(const struct work *w)
{
  filter(w, true, show_odd);
}

static void scope_once(const struct work *w)
{
  filter(w, false, NULL);
}

/* ---- measuring */

static double round_ns(const struct work *w, unsigned times)
{
  double from = now_ns();
  for (unsigned i = 0; i < times; i++)
    w->once(w);
  return (now_ns() - from) / times;
}

static void measure(const struct work *w)
{
  unsigned times = 1;
  while (round_ns(w, times) * times < milliseconds * 1e6 / ROUNDS / 4 && times < 1u << 24)
    times *= 2;
  double least = 1e18;
  for (int i = 0; i < ROUNDS; i++) {
    double ns = round_ns(w, times);
    least = ns < least ? ns : least;
  }
  bool good = w->target_us == 0 || least / 1000 <= w->target_us;
  printf("%-46s %7zu B %9.2f us", w->name, w->bytes.n, least / 1000);
  if (w->target_us > 0)
    printf("   target %g us: %s", w->target_us, good ? "kept" : "MISSED");
  printf("\n");
}

/* ---- messages */

#define BEFORE                                                                                     \
  "{\"jsonrpc\":\"2.0\",\"id\":42,\"method\":\"tools/call\",\"params\":{\"name\":"                 \
  "\"search_documents\",\"arguments\":{"
static const char small[] =
    BEFORE "\"query\":\"quarterly revenue by region, restated, excluding discontinued lines\","
           "\"limit\":25,\"filters\":{\"type\":\"report\",\"lang\":\"en\",\"year\":[2025,2026]},"
           "\"cursor\":null},\"_meta\":{\"progressToken\":\"p-7f3a9c2e\"}}}";

/* A call whose arguments are PART again and again, up to 32 KiB. */
static struct str large(const char *open, const char *part, const char *close)
{
  struct buf b;
  buf_init(&b, 40000);
  buf_printf(&b, BEFORE "\"v\":%s", open);
  while (b.n < 32768 - strlen(part) - strlen(close) - 3)
    buf_puts(&b, part);
  buf_printf(&b, "%s}}}", close);
  if (b.failed)
    fail("out of memory");
  return buf_view(&b);
}

static struct str tools(const char *before, const char *behind)
{
  struct buf b;
  buf_init(&b, 1 << 20);
  buf_printf(&b, "%s{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[", before);
  for (int i = 0; i < TOOLS; i++)
    buf_printf(&b,
               "%s{\"name\":\"tool_%d\",\"title\":\"Tool %d\",\"description\":\"Searches all that "
               "the caller may read, best first; the query may have quotes \\\"like these\\\".\","
               "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"query\":{\"type\":"
               "\"string\",\"minLength\":1},\"limit\":{\"type\":\"integer\",\"maximum\":100}},"
               "\"required\":[\"query\"]},\"annotations\":{\"readOnlyHint\":true}}",
               i ? "," : "", i, i);
  buf_printf(&b, "],\"ttlMs\":60000,\"cacheScope\":\"public\"}}%s", behind);
  if (b.failed)
    fail("out of memory");
  return buf_view(&b);
}

/* ---- rules */

/* RULES lines, the last of which decides. */
static void load_rules(void)
{
  struct buf b;
  struct findings f;
  struct config_report report;
  buf_init(&b, 1 << 20);
  buf_puts(&b, "hub { public_url http://127.0.0.1:1 }\n"
               "provider tokens { file /etc/tokens }\n"
               "service s { path /s; upstream http://127.0.0.1:9/; auth required tokens\n");
  for (int i = 0; i < RULES - 1; i++)
    buf_printf(&b, i % 2 ? "tool admin_%d_* deny\n" : "tool remove_%d deny\n", i);
  buf_puts(&b, "tool * allow\n}\n");
  struct config_source v = {"bench.conf", buf_view(&b)};
  if (b.failed || findings_init(&f, forever, &report) < 0)
    fail("out of memory");
  config = config_bind("/conf", &v, 1, &fake_modules, geteuid(), &f);
  if (config == NULL)
    fail("the rules cannot be read");
  buf_done(&b);
}

static void make_caller(void)
{
  static const struct config_provider provider = {.name = "tokens"};
  struct mcpauth_principal from = {.issuer = "https://i", .subject = "ann", .client = "app"};
  caller = (struct policy_caller){.who = principal_new(&provider, &from, NULL),
                                  .claims = json_object(),
                                  .address = "192.0.2.7"};
  if (caller.who == NULL || caller.claims == NULL)
    fail("out of memory");
}

int main(int argc, char **argv)
{
  if (argc > 1)
    milliseconds = strtod(argv[1], NULL);
  forever = arena_new(1 << 24);
  scratch = arena_new(1 << 20);
  if (forever == NULL || scratch == NULL)
    fail("out of memory");
  load_rules();
  make_caller();
  struct str call = str_of(small), text = large("\"", "the quick brown fox jumps, ", "\""),
             records = large(
                 "[", "{\"id\":1234,\"name\":\"some name here\",\"on\":true,\"price\":12.50},",
                 "0]"),
             letters = large("\"", "\xe6\xbc\xa2\xe5\xad\x97\xe3\x81\x8b\xe3\x81\xaa", "\""),
             lines = large("\"", "line of code;\\n\\t", "\""), json = tools("", ""),
             sse = tools("event: message\ndata: ", "\n\n");
  const struct work rows[] = {
      {"gate: a call", gate_once, call, 1},
      {"gate: 32 KiB of text", gate_once, text, 40},
      {"gate: 32 KiB of records", gate_once, records, 40},
      {"gate: 32 KiB of letters outside ASCII", gate_once, letters, 40},
      {"gate: 32 KiB of source code", gate_once, lines, 40},
      {"gate and decision: a call, 200 rules", judge_once, call, 0},
      {"gate and decision: 32 KiB of records, 200 rules", judge_once, records, 0},
      {"list filter: 100 tools, half of them hidden", list_once, json, 0},
      {"list filter: the same in an event stream", list_sse_once, sse, 0},
      {"list filter: 100 tools by 200 rules", list_rules_once, json, 0},
      {"list filter: only cacheScope", scope_once, json, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    measure(&rows[i]);
  return 0;
}
