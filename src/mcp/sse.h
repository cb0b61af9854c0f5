/* A scanner for text/event-stream (WHATWG HTML section 9.2): finds event boundaries and the fields
 * `event`, `data`, `id` in a byte stream cut anywhere; LF, CRLF and CR end lines.  It never changes
 * bytes: what it saw is forwarded as it was.  Pure. */
#ifndef MCP_SSE_H
#define MCP_SSE_H

#include "util/buf.h"

struct sse {
  struct buf line;     /* the unfinished line, at most LIMIT_SSE_LINE */
  struct buf event, data, id;
  bool have_data, after_cr, started, overlong;
};

/* One dispatched event; views valid during the call. */
struct sse_event {
  struct str type; /* "" means "message" */
  struct str data; /* lines joined by LF */
  struct str id;
};

typedef void sse_event_fn(void *arg, const struct sse_event *e);

void sse_init(struct sse *s);
void sse_done(struct sse *s);
/* Feeds bytes.  -1: a line is longer than LIMIT_SSE_LINE (the stream must end). FOUND may be NULL. */
int sse_feed(struct sse *s, struct str bytes, sse_event_fn *found, void *arg);
/* Whether what was fed so far ends exactly at an event boundary (or nothing was fed): a comment may
 * be inserted, the stream may end. */
bool sse_at_boundary(const struct sse *s);

#endif
