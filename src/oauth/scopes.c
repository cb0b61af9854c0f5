/* Scopes of tokens; see scopes.h. */
#include "oauth/scopes.h"

#include <string.h>

#include "mcp/policy.h"

static bool has(const struct scope_set *s, const struct config_scope *scope)
{
  for (size_t i = 0; i < s->n; i++)
    if (s->v[i] == scope)
      return true;
  return false;
}

static const struct config_scope *find(const struct config *c, struct str name)
{
  for (size_t i = 0; i < c->n_scopes; i++)
    if (str_is(name, c->scopes[i]->name))
      return c->scopes[i];
  return NULL;
}

/* Room for every declared scope: no set has more. */
static int set_init(const struct config *c, struct arena *a, struct scope_set *ret)
{
  *ret = (struct scope_set){arena_array(a, c->n_scopes + 1, sizeof ret->v[0]), 0};
  return ret->v ? 0 : -1;
}

/* Keeps the order of the names, which is that of the configuration's own list. */
static void add(struct scope_set *s, const struct config_scope *scope)
{
  size_t at = s->n;
  if (has(s, scope))
    return;
  while (at && strcmp(s->v[at - 1]->name, scope->name) > 0) {
    s->v[at] = s->v[at - 1];
    at--;
  }
  s->v[at] = scope;
  s->n++;
}

/* Whether WIDE is SCOPE or implies it. */
static bool includes(const struct config_scope *wide, const struct config_scope *scope)
{
  if (wide == scope)
    return true;
  for (size_t i = 0; i < wide->n_implied; i++)
    if (wide->implied[i] == scope)
      return true;
  return false;
}

static bool named(const struct config_scope *const *v, size_t n, const struct config_scope *scope)
{
  for (size_t i = 0; i < n; i++)
    if (includes(scope, v[i]))
      return true;
  return false;
}

static bool named_in(const struct config_condition *v, size_t n, const struct config_scope *scope)
{
  for (size_t i = 0; i < n; i++)
    if (named(v[i].scopes, v[i].n_scopes, scope) || named_in(v[i].v, v[i].n, scope))
      return true;
  return false;
}

/* Whether SERVICE's lines name SCOPE, or something that it implies. */
static bool known_at(const struct config_service *s, const struct config_scope *scope)
{
  if (named(s->require, s->n_require, scope) || named(s->login_scope, s->n_login_scope, scope) ||
      named_in(s->conditions, s->n_conditions, scope))
    return true;
  for (size_t kind = 0; kind < ARRAY_SIZE(s->rules); kind++)
    for (size_t i = 0; i < s->rules[kind].n; i++)
      if (named_in(&s->rules[kind].v[i].require, 1, scope))
        return true;
  return false;
}

static bool within(const struct config_words *bound, const struct config_scope *scope)
{
  return bound == NULL || bound->n == 0 || config_words_have(bound, scope->name);
}

int scopes_asked(const struct config *c, const struct config_service *s,
                 const struct config_words *client_bound, struct str requested, struct arena *a,
                 struct scope_set *ret)
{
  struct str word;
  if (set_init(c, a, ret) < 0)
    return -1;
  while (str_next(&requested, ' ', &word)) {
    const struct config_scope *scope = find(c, word);
    if (scope && known_at(s, scope) && within(client_bound, scope))
      add(ret, scope);
  }
  bool none = ret->n == 0;
  for (size_t i = 0; none && i < s->n_login_scope; i++)
    if (within(client_bound, s->login_scope[i]))
      add(ret, s->login_scope[i]);
  return 0;
}

void scopes_limit(struct scope_set *set, const struct config_words *client_bound)
{
  size_t n = 0;
  for (size_t i = 0; i < set->n; i++)
    if (within(client_bound, set->v[i]))
      set->v[n++] = set->v[i];
  set->n = n;
}

bool scopes_required(const struct config_service *s, const struct config_scope *scope)
{
  for (size_t i = 0; i < s->n_require; i++)
    if (s->require[i] == scope)
      return true;
  return false;
}

int scopes_entitled(const struct config *c, const struct principal *who, const char *address,
                    const struct scope_set *set, struct arena *a, struct scope_set *ret,
                    struct scope_set *ret_not)
{
  struct scope_set held, not_held;
  const struct policy_caller caller = {.who = who, .claims = who->claims, .address = address};
  if (set_init(c, a, &held) < 0 || set_init(c, a, &not_held) < 0)
    return -1;
  for (size_t i = 0; i < set->n; i++)
    add(policy_entitled(&caller, set->v[i]) ? &held : &not_held, set->v[i]);
  *ret = held;
  if (ret_not)
    *ret_not = not_held;
  return 0;
}

bool scopes_bound(const struct scope_set *set)
{
  for (size_t i = 0; i < set->n; i++)
    if (set->v[i]->entitled)
      return true;
  return false;
}

int scopes_granted(const struct config *c, const struct config_service *s,
                   const struct config_words *client_bound, struct str requested,
                   const struct principal *who, const char *address, struct arena *a,
                   struct scope_set *ret)
{
  struct scope_set asked;
  struct str none = {NULL, 0};
  for (int i = 0; i < 2; i++) {
    if (scopes_asked(c, s, client_bound, i ? none : requested, a, &asked) < 0 ||
        scopes_entitled(c, who, address, &asked, a, ret, NULL) < 0)
      return -1;
    if (ret->n)
      break;
  }
  return 0;
}

int scopes_parse(const struct config *c, struct str text, struct arena *a, struct scope_set *ret)
{
  struct str word;
  if (set_init(c, a, ret) < 0)
    return -1;
  while (str_next(&text, ' ', &word)) {
    const struct config_scope *scope = find(c, word);
    if (scope)
      add(ret, scope);
  }
  return 0;
}

int scopes_both(const struct scope_set *x, const struct scope_set *y, struct arena *a,
                struct scope_set *ret)
{
  struct scope_set both = {arena_array(a, x->n + 1, sizeof both.v[0]), 0};
  if (both.v == NULL)
    return -1;
  for (size_t i = 0; i < x->n; i++)
    if (has(y, x->v[i]))
      add(&both, x->v[i]);
  *ret = both;
  return 0;
}

struct str scopes_text(const struct scope_set *s, struct arena *a)
{
  size_t n = 1;
  for (size_t i = 0; i < s->n; i++)
    n += strlen(s->v[i]->name) + 1;
  char *text = arena_alloc(a, n), *at = text;
  for (size_t i = 0; text && i < s->n; i++) {
    size_t length = strlen(s->v[i]->name);
    if (i)
      *at++ = ' ';
    memcpy(at, s->v[i]->name, length);
    at += length;
  }
  return (struct str){text, text ? (size_t)(at - text) : 0};
}
