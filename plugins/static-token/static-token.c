/* static-token: a file of hashed tokens, one JSON object a line; see mcpauth-static-token(5).  The
 * file is read whole at start and whenever it changes; one with a mistake in it is refused with its
 * place, and what was read before stays.
 *
 * A credential is ours by its form: mcpa_, 43 characters, _, and 6 hexadecimal digits, the first of
 * the SHA-256 of what stands before the second _.  It is found by its SHA-256 in a hash table: how
 * long that takes tells nothing about the secrets. */
#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY = 48, FORM = BODY + 7, HEX = 64, FILE_MAX = 8 << 20, TOKENS_MAX = 20000 };

/* What a token is found by. */
enum { NOW, BEFORE, KEYS }; /* the SHA-256 of its secret; of the one before a rotation */

struct token {
  const struct mcpauth_claims *json; /* the line; strings point into it */
  const char *id, *key[KEYS];        /* NULL: there is none before */
  int64_t ends[KEYS];                /* 0: never */
  unsigned line;
};

struct tokens {
  struct token *v;
  size_t n, slots; /* a power of two */
  struct entry {
    const char *key; /* NULL: free */
    const struct token *token;
    int which;
  } * table;
};

struct config {
  const char *file;
};

struct state {
  struct mcpauth_instance *self;
  const char *file;
  bool checking; /* mistakes are reported, not logged */
  struct tokens now;
};

/* clang-format off */
static const struct mcpauth_option options[] = {
    {.name = "file", .type = MCPAUTH_PATH, .flags = MCPAUTH_REQUIRED,
     .offset = offsetof(struct config, file), .metavar = "PATH",
     .help = "The tokens, hashed; made by `mcpauth token`", .since = "0.1"},
    {.name = NULL}};

static const struct mcpauth_member members[] = {
    {"id", MCPAUTH_MEMBER_NAME, MCPAUTH_REQUIRED}, {"sha256", MCPAUTH_MEMBER_SHA256, MCPAUTH_REQUIRED},
    {"subject", MCPAUTH_MEMBER_TEXT, MCPAUTH_REQUIRED}, {"scopes", MCPAUTH_MEMBER_SCOPES, 0},
    {"claims", MCPAUTH_MEMBER_CLAIMS, 0}, {"expires", MCPAUTH_MEMBER_TIME, 0},
    {"enabled", MCPAUTH_MEMBER_BOOL, 0}, {"previous_sha256", MCPAUTH_MEMBER_SHA256, 0},
    {"previous_until", MCPAUTH_MEMBER_TIME, 0}, {"created", MCPAUTH_MEMBER_ANY, 0},
    {"note", MCPAUTH_MEMBER_ANY, 0}, {NULL, MCPAUTH_MEMBER_ANY, 0}};
/* clang-format on */

extern const struct mcpauth_host *host;

/* ---- one line of the file */

struct line {
  struct mcpauth_bytes text;
  unsigned number;
  char error[256];
};

static bool bad(struct line *l, const char *member, const char *why)
{
  size_t n = strlen(member), at = 0;
  while (at + n < l->text.n && memcmp(l->text.p + at, member, n) != 0)
    at++;
  snprintf(l->error, sizeof l->error, "line %u column %zu: %.64s: %s", l->number,
           at + n < l->text.n ? at + 1 : 1, member, why);
  return false;
}

/* NULL when there is no such member. */
static const char *text(const struct token *t, const char *pointer)
{
  return host->claim(t->json, pointer).text;
}

static bool token_read(struct line *l, struct token *t)
{
  char error[160];
  const char *name, *why;
  *t = (struct token){.line = l->number, .json = host->json_new(l->text, error, sizeof error)};
  if (t->json == NULL)
    return snprintf(l->error, sizeof l->error, "line %u %s", l->number, error) < 0;
  if ((why = host->json_misfit(t->json, members, &name)))
    return bad(l, name, why);
  t->id = text(t, "/id");
  t->key[NOW] = text(t, "/sha256");
  t->key[BEFORE] = text(t, "/previous_sha256");
  t->ends[NOW] = host->time_of(text(t, "/expires"));
  t->ends[BEFORE] = host->time_of(text(t, "/previous_until"));
  return !t->key[BEFORE] == !t->ends[BEFORE] ||
         bad(l, "previous_until", "comes together with previous_sha256");
}

static void tokens_free(struct tokens *t)
{
  for (size_t i = 0; i < t->n; i++)
    host->json_free(t->v[i].json);
  free(t->v);
  free(t->table);
  *t = (struct tokens){NULL, 0, 0, NULL};
}

/* The entry of KEY, or the free one where it would be.  Which slots are looked at depends on hashes
 * alone; the comparison takes its time whatever it finds. */
static struct entry *find(const struct tokens *t, const char *key)
{
  const struct mcpauth_bytes wanted = {key, strlen(key)};
  size_t at = 0;
  for (size_t i = 0; i < wanted.n; i++) /* FNV-1a */
    at = (at ^ (unsigned char)key[i]) * 1099511628211u;
  for (;; at++) {
    struct entry *e = &t->table[at & (t->slots - 1)];
    if (e->key == NULL || host->equal((struct mcpauth_bytes){e->key, strlen(e->key)}, wanted))
      return e;
  }
}

static bool put(struct tokens *t, const struct token *x, const char *key, int which, char *error)
{
  struct entry *e = find(t, key);
  if (e->key)
    return snprintf(error, 256, "line %u column 1: the %s of line %u is here again", x->line,
                    which < KEYS ? "secret" : "id", e->token->line) < 0;
  *e = (struct entry){key, x, which};
  return true;
}

/* Every id and every secret once. */
static bool index_all(struct tokens *t, char *error)
{
  for (t->slots = 16; t->slots < 8 * t->n; t->slots *= 2)
    ;
  if ((t->table = calloc(t->slots, sizeof *t->table)) == NULL)
    return snprintf(error, 256, "out of memory") < 0;
  for (const struct token *x = t->v; x < t->v + t->n; x++)
    if (!put(t, x, x->id, KEYS, error) || !put(t, x, x->key[NOW], NOW, error) ||
        (x->key[BEFORE] && !put(t, x, x->key[BEFORE], BEFORE, error)))
      return false;
  return true;
}

static bool add(struct tokens *t, struct line *l)
{
  if (l->text.n == 0 || l->text.p[0] == '#')
    return true;
  if (t->n % 64 == 0) {
    struct token *more = t->n < TOKENS_MAX ? realloc(t->v, (t->n + 64) * sizeof *more) : NULL;
    if (more == NULL)
      return bad(l, "", "too many tokens");
    t->v = more;
  }
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
  if (good && index_all(&t, l.error)) {
    tokens_free(&s->now);
    s->now = t;
    return 0;
  }
  tokens_free(&t);
  if (s->checking)
    host->report(s->self, "file", "%s: %s", s->file, l.error);
  else
    host->log(s->self, MCPAUTH_LOG_ERROR, "%s: %s", s->file, l.error);
  return -1;
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  struct state s = {self, ((const struct config *)config)->file, true, {NULL, 0, 0, NULL}};
  int r = h->watch_file(self, s.file, FILE_MAX, changed, &s);
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
  *s = (struct state){.self = self, .file = ((const struct config *)config)->file};
  if (h->watch_file(self, s->file, FILE_MAX, changed, s) < 0) {
    stop(s);
    return -1;
  }
  *state = s;
  return 0;
}

static bool claims(const void *config, void *state, const struct mcpauth_credential *c)
{
  (void)config, (void)state;
  return c->value.n > 5 && memcmp(c->value.p, "mcpa_", 5) == 0;
}

static void hex_of(struct mcpauth_bytes bytes, char out[HEX + 1])
{
  unsigned char sum[HEX / 2];
  host->sha256(bytes, sum);
  for (size_t i = 0; i < HEX; i++)
    out[i] = "0123456789abcdef"[sum[i / 2] >> (i % 2 ? 0 : 4) & 15];
  out[HEX] = 0;
}

static bool well_formed(struct mcpauth_bytes v)
{
  char sum[HEX + 1];
  if (v.n != FORM || v.p[BODY] != '_')
    return false;
  hex_of((struct mcpauth_bytes){v.p, BODY}, sum);
  return memcmp(sum, v.p + BODY + 1, FORM - BODY - 1) == 0;
}

static enum mcpauth_result grant(struct mcpauth_request *rq, const struct token *t, int64_t ends)
{
  char issuer[160];
  struct mcpauth_list scopes;
  snprintf(issuer, sizeof issuer, "mcpauth:%s", host->instance_name(host->self(rq)));
  if (host->scopes(rq, t->json, "/scopes", &scopes) < 0)
    return MCPAUTH_ERROR;
  const struct mcpauth_principal who = {issuer, text(t, "/subject"), t->id, scopes, ends, 0};
  if (host->set_principal(rq, &who) < 0 || host->set_claims(rq, t->json, "/claims") < 0)
    return MCPAUTH_ERROR;
  host->count_use(rq, t->id);
  return MCPAUTH_OK;
}

static enum mcpauth_result no(struct mcpauth_request *rq, enum mcpauth_why why, const char *id,
                              const char *words)
{
  return host->refuse(rq, MCPAUTH_INVALID, why, "%s %s", id, words);
}

/* A look-up costs no more than the host's cache would: the principal's reuse_ms is 0, so that a
 * change of the file counts from the moment that it was read. */
static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct mcpauth_bytes secret = host->credential(rq)->value;
  const struct state *s = state;
  char key[HEX + 1];
  (void)config;
  if (!well_formed(secret))
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "token", "with wrong check digits");
  hex_of(secret, key);
  const struct entry *e = find(&s->now, key);
  const struct token *t = e->token;
  if (t == NULL || e->which == KEYS)
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, "token", "that is not in the file");
  int64_t ends = t->ends[NOW];
  if (e->which == BEFORE && (ends == 0 || t->ends[BEFORE] < ends))
    ends = t->ends[BEFORE];
  if (host->claim(t->json, "/enabled").type == MCPAUTH_FALSE)
    return no(rq, MCPAUTH_WHY_NOT_ACCEPTED, t->id, "is disabled");
  if (ends && host->now() >= ends)
    return no(rq, MCPAUTH_WHY_EXPIRED, t->id,
              e->which == BEFORE ? "has expired (rotated)" : "has expired");
  return grant(rq, t, ends);
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider), .name = "static-token",
    .version = "0.1.0", .description = "Tokens of our own, from a file of their hashes",
    .options = options, .config_size = sizeof(struct config), .check = check, .start = start,
    .stop = stop, .claims = claims, .verify = verify};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
