/* Token files as text and tokens; see tokenfile.h.  Locking and writing are in tokenfile_save.c. */
#include <config.h>

#include "auth/tokenfile_impl.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

enum { BODY = 48, LIST_MAX = 64 };

/* ------------------------------------------------------------------ secrets and times */

static void sha256_hex(struct str s, char out[65])
{
  static const char digits[] = "0123456789abcdef";
  unsigned char sum[32] = {0};
  unsigned n = sizeof sum;
  EVP_Digest(s.p ? s.p : "", s.n, sum, &n, EVP_sha256(), NULL);
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

bool token_time_parse(struct str text, int64_t *ret)
{
  char z[32];
  struct tm tm = {0};
  if (text.n != 20 || memchr(text.p, 0, text.n))
    return false;
  memcpy(z, text.p, text.n);
  z[text.n] = 0;
  const char *end = strptime(z, "%Y-%m-%dT%H:%M:%SZ", &tm);
  if (end != z + 20)
    return false;
  struct tm same = tm;
  *ret = (int64_t)timegm(&same);
  return *ret > 0 && same.tm_mday == tm.tm_mday;
}

void token_time_format(int64_t t, char out[32])
{
  time_t when = (time_t)t;
  struct tm tm;
  gmtime_r(&when, &tm);
  strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* ------------------------------------------------------------------ one token */

static bool plain_text(const json_t *v, size_t max)
{
  struct str s = json_text(v);
  if (s.p == NULL || s.n == 0 || s.n > max)
    return false;
  for (size_t i = 0; i < s.n; i++)
    if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
      return false;
  return true;
}

static int check_id(json_t *v, struct err *e)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (plain_text(v, 64) && strspn(json_string_value(v), plain) == json_string_length(v))
    return 0;
  return err_set(e, "must be 1 to 64 letters, digits, '.', '_' and '-'");
}

static int check_hash(json_t *v, struct err *e)
{
  char nothing[65];
  struct str s = json_text(v);
  sha256_hex(STR(""), nothing);
  if (s.n != 64 || strspn(s.p, "0123456789abcdef") != 64)
    return err_set(e, "must be 64 hexadecimal digits, the SHA-256 of a token, never a token");
  return str_is(s, nothing) ? err_set(e, "is the hash of an empty token") : 0;
}

static int check_subject(json_t *v, struct err *e)
{
  return plain_text(v, LIMIT_SUBJECT)
             ? 0
             : err_set(e, "must be text of 1 to %d bytes without control characters",
                       LIMIT_SUBJECT);
}

static bool is_scope(struct str s)
{
  for (size_t i = 0; i < s.n; i++)
    if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\')
      return false;
  return s.n > 0 && s.n <= LIMIT_SCOPE;
}

static int check_scopes(json_t *v, struct err *e)
{
  size_t i;
  json_t *word;
  if (!json_is_array(v) || json_array_size(v) > LIST_MAX)
    return err_set(e, "must be an array of at most %d words", LIST_MAX);
  json_array_foreach(v, i, word) if (!is_scope(json_text(word))) return err_set(
      e, "must be words that can be a scope (RFC 6749)");
  return 0;
}

static int check_claims(json_t *v, struct err *e)
{
  const char *name;
  json_t *value;
  if (!json_is_object(v) || json_object_size(v) > LIST_MAX)
    return err_set(e, "must be an object of at most %d members", LIST_MAX);
  json_object_foreach(v, name,
                      value) if (*name == 0 || strlen(name) > 60 || strpbrk(name, "/~") ||
                                 strcmp(name, "account") ==
                                     0) return err_set(e, "has a name that a claim cannot have");
  return 0;
}

static int check_time(json_t *v, struct err *e)
{
  int64_t t;
  struct str s = json_text(v);
  return s.p && token_time_parse(s, &t) ? 0
                                        : err_set(e, "must be a time like 2026-12-31T00:00:00Z");
}

static int check_bool(json_t *v, struct err *e)
{
  return json_is_boolean(v) ? 0 : err_set(e, "must be true or false");
}

static int check_any(json_t *v, struct err *e)
{
  (void)v;
  (void)e;
  return 0;
}

/* Every member that a token may have. */
static const struct member {
  const char *name;
  int (*check)(json_t *v, struct err *e);
  bool required;
} members[] = {
    {"id", check_id, true},
    {"sha256", check_hash, true},
    {"subject", check_subject, true},
    {"scopes", check_scopes, false},
    {"claims", check_claims, false},
    {"expires", check_time, false},
    {"enabled", check_bool, false},
    {"previous_sha256", check_hash, false},
    {"previous_until", check_time, false},
    {"created", check_any, false},
    {"note", check_any, false},
};

static const struct member *member_find(const char *name)
{
  for (size_t i = 0; i < ARRAY_SIZE(members); i++)
    if (strcmp(members[i].name, name) == 0)
      return &members[i];
  return NULL;
}

/* *RET_NAME: the member at fault. */
static int check_members(json_t *token, const char **ret_name, struct err *e)
{
  const char *name;
  json_t *value;
  json_object_foreach(token, name, value)
  {
    const struct member *m = member_find(name);
    *ret_name = name;
    if (m == NULL)
      return err_set(e, "is no member of a token (a secret is written as its sha256 only)");
    if (m->check(value, e) < 0)
      return -1;
  }
  for (size_t i = 0; i < ARRAY_SIZE(members); i++)
    if (members[i].required && json_object_get(token, members[i].name) == NULL) {
      *ret_name = members[i].name;
      return err_set(e, "is missing");
    }
  *ret_name = "previous_until";
  if (!json_object_get(token, "previous_sha256") != !json_object_get(token, "previous_until"))
    return err_set(e, "comes together with previous_sha256");
  return 0;
}

int token_check(json_t *token, struct err *e)
{
  const char *name = "";
  return check_members(token, &name, e) < 0 ? err_prefix(e, "%.64s", name) : 0;
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
  f->v[f->n] = (struct tokenline){NULL, NULL};
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
  if (l == NULL || (l->text = strndup(line.p ? line.p : "", line.n)) == NULL)
    return err_set(e, "out of memory");
  if (line.n == 0 || line.p[0] == '#')
    return 0;
  l->token = json_parse(line, LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, e);
  if (l->token == NULL)
    return place(e, number);
  if (!json_is_object(l->token))
    return err_set(e, "line %zu column 1: an object is expected", number);
  if (check_members(l->token, &name, e) < 0)
    return err_prefix(e, "line %zu column %zu: %.64s", number, column_of(line, name), name);
  return 0;
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
    buf_puts(out, f->v[i].text);
    buf_putc(out, '\n');
  }
  return out->failed ? -1 : 0;
}
