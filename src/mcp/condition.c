/* Conditions of rules; see condition.h. */
#include "mcp/condition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/pattern.h"
#include "util/decimal.h"
#include "util/json.h"

/* ---- scopes */

static void need(struct needs *to, const struct config_scope *scope)
{
  if (to->n == to->room) {
    size_t room = to->room ? 2 * to->room : 8;
    const struct config_scope **v = arena_array(to->arena, room, sizeof *v);
    if (v == NULL) {
      to->failed = true;
      return;
    }
    if (to->n)
      memcpy(v, to->v, to->n * sizeof *v);
    to->v = v;
    to->room = room;
  }
  to->v[to->n++] = scope;
}

static bool holds(const struct principal *p, const struct config_scope *scope)
{
  for (size_t i = 0; i < scope->n_satisfied_by; i++)
    if (config_words_have(&p->scopes, scope->satisfied_by[i]->name))
      return true;
  return false;
}

/* Somebody without a credential may hold what everybody may who signs in. */
static bool may_hold(const struct policy_caller *who, const struct config_scope *scope)
{
  if (who->who)
    return policy_entitled(who, scope);
  for (size_t i = 0; i < scope->n_satisfied_by; i++)
    if (scope->satisfied_by[i]->entitled == NULL)
      return true;
  return false;
}

enum met condition_scopes(const struct world *w, const struct config_scope *const *scopes, size_t n)
{
  size_t before = w->needs->n;
  enum met met = MET;
  for (size_t i = 0; i < n; i++) {
    need(w->needs, scopes[i]);
    if (w->who->who && holds(w->who->who, scopes[i]))
      continue;
    if (!may_hold(w->who, scopes[i])) {
      w->needs->n = before;
      return MET_NOT;
    }
    met = MET_BUT_SCOPES;
  }
  return met;
}

/* ---- values of claims and arguments */

enum truth { UNKNOWN = 0, NO, YES };

static enum truth truth_of(bool yes)
{
  return yes ? YES : NO;
}

/* One value of either kind; what has no type of its own here is GATE_ABSENT. */
struct value {
  enum gate_type type;
  struct str text; /* of GATE_NUMBER as JSON; of GATE_TEXT as it stands, raw when QUOTED */
  bool quoted;
};

static bool text_is(const struct value *v, const char *word)
{
  struct str text = str_of(word);
  return v->quoted ? gate_text_is(v->text, text) : str_eq(v->text, text);
}

/* Whether the values of C, all said for the type of V, have it. */
static enum truth text_among(const struct value *v, const struct config_words *words)
{
  for (size_t i = 0; i < words->n; i++)
    if (text_is(v, words->v[i]))
      return YES;
  return NO;
}

static enum truth number_among(const struct decimal *number, const struct config_words *words)
{
  enum truth t = UNKNOWN;
  for (size_t i = 0; i < words->n && t != YES; i++) {
    struct decimal word;
    if (decimal_parse(str_of(words->v[i]), &word))
      t = truth_of(decimal_compare(number, &word) == 0);
  }
  return t;
}

static enum truth bool_among(bool value, const struct config_words *words)
{
  enum truth t = UNKNOWN;
  for (size_t i = 0; i < words->n && t != YES; i++)
    if (strcmp(words->v[i], "true") == 0 || strcmp(words->v[i], "false") == 0)
      t = truth_of((words->v[i][0] == 't') == value);
  return t;
}

static enum truth number_truth(const struct decimal *number, const struct config_condition *c)
{
  struct decimal bound;
  if (c->op == OP_EQUAL || c->op == OP_IN)
    return number_among(number, &c->words);
  if (c->op == OP_MATCHES || c->words.n == 0 || !decimal_parse(str_of(c->words.v[0]), &bound))
    return UNKNOWN;
  int order = decimal_compare(number, &bound);
  switch (c->op) {
  case OP_LESS:
    return truth_of(order < 0);
  case OP_LESS_EQUAL:
    return truth_of(order <= 0);
  case OP_GREATER:
    return truth_of(order > 0);
  case OP_GREATER_EQUAL:
    return truth_of(order >= 0);
  case OP_EQUAL:
  case OP_IN:
  case OP_MATCHES:
    break;
  }
  return UNKNOWN;
}

/* What a caller wrote matches a glob only if no program can take it for something else. */
static enum truth text_truth(const struct world *w, const struct value *v,
                             const struct config_condition *c)
{
  if (c->op == OP_EQUAL || c->op == OP_IN)
    return text_among(v, &c->words);
  if (c->op != OP_MATCHES)
    return UNKNOWN;
  struct str text = v->quoted ? gate_text(v->text, w->needs->arena) : v->text;
  if (text.p == NULL || (v->quoted && !pattern_value_plain(text)))
    return UNKNOWN;
  return truth_of(pattern_match_value(&c->pattern, text));
}

static enum truth scalar_truth(const struct world *w, const struct value *v,
                               const struct config_condition *c)
{
  struct decimal number;
  switch (v->type) {
  case GATE_TEXT:
    return text_truth(w, v, c);
  case GATE_NUMBER:
    return decimal_parse(v->text, &number) ? number_truth(&number, c) : UNKNOWN;
  case GATE_TRUE:
  case GATE_FALSE:
    return c->op == OP_EQUAL || c->op == OP_IN ? bool_among(v->type == GATE_TRUE, &c->words)
                                               : UNKNOWN;
  case GATE_ABSENT:
  case GATE_TWICE:
  case GATE_NULL:
  case GATE_ARRAY:
  case GATE_OBJECT:
    break;
  }
  return UNKNOWN;
}

/* A list has a value if one of its elements is it, and has it not if all are known not to be. */
static enum truth either(enum truth a, enum truth b)
{
  if (a == YES || b == YES)
    return YES;
  return a == UNKNOWN || b == UNKNOWN ? UNKNOWN : NO;
}

/* ---- arguments */

static enum truth argument_truth(const struct world *w, const struct config_condition *c)
{
  struct gate_value v = w->arguments.p ? gate_at(w->arguments, c->pointer) : (struct gate_value){0};
  if (v.type != GATE_ARRAY)
    return scalar_truth(w, &(struct value){v.type, v.raw, true}, c);
  /* A caller could hide a value among those that a glob or a bound is about. */
  if (c->op != OP_EQUAL && c->op != OP_IN)
    return UNKNOWN;
  enum truth t = NO;
  struct gate_value element;
  for (struct str rest = v.raw; t != YES && gate_next(&rest, &element);)
    t = either(t, scalar_truth(w, &(struct value){element.type, element.raw, true}, c));
  return t;
}

/* ---- claims */

/* The shortest decimal that is this double: what the issuer wrote, if it was no longer. */
static struct str real_text(double d, char *out, size_t size)
{
  int n = 0;
  for (int digits = 15; digits <= 17; digits++) {
    n = snprintf(out, size, "%.*g", digits, d);
    if (strtod(out, NULL) == d)
      break;
  }
  return (struct str){out, (size_t)n};
}

static enum truth claim_scalar(const struct world *w, const json_t *j,
                               const struct config_condition *c)
{
  char number[64];
  struct value v = {.type = GATE_ABSENT};
  if (json_is_string(j)) {
    v = (struct value){GATE_TEXT, json_text(j), false};
  } else if (json_is_integer(j)) {
    int n = snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
    v = (struct value){GATE_NUMBER, {number, (size_t)n}, false};
  } else if (json_is_real(j)) {
    v = (struct value){GATE_NUMBER, real_text(json_real_value(j), number, sizeof number), false};
  } else if (json_is_boolean(j)) {
    v.type = json_is_true(j) ? GATE_TRUE : GATE_FALSE;
  }
  return scalar_truth(w, &v, c);
}

static enum truth claim_truth(const struct world *w, struct str pointer,
                              const struct config_condition *c)
{
  const json_t *j = json_pointer(w->who->claims, pointer);
  if (!json_is_array(j))
    return claim_scalar(w, j, c);
  if (c->op >= OP_LESS)
    return UNKNOWN;
  enum truth t = NO;
  for (size_t i = 0; i < json_array_size(j) && t != YES; i++)
    t = either(t, claim_scalar(w, json_array_get(j, i), c));
  return t;
}

/* ---- who */

static enum truth word_truth(const char *word, const struct config_words *words)
{
  return word ? truth_of(config_words_have(words, word)) : UNKNOWN;
}

/* Providers set /email only when it was verified; one that says otherwise beside it is believed. */
static enum truth email_truth(const struct world *w, const struct config_words *domains)
{
  struct str email = json_str(w->who->claims, "email");
  const json_t *verified = json_object_get(w->who->claims, "email_verified");
  size_t at = str_chr(email, '@');
  struct str domain = str_slice(email, at + 1, email.n);
  if (at == 0 || domain.n == 0 || str_chr(domain, '@') < domain.n)
    return UNKNOWN;
  if (verified && !json_is_true(verified))
    return UNKNOWN;
  for (size_t i = 0; i < domains->n; i++)
    if (str_iis(domain, domains->v[i]))
      return YES;
  return NO;
}

static enum truth address_truth(const struct world *w, const struct config_condition *c)
{
  struct str text = str_of(w->who->address);
  unsigned char bytes[16];
  bool v4, from_unix = str_is(text, "unix");
  if (!from_unix && !address_parse(text, bytes, &v4))
    return UNKNOWN;
  for (size_t i = 0; i < c->n_networks; i++)
    if (from_unix ? cidr_unix(&c->networks[i]) : cidr_has(&c->networks[i], bytes))
      return YES;
  return NO;
}

static enum truth leaf_truth(const struct world *w, const struct config_condition *c)
{
  const struct principal *p = w->who->who;
  switch (c->kind) {
  case CONDITION_CLAIM:
    return claim_truth(w, c->pointer, c);
  case CONDITION_ROLE:
    return claim_truth(w, STR("/role"), c);
  case CONDITION_TENANT:
    return claim_truth(w, STR("/tenant"), c);
  case CONDITION_ISSUER:
    return word_truth(p ? p->issuer : NULL, &c->words);
  case CONDITION_CLIENT:
    return word_truth(p ? p->client : NULL, &c->words);
  case CONDITION_SUBJECT:
    return word_truth(p ? p->subject : NULL, &c->words);
  case CONDITION_PROVIDER:
    return word_truth(p && p->provider ? p->provider->name : NULL, &c->words);
  case CONDITION_EMAIL_DOMAIN:
    return email_truth(w, &c->words);
  case CONDITION_ADDRESS:
    return address_truth(w, c);
  case CONDITION_ARGUMENT:
    return argument_truth(w, c);
  case CONDITION_ALL:
  case CONDITION_ANY:
  case CONDITION_SCOPE:
    break;
  }
  return UNKNOWN;
}

static enum met leaf_met(const struct world *w, const struct config_condition *c)
{
  if (c->kind == CONDITION_ARGUMENT && w->any_arguments)
    return MET;
  if (c->kind != CONDITION_ADDRESS && w->only_address)
    return MET;
  enum truth t = leaf_truth(w, c);
  return t == (c->negated ? NO : YES) ? MET : MET_NOT;
}

/* ---- all and any */

static enum met all_met(const struct world *w, const struct config_condition *c)
{
  size_t before = w->needs->n;
  enum met met = MET;
  for (size_t i = 0; i < c->n; i++) {
    enum met one = condition_met(w, &c->v[i]);
    if (one < met)
      met = one;
    if (met == MET_NOT) {
      w->needs->n = before;
      break;
    }
  }
  return met;
}

/* The first alternative that is met, or else the first of which only scopes are missing; only its
 * scopes are needed. */
static enum met any_met(const struct world *w, const struct config_condition *c)
{
  struct needs *needs = w->needs;
  size_t before = needs->n, kept = before;
  enum met met = MET_NOT;
  for (size_t i = 0; i < c->n; i++) {
    enum met one = condition_met(w, &c->v[i]);
    if (one == MET) {
      if (needs->n > kept && kept > before)
        memmove(needs->v + before, needs->v + kept, (needs->n - kept) * sizeof *needs->v);
      needs->n -= kept - before;
      return MET;
    }
    if (one == MET_BUT_SCOPES && met == MET_NOT) {
      met = one;
      kept = needs->n;
    }
    needs->n = kept;
  }
  return met;
}

enum met condition_met(const struct world *w, const struct config_condition *c)
{
  if (c->kind == CONDITION_ALL)
    return all_met(w, c);
  if (c->kind == CONDITION_ANY)
    return any_met(w, c);
  if (c->kind != CONDITION_SCOPE)
    return leaf_met(w, c);
  return w->only_address ? MET : condition_scopes(w, c->scopes, c->n_scopes);
}
