/* The event-stream scanner; see sse.h.
 *
 * Lines are found with memchr, both line ends looked up once per stretch, so that a stream of CRs
 * only costs no more than any other (row 60).  A line's text is kept only for a caller who wants
 * events: a stream that is merely passed on holds no memory at all while it is idle. */
#include "mcp/sse.h"

#include <string.h>

#include "util/limits.h"

/* An idle stream keeps no buffer larger than this. */
enum { KEEP = 512 };

static const char bom[] = "\xef\xbb\xbf";

void sse_init(struct sse *s)
{
  *s = (struct sse){0};
  buf_init(&s->line, LIMIT_SSE_LINE);
  buf_init(&s->event, LIMIT_SSE_LINE);
  buf_init(&s->data, LIMIT_SSE_EVENT);
  buf_init(&s->id, LIMIT_SSE_LINE);
}

void sse_done(struct sse *s)
{
  buf_done(&s->line);
  buf_done(&s->event);
  buf_done(&s->data);
  buf_done(&s->id);
}

static void forget(struct buf *b)
{
  if (b->cap > KEEP)
    buf_done(b);
  else
    buf_clear(b);
}

static int replace(struct buf *b, struct str with)
{
  buf_clear(b);
  return buf_str(b, with);
}

static void dispatch(struct sse *s, sse_event_fn *found, void *arg, size_t end)
{
  s->pending = false;
  if (s->have_data && found) {
    struct sse_event e = {buf_view(&s->event), buf_view(&s->data), buf_view(&s->id), end};
    found(arg, &e);
  }
  s->have_data = false;
  forget(&s->event);
  forget(&s->data);
}

static int field(struct sse *s, struct str line)
{
  size_t colon = str_chr(line, ':');
  struct str name = str_slice(line, 0, colon), value = str_slice(line, colon + 1, line.n);
  if (value.n && value.p[0] == ' ')
    value = str_slice(value, 1, value.n);
  if (str_is(name, "event"))
    return replace(&s->event, value);
  if (str_is(name, "id"))
    return str_chr(value, 0) < value.n ? 0 : replace(&s->id, value);
  if (!str_is(name, "data"))
    return 0; /* `retry` and what nobody knows: passed on, not ours */
  if (s->have_data)
    buf_putc(&s->data, '\n');
  s->have_data = true;
  return buf_str(&s->data, value);
}

/* Bytes of a BOM at the start of the line, which only the first line can have. */
static size_t bom_length(const struct sse *s)
{
  return !s->started && s->line_n >= 3 && memcmp(s->head, bom, 3) == 0 ? 3 : 0;
}

/* The line is complete; END is the offset behind it. */
static int line_end(struct sse *s, sse_event_fn *found, void *arg, size_t end)
{
  size_t skip = bom_length(s), n = s->line_n - skip;
  bool comment = n && s->head[skip] == ':';
  int rc = 0;
  s->started = true;
  s->line_n = 0;
  if (n == 0) {
    dispatch(s, found, arg, end);
  } else if (!comment) {
    s->pending = true;
    if (found)
      rc = field(s, str_slice(buf_view(&s->line), skip, s->line.n));
  }
  forget(&s->line);
  return rc;
}

static int line_add(struct sse *s, struct str part, bool keep)
{
  if (part.n > LIMIT_SSE_LINE - s->line_n)
    return -1;
  for (size_t i = 0; i < part.n && s->line_n + i < sizeof s->head; i++)
    s->head[s->line_n + i] = part.p[i];
  s->line_n += part.n;
  return keep ? buf_str(&s->line, part) : 0;
}

static size_t find(struct str bytes, size_t from, char c)
{
  return from + str_chr(str_slice(bytes, from, bytes.n), c);
}

static int scan(struct sse *s, struct str bytes, sse_event_fn *found, void *arg)
{
  size_t i = 0;
  if (s->after_cr && bytes.n) {
    s->after_cr = false;
    i = bytes.p[0] == '\n';
  }
  size_t lf = find(bytes, i, '\n'), cr = find(bytes, i, '\r');
  while (i < bytes.n) {
    size_t end = lf < cr ? lf : cr;
    if (line_add(s, str_slice(bytes, i, end), found != NULL) < 0)
      return -1;
    if (end == bytes.n)
      return 0;
    i = end + 1;
    if (line_end(s, found, arg, i) < 0)
      return -1;
    if (end == cr) {
      s->after_cr = i == bytes.n;
      i += i < bytes.n && bytes.p[i] == '\n';
      cr = find(bytes, i, '\r');
    }
    if (lf < i)
      lf = find(bytes, i, '\n');
  }
  return 0;
}

int sse_feed(struct sse *s, struct str bytes, sse_event_fn *found, void *arg)
{
  if (s->failed || scan(s, bytes, found, arg) < 0) {
    s->failed = true;
    return -1;
  }
  return 0;
}

bool sse_at_boundary(const struct sse *s)
{
  return !s->failed && !s->pending && s->line_n == 0;
}
