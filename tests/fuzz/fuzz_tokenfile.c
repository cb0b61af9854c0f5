/* Token files: what is accepted is written back byte for byte, and every token in it can be found
 * by its id and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "auth/tokenfile.h"
#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_token(struct tokenfile *f, json_t *token)
{
  struct err e = {""};
  const char *id = json_string_value(json_object_get(token, "id"));
  if (id == NULL || tokenfile_find(f, id) != token || token_check(token, &e) < 0)
    abort();
  if (json_str(token, "sha256").n != 64 || json_str(token, "subject").n == 0)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct err e = {""};
  struct str text = {(const char *)p, n};
  struct tokenfile *f = tokenfile_parse(text, &e);
  if (f == NULL) {
    if (!str_starts(str_of(e.text), "line ") && !str_starts(str_of(e.text), "more than"))
      abort();
    return 0;
  }
  struct buf out;
  buf_init(&out, 1 << 22);
  for (size_t i = 0; i < tokenfile_count(f); i++)
    check_token(f, tokenfile_at(f, i));
  if (tokenfile_format(f, &out) < 0)
    abort();
  if (n && !str_ends(text, "\n"))
    out.n--; /* the newline that was missing */
  if (!str_eq(buf_view(&out), text))
    abort();
  buf_done(&out);
  tokenfile_free(f);
  return 0;
}
