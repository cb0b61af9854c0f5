/* Form parameters: what is accepted is UTF-8 without NUL; encoded again it reads back the same. */
#include <stdlib.h>
#include <string.h>

#include "oauth/params.h"
#include "util/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void read_back(const struct param *one, struct arena *a)
{
  struct buf b;
  struct params again;
  buf_init(&b, MIB(1));
  param_encode(&b, one->name);
  buf_putc(&b, '=');
  param_encode(&b, one->value);
  if (b.failed || params_parse(buf_view(&b), a, &again) < 0 || again.n != 1 ||
      !str_eq(again.v[0].name, one->name) || !str_eq(again.v[0].value, one->value))
    abort();
  buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct params params;
  struct arena *a = arena_new(MIB(8));
  if (a == NULL || n > KIB(64) || params_parse((struct str){(const char *)p, n}, a, &params) < 0) {
    arena_free(a);
    return 0;
  }
  if (params.n > LIMIT_PARAMS)
    abort();
  for (size_t i = 0; i < params.n; i++) {
    const struct param *one = &params.v[i];
    if (!str_utf8(one->name) || !str_utf8(one->value) || memchr(one->value.p, 0, one->value.n))
      abort();
    read_back(one, a);
  }
  arena_free(a);
  return 0;
}
