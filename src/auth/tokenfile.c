/* Token files as text and tokens; see tokenfile.h.  Locking and writing are in tokenfile_save.c. */
#include <config.h>

#include "auth/tokenfile_impl.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/member.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/json.h"
#include "util/limits.h"

enum { BODY = 48 };

/* ------------------------------------------------------------------ secrets and times */

static void sha256_hex(struct str s, char out[65])
{
  static const char digits[] = "0123456789abcdef";
  unsigned char sum[SHA256_SIZE];
  if (sha256(s, sum) < 0)
    abort(); /* a digest that is not one must never be compared */
  for (size_t i = 0; i < sizeof sum; i++) {
    out[2 * i] = digits[sum[i] >> 4];
    out[2 * i + 1] = digits[sum[i] & 15];
  }
  out[64] = 0;
}

void token_secret_hash(struct str secret, char out[65])
{
  sha256_hex(secret, out);
}

int token_secret_make(char out[TOKEN_SECRET + 1], struct err *e)
{
  unsigned char random[32];
  char sum[65];
  CLEANUP(buf_wipe) struct buf b;
  buf_init(&b, TOKEN_SECRET);
  if (RAND_bytes(random, sizeof random) != 1)
    return err_set(e, "no random numbers");
  buf_puts(&b, "mcpa_");
  base64url_encode(&b, (struct str){(const char *)random, sizeof random});
  OPENSSL_cleanse(random, sizeof random);
  if (b.failed || b.n != BODY)
    return err_set(e, "out of memory");
  sha256_hex(buf_view(&b), sum);
  memcpy(out, b.p, BODY);
  out[BODY] = '_';
  memcpy(out + BODY + 1, sum, 6);
  out[TOKEN_SECRET] = 0;
  return 0;
}

bool token_secret_valid(struct str secret)
{
  char sum[65];
  if (secret.n != TOKEN_SECRET || !str_starts(secret, "mcpa_") || secret.p[BODY] != '_')
    return false;
  sha256_hex(str_slice(secret, 0, BODY), sum);
  return memcmp(secret.p + BODY + 1, sum, 6) == 0;
}

void token_time_format(int64_t t, char out[32])
{
  time_t when = (time_t)t;
  struct tm tm;
  gmtime_r(&when, &tm);
  strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* ------------------------------------------------------------------ one token */

/* As in plugins/static-token. */
static const struct mcpauth_member members[] = {
    {"id", MCPAUTH_MEMBER_NAME, MCPAUTH_REQUIRED},
    {"sha256", MCPAUTH_MEMBER_SHA256, MCPAUTH_REQUIRED},
    {"subject", MCPAUTH_MEMBER_TEXT, MCPAUTH_REQUIRED},
    {"scopes", MCPAUTH_MEMBER_SCOPES, 0},
    {"claims", MCPAUTH_MEMBER_CLAIMS, 0},
    {"expires", MCPAUTH_MEMBER_TIME, 0},
    {"enabled", MCPAUTH_MEMBER_BOOL, 0},
    {"previous_sha256", MCPAUTH_MEMBER_SHA256, 0},
    {"previous_until", MCPAUTH_MEMBER_TIME, 0},
    {"created", MCPAUTH_MEMBER_ANY, 0},
    {"note", MCPAUTH_MEMBER_ANY, 0},
    {NULL, MCPAUTH_MEMBER_ANY, 0},
};

static const char *misfit(json_t *token, const char **name)
{
  const char *why = member_misfit(token, members, name);
  if (why == NULL &&
      !json_object_get(token, "previous_sha256") != !json_object_get(token, "previous_until")) {
    *name = "previous_until";
    why = "comes together with previous_sha256";
  }
  return why;
}

int token_check(json_t *token, struct err *e)
{
  const char *name, *why = misfit(token, &name);
  return why ? err_set(e, "%.64s: %s", name, why) : 0;
}

/* ------------------------------------------------------------------ the file */

static struct tokenline *line_add(struct tokenfile *f)
{
  if (f->n == f->cap) {
    size_t cap = f->cap ? 2 * f->cap : 64;
    struct tokenline *v = reallocarray(f->v, cap, sizeof *v);
    if (v == NULL)
      return NULL;
    f->v = v;
    f->cap = cap;
  }
  f->v[f->n] = (struct tokenline){NULL, 0, NULL};
  return &f->v[f->n++];
}

static size_t column_of(struct str line, const char *name)
{
  const char *at = memmem(line.p, line.n, name, strlen(name));
  return at ? (size_t)(at - line.p) + 1 : 1;
}

/* "line 1 " of the parser, which sees one line only, gives way to the real number. */
static int place(struct err *e, size_t number)
{
  char text[ERR_TEXT_MAX];
  bool own = str_starts(str_of(e->text), "line 1 ");
  memcpy(text, e->text + (own ? 7 : 0), sizeof text - 7);
  text[sizeof text - 8] = 0;
  return err_set(e, "line %zu %s", number, text);
}

static int parse_line(struct tokenfile *f, struct str line, size_t number, struct err *e)
{
  const char *name = "";
  struct tokenline *l = line_add(f);
  if (l == NULL || (l->text = malloc(line.n + 1)) == NULL)
    return err_set(e, "out of memory");
  if (line.n)
    memcpy(l->text, line.p, line.n);
  l->n = line.n;
  if (line.n == 0 || line.p[0] == '#')
    return 0;
  l->token = json_parse(line, LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, e);
  if (l->token == NULL)
    return place(e, number);
  if (!json_is_object(l->token))
    return err_set(e, "line %zu column 1: an object is expected", number);
  const char *why = misfit(l->token, &name);
  return why ? err_set(e, "line %zu column %zu: %.64s: %s", number, column_of(line, name), name,
                       why)
             : 0;
}

/* SEEN: keys of the lines so far and where they stand.  KIND tells ids and secrets apart. */
static int see(json_t *seen, char kind, struct str key, size_t number, struct err *e)
{
  char name[80];
  if (key.p == NULL)
    return 0;
  snprintf(name, sizeof name, "%c%.*s", kind, STR_ARG(str_slice(key, 0, 64)));
  json_t *before = json_object_get(seen, name);
  if (before)
    return err_set(e, "line %zu column 1: the %s of line %lld is here again", number,
                   kind == 'i' ? "id" : "secret", (long long)json_integer_value(before));
  return json_object_set_new(seen, name, json_integer((json_int_t)number)) < 0
             ? err_set(e, "out of memory")
             : 0;
}

/* Every id and every secret once. */
static int check_unique(const struct tokenfile *f, json_t *seen, size_t at, struct err *e)
{
  json_t *token = f->v[at].token;
  if (token == NULL)
    return 0;
  return see(seen, 'i', json_str(token, "id"), at + 1, e) < 0 ||
                 see(seen, 's', json_str(token, "sha256"), at + 1, e) < 0 ||
                 see(seen, 's', json_str(token, "previous_sha256"), at + 1, e) < 0
             ? -1
             : 0;
}

static int parse_lines(struct tokenfile *f, struct str text, struct err *e)
{
  struct str line;
  CLEANUP(json_drop) json_t *seen = json_object();
  while (str_next(&text, '\n', &line)) {
    if (f->n >= LIMIT_TOKENS)
      return err_set(e, "more than %d lines", LIMIT_TOKENS);
    if (parse_line(f, line, f->n + 1, e) < 0 || check_unique(f, seen, f->n - 1, e) < 0)
      return -1;
  }
  return 0;
}

struct tokenfile *tokenfile_parse(struct str text, struct err *e)
{
  struct tokenfile *f = calloc(1, sizeof *f);
  if (f == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  f->fd = -1;
  if (text.n == 0)
    return f;
  if (str_ends(text, "\n"))
    text.n--;
  if (parse_lines(f, text, e) == 0)
    return f;
  tokenfile_free(f);
  return NULL;
}

void tokenfile_free(struct tokenfile *f)
{
  if (f == NULL)
    return;
  for (size_t i = 0; i < f->n; i++) {
    free(f->v[i].text);
    json_decref(f->v[i].token);
  }
  free(f->v);
  free(f->path);
  if (f->fd >= 0)
    close(f->fd); /* and the lock with it */
  free(f);
}

size_t tokenfile_count(const struct tokenfile *f)
{
  size_t n = 0;
  for (size_t i = 0; i < f->n; i++)
    n += f->v[i].token != NULL;
  return n;
}

json_t *tokenfile_at(const struct tokenfile *f, size_t k)
{
  for (size_t i = 0; i < f->n; i++)
    if (f->v[i].token && k-- == 0)
      return f->v[i].token;
  return NULL;
}

json_t *tokenfile_find(const struct tokenfile *f, const char *id)
{
  for (size_t i = 0; i < f->n; i++)
    if (f->v[i].token && str_is(json_str(f->v[i].token, "id"), id))
      return f->v[i].token;
  return NULL;
}

json_t *tokenfile_by_secret(const struct tokenfile *f, struct str secret, bool *ret_previous)
{
  char hash[65];
  token_secret_hash(secret, hash);
  for (size_t i = 0; i < f->n; i++) {
    json_t *t = f->v[i].token;
    *ret_previous = t && str_is(json_str(t, "previous_sha256"), hash);
    if (t && (*ret_previous || str_is(json_str(t, "sha256"), hash)))
      return t;
  }
  return NULL;
}

/* The line's text from its token. */
static int line_format(struct tokenfile *f, size_t at, struct err *e)
{
  CLEANUP(json_drop) json_t *seen = json_object();
  if (token_check(f->v[at].token, e) < 0)
    return -1;
  for (size_t i = 0; i < f->n; i++)
    if (check_unique(f, seen, i, e) < 0)
      return -1;
  char *text = json_dumps(f->v[at].token, JSON_COMPACT);
  if (text == NULL)
    return err_set(e, "out of memory");
  free(f->v[at].text);
  f->v[at].text = text;
  f->v[at].n = strlen(text);
  return 0;
}

int tokenfile_add(struct tokenfile *f, json_t *token, struct err *e)
{
  struct tokenline *l = tokenfile_count(f) < LIMIT_TOKENS ? line_add(f) : NULL;
  if (l == NULL) {
    json_decref(token);
    return err_set(e, "too many tokens");
  }
  l->token = token;
  if (line_format(f, f->n - 1, e) == 0)
    return 0;
  json_decref(token);
  f->n--;
  return -1;
}

int tokenfile_touch(struct tokenfile *f, json_t *token, struct err *e)
{
  for (size_t i = 0; i < f->n; i++)
    if (f->v[i].token == token)
      return line_format(f, i, e);
  return err_set(e, "no such token");
}

void tokenfile_remove(struct tokenfile *f, json_t *token)
{
  for (size_t i = 0; i < f->n; i++)
    if (f->v[i].token == token) {
      free(f->v[i].text);
      json_decref(token);
      memmove(&f->v[i], &f->v[i + 1], (f->n - i - 1) * sizeof *f->v);
      f->n--;
      return;
    }
}

int tokenfile_format(const struct tokenfile *f, struct buf *out)
{
  for (size_t i = 0; i < f->n; i++) {
    buf_add(out, f->v[i].text, f->v[i].n);
    buf_putc(out, '\n');
  }
  return out->failed ? -1 : 0;
}
