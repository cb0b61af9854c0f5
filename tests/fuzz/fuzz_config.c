/* Configurations: any text is refused with a reason, or its effective configuration loads again to
 * the same text and the same fingerprint.  The first byte chooses whether a hub with a stack is
 * read beside it, so that inputs get behind "there is no hub". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_modules.h"
#include "config/bind.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char base[] = "hub { public_url http://127.0.0.1:8080; auth include staff }\n"
                           "provider tokens { file /etc/tokens }\n"
                           "stack staff { auth required tokens }\n";

/* NULL when refused, which must have a reason. */
static struct config *load(const struct config_source *v, size_t n)
{
  struct arena *arena = arena_new(1 << 20);
  struct config_report report;
  struct findings f;
  if (arena == NULL || findings_init(&f, arena, &report) < 0)
    abort();
  struct config *c = config_bind("/conf", v, n, &fake_modules, geteuid(), &f);
  findings_sort(&f);
  if ((c == NULL) != (report.errors > 0))
    abort();
  for (size_t i = 0; i < report.n; i++)
    if (report.v[i].text == NULL || report.v[i].text[0] == 0)
      abort();
  arena_free(arena);
  return c;
}

/* What others rely on without looking. */
static void check_service(const struct config_service *s)
{
  if (s->resource == NULL || s->host == NULL || s->upstream.url == NULL || s->n_accept == 0)
    abort();
  if (s->path.n && (s->path.p[0] != '/' || s->path.p[s->path.n - 1] == '/'))
    abort();
  if (s->stack.n_auth == 0 && !s->anonymous)
    abort();
  for (size_t i = 0; i < s->stack.n_auth; i++)
    if (s->stack.auth[i].provider->table->verify == NULL ||
        control_name(s->stack.auth[i].control) == NULL)
      abort();
  for (size_t i = 0; i < s->stack.n_account; i++)
    if (s->stack.account[i].provider->table->account == NULL)
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  if (n == 0)
    return 0;
  setenv("GOOD", "correct horse battery staple", 1);
  const struct config_source v[] = {{"case.conf", {(const char *)p + 1, n - 1}},
                                    {"base.conf", str_of(base)}};
  struct config *c = load(v, p[0] == '+' ? 2 : 1);
  if (c == NULL)
    return 0;
  for (size_t i = 0; i < c->n_services; i++)
    check_service(&c->services[i]);
  struct config_source printed = {"printed.conf", str_of(c->canonical)};
  struct config *again = load(&printed, 1);
  if (again == NULL || strcmp(again->canonical, c->canonical) != 0 ||
      strcmp(again->fingerprint, c->fingerprint) != 0) {
    fprintf(stderr, "%s", c->canonical);
    abort();
  }
  config_free(again);
  config_free(c);
  return 0;
}
