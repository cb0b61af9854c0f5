/* JWT claims; see jwt.h.  Times are doubles throughout: no cast can overflow, 1e300 is just late
 * (row 8). */
#include "auth/jwt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jws.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/limits.h"

struct jwt {
  struct jws jws;
  json_t *payload;
  bool id_token;
  char token[];
};

void jwt_free(struct jwt *t)
{
  if (t == NULL)
    return;
  jws_done(&t->jws);
  json_decref(t->payload);
  free(t);
}

static enum jwt_status parse(struct jwt *t, size_t n, size_t most, struct err *e)
{
  enum jwt_status status = jws_parse((struct str){t->token, n}, most, &t->jws, e);
  if (status != JWT_VALID)
    return status;
  t->payload = json_parse(t->jws.payload, LIMIT_JWT_DEPTH, LIMIT_JWT_VALUES, e);
  if (t->payload == NULL) {
    err_prefix(e, "payload");
    return JWT_MALFORMED;
  }
  if (!json_is_object(t->payload)) {
    err_set(e, "the payload is no JSON object");
    return JWT_MALFORMED;
  }
  return JWT_VALID;
}

static struct jwt *parse_most(struct str token, size_t most, enum jwt_status *ret_status,
                              struct err *e)
{
  /* One byte more than allowed is enough to be refused. */
  size_t n = token.n > most ? most + 1 : token.n;
  struct jwt *t = calloc(1, sizeof *t + n + 1);
  if (t == NULL) {
    err_set(e, "out of memory");
    *ret_status = JWT_MALFORMED;
    return NULL;
  }
  if (n)
    memcpy(t->token, token.p, n);
  *ret_status = parse(t, n, most, e);
  if (*ret_status == JWT_VALID)
    return t;
  jwt_free(t);
  return NULL;
}

struct jwt *jwt_parse(struct str token, enum jwt_status *ret_status, struct err *e)
{
  return parse_most(token, LIMIT_CREDENTIAL, ret_status, e);
}

struct jwt *jwt_parse_id_token(struct str token, enum jwt_status *ret_status, struct err *e)
{
  struct jwt *t = parse_most(token, LIMIT_LOGIN_TOKEN, ret_status, e);
  if (t)
    t->id_token = true;
  return t;
}

json_t *jwt_header(const struct jwt *t)
{
  return t->jws.header;
}

json_t *jwt_payload(const struct jwt *t)
{
  return t->payload;
}

/* ------------------------------------------------------------------ what kind of token */

static bool listed(const struct mcpauth_list *l, struct str word)
{
  for (size_t i = 0; i < l->n; i++)
    if (str_is(word, l->v[i]))
      return true;
  return false;
}

static enum jwt_status check_algorithm(const struct jwt *t, const struct mcpauth_jwt_policy *p,
                                       struct err *e)
{
  if (p->algorithms.n == 0 || listed(&p->algorithms, str_of(jwt_alg_name(t->jws.alg))))
    return JWT_VALID;
  err_set(e, "alg %s is not accepted", jwt_alg_name(t->jws.alg));
  return JWT_WRONG_ALGORITHM;
}

/* Media types may leave "application/" out (RFC 7515 section 4.1.9). */
static struct str short_type(struct str type)
{
  struct str prefix = STR("application/");
  return str_ieq(str_slice(type, 0, prefix.n), prefix) ? str_slice(type, prefix.n, type.n) : type;
}

/* "none" stands for a token that does not say. */
static bool type_accepted(const struct mcpauth_list *types, struct str type)
{
  static const char *const usual[] = {"at+jwt", "JWT", "none"};
  struct mcpauth_list fallback = {3, usual};
  if (types->n == 0)
    types = &fallback;
  for (size_t i = 0; i < types->n; i++)
    if (type.p ? strcmp(types->v[i], "none") != 0 && str_ieq(short_type(str_of(types->v[i])), type)
               : strcmp(types->v[i], "none") == 0)
      return true;
  return false;
}

/* What only logout and event tokens have, and then ID tokens (OpenID Connect Core 2, 3.3.2.11). */
static const char *const foreign[] = {"events", "nonce", "at_hash", "c_hash", "s_hash"};
enum { FOREIGN_TO_ID = 1 };
/* `typ` as a claim, by which Keycloak tells its tokens apart. */
static const char *const foreign_typ[] = {"Refresh", "Offline", "Logout", "ID"};
static const char *const foreign_typ_to_id[] = {"Refresh", "Offline", "Logout", "Bearer"};

static enum jwt_status check_type(const struct jwt *t, const struct mcpauth_jwt_policy *p,
                                  struct err *e)
{
  const json_t *typ = json_object_get(t->jws.header, "typ");
  struct str text = json_text(typ), claim = json_str(t->payload, "typ");
  if ((typ && text.p == NULL) || str_iis(short_type(text), ASSERTION_TYPE) ||
      !type_accepted(&p->types, text.p ? short_type(text) : text)) {
    err_set(e, "a token of this typ is not accepted");
    return JWT_WRONG_TYPE;
  }
  const char *what = t->id_token ? "ID" : "access";
  const char *const *typs = t->id_token ? foreign_typ_to_id : foreign_typ;
  for (size_t i = 0; i < (t->id_token ? (size_t)FOREIGN_TO_ID : ARRAY_SIZE(foreign)); i++)
    if (json_object_get(t->payload, foreign[i])) {
      err_set(e, "no %s token: it has '%s'", what, foreign[i]);
      return JWT_WRONG_TYPE;
    }
  for (size_t i = 0; i < ARRAY_SIZE(foreign_typ); i++)
    if (str_iis(claim, typs[i])) {
      err_set(e, "no %s token: claim typ is '%s'", what, typs[i]);
      return JWT_WRONG_TYPE;
    }
  return JWT_VALID;
}

/* ------------------------------------------------------------------ who and for whom */

static enum jwt_status check_issuer(const struct jwt *t, const struct mcpauth_jwt_policy *p,
                                    struct err *e)
{
  struct str iss = json_str(t->payload, "iss");
  if (iss.p && iss.n && listed(&p->issuers, iss))
    return JWT_VALID;
  err_set(e, "iss is missing or not ours");
  return JWT_WRONG_ISSUER;
}

/* RFC 7519 section 4.1.3: a string, or an array of strings. */
static enum jwt_status check_audience(const struct jwt *t, const struct mcpauth_jwt_policy *p,
                                      struct err *e)
{
  const json_t *aud = json_object_get(t->payload, "aud"), *one;
  size_t i;
  bool found = json_is_string(aud) && listed(&p->audiences, json_text(aud));
  json_array_foreach(aud, i, one)
  {
    if (!json_is_string(one)) {
      err_set(e, "aud has an element that is no string");
      return JWT_BAD_CLAIM;
    }
    found |= listed(&p->audiences, json_text(one));
  }
  if (found)
    return JWT_VALID;
  err_set(e, "aud is missing or names none of ours");
  return JWT_WRONG_AUDIENCE;
}

static enum jwt_status check_subject(const struct jwt *t, const struct mcpauth_jwt_policy *p,
                                     struct err *e)
{
  const json_t *sub = json_object_get(t->payload, "sub");
  struct str text = json_text(sub);
  if (sub ? text.n > 0 && text.n <= LIMIT_SUBJECT : !p->require_sub)
    return JWT_VALID;
  err_set(e, "sub is missing, empty, too long or no string");
  return JWT_BAD_CLAIM;
}

/* ------------------------------------------------------------------ when */

struct times {
  double now, leeway;
  double exp, nbf, iat; /* NAN: not there */
};

static int read_time(const struct jwt *t, const char *name, double *ret, struct err *e)
{
  const json_t *v = json_object_get(t->payload, name);
  *ret = NAN;
  if (v == NULL)
    return 0;
  double value = json_is_number(v) ? json_number_value(v) : -1;
  if (!(value >= 0))
    return err_set(e, "%s is not a number of seconds since 1970", name);
  *ret = value;
  return 0;
}

static enum jwt_status check_present(const struct times *t, const struct mcpauth_jwt_policy *p,
                                     struct err *e)
{
  const char *missing = isnan(t->exp)                                            ? "exp"
                        : isnan(t->nbf) && p->require_nbf                        ? "nbf"
                        : isnan(t->iat) && (p->require_iat || p->max_age_ms > 0) ? "iat"
                                                                                 : NULL;
  if (missing == NULL)
    return JWT_VALID;
  err_set(e, "%s is missing", missing);
  return JWT_BAD_CLAIM;
}

/* NAN makes every comparison false: what is not there limits nothing here. */
static enum jwt_status check_times(const struct times *t, const struct mcpauth_jwt_policy *p,
                                   struct err *e)
{
  double max_age = (double)p->max_age_ms / 1000, max_lifetime = (double)p->max_lifetime_ms / 1000;
  if (t->now >= t->exp + t->leeway) {
    err_set(e, "expired %.0f s ago", t->now - t->exp);
    return JWT_EXPIRED;
  }
  if (t->now < t->nbf - t->leeway || t->now < t->iat - t->leeway) {
    err_set(e, "%s is in the future", t->now < t->nbf - t->leeway ? "nbf" : "iat");
    return JWT_NOT_YET_VALID;
  }
  if (p->max_age_ms > 0 && t->now - t->iat > max_age + t->leeway) {
    err_set(e, "issued %.0f s ago, at most %.0f", t->now - t->iat, max_age);
    return JWT_EXPIRED;
  }
  double lifetime = isnan(t->iat) ? t->exp - t->now - t->leeway : t->exp - t->iat;
  if (p->max_lifetime_ms > 0 && lifetime > max_lifetime) {
    err_set(e, "valid for %.0f s, at most %.0f", lifetime, max_lifetime);
    return JWT_BAD_CLAIM;
  }
  return JWT_VALID;
}

static enum jwt_status check_when(const struct jwt *t, const struct mcpauth_jwt_policy *p,
                                  int64_t now, struct err *e)
{
  struct times when = {.now = (double)now, .leeway = (double)p->leeway_ms / 1000};
  if (read_time(t, "exp", &when.exp, e) < 0 || read_time(t, "nbf", &when.nbf, e) < 0 ||
      read_time(t, "iat", &when.iat, e) < 0)
    return JWT_BAD_CLAIM;
  enum jwt_status status = check_present(&when, p, e);
  return status == JWT_VALID ? check_times(&when, p, e) : status;
}

/* ------------------------------------------------------------------ all */

enum jwt_status jwt_verify(const struct jwt *t, const struct jwks *keys,
                           const struct mcpauth_jwt_policy *policy, int64_t now, struct err *e)
{
  const struct jwk *key = NULL;
  enum jwt_status status = check_algorithm(t, policy, e);
  if (status == JWT_VALID)
    status = check_type(t, policy, e);
  if (status == JWT_VALID)
    status = check_issuer(t, policy, e);
  if (status == JWT_VALID)
    status = check_when(t, policy, now, e);
  if (status == JWT_VALID)
    status = check_audience(t, policy, e);
  if (status == JWT_VALID)
    status = check_subject(t, policy, e);
  if (status == JWT_VALID)
    status = jws_key(&t->jws, keys, &key, e);
  if (status == JWT_VALID)
    status = jws_check(&t->jws, key, e);
  return status;
}
