/* Strict JSON documents; see json.h. */
#include "util/json.h"

#include <string.h>

/* Depth and number of values, without building anything.  Malformed text may pass here; the
 * parser refuses it. */
static int count(struct str text, size_t max_depth, size_t max_values, struct err *e)
{
  size_t depth = 0, values = 1;
  bool quoted = false;
  for (size_t i = 0; i < text.n; i++) {
    char c = text.p[i];
    if (c == 0)
      return err_set(e, "NUL byte at %zu", i);
    if (quoted) {
      if (c == '\\')
        i++;
      else if (c == '"')
        quoted = false;
      continue;
    }
    if (c == '"')
      quoted = true;
    else if (c == '{' || c == '[') {
      values++;
      if (++depth > max_depth)
        return err_set(e, "nested deeper than %zu at %zu", max_depth, i);
    } else if (c == '}' || c == ']')
      depth -= depth > 0;
    else if (c == ',' || c == ':')
      values++;
    if (values > max_values)
      return err_set(e, "more than %zu values", max_values);
  }
  return 0;
}

json_t *json_parse(struct str text, size_t max_depth, size_t max_values, struct err *e)
{
  if (text.n == 0) {
    err_set(e, "empty document");
    return NULL;
  }
  if (count(text, max_depth, max_values, e) < 0)
    return NULL;
  if (memchr(text.p, 0, text.n)) {
    err_set(e, "NUL byte");
    return NULL;
  }
  json_error_t je;
  json_t *j = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
  if (j == NULL)
    err_set(e, "line %d column %d: %s", je.line, je.column, je.text);
  return j;
}

/* One reference token of a pointer, unescaped in place of OUT; -1 when malformed or too long. */
static int unescape(struct str token, char *out, size_t cap)
{
  size_t n = 0;
  for (size_t i = 0; i < token.n; i++) {
    char c = token.p[i];
    if (c == '~') {
      if (++i == token.n || (token.p[i] != '0' && token.p[i] != '1'))
        return -1;
      c = token.p[i] == '0' ? '~' : '/';
    }
    if (n + 1 >= cap)
      return -1;
    out[n++] = c;
  }
  out[n] = 0;
  return 0;
}

json_t *json_pointer(const json_t *document, struct str pointer)
{
  const union {
    const json_t *given;
    json_t *found; /* as json_object_get hands members out */
  } whole = {document};
  json_t *root = whole.found;
  struct str rest = pointer, token;
  if (pointer.n == 0)
    return root;
  if (pointer.p[0] != '/')
    return NULL;
  str_next(&rest, '/', &token); /* the empty word before the first slash */
  while (root && str_next(&rest, '/', &token)) {
    char key[256];
    uint64_t index;
    if (unescape(token, key, sizeof key) < 0)
      return NULL;
    if (json_is_object(root))
      root = json_object_get(root, key);
    else if (json_is_array(root) && str_u64(token, SIZE_MAX, &index))
      root = json_array_get(root, (size_t)index);
    else
      return NULL;
  }
  return root;
}

void json_drop(json_t **j)
{
  json_decref(*j);
}

struct str json_text(const json_t *string)
{
  if (!json_is_string(string))
    return (struct str){NULL, 0};
  return (struct str){json_string_value(string), json_string_length(string)};
}

struct str json_str(const json_t *object, const char *key)
{
  return json_text(json_object_get(object, key));
}
