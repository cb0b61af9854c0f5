/* The head of a reply that came to us, line by line: final status and header fields, interim
 * replies skipped, everything bounded, and nothing accepted that two readers could frame
 * differently.  Used by fetch.c and upstream_curl.c.  Pure. */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include "http/server.h"

struct reply {
  struct buf fields; /* name LF value LF ... */
  size_t bytes;      /* of all lines so far, of interim replies and trailers too */
  size_t n;
  int status;     /* 0: no status line yet */
  int64_t length; /* Content-Length; 0 where the status forbids a body; -1: not said */
  bool chunked, complete, media_type;
};

enum reply_step {
  REPLY_BAD = -1, /* WHY says what is wrong; stop reading */
  REPLY_MORE,
  REPLY_HEAD, /* this line completed the final head */
};

void reply_init(struct reply *r);
void reply_done(struct reply *r); /* frees the fields; usable again */
/* LINE with its line end, as libcurl's header callback gets it.  What follows the head (trailers)
 * is counted against the limit and dropped. */
enum reply_step reply_line(struct reply *r, struct str line, const char **why);
/* Fills OUT (room for LIMIT_HEADERS) with views into R; returns how many. */
size_t reply_fields(const struct reply *r, struct http_header *out);

#endif
