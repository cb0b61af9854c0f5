/* The chunked coding: however the bytes are cut, the same data, the same end, the same verdict. */
#include <stdlib.h>
#include <string.h>

#include "http/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct outcome {
  struct chunked c;
  char *data;
  size_t n, used;
};

static struct outcome decode(const uint8_t *p, size_t n, size_t step)
{
  struct outcome o = {.data = malloc(n + 1)};
  char *piece = malloc(step);
  if (o.data == NULL || piece == NULL)
    abort();
  while (o.used < n && o.c.state != CHUNKED_DONE && o.c.bad == NULL) {
    size_t part = n - o.used < step ? n - o.used : step, data;
    memcpy(piece, p + o.used, part);
    size_t used = chunked_decode(&o.c, piece, part, &data);
    if (used > part || data > used || (used < part && o.c.state != CHUNKED_DONE && !o.c.bad))
      abort();
    memcpy(o.data + o.n, piece, data);
    o.n += data;
    o.used += used;
  }
  free(piece);
  return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  size_t step = n ? 1 + p[0] % 7 : 1;
  struct outcome a = decode(p, n, n + 1), b = decode(p, n, step);
  if (a.n != b.n || memcmp(a.data, b.data, a.n) != 0 || a.used != b.used ||
      a.c.state != b.c.state || (a.c.bad == NULL) != (b.c.bad == NULL))
    abort();
  free(a.data);
  free(b.data);
  return 0;
}
