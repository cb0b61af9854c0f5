/* `provider NAME { }`: the host's own rows, then the rows of the module's table.  Only providers
 * that a line names are loaded.  Called by bind.c. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "config/binder.h"
#include "config/tables.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* What the host itself reads in a provider's block. */
struct provider_options {
  const char *module;
  struct scope_list scopes;
  int64_t deadline;
  const char *ca_file, *egress_proxy;
  struct risks risks;
};

#define AT(member) .offset = offsetof(struct provider_options, member)

static const struct option_spec rows[] = {
    STATEMENT("accept_risk", custom_accept_risk, "NAME ...",
              "named risks of this block that are taken", AT(risks), .flags = MCPAUTH_REPEAT),
    OPTION("module", MCPAUTH_STRING, "NAME",
           "the provider to load; by default the block's own name", AT(module)),
    STATEMENT("scopes", custom_scopes, "SCOPE ...", "given to everybody that it recognises",
              AT(scopes), .flags = MCPAUTH_REPEAT),
    OPTION("deadline", MCPAUTH_DURATION, "TIME", "for one call; past it the answer is UNAVAIL",
           AT(deadline), .fallback = "5s", .min = 10, .max = 120000),
    STATEMENT("ca_file", custom_ca_file, "PATH", "certificates to trust instead of the hub's (PEM)",
              AT(ca_file)),
    STATEMENT("egress_proxy", custom_proxy, "URL", "proxy for connections on its behalf",
              AT(egress_proxy)),
};
const struct block_rows provider_rows = {"provider", rows, ARRAY_SIZE(rows)};

static bool module_name(struct str s)
{
  bool good = s.n > 0 && s.n <= 64 && s.p[0] >= 'a' && s.p[0] <= 'z';
  for (size_t i = 0; i < s.n; i++)
    good = good &&
           ((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-');
  return good;
}

/* The word that names the module: that of `module`, or the block's name. */
static const struct word *module_word(const struct statement *s)
{
  for (const struct statement *in = s->block->first; in; in = in->next)
    if (str_is(in->words[0].text, "module") && in->n == 2)
      return &in->words[1];
  return &s->words[1];
}

static const char *nearest_module(struct binder *b, struct str word)
{
  const char **names = NULL;
  size_t n = b->modules->names ? b->modules->names(b->modules->self, b->scratch, &names) : 0;
  return n ? report_nearest(b->scratch, word, names, n) : "";
}

/* What helps, beyond what the loader has SAID. */
static const char *module_advice(struct binder *b, const struct statement *s,
                                 const struct word *word, const char *said)
{
  const char *near = strstr(said, "did you mean") ? "" : nearest_module(b, word->text);
  if (near[0] == 0 && word == &s->words[1])
    return "; a block that is not called like its module needs `module NAME`";
  return near;
}

static bool load_module(struct binder *b, const struct statement *s, struct config_provider *p)
{
  const struct word *word = module_word(s);
  struct err e = {""};
  if (!module_name(word->text)) {
    report_error(b->f, word->at,
                 "'%s' is no module name: a module has lower-case letters, digits "
                 "and '-', and begins with a letter",
                 word->text.p);
    return false;
  }
  p->module = bind_dup(b, word->text);
  if ((p->table = config_builtin(word->text)) != NULL)
    return true;
  p->table = b->modules->load(b->modules->self, p->module, b->arena, &p->path, &e);
  if (p->table == NULL)
    report_error(b->f, word->at, "the module '%s' cannot be used: %s%s", p->module, e.text,
                 module_advice(b, s, word, e.text));
  return p->table != NULL;
}

/* An upgraded module is another configuration. */
static void digest_module(struct binder *b, const struct config_provider *p)
{
  struct stat st;
  char text[256] = "";
  if (p->path && stat(p->path, &st) == 0)
    snprintf(text, sizeof text, "%llu %llu %lld %lld.%09ld", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec);
  bind_digest(b, str_of(text));
}

/* A row of the module that the host has too would never be seen by the module. */
static void check_reserved(struct binder *b, const struct statement *s,
                           const struct option_spec *own, size_t n)
{
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
      if (strcmp(own[i].o.name, rows[k].o.name) == 0)
        report_error(b->f, statement_at(s), "the module's option '%s' is the hub's own name",
                     own[i].o.name);
}

static void copy(struct binder *b, struct config_provider *p, const struct provider_options *o)
{
  p->ca_file = o->ca_file;
  p->egress_proxy = o->egress_proxy;
  p->deadline_ms = o->deadline;
  for (size_t i = 0; i < o->scopes.n; i++)
    words_add(b, &p->scopes, o->scopes.v[i]->name);
}

static struct config_at option_at(const struct statement *s, const char *option)
{
  for (const struct statement *in = s->block->first; option && in; in = in->next)
    if (str_is(in->words[0].text, option))
      return statement_at(in);
  return statement_at(s);
}

/* The module's own rules between its options; only for blocks that are good so far. */
static void run_check(struct binder *b, const struct statement *s, const struct config_provider *p)
{
  struct err e = {""};
  const char *option = NULL;
  if (b->modules->check && b->modules->check(b->modules->self, p, &option, &e) < 0)
    report_error(b->f, option_at(s, option), "provider '%s': %s", p->name,
                 e.text[0] ? e.text : "its check refused the options and gave no reason");
}

/* A module that logs people in may take its provider's own tokens, under this word. */
static void lint_own_tokens(struct binder *b, const struct statement *s,
                            const struct config_provider *p)
{
  static const char word[] = "own_tokens";
  for (const struct mcpauth_option *o = p->table->options; o && o->name; o++)
    if (strcmp(o->name, word) == 0 && o->type == MCPAUTH_BOOL &&
        *(const bool *)((const char *)p->config + o->offset))
      lint_warning(b, "foreign-tokens", option_at(s, word),
                   "'%s' also accepts tokens that the hub did not issue: they are good for every "
                   "service that takes them, and end only when their provider ends them",
                   p->name);
}

static void bind_provider(struct binder *b, struct named *n, struct config_provider *p)
{
  size_t errors = b->f->report->errors, n_own;
  struct provider_options o = {.module = NULL};
  p->at = statement_at(n->s);
  p->name = n->name;
  if (!load_module(b, n->s, p))
    return;
  n->bound = p;
  p->config = bind_alloc(b, p->table->config_size ? p->table->config_size : 1, 1);
  const struct option_spec *own = options_wrap(b->scratch, p->table->options, &n_own);
  if (p->config == NULL || own == NULL) {
    bind_no_memory(b);
    return;
  }
  check_reserved(b, n->s, own, n_own);
  b->risks = &o.risks;
  size_t text = b->text.n;
  options_open(b, n->s);
  options_bind(b, n->s,
               (struct option_table[]){{rows, ARRAY_SIZE(rows), &o}, {own, n_own, p->config}}, 2);
  options_close(b);
  if (n->builtin)
    buf_cut(&b->text, text); /* the effective text shows what can stand in a file */
  digest_module(b, p);
  lint_own_tokens(b, n->s, p);
  risks_end(b, &o.risks);
  copy(b, p, &o);
  n->good = b->f->report->errors == errors;
  if (n->good)
    run_check(b, n->s, p);
}

void bind_providers(struct binder *b)
{
  size_t n = 0, at = 0;
  for (size_t i = 0; i < b->providers.n; i++)
    n += b->providers.v[i].used;
  struct config_provider *v = bind_alloc(b, n, sizeof *v);
  if (v == NULL)
    return;
  for (size_t i = 0; i < b->providers.n; i++)
    if (b->providers.v[i].used) {
      v[at].index = (unsigned)at;
      bind_provider(b, &b->providers.v[i], &v[at++]);
    }
  b->c->providers = v;
  b->c->n_providers = n;
}
