/* Message endpoints of the legacy transport: what is accepted is a plain path at the upstream's
 * origin that opens to itself; nothing that a stranger made up opens.  Input: base URL, LF, data.
 */
#include <stdlib.h>
#include <string.h>

#include "mcp/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const unsigned char key[SEAL_KEY] = {42};
static const struct seal_owner owner = {STR_INIT("s"), STR_INIT("i"), STR_INIT("u"), STR_INIT("")};

static void check_target(struct str target)
{
  if (target.n == 0 || target.p[0] != '/')
    abort();
  for (size_t i = 0; i < target.n; i++)
    if (target.p[i] <= 0x20 || target.p[i] >= 0x7f || target.p[i] == '\\' || target.p[i] == '#')
      abort();
  struct str path = str_slice(target, 0, str_chr(target, '?')), segment;
  while (str_next(&path, '/', &segment))
    if (str_is(segment, ".") || str_is(segment, ".."))
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  static struct sealer *sealer;
  uint64_t name;
  struct str rest = {(const char *)p, n}, text;
  struct buf sealed, opened, target;
  struct url base;
  if (sealer == NULL && (sealer = sealer_new(key, NULL)) == NULL)
    abort();
  if (n == 0 || !str_next(&rest, '\n', &text) || rest.p == NULL)
    return 0;
  buf_init(&sealed, 8192);
  buf_init(&opened, 8192);
  buf_init(&target, 8192);
  if (seal_open(sealer, SEAL_ENDPOINT, &owner, rest, &opened, &name) == 0)
    abort();
  if (url_parse(text, &base, NULL) == 0 &&
      endpoint_seal(sealer, &owner, &base, rest, &sealed, &name, NULL) == 0) {
    if (endpoint_resolve(&base, rest, &target, NULL) < 0 ||
        seal_open(sealer, SEAL_ENDPOINT, &owner, buf_view(&sealed), &opened, &name) < 0 ||
        !str_eq(buf_view(&target), buf_view(&opened)))
      abort();
    check_target(buf_view(&opened));
  }
  buf_done(&sealed);
  buf_done(&opened);
  buf_done(&target);
  return 0;
}
