/* Texts that providers send: JSON strings, Basic headers of OAuth clients, MACs, assertions that a
 * private key signs.  The host makes them, so that no provider links a library for cryptography or
 * writes an encoder of its own. */
#include "auth/call.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jws_sign.h"
#include "util/cleanup.h"
#include "util/limits.h"

static struct str bytes_of(const struct mcpauth_secret *secret)
{
  return secret_expose((const struct secret *)(const void *)secret);
}

const char *host_json_text(struct mcpauth_request *rq, struct mcpauth_bytes text)
{
  CLEANUP(buf_wipe) struct buf b;
  buf_init(&b, LIMIT_REQUEST_ARENA);
  if (text.n > LIMIT_CLAIMS || buf_json(&b, str_of_bytes(text)) < 0)
    return NULL;
  return arena_dup(rq->arena, buf_view(&b));
}

void host_hmac_sha256(struct mcpauth_bytes key, struct mcpauth_bytes data, unsigned char out[32])
{
  unsigned n = 0;
  static const unsigned char nothing[1];
  const void *k = key.n ? key.p : (const char *)nothing,
             *d = data.n ? data.p : (const char *)nothing;
  if (key.n > LIMIT_CLAIMS || HMAC(EVP_sha256(), k, (int)key.n, d, data.n, out, &n) == NULL ||
      n != 32)
    abort(); /* a code that is not one must never be sent or compared */
}

/* ---- Basic */

/* application/x-www-form-urlencoded, all but the unreserved characters of RFC 3986. */
static void form_encode(struct buf *b, struct str s)
{
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  for (size_t i = 0; i < s.n; i++)
    if (memchr(plain, s.p[i], sizeof plain - 1))
      buf_putc(b, s.p[i]);
    else
      buf_printf(b, "%%%02X", (unsigned char)s.p[i]);
}

const char *host_basic(struct mcpauth_request *rq, const char *client_id,
                       const struct mcpauth_secret *secret)
{
  static const char name[] = "Authorization: Basic ";
  CLEANUP(buf_wipe) struct buf pair;
  buf_init(&pair, LIMIT_CREDENTIAL);
  if (client_id == NULL || secret == NULL)
    return NULL;
  form_encode(&pair, str_of(client_id));
  buf_putc(&pair, ':');
  form_encode(&pair, bytes_of(secret));
  char *line = pair.failed ? NULL : arena_alloc(rq->arena, sizeof name + (pair.n + 2) / 3 * 4);
  if (line == NULL)
    return NULL;
  memcpy(line, name, sizeof name - 1);
  EVP_EncodeBlock((unsigned char *)line + sizeof name - 1, (unsigned char *)pair.p, (int)pair.n);
  return line;
}

/* ---- assertions */

static int no_password(char *buf, int size, int writing, void *arg)
{
  (void)buf, (void)size, (void)writing, (void)arg;
  return 0;
}

static void key_drop(EVP_PKEY **key)
{
  EVP_PKEY_free(*key);
}

static EVP_PKEY *private_key(const struct mcpauth_secret *secret)
{
  struct str text = bytes_of(secret);
  BIO *in = text.n <= LIMIT_CLAIMS ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
  EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
  BIO_free(in);
  return key;
}

static enum jwt_alg alg_of(EVP_PKEY *key)
{
  struct err why;
  switch (jwk_judge(key, &why)) {
  case JWK_RSA:
    return ALG_RS256;
  case JWK_P256:
    return ALG_ES256;
  case JWK_P384:
    return ALG_ES384;
  case JWK_P521:
    return ALG_ES512;
  case JWK_ED25519:
    return ALG_EDDSA;
  case JWK_OCT:
    break;
  }
  return ALG_NONE;
}

const char *host_jwt_sign(struct mcpauth_request *rq, const struct mcpauth_secret *secret,
                          const char *kid, const char *claims)
{
  CLEANUP(key_drop) EVP_PKEY *key = secret ? private_key(secret) : NULL;
  enum jwt_alg alg = key ? alg_of(key) : ALG_NONE;
  if (alg == ALG_NONE)
    return NULL;
  if (rq == NULL)
    return "";
  struct err why;
  CLEANUP(buf_done) struct buf header, token;
  buf_init(&header, 1024);
  buf_init(&token, LIMIT_CREDENTIAL);
  buf_printf(&header, "{\"alg\":\"%s\",\"typ\":\"JWT\"", jwt_alg_name(alg));
  if (kid) {
    buf_puts(&header, ",\"kid\":");
    buf_json(&header, str_of(kid));
  }
  buf_putc(&header, '}');
  if (header.failed || claims == NULL ||
      jws_compact(alg, key, STR(""), buf_view(&header), str_of(claims), &token, &why) < 0)
    return NULL;
  return arena_dup(rq->arena, buf_view(&token));
}
