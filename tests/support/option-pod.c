/* Prints the host's option tables as POD: `option-pod BLOCK`, one item a statement, for the
 * sections of mcpauth.d(5).  tests/hub/test_manual.py fails when the page says something else. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/tables.h"
#include "config/values.h"
#include "util/cleanup.h"

static const struct block_rows *const blocks[] = {
    &hub_rows,    &admin_rows, &listen_rows,  &provider_rows, &scope_rows, &condition_rows,
    &policy_rows, &stack_rows, &service_rows, &oauth_rows,    &client_rows};

static void put_value(const struct mcpauth_option *o, int64_t value)
{
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, 64);
  if (o->type == MCPAUTH_DURATION)
    value_format_duration(&text, value);
  else if (o->type == MCPAUTH_SIZE)
    value_format_size(&text, value);
  else
    buf_printf(&text, "%" PRId64, value);
  printf("%s", text.p);
}

static void put_row(const struct option_spec *spec)
{
  const struct mcpauth_option *o = &spec->o;
  printf("=item B<%s> I<%s>\n\n", o->name, o->metavar);
  printf("%c%s.", o->help[0] >= 'a' && o->help[0] <= 'z' ? o->help[0] - 32 : o->help[0],
         o->help + 1);
  if (o->max) {
    printf(" From ");
    put_value(o, o->min);
    printf(" to ");
    put_value(o, o->max);
    printf(".");
  }
  if (o->fallback)
    printf(" Default: C<%s>.", o->fallback);
  if (o->flags & MCPAUTH_REQUIRED)
    printf(" Required.");
  if (o->flags & MCPAUTH_REPEAT)
    printf(" May be repeated.");
  printf("\n\n");
}

int main(int argc, char **argv)
{
  for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(blocks); i++) {
    if (strcmp(argv[1], blocks[i]->block) != 0)
      continue;
    printf("=over 4\n\n");
    for (size_t k = 0; k < blocks[i]->n; k++)
      put_row(&blocks[i]->rows[k]);
    printf("=back\n");
    return 0;
  }
  fprintf(stderr, "usage: option-pod "
                  "hub|admin|listen|provider|scope|require|policy|stack|service|oauth|client\n");
  return 2;
}
