/* mcpauth jwt keygen and mint. */
#include <config.h>

#include "cli/jwt.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jws_sign.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/limits.h"

static int fail(const char *verb, const struct err *e)
{
  fprintf(stderr, "mcpauth jwt %s: %s\n", verb, e->text);
  return CLI_FAILED;
}

static int usage(const char *message)
{
  return cli_usage(&cmd_jwt, message);
}

/* ------------------------------------------------------------------ keygen */

/* A new file, never over an old one. */
static int write_new(const char *path, mode_t mode, struct str text, struct err *e)
{
  AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0)
    return err_set(e, "%s: %s", path, strerror(errno));
  while (text.n > 0) {
    ssize_t w = write(fd, text.p, text.n);
    if (w < 0)
      return err_set(e, "%s: %s", path, strerror(errno));
    text = str_slice(text, (size_t)w, text.n);
  }
  return 0;
}

static int write_pair(const struct jwt_key *k, const char *path, bool pem, struct err *e)
{
  AUTO_FREE char *public_path = NULL;
  CLEANUP(buf_wipe) struct buf private;
  CLEANUP(buf_done) struct buf public;
  buf_init(&private, LIMIT_SECRET_FILE);
  buf_init(&public, LIMIT_SECRET_FILE);
  if (asprintf(&public_path, "%s.pub", path) < 0) {
    public_path = NULL;
    return err_set(e, "out of memory");
  }
  if (jwt_key_private(k, pem, &private, e) < 0 ||
      (k->key && jwt_key_public(k, pem, &public, e) < 0) ||
      write_new(path, 0600, buf_view(&private), e) < 0)
    return -1;
  fprintf(stderr, "%s: %s (keep it)\n", path, k->key ? "private key" : "shared secret");
  if (k->key == NULL)
    return 0;
  if (write_new(public_path, 0644, buf_view(&public), e) < 0)
    return -1;
  fprintf(stderr, "%s: public key, for key_file\n", public_path);
  return 0;
}

int jwt_keygen(int argc, char **argv)
{
  static const struct option options[] = {
      {"alg", required_argument, NULL, 'a'},
      {"kid", required_argument, NULL, 'k'},
      {"out", required_argument, NULL, 'o'},
      {"pem", no_argument, NULL, 'p'},
      {NULL, 0, NULL, 0},
  };
  const char *alg_name = "ES256", *kid = NULL, *path = "jwt.key";
  bool pem = false;
  struct err e = {""};
  CLEANUP(jwt_key_done) struct jwt_key k = {.key = NULL};
  for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
    switch (o) {
    case 'a':
      alg_name = optarg;
      break;
    case 'k':
      kid = optarg;
      break;
    case 'o':
      path = optarg;
      break;
    case 'p':
      pem = true;
      break;
    default:
      return usage("unknown option");
    }
  enum jwt_alg alg = jwt_alg_parse(str_of(alg_name));
  if (alg == ALG_NONE || optind < argc)
    return usage(alg == ALG_NONE ? "--alg is one of RS256 RS384 RS512 PS256 PS384 PS512 ES256 "
                                   "ES384 ES512 EdDSA HS256 HS384 HS512"
                                 : "keygen takes options only");
  if (jwt_key_make(alg, kid, &k, &e) < 0 || write_pair(&k, path, pem, &e) < 0)
    return fail("keygen", &e);
  return CLI_OK;
}

/* ------------------------------------------------------------------ mint */

struct mint {
  const char *key, *kid, *typ, *alg;
  int64_t expires;
  json_t *audiences, *claims; /* claims: those of --claim, which win */
  json_t *payload;
};

static void mint_done(struct mint *m)
{
  json_decref(m->audiences);
  json_decref(m->claims);
  json_decref(m->payload);
}

/* NAME=JSON, or NAME=TEXT when TEXT is no JSON. */
static int add_claim(struct mint *m, const char *text)
{
  const char *equals = strchr(text, '=');
  if (equals == NULL || equals == text)
    return usage("--claim is NAME=JSON");
  AUTO_FREE char *name = strndup(text, (size_t)(equals - text));
  json_t *value = json_parse(str_of(equals + 1), LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, NULL);
  if (value == NULL)
    value = json_string(equals + 1);
  if (name == NULL || json_object_set_new(m->claims, name, value) < 0)
    return usage("--claim is not UTF-8");
  return 0;
}

static int set(struct mint *m, const char *name, const char *value)
{
  return json_object_set_new(m->payload, name, json_string(value)) < 0
             ? usage("an option is not UTF-8")
             : 0;
}

static const struct option mint_options[] = {
    {"key", required_argument, NULL, 'k'},     {"issuer", required_argument, NULL, 'i'},
    {"subject", required_argument, NULL, 's'}, {"audience", required_argument, NULL, 'a'},
    {"scope", required_argument, NULL, 'o'},   {"client", required_argument, NULL, 'c'},
    {"claim", required_argument, NULL, 'm'},   {"expires", required_argument, NULL, 'e'},
    {"kid", required_argument, NULL, 'd'},     {"alg", required_argument, NULL, 'g'},
    {"typ", required_argument, NULL, 't'},     {NULL, 0, NULL, 0},
};

static int mint_option(struct mint *m, int o)
{
  struct err e = {""};
  switch (o) {
  case 'k':
    m->key = optarg;
    return 0;
  case 'i':
    return set(m, "iss", optarg);
  case 's':
    return set(m, "sub", optarg);
  case 'a':
    return json_array_append_new(m->audiences, json_string(optarg)) < 0 ? usage("not UTF-8") : 0;
  case 'o':
    return set(m, "scope", optarg);
  case 'c':
    return set(m, "client_id", optarg);
  case 'm':
    return add_claim(m, optarg);
  case 'e':
    return jwt_duration(optarg, &m->expires, &e) < 0 ? usage(e.text) : 0;
  case 'd':
    m->kid = optarg;
    return 0;
  case 'g':
    m->alg = optarg;
    return 0;
  case 't':
    m->typ = optarg;
    return 0;
  }
  return usage("unknown option");
}

/* Times, an identifier, and last what --claim says. */
static int complete(struct mint *m, struct err *e)
{
  unsigned char random[16];
  int64_t now = clock_wall();
  CLEANUP(buf_done) struct buf jti;
  buf_init(&jti, 64);
  if (RAND_bytes(random, sizeof random) != 1 ||
      base64url_encode(&jti, (struct str){(char *)random, sizeof random}) < 0)
    return err_set(e, "no random numbers");
  size_t n = json_array_size(m->audiences);
  json_t *aud = n == 1 ? json_array_get(m->audiences, 0) : m->audiences;
  if ((n && json_object_set(m->payload, "aud", aud) < 0) ||
      json_object_set_new(m->payload, "iat", json_integer(now)) < 0 ||
      json_object_set_new(m->payload, "exp", json_integer(now + m->expires)) < 0 ||
      json_object_set_new(m->payload, "jti", json_string(jti.p)) < 0 ||
      json_object_update(m->payload, m->claims) < 0)
    return err_set(e, "out of memory");
  return 0;
}

static json_t *header_of(const struct mint *m, const struct jwt_key *k, enum jwt_alg alg)
{
  const char *kid = m->kid ? m->kid : k->kid;
  json_t *h = json_pack("{ss}", "alg", jwt_alg_name(alg));
  if (*m->typ)
    json_object_set_new(h, "typ", json_string(m->typ));
  if (kid && *kid)
    json_object_set_new(h, "kid", json_string(kid));
  return h;
}

static int mint(struct mint *m, struct buf *out, struct err *e)
{
  CLEANUP(jwt_key_done) struct jwt_key k = {.key = NULL};
  if (jwt_key_read(m->key, &k, e) < 0 || complete(m, e) < 0)
    return -1;
  enum jwt_alg alg = m->alg ? jwt_alg_parse(str_of(m->alg)) : k.alg;
  CLEANUP(json_drop) json_t *header = header_of(m, &k, alg);
  AUTO_FREE char *head = json_dumps(header, JSON_COMPACT);
  AUTO_FREE char *body = json_dumps(m->payload, JSON_COMPACT);
  if (head == NULL || body == NULL)
    return err_set(e, "an option is not UTF-8");
  struct str secret = k.secret ? secret_expose(k.secret) : (struct str){NULL, 0};
  return jws_compact(alg, k.key, secret, str_of(head), str_of(body), out, e);
}

int jwt_mint(int argc, char **argv)
{
  struct err e = {""};
  CLEANUP(buf_wipe) struct buf token;
  CLEANUP(mint_done)
  struct mint m = {.typ = "at+jwt",
                   .expires = 3600,
                   .audiences = json_array(),
                   .claims = json_object(),
                   .payload = json_object()};
  buf_init(&token, 8 * LIMIT_CREDENTIAL);
  for (int o; (o = getopt_long(argc, argv, "", mint_options, NULL)) != -1;)
    if (mint_option(&m, o))
      return CLI_USAGE;
  if (m.key == NULL || optind < argc)
    return usage(m.key ? "mint takes options only" : "mint needs --key FILE");
  if (mint(&m, &token, &e) < 0)
    return fail("mint", &e);
  if (token.n > LIMIT_CREDENTIAL)
    fprintf(stderr, "mcpauth jwt mint: %zu bytes: no hub takes more than %d\n", token.n,
            LIMIT_CREDENTIAL);
  return puts(token.p) == EOF || fflush(stdout) ? CLI_FAILED : CLI_OK;
}
