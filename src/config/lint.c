/* Named lints about stacks, and the risks that a block accepts.  A lint is an error or a warning;
 * `accept_risk NAME` in the block that it concerns silences it, and `check -v` lists it (rows 138,
 * 144; security.md d.4).  Lints of single statements stand where the statement is read. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/binder.h"
#include "util/cleanup.h"

/* Lints that may be accepted; the others name what can never be right. */
static const char *const acceptable[] = {
    "anonymous-operation",
    "audit-arguments",
    "audit-off",
    "broad-allow",
    "foreign-tokens",
    "guard-after-sufficient",
    "never-matching-rule",
    "open-service",
    "open-service-account",
    "plain-http-listen",
    "plain-http-public-url",
    "plain-http-upstream",
    "proxied-documents",
    "query-credential",
    "readable-secret",
    "remote-overlap",
    "remote-requisite-first",
    "same-issuer",
    "skipped-by-sufficient",
    "tasks",
    "unreachable-line",
    "unreachable-rule",
};

/* ---- accept_risk */

static void accept_one(struct binder *b, const struct word *word, struct risks *risks)
{
  bool known = false;
  for (size_t i = 0; i < ARRAY_SIZE(acceptable); i++)
    known = known || str_is(word->text, acceptable[i]);
  if (!known) {
    report_error(b->f, word->at, "there is no risk '%s' to accept%s", word->text.p,
                 report_nearest(b->scratch, word->text, acceptable, ARRAY_SIZE(acceptable)));
    return;
  }
  struct risk *v = bind_alloc(b, risks->n + 1, sizeof *v);
  if (v == NULL)
    return;
  if (risks->n)
    memcpy(v, risks->v, risks->n * sizeof *v);
  v[risks->n] = (struct risk){.name = bind_dup(b, word->text), .at = word->at};
  risks->v = v;
  risks->n++;
}

void custom_accept_risk(struct binder *b, const struct statement *s, void *target)
{
  if (s->n < 2)
    report_error(b->f, statement_at(s), "this must have the form `accept_risk NAME ...`");
  for (size_t i = 1; i < s->n; i++)
    accept_one(b, &s->words[i], target);
}

bool risk_accepted(struct risks *risks, const char *name)
{
  bool found = false;
  for (size_t i = 0; risks && i < risks->n; i++)
    if (strcmp(risks->v[i].name, name) == 0)
      found = risks->v[i].used = true;
  return found;
}

void risks_end(struct binder *b, const struct risks *risks)
{
  for (size_t i = 0; i < risks->n; i++)
    if (risks->v[i].used)
      note(b, "accepted risk: %s (%s:%u)", risks->v[i].name, risks->v[i].at.file,
           risks->v[i].at.line);
    else
      report_lint(b->f, CONFIG_WARNING, risks->v[i].at, "needless-risk",
                  "'%s' is accepted here, but nothing in this block takes that risk",
                  risks->v[i].name);
}

static void report(struct binder *b, enum config_severity severity, const char *name,
                   struct config_at at, const char *format, va_list ap)
    __attribute__((format(printf, 5, 0)));
static void report(struct binder *b, enum config_severity severity, const char *name,
                   struct config_at at, const char *format, va_list ap)
{
  char text[900];
  bool here = risk_accepted(b->risks, name), there = risk_accepted(b->more_risks, name);
  if (here || there)
    return;
  vsnprintf(text, sizeof text, format, ap);
  report_lint(b->f, severity, at, name, "%s", text);
}

void lint(struct binder *b, const char *name, struct config_at at, const char *format, ...)
{
  va_list ap;
  va_start(ap, format);
  report(b, CONFIG_ERROR, name, at, format, ap);
  va_end(ap);
}

void lint_warning(struct binder *b, const char *name, struct config_at at, const char *format, ...)
{
  va_list ap;
  va_start(ap, format);
  report(b, CONFIG_WARNING, name, at, format, ap);
  va_end(ap);
}

/* ---- what is wrong with a stack */

static bool is_guard(const struct config_line *l)
{
  return l->provider->table->flags & MCPAUTH_GUARD;
}

static bool is_remote(const struct config_line *l)
{
  return l->provider->table->flags & MCPAUTH_REMOTE;
}

static bool must(const struct config_line *l)
{
  return l->control == CONTROL_REQUIRED || l->control == CONTROL_REQUISITE;
}

static struct mcpauth_list issuers_of(const struct config_line *l)
{
  const struct mcpauth_provider *t = l->provider->table;
  return t->issuers ? t->issuers(l->provider->config) : (struct mcpauth_list){0, NULL};
}

static const char *common_issuer(const struct config_line *x, const struct config_line *y)
{
  struct mcpauth_list a = issuers_of(x), c = issuers_of(y);
  for (size_t i = 0; i < a.n; i++)
    for (size_t k = 0; k < c.n; k++)
      if (strcmp(a.v[i], c.v[k]) == 0)
        return a.v[i];
  return NULL;
}

/* Nobody could ever be granted. */
static bool lint_grants(struct binder *b, const struct config_stack *s)
{
  bool only_optional = true, only_guards = true;
  for (size_t i = 0; i < s->n_auth; i++) {
    only_optional = only_optional && s->auth[i].control == CONTROL_OPTIONAL;
    only_guards = only_guards && (is_guard(&s->auth[i]) || s->auth[i].control == CONTROL_OPTIONAL);
  }
  if (only_optional)
    report_lint(b->f, CONFIG_ERROR, s->auth[0].at, "optional-only",
                "the stack has only optional lines: it can never grant");
  else if (only_guards)
    report_lint(b->f, CONFIG_ERROR, s->auth[0].at, "guards-only",
                "no line of the stack finds out who is calling: it can never grant");
  return !only_optional && !only_guards;
}

/* Two lines and the tokens that each of them takes. */
static void lint_pair(struct binder *b, const struct config_line *x, const struct config_line *y)
{
  const char *one = x->provider->name, *two = y->provider->name, *issuer;
  if (x->provider == y->provider) {
    lint_warning(b, "unreachable-line", y->at, "'%s' stands in the stack already, at %s:%u", two,
                 x->at.file, x->at.line);
    return;
  }
  issuer = common_issuer(x, y);
  if (issuer)
    lint(b, "same-issuer", y->at, "'%s' and '%s' both take the tokens of %s", one, two, issuer);
  else if (must(x) && must(y) && issuers_of(x).n && issuers_of(y).n)
    report_lint(b->f, CONFIG_ERROR, y->at, "required-conflict",
                "'%s' and '%s' must both succeed, but no token has both their issuers", one, two);
  if (is_remote(x) && is_remote(y) && x->provider->table->claims == NULL)
    lint_warning(b, "remote-overlap", y->at,
                 "'%s' claims every credential and is asked first: '%s' is never asked", one, two);
}

/* What a success of a sufficient line leaves out. */
static void lint_skipped(struct binder *b, const struct config_stack *s)
{
  size_t first = 0, musts = 0;
  while (first < s->n_auth &&
         (s->auth[first].control != CONTROL_SUFFICIENT || is_guard(&s->auth[first])))
    first++;
  if (first == s->n_auth)
    return;
  const char *name = s->auth[first].provider->name;
  for (size_t i = first + 1; i < s->n_auth; i++) {
    const struct config_line *l = &s->auth[i];
    musts += must(l) && !is_guard(l);
    if (is_guard(l))
      lint(b, "guard-after-sufficient", l->at,
           "the guard '%s' is not asked about those whom '%s' lets in: make it an account line, or "
           "put it first",
           l->provider->name, name);
    else if (l->control == CONTROL_OPTIONAL || (must(l) && musts > 1))
      lint_warning(b, "skipped-by-sufficient", l->at,
                   "'%s' is not asked about those whom '%s' lets in", l->provider->name, name);
  }
}

void lint_stack(struct binder *b, const struct config_service *service, struct risks *more)
{
  const struct config_stack *s = &service->stack;
  if (service->anonymous && s->n_account)
    lint(b, "open-service-account", service->at,
         "account lines are not asked of callers without a credential, and 'anonymous *' lets them "
         "into service '%s'",
         service->name);
  if (s->n_auth == 0 || !lint_grants(b, s))
    return;
  b->more_risks = more;
  for (size_t i = 0; i < s->n_auth; i++)
    for (size_t k = i + 1; k < s->n_auth; k++)
      lint_pair(b, &s->auth[i], &s->auth[k]);
  lint_skipped(b, s);
  if (s->auth[0].control == CONTROL_REQUISITE && is_remote(&s->auth[0]) && s->n_auth > 1)
    lint_warning(b, "remote-requisite-first", s->auth[0].at,
                 "while '%s' cannot be reached nobody gets past this line",
                 s->auth[0].provider->name);
  b->more_risks = NULL;
}
