/* Operations: header lines, a blank line, a body.  Whatever the headers claim, an operation that is
 * let through is the one in the body (rows 61 and 62). */
#include <stdlib.h>
#include <string.h>

#include "mcp/operation.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { FIELDS = 8 };

/* Lines "name: value" off the beginning of *REST. */
static size_t fields(struct str *rest, struct http_header *ret)
{
  struct str line;
  size_t n = 0;
  while (str_next(rest, '\n', &line) && line.n)
    if (n < FIELDS) {
      size_t colon = str_chr(line, ':');
      ret[n++] = (struct http_header){str_slice(line, 0, colon),
                                      str_trim(str_slice(line, colon + 1, line.n))};
    }
  return n;
}

static void check(struct str body, struct http_header *headers, size_t n, struct arena *a)
{
  struct http_request rq = {.method = STR("POST"), .headers = headers, .n_headers = n};
  struct gate g;
  struct gate_fault gf;
  struct operation op, bare, each;
  struct operation_fault of;
  struct str cursor = {NULL, 0};
  if (gate_read(body, a, &g, &gf) < 0)
    return;
  if (operation_of(&rq, &g, &op, &of) < 0) {
    if (of.status != 400 || of.what == NULL || of.code >= 0)
      abort();
    return;
  }
  struct http_request plain = {.method = STR("POST")};
  g.meta_version = (struct str){NULL, 0};
  if (operation_of(&plain, &g, &bare, &of) < 0 || bare.kind != op.kind ||
      !str_eq(bare.item, op.item) || bare.list != op.list || bare.task != op.task)
    abort();
  if (op.kind != RULE_METHOD && op.item.n == 0)
    abort();
  while (operation_each(&op, &cursor, a, &each) > 0)
    if (each.item.p == NULL)
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct http_header headers[FIELDS];
  struct arena *a = arena_new(1 << 20);
  struct str rest = {(const char *)p, n};
  if (a == NULL)
    abort();
  size_t k = n ? fields(&rest, headers) : 0;
  if (rest.p)
    check(rest, headers, k, a);
  arena_free(a);
  return 0;
}
