/* Sealing (AES-256-GCM) by keys of the ring and by tokens; see keyring.h.
 *
 *   1 byte    form: 1
 *   4 bytes   number of the key, big-endian; 0 for a token's
 *   12 bytes  salt: the message's key is HMAC-SHA-256 (key, label NUL salt)
 *   12 bytes  nonce
 *   n bytes   ciphertext
 *   16 bytes  tag
 *
 * The associated data are the first 5 bytes and AAD. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "store/keyring_impl.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum { FORM = 1, HEAD = 5, SALT = 12, NONCE = 12, TAG = 16, BODY = HEAD + SALT + NONCE };
_Static_assert(BODY + TAG == KEYRING_SEAL_OVERHEAD, "the header says how much longer it gets");

static void drop_cipher(EVP_CIPHER_CTX **c)
{
  EVP_CIPHER_CTX_free(*c);
}

static void drop_mac(EVP_MAC_CTX **c)
{
  EVP_MAC_CTX_free(*c);
}

/* Looked up once, for the life of the process: OpenSSL 3 spends more on finding them by name than
 * on a text of ours.  HMAC is a context to be copied, and has no key of anybody's. */
static struct {
  EVP_CIPHER *gcm;
  EVP_MAC_CTX *hmac;
} algorithm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look_up(void)
{
  static const unsigned char no_key[KEYRING_KEY];
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 6),
                               OSSL_PARAM_END};
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  CLEANUP(drop_mac) EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;
  EVP_MAC_free(mac);
  algorithm.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  if (c && EVP_MAC_init(c, no_key, sizeof no_key, params) == 1)
    algorithm.hmac = steal_ptr(&c);
}

static int message_key(struct str key, const char *label, const unsigned char *salt,
                       unsigned char ret[KEYRING_KEY])
{
  size_t n = strlen(label) + 1, len = 0;
  pthread_once(&once, look_up);
  if (n > 64 || key.n < 16 || algorithm.hmac == NULL)
    return -1;
  CLEANUP(drop_mac) EVP_MAC_CTX *c = EVP_MAC_CTX_dup(algorithm.hmac);
  return c && EVP_MAC_init(c, (const unsigned char *)key.p, key.n, NULL) == 1 &&
                 EVP_MAC_update(c, (const unsigned char *)label, n) == 1 &&
                 EVP_MAC_update(c, salt, SALT) == 1 &&
                 EVP_MAC_final(c, ret, &len, KEYRING_KEY) == 1 && len == KEYRING_KEY
             ? 0
             : -1;
}

/* Key, nonce and associated data set; NULL when OpenSSL fails. */
static EVP_CIPHER_CTX *cipher(struct str key, const char *label, struct str aad,
                              const unsigned char *head, bool seal)
{
  unsigned char k[KEYRING_KEY];
  int n;
  CLEANUP(drop_cipher) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  bool good =
      c && aad.n <= LIMIT_KEYRING_TEXT && message_key(key, label, head + HEAD, k) == 0 &&
      algorithm.gcm &&
      EVP_CipherInit_ex2(c, algorithm.gcm, k, head + HEAD + SALT, seal, NULL) == 1 &&
      EVP_CipherUpdate(c, NULL, &n, head, HEAD) == 1 &&
      (aad.n == 0 || EVP_CipherUpdate(c, NULL, &n, (const unsigned char *)aad.p, (int)aad.n) == 1);
  OPENSSL_cleanse(k, sizeof k);
  return good ? steal_ptr(&c) : NULL;
}

static int seal(struct str key, uint32_t id, const char *label, struct str aad, struct str text,
                struct buf *out, struct err *e)
{
  int n = 0, last = 0;
  if (text.n > LIMIT_KEYRING_TEXT)
    return err_set(e, "too long to be sealed");
  unsigned char *to = (unsigned char *)buf_reserve(out, text.n + KEYRING_SEAL_OVERHEAD);
  if (to == NULL)
    return err_set(e, "no room for what is sealed");
  to[0] = FORM;
  for (int i = 0; i < 4; i++)
    to[1 + i] = (unsigned char)(id >> (24 - 8 * i));
  if (getrandom(to + HEAD, SALT + NONCE, 0) != SALT + NONCE)
    return err_set(e, "no random bytes");
  CLEANUP(drop_cipher) EVP_CIPHER_CTX *c = cipher(key, label, aad, to, true);
  if (c == NULL ||
      (text.n &&
       EVP_CipherUpdate(c, to + BODY, &n, (const unsigned char *)text.p, (int)text.n) != 1) ||
      EVP_CipherFinal_ex(c, to + BODY + n, &last) != 1 ||
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, to + BODY + n) != 1)
    return err_set(e, "sealing failed");
  out->n += text.n + KEYRING_SEAL_OVERHEAD;
  out->p[out->n] = 0;
  return 0;
}

static int open_with(struct str key, const char *label, struct str aad, struct str sealed,
                     struct buf *out)
{
  const unsigned char *from = (const unsigned char *)sealed.p;
  int n = 0, last = 0;
  size_t body = sealed.n - KEYRING_SEAL_OVERHEAD;
  CLEANUP(drop_cipher) EVP_CIPHER_CTX *c = cipher(key, label, aad, from, false);
  unsigned char *to = c ? (unsigned char *)buf_reserve(out, body) : NULL;
  if (to == NULL || (body && EVP_CipherUpdate(c, to, &n, from + BODY, (int)body) != 1) ||
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(uintptr_t)(from + BODY + body)) !=
          1 ||
      EVP_CipherFinal_ex(c, to + n, &last) != 1) {
    if (to)
      OPENSSL_cleanse(to, body);
    return -1;
  }
  out->n += body;
  out->p[out->n] = 0;
  return 0;
}

/* The number of the key, -1 when it has not the form. */
static int64_t sealed_id(struct str sealed)
{
  const unsigned char *p = (const unsigned char *)sealed.p;
  if (sealed.n < KEYRING_SEAL_OVERHEAD || sealed.n > LIMIT_KEYRING_TEXT + KEYRING_SEAL_OVERHEAD ||
      p[0] != FORM)
    return -1;
  return (int64_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4];
}

uint32_t keyring_sealed_by(struct str sealed)
{
  int64_t id = sealed_id(sealed);
  return id < 0 ? 0 : (uint32_t)id;
}

int keyring_seal(const struct keyring *k, const char *label, struct str aad, struct str text,
                 struct buf *out, struct err *e)
{
  const struct seal_key *s = ring_sealing(atomic_load(&k->now));
  return seal(secret_expose(s->key), s->id, label, aad, text, out, e);
}

int keyring_open(const struct keyring *k, const char *label, struct str aad, struct str sealed,
                 struct buf *out)
{
  const struct ring *r = atomic_load(&k->now);
  int64_t id = sealed_id(sealed);
  for (size_t i = 0; id > 0 && i < r->n_seal; i++)
    if (r->seal[i].id == id)
      return open_with(secret_expose(r->seal[i].key), label, aad, sealed, out);
  return -1;
}

int token_seal(struct str token, const char *label, struct str aad, struct str text,
               struct buf *out, struct err *e)
{
  return seal(token, 0, label, aad, text, out, e);
}

int token_open(struct str token, const char *label, struct str aad, struct str sealed,
               struct buf *out)
{
  return sealed_id(sealed) == 0 ? open_with(token, label, aad, sealed, out) : -1;
}

int keyring_derive(const struct keyring *k, const char *label, unsigned char ret[KEYRING_DERIVED],
                   struct err *e)
{
  static const unsigned char no_salt[SALT];
  const struct seal_key *s = ring_sealing(atomic_load(&k->now));
  if (message_key(secret_expose(s->key), label, no_salt, ret) < 0)
    return err_set(e, "a key could not be derived");
  return 0;
}
