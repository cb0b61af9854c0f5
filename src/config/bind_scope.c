/* `scope NAME { }`: declared scopes and what they imply; and lists of scopes in other blocks.
 * Called by bind.c. */
#include <stdlib.h>
#include <string.h>

#include "config/bind_service.h"
#include "config/tables.h"
#include "util/cleanup.h"
#include "util/limits.h"

struct scope_options {
  const char *text;
  struct scope_list implies;
  struct condition_list entitled;
  struct config_at entitled_at;
};

void scope_list_add(struct binder *b, struct scope_list *list, const struct config_scope *scope)
{
  const struct config_scope **v = bind_alloc(b, list->n + 1, sizeof *v);
  if (v == NULL)
    return;
  if (list->n)
    memcpy(v, list->v, list->n * sizeof *v);
  v[list->n] = scope;
  *list = (struct scope_list){v, list->n + 1};
}

static int by_name(const void *pa, const void *pb)
{
  const struct config_scope *const *a = pa, *const *b = pb;
  return strcmp((*a)->name, (*b)->name);
}

void scope_list_sort(struct scope_list *list)
{
  size_t kept = 0;
  if (list->n == 0)
    return;
  qsort(list->v, list->n, sizeof(const struct config_scope *), by_name);
  for (size_t i = 0; i < list->n; i++)
    if (kept == 0 || list->v[kept - 1] != list->v[i])
      list->v[kept++] = list->v[i];
  list->n = kept;
}

void scope_list_read(struct binder *b, const struct statement *s, size_t from,
                     struct scope_list *list)
{
  for (size_t i = from; i < s->n; i++) {
    struct named *n = names_find(b, &b->scopes, &s->words[i]);
    if (n && n->bound)
      scope_list_add(b, list, n->bound);
  }
}

void custom_scopes(struct binder *b, const struct statement *s, void *target)
{
  if (s->n < 2)
    report_error(b->f, statement_at(s), "'%s' takes one scope or more", s->words[0].text.p);
  scope_list_read(b, s, 1, target);
}

/* Who may hold a scope cannot hang on the scopes that she holds, nor on what she calls. */
static void custom_for(struct binder *b, const struct statement *s, void *target)
{
  struct scope_options *o = target;
  size_t count = 0;
  const struct condition_place place = {.what = "`for`", .count = &count};
  options_tree(b, s);
  conditions_after(b, &place, s, 1, &o->entitled);
  o->entitled_at = statement_at(s);
}

static const struct option_spec rows[] = {
    OPTION("text", MCPAUTH_STRING, "WORDS", "what the scope lets a client do, for the consent page",
           .offset = offsetof(struct scope_options, text), .flags = MCPAUTH_REQUIRED),
    STATEMENT("implies", custom_scopes, "SCOPE ...", "scopes that this one includes",
              .offset = offsetof(struct scope_options, implies), .flags = MCPAUTH_REPEAT),
    BLOCK("for", custom_for, "CONDITION", "who may hold it; without it everybody who can sign in",
          .flags = 0),
};
const struct block_rows scope_rows = {"scope", rows, ARRAY_SIZE(rows)};

/* Adds what SCOPE implies, and what that implies; LIST is what was reached so far. */
static void reach(struct binder *b, const struct config_scope *scope, struct scope_list *list)
{
  /* Scopes and their names stand in the same order. */
  const struct config_scope *all = b->scopes.v[0].bound;
  const struct scope_list *implies = b->scopes.v[scope - all].extra;
  for (size_t i = 0; implies && i < implies->n; i++) {
    bool known = false;
    for (size_t k = 0; k < list->n; k++)
      known = known || list->v[k] == implies->v[i];
    if (known)
      continue;
    scope_list_add(b, list, implies->v[i]);
    reach(b, implies->v[i], list);
  }
}

static void close_implied(struct binder *b, struct config_scope *scope)
{
  struct scope_list list = {NULL, 0};
  reach(b, scope, &list);
  for (size_t i = 0; i < list.n; i++)
    if (list.v[i] == scope) {
      report_error(b->f, scope->at, "the scope '%s' implies itself", scope->name);
      return;
    }
  scope_list_sort(&list);
  scope->implied = list.v;
  scope->n_implied = list.n;
}

static const struct config_condition *entitlement(struct binder *b, const struct scope_options *o)
{
  struct config_condition *c = bind_alloc(b, 1, sizeof *c);
  if (c)
    *c = (struct config_condition){
        .at = o->entitled_at, .kind = CONDITION_ALL, .v = o->entitled.v, .n = o->entitled.n};
  return c;
}

/* Once all scopes know what they imply. */
static void collect_satisfying(struct binder *b, struct config_scope *all, size_t n,
                               struct config_scope *scope)
{
  struct scope_list list = {NULL, 0};
  scope_list_add(b, &list, scope);
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < all[i].n_implied; k++)
      if (all[i].implied[k] == scope)
        scope_list_add(b, &list, &all[i]);
  scope_list_sort(&list);
  scope->satisfied_by = list.v;
  scope->n_satisfied_by = list.n;
}

static void bind_scope(struct binder *b, struct named *n)
{
  struct config_scope *scope = n->bound;
  struct scope_options *o = bind_alloc(b, 1, sizeof *o);
  if (o == NULL)
    return;
  options_open(b, n->s);
  options_bind(b, n->s, &(struct option_table){rows, ARRAY_SIZE(rows), o}, 1);
  options_close(b);
  scope->text = o->text ? o->text : "";
  if (o->entitled.n)
    scope->entitled = entitlement(b, o);
  n->extra = &o->implies;
}

static int scope_order(const void *pa, const void *pb)
{
  struct config_scope *const *a = pa, *const *b = pb;
  return strcmp((*a)->name, (*b)->name);
}

void bind_scopes(struct binder *b)
{
  size_t n = b->scopes.n;
  if (n > LIMIT_SCOPES_DECLARED) {
    report_error(b->f, statement_at(b->scopes.v[LIMIT_SCOPES_DECLARED].s),
                 "there are more than %d scopes", LIMIT_SCOPES_DECLARED);
    return;
  }
  struct config_scope **v = bind_alloc(b, n, sizeof *v);
  struct config_scope *all = bind_alloc(b, n, sizeof *all);
  if (v == NULL || all == NULL)
    return;
  for (size_t i = 0; i < n; i++) {
    all[i].name = b->scopes.v[i].name;
    all[i].at = statement_at(b->scopes.v[i].s);
    b->scopes.v[i].bound = v[i] = &all[i];
  }
  for (size_t i = 0; i < n; i++)
    bind_scope(b, &b->scopes.v[i]);
  for (size_t i = 0; i < n; i++)
    close_implied(b, &all[i]);
  for (size_t i = 0; i < n; i++)
    collect_satisfying(b, all, n, &all[i]);
  for (size_t i = 0; i < n; i++)
    scope_note(b, &all[i]);
  if (n)
    qsort(v, n, sizeof *v, scope_order);
  b->c->scopes = v;
  b->c->n_scopes = n;
}
