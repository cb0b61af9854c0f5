/* The event-stream scanner: however the bytes are cut, the same events and the same boundary.  The
 * first byte is the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "mcp/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void note(void *arg, const struct sse_event *e)
{
  struct buf *b = arg;
  buf_printf(b, "%zu:", e->type.n);
  buf_str(b, e->type);
  buf_printf(b, "%zu:", e->data.n);
  buf_str(b, e->data);
  buf_printf(b, "%zu:", e->id.n);
  buf_str(b, e->id);
}

/* Events of ALL in pieces of STEP bytes, and whether it ends at a boundary. */
static void run(struct str all, size_t step, sse_event_fn *found, struct buf *events)
{
  struct sse s;
  sse_init(&s);
  for (size_t i = 0; i < all.n; i += step)
    if (sse_feed(&s, str_slice(all, i, i + step), found, events) < 0)
      abort(); /* inputs are shorter than any limit */
  buf_putc(events, sse_at_boundary(&s) ? '!' : '-');
  sse_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  if (n < 2 || n > 65536)
    return 0;
  struct buf whole, cut, silent;
  struct str all = {(const char *)p + 1, n - 1};
  buf_init(&whole, 1 << 24);
  buf_init(&cut, 1 << 24);
  buf_init(&silent, 8);
  run(all, all.n, note, &whole);
  run(all, p[0] ? p[0] : 1, note, &cut);
  run(all, p[0] ? p[0] : 1, NULL, &silent);
  if (!str_eq(buf_view(&whole), buf_view(&cut)) || whole.p[whole.n - 1] != silent.p[0])
    abort();
  buf_done(&whole);
  buf_done(&cut);
  buf_done(&silent);
  return 0;
}
