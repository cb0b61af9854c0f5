/* Sentences for `mcpauth check -v`: what the configuration means, in words.  Called by the passes.
 */
#include <stdarg.h>
#include <stdio.h>

#include "config/bind_service.h"
#include "util/cleanup.h"

void note(struct binder *b, const char *format, ...)
{
  char text[1024];
  va_list ap;
  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  words_add(b, &b->c->notes, bind_dup(b, str_of(text)));
}

static void put_scopes(struct buf *out, const struct config_service *s)
{
  for (size_t i = 0; i < s->n_require; i++)
    buf_printf(out, "%s%s",
               i                  ? " and "
               : s->n_require > 1 ? " with scopes "
                                  : " with scope ",
               s->require[i]->name);
}

static void put_lines(struct buf *out, const struct config_stack *s)
{
  for (size_t i = 0; i < s->n_auth; i++)
    buf_printf(out, "%s%s %s", i ? ", " : "", control_name(s->auth[i].control),
               s->auth[i].provider->name);
  for (size_t i = 0; i < s->n_account; i++)
    buf_printf(out, "%s%s", i ? ", " : "; then account ", s->account[i].provider->name);
}

/* What decides about the tools, resources or prompts of S. */
static void any_note(struct binder *b, const struct config_service *s, const char *what,
                     const char *scopes)
{
  note(b, "service %s: every %s: any granted caller%s%s%s", s->name, what, scopes,
       s->n_conditions ? " who meets what else `require` demands" : "",
       s->anonymous ? ", and every caller without a credential" : "");
}

static void kind_note(struct binder *b, const struct config_service *s, enum rule_kind kind,
                      const char *scopes)
{
  const struct config_rules *rules = &s->rules[kind];
  const char *name = rule_kind_name(kind);
  if (rules->n)
    note(b,
         "service %s: every %s: the first that matches of its %zu lines and of the hub's %zu, the "
         "stricter if both do; no line is deny",
         s->name, name, rules->n - rules->n_hub, rules->n_hub);
  else
    any_note(b, s, name, scopes);
}

void scope_note(struct binder *b, const struct config_scope *s)
{
  if (s->entitled == NULL)
    note(b, "scope %s: everybody who can sign in may hold it", s->name);
}

void service_note(struct binder *b, const struct config_service *s)
{
  CLEANUP(buf_done) struct buf scopes, lines;
  buf_init(&scopes, 512);
  buf_init(&lines, 800);
  buf_puts(&scopes, "");
  buf_puts(&lines, "");
  put_scopes(&scopes, s);
  put_lines(&lines, &s->stack);
  note(b, "service %s: %s", s->name, s->resource ? s->resource : "");
  if (s->rules[RULE_TOOL].n + s->rules[RULE_RESOURCE].n + s->rules[RULE_PROMPT].n == 0)
    any_note(b, s, "tool, resource and prompt", scopes.p);
  else
    for (enum rule_kind kind = RULE_TOOL; kind <= RULE_PROMPT; kind++)
      kind_note(b, s, kind, scopes.p);
  note(b, "service %s: asks %s", s->name,
       s->stack.n_auth ? lines.p : "nobody: it has no auth line");
}
