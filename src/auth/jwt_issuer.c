/* The issuer that a token states, for `claims` of providers: asked of every credential by every
 * line of a stack, before any cache, so it builds no tree.  What is odd (an escape in a name or in
 * the value) goes through the strict parser; a text that only this file can read is refused by
 * jwt_parse later, and the worst that can happen here is that no line wants it. */
#include "auth/jwt.h"

#include <string.h>

#include "util/base64url.h"
#include "util/json.h"
#include "util/limits.h"

enum found { FOUND = 1, ABSENT, ODD };

struct cursor {
  const char *p, *end;
};

static void blanks(struct cursor *c)
{
  while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
    c->p++;
}

static bool take(struct cursor *c, char what)
{
  blanks(c);
  if (c->p == c->end || *c->p != what)
    return false;
  c->p++;
  return true;
}

/* A string without escapes, behind its opening quote. */
static bool plain(struct cursor *c, struct str *ret)
{
  const char *from = c->p, *quote = memchr(from, '"', (size_t)(c->end - from));
  if (quote == NULL || memchr(from, '\\', (size_t)(quote - from)))
    return false;
  *ret = (struct str){from, (size_t)(quote - from)};
  c->p = quote + 1;
  return true;
}

static bool skip_string(struct cursor *c)
{
  for (; c->p < c->end; c->p++)
    if (*c->p == '\\' && c->p + 1 < c->end)
      c->p++;
    else if (*c->p == '"') {
      c->p++;
      return true;
    }
  return false;
}

/* To the comma or brace that ends this value of the outermost object. */
static bool skip_value(struct cursor *c)
{
  unsigned depth = 0;
  while (c->p < c->end) {
    char ch = *c->p;
    if (depth == 0 && (ch == ',' || ch == '}'))
      return true;
    c->p++;
    if (ch == '"' && !skip_string(c))
      return false;
    if (ch == '{' || ch == '[')
      depth++;
    if (ch == '}' || ch == ']')
      depth -= depth > 0;
  }
  return false;
}

static enum found scan(struct str json, struct str *ret)
{
  struct cursor c = {json.p, json.p + json.n};
  struct str name;
  if (!take(&c, '{'))
    return ABSENT;
  do {
    if (!take(&c, '"') || !plain(&c, &name) || !take(&c, ':'))
      return ODD;
    if (str_is(name, "iss"))
      return take(&c, '"') && plain(&c, ret) ? FOUND : ODD;
    if (!skip_value(&c))
      return ODD;
  } while (take(&c, ','));
  return ABSENT;
}

static int copy(struct str text, char *out, size_t size)
{
  if (text.n == 0 || text.n >= size || memchr(text.p, 0, text.n))
    return -1;
  memcpy(out, text.p, text.n);
  out[text.n] = 0;
  return 0;
}

static int parse(struct str json, char *out, size_t size)
{
  json_t *o = json_parse(json, LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, NULL);
  struct str iss = json_str(o, "iss");
  int bad = iss.p ? copy(iss, out, size) : -1;
  json_decref(o);
  return bad;
}

int jwt_issuer(struct str token, char *out, size_t size)
{
  char json[LIMIT_CREDENTIAL / 4 * 3];
  struct str rest = token, header, payload, signature, extra, iss;
  size_t n;
  if (token.n > LIMIT_CREDENTIAL || !str_next(&rest, '.', &header) || header.n == 0 ||
      !str_next(&rest, '.', &payload) || !str_next(&rest, '.', &signature) ||
      str_next(&rest, '.', &extra) || base64url_decode(payload, json, sizeof json, &n) < 0)
    return -1;
  switch (scan((struct str){json, n}, &iss)) {
  case FOUND:
    return copy(iss, out, size);
  case ABSENT:
    return -1;
  case ODD:
    break;
  }
  return parse((struct str){json, n}, out, size);
}
