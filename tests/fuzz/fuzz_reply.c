/* Reply heads, line by line as libcurl would hand them over: what is accepted is bounded, has one
 * framing and fields that could be sent on; no more after a refusal. */
#include <stdlib.h>
#include <string.h>

#include "http/headers.h"
#include "http/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(const struct reply *r)
{
  struct http_header fields[LIMIT_HEADERS];
  size_t n = reply_fields(r, fields);
  if (n != r->n || n > LIMIT_HEADERS || r->bytes > LIMIT_UPSTREAM_HEADERS)
    abort();
  if (r->complete && (r->status < 200 || r->status > 599 || (r->chunked && r->length > 0)))
    abort();
  for (size_t i = 0; i < n; i++)
    if (!header_token(fields[i].name) || !header_value(fields[i].value))
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct str rest = {(const char *)p, n};
  struct reply r;
  const char *why = NULL;
  reply_init(&r);
  while (rest.n) {
    size_t end = str_chr(rest, '\n');
    struct str line = str_slice(rest, 0, end + 1);
    rest = str_slice(rest, end + 1, rest.n);
    enum reply_step step = reply_line(&r, line, &why);
    if (step == REPLY_BAD) {
      if (why == NULL || why[0] == 0)
        abort();
      break;
    }
    if ((step == REPLY_HEAD) && !r.complete)
      abort();
    check(&r);
  }
  reply_done(&r);
  return 0;
}
