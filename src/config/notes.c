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
  note(b, "service %s: every tool, resource and prompt: any granted caller%s%s", s->name, scopes.p,
       s->anonymous ? ", and every caller without a credential" : "");
  note(b, "service %s: asks %s", s->name,
       s->stack.n_auth ? lines.p : "nobody: it has no auth line");
}
