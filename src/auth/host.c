/* The functions that providers get (include/mcpauth/provider.h, struct mcpauth_host): the plain
 * ones are here, those that wait in wait.c, those of an instance in instance.c.  What a provider
 * passes is never believed: too long, malformed or out of place is misuse, and misuse makes the
 * answer ERROR whatever the provider returns. */
#include "auth/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/loader.h"
#include "auth/member.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/json.h"
#include "util/limits.h"

enum { LOG_WORDS = 1024, CLAIM_NAME = 255 };

__attribute__((format(printf, 3, 4))) static void
host_log(struct mcpauth_instance *self, enum mcpauth_level level, const char *format, ...)
{
  if (!log_on((int)level))
    return;
  char words[LOG_WORDS];
  va_list ap;
  va_start(ap, format);
  vsnprintf(words, sizeof words, format, ap);
  va_end(ap);
  int l = level >= MCPAUTH_LOG_ERROR && level <= MCPAUTH_LOG_DEBUG ? (int)level : MCPAUTH_LOG_ERROR;
  log_at(l, "provider %s: %s", self->provider->name, words);
}

__attribute__((format(printf, 3, 4))) static int
host_report(struct mcpauth_instance *self, const char *option, const char *format, ...)
{
  char words[ERR_TEXT_MAX];
  va_list ap;
  va_start(ap, format);
  vsnprintf(words, sizeof words, format, ap);
  va_end(ap);
  if (self->report && self->report->text[0] == 0) { /* the first counts */
    err_set(self->report, "%s", words[0] ? words : "refused without a reason");
    self->report_option = option;
  }
  return -1;
}

static const char *host_instance_name(const struct mcpauth_instance *self)
{
  return self->provider->name;
}

/* The option table's parser puts a struct secret where a provider sees a struct mcpauth_secret. */
static struct mcpauth_bytes host_secret_bytes(const struct mcpauth_secret *secret)
{
  if (secret == NULL)
    return (struct mcpauth_bytes){NULL, 0};
  struct str s = secret_expose((const struct secret *)(const void *)secret);
  return (struct mcpauth_bytes){s.p, s.n};
}

static void *host_alloc(struct mcpauth_request *rq, size_t n)
{
  return arena_alloc(rq->arena, n);
}

static const struct mcpauth_facts *host_facts(struct mcpauth_request *rq)
{
  rq->looked = true;
  return &rq->facts;
}

/* Account lines have a principal to look at and no business with the credential. */
static const struct mcpauth_credential *host_credential(struct mcpauth_request *rq)
{
  return rq->spec.kind == CALL_VERIFY ? rq->spec.credential : NULL;
}

static struct mcpauth_instance *host_self(struct mcpauth_request *rq)
{
  return rq->spec.instance;
}

static int host_set_principal(struct mcpauth_request *rq, const struct mcpauth_principal *principal)
{
  struct err e = {""};
  if (rq->spec.kind == CALL_ACCOUNT || rq->spec.kind == CALL_LOGIN_BEGIN) {
    call_misuse(rq, "%s cannot name a principal",
                rq->spec.kind == CALL_ACCOUNT ? "an account line" : "login_begin");
    return -1;
  }
  struct principal *p = principal_new(rq->spec.instance->provider, principal, &e);
  if (p == NULL) {
    call_misuse(rq, "%s", e.text);
    return -1;
  }
  principal_unref(rq->principal);
  rq->principal = p;
  return 0;
}

/* "/name", with ~0 and ~1 (RFC 6901), to NAME; one level only. */
static int claim_name(const char *pointer, char name[CLAIM_NAME + 1])
{
  size_t n = 0;
  if (pointer == NULL || *pointer++ != '/')
    return -1;
  for (; *pointer; pointer++) {
    char c = *pointer;
    if (c == '/' || n == CLAIM_NAME)
      return -1;
    if (c == '~') {
      c = *++pointer == '0' ? '~' : '/';
      if (*pointer != '0' && *pointer != '1')
        return -1;
    }
    name[n++] = c;
  }
  name[n] = 0;
  return n ? 0 : -1;
}

static int set_claim(struct mcpauth_request *rq, const char *name, struct str text, struct err *e)
{
  if (text.n > LIMIT_CLAIMS || rq->claim_bytes + text.n + strlen(name) > LIMIT_CLAIMS)
    return err_set(e, "claims of more than %d bytes", LIMIT_CLAIMS);
  json_t *value = json_parse(text, LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, e);
  if (value == NULL)
    return err_prefix(e, "a claim is not JSON");
  if (rq->claims == NULL)
    rq->claims = json_object();
  if (json_object_set_new(rq->claims, name, value) < 0) /* drops VALUE in every case */
    return err_set(e, "a claim's name is not UTF-8");
  rq->claim_bytes += text.n + strlen(name);
  return 0;
}

static int host_set_claim(struct mcpauth_request *rq, const char *pointer, const char *json)
{
  char name[CLAIM_NAME + 1];
  struct err e = {""};
  if (claim_name(pointer, name) < 0)
    err_set(&e, "a claim's place is not \"/name\"");
  else if (rq->spec.kind == CALL_LOGIN_BEGIN)
    err_set(&e, "login_begin knows no claims");
  else if (rq->spec.kind != CALL_ACCOUNT && strcmp(name, "account") == 0)
    err_set(&e, "/account belongs to account lines");
  else if (json == NULL)
    err_set(&e, "a claim without a value");
  else if (set_claim(rq, name, (struct str){json, strnlen(json, LIMIT_CLAIMS + 1)}, &e) == 0)
    return 0;
  call_misuse(rq, "%s", e.text);
  return -1;
}

static const struct mcpauth_principal *host_principal(struct mcpauth_request *rq)
{
  return rq->spec.who ? &rq->spec.who->view : NULL;
}

static const struct mcpauth_claims *to_claims(json_t *object)
{
  return (const struct mcpauth_claims *)(void *)object;
}

static json_t *of_claims(const struct mcpauth_claims *claims)
{
  return (json_t *)(uintptr_t)claims;
}

static const struct mcpauth_claims *host_principal_claims(struct mcpauth_request *rq)
{
  return to_claims(rq->spec.known);
}

__attribute__((format(printf, 4, 5))) static enum mcpauth_result
host_refuse(struct mcpauth_request *rq, enum mcpauth_result result, enum mcpauth_why why,
            const char *reason, ...)
{
  va_list ap;
  va_start(ap, reason);
  vsnprintf(rq->reason, sizeof rq->reason, reason, ap);
  va_end(ap);
  rq->why = why;
  return result;
}

static struct mcpauth_keyset *host_keyset(struct mcpauth_instance *self,
                                          const struct mcpauth_keyset_source *source)
{
  return instance_keyset(self, source);
}

/* ---- JSON */

static struct mcpauth_value value_of(const json_t *j)
{
  struct mcpauth_value v = {.type = MCPAUTH_ABSENT};
  if (j == NULL)
    return v;
  switch (json_typeof(j)) {
  case JSON_NULL:
    v.type = MCPAUTH_NULL;
    break;
  case JSON_FALSE:
    v.type = MCPAUTH_FALSE;
    break;
  case JSON_TRUE:
    v.type = MCPAUTH_TRUE;
    break;
  case JSON_INTEGER:
  case JSON_REAL:
    v.type = MCPAUTH_NUMBER;
    v.number = json_number_value(j);
    break;
  case JSON_STRING:
    v.type = MCPAUTH_TEXT;
    v.text = json_string_value(j);
    v.count = json_string_length(j);
    break;
  case JSON_ARRAY:
    v.type = MCPAUTH_ARRAY;
    v.count = json_array_size(j);
    break;
  case JSON_OBJECT:
    v.type = MCPAUTH_OBJECT;
    v.count = json_object_size(j);
    break;
  }
  return v;
}

static json_t *look_up(const struct mcpauth_claims *claims, const char *pointer)
{
  return claims && pointer ? json_pointer(of_claims(claims), str_of(pointer)) : NULL;
}

static struct mcpauth_value host_claim(const struct mcpauth_claims *claims, const char *pointer)
{
  return value_of(look_up(claims, pointer));
}

static void drop(void *json)
{
  json_decref(json);
}

static const struct mcpauth_claims *host_json(struct mcpauth_request *rq, struct mcpauth_bytes text)
{
  if (text.p == NULL || text.n > LIMIT_IDP_REPLY)
    return NULL;
  json_t *j = json_parse(str_of_bytes(text), LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, NULL);
  if (!json_is_object(j) || arena_defer(rq->arena, drop, j) < 0) {
    json_decref(j);
    return NULL;
  }
  return to_claims(j);
}

static const struct mcpauth_claims *host_json_new(struct mcpauth_bytes text, char *error,
                                                  size_t size)
{
  static const char one_line[] = "line 1 ";
  struct err e = {""};
  json_t *j = NULL;
  if (text.p == NULL || text.n > LIMIT_IDP_REPLY)
    err_set(&e, "too long");
  else
    j = json_parse(str_of_bytes(text), LIMIT_JSON_DEPTH, LIMIT_JSON_VALUES, &e);
  if (json_is_object(j))
    return to_claims(j);
  if (j)
    err_set(&e, "column 1: an object is expected");
  json_decref(j);
  bool cut = str_starts(str_of(e.text), one_line);
  snprintf(error, size, "%s", e.text + (cut ? sizeof one_line - 1 : 0));
  return NULL;
}

static void host_json_free(const struct mcpauth_claims *claims)
{
  json_decref(of_claims(claims));
}

static const char *host_member(const struct mcpauth_claims *claims, const char *pointer,
                               size_t index)
{
  json_t *object = claims ? look_up(claims, pointer) : NULL;
  void *at = json_is_object(object) ? json_object_iter(object) : NULL;
  while (at && index-- > 0)
    at = json_object_iter_next(object, at);
  return at ? json_object_iter_key(at) : NULL;
}

static const char *host_json_misfit(const struct mcpauth_claims *object,
                                    const struct mcpauth_member *table, const char **name)
{
  return member_misfit(of_claims(object), table, name);
}

static int64_t host_time_of(const char *text)
{
  int64_t t = 0;
  return text == NULL || member_time(str_of(text), &t) ? t : -1;
}

static const char *host_claim_json(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                                   const char *pointer)
{
  json_t *j = look_up(claims, pointer);
  char *text = j ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
  const char *copy = text ? arena_dup(rq->arena, str_of(text)) : NULL;
  free(text);
  return copy;
}

static int host_scopes(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                       const char *pointer, struct mcpauth_list *ret)
{
  return member_scopes(look_up(claims, pointer), rq->arena, ret);
}

static int host_set_claims(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                           const char *pointer)
{
  json_t *object = look_up(claims, pointer), *value;
  const char *name;
  json_object_foreach(object, name, value)
  {
    AUTO_FREE char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    struct err e = {""};
    if (text == NULL || strlen(name) > CLAIM_NAME ||
        (rq->spec.kind != CALL_ACCOUNT && strcmp(name, "account") == 0) ||
        set_claim(rq, name, str_of(text), &e) < 0) {
      call_misuse(rq, "%s", e.text[0] ? e.text : "a claim that cannot be set");
      return -1;
    }
  }
  return 0;
}

static int host_copy_claims(struct mcpauth_request *rq, const struct mcpauth_claims *claims,
                            const struct mcpauth_list *pairs)
{
  for (size_t i = 0; i + 1 < pairs->n; i += 2) {
    const char *json = host_claim_json(rq, claims, pairs->v[i]);
    if (json && host_set_claim(rq, pairs->v[i + 1], json) < 0)
      return -1;
  }
  return 0;
}

/* ---- small things */

static bool host_equal(struct mcpauth_bytes a, struct mcpauth_bytes b)
{
  return bytes_eq(str_of_bytes(a), str_of_bytes(b));
}

static void host_sha256(struct mcpauth_bytes data, unsigned char out[32])
{
  if (sha256(str_of_bytes(data), out) < 0)
    abort(); /* a digest that is not one must never be compared */
}

/* Counted when the line has answered: a job thread may say it too. */
static void host_count_use(struct mcpauth_request *rq, const char *key)
{
  if (key && *key)
    rq->used = arena_dup(rq->arena, str_of(key));
}

static int host_jwt_issuer(struct mcpauth_bytes token, char *out, size_t size)
{
  return jwt_issuer(str_of_bytes(token), out, size);
}

const struct mcpauth_host host_functions = {
    .abi = MCPAUTH_ABI,
    .struct_size = sizeof(struct mcpauth_host),
    .log = host_log,
    .report = host_report,
    .instance_name = host_instance_name,
    .secret_bytes = host_secret_bytes,
    .alloc = host_alloc,
    .facts = host_facts,
    .credential = host_credential,
    .self = host_self,
    .set_principal = host_set_principal,
    .set_claim = host_set_claim,
    .principal = host_principal,
    .principal_claims = host_principal_claims,
    .refuse = host_refuse,
    .http = wait_http,
    .timer = wait_timer,
    .job = wait_job,
    .jwt_verify = wait_jwt,
    .keyset = host_keyset,
    .claim = host_claim,
    .json = host_json,
    .claim_json = host_claim_json,
    .equal = host_equal,
    .sha256 = host_sha256,
    .now = clock_wall,
    .watch_file = instance_watch,
    .count_use = host_count_use,
    .jwt_issuer = host_jwt_issuer,
    .json_new = host_json_new,
    .json_free = host_json_free,
    .member = host_member,
    .json_misfit = host_json_misfit,
    .time_of = host_time_of,
    .login = host_login,
    .tokens = host_tokens,
    .login_redirect = host_login_redirect,
    .set_tokens = host_set_tokens,
    .form = host_form,
    .json_text = host_json_text,
    .hmac_sha256 = host_hmac_sha256,
    .basic = host_basic,
    .jwt_sign = host_jwt_sign,
    .scopes = host_scopes,
    .set_claims = host_set_claims,
    .text = host_text,
    .copy_claims = host_copy_claims,
    .authorize = host_authorize,
    .grant = host_grant,
    .ask = host_ask,
    .discover = host_discover,
    .id_token = host_id_token,
    .issuer = issuer_new,
};
