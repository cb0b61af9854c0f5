/* Sealed ids; see seal.h.
 *
 * Associated data: a label that keeps this use of the key apart from others, the use, then each
 * part of the owner behind its length, so that no two owners have the same bytes. */
#include "mcp/seal.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { NONCE = 12, TAG = 16, SEALED_MAX = NONCE + LIMIT_SEALED + TAG };

static const unsigned char label[] = "mcpauth id 2";

/* The key schedule is made once for each direction. */
struct sealer {
  EVP_CIPHER_CTX *in, *out;
};

static EVP_CIPHER_CTX *keyed(const unsigned char key[SEAL_KEY], int encrypt)
{
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  if (c && EVP_CipherInit_ex2(c, EVP_aes_256_gcm(), key, NULL, encrypt, NULL) == 1)
    return c;
  EVP_CIPHER_CTX_free(c);
  return NULL;
}

struct sealer *sealer_new(const unsigned char key[SEAL_KEY], struct err *e)
{
  struct sealer *s = calloc(1, sizeof *s);
  if (s) {
    s->out = keyed(key, 1);
    s->in = keyed(key, 0);
  }
  if (s && s->out && s->in)
    return s;
  err_set(e, "OpenSSL has no AES-256-GCM");
  sealer_free(s);
  return NULL;
}

void sealer_free(struct sealer *s)
{
  if (s == NULL)
    return;
  EVP_CIPHER_CTX_free(s->in);
  EVP_CIPHER_CTX_free(s->out);
  free(s);
}

static bool add(EVP_CIPHER_CTX *c, struct str part)
{
  int n;
  if (part.n > LIMIT_WORD)
    return false;
  const unsigned char length[2] = {(unsigned char)(part.n >> 8), (unsigned char)part.n};
  return EVP_CipherUpdate(c, NULL, &n, length, sizeof length) == 1 &&
         (part.n == 0 ||
          EVP_CipherUpdate(c, NULL, &n, (const unsigned char *)part.p, (int)part.n) == 1);
}

/* A new message with this nonce: associated data first. */
static bool begin(EVP_CIPHER_CTX *c, const unsigned char *nonce, enum seal_use use,
                  const struct seal_owner *o)
{
  const unsigned char kind = (unsigned char)use;
  int n;
  return EVP_CipherInit_ex2(c, NULL, NULL, nonce, -1, NULL) == 1 &&
         EVP_CipherUpdate(c, NULL, &n, label, sizeof label) == 1 &&
         EVP_CipherUpdate(c, NULL, &n, &kind, 1) == 1 && o->service.n && add(c, o->service) &&
         add(c, o->issuer) && add(c, o->subject) && add(c, o->client);
}

static uint64_t name_of(const unsigned char *nonce)
{
  uint64_t name;
  memcpy(&name, nonce, sizeof name);
  return name ? name : 1;
}

int seal_make(struct sealer *s, enum seal_use use, const struct seal_owner *o, struct str plain,
              struct buf *out, uint64_t *ret_name)
{
  unsigned char sealed[SEALED_MAX];
  int n = 0, last;
  if (plain.n == 0 || plain.n > LIMIT_SEALED || RAND_bytes(sealed, NONCE) != 1 ||
      !begin(s->out, sealed, use, o) ||
      EVP_CipherUpdate(s->out, sealed + NONCE, &n, (const unsigned char *)plain.p, (int)plain.n) !=
          1 ||
      EVP_CipherFinal_ex(s->out, sealed + NONCE + n, &last) != 1 ||
      EVP_CIPHER_CTX_ctrl(s->out, EVP_CTRL_AEAD_GET_TAG, TAG, sealed + NONCE + n) != 1)
    return -1;
  if (base64url_encode(out, (struct str){(char *)sealed, NONCE + (size_t)n + TAG}) < 0)
    return -1;
  *ret_name = name_of(sealed);
  return 0;
}

int seal_open(struct sealer *s, enum seal_use use, const struct seal_owner *o, struct str sealed,
              struct buf *out, uint64_t *ret_name)
{
  unsigned char bytes[SEALED_MAX], text[LIMIT_SEALED + 16];
  size_t length;
  int n = 0, last;
  if (base64url_decode(sealed, bytes, sizeof bytes, &length) < 0 || length <= NONCE + TAG)
    return -1;
  size_t body = length - NONCE - TAG;
  if (!begin(s->in, bytes, use, o) ||
      EVP_CipherUpdate(s->in, text, &n, bytes + NONCE, (int)body) != 1 ||
      EVP_CIPHER_CTX_ctrl(s->in, EVP_CTRL_AEAD_SET_TAG, TAG, bytes + NONCE + body) != 1 ||
      EVP_CipherFinal_ex(s->in, text + n, &last) != 1)
    return -1;
  buf_clear(out);
  if (buf_add(out, text, body) < 0)
    return -1;
  *ret_name = name_of(bytes);
  return 0;
}
