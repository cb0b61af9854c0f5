/* static-token: a file of hashed tokens, one JSON object a line; see mcpauth-static-token(7).  The
 * file is read whole at start and whenever it changes; one with a mistake in it is refused with its
 * place, and what was read before stays.
 *
 * A credential is ours by its form: mcpa_, 43 characters, _, and 6 hexadecimal digits, the first of
 * the SHA-256 of what stands before the second _.  It is found by its SHA-256 in a hash table: how
 * long that takes tells nothing about the secrets. */
#define _GNU_SOURCE
#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BODY = 48, FORM = BODY + 7, FILE_MAX = 8 << 20, TOKENS_MAX = 20000, LIST_MAX = 64 };

/* What a token is found by. */
enum { NOW, BEFORE, ID, KEYS }; /* its secret, the one before a rotation, its id */

struct token {
  const struct mcpauth_claims *json; /* the line; strings point into it */
  const char *id, *subject;
  unsigned char key[KEYS][32];
  int64_t ends[2]; /* the secrets: 0: never, or there is none before */
  bool enabled;
  unsigned line;
};

struct tokens {
  struct token *v;
  size_t n, slots; /* a power of two */
  struct entry {
    const struct token *token; /* NULL: free */
    int key;
  } *table;
};

struct config {
  const char *file;
};

struct state {
  struct mcpauth_instance *self;
  bool checking; /* mistakes are reported, not logged */
  struct tokens now;
};

extern const struct mcpauth_host *host;

static const struct mcpauth_option options[] = {
    {.name = "file", .type = MCPAUTH_PATH, .flags = MCPAUTH_REQUIRED,
     .offset = offsetof(struct config, file), .metavar = "PATH",
     .help = "The tokens, hashed; made by `mcpauth token`", .since = "0.1"},
    {.name = NULL}};

/* ---- one line of the file */

struct line {
  struct mcpauth_bytes text;
  unsigned number;
  const struct mcpauth_claims *json;
  char error[256]; /* the first counts */
};

static bool bad(struct line *l, const char *key, const char *why)
{
  size_t n = strlen(key), at = 0;
  while (at + n < l->text.n && memcmp(l->text.p + at, key, n) != 0)
    at++;
  if (l->error[0] == 0)
    snprintf(l->error, sizeof l->error, "line %u column %zu: %.64s: %s", l->number,
             at + n < l->text.n ? at + 1 : 1, key, why);
  return false;
}

static struct mcpauth_value value(const struct line *l, const char *key, size_t i)
{
  char pointer[32];
  snprintf(pointer, sizeof pointer, i == SIZE_MAX ? "/%s" : "/%s/%zu", key, i);
  return host->claim(l->json, pointer);
}

static bool has(const struct line *l, const char *key)
{
  return value(l, key, SIZE_MAX).type != MCPAUTH_ABSENT;
}

static const char *text(struct line *l, const char *key, size_t max)
{
  struct mcpauth_value v = value(l, key, SIZE_MAX);
  bool good = v.type == MCPAUTH_TEXT && v.count > 0 && v.count <= max;
  for (size_t i = 0; good && i < v.count; i++)
    good = (unsigned char)v.text[i] >= ' ' && v.text[i] != 0x7f;
  if (good)
    return v.text;
  bad(l, key, has(l, key) ? "must be text of the right length, without control characters"
                          : "is missing");
  return NULL;
}

static bool hash(struct line *l, const char *key, unsigned char out[32])
{
  unsigned char of_nothing[32];
  const char *digits = text(l, key, 64);
  if (digits == NULL || strspn(digits, "0123456789abcdef") != 64)
    return bad(l, key, "must be 64 hexadecimal digits, the SHA-256 of a token, never a token");
  for (size_t i = 0; i < 32; i++) {
    const char two[3] = {digits[2 * i], digits[2 * i + 1], 0};
    out[i] = (unsigned char)strtoul(two, NULL, 16);
  }
  host->sha256((struct mcpauth_bytes){"", 0}, of_nothing);
  return memcmp(out, of_nothing, 32) != 0 || bad(l, key, "is the hash of an empty token");
}

static bool when(struct line *l, const char *key, int64_t *out)
{
  struct tm tm = {0}, same;
  const char *t = text(l, key, 20), *end = t ? strptime(t, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
  same = tm;
  *out = end && *end == 0 && end - t == 20 ? (int64_t)timegm(&same) : 0;
  return (*out > 0 && same.tm_mday == tm.tm_mday) ||
         bad(l, key, "must be a time like 2026-12-31T00:00:00Z");
}

static bool lists(struct line *l)
{
  struct mcpauth_value scopes = value(l, "scopes", SIZE_MAX), claims = value(l, "claims", SIZE_MAX);
  if (has(l, "scopes") && (scopes.type != MCPAUTH_ARRAY || scopes.count > LIST_MAX))
    return bad(l, "scopes", "must be an array of at most 64 words");
  for (size_t i = 0; i < scopes.count; i++) {
    struct mcpauth_value v = value(l, "scopes", i);
    bool good = v.type == MCPAUTH_TEXT && v.count > 0 && v.count <= 128;
    for (size_t k = 0; good && k < v.count; k++)
      good = v.text[k] > ' ' && v.text[k] <= '~' && v.text[k] != '"' && v.text[k] != '\\';
    if (!good)
      return bad(l, "scopes", "must be words that can be a scope (RFC 6749)");
  }
  if (has(l, "claims") && (claims.type != MCPAUTH_OBJECT || claims.count > LIST_MAX))
    return bad(l, "claims", "must be an object of at most 64 members");
  for (size_t i = 0; i < claims.count; i++) {
    const char *name = host->member(l->json, "/claims", i);
    if (*name == 0 || strlen(name) > 60 || strpbrk(name, "/~") || strcmp(name, "account") == 0)
      return bad(l, "claims", "has a name that a claim cannot have");
  }
  return true;
}

static bool known(struct line *l)
{
  static const char *const names[] = {"id", "sha256", "subject", "scopes", "claims", "expires",
      "enabled", "previous_sha256", "previous_until", "created", "note", NULL};
  const char *name;
  for (size_t i = 0, k; (name = host->member(l->json, "", i)) != NULL; i++) {
    for (k = 0; names[k] && strcmp(names[k], name) != 0; k++)
      ;
    if (names[k] == NULL)
      return bad(l, name, "is no member of a token (a secret is written as its sha256 only)");
  }
  return true;
}

static bool token_read(struct line *l, struct token *t)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  struct mcpauth_value on = value(l, "enabled", SIZE_MAX);
  bool rotated = has(l, "previous_sha256") || has(l, "previous_until");
  *t = (struct token){.json = l->json, .line = l->number, .enabled = on.type != MCPAUTH_FALSE};
  if (!known(l) || !(t->id = text(l, "id", 64)) || !(t->subject = text(l, "subject", 512)) ||
      !hash(l, "sha256", t->key[NOW]) || !lists(l) ||
      (has(l, "expires") && !when(l, "expires", &t->ends[NOW])) ||
      (rotated && (!hash(l, "previous_sha256", t->key[BEFORE]) ||
                   !when(l, "previous_until", &t->ends[BEFORE]))))
    return false;
  host->sha256((struct mcpauth_bytes){t->id, strlen(t->id)}, t->key[ID]);
  if (t->id[strspn(t->id, plain)])
    return bad(l, "id", "may have letters, digits, '.', '_' and '-'");
  return on.type == MCPAUTH_ABSENT || on.type == MCPAUTH_TRUE || on.type == MCPAUTH_FALSE ||
         bad(l, "enabled", "must be true or false");
}

/* ---- the file */

static void tokens_free(struct tokens *t)
{
  for (size_t i = 0; i < t->n; i++)
    host->json_free(t->v[i].json);
  free(t->v);
  free(t->table);
  *t = (struct tokens){NULL, 0, 0, NULL};
}

/* The entry of KEY, or the free one where it would be. */
static struct entry *find(const struct tokens *t, const unsigned char key[32])
{
  const struct mcpauth_bytes wanted = {(const char *)key, 32};
  size_t at;
  memcpy(&at, key, sizeof at);
  for (;; at++) {
    struct entry *e = &t->table[at & (t->slots - 1)];
    const struct token *x = e->token;
    if (!x || host->equal((struct mcpauth_bytes){(const char *)x->key[e->key], 32}, wanted))
      return e;
  }
}

/* Every id and every secret once. */
static bool index_all(struct tokens *t, struct line *l)
{
  for (t->slots = 16; t->slots < 2 * KEYS * t->n; t->slots *= 2)
    ;
  if ((t->table = calloc(t->slots, sizeof *t->table)) == NULL)
    return bad(l, "", "out of memory");
  for (const struct token *x = t->v; x < t->v + t->n; x++)
    for (int key = 0; key < KEYS; key++) {
      struct entry *e = find(t, x->key[key]);
      if (key == BEFORE && x->ends[BEFORE] == 0)
        continue;
      if (e->token)
        return snprintf(l->error, sizeof l->error, "line %u column 1: the %s of line %u is here again",
                        x->line, key == ID ? "id" : "secret", e->token->line) < 0;
      *e = (struct entry){x, key};
    }
  return true;
}

static bool add(struct tokens *t, struct line *l)
{
  char why[160];
  if (l->text.n == 0 || l->text.p[0] == '#')
    return true;
  if (t->n % 64 == 0) {
    struct token *more = t->n < TOKENS_MAX ? realloc(t->v, (t->n + 64) * sizeof *more) : NULL;
    if (more == NULL)
      return bad(l, "", "too many tokens");
    t->v = more;
  }
  if ((l->json = host->json_new(l->text, why, sizeof why)) == NULL)
    return snprintf(l->error, sizeof l->error, "line %u %s", l->number, why) < 0;
  return token_read(l, &t->v[t->n++]);
}

static int changed(void *arg, struct mcpauth_bytes content)
{
  struct state *s = arg;
  struct tokens t = {NULL, 0, 0, NULL};
  struct line l = {.number = 0};
  bool good = true;
  for (size_t at = 0, end; good && at < content.n; at = end + 1) {
    const char *stop = memchr(content.p + at, '\n', content.n - at);
    end = stop ? (size_t)(stop - content.p) : content.n;
    l = (struct line){.text = {content.p + at, end - at}, .number = l.number + 1};
    good = add(&t, &l);
  }
  if (good && index_all(&t, &l)) {
    tokens_free(&s->now);
    s->now = t;
    return 0;
  }
  tokens_free(&t);
  if (s->checking)
    host->report(s->self, "file", "%s", l.error);
  else
    host->log(s->self, MCPAUTH_LOG_ERROR, "%s", l.error);
  return -1;
}

/* ---- the provider */

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  struct state s = {.self = self, .checking = true};
  int r = h->watch_file(self, ((const struct config *)config)->file, FILE_MAX, changed, &s);
  tokens_free(&s.now);
  return r;
}

static void stop(void *state)
{
  tokens_free(&((struct state *)state)->now);
  free(state);
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **state)
{
  struct state *s = calloc(1, sizeof *s);
  if (s == NULL)
    return -1;
  s->self = self;
  if (h->watch_file(self, ((const struct config *)config)->file, FILE_MAX, changed, s) < 0) {
    stop(s);
    return -1;
  }
  *state = s;
  return 0;
}

static bool claims(const void *config, void *state, const struct mcpauth_credential *c)
{
  (void)config;
  (void)state;
  return c->value.n > 5 && memcmp(c->value.p, "mcpa_", 5) == 0;
}

static bool well_formed(struct mcpauth_bytes v)
{
  unsigned char sum[32];
  char digits[7];
  if (v.n != FORM || v.p[BODY] != '_')
    return false;
  host->sha256((struct mcpauth_bytes){v.p, BODY}, sum);
  snprintf(digits, sizeof digits, "%02x%02x%02x", sum[0], sum[1], sum[2]);
  return memcmp(digits, v.p + BODY + 1, 6) == 0;
}

static enum mcpauth_result grant(struct mcpauth_request *rq, const struct token *t, int64_t ends)
{
  char issuer[160], pointer[80];
  const char *words[LIST_MAX], *name;
  const struct line l = {.json = t->json};
  size_t n = value(&l, "scopes", SIZE_MAX).count;
  for (size_t i = 0; i < n; i++)
    words[i] = value(&l, "scopes", i).text;
  snprintf(issuer, sizeof issuer, "mcpauth:%s", host->instance_name(host->self(rq)));
  const struct mcpauth_principal who = {.issuer = issuer, .subject = t->subject, .client = t->id,
      .scopes = {n, words}, .expires_at = ends};
  if (host->set_principal(rq, &who) < 0)
    return MCPAUTH_ERROR;
  for (size_t i = 0; (name = host->member(t->json, "/claims", i)) != NULL; i++) {
    snprintf(pointer, sizeof pointer, "/claims/%s", name);
    if (host->set_claim(rq, pointer + 7, host->claim_json(rq, t->json, pointer)) < 0)
      return MCPAUTH_ERROR;
  }
  host->count_use(rq, t->id);
  return MCPAUTH_OK;
}

/* A look-up costs no more than the host's cache would: reuse_ms stays 0, so a change of the file
 * counts from the moment that it was read. */
static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct mcpauth_bytes secret = host->credential(rq)->value;
  const struct state *s = state;
  unsigned char key[32];
  (void)config;
  if (!well_formed(secret))
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "the checksum is wrong");
  host->sha256(secret, key);
  const struct entry *e = find(&s->now, key);
  const struct token *t = e->token;
  if (t == NULL || e->key == ID)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "no such token");
  int64_t ends = t->ends[NOW];
  if (e->key == BEFORE && (ends == 0 || t->ends[BEFORE] < ends))
    ends = t->ends[BEFORE];
  if (!t->enabled)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "token %s is disabled", t->id);
  if (ends && host->now() >= ends)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_EXPIRED, "token %s has expired%s", t->id,
                        e->key == BEFORE ? " (rotated)" : "");
  return grant(rq, t, ends);
}

static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider), .name = "static-token",
    .version = "0.1", .description = "Tokens of our own, from a file of their hashes",
    .options = options, .config_size = sizeof(struct config), .check = check, .start = start,
    .stop = stop, .claims = claims, .verify = verify};

MCPAUTH_PROVIDER(&provider);
