/* Principals: what a provider says about the caller, looked at with suspicion once and then copied
 * into one block that never changes.  Made by the provider host for every OK, shared by the
 * identity cache and by requests; see principal.h. */
#include "auth/principal.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/limits.h"

/* C0, DEL and C1: nothing of the kind may reach a header, a record or a terminal. */
static bool has_control(struct str s)
{
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if (c < 0x20 || c == 0x7f)
      return true;
    if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0)
      return true;
  }
  return false;
}

static int check_text(const char *what, const char *text, size_t max, struct str *ret,
                      struct err *e)
{
  if (text == NULL || *text == 0)
    return err_set(e, "the principal has no %s", what);
  struct str s = {text, strnlen(text, max + 1)};
  if (s.n > max)
    return err_set(e, "the principal's %s is longer than %zu bytes", what, max);
  if (!str_utf8(s))
    return err_set(e, "the principal's %s is not UTF-8", what);
  if (has_control(s))
    return err_set(e, "the principal's %s contains a control character", what);
  *ret = s;
  return 0;
}

/* RFC 6749 section 3.3: 1*( %x21 / %x23-5B / %x5D-7E ) */
static bool is_scope(const char *s)
{
  size_t n = s ? strnlen(s, LIMIT_SCOPE + 1) : 0;
  if (n == 0 || n > LIMIT_SCOPE)
    return false;
  for (size_t i = 0; i < n; i++)
    if (s[i] < 0x21 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\')
      return false;
  return true;
}

static int compare_words(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Both lists, sorted, without duplicates, into ALL (room for LIMIT_SCOPES). */
static int collect_scopes(const struct config_words *given, const struct mcpauth_list *said,
                          const char **all, size_t *ret_n, struct err *e)
{
  if (said->n > LIMIT_SCOPES || (said->n && said->v == NULL) || given->n > LIMIT_SCOPES - said->n)
    return err_set(e, "the principal has more than %d scopes", LIMIT_SCOPES);
  size_t n = 0, unique = 0;
  for (size_t i = 0; i < said->n; i++) {
    if (!is_scope(said->v[i]))
      return err_set(e, "scope %zu of the principal is not a scope token", i + 1);
    all[n++] = said->v[i];
  }
  for (size_t i = 0; i < given->n; i++)
    all[n++] = given->v[i];
  qsort(all, n, sizeof *all, compare_words);
  for (size_t i = 0; i < n; i++)
    if (unique == 0 || strcmp(all[unique - 1], all[i]) != 0)
      all[unique++] = all[i];
  *ret_n = unique;
  return 0;
}

static char *put(char **at, struct str s)
{
  char *copy = *at;
  memcpy(copy, s.p, s.n);
  copy[s.n] = 0;
  *at += s.n + 1;
  return copy;
}

/* What has been checked, on its way into the block. */
struct parts {
  struct str issuer, subject, client;
  const char *scopes[LIMIT_SCOPES];
  size_t n_scopes;
};

static size_t block_size(const struct parts *of)
{
  size_t size = sizeof(struct principal) + of->n_scopes * sizeof(char *);
  size += of->issuer.n + of->subject.n + of->client.n + 3;
  for (size_t i = 0; i < of->n_scopes; i++)
    size += strlen(of->scopes[i]) + 1;
  return size;
}

/* One block: the struct, the scope pointers, the characters. */
static struct principal *build(const struct parts *of)
{
  struct principal *p = calloc(1, block_size(of));
  if (p == NULL)
    return NULL;
  p->refs = 1;
  p->scopes.v = (const char **)(p + 1);
  p->scopes.n = of->n_scopes;
  char *at = (char *)(p->scopes.v + of->n_scopes);
  p->issuer = put(&at, of->issuer);
  p->subject = put(&at, of->subject);
  if (of->client.n)
    p->client = put(&at, of->client);
  for (size_t i = 0; i < of->n_scopes; i++)
    p->scopes.v[i] = put(&at, str_of(of->scopes[i]));
  return p;
}

static void set_view(struct principal *p)
{
  p->view = (struct mcpauth_principal){
      .issuer = p->issuer,
      .subject = p->subject,
      .client = p->client,
      .scopes = {p->scopes.n, (const char *const *)p->scopes.v},
      .expires_at = p->expires_at,
      .reuse_ms = p->reuse_ms,
  };
}

static int check(const struct config_provider *provider, const struct mcpauth_principal *from,
                 struct parts *of, struct err *e)
{
  if (from == NULL)
    return err_set(e, "there is no principal");
  if (check_text("issuer", from->issuer, LIMIT_ISSUER, &of->issuer, e) < 0 ||
      check_text("subject", from->subject, LIMIT_SUBJECT, &of->subject, e) < 0)
    return -1;
  of->client = (struct str){NULL, 0};
  if (from->client && *from->client &&
      check_text("client", from->client, LIMIT_CLIENT, &of->client, e) < 0)
    return -1;
  if (from->expires_at < 0 || from->reuse_ms < 0)
    return err_set(e, "the principal's lifetime is negative");
  return collect_scopes(&provider->scopes, &from->scopes, of->scopes, &of->n_scopes, e);
}

struct principal *principal_new(const struct config_provider *provider,
                                const struct mcpauth_principal *from, struct err *e)
{
  struct parts of;
  if (check(provider, from, &of, e) < 0)
    return NULL;
  struct principal *p = build(&of);
  json_t *claims = json_object();
  if (p == NULL || claims == NULL) {
    free(p);
    json_decref(claims);
    err_set(e, "out of memory");
    return NULL;
  }
  p->provider = provider;
  p->claims = claims;
  p->expires_at = from->expires_at;
  p->reuse_ms = from->reuse_ms;
  set_view(p);
  return p;
}

struct principal *principal_until(struct principal *p, int64_t expires_at)
{
  struct parts of = {
      .issuer = str_of(p->issuer),
      .subject = str_of(p->subject),
      .client = str_of(p->client),
      .n_scopes = p->scopes.n,
  };
  memcpy(of.scopes, p->scopes.v, p->scopes.n * sizeof *of.scopes);
  struct principal *copy = build(&of);
  if (copy == NULL)
    return NULL;
  copy->provider = p->provider;
  copy->claims = json_incref(p->claims);
  copy->expires_at = expires_at;
  copy->reuse_ms = p->reuse_ms;
  set_view(copy);
  return copy;
}

struct principal *principal_ref(struct principal *p)
{
  p->refs++;
  return p;
}

void principal_unref(struct principal *p)
{
  if (p == NULL || --p->refs > 0)
    return;
  json_decref(p->claims);
  free(p);
}

bool principal_same(const struct principal *a, const struct principal *b)
{
  return strcmp(a->issuer, b->issuer) == 0 && strcmp(a->subject, b->subject) == 0;
}

static bool holds(const struct principal *p, const char *name)
{
  return p->scopes.n &&
         bsearch(&name, p->scopes.v, p->scopes.n, sizeof *p->scopes.v, compare_words) != NULL;
}

static bool implies(const struct config_scope *broad, const struct config_scope *narrow)
{
  for (size_t i = 0; i < broad->n_implied; i++)
    if (broad->implied[i] == narrow)
      return true;
  return false;
}

bool principal_has_scope(const struct principal *p, const struct config *c,
                         const struct config_scope *scope)
{
  if (holds(p, scope->name))
    return true;
  for (size_t i = 0; i < c->n_scopes; i++)
    if (implies(c->scopes[i], scope) && holds(p, c->scopes[i]->name))
      return true;
  return false;
}
