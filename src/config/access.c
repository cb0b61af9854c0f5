/* What decides access to a service, as one number: two configurations in which it is equal let the
 * same callers do the same things there.  Streams of an older generation may then go on (src/hub);
 * where it differs they end.  Computed from the effective text: of the hub's block what services
 * inherit, of a service's block what is not merely about traffic, of every other block all. */
#include <string.h>

#include "config/binder.h"
#include "util/cleanup.h"
#include "util/hash.h"

/* Statements of a service that let nobody in and keep nobody out. */
static const char *const traffic[] = {
    "upstream",           "upstream_auth", "upstream_audience", "identity",
    "resource_name",      "login_scope",   "max_body",          "call_limit",
    "stream_max_age",     "ca_file",       "egress_proxy",      "authorization_server",
    "forward_header",     "forward_query", "return_header",     "connect_timeout",
    "first_byte_timeout",
};

/* Statements of the hub that are about every service. */
static const char *const inherited[] = {"auth",     "account", "require", "tool",
                                        "resource", "prompt",  "method",  "policy"};

static bool listed(struct str word, const char *const *words, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (str_is(word, words[i]))
      return true;
  return false;
}

/* The lines of the text with what is remembered of the blocks they are in. */
struct lines {
  struct str rest;
  struct str block; /* first word of the block at the top */
  bool counts;      /* the statement at depth 1 that the line is of decides access */
};

static bool line_next(struct lines *l, struct str *ret)
{
  if (!str_next(&l->rest, '\n', ret))
    return false;
  size_t indent = 0;
  while (indent < ret->n && ret->p[indent] == ' ')
    indent++;
  struct str text = str_slice(*ret, indent, ret->n);
  struct str word = str_slice(text, 0, str_chr(text, ' '));
  if (indent == 0 && !str_is(word, "}")) {
    l->block = word;
    l->counts = !str_is(word, "hub");
  } else if (indent == 4 && !str_is(word, "}") && str_is(l->block, "service")) {
    l->counts = !listed(word, traffic, ARRAY_SIZE(traffic));
  } else if (indent == 4 && !str_is(word, "}") && str_is(l->block, "hub")) {
    l->counts = listed(word, inherited, ARRAY_SIZE(inherited));
  }
  return true;
}

/* Order matters: rules are lists. */
static uint64_t chain(uint64_t before, struct str line)
{
  static const struct hash_key key = {1, 2}; /* an administrator collides with nobody */
  return hash_parts(&key, (struct str[]){{(const char *)&before, sizeof before}, line}, 2);
}

static struct config_service *named(struct binder *b, struct str line)
{
  struct str rest = line, word;
  str_next(&rest, ' ', &word);
  str_next(&rest, ' ', &word);
  for (size_t i = 0; i < b->c->n_services; i++)
    if (str_is(word, b->c->services[i].name))
      return &b->c->services[i];
  return NULL;
}

void bind_access(struct binder *b)
{
  struct lines l = {.rest = buf_view(&b->text)};
  struct config_service *at = NULL;
  uint64_t common = 0;
  struct str line;
  while (line_next(&l, &line)) {
    if (str_starts(line, "service "))
      at = named(b, line);
    else if (line.n && line.p[0] != ' ' && line.p[0] != '}')
      at = NULL;
    if (l.counts && at)
      at->access = chain(at->access, line);
    else if (l.counts)
      common = chain(common, line);
  }
  for (size_t i = 0; i < b->c->n_services; i++) {
    struct config_service *s = &b->c->services[i];
    s->access = chain(s->access, (struct str){(const char *)&common, sizeof common});
  }
}
