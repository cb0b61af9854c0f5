/* Sets of keys: JWKS documents, PEM files, secrets; see jwk.h. */
#include <config.h> /* memmem */

#include "auth/jwk.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

/* ------------------------------------------------------------------ sets */

void jwks_free(struct jwks *s)
{
  if (s == NULL)
    return;
  for (size_t i = 0; i < s->n; i++)
    jwk_done(&s->keys[i]);
  free(s->keys);
  free(s);
}

static struct jwks *set_new(size_t n, struct err *e)
{
  struct jwks *s = calloc(1, sizeof *s);
  if (s && (s->keys = calloc(n ? n : 1, sizeof *s->keys)))
    return s;
  free(s);
  err_set(e, "out of memory");
  return NULL;
}

static void skip(struct jwks *s, size_t index, struct str kid, const char *why)
{
  size_t n = strlen(s->skipped);
  snprintf(s->skipped + n, sizeof s->skipped - n, "%skey %zu%s%.*s: %s", n ? "; " : "", index + 1,
           kid.n ? " kid " : "", (int)(kid.n > 40 ? 40 : kid.n), kid.n ? kid.p : "", why);
}

static bool same_kid(const struct jwk *a, const struct jwk *b)
{
  return a->kid && b->kid && a->kid_n == b->kid_n && memcmp(a->kid, b->kid, a->kid_n) == 0;
}

/* Which of two keys of one kid the issuer means, nobody can tell: neither is used.  Keys without a
 * type are those that could not be read; their names count. */
static void drop_duplicates(struct jwks *s)
{
  bool twice[LIMIT_JWKS_KEYS] = {false};
  size_t kept = 0;
  for (size_t i = 0; i < s->n; i++)
    for (size_t j = 0; j < i; j++)
      if (same_kid(&s->keys[i], &s->keys[j]))
        twice[i] = twice[j] = true;
  for (size_t i = 0; i < s->n; i++) {
    struct jwk *k = &s->keys[i];
    if (twice[i] && k->type)
      skip(s, i, (struct str){k->kid, k->kid_n}, "kid stands more than once");
    if (twice[i] || k->type == 0)
      jwk_done(k);
    else
      s->keys[kept++] = *k;
  }
  s->n = kept;
}

/* S, or NULL with E when nothing is left in it. */
static struct jwks *finish(struct jwks *s, struct err *e)
{
  drop_duplicates(s);
  if (s->n > 0)
    return s;
  err_set(e, "no usable key%s%s", s->skipped[0] ? ": " : "", s->skipped);
  jwks_free(s);
  return NULL;
}

static struct jwks *read_set(const json_t *keys, bool oct, struct err *e)
{
  size_t i;
  json_t *o;
  struct jwks *s = set_new(json_array_size(keys), e);
  if (s == NULL)
    return NULL;
  json_array_foreach(keys, i, o)
  {
    struct err why = {""};
    struct jwk *k = &s->keys[s->n++];
    if (jwk_read(o, oct, k, &why) < 0) {
      k->type = 0;
      skip(s, i, json_str(o, "kid"), why.text);
    }
  }
  ERR_clear_error();
  return finish(s, e);
}

/* Secrets beside public keys would let a token choose between being signed and being keyed. */
static int mixed(const json_t *keys, bool oct, struct err *e)
{
  size_t i;
  json_t *o;
  json_array_foreach(keys, i, o) if (oct && !str_is(json_str(o, "kty"), "oct")) return err_set(
      e, "key %zu is no shared secret: a set has one kind", i + 1);
  return 0;
}

struct jwks *jwks_parse(struct str text, bool oct, struct err *e)
{
  if (text.n > LIMIT_JWKS_BYTES) {
    err_set(e, "%zu bytes of keys (at most %d)", text.n, LIMIT_JWKS_BYTES);
    return NULL;
  }
  CLEANUP(json_drop) json_t *doc = json_parse(text, LIMIT_JWT_DEPTH, LIMIT_JSON_VALUES, e);
  if (doc == NULL)
    return NULL;
  json_t *keys = json_object_get(doc, "keys");
  CLEANUP(json_drop) json_t *one = NULL;
  if (keys == NULL && json_object_get(doc, "kty"))
    keys = one = json_pack("[O]", doc);
  if (!json_is_array(keys)) {
    err_set(e, "neither a JWK Set nor a JWK");
    return NULL;
  }
  if (json_array_size(keys) > LIMIT_JWKS_KEYS) {
    err_set(e, "%zu keys (at most %d)", json_array_size(keys), LIMIT_JWKS_KEYS);
    return NULL;
  }
  if (mixed(keys, oct, e) < 0)
    return NULL;
  return read_set(keys, oct, e);
}

/* ------------------------------------------------------------------ PEM */

static EVP_PKEY *read_block(const char *name, const unsigned char *der, long n)
{
  const unsigned char *p = der;
  EVP_PKEY *key = NULL;
  if (strcmp(name, PEM_STRING_PUBLIC) == 0)
    return d2i_PUBKEY(NULL, &p, n);
  if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0)
    return d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, n);
  if (strcmp(name, PEM_STRING_X509) == 0) {
    X509 *cert = d2i_X509(NULL, &p, n);
    key = cert ? X509_get_pubkey(cert) : NULL;
    X509_free(cert);
  }
  return key;
}

/* One block into S; -1 with E ends the reading. */
static int add_block(struct jwks *s, size_t index, const char *name, const unsigned char *der,
                     long n, struct err *e)
{
  struct err why = {"not a public key or certificate"};
  if (strstr(name, "PRIVATE"))
    return err_set(e, "there is a private key: give the public one");
  if (index >= LIMIT_JWKS_KEYS)
    return err_set(e, "more than %d keys", LIMIT_JWKS_KEYS);
  EVP_PKEY *key = read_block(name, der, n);
  enum jwk_type type = key ? jwk_judge(key, &why) : 0;
  if (type) {
    s->keys[s->n] = (struct jwk){.type = type, .key = key};
    jwk_set_up(&s->keys[s->n++]);
    return 0;
  }
  EVP_PKEY_free(key);
  skip(s, index, (struct str){NULL, 0}, why.text);
  return 0;
}

static int add_blocks(struct jwks *s, BIO *in, struct err *e)
{
  for (size_t index = 0;; index++) {
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long n;
    if (PEM_read_bio(in, &name, &header, &der, &n) != 1)
      return 0; /* the end, or nothing that looks like PEM */
    int bad = add_block(s, index, name, der, n, e);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    if (bad)
      return -1;
  }
}

struct jwks *jwks_parse_pem(struct str text, struct err *e)
{
  if (text.n > LIMIT_JWKS_BYTES) {
    err_set(e, "%zu bytes of keys (at most %d)", text.n, LIMIT_JWKS_BYTES);
    return NULL;
  }
  struct jwks *s = set_new(LIMIT_JWKS_KEYS, e);
  BIO *in = BIO_new_mem_buf(text.p, (int)text.n);
  int bad = s && in ? add_blocks(s, in, e) : -1;
  BIO_free(in);
  ERR_clear_error();
  if (bad) {
    jwks_free(s);
    return NULL;
  }
  return finish(s, e);
}

/* ------------------------------------------------------------------ secrets */

/* A public key used as a secret is known to everybody. */
static bool looks_public(struct str bytes)
{
  const unsigned char *p = (const unsigned char *)bytes.p;
  EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)bytes.n);
  X509 *cert = NULL;
  p = (const unsigned char *)bytes.p;
  if (key == NULL)
    cert = d2i_X509(NULL, &p, (long)bytes.n);
  bool public = key || cert;
  EVP_PKEY_free(key);
  X509_free(cert);
  ERR_clear_error();
  return public || memmem(bytes.p, bytes.n, "-----BEGIN ", 11) ||
         memmem(bytes.p, bytes.n, "\"kty\"", 5);
}

struct jwks *jwks_of_secret(struct str bytes, struct err *e)
{
  if (bytes.n < JWK_SECRET_MIN || bytes.n > JWK_SECRET_MAX) {
    err_set(e, "a shared secret has %d to %d bytes, not %zu", JWK_SECRET_MIN, JWK_SECRET_MAX,
            bytes.n);
    return NULL;
  }
  if (looks_public(bytes)) {
    err_set(e, "this is a key file, not a shared secret");
    return NULL;
  }
  struct jwks *s = set_new(1, e);
  struct secret *copy = s ? secret_new(bytes) : NULL;
  if (copy == NULL) {
    jwks_free(s);
    err_set(e, "out of memory");
    return NULL;
  }
  s->keys[s->n++] = (struct jwk){.type = JWK_OCT, .shared = copy};
  return s;
}
