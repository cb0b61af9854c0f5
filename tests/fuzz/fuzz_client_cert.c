/* Certificates out of a header: whatever goes in, what comes out is whole text without control
 * characters, and hashes of their length. */
#include <stdlib.h>
#include <string.h>

#include "http/client_cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
  if (!truth)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct arena *a = arena_new(1 << 20);
  if (a == NULL)
    return 0;
  const struct str in = {(const char *)data, size};
  const struct mcpauth_certificate *all[] = {client_cert_header(in, a), client_cert_parse(in, a)};
  for (size_t i = 0; i < 2; i++)
    if (all[i]) {
      must(strlen(all[i]->sha256) == 64 && strlen(all[i]->thumbprint) == 43);
      must(all[i]->subject && all[i]->issuer);
      for (size_t k = 0; k < all[i]->names.n; k++)
        for (const char *p = all[i]->names.v[k]; *p; p++)
          must(*p > 0x20 && *p < 0x7f);
    }
  arena_free(a);
  return 0;
}
