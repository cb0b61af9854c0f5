/* Members of objects; see member.h. */
#include <config.h>

#include "auth/member.h"

#include <string.h>
#include <time.h>

#include "util/json.h"
#include "util/limits.h"

enum { NAME_MAX_LENGTH = 64, CLAIM_MAX_LENGTH = 60, LIST_MAX = 64 };

static const char hash_of_nothing[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

bool member_time(struct str text, int64_t *ret)
{
  char z[32];
  struct tm tm = {0};
  if (text.n != 20 || memchr(text.p, 0, text.n))
    return false;
  memcpy(z, text.p, text.n);
  z[text.n] = 0;
  if (strptime(z, "%Y-%m-%dT%H:%M:%SZ", &tm) != z + text.n)
    return false;
  struct tm same = tm; /* timegm makes 1 March of 30 February */
  int64_t t = (int64_t)timegm(&same);
  if (t <= 0 || same.tm_mday != tm.tm_mday)
    return false;
  *ret = t;
  return true;
}

static bool is_text(struct str s, size_t max)
{
  for (size_t i = 0; i < s.n; i++)
    if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
      return false;
  return s.n > 0 && s.n <= max;
}

static bool is_name(struct str s)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return is_text(s, NAME_MAX_LENGTH) && strspn(s.p, plain) == s.n;
}

static bool is_sha256(struct str s)
{
  return s.n == 64 && strspn(s.p, "0123456789abcdef") == 64 && !str_is(s, hash_of_nothing);
}

static bool is_scope(struct str s)
{
  for (size_t i = 0; i < s.n; i++)
    if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\')
      return false;
  return s.n > 0 && s.n <= LIMIT_SCOPE;
}

static bool are_scopes(const json_t *list)
{
  size_t i;
  json_t *word;
  json_array_foreach(list, i, word) if (!is_scope(json_text(word))) return false;
  return json_is_array(list) && json_array_size(list) <= LIST_MAX;
}

static bool are_claims(json_t *object)
{
  const char *name;
  json_t *value;
  json_object_foreach(object, name, value) if (*name == 0 || strlen(name) > CLAIM_MAX_LENGTH ||
                                               strpbrk(name, "/~") ||
                                               strcmp(name, "account") == 0) return false;
  return json_is_object(object) && json_object_size(object) <= LIST_MAX;
}

/* NULL: it is what it must be. */
static const char *judge(enum mcpauth_member_type type, json_t *v)
{
  int64_t t;
  switch (type) {
  case MCPAUTH_MEMBER_NAME:
    return is_name(json_text(v)) ? NULL : "must be 1 to 64 letters, digits, '.', '_' and '-'";
  case MCPAUTH_MEMBER_TEXT:
    return is_text(json_text(v), LIMIT_SUBJECT)
               ? NULL
               : "must be text of 1 to 512 bytes without control characters";
  case MCPAUTH_MEMBER_SHA256:
    return is_sha256(json_text(v))
               ? NULL
               : "must be the SHA-256 of a secret, 64 lower-case hexadecimal digits, and never the "
                 "secret itself or that of an empty one";
  case MCPAUTH_MEMBER_SCOPES:
    return are_scopes(v) ? NULL : "must be an array of at most 64 words that can be a scope";
  case MCPAUTH_MEMBER_CLAIMS:
    return are_claims(v) ? NULL : "must be an object of at most 64 names that a claim can have";
  case MCPAUTH_MEMBER_TIME:
    return member_time(json_text(v), &t) ? NULL : "must be a time like 2027-01-01T00:00:00Z";
  case MCPAUTH_MEMBER_BOOL:
    return json_is_boolean(v) ? NULL : "must be true or false";
  case MCPAUTH_MEMBER_ANY:
    return NULL;
  }
  return "is of no known type";
}

static const struct mcpauth_member *find(const struct mcpauth_member *table, const char *name)
{
  for (; table->name; table++)
    if (strcmp(table->name, name) == 0)
      return table;
  return NULL;
}

const char *member_misfit(json_t *object, const struct mcpauth_member *table, const char **ret_name)
{
  const char *name, *why;
  json_t *value;
  json_object_foreach(object, name, value)
  {
    const struct mcpauth_member *m = find(table, name);
    *ret_name = name;
    if (m == NULL)
      return "there is no member of this name (and a secret is written as its hash only)";
    if ((why = judge(m->type, value)))
      return why;
  }
  for (; table->name; table++) {
    *ret_name = table->name;
    if ((table->flags & MCPAUTH_REQUIRED) && json_object_get(object, table->name) == NULL)
      return "is missing";
  }
  return NULL;
}

static int add_scope(struct arena *a, struct str word, const char **v, size_t *n)
{
  if (!is_scope(word) || *n == LIMIT_SCOPES || (v[*n] = arena_dup(a, word)) == NULL)
    return -1;
  ++*n;
  return 0;
}

int member_scopes(const json_t *value, struct arena *a, struct mcpauth_list *ret)
{
  const char **v = arena_array(a, LIMIT_SCOPES, sizeof *v);
  size_t n = 0;
  struct str rest = json_text(value), word;
  if (v == NULL || (value && !json_is_string(value) && !json_is_array(value)))
    return -1;
  for (size_t i = 0; i < json_array_size(value); i++)
    if (add_scope(a, json_text(json_array_get(value, i)), v, &n) < 0)
      return -1;
  while (str_next(&rest, ' ', &word))
    if (word.n && add_scope(a, word, v, &n) < 0)
      return -1;
  *ret = (struct mcpauth_list){n, v};
  return 0;
}
