/* Random texts and hashes; see token_text.h. */
#include "oauth/token_text.h"

#include <sys/random.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/digest.h"

enum { RANDOM_MOST = 64, GRANT_BYTES = 16 };

struct str random_text(struct arena *a, const char *prefix, size_t bytes)
{
  unsigned char raw[RANDOM_MOST];
  CLEANUP(buf_wipe) struct buf b;
  buf_init(&b, 256);
  if (bytes > sizeof raw || getrandom(raw, bytes, 0) != (ssize_t)bytes)
    return (struct str){NULL, 0};
  buf_puts(&b, prefix);
  if (base64url_encode(&b, (struct str){(const char *)raw, bytes}) < 0 || b.failed)
    return (struct str){NULL, 0};
  return arena_str(a, buf_view(&b));
}

struct str grant_id(struct arena *a)
{
  return random_text(a, "g", GRANT_BYTES);
}

static struct str hash(struct arena *a, struct str s, int (*encode)(struct buf *, struct str))
{
  unsigned char sum[SHA256_SIZE];
  CLEANUP(buf_done) struct buf b;
  buf_init(&b, 128);
  if (sha256(s, sum) < 0 || encode(&b, (struct str){(const char *)sum, sizeof sum}) < 0)
    return (struct str){NULL, 0};
  return arena_str(a, buf_view(&b));
}

struct str hash_hex(struct arena *a, struct str s)
{
  return hash(a, s, hex_encode);
}

struct str hash_base64url(struct arena *a, struct str s)
{
  return hash(a, s, base64url_encode);
}
