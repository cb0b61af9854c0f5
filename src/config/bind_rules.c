/* Rules: the lines of `tool`, `resource`, `prompt` and `method` in hub, service and policy blocks,
 * what `require` demands of every request, and `anonymous OPERATION ...`.  Their order in the file
 * decides, whatever kind they are of, so rows only collect statements here, and the lines are read
 * and written into the effective text once all are there.  Called by bind.c and bind_service.c. */
#include "config/bind_rules.h"

#include <stdlib.h>
#include <string.h>

#include "config/pattern.h"
#include "config/tables.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ---- collecting */

void custom_rule(struct binder *b, const struct statement *s, void *target)
{
  struct rule_source *list = target;
  const struct statement **v = bind_alloc(b, list->n + 1, sizeof *v);
  if (v == NULL)
    return;
  if (list->n)
    memcpy(v, list->v, list->n * sizeof *v);
  v[list->n] = s;
  *list = (struct rule_source){v, list->n + 1};
}

/* Lines of one block stand in one file. */
static int by_place(const void *pa, const void *pb)
{
  const struct statement *const *first = pa, *const *second = pb;
  struct config_at a = statement_at(*first), b = statement_at(*second);
  if (a.line != b.line)
    return a.line < b.line ? -1 : 1;
  return a.column < b.column ? -1 : a.column > b.column;
}

/* ---- one line */

static void put_statement(struct buf *out, const struct statement *s)
{
  for (size_t i = 0; i < s->n; i++) {
    if (i)
      buf_putc(out, ' ');
    word_format(out, s->words[i].text);
  }
  if (s->block == NULL)
    return;
  buf_puts(out, " { ");
  for (const struct statement *in = s->block->first; in; in = in->next) {
    put_statement(out, in);
    buf_puts(out, in->next ? "; " : " ");
  }
  buf_putc(out, '}');
}

/* S on one line, cut when it is long. */
static const char *text_of(struct binder *b, const struct statement *s)
{
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, 512);
  put_statement(&text, s);
  return text.failed ? arena_printf(b->arena, "%.*s...", 480, text.p ? text.p : "")
                     : bind_dup(b, buf_view(&text));
}

static const char *nearest_action(struct binder *b, struct str word)
{
  static const char *const words[] = {"allow", "deny", "hide", "require"};
  return report_choices(b->scratch, word, words, ARRAY_SIZE(words));
}

/* What stands behind the action. */
static void bind_rest(struct binder *b, const struct statement *s, struct config_rule *r)
{
  size_t count = 0;
  struct condition_list list = {NULL, 0};
  struct condition_place place = {
      .what = r->kind == RULE_METHOD ? "a method line" : "a resource line",
      .scopes = true,
      .arguments = r->kind == RULE_TOOL || r->kind == RULE_PROMPT,
      .count = &count,
  };
  if (r->action == ACTION_REQUIRE) {
    conditions_after(b, &place, s, 3, &list);
    r->require =
        (struct config_condition){.at = r->at, .kind = CONDITION_ALL, .v = list.v, .n = list.n};
  } else if (s->n > 3 || s->block) {
    report_error(b->f, s->n > 3 ? s->words[3].at : statement_at(s),
                 "nothing may follow '%s': conditions belong to `require`", s->words[2].text.p);
  }
}

static void bind_rule(struct binder *b, const struct statement *s, struct config_rule *r)
{
  struct err e = {""};
  *r = (struct config_rule){.at = statement_at(s)};
  if (s->n < 3 || !rule_kind_parse(s->words[0].text, &r->kind)) {
    report_error(b->f, r->at,
                 "this must have the form `%s PATTERN allow | deny | hide | require "
                 "CONDITION`",
                 s->words[0].text.p);
    return;
  }
  struct str text = str_of(bind_dup(b, s->words[1].text));
  if (pattern_parse(r->kind, text, &r->pattern, &e) < 0)
    report_error(b->f, s->words[1].at, "the pattern '%.60s' %s", text.p, e.text);
  r->text = text_of(b, s);
  if (rule_action_parse(s->words[2].text, &r->action))
    bind_rest(b, s, r);
  else
    report_error(b->f, s->words[2].at, "there is no action '%s'%s", s->words[2].text.p,
                 nearest_action(b, s->words[2].text));
}

/* ---- lists of lines */

static void add_rules(struct binder *b, struct rule_list *to, const struct config_rule *rules,
                      size_t n)
{
  struct config_rule *v = bind_alloc(b, to->n + n, sizeof *v);
  if (v == NULL)
    return;
  if (to->n)
    memcpy(v, to->v, to->n * sizeof *v);
  if (n)
    memcpy(v + to->n, rules, n * sizeof *v);
  *to = (struct rule_list){v, to->n + n};
}

/* `policy NAME`: the lines of that block, here. */
static void include_policy(struct binder *b, const struct statement *s, struct rule_list *ret)
{
  if (!statement_form(b, s, 1, 1, "policy NAME"))
    return;
  if (s->block) {
    report_error(b->f, statement_at(s), "'policy' takes no block here: the block stands outside");
    return;
  }
  struct named *n = names_find(b, &b->policies, &s->words[1]);
  const struct rule_list *list = n ? n->bound : NULL;
  if (list)
    add_rules(b, ret, list->v, list->n);
}

void rules_bind(struct binder *b, struct rule_source *source, struct rule_list *ret)
{
  if (source->n)
    qsort(source->v, source->n, sizeof *source->v, by_place);
  for (size_t i = 0; i < source->n; i++) {
    const struct statement *s = source->v[i];
    struct config_rule r;
    options_tree(b, s);
    if (str_is(s->words[0].text, "policy")) {
      include_policy(b, s, ret);
    } else {
      bind_rule(b, s, &r);
      add_rules(b, ret, &r, 1);
    }
  }
}

/* The lines of KIND among both lists. */
static void take_kind(struct binder *b, struct config_service *v, enum rule_kind kind,
                      const struct rule_list *own)
{
  const struct rule_list *lists[] = {&b->hub_rules, own};
  size_t n = 0;
  for (size_t l = 0; l < 2; l++)
    for (size_t i = 0; i < lists[l]->n; i++)
      n += lists[l]->v[i].kind == kind;
  if (n > LIMIT_RULES)
    report_error(b->f, v->at, "service '%s' has more than %d lines of '%s'", v->name, LIMIT_RULES,
                 rule_kind_name(kind));
  struct config_rule *rules = bind_alloc(b, n, sizeof *rules);
  struct pattern_key *keys = bind_alloc(b, n, sizeof *keys);
  if (rules == NULL || keys == NULL)
    return;
  struct config_rules *ret = &v->rules[kind];
  *ret = (struct config_rules){.v = rules, .keys = keys};
  for (size_t l = 0; l < 2; l++) {
    ret->n_hub = ret->n;
    for (size_t i = 0; i < lists[l]->n; i++)
      if (lists[l]->v[i].kind == kind) {
        rules[ret->n] = lists[l]->v[i];
        keys[ret->n++] = pattern_key_of(&lists[l]->v[i].pattern);
      }
  }
}

void rules_of_service(struct binder *b, struct config_service *v, const struct rule_list *own)
{
  for (enum rule_kind kind = RULE_TOOL; kind <= RULE_METHOD; kind++)
    take_kind(b, v, kind, own);
}

/* ---- policy blocks */

#define RULE_ROW(NAME, HELP)                                                                       \
  BLOCK(NAME, custom_rule, RULE_FORM, HELP, .offset = 0, .flags = MCPAUTH_REPEAT)

static const struct option_spec rows[] = {
    RULE_ROW("tool", RULE_HELP_TOOL),
    RULE_ROW("resource", RULE_HELP_RESOURCE),
    RULE_ROW("prompt", RULE_HELP_PROMPT),
    RULE_ROW("method", RULE_HELP_METHOD),
};
const struct block_rows policy_rows = {"policy", rows, ARRAY_SIZE(rows)};

void bind_policies(struct binder *b)
{
  for (size_t i = 0; i < b->policies.n; i++) {
    struct named *n = &b->policies.v[i];
    struct rule_source source = {NULL, 0};
    struct rule_list *list = bind_alloc(b, 1, sizeof *list);
    if (list == NULL)
      return;
    options_open(b, n->s);
    options_bind(b, n->s, &(struct option_table){rows, ARRAY_SIZE(rows), &source}, 1);
    rules_bind(b, &source, list);
    options_close(b);
    n->bound = list;
  }
}

/* ---- require, of hub and services */

/* Scopes are kept apart: they are what a client is told to ask for. */
static void add_demand(struct binder *b, struct demands *d, const struct config_condition *c)
{
  if (c->kind == CONDITION_SCOPE) {
    for (size_t i = 0; i < c->n_scopes; i++)
      scope_list_add(b, &d->scopes, c->scopes[i]);
    return;
  }
  struct config_condition *v = bind_alloc(b, d->conditions.n + 1, sizeof *v);
  if (v == NULL)
    return;
  if (d->conditions.n)
    memcpy(v, d->conditions.v, d->conditions.n * sizeof *v);
  v[d->conditions.n] = *c;
  d->conditions = (struct condition_list){v, d->conditions.n + 1};
}

void custom_require(struct binder *b, const struct statement *s, void *target)
{
  size_t count = 0;
  struct condition_list list = {NULL, 0};
  const struct condition_place place = {
      .what = "`require` of every request", .scopes = true, .count = &count};
  options_tree(b, s);
  conditions_after(b, &place, s, 1, &list);
  for (size_t i = 0; i < list.n; i++)
    add_demand(b, target, &list.v[i]);
}

void demands_add(struct binder *b, struct demands *to, const struct demands *more)
{
  for (size_t i = 0; i < more->scopes.n; i++)
    scope_list_add(b, &to->scopes, more->scopes.v[i]);
  for (size_t i = 0; i < more->conditions.n; i++)
    add_demand(b, to, &more->conditions.v[i]);
}
