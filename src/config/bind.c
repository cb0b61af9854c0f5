/* The passes of binding, and what they share; see bind.h and binder.h. */
#include "config/bind.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/binder.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/safefile.h"

enum { TEXT_MOST = 16 * 1024 * 1024 };

/* ---- shared pieces */

void bind_no_memory(struct binder *b)
{
  report_error(b->f, (struct config_at){NULL, 0, 0}, "out of memory");
}

const char *bind_dup(struct binder *b, struct str s)
{
  char *copy = arena_dup(b->arena, s);
  if (copy == NULL)
    bind_no_memory(b);
  return copy ? copy : "";
}

void *bind_alloc(struct binder *b, size_t n, size_t size)
{
  void *p = arena_array(b->arena, n, size);
  if (p == NULL)
    bind_no_memory(b);
  return p;
}

void words_add(struct binder *b, struct config_words *list, const char *word)
{
  const char **v = bind_alloc(b, list->n + 1, sizeof *v);
  if (v == NULL)
    return;
  if (list->n)
    memcpy(v, list->v, list->n * sizeof *v);
  v[list->n] = word;
  *list = (struct config_words){list->n + 1, v};
}

bool config_words_have_str(const struct config_words *w, struct str word)
{
  for (size_t i = 0; i < w->n; i++)
    if (str_is(word, w->v[i]))
      return true;
  return false;
}

bool config_words_have(const struct config_words *w, const char *word)
{
  return config_words_have_str(w, str_of(word));
}

/* The length goes first, so that no two lists of contents look alike. */
void bind_digest(struct binder *b, struct str content)
{
  uint64_t n = content.n;
  if (EVP_DigestUpdate(b->digest, &n, sizeof n) != 1 ||
      EVP_DigestUpdate(b->digest, content.p ? content.p : "", content.n) != 1)
    bind_no_memory(b);
}

struct str bind_read_file(struct binder *b, const struct word *path, size_t max)
{
  struct err e = {""};
  struct buf content;
  struct str copy = {NULL, 0};
  buf_init(&content, max);
  if (value_path(path->text, &e) < 0 ||
      safefile_read_as(path->text.p, max, false, b->user_id, &content, NULL, &e) < 0) {
    report_error(b->f, path->at, "%s", e.text);
  } else {
    copy = arena_str(b->arena, buf_view(&content));
    bind_digest(b, copy);
  }
  buf_done(&content);
  return copy;
}

bool statement_form(struct binder *b, const struct statement *s, size_t least, size_t most,
                    const char *form)
{
  if (s->n - 1 >= least && s->n - 1 <= most)
    return true;
  report_error(b->f, statement_at(s), "this must have the form `%s`", form);
  return false;
}

/* ---- the named blocks */

static const char *nearest_name(struct binder *b, const struct names *names, struct str word)
{
  const char **v = arena_array(b->scratch, names->n, sizeof *v);
  for (size_t i = 0; v && i < names->n; i++)
    v[i] = names->v[i].name;
  return v ? report_nearest(b->scratch, word, v, names->n) : "";
}

/* A stack that stands where a provider should, or the other way round. */
static const char *other_kind(struct binder *b, const struct names *names, struct str word)
{
  const struct names *others = names == &b->stacks      ? &b->providers
                               : names == &b->providers ? &b->stacks
                                                        : NULL;
  for (size_t i = 0; others && i < others->n; i++)
    if (str_is(word, others->v[i].name))
      return names == &b->stacks ? "; it is a provider: `auth CONTROL PROVIDER`"
                                 : "; it is a stack: `auth include STACK`";
  return nearest_name(b, names, word);
}

struct named *names_look(struct binder *b, struct names *names, const struct word *word)
{
  for (size_t i = 0; i < names->n; i++)
    if (str_is(word->text, names->v[i].name))
      return &names->v[i];
  report_error(b->f, word->at, "there is no %s '%s'%s", names->noun, word->text.p,
               other_kind(b, names, word->text));
  return NULL;
}

struct named *names_find(struct binder *b, struct names *names, const struct word *word)
{
  struct named *n = names_look(b, names, word);
  if (n)
    n->used = true;
  return n;
}

static void add_named(struct binder *b, struct names *names, const struct statement *s)
{
  struct err e = {""};
  if (s->n != 2 || s->block == NULL) {
    report_error(b->f, statement_at(s), "this must have the form `%s NAME { ... }`", names->noun);
    return;
  }
  struct word name = s->words[1];
  if ((names == &b->scopes ? value_scope : value_name)(name.text, &e) < 0) {
    report_error(b->f, name.at, "%s", e.text);
    return;
  }
  for (size_t i = 0; i < names->n; i++)
    if (str_is(name.text, names->v[i].name)) {
      struct config_at first = statement_at(names->v[i].s);
      report_error(b->f, name.at, "there are two %s%s '%s': the first stands at %s:%u:%u",
                   names == &b->policies ? "policie" : names->noun, "s", name.text.p, first.file,
                   first.line, first.column);
      return;
    }
  names->v[names->n++] = (struct named){.name = bind_dup(b, name.text), .s = s};
}

/* A block without a name. */
static void add_only(struct binder *b, const struct statement *s, const struct statement **only)
{
  const char *word = s->words[0].text.p;
  if (s->n != 1 || s->block == NULL) {
    report_error(b->f, statement_at(s), "this must have the form `%s { ... }`", word);
  } else if (*only) {
    struct config_at first = statement_at(*only);
    report_error(b->f, statement_at(s), "there are two %s blocks: the first stands at %s:%u:%u",
                 word, first.file, first.line, first.column);
  } else {
    *only = s;
  }
}

static int names_init(struct binder *b, struct names *names, const char *noun, size_t room)
{
  *names = (struct names){.noun = noun, .v = arena_array(b->scratch, room, sizeof *names->v)};
  return names->v ? 0 : -1;
}

static void unknown_block(struct binder *b, const struct statement *s, const char *const *known,
                          size_t n)
{
  struct str word = s->words[0].text;
  const char *home = options_home(b, word);
  report_error(b->f, statement_at(s), "there is no '%s' block%s", word.p,
               home[0] ? home : report_nearest(b->scratch, word, known, n));
}

static void sort_out(struct binder *b, const struct statement *first)
{
  static const char *const known[] = {"hub",    "oauth", "provider", "scope",
                                      "policy", "stack", "service",  "client"};
  struct names *kinds[] = {&b->providers, &b->scopes,   &b->policies,
                           &b->stacks,    &b->services, &b->clients};
  size_t n = 0;
  for (const struct statement *s = first; s; s = s->next)
    n++;
  for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
    if (names_init(b, kinds[i], known[i + 2], n + 2) < 0) {
      bind_no_memory(b);
      return;
    }
  for (const struct statement *s = first; s; s = s->next) {
    struct str word = s->words[0].text;
    size_t i = 0;
    while (i < ARRAY_SIZE(known) && !str_is(word, known[i]))
      i++;
    if (i < 2)
      add_only(b, s, i == 0 ? &b->hub : &b->oauth);
    else if (i < ARRAY_SIZE(known))
      add_named(b, kinds[i - 2], s);
    else
      unknown_block(b, s, known, ARRAY_SIZE(known));
  }
  builtin_add(b);
}

/* ---- the whole */

/* SHA-256 over the effective text and what it does not show. */
static void fingerprint(struct binder *b)
{
  unsigned char sum[32];
  unsigned n = sizeof sum;
  bind_digest(b, buf_view(&b->text));
  if (EVP_DigestFinal_ex(b->digest, sum, &n) != 1) {
    bind_no_memory(b);
    return;
  }
  for (size_t i = 0; i < sizeof sum; i++)
    snprintf(b->c->fingerprint + 2 * i, 3, "%02x", sum[i]);
}

static void lint_unused(struct binder *b)
{
  for (size_t i = 0; i < b->providers.n; i++)
    if (!b->providers.v[i].used && !b->providers.v[i].builtin)
      report_lint(b->f, CONFIG_WARNING, statement_at(b->providers.v[i].s), "unused-provider",
                  "no stack names the provider '%s': it is not loaded, and its options are not "
                  "checked",
                  b->providers.v[i].name);
  for (size_t i = 0; i < b->stacks.n; i++)
    if (!b->stacks.v[i].used)
      report_lint(b->f, CONFIG_WARNING, statement_at(b->stacks.v[i].s), "unused-stack",
                  "nothing includes the stack '%s'", b->stacks.v[i].name);
  for (size_t i = 0; i < b->policies.n; i++)
    if (!b->policies.v[i].used)
      report_lint(b->f, CONFIG_WARNING, statement_at(b->policies.v[i].s), "unused-policy",
                  "nothing names the policy '%s'", b->policies.v[i].name);
}

static void bind_all(struct binder *b, const struct statement *first)
{
  sort_out(b, first);
  if (b->hub == NULL)
    report_error(b->f, (struct config_at){b->c->dir, 0, 0},
                 "there is no hub block: one *.conf file must have `hub { public_url URL }`");
  bind_scopes(b);
  bind_policies(b);
  bind_hub(b);
  bind_stacks(b);
  bind_services(b);
  bind_oauth(b);
  bind_clients(b);
  bind_providers(b);
  bind_resolve_services(b);
  bind_resolve_oauth(b);
  lint_unused(b);
  if (b->services.n == 0)
    report_lint(b->f, CONFIG_WARNING, (struct config_at){b->c->dir, 0, 0}, "no-service",
                "no service is configured: every request will be answered 404");
  bind_access(b);
  b->c->canonical = bind_dup(b, buf_view(&b->text));
  if (b->text.failed)
    bind_no_memory(b);
  fingerprint(b);
}

/* Positions name files: their names are put in NAMES. */
static struct statement *parse_all(const struct config_source *sources, size_t n,
                                   struct arena *scratch, struct arena *names, struct findings *f)
{
  struct statement *first = NULL, **tail = &first;
  for (size_t i = 0; i < n; i++) {
    struct config_at at;
    struct err e = {""};
    char *name = arena_dup(names, str_of(sources[i].name));
    if (name == NULL)
      report_error(f, (struct config_at){NULL, 0, 0}, "out of memory");
    else if (tree_parse(name, sources[i].text, scratch, &tail, &at, &e) < 0)
      report_error(f, at, "%s", e.text);
  }
  return first;
}

static void free_digest(EVP_MD_CTX **p)
{
  EVP_MD_CTX_free(*p);
}

static void free_arena(struct arena **p)
{
  arena_free(*p);
}

struct config *config_bind(const char *dir, const struct config_source *sources, size_t n,
                           const struct config_modules *modules, unsigned user_id,
                           struct findings *f)
{
  CLEANUP(free_arena) struct arena *arena = arena_new(MIB(64));
  CLEANUP(free_arena) struct arena *scratch = arena_new(MIB(64));
  CLEANUP(free_digest) EVP_MD_CTX *digest = EVP_MD_CTX_new();
  struct config *c = arena ? arena_new_of(arena, struct config) : NULL;
  if (c == NULL || scratch == NULL || digest == NULL ||
      EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1) {
    report_error(f, (struct config_at){NULL, 0, 0}, "out of memory");
    return NULL;
  }
  struct binder b = {.c = c,
                     .arena = arena,
                     .scratch = scratch,
                     .f = f,
                     .modules = modules,
                     .user_id = user_id,
                     .digest = digest};
  c->arena = arena;
  c->dir = bind_dup(&b, str_of(dir));
  buf_init(&b.text, TEXT_MOST);
  struct statement *first = parse_all(sources, n, scratch, arena, f);
  if (f->report->errors == 0) /* half a tree would only yield errors that are none */
    bind_all(&b, first);
  buf_done(&b.text);
  if (f->report->errors)
    return NULL;
  arena = NULL; /* now the configuration's */
  return c;
}

void config_free(struct config *c)
{
  if (c)
    arena_free(c->arena);
}

const char *config_find_user(const struct config_source *sources, size_t n, struct arena *arena,
                             struct findings *f)
{
  for (const struct statement *s = parse_all(sources, n, arena, arena, f); s; s = s->next) {
    if (!str_is(s->words[0].text, "hub") || s->block == NULL)
      continue;
    for (const struct statement *in = s->block->first; in; in = in->next)
      if (str_is(in->words[0].text, "user") && in->n == 2)
        return in->words[1].text.p;
  }
  return "";
}
