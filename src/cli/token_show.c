/* mcpauth token: the actions that look. */
#include <config.h>

#include "cli/token.h"

#include <stdlib.h>
#include <string.h>

#include "auth/usage.h"
#include "auth/member.h"
#include "cli/jwt.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/limits.h"

/* A look under way. */
struct look {
  struct token_site site;
  struct tokenfile *file;
  json_t *uses; /* NULL: not known, for there is only a file */
};

static void look_done(struct look *x)
{
  tokenfile_free(x->file);
  json_decref(x->uses);
  token_site_done(&x->site);
}

static int look_begin(const struct token_args *a, struct look *x, struct err *e)
{
  *x = (struct look){.file = NULL};
  if (token_site_find(a, &x->site, e) < 0 ||
      (x->file = tokenfile_open(x->site.file, false, NULL, e)) == NULL)
    return -1;
  return x->site.instance ? usage_read(x->site.state_dir, x->site.instance, &x->uses, e) : 0;
}

static bool passed(const json_t *token, const char *member, int64_t *ret)
{
  return member_time(json_str(token, member), ret) && *ret <= clock_wall();
}

static const char *state_of(const json_t *token)
{
  int64_t t;
  if (json_is_false(json_object_get(token, "enabled")))
    return "disabled";
  return passed(token, "expires", &t) ? "expired" : "good";
}

static const char *expires_of(const json_t *token)
{
  const char *t = json_string_value(json_object_get(token, "expires"));
  return t ? t : "never";
}

static void scopes_of(const json_t *token, struct buf *out)
{
  size_t i;
  json_t *word;
  json_array_foreach(json_object_get(token, "scopes"), i, word)
  {
    if (i)
      buf_putc(out, ' ');
    buf_str(out, json_text(word));
  }
}

/* The token with its state and uses, without what would help nobody. */
static json_t *describe(const struct look *x, json_t *token)
{
  json_t *j = json_copy(token);
  const char *id = json_string_value(json_object_get(token, "id"));
  json_t *use = json_object_get(x->uses, id);
  json_object_set_new(j, "state", json_string(state_of(token)));
  if (x->uses == NULL)
    return j;
  json_t *uses = json_object_get(use, "uses");
  json_object_set_new(j, "uses", uses ? json_incref(uses) : json_integer(0));
  if (use) {
    char last[32];
    token_time_format(json_integer_value(json_object_get(use, "last")), last);
    json_object_set_new(j, "last_use", json_string(last));
    json_object_set(j, "last_address", json_object_get(use, "address"));
  }
  return j;
}

static int print_json(json_t *j, size_t flags)
{
  int bad = j == NULL || json_dumpf(j, stdout, flags) < 0 || putchar('\n') == EOF;
  json_decref(j);
  return bad || fflush(stdout) ? CLI_FAILED : CLI_OK;
}

static int list_json(const struct look *x)
{
  json_t *all = json_array();
  size_t n = tokenfile_count(x->file);
  for (size_t i = 0; i < n; i++)
    json_array_append_new(all, describe(x, tokenfile_at(x->file, i)));
  return print_json(all, JSON_INDENT(2));
}

static void list_row(const struct look *x, json_t *token)
{
  json_t *j = describe(x, token);
  json_t *uses = json_object_get(j, "uses"), *last = json_object_get(j, "last_use");
  char count[24] = "-";
  CLEANUP(buf_done) struct buf scopes;
  buf_init(&scopes, LIMIT_TOKEN_FILE);
  scopes_of(token, &scopes);
  if (uses)
    snprintf(count, sizeof count, "%lld", (long long)json_integer_value(uses));
  printf("%-20s %-20s %-8s %-20s %8s  %-20s %-15s %s\n",
         json_string_value(json_object_get(token, "id")),
         json_string_value(json_object_get(token, "subject")), state_of(token), expires_of(token),
         count, last ? json_string_value(last) : "-",
         last ? json_string_value(json_object_get(j, "last_address")) : "-",
         scopes.n ? scopes.p : "-");
  json_decref(j);
}

int token_list(const struct token_args *a)
{
  struct err e = {""};
  CLEANUP(look_done) struct look x = {.file = NULL};
  if (look_begin(a, &x, &e) < 0)
    return token_fail(a, &e);
  if (a->json)
    return list_json(&x);
  size_t n = tokenfile_count(x.file);
  if (n)
    printf("%-20s %-20s %-8s %-20s %8s  %-20s %-15s %s\n", "ID", "SUBJECT", "STATE", "EXPIRES",
           "USES", "LAST USE", "FROM", "SCOPES");
  for (size_t i = 0; i < n; i++)
    list_row(&x, tokenfile_at(x.file, i));
  if (n == 0)
    fprintf(stderr, "%s has no token. Make one with `mcpauth token create`.\n", x.site.file);
  return fflush(stdout) ? CLI_FAILED : CLI_OK;
}

int token_show(const struct token_args *a)
{
  struct err e = {""};
  CLEANUP(look_done) struct look x = {.file = NULL};
  if (look_begin(a, &x, &e) < 0)
    return token_fail(a, &e);
  json_t *t = tokenfile_find(x.file, a->id);
  if (t == NULL) {
    err_set(&e, "there is no token '%.64s' in %s", a->id, x.site.file);
    return token_fail(a, &e);
  }
  return print_json(describe(&x, t), a->json ? JSON_COMPACT : JSON_INDENT(2));
}

/* ------------------------------------------------------------------ verify */

static int judge(const struct tokenfile *f, struct str secret, struct err *e)
{
  bool previous;
  int64_t t;
  if (!token_secret_valid(secret))
    return err_set(e, "this is not a token of ours: its form or its check digits are wrong");
  json_t *token = tokenfile_by_secret(f, secret, &previous);
  if (token == NULL)
    return err_set(e, "no such token: revoked, rotated, or of another file");
  const char *id = json_string_value(json_object_get(token, "id"));
  if (json_is_false(json_object_get(token, "enabled")))
    return err_set(e, "token %s is disabled", id);
  if (passed(token, "expires", &t))
    return err_set(e, "token %s expired at %s", id, expires_of(token));
  if (previous && passed(token, "previous_until", &t))
    return err_set(e, "this is an old secret of token %s, which was rotated", id);
  CLEANUP(buf_done) struct buf scopes;
  buf_init(&scopes, LIMIT_TOKEN_FILE);
  scopes_of(token, &scopes);
  printf("good: token %s of %s; scopes: %s; expires: %s%s\n", id,
         json_string_value(json_object_get(token, "subject")), scopes.n ? scopes.p : "none",
         previous ? json_string_value(json_object_get(token, "previous_until")) : expires_of(token),
         previous ? " (the secret before the rotation)" : "");
  return 0;
}

int token_verify(const struct token_args *a)
{
  struct err e = {""};
  CLEANUP(look_done) struct look x = {.file = NULL};
  CLEANUP(buf_wipe) struct buf secret;
  buf_init(&secret, LIMIT_CREDENTIAL);
  if (look_begin(a, &x, &e) < 0 || jwt_read_token(NULL, &secret, &e) < 0 ||
      judge(x.file, buf_view(&secret), &e) < 0)
    return token_fail(a, &e);
  return fflush(stdout) ? CLI_FAILED : CLI_OK;
}
