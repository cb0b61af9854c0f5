/* Feeds rules and questions to the shipped binder and policy, for tests/rules: lines on standard
 * input, a line of answer for each on standard output.
 *
 *   config N                 N bytes of configuration follow            ok | refused ...
 *   caller ID JSON           whom later questions may be about          ok
 *   ask ID MODE KIND METHOD ITEM ARGUMENTS   with tabs between          VERDICT LINE SCOPE,...
 *
 * MODE is decide or list; ARGUMENTS is JSON or "-".  Any other line ends it with status 2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/bind.h"
#include "fake_modules.h"
#include "mcp/policy.h"
#include "util/json.h"
#include "util/limits.h"

enum { CALLERS_MOST = 64 };

struct person {
  struct config_provider provider;
  struct principal *principal;
  json_t *claims, *said;
  struct policy_caller caller;
};

static struct config *config;
static struct arena *report_arena;
static struct person people[CALLERS_MOST];

/* ---- config */

static bool read_config(char *text, size_t n)
{
  struct config_report report;
  struct findings f;
  struct config_source source = {"t.conf", {text, n}};
  config_free(config);
  arena_free(report_arena);
  report_arena = arena_new(MIB(1));
  if (report_arena == NULL || findings_init(&f, report_arena, &report) < 0)
    return false;
  config = config_bind("/conf", &source, 1, &fake_modules, geteuid(), &f);
  for (size_t i = 0; config == NULL && i < report.n; i++)
    if (report.v[i].severity == CONFIG_ERROR) {
      printf("refused %u:%u %s\n", report.v[i].at.line, report.v[i].at.column, report.v[i].text);
      return true;
    }
  puts(config ? "ok" : "refused");
  return true;
}

static bool take_config(struct str line)
{
  uint64_t n;
  if (!str_u64(str_slice(line, 7, line.n), MIB(1), &n))
    return false;
  AUTO_FREE char *text = malloc(n + 1);
  return text && fread(text, 1, n, stdin) == n && read_config(text, n);
}

/* ---- callers */

static void forget(struct person *p)
{
  principal_unref(p->principal);
  json_decref(p->said);
  *p = (struct person){.principal = NULL};
}

static const char *text_of(const json_t *j, const char *key)
{
  return json_string_value(json_object_get(j, key));
}

static bool make_principal(struct person *p)
{
  const char *scopes[32];
  json_t *list = json_object_get(p->said, "scopes");
  size_t n = json_array_size(list);
  if (n > ARRAY_SIZE(scopes))
    return false;
  for (size_t i = 0; i < n; i++)
    scopes[i] = json_string_value(json_array_get(list, i));
  p->provider.name = text_of(p->said, "provider");
  p->principal = principal_new(&p->provider,
                               &(struct mcpauth_principal){.issuer = text_of(p->said, "issuer"),
                                                           .subject = text_of(p->said, "subject"),
                                                           .client = text_of(p->said, "client"),
                                                           .scopes = {n, scopes}},
                               NULL);
  return p->principal != NULL;
}

static bool take_caller(struct str line)
{
  struct str rest = str_slice(line, 7, line.n), id;
  uint64_t index;
  if (!str_next(&rest, ' ', &id) || !str_u64(id, CALLERS_MOST - 1, &index))
    return false;
  struct person *p = &people[index];
  forget(p);
  p->said = json_parse(rest, 20, 1000, NULL);
  if (p->said == NULL || (text_of(p->said, "subject") && !make_principal(p)))
    return false;
  p->caller = (struct policy_caller){.who = p->principal,
                                     .claims = json_object_get(p->said, "claims"),
                                     .address = text_of(p->said, "address")};
  puts("ok");
  return true;
}

/* ---- questions */

static void answer(const struct policy_decision *d)
{
  printf("%s %u ", policy_verdict_name(d->verdict), d->rule ? d->rule->at.line : 0);
  for (size_t i = 0; i < d->n_needs; i++)
    printf("%s%s", i ? "," : "", d->needs[i]->name);
  putchar('\n');
}

static bool take_question(struct str line)
{
  struct str word[7], rest = line;
  uint64_t index;
  struct operation op = {.era = ERA_SESSION};
  for (size_t i = 0; i < ARRAY_SIZE(word); i++)
    if (!str_next(&rest, '\t', &word[i]))
      return false;
  if (config == NULL || !str_u64(word[1], CALLERS_MOST - 1, &index) ||
      !rule_kind_parse(word[3], &op.kind))
    return false;
  const struct policy_caller *who = &people[index].caller;
  const struct config_service *s = &config->services[0];
  struct arena *a = arena_new(MIB(1));
  if (a == NULL)
    return false;
  if (str_is(word[2], "list")) {
    puts(policy_listed(s, who, op.kind, word[5], a) ? "yes" : "no");
  } else {
    struct policy_decision d;
    op.method = word[4];
    op.known = method_known(op.method);
    op.task = str_starts(op.method, "tasks/");
    op.item = word[5];
    policy_decide(s, who, &op, str_is(word[6], "-") ? (struct str){NULL, 0} : word[6], a, &d);
    answer(&d);
  }
  arena_free(a);
  return true;
}

int main(void)
{
  char *line = NULL;
  size_t size = 0;
  bool good = true;
  for (ssize_t n; good && (n = getline(&line, &size, stdin)) > 0;) {
    struct str s = {line, (size_t)n - (line[n - 1] == '\n')};
    good = str_starts(s, "config ")   ? take_config(s)
           : str_starts(s, "caller ") ? take_caller(s)
                                      : str_starts(s, "ask\t") && take_question(s);
    if (!good)
      fprintf(stderr, "policy-eval: cannot take '%.*s'\n", STR_ARG(s));
  }
  free(line);
  for (size_t i = 0; i < CALLERS_MOST; i++)
    forget(&people[i]);
  config_free(config);
  arena_free(report_arena);
  return good && fflush(stdout) == 0 ? 0 : 2;
}
