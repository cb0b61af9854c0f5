/* Stack lines: `auth CONTROL PROVIDER`, `auth include STACK`, `account PROVIDER`, as they stand in
 * hub, service and stack blocks, and their flattening.  An included stack brings its account lines
 * along, before the block's own: leaving them behind would drop a guard without a word.  Called by
 * bind.c. */
#include <string.h>

#include "config/binder.h"
#include "config/tables.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ---- reading lines */

static void add_line(struct binder *b, struct line_list *list, const struct line_source *line)
{
  struct line_source *v = bind_alloc(b, list->n + 1, sizeof *v);
  if (v == NULL)
    return;
  if (list->n)
    memcpy(v, list->v, list->n * sizeof *v);
  v[list->n] = *line;
  list->v = v;
  list->n++;
  list->n_auth += line->kind != LINE_ACCOUNT;
}

static const char *nearest_control(struct binder *b, struct str word)
{
  static const char *const words[] = {"required", "requisite", "sufficient", "optional", "include"};
  return report_choices(b->scratch, word, words, ARRAY_SIZE(words));
}

static void read_auth(struct binder *b, const struct statement *s, struct line_list *list)
{
  struct line_source line = {.at = statement_at(s), .kind = LINE_AUTH};
  if (!statement_form(b, s, 2, 2, "auth CONTROL PROVIDER` or `auth include STACK")) {
    list->broken = true;
    return;
  }
  if (str_is(s->words[1].text, "include")) {
    line.kind = LINE_INCLUDE;
    line.named = names_find(b, &b->stacks, &s->words[2]);
  } else if (!control_parse(s->words[1].text, &line.control)) {
    report_error(b->f, s->words[1].at, "there is no control '%s'%s", s->words[1].text.p,
                 nearest_control(b, s->words[1].text));
  } else {
    line.named = names_find(b, &b->providers, &s->words[2]);
  }
  if (line.named)
    add_line(b, list, &line);
  else
    list->broken = true;
}

static void read_account(struct binder *b, const struct statement *s, struct line_list *list)
{
  struct line_source line = {.at = statement_at(s), .kind = LINE_ACCOUNT};
  if (s->n == 3 && str_is(s->words[1].text, "include"))
    report_error(b->f, s->words[1].at,
                 "`account include` does not exist: `auth include %s` brings its account lines too",
                 s->words[2].text.p);
  else if (statement_form(b, s, 1, 1, "account PROVIDER") &&
           (line.named = names_find(b, &b->providers, &s->words[1])) != NULL)
    add_line(b, list, &line);
}

void custom_line(struct binder *b, const struct statement *s, void *target)
{
  if (str_is(s->words[0].text, "auth"))
    read_auth(b, s, target);
  else
    read_account(b, s, target);
}

/* ---- stack blocks */

static const struct option_spec rows[] = {
    STATEMENT("auth", custom_line, "CONTROL PROVIDER | include STACK",
              "finds out who is calling; controls: required requisite sufficient optional",
              .flags = MCPAUTH_REPEAT),
    STATEMENT("account", custom_line, "PROVIDER", "asked after a grant, on every request",
              .flags = MCPAUTH_REPEAT),
};
const struct block_rows stack_rows = {"stack", rows, ARRAY_SIZE(rows)};

/* Whether a chain of includes from NAMED is at most DEPTH long.  PATH holds the stacks above. */
static bool includes_end(struct binder *b, struct named *named, struct named **path, size_t depth)
{
  const struct line_list *list = named->bound;
  path[depth] = named;
  for (size_t i = 0; i < list->n; i++) {
    const struct line_source *line = &list->v[i];
    if (line->kind != LINE_INCLUDE)
      continue;
    for (size_t k = 0; k <= depth; k++)
      if (path[k] == line->named) {
        report_error(b->f, line->at, "the stack '%s' includes itself", line->named->name);
        return false;
      }
    if (depth + 1 >= LIMIT_INCLUDE_DEPTH) {
      report_error(b->f, line->at, "includes are more than %d deep", LIMIT_INCLUDE_DEPTH);
      return false;
    }
    if (!includes_end(b, line->named, path, depth + 1))
      return false;
  }
  return true;
}

void bind_stacks(struct binder *b)
{
  struct names *stacks = &b->stacks;
  for (size_t i = 0; i < stacks->n; i++)
    if ((stacks->v[i].bound = bind_alloc(b, 1, sizeof(struct line_list))) == NULL)
      return;
  for (size_t i = 0; i < stacks->n; i++) {
    struct option_table table = {rows, ARRAY_SIZE(rows), stacks->v[i].bound};
    options_open(b, stacks->v[i].s);
    options_bind(b, stacks->v[i].s, &table, 1);
    options_close(b);
    const struct line_list *list = stacks->v[i].bound;
    if (list->n_auth == 0 && !list->broken)
      report_lint(b->f, CONFIG_ERROR, statement_at(stacks->v[i].s), "empty-stack",
                  "the stack '%s' has no auth line: it can never grant", stacks->v[i].name);
  }
  for (size_t i = 0; i < stacks->n; i++) {
    struct named *path[LIMIT_INCLUDE_DEPTH];
    stacks->v[i].good = includes_end(b, &stacks->v[i], path, 0);
  }
}

/* ---- kinds */

void lines_check(struct binder *b, const struct line_list *list)
{
  for (size_t i = 0; list && i < list->n; i++) {
    const struct line_source *line = &list->v[i];
    const struct config_provider *p = line->named->bound;
    if (line->kind == LINE_INCLUDE || p == NULL)
      continue;
    if (line->kind == LINE_AUTH ? p->table->verify || p->table->login_begin
                                : p->table->account != NULL)
      continue;
    line->named->good = false; /* the lints may not rely on it */
    report_error(b->f, line->at, "'%s' cannot stand here: the module '%s' serves %s lines only",
                 p->name, p->module, line->kind == LINE_AUTH ? "account" : "auth");
  }
}

/* ---- flattening */

struct flat {
  struct config_line auth[LIMIT_STACK_LINES], account[LIMIT_STACK_LINES];
  size_t n_auth, n_account;
  bool full;
};

static void put(struct flat *f, const struct line_source *line)
{
  const struct config_provider *provider = line->named->bound;
  struct config_line flat = {line->at, line->control, provider};
  if (provider == NULL)
    return;
  if (line->kind == LINE_ACCOUNT) {
    for (size_t i = 0; i < f->n_account; i++)
      if (f->account[i].provider == provider)
        return; /* asked once, however many includes name it */
    flat.control = 0;
    if (f->n_account < LIMIT_STACK_LINES)
      f->account[f->n_account++] = flat;
    else
      f->full = true;
  } else if (f->n_auth < LIMIT_STACK_LINES) {
    f->auth[f->n_auth++] = flat;
  } else {
    f->full = true;
  }
}

static void flatten(struct flat *f, const struct line_list *list)
{
  for (size_t i = 0; i < list->n && !f->full; i++) {
    const struct line_source *line = &list->v[i];
    if (line->kind != LINE_INCLUDE)
      put(f, line);
    else if (line->named->good) /* no loop behind it */
      flatten(f, line->named->bound);
  }
}

static const struct config_line *keep(struct binder *b, const struct config_line *lines, size_t n)
{
  struct config_line *v = bind_alloc(b, n, sizeof *v);
  if (v && n)
    memcpy(v, lines, n * sizeof *v);
  return v;
}

void stack_flatten(struct binder *b, struct config_at at, const struct line_list *const *lists,
                   size_t n, struct config_stack *ret)
{
  struct flat f = {.n_auth = 0};
  for (size_t i = 0; i < n; i++)
    flatten(&f, lists[i]);
  if (f.full)
    report_error(b->f, at, "the stack has more than %d lines with its includes", LIMIT_STACK_LINES);
  *ret = (struct config_stack){f.n_auth, f.n_account, keep(b, f.auth, f.n_auth),
                               keep(b, f.account, f.n_account)};
}
