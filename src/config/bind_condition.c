/* Conditions: what `require` and `for` demand, on one line or in a block, as struct
 * config_condition.  `not` is pushed down to the leaves here, so that policy meets it nowhere else.
 * Called by bind_rules.c and bind_scope.c; the rows are the words of mcpauth.d(5). */
#include <ctype.h>
#include <string.h>

#include "config/binder.h"
#include "config/pattern.h"
#include "config/tables.h"
#include "util/cleanup.h"
#include "util/decimal.h"
#include "util/limits.h"

/* What a row's function fills. */
struct leaf {
  const struct condition_place *place;
  struct config_condition *c;
};

static void take_words(struct binder *b, const struct statement *s, size_t from,
                       struct config_condition *c)
{
  for (size_t i = from; i < s->n; i++)
    words_add(b, &c->words, bind_dup(b, s->words[i].text));
}

static void leaf_scope(struct binder *b, const struct statement *s, void *target)
{
  struct leaf *l = target;
  struct scope_list list = {NULL, 0};
  l->c->kind = CONDITION_SCOPE;
  if (!l->place->scopes)
    report_error(b->f, statement_at(s), "%s cannot depend on scopes", l->place->what);
  else if (l->c->negated)
    report_error(b->f, statement_at(s),
                 "`not scope` keeps nobody out: whoever has a scope can come without it");
  else if (s->n < 2)
    report_error(b->f, statement_at(s), "this must have the form `scope NAME ...`");
  else
    scope_list_read(b, s, 1, &list);
  scope_list_sort(&list);
  l->c->scopes = list.v;
  l->c->n_scopes = list.n;
}

/* ---- values */

static bool pointer_good(struct str p)
{
  if (p.n == 0 || p.p[0] != '/')
    return false;
  for (size_t i = 0; i < p.n; i++)
    if (p.p[i] == '~' && (i + 1 == p.n || (p.p[i + 1] != '0' && p.p[i + 1] != '1')))
      return false;
  return true;
}

static const char *const operators[] = {
    [OP_EQUAL] = "=",       [OP_IN] = "in",     [OP_MATCHES] = "matches",  [OP_LESS] = "<",
    [OP_LESS_EQUAL] = "<=", [OP_GREATER] = ">", [OP_GREATER_EQUAL] = ">=",
};

static bool operator_parse(struct str word, enum condition_op *ret)
{
  for (size_t i = 1; i < ARRAY_SIZE(operators); i++)
    if (str_is(word, operators[i])) {
      *ret = (enum condition_op)i;
      return true;
    }
  return false;
}

/* The words behind the operator. */
static void take_values(struct binder *b, const struct statement *s, struct config_condition *c)
{
  struct decimal number;
  struct err e = {""};
  if (c->op != OP_IN && s->n > 4) {
    report_error(b->f, s->words[4].at, "only `in` takes several values; quote a value with blanks");
  } else if (c->op == OP_MATCHES) {
    c->pattern.text = str_of(bind_dup(b, s->words[3].text));
    if (pattern_parse_value(c->pattern.text, &c->pattern, &e) < 0)
      report_error(b->f, s->words[3].at, "the pattern %s", e.text);
  } else if (c->op >= OP_LESS && !decimal_parse(s->words[3].text, &number)) {
    report_error(b->f, s->words[3].at, "'%s' compares numbers: '%s' is none", operators[c->op],
                 s->words[3].text.p);
  }
  take_words(b, s, 3, c);
}

/* `claim` and `argument`. */
static void leaf_value(struct binder *b, const struct statement *s, void *target)
{
  struct leaf *l = target;
  struct config_condition *c = l->c;
  const char *name = s->words[0].text.p;
  c->kind = str_is(s->words[0].text, "claim") ? CONDITION_CLAIM : CONDITION_ARGUMENT;
  if (c->kind == CONDITION_ARGUMENT && !l->place->arguments) {
    report_error(b->f, statement_at(s), "%s has no arguments to look at", l->place->what);
    return;
  }
  if (s->n < 4) {
    report_error(b->f, statement_at(s),
                 "this must have the form `%s POINTER = VALUE`, `%s POINTER in VALUE ...`, `%s "
                 "POINTER matches GLOB` or `%s POINTER < NUMBER`",
                 name, name, name, name);
    return;
  }
  if (!pointer_good(s->words[1].text))
    report_error(b->f, s->words[1].at,
                 "'%s' is no JSON pointer: it begins with '/', as in /realm_access/roles",
                 s->words[1].text.p);
  if (!l->place->scopes && str_starts(s->words[1].text, "/account/"))
    lint_warning(b, "entitled-by-account", s->words[1].at,
                 "account lines are asked at requests, not at logins: "
                 "tokens of the hub will not have the scope");
  c->pointer = str_of(bind_dup(b, s->words[1].text));
  if (!operator_parse(s->words[2].text, &c->op))
    report_error(b->f, s->words[2].at,
                 "there is no comparison '%s': = in matches < <= > >=", s->words[2].text.p);
  else
    take_values(b, s, c);
}

/* ---- who */

static void leaf_words(struct binder *b, const struct statement *s, void *target)
{
  static const struct {
    const char *name;
    enum condition_kind kind;
  } kinds[] = {{"role", CONDITION_ROLE},
               {"tenant", CONDITION_TENANT},
               {"issuer", CONDITION_ISSUER},
               {"client", CONDITION_CLIENT},
               {"subject", CONDITION_SUBJECT}};
  struct leaf *l = target;
  for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
    if (str_is(s->words[0].text, kinds[i].name))
      l->c->kind = kinds[i].kind;
  l->c->op = OP_IN;
  if (s->n < 2)
    report_error(b->f, statement_at(s), "'%s' takes a value", s->words[0].text.p);
  if (l->c->kind == CONDITION_ROLE && s->n > 2)
    report_error(b->f, s->words[2].at,
                 "'role' takes one name: two lines are both, `any { role a; role b }` is either");
  for (size_t i = 1; i < s->n; i++)
    if (s->words[i].text.n == 0)
      report_error(b->f, s->words[i].at, "'%s' must not name an empty word", s->words[0].text.p);
  take_words(b, s, 1, l->c);
}

static void leaf_email_domain(struct binder *b, const struct statement *s, void *target)
{
  struct leaf *l = target;
  l->c->kind = CONDITION_EMAIL_DOMAIN;
  if (s->n < 2)
    report_error(b->f, statement_at(s), "'email_domain' takes a value");
  for (size_t i = 1; i < s->n; i++) {
    char *domain = arena_dup(b->arena, s->words[i].text);
    bool good = domain && domain[0];
    for (char *p = domain; p && *p; p++) {
      *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
      good = good && (isalnum((unsigned char)*p) || *p == '-' || *p == '.');
    }
    if (!good)
      report_error(b->f, s->words[i].at, "'%s' is no domain: write it as in example.com",
                   s->words[i].text.p);
    words_add(b, &l->c->words, domain ? domain : "");
  }
}

static void leaf_address(struct binder *b, const struct statement *s, void *target)
{
  struct leaf *l = target;
  struct cidr *v = bind_alloc(b, s->n, sizeof *v);
  l->c->kind = CONDITION_ADDRESS;
  if (s->n < 2)
    report_error(b->f, statement_at(s), "'address' takes a network: 10.0.0.0/8 or 2001:db8::/32");
  for (size_t i = 1; v && i < s->n; i++) {
    struct err e = {""};
    if (cidr_parse(s->words[i].text, &v[i - 1], &e) < 0)
      report_error(b->f, s->words[i].at, "%s", e.text);
  }
  l->c->networks = v;
  l->c->n_networks = v ? s->n - 1 : 0;
}

/* Naming a provider here does not load it: only stacks do. */
static void leaf_provider(struct binder *b, const struct statement *s, void *target)
{
  struct leaf *l = target;
  l->c->kind = CONDITION_PROVIDER;
  if (s->n < 2)
    report_error(b->f, statement_at(s), "'provider' takes a name");
  for (size_t i = 1; i < s->n; i++) {
    struct named *n = names_look(b, &b->providers, &s->words[i]);
    if (n)
      words_add(b, &l->c->words, n->name);
  }
}

static const struct option_spec rows[] = {
    STATEMENT("scope", leaf_scope, "NAME ...", "the caller holds all these scopes", .flags = 0),
    STATEMENT("role", leaf_words, "NAME",
              "the principal's claim /role is the name or has it in its list", .flags = 0),
    STATEMENT("tenant", leaf_words, "NAME ...", "the claim /tenant is one of these", .flags = 0),
    STATEMENT("claim", leaf_value,
              "POINTER = VALUE | in VALUE ... | matches GLOB | < <= > >= NUMBER",
              "a claim of the principal, or of an account line below /account", .flags = 0),
    STATEMENT("issuer", leaf_words, "URL ...", "who vouches for the caller", .flags = 0),
    STATEMENT("client", leaf_words, "ID ...", "the client that the caller uses", .flags = 0),
    STATEMENT("subject", leaf_words, "ID ...", "the caller, by the issuer's name", .flags = 0),
    STATEMENT("email_domain", leaf_email_domain, "DOMAIN ...",
              "the caller's verified mail address is in one of these domains, not below them",
              .flags = 0),
    STATEMENT("address", leaf_address, "NETWORK ...", "where the caller comes from", .flags = 0),
    STATEMENT("provider", leaf_provider, "NAME ...", "the provider that recognised the caller",
              .flags = 0),
    STATEMENT("argument", leaf_value,
              "POINTER = VALUE | in VALUE ... | matches GLOB | < <= > >= NUMBER",
              "an argument of the call, in lines of tools and prompts", .flags = 0),
    BLOCK("any", NULL, "{ ... }", "one of the conditions in the block", .flags = 0),
    BLOCK("all", NULL, "{ ... }", "all of them", .flags = 0),
    BLOCK("not", NULL, "CONDITION",
          "the condition is not met, and what it looks at is there; not before scope", .flags = 0),
};
const struct block_rows condition_rows = {"require", rows, ARRAY_SIZE(rows)};

/* ---- one condition, and blocks of them */

static const struct option_spec *find_row(struct binder *b, const struct word *name)
{
  const char *names[ARRAY_SIZE(rows)];
  for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
    if (str_is(name->text, rows[i].o.name))
      return &rows[i];
    names[i] = rows[i].o.name;
  }
  report_error(b->f, name->at, "there is no condition '%s'%s", name->text.p,
               report_choices(b->scratch, name->text, names, ARRAY_SIZE(names)));
  return NULL;
}

static void bind_leaf(struct binder *b, const struct condition_place *place,
                      const struct option_spec *row, const struct statement *s,
                      struct config_condition *ret)
{
  struct leaf leaf = {place, ret};
  if (s->block)
    report_error(b->f, statement_at(s), "'%s' takes no block", row->o.name);
  else
    row->custom(b, s, &leaf);
}

static bool count_one(struct binder *b, const struct condition_place *place, struct config_at at)
{
  if (++*place->count == LIMIT_CONDITIONS + 1)
    report_error(b->f, at, "there are more than %d conditions", LIMIT_CONDITIONS);
  return *place->count <= LIMIT_CONDITIONS;
}

void conditions_bind(struct binder *b, const struct condition_place *place,
                     const struct block *block, struct config_at at, bool negated,
                     struct condition_list *ret)
{
  size_t n = 0;
  for (const struct statement *s = block->first; s; s = s->next)
    n++;
  if (n == 0)
    report_error(b->f, at, "the block has no condition");
  struct config_condition *v = bind_alloc(b, n, sizeof *v);
  if (v == NULL)
    return;
  size_t i = 0;
  for (const struct statement *s = block->first; s; s = s->next)
    condition_bind(b, place, s, negated, &v[i++]);
  *ret = (struct condition_list){v, n};
}

/* `any { }`, `all { }` and, NEGATED, their opposites. */
static void bind_group(struct binder *b, const struct condition_place *place,
                       const struct statement *s, bool any, bool negated,
                       struct config_condition *ret)
{
  struct condition_list list = {NULL, 0};
  if (s->block == NULL || s->n > 1) {
    report_error(b->f, statement_at(s), "this must have the form `%s { ... }`", s->words[0].text.p);
    return;
  }
  conditions_bind(b, place, s->block, statement_at(s), negated, &list);
  ret->kind = any != negated ? CONDITION_ANY : CONDITION_ALL;
  ret->v = list.v;
  ret->n = list.n;
}

static void bind_not(struct binder *b, const struct condition_place *place,
                     const struct statement *s, bool negated, struct config_condition *ret)
{
  const struct statement rest = {s->words + 1, s->n - 1, s->block, NULL};
  if (rest.n)
    condition_bind(b, place, &rest, !negated, ret);
  else
    report_error(b->f, statement_at(s), "this must have the form `not CONDITION`");
}

void condition_bind(struct binder *b, const struct condition_place *place,
                    const struct statement *s, bool negated, struct config_condition *ret)
{
  *ret = (struct config_condition){.at = statement_at(s), .negated = negated};
  const struct option_spec *row = find_row(b, &s->words[0]);
  if (row == NULL || !count_one(b, place, ret->at))
    return;
  bool any = str_is(s->words[0].text, "any");
  if (any || str_is(s->words[0].text, "all")) {
    ret->negated = false;
    bind_group(b, place, s, any, negated, ret);
  } else if (str_is(s->words[0].text, "not")) {
    bind_not(b, place, s, negated, ret);
  } else {
    bind_leaf(b, place, row, s, ret);
  }
}

void conditions_after(struct binder *b, const struct condition_place *place,
                      const struct statement *s, size_t from, struct condition_list *ret)
{
  const struct statement rest = {s->words + from, s->n - from, s->block, NULL};
  if (rest.n) {
    struct config_condition *v = bind_alloc(b, 1, sizeof *v);
    if (v == NULL)
      return;
    condition_bind(b, place, &rest, false, v);
    *ret = (struct condition_list){v, 1};
  } else if (s->block) {
    conditions_bind(b, place, s->block, statement_at(s), false, ret);
  } else {
    report_error(b->f, statement_at(s), "`%s` needs a condition, or a block of them",
                 s->words[from - 1].text.p);
  }
}
