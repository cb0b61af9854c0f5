/* mcpauth token: the actions that change the file. */
#include <config.h>

#include "cli/token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "auth/member.h"
#include "cli/jwt.h"
#include "cli/site.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/limits.h"

/* An edit under way. */
struct edit {
  struct token_site site;
  struct tokenfile *file;
  json_t *token; /* the one that was named */
};

static void edit_done(struct edit *x)
{
  tokenfile_free(x->file);
  token_site_done(&x->site);
}

static int edit_begin(const struct token_args *a, bool create, struct edit *x, struct err *e)
{
  gid_t group = site_group(a->cli);
  *x = (struct edit){.file = NULL};
  if (token_site_find(a, &x->site, e) < 0 ||
      (x->file = tokenfile_open(x->site.file, true, create ? &group : NULL, e)) == NULL)
    return -1;
  if (create)
    return 0;
  x->token = tokenfile_find(x->file, a->id);
  return x->token ? 0 : err_set(e, "there is no token '%.64s' in %s", a->id, x->site.file);
}

/* The one place where a secret leaves: alone on standard output. */
static int print_secret(const char *secret, const char *id)
{
  fprintf(stderr, "This is the secret of %s. It is shown once and is stored nowhere:\n", id);
  return puts(secret) == EOF || fflush(stdout) != 0 ? CLI_FAILED : CLI_OK;
}

/* "90d", or a time. */
static int when(const char *text, int64_t *ret, struct err *e)
{
  int64_t seconds;
  if (member_time(str_of(text), ret))
    return *ret > clock_wall() ? 0 : err_set(e, "%s is in the past", text);
  if (jwt_duration(text, &seconds, e) < 0 || seconds <= 0)
    return err_set(e,
                   "'%.40s' is neither a duration like 24h or 90d nor a time like "
                   "2027-01-01T00:00:00Z",
                   text);
  *ret = clock_wall() + seconds;
  return 0;
}

static int set_time(json_t *token, const char *name, int64_t t)
{
  char text[32];
  token_time_format(t, text);
  return json_object_set_new(token, name, json_string(text));
}

/* ------------------------------------------------------------------ create */

static int add_claim(json_t *claims, const char *text, struct err *e)
{
  const char *equals = strchr(text, '=');
  if (equals == NULL)
    return err_set(e, "--claim is NAME=VALUE, the value JSON or a plain word");
  AUTO_FREE char *name = strndup(text, (size_t)(equals - text));
  struct err ignored = {""};
  json_t *value = json_parse(str_of(equals + 1), LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, &ignored);
  if (value == NULL) /* a plain word needs no quotes */
    value = json_string(equals + 1);
  if (name == NULL || value == NULL || json_object_get(claims, name)) {
    json_decref(value);
    return err_set(e, "--claim %.60s: not UTF-8, or given twice", text);
  }
  return json_object_set_new(claims, name, value) < 0 ? err_set(e, "out of memory") : 0;
}

static int add_lists(const struct token_args *a, json_t *token, struct err *e)
{
  json_t *scopes = json_array(), *claims = json_object();
  int r = 0;
  for (size_t i = 0; i < a->n_scopes && r == 0; i++)
    if (json_array_append_new(scopes, json_string(a->scopes[i])) < 0)
      r = err_set(e, "--scope: not UTF-8");
  for (size_t i = 0; i < a->n_claims && r == 0; i++)
    r = add_claim(claims, a->claims[i], e);
  if (r == 0 && ((a->n_scopes && json_object_set(token, "scopes", scopes) < 0) ||
                 (a->n_claims && json_object_set(token, "claims", claims) < 0)))
    r = err_set(e, "out of memory");
  json_decref(scopes);
  json_decref(claims);
  return r;
}

static const char *choose_id(const struct token_args *a, char room[32])
{
  unsigned char r[4];
  if (a->id)
    return a->id;
  if (RAND_bytes(r, sizeof r) != 1)
    return NULL;
  snprintf(room, 32, "t-%02x%02x%02x%02x", r[0], r[1], r[2], r[3]);
  return room;
}

/* NULL with E. */
static json_t *new_token(const struct token_args *a, const char *id, const char *secret,
                         struct err *e)
{
  char hash[65];
  int64_t expires = 0;
  if (a->expires && strcmp(a->expires, "never") != 0 && when(a->expires, &expires, e) < 0)
    return NULL;
  token_secret_hash(str_of(secret), hash);
  json_t *t = json_pack("{ssssss}", "id", id, "sha256", hash, "subject", a->subject);
  if (t == NULL || add_lists(a, t, e) < 0 || (expires && set_time(t, "expires", expires) < 0) ||
      set_time(t, "created", clock_wall()) < 0 ||
      (a->note && json_object_set_new(t, "note", json_string(a->note)) < 0)) {
    json_decref(t);
    if (e->text[0] == 0)
      err_set(e, "not UTF-8, or out of memory");
    return NULL;
  }
  return t;
}

static int create_in(const struct token_args *a, struct edit *x, const char *id, struct err *e)
{
  char secret[TOKEN_SECRET + 1];
  int status = -1;
  if (tokenfile_find(x->file, id))
    return err_set(e, "there is a token '%s' already (mcpauth token rotate gives it a new secret)",
                   id);
  if (token_secret_make(secret, e) < 0)
    return -1;
  json_t *t = new_token(a, id, secret, e);
  if (t && tokenfile_add(x->file, t, e) == 0 && tokenfile_save(x->file, e) == 0)
    status = print_secret(secret, id);
  OPENSSL_cleanse(secret, sizeof secret);
  return status;
}

int token_create(const struct token_args *a)
{
  char room[32];
  struct err e = {""};
  CLEANUP(edit_done) struct edit x = {.file = NULL};
  const char *id = choose_id(a, room);
  if (a->subject == NULL)
    return cli_usage(&cmd_token, "whom does the token stand for? Give --subject");
  int status = id && edit_begin(a, true, &x, &e) == 0 ? create_in(a, &x, id, &e) : -1;
  if (status == CLI_OK && x.site.instance)
    fprintf(stderr, "The hub knows it within two seconds.\n");
  return status < 0 ? token_fail(a, &e) : status;
}

/* ------------------------------------------------------------------ rotate */

static int rotate_in(const struct token_args *a, struct edit *x, struct err *e)
{
  char secret[TOKEN_SECRET + 1], hash[65];
  int64_t until = 0;
  int status = -1;
  if (a->overlap && when(a->overlap, &until, e) < 0)
    return -1;
  if (token_secret_make(secret, e) < 0)
    return -1;
  token_secret_hash(str_of(secret), hash);
  json_t *t = x->token;
  json_object_del(t, "previous_sha256");
  json_object_del(t, "previous_until");
  if ((until && (json_object_set(t, "previous_sha256", json_object_get(t, "sha256")) < 0 ||
                 set_time(t, "previous_until", until) < 0)) ||
      json_object_set_new(t, "sha256", json_string(hash)) < 0)
    err_set(e, "out of memory");
  else if (tokenfile_touch(x->file, t, e) == 0 && tokenfile_save(x->file, e) == 0)
    status = print_secret(secret, a->id);
  OPENSSL_cleanse(secret, sizeof secret);
  return status;
}

int token_rotate(const struct token_args *a)
{
  struct err e = {""};
  CLEANUP(edit_done) struct edit x = {.file = NULL};
  int status = edit_begin(a, false, &x, &e) == 0 ? rotate_in(a, &x, &e) : -1;
  if (status == CLI_OK)
    fprintf(stderr,
            a->overlap ? "The old secret is good for %s more.\n"
                       : "The old secret is no longer good.\n",
            a->overlap);
  return status < 0 ? token_fail(a, &e) : status;
}

/* ------------------------------------------------------------------ revoke, enable, disable */

int token_revoke(const struct token_args *a)
{
  struct err e = {""};
  CLEANUP(edit_done) struct edit x = {.file = NULL};
  if (edit_begin(a, false, &x, &e) < 0)
    return token_fail(a, &e);
  tokenfile_remove(x.file, x.token);
  return tokenfile_save(x.file, &e) < 0 ? token_fail(a, &e) : CLI_OK;
}

int token_enable(const struct token_args *a)
{
  struct err e = {""};
  bool on = strcmp(a->action, "enable") == 0;
  CLEANUP(edit_done) struct edit x = {.file = NULL};
  if (edit_begin(a, false, &x, &e) < 0)
    return token_fail(a, &e);
  if (json_object_set_new(x.token, "enabled", json_boolean(on)) < 0 ||
      tokenfile_touch(x.file, x.token, &e) < 0 || tokenfile_save(x.file, &e) < 0)
    return token_fail(a, &e);
  return CLI_OK;
}
