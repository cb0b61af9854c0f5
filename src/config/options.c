/* The option-table engine; see options.h. */
#include "config/options.h"

#include <inttypes.h>
#include <string.h>

#include "config/binder.h"
#include "config/secrets.h"
#include "config/tables.h"
#include "util/cleanup.h"

enum { ROWS_MOST = 160 };

/* ---- the effective text */

static void indent(struct binder *b)
{
  for (unsigned i = 0; i < b->depth; i++)
    buf_puts(&b->text, "    ");
}

static void end_line(struct binder *b)
{
  if (b->mark[0])
    buf_printf(&b->text, " # %s", b->mark);
  b->mark[0] = 0;
  buf_putc(&b->text, '\n');
}

static void put_words(struct binder *b, const struct word *words, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    buf_putc(&b->text, ' ');
    word_format(&b->text, words[i].text);
  }
}

void options_line(struct binder *b, const struct statement *s)
{
  indent(b);
  buf_str(&b->text, s->words[0].text);
  put_words(b, s->words + 1, s->n - 1);
  end_line(b);
}

void options_open(struct binder *b, const struct statement *s)
{
  indent(b);
  buf_str(&b->text, s->words[0].text);
  put_words(b, s->words + 1, s->n - 1);
  buf_puts(&b->text, " {\n");
  b->depth++;
}

void options_close(struct binder *b)
{
  b->depth--;
  indent(b);
  buf_puts(&b->text, "}\n");
}

void options_tree(struct binder *b, const struct statement *s)
{
  if (s->block == NULL) {
    options_line(b, s);
    return;
  }
  options_open(b, s);
  for (const struct statement *in = s->block->first; in; in = in->next)
    options_tree(b, in);
  options_close(b);
}

/* ---- values */

static int in_range(const struct mcpauth_option *o, int64_t v, struct err *e)
{
  CLEANUP(buf_done) struct buf least, most;
  buf_init(&least, 64);
  buf_init(&most, 64);
  if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
    return 0;
  if (o->type == MCPAUTH_DURATION) {
    value_format_duration(&least, o->min);
    value_format_duration(&most, o->max);
  } else if (o->type == MCPAUTH_SIZE) {
    value_format_size(&least, o->min);
    value_format_size(&most, o->max);
  } else {
    buf_printf(&least, "%" PRId64, o->min);
    buf_printf(&most, "%" PRId64, o->max);
  }
  return err_set(e, "must be from %s to %s", least.p, most.p);
}

static int parse_number(const struct mcpauth_option *o, struct str word, int64_t *ret,
                        struct err *e)
{
  int r = o->type == MCPAUTH_DURATION ? value_duration(word, ret, e)
          : o->type == MCPAUTH_SIZE   ? value_size(word, ret, e)
                                      : value_integer(word, ret, e);
  return r < 0 ? -1 : in_range(o, *ret, e);
}

/* Checks that a string may stand for O. */
static int check_string(const struct mcpauth_option *o, struct str word, struct err *e)
{
  struct url u;
  if (word.n == 0)
    return err_set(e, "must not be empty");
  if (o->type != MCPAUTH_URL)
    return o->type == MCPAUTH_PATH ? value_path(word, e) : 0;
  if (value_url(word, &u, e) < 0)
    return -1;
  if (o->flags & MCPAUTH_HTTPS && !u.https && !url_loopback(&u))
    return err_set(e, "must be https:// (http:// only on loopback)");
  return 0;
}

/* Stores WORD, whose statement is S, where the row says; the words that spell it canonically go to
 * OUT.  -1 with E: refused. */
static int store_word(struct binder *b, const struct mcpauth_option *o, const struct word *word,
                      void *member, struct buf *out, struct err *e)
{
  int64_t number = 0;
  switch (o->type) {
  case MCPAUTH_STRING:
  case MCPAUTH_URL:
  case MCPAUTH_PATH:
    if (check_string(o, word->text, e) < 0)
      return -1;
    *(const char **)member = bind_dup(b, word->text);
    break;
  case MCPAUTH_BOOL:
    if (value_bool(word->text, member, e) < 0)
      return -1;
    break;
  case MCPAUTH_INTEGER:
  case MCPAUTH_DURATION:
  case MCPAUTH_SIZE:
    if (parse_number(o, word->text, &number, e) < 0)
      return -1;
    *(int64_t *)member = number;
    if (o->type == MCPAUTH_DURATION)
      value_format_duration(out, number);
    else if (o->type == MCPAUTH_SIZE)
      value_format_size(out, number);
    break;
  case MCPAUTH_CHOICE:
    if (value_choice(word->text, o->choices, member, e) < 0)
      return -1;
    break;
  case MCPAUTH_SECRET:
    *(const void **)member = secrets_resolve(b, word);
    break;
  case MCPAUTH_LIST:
  case MCPAUTH_PAIRS:
    return err_set(e, "cannot be read"); /* lists are not stored word by word */
  }
  if (out->n == 0)
    word_format(out, word->text);
  return 0;
}

static void bind_scalar(struct binder *b, const struct mcpauth_option *o, const struct statement *s,
                        char *target)
{
  struct err e = {""};
  CLEANUP(buf_done) struct buf out;
  buf_init(&out, 2 * 4096 + 64);
  if (s->n != 2) {
    report_error(b->f, statement_at(s), "'%s' takes one word%s: %s %s", o->name,
                 s->n > 2 && o->type == MCPAUTH_STRING ? ", or several in \"double quotes\"" : "",
                 o->name, o->metavar ? o->metavar : "VALUE");
  } else if (store_word(b, o, &s->words[1], target + o->offset, &out, &e) < 0) {
    report_error(b->f, s->words[1].at, "'%s' %s", o->name, e.text);
  } else {
    indent(b);
    buf_printf(&b->text, "%s ", o->name);
    buf_str(&b->text, buf_view(&out));
    end_line(b);
  }
}

/* All words of all statements of the row, one behind the other. */
static void bind_list(struct binder *b, const struct mcpauth_option *o,
                      const struct statement *const *all, size_t n, char *target)
{
  size_t count = 0, at = 0;
  for (size_t i = 0; i < n; i++) {
    if (all[i]->n < 2 || (o->type == MCPAUTH_PAIRS && all[i]->n != 3))
      report_error(b->f, statement_at(all[i]), "'%s' takes %s", o->name,
                   o->type == MCPAUTH_PAIRS ? "exactly two words" : "one word or more");
    count += all[i]->n - 1;
  }
  const char **v = bind_alloc(b, count, sizeof *v);
  for (size_t i = 0; v && i < n; i++) {
    for (size_t w = 1; w < all[i]->n; w++) {
      if (all[i]->words[w].text.n == 0)
        report_error(b->f, all[i]->words[w].at, "'%s' must not contain an empty word", o->name);
      v[at++] = bind_dup(b, all[i]->words[w].text);
    }
    options_line(b, all[i]);
  }
  *(struct mcpauth_list *)(void *)(target + o->offset) = (struct mcpauth_list){v ? count : 0, v};
}

/* ---- rows and statements */

/* FALLBACK as the statement that the file does not have. */
static const struct statement *default_statement(struct binder *b, const struct statement *owner,
                                                 const struct mcpauth_option *o)
{
  char *text = arena_printf(b->scratch, "%s %s", o->name, o->fallback);
  struct statement *first = NULL, **tail = &first;
  struct config_at at;
  struct err e;
  if (text == NULL ||
      tree_parse(statement_at(owner).file, str_of(text), b->scratch, &tail, &at, &e) < 0 ||
      first == NULL) {
    report_error(b->f, statement_at(owner), "the default of '%s' cannot be read", o->name);
    return NULL;
  }
  struct word *words = arena_array(b->scratch, first->n, sizeof *words);
  if (words == NULL)
    return NULL;
  for (size_t i = 0; i < first->n; i++)
    words[i] = (struct word){first->words[i].text, statement_at(owner)};
  first->words = words;
  return first;
}

static bool repeats(const struct option_spec *spec)
{
  return spec->o.type == MCPAUTH_LIST || spec->o.type == MCPAUTH_PAIRS ||
         (spec->custom && (spec->o.flags & MCPAUTH_REPEAT));
}

static void bind_row(struct binder *b, const struct option_spec *spec, char *target,
                     const struct statement *const *all, size_t n)
{
  if (!spec->custom && (spec->o.type == MCPAUTH_LIST || spec->o.type == MCPAUTH_PAIRS)) {
    bind_list(b, &spec->o, all, n, target);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    if (!spec->custom) {
      bind_scalar(b, &spec->o, all[i], target);
      continue;
    }
    spec->custom(b, all[i], target + spec->o.offset);
    if (!spec->block)
      options_line(b, all[i]);
  }
}

/* Statements of the block with the row's name, in order; second uses are reported. */
static size_t collect(struct binder *b, const struct statement *owner,
                      const struct option_spec *spec, const struct statement ***ret)
{
  size_t n = 0, at = 0;
  for (const struct statement *s = owner->block->first; s; s = s->next)
    n += str_is(s->words[0].text, spec->o.name);
  const struct statement **v = arena_array(b->scratch, n + 1, sizeof *v);
  if (v == NULL) {
    bind_no_memory(b);
    return 0;
  }
  for (const struct statement *s = owner->block->first; s; s = s->next) {
    if (!str_is(s->words[0].text, spec->o.name))
      continue;
    if (s->block && !spec->block)
      report_error(b->f, statement_at(s), "'%s' takes no block", spec->o.name);
    if (at && !repeats(spec))
      report_error(b->f, statement_at(s), "'%s' is given twice: the first stands at %s:%u:%u",
                   spec->o.name, statement_at(v[0]).file, statement_at(v[0]).line,
                   statement_at(v[0]).column);
    else
      v[at++] = s;
  }
  *ret = v;
  return at;
}

static void bind_option(struct binder *b, const struct statement *owner,
                        const struct option_spec *spec, void *target)
{
  const struct statement **all = NULL, *fallback;
  size_t n = collect(b, owner, spec, &all);
  if (n == 0 && spec->o.fallback && (fallback = default_statement(b, owner, &spec->o)) != NULL)
    bind_row(b, spec, target, &fallback, 1);
  else if (n == 0 && (spec->o.flags & MCPAUTH_REQUIRED))
    report_error(b->f, statement_at(owner), "the block has no '%s': it needs `%s %s`", spec->o.name,
                 spec->o.name, spec->o.metavar ? spec->o.metavar : "VALUE");
  else if (n)
    bind_row(b, spec, target, all, n);
}

const char *options_home(struct binder *b, struct str word)
{
  static const struct block_rows *const blocks[] = {&service_rows, &hub_rows,   &provider_rows,
                                                    &scope_rows,   &stack_rows, &policy_rows,
                                                    &oauth_rows,   &client_rows};
  const char *text = NULL;
  for (size_t i = 0; i < ARRAY_SIZE(blocks) && text == NULL; i++)
    if (str_is(word, blocks[i]->block))
      text = arena_printf(b->scratch, "; '%s' is a block of its own", blocks[i]->block);
  for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
    for (size_t k = 0; k < blocks[i]->n && text == NULL; k++)
      if (str_is(word, blocks[i]->rows[k].o.name))
        text = arena_printf(b->scratch, "; it belongs in a '%s' block", blocks[i]->block);
  return text ? text : "";
}

static void report_unknown(struct binder *b, const struct statement *owner,
                           const char *const *names, size_t n)
{
  for (const struct statement *s = owner->block->first; s; s = s->next) {
    struct word name = s->words[0];
    bool known = false;
    for (size_t i = 0; i < n && !known; i++)
      known = str_is(name.text, names[i]);
    if (known)
      continue;
    const char *near = report_nearest(b->scratch, name.text, names, n);
    report_error(
        b->f, name.at, "there is no '%s' in a '%s' block%s", name.text.p, owner->words[0].text.p,
        near[0] || str_is(owner->words[0].text, "provider") ? near : options_home(b, name.text));
  }
}

void options_bind(struct binder *b, const struct statement *owner,
                  const struct option_table *tables, size_t n_tables)
{
  const char *names[ROWS_MOST];
  size_t n = 0;
  for (size_t t = 0; t < n_tables; t++)
    for (size_t i = 0; i < tables[t].n && n < ROWS_MOST; i++)
      names[n++] = tables[t].v[i].o.name;
  report_unknown(b, owner, names, n);
  for (size_t t = 0; t < n_tables; t++)
    for (size_t i = 0; i < tables[t].n; i++)
      bind_option(b, owner, &tables[t].v[i], tables[t].target);
}

const struct option_spec *options_wrap(struct arena *arena, const struct mcpauth_option *options,
                                       size_t *ret_n)
{
  size_t n = 0;
  while (options && options[n].name)
    n++;
  struct option_spec *v = arena_array(arena, n, sizeof *v);
  for (size_t i = 0; v && i < n; i++)
    v[i].o = options[i];
  *ret_n = v ? n : 0;
  return v;
}
