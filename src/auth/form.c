/* Form-encoded replies of token endpoints; see form.h. */
#include "auth/form.h"

#include "util/base64url.h"
#include "util/limits.h"

/* Decodes S into TO (SIZE bytes); -1 when it is malformed, holds a NUL, or does not fit. */
static int form_decode(struct str s, char *to, size_t size)
{
  size_t n = 0;
  for (size_t i = 0; i < s.n; i++) {
    int c = s.p[i] == '+' ? ' ' : (unsigned char)s.p[i];
    if (c == '%') {
      int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
      int low = high < 0 ? -1 : hex_digit(s.p[i + 2]);
      c = low < 0 ? 0 : high * 16 + low;
      i += 2;
    }
    if (c == 0 || n + 1 >= size)
      return -1;
    to[n++] = (char)c;
  }
  to[n] = 0;
  return 0;
}

/* One "name=value" of a form into OBJECT. */
static int take_pair(json_t *object, struct str pair)
{
  char name[128], text[LIMIT_LOGIN_TOKEN + 1];
  struct str part[2] = {str_slice(pair, 0, str_chr(pair, '=')), {NULL, 0}};
  json_t *value = NULL;
  if (part[0].n < pair.n)
    part[1] = str_slice(pair, part[0].n + 1, pair.n);
  if (form_decode(part[0], name, sizeof name) < 0 || form_decode(part[1], text, sizeof text) < 0)
    return -1;
  if (name[0] == 0 || json_object_get(object, name) || (value = json_string(text)) == NULL)
    return -1;
  return json_object_set_new(object, name, value);
}

json_t *form_parse(struct str body)
{
  json_t *object = json_object();
  struct str pair;
  while (object && body.n && str_next(&body, '&', &pair))
    if (take_pair(object, pair) < 0) {
      json_decref(object);
      return NULL;
    }
  return object;
}
