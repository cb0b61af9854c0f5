/* Form-encoded replies: what is accepted is the same when it is encoded and read again. */
#include <stdlib.h>
#include <string.h>

#include "auth/form.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void encode(struct buf *b, const char *s)
{
  for (; *s; s++)
    buf_printf(b, "%%%02x", (unsigned char)*s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  json_t *first = form_parse((struct str){(const char *)p, n}), *value;
  const char *name;
  struct buf b;
  if (first == NULL)
    return 0;
  buf_init(&b, 1 << 22);
  json_object_foreach(first, name, value)
  {
    if (b.n)
      buf_putc(&b, '&');
    encode(&b, name);
    buf_putc(&b, '=');
    encode(&b, json_string_value(value));
  }
  json_t *second = form_parse(buf_view(&b));
  if (b.failed || second == NULL || !json_equal(first, second))
    abort();
  json_decref(first);
  json_decref(second);
  buf_done(&b);
  return 0;
}
