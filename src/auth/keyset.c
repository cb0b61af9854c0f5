/* Key sets: opening, verifying, waiting; see keyset.h.  Keys are replaced only between calls, so
 * nothing here holds a key across one. */
#include "auth/keyset_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/log.h"
#include "util/arena.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/safefile.h"

enum { FILE_LOOK_MS = 1000, POLICY_MAX = LIMIT_REQUEST_ARENA };

struct keyset_wait {
  struct keyset_link link;
  struct keyset *ks;
  struct jwt *token;
  struct arena *arena; /* of the policy */
  struct mcpauth_jwt_policy policy;
  keyset_done_fn *done;
  void *arg;
};

/* ------------------------------------------------------------------ lists */

static void list_init(struct keyset_link *l)
{
  l->prev = l->next = l;
}

static void list_add(struct keyset_link *l, struct keyset_link *item)
{
  item->prev = l->prev;
  item->next = l;
  l->prev->next = item;
  l->prev = item;
}

static void list_remove(struct keyset_link *item)
{
  item->prev->next = item->next;
  item->next->prev = item->prev;
  list_init(item);
}

/* ------------------------------------------------------------------ answers */

static void answer(keyset_done_fn *done, void *arg, enum mcpauth_result result,
                   enum mcpauth_why why, const char *reason, json_t *claims)
{
  struct keyset_answer a = {result, why, reason, claims};
  done(arg, &a);
}

static enum mcpauth_why why_of(enum jwt_status status)
{
  switch (status) {
  case JWT_VALID:
    return MCPAUTH_WHY_NONE;
  case JWT_EXPIRED:
    return MCPAUTH_WHY_EXPIRED;
  case JWT_NOT_YET_VALID:
    return MCPAUTH_WHY_NOT_YET_VALID;
  case JWT_WRONG_AUDIENCE:
    return MCPAUTH_WHY_WRONG_AUDIENCE;
  case JWT_NOT_A_JWT:
  case JWT_MALFORMED:
  case JWT_WRONG_ALGORITHM:
  case JWT_WRONG_TYPE:
  case JWT_UNKNOWN_KEY:
  case JWT_BAD_SIGNATURE:
  case JWT_WRONG_ISSUER:
  case JWT_BAD_CLAIM:
    return MCPAUTH_WHY_NOT_ACCEPTED;
  }
  return MCPAUTH_WHY_NOT_ACCEPTED;
}

/* Everything but JWT_UNKNOWN_KEY, which the caller has dealt with. */
static void answer_status(keyset_done_fn *done, void *arg, enum jwt_status status,
                          const char *reason, json_t *claims)
{
  if (status == JWT_VALID)
    answer(done, arg, MCPAUTH_OK, MCPAUTH_WHY_NONE, "", claims);
  else if (status == JWT_NOT_A_JWT)
    answer(done, arg, MCPAUTH_IGNORE, MCPAUTH_WHY_NONE, reason, NULL);
  else
    answer(done, arg, MCPAUTH_INVALID, why_of(status), reason, NULL);
}

static bool is_remote(const struct keyset *ks)
{
  return ks->kind == KEYSET_JWKS_URI || ks->kind == KEYSET_ISSUER;
}

static enum jwt_status judge(struct keyset *ks, const struct jwt *token,
                             const struct mcpauth_jwt_policy *policy, struct err *e)
{
  static const struct jwks none;
  if (ks->keys && is_remote(ks) && remote_too_old(ks)) {
    log_warn("provider %s: the keys are too old and are given up", ks->name);
    keyset_adopt(ks, NULL);
  }
  return jwt_verify(token, ks->keys ? ks->keys : &none, policy, clock_wall(), e);
}

/* ------------------------------------------------------------------ waiting */

static struct mcpauth_list copy_list(struct arena *a, struct mcpauth_list from, bool *failed)
{
  const char **v = from.n ? arena_array(a, from.n, sizeof *v) : NULL;
  *failed |= from.n && v == NULL;
  for (size_t i = 0; v && i < from.n; i++)
    if ((v[i] = arena_dup(a, str_of(from.v[i]))) == NULL)
      *failed = true;
  return (struct mcpauth_list){v ? from.n : 0, v};
}

static int copy_policy(struct keyset_wait *w, const struct mcpauth_jwt_policy *from)
{
  bool failed = false;
  w->arena = arena_new(POLICY_MAX);
  if (w->arena == NULL)
    return -1;
  w->policy = *from;
  w->policy.issuers = copy_list(w->arena, from->issuers, &failed);
  w->policy.audiences = copy_list(w->arena, from->audiences, &failed);
  w->policy.algorithms = copy_list(w->arena, from->algorithms, &failed);
  w->policy.types = copy_list(w->arena, from->types, &failed);
  return failed ? -1 : 0;
}

static void wait_free(struct keyset_wait *w)
{
  jwt_free(w->token);
  arena_free(w->arena);
  free(w);
}

static struct keyset_wait *wait_new(struct keyset *ks, const struct mcpauth_jwt_policy *policy,
                                    keyset_done_fn *done, void *arg)
{
  struct keyset_wait *w = ks->n_waiting < KEYSET_WAITERS ? calloc(1, sizeof *w) : NULL;
  if (w == NULL)
    return NULL;
  w->ks = ks;
  w->done = done;
  w->arg = arg;
  if (copy_policy(w, policy) < 0) {
    wait_free(w);
    return NULL;
  }
  list_add(&ks->waiting, &w->link);
  ks->n_waiting++;
  return w;
}

static void wait_leave(struct keyset_wait *w)
{
  list_remove(&w->link);
  w->ks->n_waiting--;
}

void keyset_cancel(struct keyset_wait *w)
{
  wait_leave(w);
  wait_free(w);
}

static void wait_end(struct keyset_wait *w)
{
  struct err e = {""};
  struct keyset *ks = w->ks;
  enum jwt_status status = judge(ks, w->token, &w->policy, &e);
  wait_leave(w);
  if (status == JWT_UNKNOWN_KEY && (ks->keys == NULL || remote_failing(ks)))
    answer(w->done, w->arg, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "the keys cannot be fetched", NULL);
  else
    answer_status(w->done, w->arg, status, e.text, jwt_payload(w->token));
  wait_free(w);
}

/* Answers may cancel others who wait, and may begin new verifications: those wait anew. */
void keyset_settled(struct keyset *ks)
{
  struct keyset_link now;
  if (ks->waiting.next == &ks->waiting)
    return;
  now = ks->waiting;
  now.prev->next = now.next->prev = &now;
  list_init(&ks->waiting);
  while (now.next != &now)
    wait_end(container_of(now.next, struct keyset_wait, link));
}

/* ------------------------------------------------------------------ verifying */

/* The token lacks nothing but a key.  Takes over TOKEN. */
static struct keyset_wait *without_key(struct keyset *ks, struct jwt *token,
                                       const struct mcpauth_jwt_policy *policy,
                                       keyset_done_fn *done, void *arg)
{
  struct err e = {""};
  struct keyset_wait *w = NULL;
  enum jwt_status status = JWT_UNKNOWN_KEY;
  enum remote_hope hope = is_remote(ks) ? remote_want(ks) : HOPE_NONE;
  while (hope == HOPE_AGAIN) {
    status = judge(ks, token, policy, &e);
    hope = status == JWT_UNKNOWN_KEY ? remote_want(ks) : HOPE_NONE;
  }
  if (hope == HOPE_WAIT && (w = wait_new(ks, policy, done, arg)) != NULL) {
    w->token = token;
    return w;
  }
  if (hope == HOPE_NONE && status == JWT_UNKNOWN_KEY)
    answer(done, arg, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "no key has this kid", NULL);
  else if (hope == HOPE_NONE)
    answer_status(done, arg, status, e.text, jwt_payload(token));
  else
    answer(done, arg, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE,
           hope == HOPE_WAIT ? "too many verifications wait for keys"
                             : "the keys cannot be fetched",
           NULL);
  jwt_free(token);
  return NULL;
}

static struct keyset_wait *verify(struct keyset *ks, struct str token, bool id_token,
                                  const struct mcpauth_jwt_policy *policy, keyset_done_fn *done,
                                  void *arg)
{
  struct err e = {""};
  enum jwt_status status;
  struct jwt *t = id_token ? jwt_parse_id_token(token, &status, &e) : jwt_parse(token, &status, &e);
  if (t == NULL) {
    answer_status(done, arg, status, e.text, NULL);
    return NULL;
  }
  status = judge(ks, t, policy, &e);
  if (status == JWT_UNKNOWN_KEY)
    return without_key(ks, t, policy, done, arg);
  answer_status(done, arg, status, e.text, jwt_payload(t));
  jwt_free(t);
  return NULL;
}

struct keyset_wait *keyset_verify(struct keyset *ks, struct str token,
                                  const struct mcpauth_jwt_policy *policy, keyset_done_fn *done,
                                  void *arg)
{
  return verify(ks, token, false, policy, done, arg);
}

struct keyset_wait *keyset_verify_id(struct keyset *ks, struct str token,
                                     const struct mcpauth_jwt_policy *policy, keyset_done_fn *done,
                                     void *arg)
{
  return verify(ks, token, true, policy, done, arg);
}

/* ------------------------------------------------------------------ sources */

void keyset_adopt(struct keyset *ks, struct jwks *keys)
{
  jwks_free(ks->keys);
  ks->keys = keys;
  if (keys && keys->skipped[0])
    log_warn("provider %s: keys left out: %s", ks->name, keys->skipped);
}

/* PEM begins with dashes somewhere, JSON with a brace. */
static struct jwks *read_file(const char *path, struct stat *ret_stat, struct err *e)
{
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, LIMIT_JWKS_BYTES + 1);
  if (safefile_read(path, LIMIT_JWKS_BYTES, false, &text, ret_stat, e) < 0)
    return NULL;
  struct str s = buf_view(&text);
  while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\n' || s.p[0] == '\r')) {
    s.p++;
    s.n--;
  }
  struct jwks *keys = s.n && s.p[0] == '{' ? jwks_parse(s, false, e) : jwks_parse_pem(s, e);
  if (keys == NULL)
    err_prefix(e, "%s", path);
  return keys;
}

static void on_look(struct timer *t)
{
  struct keyset *ks = container_of(t, struct keyset, look);
  struct stat st;
  struct err e = {""};
  loop_timer_set(ks->env.loop, t, FILE_LOOK_MS);
  if (stat(ks->file, &st) < 0 || safefile_same(&st, &ks->file_stat))
    return;
  ks->file_stat = st; /* a bad content is reported once */
  struct jwks *keys = read_file(ks->file, NULL, &e);
  if (keys == NULL) {
    log_error("provider %s: the old keys go on serving: %s", ks->name, e.text);
    return;
  }
  keyset_adopt(ks, keys);
  log_info("provider %s: keys of %s were read again", ks->name, ks->file);
}

static int open_file(struct keyset *ks, const char *path, struct err *e)
{
  ks->look.fire = on_look;
  ks->file = strdup(path);
  if (ks->file == NULL)
    return err_set(e, "out of memory");
  struct jwks *keys = read_file(path, &ks->file_stat, e);
  if (keys == NULL)
    return -1;
  keyset_adopt(ks, keys);
  return loop_timer_set(ks->env.loop, &ks->look, FILE_LOOK_MS) < 0 ? err_set(e, "out of memory")
                                                                   : 0;
}

static int open_source(struct keyset *ks, const struct keyset_source *s, struct err *e)
{
  if (!!s->jwks_uri + !!s->issuer + !!s->file + !!s->shared.p != 1)
    return err_set(e, "keys need exactly one source");
  ks->kind = s->jwks_uri ? KEYSET_JWKS_URI
             : s->issuer ? KEYSET_ISSUER
             : s->file   ? KEYSET_FILE
                         : KEYSET_SHARED;
  if (is_remote(ks))
    return remote_open(ks, s->jwks_uri ? s->jwks_uri : s->issuer, e);
  if (s->file)
    return open_file(ks, s->file, e);
  ks->keys = jwks_of_secret(s->shared, e);
  return ks->keys ? 0 : -1;
}

static int copy_name(char **to, const char *from, struct err *e)
{
  *to = from ? strdup(from) : NULL;
  return from && *to == NULL ? err_set(e, "out of memory") : 0;
}

struct keyset *keyset_open(const struct keyset_env *env, const char *name,
                           const struct keyset_source *source, struct err *e)
{
  struct keyset *ks = calloc(1, sizeof *ks);
  if (ks == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  ks->env = *env;
  list_init(&ks->waiting);
  if (copy_name(&ks->name, name, e) < 0 || copy_name(&ks->ca_file, source->ca_file, e) < 0 ||
      copy_name(&ks->egress_proxy, source->egress_proxy, e) < 0 || open_source(ks, source, e) < 0) {
    keyset_free(ks);
    return NULL;
  }
  return ks;
}

void keyset_free(struct keyset *ks)
{
  if (ks == NULL)
    return;
  if (is_remote(ks))
    remote_done(ks);
  if (ks->kind == KEYSET_FILE)
    loop_timer_stop(ks->env.loop, &ks->look);
  jwks_free(ks->keys);
  free(ks->file);
  free(ks->name);
  free(ks->ca_file);
  free(ks->egress_proxy);
  free(ks);
}
