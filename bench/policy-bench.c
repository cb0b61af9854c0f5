/* What a decision costs: 200 lines of tools at one service, the last of which matches, printed
 * beside its target.  Part of `make bench`. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/bind.h"
#include "mcp/policy.h"
#include "util/json.h"
#include "util/limits.h"

#include "../tests/support/fake_modules.h"

enum { LINES = 200, ROUNDS = 7, TIMES = 20000, TARGET_NS = 2000 };

/* What the 199 lines before the last look like, for a call of "export_report_199". */
static const struct shape {
  const char *what, *line;
} shapes[] = {
    {"literals", "tool export_report_%03d deny\n"},
    {"globs that differ at once", "tool %03d_tool_* deny\n"},
    {"globs that differ late", "tool export_*_%03d deny\n"},
    {"globs of four stars", "tool e*p*t_*t_*_%03dx deny\n"},
};

static struct config *load(const struct shape *shape, struct arena *a)
{
  struct buf text;
  struct findings f;
  struct config_report report;
  buf_init(&text, MIB(1));
  buf_puts(&text, "hub { public_url http://127.0.0.1:1 }\nprovider tokens { file /x }\n"
                  "scope a { text A }\nscope b { text B; for role admin }\n"
                  "service s { path /s; upstream http://127.0.0.1:9/; auth required tokens\n");
  for (int i = 0; i < LINES - 1; i++) {
    char number[8];
    const char *at = strstr(shape->line, "%03d");
    snprintf(number, sizeof number, "%03d", i);
    buf_add(&text, shape->line, (size_t)(at - shape->line));
    buf_puts(&text, number);
    buf_puts(&text, at + 4);
  }
  buf_puts(&text,
           "tool export_report_199 require { scope a b; tenant acme; argument /n < 10 }\n}\n");
  struct config_source source = {"bench", buf_view(&text)};
  struct config *c = findings_init(&f, a, &report) == 0
                         ? config_bind("/", &source, 1, &fake_modules, geteuid(), &f)
                         : NULL;
  if (c == NULL && report.n)
    config_finding_print(&report.v[0], stderr);
  buf_done(&text);
  return c;
}

static int64_t now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The best of some rounds: what the machine does beside it is not ours. */
static int64_t measure(const struct config *c, const struct policy_caller *who)
{
  const struct operation op = {.method = STR("tools/call"),
                               .known = true,
                               .kind = RULE_TOOL,
                               .item = STR("export_report_199")};
  int64_t best = INT64_MAX;
  for (int round = 0; round < ROUNDS; round++) {
    struct arena *a = arena_new(MIB(64));
    int64_t from = now_ns();
    for (int i = 0; a && i < TIMES; i++) {
      struct policy_decision d;
      policy_decide(&c->services[0], who, &op, STR("{\"text\":\"hello\",\"n\":5}"), a, &d);
      if (d.verdict != POLICY_ALLOW)
        return -1;
    }
    int64_t took = (now_ns() - from) / TIMES;
    arena_free(a);
    best = took < best ? took : best;
  }
  return best;
}

int main(void)
{
  static const char *const scopes[] = {"a", "b"};
  struct config_provider provider = {.name = "tokens"};
  struct principal *p = principal_new(
      &provider, &(struct mcpauth_principal){.issuer = "i", .subject = "s", .scopes = {2, scopes}},
      NULL);
  json_t *claims = json_pack("{s:s}", "tenant", "acme");
  struct arena *a = arena_new(MIB(4));
  int64_t worst = 0;
  if (p == NULL || claims == NULL || a == NULL)
    return 1;
  const struct policy_caller who = {.who = p, .claims = claims, .address = "127.0.0.1"};
  for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
    struct config *c = load(&shapes[i], a);
    int64_t ns = c ? measure(c, &who) : -1;
    config_free(c);
    if (ns < 0)
      return 1;
    printf("a decision over %d lines, %-26s %5lld ns\n", LINES, shapes[i].what, (long long)ns);
    worst = ns > worst ? ns : worst;
  }
  printf("a decision over %d lines: %lld ns at worst, target %d ns%s\n", LINES, (long long)worst,
         TARGET_NS, worst > TARGET_NS ? ": MISSED" : "");
  arena_free(a);
  json_decref(claims);
  principal_unref(p);
  return 0;
}
