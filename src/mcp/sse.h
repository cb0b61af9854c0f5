/* A scanner for text/event-stream (WHATWG HTML section 9.2): finds event boundaries and the fields
 * `event`, `data`, `id` in a byte stream cut anywhere; LF, CRLF and CR end lines.  It never changes
 * bytes: what it saw is forwarded as it was.  Pure.  src/hub/request.c feeds it every SSE reply. */
#ifndef MCP_SSE_H
#define MCP_SSE_H

#include "util/buf.h"

struct sse {
  struct buf line;            /* the unfinished line; empty when nobody collects */
  struct buf event, data, id; /* of the unfinished event; id outlives it */
  size_t line_n;              /* length of the unfinished line */
  char head[4];               /* its first bytes: enough to tell blank, comment and BOM */
  bool have_data, after_cr, started, pending, failed;
};

/* One dispatched event; views valid during the call. */
struct sse_event {
  struct str type; /* "" means "message" */
  struct str data; /* lines joined by LF */
  struct str id;   /* the last one that the stream gave */
  size_t end;      /* offset in the bytes being fed at which the event is over: behind its blank
                      line, but before the LF when that line ends in CRLF */
};

typedef void sse_event_fn(void *arg, const struct sse_event *e);

void sse_init(struct sse *s);
void sse_done(struct sse *s);
/* Feeds bytes.  FOUND may be NULL: then nothing is kept and only boundaries are followed; it may
 * become something else, or NULL, at a boundary only.  -1, for good: a line is longer than
 * LIMIT_SSE_LINE, an event's data longer than LIMIT_SSE_EVENT, or no memory (the stream must end).
 */
int sse_feed(struct sse *s, struct str bytes, sse_event_fn *found, void *arg);
/* Whether what was fed so far ends exactly at an event boundary (or nothing was fed): a comment may
 * be inserted, the stream may end.  False for good after sse_feed failed. */
bool sse_at_boundary(const struct sse *s);

#endif
