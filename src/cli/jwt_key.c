/* Key files of mcpauth jwt: making, reading, writing.  JSON forms are in jwt_jwk.c. */
#include <config.h>

#include "cli/jwt.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"
#include "util/safefile.h"

enum { RSA_BITS = 2048, SECRET_BYTES = 64 };

void jwt_key_done(struct jwt_key *k)
{
  EVP_PKEY_free(k->key);
  secret_free(k->secret);
  free(k->kid);
  *k = (struct jwt_key){.key = NULL};
}

/* ------------------------------------------------------------------ making */

static EVP_PKEY *make(enum jwt_alg alg)
{
  switch (alg) {
  case ALG_RS256:
  case ALG_RS384:
  case ALG_RS512:
  case ALG_PS256:
  case ALG_PS384:
  case ALG_PS512:
    return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
  case ALG_ES256:
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
  case ALG_ES384:
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
  case ALG_ES512:
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
  case ALG_EDDSA:
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  case ALG_HS256:
  case ALG_HS384:
  case ALG_HS512:
  case ALG_NONE:
  case ALG_COUNT:
    break;
  }
  return NULL;
}

/* Text, so that it survives editors and environment variables. */
static struct secret *make_secret(void)
{
  unsigned char random[SECRET_BYTES];
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, 256);
  if (RAND_bytes(random, sizeof random) != 1)
    return NULL;
  base64url_encode(&text, (struct str){(char *)random, sizeof random});
  OPENSSL_cleanse(random, sizeof random);
  return text.failed ? NULL : secret_new(buf_view(&text));
}

static int name_key(struct jwt_key *k, const char *kid, struct err *e)
{
  CLEANUP(json_drop) json_t *jwk = jwt_jwk_of(k->key, false, e);
  if (jwk == NULL)
    return -1;
  k->kid = kid ? strdup(kid) : jwt_thumbprint(jwk);
  return k->kid ? 0 : err_set(e, "out of memory");
}

int jwt_key_make(enum jwt_alg alg, const char *kid, struct jwt_key *ret, struct err *e)
{
  ret->alg = alg;
  if (alg >= ALG_HS256 && alg <= ALG_HS512) {
    ret->secret = make_secret();
    return ret->secret ? 0 : err_set(e, "no random numbers");
  }
  ret->key = make(alg);
  return ret->key ? name_key(ret, kid, e) : err_set(e, "no key could be made");
}

/* ------------------------------------------------------------------ reading */

static int no_password(char *buf, int size, int writing, void *arg)
{
  (void)buf, (void)size, (void)writing, (void)arg;
  return 0;
}

static enum jwt_alg usual_alg(EVP_PKEY *key, struct err *e)
{
  switch (jwk_judge(key, e)) {
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

static int read_pem(struct str text, struct jwt_key *ret, struct err *e)
{
  BIO *in = BIO_new_mem_buf(text.p, (int)text.n);
  ret->key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
  BIO_free(in);
  ERR_clear_error();
  if (ret->key == NULL)
    return err_set(e, "no private key without a password");
  ret->alg = usual_alg(ret->key, e);
  return ret->alg ? name_key(ret, NULL, e) : -1;
}

static int read_jwk(struct str text, struct jwt_key *ret, struct err *e)
{
  CLEANUP(json_drop)
  json_t *jwk = json_parse(text, LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, e);
  struct str alg = json_str(jwk, "alg"), kid = json_str(jwk, "kid");
  if (jwk == NULL || (ret->key = jwt_jwk_private(jwk, e)) == NULL)
    return -1;
  ret->alg = alg.p ? jwt_alg_parse(alg) : usual_alg(ret->key, e);
  if (ret->alg == ALG_NONE)
    return alg.p ? err_set(e, "unknown alg '%.*s'", STR_ARG(alg)) : -1;
  return name_key(ret, kid.p, e);
}

static int read_secret(struct str text, struct jwt_key *ret, struct err *e)
{
  if (text.n && text.p[text.n - 1] == '\n')
    text.n--;
  if (text.n < 32)
    return err_set(e, "neither a private key nor a secret of at least 32 bytes");
  ret->secret = secret_new(text);
  ret->alg = ALG_HS256;
  return ret->secret ? 0 : err_set(e, "out of memory");
}

static int read_any(struct str text, struct jwt_key *ret, struct err *e)
{
  struct str start = str_trim(text);
  if (str_starts(start, "-----BEGIN"))
    return read_pem(text, ret, e);
  return str_starts(start, "{") ? read_jwk(text, ret, e) : read_secret(text, ret, e);
}

int jwt_key_read(const char *path, struct jwt_key *ret, struct err *e)
{
  struct jwt_key k = {.key = NULL};
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, LIMIT_SECRET_FILE + 1);
  if (safefile_read(path, LIMIT_SECRET_FILE, true, &text, NULL, e) < 0)
    return -1;
  if (read_any(buf_view(&text), &k, e) < 0) {
    jwt_key_done(&k);
    return err_prefix(e, "%s", path);
  }
  *ret = k;
  return 0;
}

/* ------------------------------------------------------------------ keys to verify with */

static bool is_private(struct str text)
{
  CLEANUP(json_drop) json_t *j = NULL;
  if (str_starts(str_trim(text), "-----BEGIN"))
    return memmem(text.p, text.n, "PRIVATE KEY-----", 16) != NULL;
  if (!str_starts(str_trim(text), "{"))
    return true; /* a secret */
  j = json_parse(text, LIMIT_JWT_DEPTH, LIMIT_JSON_VALUES, NULL);
  return json_object_get(j, "d") != NULL;
}

/* A PEM key says nothing of its algorithm: then any that fits will do. */
static struct jwks *public_half(const char *path, bool pem, struct err *e)
{
  CLEANUP(jwt_key_done) struct jwt_key k = {.key = NULL};
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, LIMIT_SECRET_FILE);
  if (jwt_key_read(path, &k, e) < 0)
    return NULL;
  if (k.secret)
    return jwks_of_secret(secret_expose(k.secret), e);
  if (pem)
    k.alg = ALG_NONE;
  return jwt_key_public(&k, false, &text, e) < 0 ? NULL : jwks_parse(buf_view(&text), false, e);
}

struct jwks *jwt_keys_read(const char *path, struct err *e)
{
  CLEANUP(buf_wipe) struct buf text;
  buf_init(&text, LIMIT_JWKS_BYTES + 1);
  if (safefile_read(path, LIMIT_JWKS_BYTES, false, &text, NULL, e) < 0)
    return NULL;
  struct str s = buf_view(&text);
  if (is_private(s))
    return public_half(path, str_starts(str_trim(s), "-----BEGIN"), e);
  struct jwks *keys = str_starts(str_trim(s), "{") ? jwks_parse(s, false, e) : jwks_parse_pem(s, e);
  if (keys == NULL)
    err_prefix(e, "%s", path);
  return keys;
}

/* ------------------------------------------------------------------ writing */

static int take_bio(BIO *bio, struct buf *out, struct err *e)
{
  char *p = NULL;
  long n = bio ? BIO_get_mem_data(bio, &p) : 0;
  int bad = n <= 0 || buf_add(out, p, (size_t)n) < 0;
  BIO_free(bio);
  return bad ? err_set(e, "the key cannot be written") : 0;
}

static int write_pem(EVP_PKEY *key, bool private, struct buf *out, struct err *e)
{
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio && private)
    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
  else if (bio)
    PEM_write_bio_PUBKEY(bio, key);
  return take_bio(bio, out, e);
}

static int write_json(json_t *j, struct buf *out, struct err *e)
{
  AUTO_FREE char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
  int bad = text == NULL || buf_puts(out, text) < 0 || buf_putc(out, '\n') < 0;
  if (text)
    OPENSSL_cleanse(text, strlen(text));
  json_decref(j);
  return bad ? err_set(e, "the key cannot be written") : 0;
}

static json_t *labelled(const struct jwt_key *k, bool private, struct err *e)
{
  json_t *jwk = jwt_jwk_of(k->key, private, e);
  if (jwk == NULL)
    return NULL;
  json_object_set_new(jwk, "use", json_string("sig"));
  if (k->alg != ALG_NONE)
    json_object_set_new(jwk, "alg", json_string(jwt_alg_name(k->alg)));
  json_object_set_new(jwk, "kid", json_string(k->kid));
  return jwk;
}

int jwt_key_private(const struct jwt_key *k, bool pem, struct buf *out, struct err *e)
{
  if (k->secret)
    return buf_str(out, secret_expose(k->secret)) < 0 || buf_putc(out, '\n') < 0
               ? err_set(e, "out of memory")
               : 0;
  return pem ? write_pem(k->key, true, out, e) : write_json(labelled(k, true, e), out, e);
}

int jwt_key_public(const struct jwt_key *k, bool pem, struct buf *out, struct err *e)
{
  if (pem)
    return write_pem(k->key, false, out, e);
  json_t *jwk = labelled(k, false, e);
  return write_json(jwk ? json_pack("{s[o]}", "keys", jwk) : NULL, out, e);
}
